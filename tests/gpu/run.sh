#!/bin/sh
# Everything that needs a real GPU, in one command: tests/gpu/run.sh [OPTIONS]; README.md explains what comes out.
#
#   --quick         fewer seeds, lengths and repeats; only the first of the sanitizer's tools
#   --no-bench      correctness alone
#   --device NAME   cuda (the default) or cuda:N
#   --json FILE     where results go (default: tests/gpu/results-GPU-DATE.json)
#
# Correctness comes first, and results are written as they are made, so that a run that is cut short leaves what it
# has. Logs go to $OUT, or a new folder in /tmp. $TORCH_PYTHON names a Python with torch (default: python3).
# Last line: "N passed, N failed". Goals of speed are printed as PASS or FAIL, but are not counted.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
cd "$ROOT"
. "$ROOT/scripts/setup.sh"

quick=0 bench=1 device=cuda json=
usage() {
    echo "usage: tests/gpu/run.sh [--quick] [--no-bench] [--device cuda|cuda:N] [--json FILE]" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=1 ;;
    --no-bench) bench=0 ;;
    --device | --json)
        [ $# -gt 1 ] || usage
        case $1 in --device) device=$2 ;; *) json=$2 ;; esac
        shift
        ;;
    *) usage ;;
    esac
    shift
done

# ---- the machine ----

PATH=$PATH:/usr/local/cuda/bin
command -v nvidia-smi >/dev/null 2>&1 || die "no nvidia-smi: this machine has no NVIDIA driver"
command -v nvcc >/dev/null 2>&1 || die "no nvcc: install the CUDA toolkit (12.0 or later), or put it in PATH"
case $device in
cuda) index=0 ;;
cuda:[0-9]*) index=${device#cuda:} ;;
*) usage ;;
esac
ask() { # ask FIELD: what nvidia-smi says about the device
    nvidia-smi -i "$index" "--query-gpu=$1" --format=csv,noheader | head -n 1
}
gpu=$(ask name) || die "nvidia-smi does not know device $index"
[ -n "$gpu" ] || die "nvidia-smi names no device $index"
capability=$(ask compute_cap | tr -d .)
case $capability in *[!0-9]* | '') die "nvidia-smi says nothing useful about device $index: $gpu" ;; esac
date=$(date -u +%Y-%m-%d)
[ -n "$json" ] || json=tests/gpu/results-$(printf '%s' "$gpu" | tr -cs 'A-Za-z0-9' '-' | sed 's/-$//')-$date.json
if [ -n "${OUT:-}" ]; then mkdir -p "$OUT"; else OUT=$(mktemp -d /tmp/tabes-gpu.XXXXXX); fi
rm -f "$OUT/bench.json" "$OUT/torch.json"
BUILD=$ROOT/build-gpu
say "$gpu, capability $capability; logs in $OUT"

# ---- counting ----

passed=0 failed=0
: >"$OUT/checks"
: >"$OUT/started"

count() { # count ok|failed|skipped NAME LOG
    case $1 in
    ok) passed=$((passed + 1)) ;;
    failed) failed=$((failed + 1)) ;;
    esac
    echo "$1 $2" >>"$OUT/checks"
    if [ "$1" = skipped ]; then say "skipped: $2: $(tail -n 1 "$3")"; else printf '%-7s %s\n' "$1" "$2"; fi
    [ "$1" != failed ] || tail -n 15 "$3"
}

log_of() { printf '%s/%s.log' "$OUT" "$(printf '%s' "$1" | tr -cs 'A-Za-z0-9_.' '-')"; }

start() { # start SECONDS NAME COMMAND...: one check in the background, its output in a log
    limit=$1 name=$2
    shift 2
    timeout -k 10 "$limit" "$@" >"$(log_of "$name")" 2>&1 </dev/null &
    echo "$! $name" >>"$OUT/started"
}

finish() { # wait for what was started, and count it
    while read -r pid name; do
        log=$(log_of "$name") status=0
        wait "$pid" || status=$?
        case $status in
        0) count ok "$name" "$log" ;;
        77) count skipped "$name" "$log" ;;
        *)
            [ $status -ne 124 ] || echo "stopped: it took too long" >>"$log"
            count failed "$name" "$log"
            ;;
        esac
    done <"$OUT/started"
    : >"$OUT/started"
}

try() { # try SECONDS NAME COMMAND...: one check by itself
    start "$@"
    finish
}

