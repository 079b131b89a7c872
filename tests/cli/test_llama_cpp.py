#!/usr/bin/env python3
"""`tabes score` and `tabes run` on the GGUF files of tests/parity/llama_cpp against what llama.cpp computed from them.

Logits are compared twice. `logits_f32` are llama.cpp's for the file's weights expanded to F32: the engine does the same
sums in the same precision, whatever the type, so only their order differs and EXACT holds. `logits` are llama.cpp's for
the file as it is, where its kernels round the activations too; OWN has about twice the largest distance between the two lists
(tests/parity/llama_cpp/README.md), so these bounds show blunders only.

Decodes must write the same tokens in every step; those of the schedule that `tabes run` has must also end the same there.
The split file must give the very numbers of the whole one. Then one byte of the weights is flipped, and comparing must fail.
"""
import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import Checks, tabes

FOLDER = "tests/parity/llama_cpp"
MASK = 258
EXACT = 2e-5  # of a row's largest logit
OWN = {"F32": EXACT, "F16": 2e-3, "BF16": 2e-2, "Q8_0": 5e-2, "Q4_0": 5e-2, "Q4_K": 5e-2, "Q5_K": 5e-2, "Q6_K": 5e-2,
       "Q4_K_M": 5e-2}
worst = {}


def load(name):
    with open(f"{FOLDER}/{name}") as f:
        return json.load(f)


def score(c, model, name, tokens, policy, *args):
    """The scores of one state, None when there are none."""
    code, out, message = tabes("score", "-m", model, "--tokens", json.dumps(tokens), "--policy", policy, *args, "--json")
    return json.loads(out) if c.check(code == 0, f"{name}: exit code {code}: {message}") else None


def check_rows(c, what, got, want, bound):
    """Each row within `bound` of its largest logit."""
    for i, (g, w) in enumerate(zip(got, want)):
        off = max(abs(a - b) for a, b in zip(g, w)) / max(map(abs, w))
        worst[what.split()[-1]] = max(worst.get(what.split()[-1], 0.0), off)
        c.check(off <= bound, f"{what}: row {i}: off by {off:.1e} of the largest, allowed {bound:.0e}")


def check_logits(c, model, name, cases):
    shifted, kind = name.startswith("dream"), name.split("-")[1]
    for case in cases:
        got = score(c, model, name, case["tokens"], "confidence", "--logits")
        masked = [p for p, t in enumerate(case["tokens"]) if t == MASK]
        if not got or not c.check(got["masked"] == masked, f"{name}: masked {got['masked']}"):
            continue
        logits = got["logits"]
        if not c.check([len(r) for r in logits] == [len(case["logits"][0]) - 1] * len(masked), f"{name}: shape"):
            continue
        # Row j of the network predicts position j, or j + 1 when shifted; the mask's column is left out.
        at = [case["rows"].index(max(p - 1, 0) if shifted else p) for p in masked]
        for key, bound in (("logits_f32", EXACT), ("logits", OWN[kind])):
            want = [case[key][i][:MASK] + case[key][i][MASK + 1:] for i in at]
            check_rows(c, f"{name} {key if key == 'logits_f32' else kind}", logits, want, bound)


def check_split(c, arch):
    """The same logits to the last digit, from the first of the shards."""
    whole, first = (f"{FOLDER}/{arch}-F32.gguf", f"{FOLDER}/{arch}-split-00001-of-00003.gguf")
    tokens = load("logits.json")[f"{arch}-F32.gguf"]["cases"][0]["tokens"]
    a, b = (score(c, m, f"{arch} split", tokens, "confidence", "--logits") for m in (whole, first))
    c.check(a and b and a["logits"] == b["logits"], f"{arch}: the split file's logits are not the whole file's")


def check_run(c, name, d):
    """`steps` shares the masks out as llama.cpp's schedule of blocks does with one block."""
    code, out, message = tabes("run", "-m", f"{FOLDER}/{d['model']}", "--prompt-tokens", json.dumps(d["prompt_tokens"]), "--length",
                               d["length"], "--steps", d["steps"], "--policy", d["algorithm"], "--tokens-out", "-q")
    if c.check(code == 0, f"{name}: exit code {code}: {message}"):
        c.check(json.loads(out) == d["result_tokens"], f"{name}: {out.strip()}, expected {d['result_tokens']}")


def check_steps(c, name, d):
    """Every step by itself: the best `written` positions get their likeliest tokens."""
    for state, after, n in zip(d["states"], d["states"][1:], d["written"]):
        got = score(c, f"{FOLDER}/{d['model']}", name, state, d["algorithm"]) if n else None
        if not got:
            continue
        ranked = sorted((-s, p, t) for s, p, t in zip(got["score"], got["candidates"], got["argmax"]))
        state = list(state)
        for _, p, t in ranked[:n]:
            state[p] = t
        c.check(got["candidates"] == got["masked"] and state == after, f"{name}: after {n} writes {state}, expected {after}")


def check_damage(c, name, cases, folder):
    """The highest exponent bit of a weight in the middle of an F32 file."""
    copy = os.path.join(folder, "copy.gguf")
    shutil.copy(f"{FOLDER}/{name}.gguf", copy)
    with open(copy, "r+b") as f:
        at = os.path.getsize(copy) // 8 * 4 + 3
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 0x40]))
    score(c, copy, "damaged", cases[0]["tokens"], "confidence")  # it still loads
    damaged = Checks("damaged")
    damaged.check = lambda ok, what: count_quietly(damaged, ok)
    check_logits(damaged, copy, name, cases)
    c.check(damaged.failed > 0, "a flipped weight byte changes nothing that this test looks at")


def count_quietly(c, ok):
    c.failed += not ok
    return ok


def main():
    c = Checks("cli llama.cpp")
    logits = load("logits.json")
    for name, saved in logits.items():
        check_logits(c, f"{FOLDER}/{name}", name.removesuffix(".gguf"), saved["cases"])
    for arch in ("llada", "dream"):
        check_split(c, arch)
    for i, d in enumerate(load("decode.json")["decodes"]):
        name = f"{d['model']} decode {i} ({d['algorithm']}, {d['schedule']})"
        check_steps(c, name, d)
        if d["schedule"] == "block":
            check_run(c, name, d)
    note = " (worst: " + ", ".join(f"{k} {v:.1e}" for k, v in sorted(worst.items())) + ")"
    with tempfile.TemporaryDirectory() as folder:
        check_damage(c, "llada-F32", logits["llada-F32.gguf"]["cases"], folder)
    c.finish(note)


main()
