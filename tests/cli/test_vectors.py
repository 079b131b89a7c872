#!/usr/bin/env python3
"""`tabes score` and `tabes run` against every case and decode of tests/vectors.

test_vectors.py [--truth-of-first] [MODEL...]

Tokens, candidates and decodes must be equal. Logits may differ by 1e-4 of the largest of their row, everything
else by 1e-3 of the largest of its list (of its column for the influence matrix): the engine works in float32, the
vectors in float64. On another device when TABES_DEVICE names one. Then one byte of the weights is flipped in a copy, and
the comparison with its first case must fail. --truth-of-first: the truth check, a forward for every candidate and token
of the vocabulary, is made for the first case of a model alone (an emulated device takes a minute for all).
"""
import json
import os
import shutil
import struct
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import Checks, tabes

VECTORS = "tests/vectors"
DEVICE = ["--device", os.environ["TABES_DEVICE"], "--precision", "f32"] if "TABES_DEVICE" in os.environ else []
NAMES = ("llada", "llada-gqa", "dream", "qwen3", "mdlm")
EXACT = ("tokens", "masked", "candidates", "argmax", "rho", "budget")
LISTS = ("entropy", "confidence", "margin", "gate", "delta_e_norm", "self_row_local")
TRUTH = ("reduction_soft", "reduction_hard_expected")
worst = {"logits": 0.0, "rest": 0.0}


def distance(got, want):
    """Largest distance relative to the largest expected magnitude; infinite when the shapes differ."""
    if len(got) != len(want) or any(not isinstance(g, (int, float)) for g in got):
        return float("inf")
    top = max([abs(w) for w in want] + [1e-6])
    return max([abs(g - w) / top for g, w in zip(got, want)] + [0.0])


def near(c, what, got, want, kind="rest"):
    d = distance(got, want)
    # Zero scores (a shifted model's self terms) have no scale of their own.
    if max([abs(w) for w in want] + [0.0]) < 1e-6:
        return c.check(all(abs(g) < 1e-5 for g in got) and len(got) == len(want), f"{what}: expected zeros, got {got}")
    worst[kind] = max(worst[kind], d)
    return c.check(d <= (1e-4 if kind == "logits" else 1e-3), f"{what}: off by {d:.2e} of the largest")


def check_case(c, model, name, case, shifted, truth):
    code, out, message = tabes("score", "-m", model, *DEVICE, "--tokens", json.dumps(case["tokens"]), "--rho", case["rho"],
                               "--budget", case["budget"], "--tis", "all", "--logits", "--influence", "--json",
                               *(["--truth"] if truth else []))
    if not c.check(code == 0, f"{name}: exit code {code}: {message}"):
        return
    got = json.loads(out)
    for key in EXACT:
        c.check(got[key] == case[key], f"{name}: {key}: {got[key]}, expected {case[key]}")
    if got["candidates"] != case["candidates"]:
        return
    for i, row in enumerate(case["logits"]):
        near(c, f"{name}: logits[{i}]", got["logits"][i], row, "logits")
    for key in LISTS + (TRUTH if truth else ()):
        near(c, f"{name}: {key}", got[key], case[key])
    near(c, f"{name}: total_entropy", [got["total_entropy"]], [case["total_entropy"]])
    for k in range(len(case["candidates"])):
        near(c, f"{name}: influence column {k}", [r[k] for r in got["influence"]], [r[k] for r in case["influence"]])
    # On an unshifted model this triple is zero by construction, so it is not offered.
    keys = [k for k in case["tis"] if shifted or k != "soft/remaining/candidates"]
    c.check(sorted(got["tis"]) == sorted(keys), f"{name}: tis has {sorted(got['tis'])}")
    for key in keys:
        near(c, f"{name}: tis {key}", got["tis"].get(key, []), case["tis"][key])
    c.check(not truth or got["reduction_hard_method"] == "enumerated", f"{name}: reduction_hard_method")
    check_score(c, name, got)


def check_score(c, name, got):
    """The printed score is gate times TIS minus the penalty of the policy's own triple."""
    key = "mask/masked/candidates"
    want = [g * t - p for g, t, p in zip(got["gate"], got["tis"][key], got["penalty"])]
    near(c, f"{name}: score", got["score"], want)