# ---- results ----

report() {
    commit=$(git -c safe.directory='*' rev-parse HEAD 2>/dev/null || echo unknown)
    python3 tests/gpu/report.py --bench "$OUT/bench.json" --torch "$OUT/torch.json" --checks "$OUT/checks" \
        --json "$json" --about "gpu=$gpu" "date=$date" "driver=$(ask driver_version)" "commit=$commit" \
        "toolkit=$(nvcc --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')" "power_limit=$(ask power.limit)"
}

end() {
    report | tee "$OUT/report.txt"
    say "results: $json; logs: $OUT"
    echo "$passed passed, $failed failed"
}

cut_short() {
    while read -r pid _; do kill "$pid" 2>/dev/null || true; done <"$OUT/started"
    say "cut short"
    failed=$((failed + 1))
    end
    exit 1
}
trap cut_short INT TERM

# ---- build ----

build() {
    cmake --preset release -B "$BUILD" -DTABES_TESTS=ON -DTABES_CUDA=ON -DTABES_CUDA_ARCHITECTURES="$capability" &&
        cmake --build "$BUILD" -j "$(nproc)"
}

install_packages build test
log=$OUT/build.log
if build >"$log" 2>&1; then
    count ok build "$log"
else
    count failed build "$log"
    echo "$passed passed, $failed failed"
    exit 1
fi
export TABES_CUDA_MODULE="$BUILD/libtabes_cuda.so" TABES_DEVICE="$device" TABES="$BUILD/tabes"
unset LINES COLUMNS NO_COLOR COLORTERM CLICOLOR_FORCE 2>/dev/null || true

# ---- correctness on the device ----

seeds='81731 2 3'
[ $quick -eq 0 ] || seeds=81731
kernel_tests=$(cd tests/unit && printf '%s\n' test_kernels_*.c | sed 's/\.c$//')
engine_tests=$(cd tests/unit && grep -l '"device.h"' test_*.c | sed 's/\.c$//')

for test in $kernel_tests; do
    for precision in f32 bf16; do
        for seed in $seeds; do
            start 120 "$test $precision seed $seed" "$BUILD/tests/$test" --device "$device" --precision $precision \
                --rounds 40 "$seed"
        done
    done
    finish
done
for test in $engine_tests; do start 120 "$test" "$BUILD/tests/$test"; done
start 120 'vectors, f32' python3 tests/cli/test_vectors.py
start 120 'command' python3 tests/cli/test_device.py
finish

# ---- compute-sanitizer ----

# Failing calls are not reported: tests ask for more memory than there is.
sanitize() { # sanitize TOOL NAME COMMAND...
    tool=$1 what=$2
    shift 2
    start 120 "$tool: $what" compute-sanitizer --tool "$tool" --error-exitcode 9 --report-api-errors no "$@"
}

tools='memcheck racecheck synccheck'
[ $quick -eq 0 ] || tools=memcheck
if command -v compute-sanitizer >/dev/null 2>&1; then
    for tool in $tools; do
        for precision in f32 bf16; do
            for test in $kernel_tests; do
                sanitize "$tool" "$test $precision" "$BUILD/tests/$test" --device "$device" --precision $precision \
                    --rounds 1
            done
            sanitize "$tool" "decode $precision" "$TABES" run -m tests/vectors/llada --device "$device" \
                --precision $precision --prompt-tokens '[5,6,47,8]' --length 6 --policy boe --tokens-out -q
            finish
        done
    done
else
    echo "compute-sanitizer is not in PATH; it comes with the CUDA toolkit" >"$OUT/sanitizer.log"
    count skipped compute-sanitizer "$OUT/sanitizer.log"
fi

# ---- speed ----

if [ $bench -eq 1 ]; then
    n=128,256,512,1024,4096 repeat=20
    [ $quick -eq 0 ] || n=256,1024 repeat=5
    try 240 benchmark "$BUILD/tests/gpu/gpu_bench" --device "$device" --shape llada-8b,dream-7b --n $n \
        --repeat $repeat --json "$OUT/bench.json"
    try 240 'PyTorch for comparison' "${TORCH_PYTHON:-python3}" tests/gpu/torch_peer.py --device "cuda:$index" \
        --shape llada-8b,dream-7b --n $n --repeat $repeat --json "$OUT/torch.json"
fi
end
[ "$failed" -eq 0 ]
