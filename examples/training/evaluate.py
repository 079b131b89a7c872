#!/usr/bin/env python3
"""Solve rates of unmasking policies on a bundled model's held-out set, through the public command.

    examples/training/evaluate.py sudoku --policies confidence,boe -n 50
    examples/training/evaluate.py story --policies confidence,boe --arg=--lambda=0.05
    examples/training/evaluate.py countdown --policies confidence,boe -n 200

One token is written per step unless --arg=--budget=N or --arg=--steps=N says otherwise. Needs only
Python's standard library and a built `build/tabes`.
"""
import argparse
import csv
import json
import math
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
STORY_LENGTH = 40
COUNTDOWN_LENGTH = 14
COUNTDOWN_COMMON = (22, 24, 25, 30, 32, 50, 65, 67, 96)  # targets of half the training puzzles


def wilson(k, n, z=1.96):
    """95 % Wilson interval of k successes in n trials."""
    if n == 0:
        return 0.0, 1.0
    p, d = k / n, 1 + z * z / n
    mid, half = (p + z * z / (2 * n)) / d, z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
    return mid - half, mid + half


def sudoku_cases(path, n):
    """(label, prompt, expected text) per puzzle; label groups by size and number of clues."""
    out = {}
    with open(path, newline="") as f:
        for row in csv.DictReader(f):
            puzzle, solution = row["Puzzle"], row["Solution"]
            side = math.isqrt(len(puzzle))
            grid = lambda s: "\n".join(s[i:i + side] for i in range(0, len(s), side))
            label = f"{side}x{side}, {sum(c != '0' for c in puzzle)} clues"
            out.setdefault(label, []).append((grid(puzzle.replace("0", ".")), grid(solution)))
    return {k: v[:n] for k, v in out.items()}


def story_cases(path, n):
    with open(path) as f:
        rows = [json.loads(line) for line in f]
    return {"story": [(r["prompt"], str(r["result"])) for r in rows[:n]]}


def countdown_cases(path, n):
    """Puzzles with the common targets, and the others; a file of one kind makes one group."""
    out = {}
    with open(path) as f:
        for question in (json.loads(line)["input"] for line in f):
            kind = "common" if int(question.rpartition(",")[2]) in COUNTDOWN_COMMON else "other"
            out.setdefault(f"{kind} targets", []).append((question + ":", question))
    return {k: v[:n] for k, v in out.items()}


CASES = {"sudoku": sudoku_cases, "story": story_cases, "countdown": countdown_cases}
LENGTHS = {"sudoku": 0, "story": STORY_LENGTH, "countdown": COUNTDOWN_LENGTH}


def run(tabes, model, prompt, length, policy, extra):
    """Decode one prompt; returns the JSON object that `tabes run --json` prints."""
    cmd = [tabes, "run", "-m", model, "-p", prompt, "--length", str(length), "--policy", policy, "--json", *extra]
    done = subprocess.run(cmd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(cmd)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def story_answer(text):
    """What follows the last '####', or None."""
    return text.rsplit("####", 1)[1].split()[0] if "####" in text and text.rsplit("####", 1)[1].split() else None


def countdown_correct(question, answer):
    """Whether the answer derives the target, by any way that uses every number once."""
    *numbers, target = map(int, question.split(","))
    left = sorted(numbers)
    steps = answer.strip().split(",")
    for step in steps:
        m = re.fullmatch(r"(\d+)([-+*/])(\d+)=(\d+)", step)
        if not m:
            return False
        a, b, result = int(m[1]), int(m[3]), int(m[4])
        for operand in (a, b):
            if operand not in left:
                return False
            left.remove(operand)
        right = {"+": a + b == result, "-": a - b == result, "*": a * b == result,
                 "/": b > 0 and b * result == a}[m[2]]
        if not right:
            return False
        left.append(result)
    return left == [target]


def right(task, expected, text):
    if task == "countdown":
        return countdown_correct(expected, text)
    return expected == (text.strip() if task == "sudoku" else story_answer(text))


def evaluate(task, tabes, model, policy, cases, extra):
    good, nfe, rows = 0, 0.0, 0
    for prompt, expected in cases:
        r = run(tabes, model, prompt, LENGTHS[task], policy, extra)
        good += right(task, expected, r["text"])
        nfe += r["nfe"]
        rows += r["backward_rows"]
    n = len(cases)
    return good, n, nfe / n, rows / n


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("task", choices=list(CASES))
    p.add_argument("--policies", default="confidence,margin,entropy,random,left-to-right,boe,boe-others,oracle")
    p.add_argument("-n", type=int, default=50, help="examples per group (default 50)")
    p.add_argument("--data", help="another file in the layout of heldout.csv or heldout.jsonl")
    p.add_argument("--only", help="only groups whose label contains this text")
    p.add_argument("--tabes", default=str(ROOT / "build/tabes"))
    p.add_argument("--arg", action="append", default=[], help="passed on to tabes run; may be repeated")
    a = p.parse_args()
    model = ROOT / "examples/models" / a.task
    data = a.data or model / ("heldout.csv" if a.task == "sudoku" else "heldout.jsonl")
    groups = CASES[a.task](data, a.n)
    print("| policy | group | solved | 95 % interval | NFE | backward rows |\n|---|---|---|---|---|---|")
    for policy in a.policies.split(","):
        for label, cases in groups.items():
            if a.only and a.only not in label:
                continue
            good, n, nfe, rows = evaluate(a.task, a.tabes, str(model), policy, cases, a.arg)
            lo, hi = wilson(good, n)
            print(f"| {policy} | {label} | {good}/{n} | {100 * lo:.0f}-{100 * hi:.0f} % | {nfe:.1f} | {rows:.0f} |", flush=True)


if __name__ == "__main__":
    main()
