# shellcheck shell=bash
# What the foreign-language scripts share: where the repository and its tool cache are, and how each tool is called.
# Sourced, never run. It installs nothing and refuses to guess: a missing tool is an error that names setup.sh.

set -euo pipefail
shopt -s inherit_errexit

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
TOOLS="${FIELDBOOK_TOOLS:-$ROOT/.tools}"
CARGO_TARGET="${CARGO_TARGET_DIR:-$ROOT/target}"
# Bindings are read from, and clients run against, the debug build: a stripped library has lost its metadata.
LIBRARY="$CARGO_TARGET/debug/libfieldbook.so"

KOTLIN_VERSION=2.4.20
KOTLIN_DIR="$TOOLS/kotlin-$KOTLIN_VERSION"
JNA_DIR="$TOOLS/jna"
SWIFT_SUITE=trixie
SWIFT_DIR="$TOOLS/swift-$SWIFT_SUITE"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# as_root COMMAND...: runs a command that changes the machine (only ever apt-get), as root or through sudo.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else die "needs root: $*"; fi
}

# With the whole workspace, as the tests are built: alone it would have other features, and be built once more with all below it.
build_library() { (cd "$ROOT" && cargo build --quiet --locked --workspace --lib) >&2; }

# The class path of the Kotlin standard library, coroutines and JNA; `res` carries JNA's native part where JNA looks.
kotlin_classpath() {
  printf '%s' "$KOTLIN_DIR/lib/kotlin-stdlib.jar:$KOTLIN_DIR/lib/kotlinx-coroutines-core-jvm.jar:$JNA_DIR/jna.jar"
}

# in_swift COMMAND...: runs a command inside the private Swift root, with the repository bound at /fieldbook, the
# cargo target directory at /target and the tool cache at /tools. The environment's FIELDBOOK_ variables go along.
# The machine's own libraries and package sources stay untouched.
in_swift() {
  [ -e "$SWIFT_DIR/.ready" ] || die "Swift is not set up: run tests/foreign/setup.sh swift"
  mkdir -p "$CARGO_TARGET"
  local flags=(--mount --pid --fork)
  [ "$(id -u)" -eq 0 ] || flags+=(--user --map-root-user)
  ROOTFS="$SWIFT_DIR/root" BIND_REPO="$ROOT" BIND_TARGET="$CARGO_TARGET" BIND_TOOLS="$TOOLS" \
    unshare "${flags[@]}" bash -euc '
    mkdir -p "$ROOTFS"/proc "$ROOTFS"/dev "$ROOTFS"/tmp "$ROOTFS"/fieldbook "$ROOTFS"/target "$ROOTFS"/tools
    mount --make-rprivate /
    mount -t proc proc "$ROOTFS/proc"
    mount --rbind /dev "$ROOTFS/dev"
    mount --bind "$BIND_REPO" "$ROOTFS/fieldbook"
    mount --bind "$BIND_TARGET" "$ROOTFS/target"
    mount --bind "$BIND_TOOLS" "$ROOTFS/tools"
    export PATH=/usr/libexec/swift/bin:/usr/bin:/bin:/usr/sbin HOME=/tmp TMPDIR=/tmp LANG=C.UTF-8 LD_LIBRARY_PATH=/target/debug
    exec chroot "$ROOTFS" "$@"' in_swift "$@"
}
