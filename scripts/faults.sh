#!/bin/sh
# faults.sh [KILLS] - tests/faults at full size: every call for memory fails in turn, KILLS (200) runs are killed, storms
# of 2000 resizes. Half an hour and more; ends with 1 when something failed. docs/reliability.md has the figures.
#     TABES_PRESET=asan sh scripts/faults.sh    # the same under AddressSanitizer, which finds leaks, too
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
. "$ROOT/scripts/setup.sh"
preset=${TABES_PRESET:-release}
build=build$([ "$preset" = release ] || echo "-$preset")
cmake --preset "$preset" >/dev/null && cmake --build "$build" --target tabes_faults >/dev/null || die "the $preset build failed"
TABES_FAULTS=$build/tabes_faults
export TABES_FAULTS
failed=0
for test in test_disk.py "test_kill.py ${1:-200}" "test_screen.py --every --resizes 2000" \
    "test_allocations.py ${FAULTS_WAYS:---every}"; do
    # shellcheck disable=SC2086
    "tests/faults/"$test || failed=1
done
exit $failed
