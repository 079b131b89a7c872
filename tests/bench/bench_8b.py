#!/usr/bin/env python3
"""How long an 8B-shaped Q4_K file takes to open, and what one step at N = 512 needs: time and peak resident memory.

Usage: bench_8b.py [--file FILE] [--policy confidence] [--tokens 512] [--masks 256]
Without --file one is made in the temporary folder (4.6 GB, about 10 s) and removed afterwards. $TABES: the program.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

TABES = os.environ.get("TABES", "build/tabes")
HERE = os.path.dirname(os.path.abspath(__file__))


def measured(*args):
    """Seconds, peak resident bytes."""
    start = time.monotonic()
    p = subprocess.Popen([TABES, *args], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    if status:
        sys.exit(f"bench_8b: {args[0]} ended with {status >> 8}")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--file")
    ap.add_argument("--policy", default="confidence")
    ap.add_argument("--tokens", type=int, default=512)
    ap.add_argument("--masks", type=int, default=256)
    a = ap.parse_args()
    path = a.file or os.path.join(tempfile.gettempdir(), "tabes-bench-8b.gguf")
    if not a.file:
        subprocess.run([os.path.join(HERE, "make_gguf.py"), "llada-8b", path], check=True)
    size = os.path.getsize(path)
    opening, _ = measured("info", path)
    prompt = json.dumps([i % 200 for i in range(a.tokens - a.masks)])
    step, peak = measured("run", "-m", path, "--prompt-tokens", prompt, "--length", str(a.masks), "--steps", "1",
                          "--policy", a.policy, "--tokens-out", "-q")
    print(f"file {size / 1e9:.2f} GB; opens in {opening:.2f} s; one {a.policy} step of {a.tokens} tokens, {a.masks} masked: "
          f"{step:.1f} s, peak {peak / 1e9:.2f} GB resident, {(peak - size) / 1e9:+.2f} GB beyond the file")
    if not a.file:
        os.remove(path)


if __name__ == "__main__":
    main()
