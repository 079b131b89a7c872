#!/usr/bin/env python3
"""record.py LLAMA_CPP - makes every file of this folder that is not a script, with the llama.cpp built in LLAMA_CPP.

Needs numpy (make_model.py), g++, and the targets llama-diffusion-cli, llama-quantize and llama-gguf-split in
LLAMA_CPP/build. Prints how far llama.cpp is from itself: its own logits of a quantised file against those of the same
file expanded to F32, by its own llama-quantize.
"""
import glob
import json
import math
import os
import re
import subprocess
import sys
import tempfile

from make_model import MASK, SPECIAL, VOCAB, byte_texts, metadata

HERE = os.path.dirname(os.path.abspath(__file__))
LLAMA = os.path.abspath(sys.argv[1])
ARCHS = ("llada", "dream")
TYPES = {"F32": "small", "F16": "small", "BF16": "small", "Q8_0": "small", "Q4_0": "small", "Q4_K": "wide", "Q5_K": "wide",
         "Q6_K": "wide", "Q4_K_M": "wide"}  # the last one mixes types, the others have one
CASES = [  # masks at chosen places; one at position 0 and one at 1, which a shifted model reads from the same row
    [256, 270, 104, MASK, 32, MASK, MASK, 287, 12, MASK, 65, MASK],
    [MASK, MASK, 275, 48, MASK, 97, 262, 200, MASK, 259, MASK, 32, 281],
]
CONFIDENCE, MARGIN = 4, 2
DECODES = [  # length, steps, algorithm, schedule, top-k; in the block schedule one block holds the whole canvas
    (12, 5, CONFIDENCE, "block", 0),  # 3 3 2 2 2
    (10, 10, CONFIDENCE, "block", 0),
    (6, 9, CONFIDENCE, "block", 0),  # the last three steps write nothing
    (12, 6, MARGIN, "block", VOCAB),
    (10, 4, CONFIDENCE, "block", 1),  # one token left over: every confidence is 1
    (8, 4, CONFIDENCE, "timestep", 0),
    (12, 5, CONFIDENCE, "timestep", 0),
]
EPS = 1e-3
PROMPTS = [f"{a} {b}" for b in ("is", "was in", "and", "of the sea", "on a") for a in
           ("the cat", "sand", "a word", "one more", "it", "old water", "he", "the other hand")]  # the first that fits
GAP = 1e-3  # between the last confidence that was written and the first that was not


