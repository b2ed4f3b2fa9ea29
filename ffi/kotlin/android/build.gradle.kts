// The AAR: the sources of ../src with the libraries that ../aar.sh puts into src/main/jniLibs. Never built where it was written.
plugins {
    id("com.android.library") version "8.7.3"
    kotlin("android") version "2.1.0"
}

android {
    namespace = "fieldbook"
    compileSdk = 35
    defaultConfig {
        minSdk = 26
        consumerProguardFiles("keep.pro")
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    kotlinOptions { jvmTarget = "17" }
    sourceSets["main"].kotlin.srcDirs("../src/main/kotlin", "../src/generated/kotlin")
}

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-core:1.8.0")
    // Older ones crash on pages of 16 KB.
    implementation("net.java.dev.jna:jna:5.17.0@aar")
}
