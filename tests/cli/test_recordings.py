#!/usr/bin/env python3
"""The shipped recordings: no choice in them is closer than 1e-3 to a tie, so another processor repeats them."""
import glob
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import Checks, tabes

NEAR = 1e-3
NAMES = {f"{task}-{policy}.jsonl" for task in ("sudoku", "story") for policy in ("greedy", "boe")}


def gaps(step):
    """(what, distance to the other choice) of everything that a step decided."""
    score = dict(zip(step["candidates"], step["score"]))
    margin = dict(zip(step["masked"], step["margin"]))
    confidence = dict(zip(step["masked"], step["confidence"]))
    chosen = [w["pos"] for w in step["writes"]]
    rest = [s for pos, s in score.items() if pos not in chosen]
    out = [c for pos, c in confidence.items() if pos not in score]
    yield from ((f"the token at {pos}", margin[pos]) for pos in chosen)
    if rest:
        yield "the last position chosen", min(score[pos] for pos in chosen) - max(rest)
    if out:
        yield "the last candidate", min(confidence[pos] for pos in score) - max(out)


def main():
    c = Checks("recordings")
    files = glob.glob("examples/trajectories/*.jsonl")
    c.check({os.path.basename(f) for f in files} == NAMES, f"the four recordings are there: {files}")
    for path in files:
        with open(path) as f:
            steps = [line for line in map(json.loads, f) if line["type"] == "step"]
        c.check(len(steps) > 1, f"{path} has steps")
        for step in steps:
            for what, gap in gaps(step):
                c.check(gap >= NEAR, f"{path}: step {step['step']}: {what} is {gap:.1e} from a tie")
        code, out, message = tabes("verify", path)
        c.check(code == 0 and out.startswith("same: "), f"{path}: {out}{message}")
    c.finish()


main()