def run(*args):
    return subprocess.run([str(a) for a in args], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def tool(name):
    return f"{LLAMA}/build/bin/llama-{name}"


def build(folder, name):
    libraries = [f"{LLAMA}/build/examples/diffusion/libllama-diffusion.a"] if name == "decode" else []
    run("g++", "-std=c++17", "-O2", f"-I{LLAMA}/include", f"-I{LLAMA}/ggml/include", f"-I{LLAMA}/examples/diffusion",
        f"{HERE}/{name}.cpp", *libraries, f"-L{LLAMA}/build/bin", "-lllama-common", "-lllama", "-lggml", "-lggml-base",
        f"-Wl,-rpath,{LLAMA}/build/bin", "-o", f"{folder}/{name}")


def make_models(folder):
    """The committed files, and FOLDER/ARCH-TYPE.gguf: each expanded to F32 again."""
    for old in glob.glob(f"{HERE}/*.gguf"):
        os.remove(old)
    for arch in ARCHS:
        for size in ("small", "wide"):
            run(sys.executable, f"{HERE}/make_model.py", arch, size, f"{folder}/{arch}-{size}.gguf")
        for kind, size in TYPES.items():
            out = f"{HERE}/{arch}-{kind}.gguf"
            pure = [] if kind.endswith("_M") else ["--pure"]
            run(tool("quantize"), *pure, f"{folder}/{arch}-{size}.gguf", out, kind, 1)
            run(tool("quantize"), "--pure", "--allow-requantize", out, f"{folder}/{arch}-{kind}.gguf", "F32", 1)
        run(tool("gguf-split"), "--split", "--split-max-tensors", 10, f"{HERE}/{arch}-F32.gguf", f"{HERE}/{arch}-split")


def logits(folder, model, sequences):
    return json.loads(run(f"{folder}/logits", model, *[",".join(map(str, s)) for s in sequences]))


def read_row(arch, position):
    return position if arch == "llada" else max(position - 1, 0)


def rounded(rows):
    return [[float(f"{z:.6g}") for z in row] for row in rows]


def record_logits(folder, arch, kind):
    own = logits(folder, f"{HERE}/{arch}-{kind}.gguf", CASES)
    exact = logits(folder, f"{folder}/{arch}-{kind}.gguf", CASES)
    cases, worst = [], 0.0
    for tokens, a, b in zip(CASES, own, exact):
        rows = sorted({read_row(arch, p) for p, t in enumerate(tokens) if t == MASK})
        a, b = [a[r] for r in rows], [b[r] for r in rows]
        worst = max([worst] + [max(abs(x - y) for x, y in zip(p, q)) / max(map(abs, q)) for p, q in zip(a, b)])
        cases.append({"tokens": tokens, "rows": rows, "logits": rounded(a), "logits_f32": rounded(b)})
    print(f"{arch}-{kind}: own arithmetic against F32: {worst:.1e} of a row's largest logit")
    return {"cases": cases}


def softmax(row):
    top = max(row)
    e = [math.exp(z - top) for z in row]
    total = sum(e)
    return [x / total for x in e]


def greedy(arch, algorithm, top_k, state, rows, n):
    """The n writes of a greedy step and the gap between the last of them and the next position."""
    ranked = []
    for p in (p for p, t in enumerate(state) if t == MASK):
        row = rows[read_row(arch, p)]
        best = sorted(softmax(row), reverse=True)
        score = 1.0 if top_k == 1 else best[0] - best[1] if algorithm == MARGIN else best[0]
        ranked.append((-score, p, row.index(max(row))))
    ranked.sort()
    gap = ranked[n][0] - ranked[n - 1][0] if 0 < n < len(ranked) and top_k != 1 else 1.0
    return sorted([p, t] for _, p, t in ranked[:n]), gap


def is_greedy(folder, arch, kind, decode, states):
    """Whether every draw that was written was the likeliest token, so that the decode is that of a program that draws
    nothing. None when it cannot be with this prompt: a step's choice is not clear, or not the same in the file's own
    arithmetic and in float32."""
    models = (f"{HERE}/{arch}-{kind}.gguf", f"{folder}/{arch}-{kind}.gguf")
    for state, after, *rows in zip(states, states[1:], *(logits(folder, m, states[:-1]) for m in models)):
        wrote = [[p, t] for p, t in enumerate(after) if t != state[p]]
        (own, gap), (exact, gap_exact) = (greedy(arch, decode[2], decode[4], state, r, len(wrote)) for r in rows)
        if own != exact or min(gap, gap_exact) < GAP:
            return None
        if own != wrote:
            return False
    return True


def text_of(ids):
    """The bytes of plain tokens; special ones are left out."""
    back = {c: b for b, c in enumerate(byte_texts())}
    tokens = metadata("llada", "small")["tokenizer.ggml.tokens"]
    return b"".join(bytes(back[c] for c in tokens[t]) for t in ids if tokens[t] not in SPECIAL)


def check_command(arch, kind, decode, prompt, seed, n_prompt, result):
    """llama-diffusion-cli itself prints text only: that of the same ids."""
    length, steps, algorithm, schedule, top_k = decode
    total = n_prompt + length
    plan = ["--diffusion-block-length", total] if schedule == "block" else ["--diffusion-eps", EPS]
    args = ["-m", f"{HERE}/{arch}-{kind}.gguf", "-p", prompt, "-ub", total, "-b", total, "-c", 512, "-t", 1, "-fa", "off",
            "--temp", 0, "--top-k", top_k, "--top-p", 1, "-s", seed, "--diffusion-steps", steps, "--diffusion-algorithm",
            algorithm, *plan]
    text = text_of(result[n_prompt:])
    for _ in range(20):  # its last line is lost when it ends before its log's thread has written
        p = subprocess.run([tool("diffusion-cli"), *map(str, args)], capture_output=True)
        if text in p.stdout + p.stderr:
            return
    sys.exit(f"{arch}-{kind}: {args}: llama-diffusion-cli did not print {text!r}")


def find_decode(folder, arch, kind, decode):
    """The first prompt and seed that make a greedy decode."""
    length, steps, algorithm, schedule, top_k = decode
    eps = 0 if schedule == "block" else EPS
    for prompt in PROMPTS:
        for seed in range(1, 200):
            got = json.loads(run(f"{folder}/decode", f"{HERE}/{arch}-{kind}.gguf", prompt, length, steps, algorithm, eps, top_k,
                                 seed))
            greedy = is_greedy(folder, arch, kind, decode, got["states"])
            if greedy:
                return prompt, seed, got
            if greedy is None:
                break
    sys.exit(f"{arch}-{kind}: {decode}: no prompt and seed draw the likeliest tokens")


def record_decode(folder, arch, kind, decode):
    length, steps, algorithm, schedule, top_k = decode
    prompt, seed, got = find_decode(folder, arch, kind, decode)
    n_prompt, result = len(got["prompt"]), got["states"][-1]
    check_command(arch, kind, decode, prompt, seed, n_prompt, result)
    policy = "left-to-right" if top_k == 1 else "margin" if algorithm == MARGIN else "confidence"
    counts = [sum(a != b for a, b in zip(*pair)) for pair in zip(got["states"], got["states"][1:])]
    print(f"{arch}-{kind}: {policy}, {schedule}: {prompt!r}, seed {seed}, {counts}")
    return {"model": f"{arch}-{kind}.gguf", "prompt": prompt, "prompt_tokens": got["prompt"], "length": length, "steps": steps,
            "schedule": schedule, "block_length": n_prompt + length if schedule == "block" else 0,
            "eps": 0 if schedule == "block" else EPS, "algorithm": policy, "top_k": top_k, "seed": seed, "written": counts,
            "states": got["states"], "result_tokens": result}


def save(name, value):
    """JSON with one list of numbers a line."""
    text = json.dumps(value, separators=(",", ":"))
    with open(f"{HERE}/{name}", "w") as f:
        f.write(re.sub(r"(?<=[\]}]),(?=[\[{\"])|(?<=[\[{:])(?=\[\[)", lambda m: m.group() + "\n", text) + "\n")


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("logits", "decode"):
            build(folder, name)
        make_models(folder)
        save("logits.json", {f"{a}-{k}.gguf": record_logits(folder, a, k) for a in ARCHS for k in TYPES})
        save("decode.json", {"decodes": [record_decode(folder, a, k, d) for a in ARCHS for k in ("F32", "Q8_0") for d in DECODES]})


main()
