#!/usr/bin/env bash
# Packs the library and its Kotlin layer into an AAR: ffi/kotlin/android/build/outputs/aar. Wants ANDROID_NDK_HOME (r27 or newer),
# ANDROID_HOME, gradle, and Rust's targets aarch64-linux-android, armv7-linux-androideabi and x86_64-linux-android.
#
# Written without any of these at hand: it has never run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root="$(cd ../.. && pwd)"
target="${CARGO_TARGET_DIR:-$root/target}"
# The oldest Android that the AAR installs on; the same number stands in android/build.gradle.kts.
api=26

: "${ANDROID_NDK_HOME:?the folder of the Android NDK, r27 or newer}"
: "${ANDROID_HOME:?the folder of the Android SDK}"
command -v gradle >/dev/null || { echo "gradle is missing" >&2; exit 1; }
case "$(uname -s)" in Darwin) host=darwin-x86_64 ;; *) host=linux-x86_64 ;; esac
tools="$ANDROID_NDK_HOME/toolchains/llvm/prebuilt/$host/bin"

# build TARGET ABI CLANG-PREFIX
build() {
  local variable="${1//-/_}"
  export "CC_$variable=$tools/$3$api-clang" "AR_$variable=$tools/llvm-ar"
  export "CARGO_TARGET_${variable^^}_LINKER=$tools/$3$api-clang"
  # Phones with pages of 16 KB load nothing that is aligned for less.
  export "CARGO_TARGET_${variable^^}_RUSTFLAGS=-C link-arg=-Wl,-z,max-page-size=16384"
  (cd "$root" && cargo build --locked --release --target "$1" -p fieldbook-ffi --lib)
  mkdir -p "android/src/main/jniLibs/$2"
  "$tools/llvm-strip" -o "android/src/main/jniLibs/$2/libfieldbook.so" "$target/$1/release/libfieldbook.so"
  "$tools/llvm-readelf" --program-headers "android/src/main/jniLibs/$2/libfieldbook.so" |
    awk '$1 == "LOAD" && $NF != "0x4000" { bad = 1 } END { exit bad }' || { echo "$2 is not aligned for 16 KB" >&2; exit 1; }
}

build aarch64-linux-android arm64-v8a aarch64-linux-android
build armv7-linux-androideabi armeabi-v7a armv7a-linux-androideabi
build x86_64-linux-android x86_64 x86_64-linux-android
gradle --project-dir android assembleRelease