def check_attention(c, model, name, case, rows):
    """Those of the saved rows that predict masked positions: with --rho 1 every mask is a candidate."""
    compared = 0
    for layer in sorted({r["layer"] for r in rows}):
        code, out, message = tabes("score", "-m", model, *DEVICE, "--tokens", json.dumps(case["tokens"]), "--rho", 1,
                                   "--attention", layer, "--json")
        if not c.check(code == 0, f"{name}: --attention {layer}: exit code {code}: {message}"):
            continue
        got = json.loads(out)
        c.check(got["attention_layer"] == layer and got["candidates"] == case["masked"], f"{name}: attention's candidates")
        for row in rows:
            if row["layer"] != layer or row["pos"] not in got["candidates"]:
                continue
            compared += 1
            heads = got["attention"][got["candidates"].index(row["pos"])]
            off = max(abs(g - w) for have, want in zip(heads, row["attention"]) for g, w in zip(have, want))
            c.check(len(heads) == len(row["attention"]) and len(heads[0]) == len(case["tokens"]) and off <= 1e-4,
                    f"{name}: attention of layer {layer}, position {row['pos']}: off by {off:.1e}")
    c.check(compared > 0, f"{name}: no row of attention was compared")


def check_decode(c, model, name, d, folder):
    record = os.path.join(folder, "run.jsonl")
    args = ["run", "-m", model, *DEVICE, "--prompt-tokens", json.dumps(d["prompt"]), "--length", d["gen_length"], "--steps",
            d["steps"], "--policy", d["policy"], "--tokens-out", "--record", record, "-q"]
    if d["policy"] == "boe":
        args += ["--rho", d["rho"], "--objective", d["objective"], "--active", d["active"], "--lambda", d["lam"],
                 "--lambda-schedule", "constant", "--h-max", d["h_max"]]
    code, out, message = tabes(*args)
    if not c.check(code == 0, f"{name}: exit code {code}: {message}"):
        return
    c.check(json.loads(out) == d["result"], f"{name}: {out.strip()}, expected {d['result']}")
    with open(record) as f:
        steps = [s for s in map(json.loads, f) if s["type"] == "step"]
    c.check(len(steps) == len(d["trace"]), f"{name}: {len(steps)} steps, expected {len(d['trace'])}")
    for got, want in zip(steps, d["trace"]):
        wrote = sorted([w["pos"], w["token"]] for w in got["writes"])  # a recording has them in rank order
        at = f"{name}: step {want['step']}"
        c.check(wrote == want["wrote"], f"{at}: wrote {wrote}, expected {want['wrote']}")
        c.check(got["candidates"] == [p for p, _ in want["scores"]], f"{at}: candidates {got['candidates']}")
        near(c, f"{at}: scores", got["score"], [s for _, s in want["scores"]])
        near(c, f"{at}: entropy", [got["total_entropy"]], [want["entropy_before"]])


def check_model(c, model, name, folder, every_truth):
    with open(f"{VECTORS}/{name}/cases.json") as f:
        saved = json.load(f)
    with open(f"{VECTORS}/{name}/attention.json") as f:
        attention = json.load(f)
    for i, case in enumerate(saved["cases"]):
        check_case(c, model, f"{name} case {i}", case, name == "dream", i == 0 or every_truth)
        check_attention(c, model, f"{name} case {i}", case, [r for r in attention if r["case"] == i])
    for i, d in enumerate(saved["decodes"]):
        check_decode(c, model, f"{name} decode {i} ({d['policy']})", d, folder)


def flip_byte(path):
    """The highest exponent bit of one weight in the middle of the first big matrix."""
    with open(path, "r+b") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        tensors = {k: v for k, v in json.loads(f.read(n)).items() if k != "__metadata__"}
        name = next(k for k in tensors if "q_proj.weight" in k)
        begin, end = tensors[name]["data_offsets"]
        at = 8 + n + (begin + (end - begin) // 2) // 4 * 4 + 3
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 0x40]))


class Silent(Checks):
    """Counts failures without printing them: here failing is what is wanted."""

    def check(self, ok, what):
        self.n += 1
        self.failed += not ok
        return ok


def check_damaged(c, folder):
    with open(f"{VECTORS}/llada/cases.json") as f:
        case = json.load(f)["cases"][0]
    copy = os.path.join(folder, "copy")
    shutil.copytree(f"{VECTORS}/llada", copy)
    flip_byte(f"{copy}/model.safetensors")
    damaged = Silent("damaged")
    check_case(damaged, copy, "llada", case, False, True)
    c.check(damaged.failed > 0, "a flipped weight byte changes nothing that this test looks at")


def main():
    every_truth = "--truth-of-first" not in sys.argv
    names = [a for a in sys.argv[1:] if a != "--truth-of-first"] or NAMES
    c = Checks("cli vectors")
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            check_model(c, f"{VECTORS}/{name}", name, folder, every_truth)
        note = f" (worst: logits {worst['logits']:.1e}, other {worst['rest']:.1e} of the largest)"
        check_damaged(c, folder)
    c.finish(note)


main()
