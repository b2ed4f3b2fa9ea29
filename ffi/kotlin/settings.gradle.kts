rootProject.name = "fieldbook"
