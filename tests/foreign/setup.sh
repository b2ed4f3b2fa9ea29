#!/usr/bin/env bash
# Installs what the Kotlin, Swift and Python clients need to compile and run on a Debian 12 machine.
#
#   tests/foreign/setup.sh [python] [kotlin] [swift]      (no argument: all three)
#
# Only the machine's own package sources are used (apt, npm). Everything except a missing base package lands in
# .tools/ under the repository (or $FIELDBOOK_TOOLS); what exists is skipped, so a second run takes no time.
# Cost: see README.md beside this file.

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

main() {
  mkdir -p "$TOOLS"
  exec 9>"$TOOLS/.setup.lock"
  flock 9
  local wanted=("$@")
  [ ${#wanted[@]} -gt 0 ] || wanted=(python kotlin swift)
  local each
  for each in "${wanted[@]}"; do
    case "$each" in
      python | kotlin | swift) local began=$SECONDS; "setup_$each"; say "$each ready ($((SECONDS - began)) s)" ;;
      *) die "unknown language '$each': python, kotlin or swift" ;;
    esac
  done
}

# The Python client uses the standard library alone.
setup_python() {
  need python3 python3
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || die "Python 3.9 or newer is needed"
}

# Compiler, standard library and coroutines come as jars inside one npm package; JNA is Debian's.
setup_kotlin() {
  need java openjdk-17-jre-headless
  if [ ! -e "$KOTLIN_DIR/.ready" ]; then
    need npm npm
    fresh "$KOTLIN_DIR"
    (cd "$KOTLIN_DIR" && npm pack --silent "kotlin-compiler@$KOTLIN_VERSION" >/dev/null && tar -xzf kotlin-compiler-*.tgz)
    mv "$KOTLIN_DIR/package/lib" "$KOTLIN_DIR/lib"
    rm -rf "$KOTLIN_DIR/package" "$KOTLIN_DIR"/*.tgz
    touch "$KOTLIN_DIR/.ready"
  fi
  if [ ! -e "$JNA_DIR/.ready" ]; then
    fresh "$JNA_DIR"
    # A machine without package lists, or with old ones, gets new lists and a second try.
    download_jna 2>/dev/null || { as_root apt-get -qq update >&2 && download_jna; }
    cp "$(find "$JNA_DIR/unpacked" -name jna.jar -print -quit)" "$JNA_DIR/jna.jar"
    # Debian's jar has no native part: put it where JNA searches its class path.
    mkdir -p "$JNA_DIR/res/com/sun/jna/linux-x86-64"
    cp "$(find "$JNA_DIR/unpacked" -name 'libjnidispatch*.so' -print -quit)" \
      "$JNA_DIR/res/com/sun/jna/linux-x86-64/libjnidispatch.so"
    rm -rf "$JNA_DIR"/*.deb "$JNA_DIR/unpacked"
    touch "$JNA_DIR/.ready"
  fi
}

# Debian 12 has no Swift. The next suite's packages are downloaded by an apt of our own (own state, lists and source)
# and unpacked, not installed, into a folder that is entered by chroot: the machine's libc stays as it is.
setup_swift() {
  [ ! -e "$SWIFT_DIR/.ready" ] || return 0
  need unshare util-linux
  need chroot coreutils
  need xz xz-utils
  fresh "$SWIFT_DIR"
  local apt="$SWIFT_DIR/apt" root="$SWIFT_DIR/root"
  mkdir -p "$apt"/state/lists/partial "$apt"/cache/archives/partial "$apt"/etc/preferences.d "$root"
  : >"$apt/state/status"
  printf 'deb [signed-by=%s] %s %s main\n' /usr/share/keyrings/debian-archive-keyring.gpg "$(debian_mirror)" \
    "$SWIFT_SUITE" >"$apt/etc/sources.list"
  private_apt "$apt" update
  private_apt "$apt" install --yes --download-only --no-install-recommends \
    swiftlang libc6-dev libstdc++-14-dev bash coreutils
  say "unpacking $(du -sm "$apt/cache/archives" | cut -f1) MB of packages"
  # Debian merged /bin and /lib into /usr: the links must exist before the first package is unpacked.
  local dir
  for dir in bin sbin lib lib64; do mkdir -p "$root/usr/$dir"; ln -sfn "usr/$dir" "$root/$dir"; done
  unpack_swift "$apt/cache/archives" "$root"
  rm -rf "$apt"
  touch "$SWIFT_DIR/.ready"
  in_swift swiftc --version >&2 || { rm "$SWIFT_DIR/.ready"; die "the Swift compiler does not start"; }
}

# need PROGRAM PACKAGE: installs the Debian package unless the program is there.
need() {
  command -v "$1" >/dev/null && return 0
  say "installing $2"
  as_root apt-get -qq update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$2" >&2
}

# A folder left half-made by an interrupted run is thrown away: `.ready` is written last.
fresh() { rm -rf "$1"; mkdir -p "$1"; }

download_jna() {
  (
    cd "$JNA_DIR" || exit 1
    apt-get -qq -o APT::Sandbox::User=root download libjna-java libjna-jni || exit 1
    local deb
    for deb in *.deb; do dpkg-deb -x "$deb" unpacked || exit 1; done
  )
}

# The address this machine already fetches Debian itself from (not security, not third parties).
debian_mirror() {
  configured_mirror || { as_root apt-get -qq update >&2 && configured_mirror; } || die "no Debian package source is configured"
}

# Reads to the end on purpose: leaving early would break the pipe and count as a failure.
configured_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
    awk '!found && $2 == "Debian" && $3 == "Debian" { print $1; found = 1 } END { exit !found }'
}

# private_apt DIR ARGUMENTS...: apt-get that sees only DIR: no lists, sources, pins or status of the machine.
private_apt() {
  local apt="$1"; shift
  apt-get -qq -o Dir::State="$apt/state" -o Dir::State::status="$apt/state/status" -o Dir::Cache="$apt/cache" \
    -o Dir::Etc::sourcelist="$apt/etc/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferences=- \
    -o Dir::Etc::preferencesparts="$apt/etc/preferences.d" -o APT::Sandbox::User=root -o Debug::NoLocking=true \
    -o Dir::Etc::trustedparts=- -o Acquire::Languages=none -o APT::Get::List-Cleanup=0 "$@" >&2
}

# Leaves out what neither swiftc nor `swift test` reads: debugger, documentation, language server, static runtimes.
unpack_swift() {
  local deb
  for deb in "$1"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$2" --keep-directory-symlink --no-same-owner \
      --exclude='*lldb*' --exclude='*docc*' --exclude='*sourcekit*' --exclude='*swift_static*' \
      --exclude='*/embedded/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*'
    rm "$deb"
  done
}

main "$@"
