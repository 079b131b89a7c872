#!/usr/bin/env python3
"""How well TIS ranks the true reduction of entropy on the bundled models: Spearman's rho over all masks as candidates.

Usage: truth_ranks.py [PROMPTS]      (default 12 a model; minutes)
For each model some prompts are decoded by confidence; at the start, after a third and after two thirds of the steps
`tabes score --truth --rho 1` ranks every masked position by each reading of TIS and by the relaxed reduction that a
forward pass with the soft write measures. Prints the mean of rho over prompts, by model, stage and reading.
$TABES: the program.
"""
import json
import os
import subprocess
import sys
import tempfile

TABES = os.environ.get("TABES", "build/tabes")
READINGS = ("mask/masked/candidates", "mask/others/dense", "mid/others/dense", "rows/others/masked")
STAGES = (("start", 0.0), ("a third", 1 / 3), ("two thirds", 2 / 3))


def tabes(*args):
    return subprocess.run([TABES, *map(str, args)], capture_output=True, check=True, text=True).stdout


def prompts(model, n):
    """How `tabes run` is asked for n held-out examples of the model."""
    folder = f"examples/models/{model}/heldout."
    if model == "sudoku":
        with open(folder + "csv") as f:
            grids = [line.split(",")[0].replace("0", ".") for line in list(f)[1:]]
        return [["-p", "\n".join(g[i:i + 9] for i in range(0, 81, 9))] for g in grids if len(g) == 81][:n]
    with open(folder + "jsonl") as f:
        records = [json.loads(line) for line, _ in zip(f, range(n))]
    if model == "story":
        return [["-p", r["prompt"], "--length", 40] for r in records]
    return [["-p", r["input"] + ":", "--length", 14] for r in records]


def states(model, prompt):
    """Tokens of the state at each stage of a confidence decode."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "r.jsonl")
        tabes("run", "-m", model, *prompt, "--policy", "confidence", "--record", path, "-q")
        with open(path) as f:
            lines = [json.loads(line) for line in f]
    tokens, steps = lines[0]["start"], [line for line in lines if line["type"] == "step"]
    out = []
    for _, share in STAGES:
        now = list(tokens)
        for step in steps[:int(share * len(steps))]:
            for write in step["writes"]:
                now[write["pos"]] = write["token"]
        out.append(now)
    return out


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    print("| model | stage | " + " | ".join(f"`{r}`" for r in READINGS) + " |")
    print("|---|---|" + "---|" * len(READINGS))
    for model in ("sudoku", "countdown", "story"):
        sums = [[[] for _ in READINGS] for _ in STAGES]
        for prompt in prompts(model, n):
            for stage, tokens in enumerate(states(model, prompt)):
                got = json.loads(tabes("score", "-m", model, "--tokens", json.dumps(tokens), "--rho", 1, "--tis",
                                       ",".join(READINGS), "--truth", "--json", "-q"))
                for i, reading in enumerate(READINGS):
                    rho = got["correlations"][reading]["spearman_relaxed"]
                    if rho is not None:
                        sums[stage][i].append(rho)
        for (name, _), row in zip(STAGES, sums):
            print(f"| {model} | {name} | " + " | ".join(f"{sum(v) / len(v):.2f}" if v else "-" for v in row) + " |", flush=True)


if __name__ == "__main__":
    main()
