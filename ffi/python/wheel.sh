#!/usr/bin/env bash
# Makes a wheel of the package with the library inside, for this machine's platform, in ffi/python/dist. Wants cargo and Python with pip;
# pip fetches setuptools for the build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root="$(cd ../.. && pwd)"
target="${CARGO_TARGET_DIR:-$root/target}"

# A profile's folder is named after it, but for `dev`.
profile="${FIELDBOOK_PROFILE:-release}"
folder="$profile"
[ "$profile" != dev ] || folder=debug
case "$(uname -s)" in Darwin) library=libfieldbook.dylib ;; *) library=libfieldbook.so ;; esac

(cd "$root" && cargo build --locked --profile "$profile" -p fieldbook-ffi --lib)
staging="$(mktemp -d)"
trap 'rm -rf "$staging"' EXIT
cp -r fieldbook pyproject.toml README.md "$staging/"
cp "$target/$folder/$library" "$staging/fieldbook/_generated/"
# The module loads the library itself, so any Python will do, but only this platform.
platform="$(python3 -c 'import sysconfig; print(sysconfig.get_platform().replace("-", "_").replace(".", "_"))')"
python3 -m pip wheel --quiet --no-deps --wheel-dir dist --config-settings "--build-option=--plat-name=$platform" "$staging"
ls dist/*.whl
