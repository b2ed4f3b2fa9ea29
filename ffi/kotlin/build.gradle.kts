// For app developers: the library as a JVM module. `tests/foreign/run.sh kotlin` compiles the same sources without
// Gradle. On Android take JNA as an .aar (`net.java.dev.jna:jna:5.17.0@aar` or newer: older ones crash on 16 KB pages).
plugins {
    kotlin("jvm") version "2.4.20"
    `java-library`
}

repositories { mavenCentral() }

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-core:1.8.0")
    implementation("net.java.dev.jna:jna:5.17.0")
}

kotlin { jvmToolchain(17) }

sourceSets.main { kotlin.srcDir("src/generated/kotlin") }
