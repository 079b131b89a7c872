#!/bin/sh
# coverage.sh [--no-tests] [ROOM|FILE...] - which lines the tests run through. Builds the preset `coverage`, runs the
# tests that do not measure time (the emulated GPU's code is compiled apart and not counted), and prints covered and
# all lines of each room, then the lines of engine, replay and the loaders (or of what is named) that nothing ran
# through. docs/reliability.md explains the figures. --no-tests reads what the last run left.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
. "$ROOT/scripts/setup.sh"
build=$ROOT/build-coverage
if [ "${1-}" = --no-tests ]; then
    shift
else
    build_preset coverage
    find "$build" -name '*.gcda' -delete
    # A test may fail here for want of time: it still counts for what it ran through.
    ctest --preset coverage -j 2 -E '^emulated_|^cli_test_(bench|hardening|completion)' >"$build/coverage-tests.log" 2>&1 ||
        say "some tests failed; build-coverage/coverage-tests.log says which"
fi
[ $# -gt 0 ] || set -- engine replay tui/lessons tui/theme_parse.c tui/theme_find.c
python3 - "$build" "$@" <<'PY'
import collections, gzip, json, os, subprocess, sys, tempfile
build, *wanted = sys.argv[1:]
notes = [os.path.join(d, f) for d, _, files in os.walk(build) for f in files if f.endswith(".gcno") and "/tests/" not in d]
lines = collections.defaultdict(dict)
with tempfile.TemporaryDirectory() as folder:
    for i in range(0, len(notes), 50):
        subprocess.run(["gcov", "--json-format", "--preserve-paths", *notes[i:i + 50]], cwd=folder, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)
    for name in os.listdir(folder):
        for f in json.load(gzip.open(os.path.join(folder, name)))["files"]:
            path = os.path.relpath(os.path.join(build, f["file"]), os.getcwd())
            if path.startswith((".", "build", "/", "tests")):
                continue
            for line in f["lines"]:
                n = line["line_number"]
                lines[path][n] = lines[path].get(n, 0) + line["count"]


def share(paths):
    every = sum(len(lines[p]) for p in paths)
    run = sum(n > 0 for p in paths for n in lines[p].values())
    return f"{run:6} of {every:6}  {100 * run / max(every, 1):5.1f} %"


for room in ("kernels", "engine", "bench", "replay", "eval", "tui", "cli"):
    print(f"{room:10} {share([p for p in lines if p.startswith(room + '/')])}")
print(f"{'all':10} {share(list(lines))}\n")
for path in sorted(lines):
    if not any(path == w or path.startswith(w.rstrip("/") + "/") for w in wanted):
        continue
    missed = sorted(n for n, count in lines[path].items() if not count)
    if not missed:
        continue
    source = open(path, encoding="utf-8").read().split("\n")
    print(f"{path}: {share([path])}")
    for n in missed:
        print(f"  {n:4}  {source[n - 1].strip()[:110] if n <= len(source) else ''}")
PY
