#!/bin/sh
# soak.sh [SECONDS [REPLAYS]] - the workbench under AddressSanitizer in scripted use for that long (1200), and one
# recording replayed that often (10000), both with memory that must not grow. docs/reliability.md has the figures.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
. "$ROOT/scripts/setup.sh"
seconds=${1:-1200}
for preset in release asan; do
    build=build$([ "$preset" = release ] || echo "-$preset")
    cmake --preset "$preset" >/dev/null && cmake --build "$build" --target tabes_faults faults_replays >/dev/null ||
        die "the $preset build failed"
done
failed=0
for build in build build-asan; do
    GLIBC_TUNABLES=glibc.malloc.tcache_count=0 "$build/tests/faults/faults_replays" "${2:-10000}" || failed=1
done
TABES_FAULTS=build-asan/tabes_faults tests/faults/test_soak.py "$seconds" "$((seconds / 4))" || failed=1
exit $failed
