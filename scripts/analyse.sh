#!/bin/sh
# analyse.sh [--quick] [FILE...] - gcc's analyzer, clang-tidy and cppcheck over our own sources, two files at a time.
# Every finding is printed, and one is enough to fail. --quick leaves out clang-tidy's path-sensitive half
# (clang-analyzer-*), which takes most of the time; ./check runs that. What is left out, and why, is in .clang-tidy,
# in scripts/cppcheck.txt, in scripts/gcc-analyzer.txt and beside the lines in question (NOLINT, cppcheck-suppress).
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
build=${BUILD:-build}

# gcc 12 takes a value that memcpy fills with the bytes of another type for uninitialised, so that is left to clang.
# TABES_ANALYSIS: engine/base/status.h tells the tools what they cannot see from one file.
one_gcc() { # one_gcc FILE: as the build compiles it, without writing an object
    python3 - "$build" "$1" <<'PY'
import json, os, shlex, subprocess, sys
build, name = sys.argv[1:]
path = os.path.abspath(name)
entry = next((e for e in json.load(open(f"{build}/compile_commands.json")) if e["file"] == path), None)
if not entry:
    sys.exit(f"analyse: {name} is not part of the build in {build}")
args = shlex.split(entry["command"])
args[args.index("-o") + 1] = "/dev/null"
args = [a for a in args if a not in ("-O3", "-Werror")] + ["-O0", "-U_FORTIFY_SOURCE", "-fanalyzer", "-DTABES_ANALYSIS", "-Wno-unused-value",
    "-Wno-analyzer-use-of-uninitialized-value", "-fdiagnostics-path-format=none"]
p = subprocess.run(args, cwd=entry["directory"], capture_output=True, text=True)
known = [line.split()[:2] for line in open("scripts/gcc-analyzer.txt") if line[0] != "#"]
found = [line for line in p.stderr.splitlines() if "warning:" in line or "error:" in line]
found = [line for line in found if not any(name == k[0] and f"[-Wanalyzer-{k[1]}]" in line for k in known)]
print("\n".join(found), end="\n" if found else "")
sys.exit(1 if p.returncode or found else 0)
PY
}

# With checked calls on, clang sees macros of the names that banned.h forbids.
one_tidy() { # one_tidy CHECKS FILE: one file a run, because va_lists of one confuse version 14 in the next
    out=$(clang-tidy-14 --quiet -p "$build" --checks="$1" --extra-arg=-DTABES_ANALYSIS --extra-arg=-Wno-unused-value --extra-arg=-U_FORTIFY_SOURCE \
        "$2" 2>/dev/null) || { printf '%s\n' "$out"; exit 1; }
}

case ${1-} in
--gcc) one_gcc "$2"; exit ;;
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
    printf '%s\n' "$@" | xargs -P 2 -I '{}' sh "$0" --gcc '{}' || bad=1
fi
printf '%s\n' "$@" | xargs -P 2 -I '{}' sh "$0" --tidy "$checks" '{}' || bad=1
[ "$bad" -eq 0 ] || { echo "analyse: findings" >&2; exit 1; }
echo "analyse: $# files, no findings"
