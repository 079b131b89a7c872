#!/usr/bin/env python3
"""What the approximate KV cache does to choices, and what it saves, on the bundled models.

Usage: kv_cache_choices.py [PROMPTS] [EXAMPLES]       (default 4 and 20; minutes)
       kv_cache_choices.py --times MODEL LENGTH BLOCK (time alone, any checkpoint: LENGTH masks after as many ids)
Each model decodes held-out prompts by confidence, one token a step, exactly and with each kind of cache and several
intervals, with and without blocks. Prints for each, against the exact decode in the same blocks:
  choices   share of steps that choose the position and token that the exact mode chooses at the same canvas
  tokens    share of generated tokens that are those of the exact decode
  right     answers that `tabes eval` calls right, of EXAMPLES
  rows      rows that a step computes, mean
  ms        a step's time on one thread: the best of ROUNDS decodes for each step, taken in turns, then the mean
$TABES: the program.
"""
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from truth_ranks import prompts, tabes

# Model, block lengths, task of `tabes eval`.
MODELS = (("sudoku", (0, 18), ["--task", "sudoku"]), ("countdown", (0, 7), ["--task", "countdown"]),
          ("story", (0, 10), ["--task", "story"]))
ROUNDS = 5
MODES = [("none", 0)] + [(kind, every) for kind in ("prefix", "dual") for every in (0, 8, 2)]


def record(model, prompt, options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "r.jsonl")
        tabes("run", "-m", model, *prompt, "--policy", "confidence", "-q", "--record", path, *options)
        with open(path) as f:
            lines = [json.loads(line) for line in f]
    return lines[0], [line for line in lines if line["type"] == "step"]


class Block:
    """Where the candidates of a state are (docs/policies.md, Blocks), and which rows a cached step computes."""

    def __init__(self, head, length):
        self.start, self.mask = head["start"], head["model"]["mask_id"]
        n, prompt = len(self.start), head["n_prompt"]
        self.origin = prompt if prompt < n else self.start.index(self.mask)
        self.length = length if 0 < length < n - self.origin else 0

    def span(self, canvas):
        first = canvas.index(self.mask)
        if not self.length:
            return self.origin, len(canvas)
        b = max(0, first - self.origin) // self.length
        last = (len(canvas) - self.origin + self.length - 1) // self.length - 1
        begin = self.origin + min(b, last) * self.length
        return begin, len(canvas) if b >= last else begin + self.length


def exact_choice(model, canvas, end, known):
    """Position and token that the exact mode writes at a canvas, among positions before `end`."""
    key = (model, tuple(canvas), end)
    if key not in known:
        got = json.loads(tabes("score", "-m", model, "--tokens", json.dumps(canvas), "--policy", "confidence", "--json"))
        rows = [(-c, p, t) for c, p, t in zip(got["confidence"], got["masked"], got["argmax"]) if p < end]
        known[key] = min(rows)[1:]
    return known[key]


def rows_computed(block, canvas, base, kind, full):
    if full or kind == "none":
        return len(canvas)
    begin, end = block.span(canvas)
    stop = len(canvas) if kind == "prefix" else end if block.length else begin
    return sum(begin <= i < stop or now != then or (now == block.mask and i < end)
               for i, (now, then) in enumerate(zip(canvas, base)))


def follow(model, head, steps, length, kind, every, known):
    """Of one decode: steps that chose as the exact mode does there, rows computed, the end."""
    block, canvas = Block(head, length), list(head["start"])
    same, rows, base, at, since = 0, 0, None, None, 0
    for step in steps:
        begin, end = block.span(canvas)
        if begin != at:
            at, since = begin, 0
        full = since == 0 or (every and since % every == 0)
        base = list(canvas) if full else base
        rows += rows_computed(block, canvas, base, kind, full)
        since += 1
        write = step["writes"][0]
        same += (write["pos"], write["token"]) == exact_choice(model, canvas, end, known)
        canvas[write["pos"]] = write["token"]
    return same, rows, canvas


def accuracy(model, task, options, n):
    got = json.loads(tabes("eval", "-m", model, *task, "--policies", "confidence", "-n", n, "--json", "-q", *options))
    return f"{got['results'][0]['correct']}/{got['results'][0]['n']}"


def options_of(mode, length):
    return ["--kv-cache", mode[0], "--kv-refresh", mode[1]] + (["--block-length", length] if length else [])


def times(model, prompt, length, rounds=ROUNDS):
    """Mean time of a step by mode; what else the machine does hits all modes alike, and the best of each step least."""
    best = {}
    for _ in range(rounds):
        for mode in MODES:
            _, steps = record(model, prompt, [*options_of(mode, length), "--threads", 1])
            now = [step["ms"] for step in steps]
            best[mode] = [min(pair) for pair in zip(best.get(mode, now), now)]
    return {mode: sum(ms) / len(ms) for mode, ms in best.items()}


def times_alone(model, length, block):
    print("| block | cache | refresh | ms | exact / ms |")
    print("|---|---|---|---|---|")
    for b in (0, block):
        ids = json.dumps([5 + i % 1000 for i in range(length)])
        prompt = ["--prompt-tokens", ids, "--length", length, "--steps", length // 4]
        ms = times(model, prompt, b, 2)
        for mode in MODES:
            every = mode[1] if mode[0] != "none" else ""
            print(f"| {b or 'none'} | {mode[0]} | {every} | {ms[mode]:.1f} | {ms[MODES[0]] / ms[mode]:.2f} |", flush=True)


def measure(model, length, mode, asked, exact, known):
    kind, every = mode
    options = options_of(mode, length)
    same = rows = n_steps = kept = n_tokens = 0
    for i, prompt in enumerate(asked):
        head, steps = record(model, prompt, options)
        hits, few, final = follow(model, head, steps, length, kind, every, known)
        same, rows, n_steps = same + hits, rows + few, n_steps + len(steps)
        want = exact.setdefault((model, length, i), final)
        blanks = [p for p, t in enumerate(head["start"]) if t == head["model"]["mask_id"]]
        kept += sum(final[p] == want[p] for p in blanks)
        n_tokens += len(blanks)
    return same / n_steps, kept / n_tokens, rows / n_steps


def main():
    if sys.argv[1:2] == ["--times"]:
        return times_alone(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    examples = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    known, exact = {}, {}
    print("| model | block | cache | refresh | choices, % | tokens, % | right | rows | ms |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for model, lengths, task in MODELS:
        asked = prompts(model, n)
        for length in lengths:
            ms = times(model, asked[0], length)
            for mode in MODES:
                choices, tokens, rows = measure(model, length, mode, asked, exact, known)
                right = accuracy(model, task, options_of(mode, length), examples)
                every = mode[1] if mode[0] != "none" else ""
                print(f"| {model} | {length or 'none'} | {mode[0]} | {every} | {100 * choices:.1f} | {100 * tokens:.1f} | {right} | {rows:.1f} | {ms[mode]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
