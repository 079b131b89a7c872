#!/usr/bin/env python3
"""The same seed, build, device and thread count give the same recording byte for byte, but for what a clock says; another
number of threads moves numbers by less than TOLERANCE and changes no choice. With TABES_DEVICE the same is asked of that
device, and `verify` says how far its recordings are from the CPU's and whether a choice changed."""
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import Checks, tabes

DEVICE = os.environ.get("TABES_DEVICE", "")
CLOCK = {"created", "ms", "observe_ms"}  # date of the header, times of steps and of the closing line
TOLERANCE = 1e-5  # of the largest number of a kind in a step: float32 sums in another order
BF16_TOLERANCE = 2e-2  # the same where products round to bfloat16, on one side or on both
CROSS_TOLERANCE = 1e-4  # between the CPU and a device, both in float32
PUZZLE = "53..7....\n6..195...\n.98....6.\n8...6...3\n4..8.3..1\n7...2...6\n.6....28.\n...419..5\n....8..79"
SUDOKU = ["-m", "sudoku", "-p", PUZZLE, "--steps", 5]
STORY = ["-m", "story", "-p", "Tom has 3 apples.", "--length", 16, "--steps", 4]
RUNS = {
    "confidence": SUDOKU + ["--policy", "confidence"],
    "boe": SUDOKU + ["--policy", "boe", "--rho", 0.5],
    "boe-others": SUDOKU + ["--policy", "boe-others"],
    "random": SUDOKU + ["--policy", "random", "--seed", 7],
    "lookum": SUDOKU + ["--policy", "lookum", "--seed", 5],
    "dream": STORY + ["--policy", "dream", "--temperature", 0.7, "--seed", 3],
    "boe-story": STORY + ["--policy", "boe", "--temperature", 0.5, "--seed", 2],
    "remdm": STORY + ["--policy", "remdm", "--seed", 4],
}


def record(c, folder, name, label, *options):
    path = f"{folder}/{name}-{label}.jsonl"
    code, out, message = tabes("run", *RUNS[name], "--record", path, "-q", *options)
    c.check(code == 0, f"{name} {label}: exit code {code}: {message}")
    return path


def timeless(path, *more):
    """The recording's bytes without the fields of CLOCK and `more`, wherever they stand."""
    gone = CLOCK | set(more)
    with open(path) as f:
        lines = [json.loads(line, object_pairs_hook=lambda pairs: [p for p in pairs if p[0] not in gone],
                            parse_float=str, parse_int=str) for line in f]
    return [json.dumps(line) for line in lines]


def choices(path):
    with open(path) as f:
        steps = [line for line in map(json.loads, f) if line["type"] == "step"]
    return [[(w["pos"], w["token"]) for w in step["writes"]] for step in steps]


def verify(c, what, path, name, *options):
    code, out, message = tabes("verify", path, "-m", RUNS[name][1], "--json", "-q", *options)
    if not c.check(code in (0, 1) and out.startswith("{"), f"{what}: {code} {message}"):
        return {}
    got = json.loads(out)
    if not got["same"]:
        print(f"{what}: {got['difference']}")
    return got


def twice(c, folder, precision):
    """Recorded twice with one and with two threads; returns the largest distance between the two numbers of threads."""
    worst = 0
    for name in RUNS:
        made = {}
        for threads in (1, 2):
            how = ["--threads", threads, "--precision", precision, "--device", "cpu"]
            one, two = (record(c, folder, name, f"{precision}-{threads}-{k}", *how) for k in "ab")
            c.check(timeless(one) == timeless(two), f"{name}, {precision}, {threads} threads: twice the same bytes")
            made[threads] = one
        c.check(choices(made[1]) == choices(made[2]), f"{name}, {precision}: threads change no choice")
        tolerance = TOLERANCE if precision == "f32" else BF16_TOLERANCE
        got = verify(c, f"{name}, {precision}, other threads", made[1], name, "--threads", 2, "--precision", precision,
                     "--tolerance", tolerance)
        if got:
            c.check(got["same"] and not got["choice_changed"], f"{name}, {precision}: two threads within {tolerance}")
            worst = max(worst, got["max_relative_difference"])
    return worst


def device(c, folder):
    """The device against itself and against the CPU; returns the largest distances, float32 and bfloat16."""
    worst = {"f32": 0, "bf16": 0}
    for name in ("boe", "dream"):
        cpu = record(c, folder, name, "cpu", "--device", "cpu", "--precision", "f32")
        for precision, tolerance in (("f32", CROSS_TOLERANCE), ("bf16", 1)):
            how = ["--device", DEVICE, "--precision", precision]
            one, two = (record(c, folder, name, f"{precision}-{k}", *how) for k in "ab")
            c.check(timeless(one) == timeless(two), f"{name}, {precision} on {DEVICE}: twice the same bytes")
            got = verify(c, f"{name}, CPU against {precision} on {DEVICE}", cpu, name, *how, "--tolerance", tolerance)
            if not got:
                continue
            worst[precision] = max(worst[precision], got["max_relative_difference"])
            c.check(0 < got["max_relative_difference"], f"{name}, {precision}: a distance is told: {got}")
            equal = choices(cpu) == choices(one)
            c.check(got["choice_changed"] == (not equal), f"{name}, {precision}: whether a choice changed: {got}")
            c.check(precision == "bf16" or got["same"], f"{name}: within {tolerance} of the CPU: {got}")
    return worst


def reports(c, folder):
    """What verify says of numbers that moved while every choice stayed."""
    path = record(c, folder, "confidence", "moved", "--device", "cpu")
    with open(path) as f:
        lines = [json.loads(line) for line in f]
    lines[1]["total_entropy"] *= 1.25
    lines[3]["total_entropy"] *= 2
    with open(path, "w") as f:
        f.writelines(json.dumps(line) + "\n" for line in lines)
    code, out, _ = tabes("verify", path, "-m", "sudoku")
    steps = len(lines) - 2
    c.check(code == 1 and out.startswith("differs: step 0, total entropy: got ") and
            f"\nno choice changed in {steps} steps, largest relative difference 0.5\n" in out, f"numbers alone: {out!r}")
    got = verify(c, "numbers alone", path, "confidence")
    c.check(not got["same"] and not got["choice_changed"] and got["steps_checked"] == steps and
            abs(got["max_relative_difference"] - 0.5) < 1e-3, f"numbers alone: {got}")


def main():
    c = Checks("determinism")
    with tempfile.TemporaryDirectory() as folder:
        if DEVICE:
            worst = device(c, folder)
            c.finish(f"; CPU to {DEVICE}: {worst['f32']:.2g} in float32, {worst['bf16']:.2g} in bfloat16")
        reports(c, folder)
        worst = {precision: twice(c, folder, precision) for precision in ("f32", "bf16")}
    c.finish(f"; one to two threads: {worst['f32']:.2g} in float32, {worst['bf16']:.2g} in bfloat16")


main()
