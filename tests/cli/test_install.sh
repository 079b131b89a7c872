#!/bin/sh
# What `cmake --install` and cpack make of the build of $TABES: it runs from any folder, knows its data, and names
# neither the build nor the sources. Needs no root. The Debian package is looked at where dpkg-deb is.
set -u
TABES=${TABES:?the program to test}
source=$(pwd -P)
build=$(cd "$(dirname "$TABES")" && pwd -P)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
checks=0 failed=0

bad() { failed=$((failed + 1)); echo "test_install.sh: $*" >&2; }
check() { # check WHAT COMMAND...: the command succeeds
    what=$1; shift
    checks=$((checks + 1))
    "$@" >"$tmp/out" 2>"$tmp/err" || bad "$what: exit $?: $(head -c 400 "$tmp/err")"
}
says() { # says PATTERN: in the output of the last check
    checks=$((checks + 1))
    grep -q -- "$1" "$tmp/out" || bad "no '$1' in: $(head -c 400 "$tmp/out")"
}
setting() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }

# The installed program with an environment and a folder that know nothing of the tree.
installed() {
    (cd "$tmp/elsewhere" && env -i HOME="$tmp/elsewhere" PATH=/usr/bin:/bin LC_ALL=C.UTF-8 OMP_WAIT_POLICY=passive \
        "$root/bin/tabes" "$@")
}

try_root() { # try_root NAME MANUAL-PAGE: what has to hold in $root
    check "$1: --version" installed --version
    says '^tabes [0-9]'
    check "$1: a decode" installed run -q -m sudoku --prompt-file "$root/share/tabes/prompts/sudoku-4x4.txt" --policy confidence
    check "$1: a bundled model" installed info -m story --json
    says '"name":"story"'
    check "$1: an export" installed export "$root/share/tabes/trajectories/sudoku-boe.jsonl" --to md
    says '^#'
    check "$1: the workbench with its own prompt" installed open --policy confidence,margin --dump-screen 80x24
    says 'confidence'
    for file in "$2" share/bash-completion/completions/tabes share/zsh/site-functions/_tabes \
        share/fish/vendor_completions.d/tabes.fish share/doc/tabes/copyright share/doc/tabes/README.md; do
        check "$1: $file" test -s "$root/$file"
    done
    check "$1: themes" installed themes
    says "$root/share/tabes/themes/light.theme"
    [ ! -d "$source/examples/lessons" ] || check "$1: lessons" test -n "$(ls "$root/share/tabes/lessons")"
}

mkdir "$tmp/elsewhere"

# Under one prefix by way of DESTDIR, then moved: the folder's name is nowhere in it.
check 'cmake --install' env DESTDIR="$tmp/stage" cmake --install "$build" --prefix /opt/tabes
mv "$tmp/stage/opt/tabes" "$tmp/some where"
root="$tmp/some where"
try_root installed share/man/man1/tabes.1
leftover=$(cd "$tmp/stage" && find . ! -type d)
check "files outside the prefix: $leftover" test -z "$leftover"

# A build with debugging information names its sources, and one in a folder of its own has to know where they are.
if [ "$(setting CMAKE_BUILD_TYPE)" = Release ] && [ "$(dirname "$build")" = "$source" ]; then
    named=$(grep -rlF -e "$source" -e "$build" "$root")
    check "names the tree that it was built in: $named" test -z "$named"
    mv "$root/share/tabes/models" "$tmp/models"
    checks=$((checks + 1))
    installed info -m story >"$tmp/out" 2>&1 && bad "a model was found outside the installed folder"
    mv "$tmp/models" "$root/share/tabes/models"
fi

if [ "$(setting CMAKE_BUILD_TYPE)" = Release ] && command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null; then
    check cpack cpack -G DEB --config "$build/CPackConfig.cmake" -B "$tmp/package"
    deb=$(echo "$tmp"/package/tabes_*.deb)
    check 'package fields' dpkg-deb --info "$deb"
    says '^ Package: tabes$'
    says "^ Version: $(setting CMAKE_PROJECT_VERSION)"
    says '^ Section: science$'
    says '^ Depends: .*libdnnl'
    check 'unpacking' dpkg-deb -x "$deb" "$tmp/unpacked"
    root="$tmp/unpacked/usr"
    try_root package share/man/man1/tabes.1.gz
    leftover=$(cd "$tmp/unpacked" && find . ! -type d ! -path './usr/bin/*' ! -path './usr/share/*')
    check "files outside /usr/bin and /usr/share: $leftover" test -z "$leftover"
    check 'no module that needs cuBLAS' test ! -e "$root/lib"
fi

echo "install: $checks checks, $failed failed"
[ "$failed" -eq 0 ]
