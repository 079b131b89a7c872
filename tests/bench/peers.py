#!/usr/bin/env python3
"""tabes beside llama.cpp's diffusion command and PyTorch's autograd: the same weights, this machine, one run.

Usage: peers.py [--llama BIN] [--torch PYTHON] [--shape small] [--n 128,256] [--types BF16,F16,Q8_0,Q4_0,Q4_K]
                [--threads 2] [--repeats 3] [--steps 6] [--json FILE]

BIN is the folder of llama-diffusion-cli and llama-quantize (tests/parity/llama_cpp/README.md tells how to build them);
PYTHON has torch. Weights are random, of a shape of make_gguf.py
(small: 0.1B, medium: 0.95B), brought into each type by llama-quantize. $TABES: the
program.

Against llama.cpp: milliseconds per step, sampling left out of llama.cpp's, of a decode of half of N in a few steps.
llama.cpp computes logits of all N positions at every step, tabes those of the masks that are left.
Against PyTorch (needs --llama for the F32 file): a BoE step with gradients through every row (TIS mask/masked/dense), in
float32 and in bfloat16, and the same of tabes; and tabes with its default, gradients through the candidates alone. TIS of both are
compared, so that both did the same work.

Programs take turns, and each figure is the median of --repeats runs. Nothing is judged: other work on the machine
moves all figures, the ratios least. Made for looking at, and for docs/performance.md.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

TABES = os.environ.get("TABES", "build/tabes")
HERE = os.path.dirname(os.path.abspath(__file__))


def output_of(args, **kw):
    p = subprocess.run(list(map(str, args)), capture_output=True, text=True, errors="replace", **kw)
    if p.returncode:
        sys.exit(f"peers: {os.path.basename(str(args[0]))} ended with {p.returncode}: {(p.stderr or p.stdout)[-400:]}")
    return p.stdout + p.stderr


def make(a, kind, folder):
    """The file of a type; made from the one that make_gguf.py writes."""
    source, path = os.path.join(folder, "source.gguf"), os.path.join(folder, f"{kind}.gguf")
    if not os.path.exists(source):
        output_of([sys.executable, os.path.join(HERE, "make_gguf.py"), a.shape, source])
    if not os.path.exists(path):
        output_of([os.path.join(a.llama, "llama-quantize"), "--allow-requantize", "--pure", source, path, kind])
    return path


def tokens_of(n):
    return [i % 200 for i in range(n // 2)]


def tabes_step(a, path, n, steps, *more):
    """Milliseconds per step of a decode."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as record:
        output_of([TABES, "run", "-m", path, "--prompt-tokens", json.dumps(tokens_of(n)), "--length", n - n // 2, "--steps",
                   steps, "--threads", a.threads, "--device", "cpu", "--tokens-out", "-q", "--record", record.name, *more])
        lines = [json.loads(line) for line in open(record.name)]
    ms = [x["ms"] for x in lines if "ms" in x and "writes" in x]
    assert len(ms) == steps, f"{len(ms)} steps recorded, expected {steps}"
    return statistics.mean(ms)


def llama_step(a, path, n):
    """Likewise; a block as long as the canvas is llama.cpp's way to spread the masks over all steps."""
    text = output_of([os.path.join(a.llama, "llama-diffusion-cli"), "-m", path, "-p", "a" * 8, "-ub", n, "-t", a.threads,
                      "--diffusion-steps", a.steps, "--diffusion-block-length", n, "--temp", 0], stdin=subprocess.DEVNULL)
    found = re.search(r"time per step: ([\d.]+)ms, sampling time per step: ([\d.]+)ms", text)
    return float(found[1]) - float(found[2]) if found else None


def beside_llama(a, folder):
    rows = []
    print(f"{'type':<6} {'N':>5} {'tabes ms':>10} {'llama.cpp ms':>13} {'llama.cpp/tabes':>16}")
    for kind in a.types:
        path = make(a, kind, folder)
        for n in a.n:
            ours, theirs = [], []
            for _ in range(a.repeats):
                ours.append(tabes_step(a, path, n, a.steps, "--policy", "confidence"))
                theirs.append(llama_step(a, path, n))
            theirs = [x for x in theirs if x is not None]  # its last line is sometimes lost
            if not theirs:
                print(f"{kind:<6} {n:>5}  llama-diffusion-cli told no times")
                continue
            row = {"type": kind, "n": n, "tabes_ms": statistics.median(ours), "llama_cpp_ms": statistics.median(theirs)}
            row["ratio"] = row["llama_cpp_ms"] / row["tabes_ms"]
            rows.append(row)
            print(f"{kind:<6} {n:>5} {row['tabes_ms']:>10.1f} {row['llama_cpp_ms']:>13.1f} {row['ratio']:>16.2f}", flush=True)
    return rows


