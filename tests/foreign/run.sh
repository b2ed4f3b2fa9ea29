#!/usr/bin/env bash
# Compiles and runs one language's client. The exit status tells; the last line counts the checks.
#
#   FIELDBOOK_ADDRESS=ws://127.0.0.1:PORT FIELDBOOK_CODE=CODE tests/foreign/run.sh python|kotlin|swift
#   tests/foreign/run.sh LANGUAGE --build-only      compiles, so that a later run starts at once
#
# Run tests/foreign/setup.sh LANGUAGE and tests/foreign/generate.sh first. Compiled clients are kept in the tool cache
# and made again when a source changed.

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

CHECKS="$ROOT/tests/foreign"
BUILD="$TOOLS/build"

main() {
  local language="${1:-}"
  case "$language" in python | kotlin | swift) ;; *) die "usage: run.sh python|kotlin|swift [--build-only]" ;; esac
  build_library
  mkdir -p "$BUILD"
  "build_$language"
  [ "${2:-}" = --build-only ] || "run_$language"
}

# The package with the library beside its generated module, as a wheel would hold it.
build_python() {
  rm -rf "$BUILD/python"
  mkdir -p "$BUILD/python"
  cp -r "$ROOT/ffi/python/fieldbook" "$BUILD/python/fieldbook"
  ln -sf "$LIBRARY" "$BUILD/python/fieldbook/_generated/libfieldbook.so"
}

run_python() { PYTHONPATH="$BUILD/python" PYTHONDONTWRITEBYTECODE=1 python3 -X faulthandler "$CHECKS/python/check.py"; }

build_kotlin() {
  [ -e "$KOTLIN_DIR/.ready" ] && [ -e "$JNA_DIR/.ready" ] || die "Kotlin is not set up: run tests/foreign/setup.sh kotlin"
  local sources hash
  mapfile -t sources < <(find "$ROOT/ffi/kotlin/src" "$CHECKS/kotlin" -name '*.kt' | sort)
  hash="$(cat "${sources[@]}" | sha256sum | cut -c1-16)"
  KOTLIN_JAR="$BUILD/kotlin-$hash.jar"
  [ ! -e "$KOTLIN_JAR" ] || return 0
  say "compiling Kotlin (about a minute)"
  rm -f "$BUILD"/kotlin-*.jar
  java -Xmx1500m -cp "$KOTLIN_DIR/lib/kotlin-compiler.jar" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler \
    -no-stdlib -no-reflect -jvm-target 17 -cp "$(kotlin_classpath)" -d "$BUILD/new.jar" "${sources[@]}" >&2
  mv "$BUILD/new.jar" "$KOTLIN_JAR"
}

run_kotlin() {
  java -Xmx256m -Djna.library.path="$(dirname "$LIBRARY")" -cp "$KOTLIN_JAR:$(kotlin_classpath):$JNA_DIR/res" \
    fieldbook.check.CheckKt
}

# A consumer package that depends on ffi/swift as an app would, so that the app developers' Package.swift is proved too.
build_swift() {
  in_swift swift build --package-path /fieldbook/tests/foreign/swift/check --scratch-path /tools/build/swift \
    --disable-sandbox -j 2 -Xlinker -L/target/debug >&2
}

run_swift() { in_swift /tools/build/swift/debug/check; }

main "$@"
