# setup.sh - sourced by ./run and ./check: install what is missing, then configure and build.

say() { printf 'tabes: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Names of the packages of the given kinds that dpkg does not have.
missing_packages() {
    for kind in "$@"; do
        awk -v k="$kind" '$1 == k { print $2 }' "$ROOT/scripts/packages.txt"
    done | while read -r package; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' ||
            printf '%s\n' "$package"
    done
}

# Install the packages of the given kinds (build, test); silent when nothing is missing.
install_packages() {
    command -v dpkg-query >/dev/null 2>&1 || {
        say "not a Debian-like system; scripts/packages.txt lists what is needed"
        return 0
    }
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || die "missing packages: $missing- install them as root (apt-get install $missing)"
        as_root=sudo
    fi
    say "installing: $missing"
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get update -qq >&2 || die "apt-get update failed"
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2 ||
        die "could not install: $missing"
}

# build_preset NAME [CMAKE OPTIONS]: configure and build one preset, showing output only on failure.
build_preset() {
    preset=$1
    shift
    log=$(mktemp)
    if ! (cd "$ROOT" && cmake --preset "$preset" "$@" && cmake --build --preset "$preset") >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "the $preset build failed"
    fi
    rm -f "$log"
}