def tis_distance(a, path, n, torch):
    """Largest difference of TIS, of the largest TIS, over the candidates that both chose; and how many those are."""
    state = tokens_of(n) + [json.loads(output_of([TABES, "info", path, "--json"]))["mask_id"]] * (n - n // 2)
    got = json.loads(output_of([TABES, "score", "-m", path, "--tokens", json.dumps(state), "--tis", "mask/masked/dense",
                                "--rho", 0.25, "--json", "--threads", a.threads]))
    mine = dict(zip(got["candidates"], got["tis"]["mask/masked/dense"]))
    both = [(mine[pos], tis) for pos, tis in zip(torch["candidates"], torch["tis"]) if pos in mine]
    return max(abs(x - y) for x, y in both) / max(abs(x) for x, _ in both), len(both)


def beside_torch(a, folder, kind, dtype):
    rows, path, source = [], make(a, kind, folder), make(a, "F32", folder)
    print(f"\n{kind}: {'N':>5} {'tabes dense':>12} {'PyTorch dense':>14} {'ratio':>6} {'tabes default':>14} {'ratio':>6} {'TIS differ':>11}")
    for n in a.n:
        samples = {"dense": [], "default": [], "torch": []}
        for _ in range(a.repeats):
            boe = ["--policy", "boe", "--rho", 0.25]
            samples["dense"].append(boe_step(a, path, n, *boe, "--active", "dense"))
            samples["default"].append(boe_step(a, path, n, *boe))
            torch = json.loads(output_of([a.torch, os.path.join(HERE, "torch_tis.py"), source, n, a.threads, 3, dtype]).splitlines()[0])
            samples["torch"].append(torch["step_ms"])
        row = {"n": n, **{k + "_ms": statistics.median(v) for k, v in samples.items()}, "torch": torch["torch"]}
        row["tis_distance"], common = tis_distance(a, path, n, torch)
        row["ratio_dense"], row["ratio_default"] = (row["torch_ms"] / row[k] for k in ("dense_ms", "default_ms"))
        rows.append(row)
        print(f"{kind}: {n:>5} {row['dense_ms']:>12.1f} {row['torch_ms']:>14.1f} {row['ratio_dense']:>6.2f} {row['default_ms']:>14.1f} "
              f"{row['ratio_default']:>6.2f} {row['tis_distance']:>11.1e}  ({common} candidates in common)", flush=True)
    return rows


def boe_step(a, path, n, *policy):
    """Milliseconds of a step with nearly all masks, as PyTorch's: the median of the second to fourth of a decode that is
    then given up."""
    state = json.dumps(tokens_of(n))
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as record:
        p = subprocess.Popen([TABES, "run", "-m", path, "--prompt-tokens", state, "--length", str(n - n // 2), "--threads",
                              str(a.threads), "--device", "cpu", "--tokens-out", "-q", "--record", record.name,
                              *map(str, policy)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ms = []
        while len(ms) < 4 and p.poll() is None:
            try:
                p.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
            ms = recorded(record.name)
        p.terminate()
        p.wait()
    if len(ms) < 4:
        sys.exit(f"peers: tabes run --policy boe stopped after {len(ms)} steps")
    return statistics.median(ms[1:4])


def recorded(path):
    """Times of the whole lines so far."""
    ms = []
    for line in open(path):
        if line.endswith("\n") and '"writes"' in line:
            ms.append(json.loads(line)["ms"])
    return ms


def main():
    ap = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("Usage: "))
    ap.add_argument("--llama", metavar="BIN")
    ap.add_argument("--torch", metavar="PYTHON")
    ap.add_argument("--n", type=lambda s: [int(x) for x in s.split(",")], default=[128, 256])
    ap.add_argument("--types", type=lambda s: s.split(","), default=["BF16", "F16", "Q8_0", "Q4_0", "Q4_K"])
    ap.add_argument("--shape", default="small")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--repeats", type=int, default=3)
    ap.add_argument("--steps", type=int, default=6)
    ap.add_argument("--json", metavar="FILE")
    a = ap.parse_args()
    if not a.llama:
        sys.exit("peers: skipped: --llama BIN names no llama.cpp build")
    with tempfile.TemporaryDirectory(prefix="tabes-peers-") as folder:
        print(f"{a.threads} threads; load of the machine {os.getloadavg()[0]:.1f}")
        result = {"threads": a.threads, "load": os.getloadavg(), "llama_cpp": beside_llama(a, folder)}
        if a.torch:
            result["torch"] = {kind: beside_torch(a, folder, kind, dtype) for kind, dtype in (("F32", "float32"), ("BF16", "bfloat16"))}
    if a.json:
        with open(a.json, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
