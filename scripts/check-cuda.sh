#!/bin/sh
# check-cuda.sh [BUILD FOLDER]: the CUDA module builds for every capability, and no kernel spills registers to memory.
# A kernel named in `allowed` (one part of its mangled name a line) may. Exit 77 where there is no toolkit.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
allowed=''

command -v nvcc >/dev/null 2>&1 || [ -x /usr/local/cuda/bin/nvcc ] || { echo "skipped: no nvcc"; exit 77; }
[ -f "$build/CMakeCache.txt" ] || { echo "check-cuda: $build is not configured; run ./check" >&2; exit 1; }
if ! cmake --build "$build" --target help | grep -qE '^tabes_cuda: '; then
    echo "skipped: $build has no CUDA module; cmake says why"
    exit 77
fi
out=$(cmake --build "$build" --target tabes_cuda 2>&1) || { printf '%s\n' "$out" >&2; exit 1; }

bad=0 kernels=0
for source in kernels/cuda/*.cu; do
    log=$build/CMakeFiles/tabes_cuda.dir/$source.o.log
    [ -f "$log" ] || { echo "check-cuda: no report on $source" >&2; bad=1; continue; }
    found=$(grep -c 'Compiling entry function' "$log" || true)
    kernels=$((kernels + found))
    spilled=$(awk '
        /Compiling entry function/ { split($0, part, "\047"); kernel = part[2]; device = part[4] }
        /bytes spill stores/ && !/ 0 bytes spill stores, 0 bytes spill loads/ { sub(/^ +/, ""); print kernel, device ":", $0 }
        ' "$log")
    for name in $allowed; do spilled=$(printf '%s\n' "$spilled" | grep -v "$name" || true); done
    [ -z "$spilled" ] || { printf 'check-cuda: %s: %s\n' "$source" "$spilled" >&2; bad=1; }
done
[ "$bad" -eq 0 ] && [ "$kernels" -gt 0 ] || exit 1
echo "check-cuda: $kernels kernels (all capabilities together), none spills"
