#!/usr/bin/env python3
"""Tune lambda and h_max of the anti-collapse term (Eq. 18-19) on a small validation set.

    examples/training/tune.py sudoku -n 40        prints one row per setting, and writes nothing

The validation problems come from the training scripts' generators with a seed of their own, and none
of them is in the held-out set. The best row (most solved, then the smallest lambda) belongs in the
model's tabes.json. Needs what the training scripts need, and a built `build/tabes`.
"""
import argparse
import csv
import json
import random
import tempfile

import evaluate

VALIDATION_SEED = 30_000
GRID = [(0, 0)] + [(lam, h) for h in (0.5, 1.0, 2.0) for lam in (0.05, 0.5)]


def sudoku_rows(n):
    import sudoku
    rng = random.Random(VALIDATION_SEED)
    with open(evaluate.ROOT / "examples/models/sudoku/heldout.csv", newline="") as f:
        taken = {row["Solution"] for row in csv.DictReader(f)}
    text = lambda cells: "".join(map(str, cells))
    while n:
        grid = sudoku.full_grid(3, rng)
        puzzle = sudoku.unique_puzzle(grid, 3, 32, rng)
        if sum(map(bool, puzzle)) == 32 and text(grid) not in taken:
            n -= 1
            yield f"{text(puzzle)},{text(grid)}"


def story_rows(n):
    import story
    with open(evaluate.ROOT / "examples/models/story/heldout.jsonl") as f:
        taken = {json.loads(line)["prompt"] for line in f}
    for prompt, answer, result in story.problems(VALIDATION_SEED, True):
        if prompt in taken or len(answer) > 60:
            continue
        taken.add(prompt)
        yield json.dumps({"prompt": prompt, "answer": answer, "result": result})
        n -= 1
        if not n:
            return


def countdown_rows(n):
    import countdown
    import numpy
    path = evaluate.ROOT / "examples/models/countdown/heldout.jsonl"
    taken = {r["input"] for r in countdown.read_puzzles(path)}
    rng, none = numpy.random.default_rng(VALIDATION_SEED), numpy.empty(0, numpy.int64)
    found = countdown.texts(*countdown.puzzles(rng, 100 * n, True, 0.999, none))
    common = lambda question: int(question.rpartition(",")[2]) in countdown.COMMON
    rows = [{"input": q, "output": a} for q, a in found if q not in taken and common(q)]
    yield from map(json.dumps, rows[:n])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("task", choices=list(evaluate.CASES))
    p.add_argument("-n", type=int, default=40, help="validation problems (default 40)")
    p.add_argument("--policy", default="boe")
    p.add_argument("--tabes", default=str(evaluate.ROOT / "build/tabes"))
    p.add_argument("--arg", action="append", default=[], help="passed on to tabes run; may be repeated")
    a = p.parse_args()
    rows = list({"sudoku": sudoku_rows, "story": story_rows, "countdown": countdown_rows}[a.task](a.n))
    with tempfile.NamedTemporaryFile("w", suffix=".csv" if a.task == "sudoku" else ".jsonl") as f:
        f.write("\n".join((["Puzzle,Solution"] if a.task == "sudoku" else []) + rows) + "\n")
        f.flush()
        cases = evaluate.CASES[a.task](f.name, a.n)
    (cases,) = cases.values()
    model = str(evaluate.ROOT / "examples/models" / a.task)
    print("| lambda | h_max | solved |\n|---|---|---|")
    for lam, h_max in GRID:
        extra = [f"--lambda={lam}", f"--h-max={h_max}", *a.arg]
        good, n, _, _ = evaluate.evaluate(a.task, a.tabes, model, a.policy, cases, extra)
        print(f"| {lam} | {h_max} | {good}/{n} |", flush=True)


if __name__ == "__main__":
    main()
