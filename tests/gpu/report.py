#!/usr/bin/env python3
"""Joins what run.sh measured into one table, one JSON file, and a verdict on each goal. Standard library only.

    report.py [--bench FILE] [--torch FILE] [--checks FILE] [--about KEY=VALUE ...] [--json FILE]

Files that are missing count as not measured. `--checks` is a file of lines "ok|failed|skipped NAME".
"""
import argparse
import json
import sys

RHO = 0.25
GOALS = (("forward", "a forward takes at most 1.3 times its floor, at every N"),
         ("step", "a BoE step at rho 0.25 takes at most 1.05 times a greedy step, at N = 256"),
         ("torch", "TIS at rho 0.25 takes at most a fifth of PyTorch's autograd for the same, at N = 256"))


def load(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, TypeError):
        return {}
    except json.JSONDecodeError as e:
        sys.exit(f"report.py: {path}: {e}")


def lengths(data):
    """(shape name, N) -> measurements."""
    return {(s["name"], x["n"]): x for s in data.get("shapes", []) for x in s["lengths"]}


def is_dense(step):
    return step["triple"].endswith("/dense")


def near(a, b):
    return abs(a - b) < 1e-9


def our_step(length, rho):
    return next((s for s in length.get("steps", []) if not is_dense(s) and near(s["rho"], rho)), None)


def peer_step(length, dense, rho):
    kind = "dense" if dense else "candidates"
    return next((t for t in length.get("tis", []) if t["active"] == kind and (dense or near(t["rho"], rho))), None)


def number(x, digits=2):
    return "-" if x is None else f"{x:.{digits}f}"


COLUMNS = (("N", 5), ("rho", 6), ("|A|", 5), ("ms greedy", 10), ("fwd/floor", 10), ("ms BoE", 9), ("ratio", 7),
           ("floor", 7), ("ms TIS", 8), ("bwd/floor", 10), ("torch fwd", 10), ("torch TIS", 10), ("speedup", 8))


def row(length, step, peer):
    theirs = peer_step(peer, is_dense(step), step["rho"])
    back = theirs["backward_ms"] if theirs else None
    return (length["n"], "dense" if is_dense(step) else number(step["rho"]), step["n_active"],
            number(length["greedy_ms"]), number(length["forward_over_floor"]), number(step["step_ms"]),
            number(step["ratio"], 3), number(step["floor_ratio"], 3), number(step["tis_ms"]),
            number(step["backward_ms"] / step["backward_floor_ms"]), number(peer.get("forward_ms")), number(back),
            number(back / step["tis_ms"] if back else None))


def print_table(ours, peers):
    previous = None
    for (name, n), length in ours.items():
        if name != previous:
            print(f"\n{name} (half of N is prompt, half masks)")
            print("".join(f"{title:>{width}}" for title, width in COLUMNS))
            previous = name
        for step in length.get("steps", []):
            cells = row(length, step, peers.get((name, n), {}))
            print("".join(f"{str(c):>{width}}" for c, (_, width) in zip(cells, COLUMNS)))
        if "error" in length:
            print(f"{n:>5}  {length['error']}")


def verdict(key, name, ok, text):
    return {"goal": key, "shape": name, "met": ok, "measured": text}


def judge(name, ours, peers):
    """The three goals for one shape; met is None when something was not measured."""
    mine = {n: x for (shape, n), x in ours.items() if shape == name}
    ratios = {n: x["forward_over_floor"] for n, x in mine.items() if "forward_over_floor" in x}
    worst = max(ratios, key=ratios.get, default=None)
    yield verdict("forward", name, ratios[worst] <= 1.3 if ratios else None,
                  f"{ratios[worst]:.2f} at N = {worst}, the worst" if ratios else "not measured")
    step = our_step(mine.get(256, {}), RHO)
    text = "not measured"
    if step:
        text = f"{step['ratio']:.3f}; were forward, soft writes and backward at their floors, it would be {step['floor_ratio']:.3f}"
    yield verdict("step", name, step["ratio"] <= 1.05 if step else None, text)
    theirs = peer_step(peers.get((name, 256), {}), False, RHO)
    both = step and theirs
    times = theirs["backward_ms"] / step["tis_ms"] if both else None
    yield verdict("torch", name, times >= 5 if both else None, f"{times:.2f} times faster" if both else "not measured")


def print_goals(goals):
    words = {True: "PASS", False: "FAIL", None: "----"}
    print()
    for key, text in GOALS:
        print(f"goal: {text}")
        for g in (g for g in goals if g["goal"] == key):
            print(f"  {words[g['met']]}  {g['shape']}: {g['measured']}")


def read_checks(path):
    try:
        with open(path) as f:
            return [dict(zip(("status", "name"), line.strip().split(" ", 1))) for line in f if line.strip()]
    except (OSError, TypeError):
        return []


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--bench")
    p.add_argument("--torch")
    p.add_argument("--checks")
    p.add_argument("--about", nargs="*", default=[])
    p.add_argument("--json")
    a = p.parse_args()
    bench, torch = load(a.bench), load(a.torch)
    ours, peers = lengths(bench), lengths(torch)
    top = bench.get("ceilings")
    if top:
        print(f"ceilings of this run: {top['flops_per_s'] / 1e12:.1f} TFLOP/s, {top['bytes_per_s'] / 1e9:.1f} GB/s")
    if torch:
        print(f"PyTorch {torch['torch']}, eager, on {torch['title']}")
    print_table(ours, peers)
    goals = [g for s in bench.get("shapes", []) for g in judge(s["name"], ours, peers)]
    print_goals(goals)
    if a.json:
        about = dict(x.split("=", 1) for x in a.about)
        with open(a.json, "w") as f:
            json.dump({"schema": "tabes-gpu/1", "about": about, "checks": read_checks(a.checks), "bench": bench,
                       "torch": torch, "goals": goals}, f, indent=1)
            f.write("\n")


main()
