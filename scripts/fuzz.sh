#!/bin/sh
# fuzz.sh [SECONDS [TARGET...]] - build the fuzz targets and run each for that long (8), two at a time. One line for
# each; ends with 1 when one crashed, leaked, hung or took too much memory. docs/reliability.md says more.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
BUILD=$ROOT/build-fuzz

# run_one SECONDS TARGET: seeds and the committed corpus first, then what the fuzzer makes of them. What it finds
# new is left in build-fuzz/found.
run_one() {
    found=$BUILD/found/$2 log=$BUILD/found/$2.log
    rm -rf "$found" "$found"-* "$found.tmp"
    mkdir -p "$found" "$found.tmp" "tests/fuzz/corpus/$2"
    max=20000
    case $2 in
    gguf | checkpoint) dict=gguf ;;
    safetensors | config | tokenizer | tasks | trajectory | view | verify) dict=json ;;
    commands) dict=commands max=200 ;;
    terminal) dict=keys max=80 ;;
    *) dict= ;;
    esac
    status=0
    ASAN_OPTIONS=quarantine_size_mb=16 OMP_NUM_THREADS=1 TMPDIR=$found.tmp "$BUILD/tests/fuzz/fuzz_$2" -seed=1 -max_total_time="$1" -timeout=10 -rss_limit_mb=1024 \
        -malloc_limit_mb=512 -max_len="$max" -print_final_stats=1 -artifact_prefix="$found-" \
        ${dict:+"-dict=tests/fuzz/$dict.dict"} "$found" "tests/fuzz/corpus/$2" "$BUILD/seeds/$2" >"$log" 2>&1 ||
        status=$?
    rm -rf "$found.tmp"
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    printf '%-12s %9s executions, %5s edges%s\n' "$2" "${runs:-?}" "${coverage:-?}" \
        "$([ "$status" -eq 0 ] || echo ", FAILED ($status)")"
    [ "$status" -eq 0 ] || { grep -vE '^#[0-9]+' "$log" | tail -n 60 >&2; return 1; }
}

if [ "${1-}" = --one ]; then
    run_one "$2" "$3"
    exit
fi

. "$ROOT/scripts/setup.sh"
command -v clang-14 >/dev/null || command -v clang >/dev/null || {
    say "clang is not installed"
    exit 77
}
build_preset fuzz
rm -rf "$BUILD/seeds"
python3 tests/fuzz/make_seeds.py "$BUILD/seeds"
seconds=${1:-8}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- terminal commands view checkpoint safetensors config tokenizer text \
    trajectory verify tasks arguments gguf theme lesson
printf '%s\n' "$@" | xargs -P 2 -n 1 sh "$0" --one "$seconds" || exit 1
