#!/usr/bin/env bash
# Makes ffi/swift/Fieldbook.xcframework, which Package.swift takes as soon as it is there. Wants a Mac with Xcode and Rust's targets
# aarch64-apple-ios, aarch64-apple-ios-sim and x86_64-apple-ios.
#
# Written without a Mac at hand: it has never run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root="$(cd ../.. && pwd)"
target="${CARGO_TARGET_DIR:-$root/target}"

for tool in xcodebuild lipo; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: this needs a Mac with Xcode" >&2; exit 1; }
done
for each in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios; do
  (cd "$root" && cargo build --locked --release --target "$each" -p fieldbook-ffi --lib)
done
# One framework holds one library a platform: both simulators in one file.
mkdir -p "$target/ios-simulator"
lipo -create -output "$target/ios-simulator/libfieldbook.a" \
  "$target/aarch64-apple-ios-sim/release/libfieldbook.a" "$target/x86_64-apple-ios/release/libfieldbook.a"
rm -rf Fieldbook.xcframework
xcodebuild -create-xcframework -output Fieldbook.xcframework \
  -library "$target/aarch64-apple-ios/release/libfieldbook.a" -headers Sources/FieldbookFFI \
  -library "$target/ios-simulator/libfieldbook.a" -headers Sources/FieldbookFFI
