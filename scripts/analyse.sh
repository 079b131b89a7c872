#!/bin/sh
# analyse.sh [--quick] [FILE...] - gcc's analyzer, clang-tidy and cppcheck over our own sources, two files at a time.
# Every finding is printed, and one is enough to fail. --quick leaves out clang-tidy's path-sensitive half
# (clang-analyzer-*), which takes most of the time; ./check runs that. What is left out, and why, is in .clang-tidy,
# in scripts/cppcheck.txt, in scripts/gcc-analyzer.txt and beside the lines in question (NOLINT, cppcheck-suppress).
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
build=${BUILD:-build}

# With checked calls on, clang sees macros of the names that banned.h forbids.
one_tidy() { # one_tidy CHECKS FILE: one file a run, because va_lists of one confuse version 14 in the next
    out=$(clang-tidy-14 --quiet -p "$build" --checks="$1" --extra-arg=-DTABES_ANALYSIS --extra-arg=-Wno-unused-value --extra-arg=-U_FORTIFY_SOURCE \
        "$2" 2>/dev/null) || { printf '%s\n' "$out"; exit 1; }
}

case ${1-} in
--tidy) one_tidy "$2" "$3"; exit ;;
esac

checks=
if [ "${1-}" = --quick ]; then
    checks=-clang-analyzer-*
    shift
fi
for tool in clang-tidy-14 cppcheck python3; do
    command -v "$tool" >/dev/null 2>&1 || { echo "analyse: $tool is not installed" >&2; exit 77; }
done
[ -f "$build/compile_commands.json" ] || { echo "analyse: $build is not configured; run ./check" >&2; exit 1; }
[ $# -gt 0 ] || set -- $(git ls-files 'kernels/*.c' 'engine/*.c' 'bench/*.c' 'replay/*.c' 'eval/*.c' 'tui/*.c' 'cli/*.c')

bad=0
cppcheck -j2 --quiet --std=c11 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 \
    --suppressions-list=scripts/cppcheck.txt -I. -DTABES_VERSION='"x"' -DTABES_ANALYSIS \
    --template='{file}:{line}: {severity} {id}: {message}' "$@" || bad=1
if [ -d "$build" ] && grep -q '^CMAKE_C_COMPILER:.*cc$\|^CMAKE_C_COMPILER:.*gcc' "$build/CMakeCache.txt"; then
    python3 scripts/analyse_gcc.py "$build" "$@" || bad=1
fi
printf '%s\n' "$@" | xargs -P 2 -I '{}' sh "$0" --tidy "$checks" '{}' || bad=1
[ "$bad" -eq 0 ] || { echo "analyse: findings" >&2; exit 1; }
echo "analyse: $# files, no findings"
