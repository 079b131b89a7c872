#!/usr/bin/env python3
"""How a step's time grows with the length N, the masks that are left, rho and the batch: measured, plotted.

Usage: growth.py MODEL [--threads 2] [--repeats 3] [--svg FILE] [--json FILE]       $TABES: the program

Every point is the median over repeats, which take turns with all others. A step is that of `confidence` or of `boe`
with half of N random prompt; N = 256 unless N is what grows. Rows of a batch are forwards of `oracle`, which runs as
many candidates at once as fit: its time per forward is set beside a single forward of the same length.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

TABES = os.environ.get("TABES", "build/tabes")
LENGTHS, LEFT, RHOS, BATCH = [64, 128, 256, 512, 1024], [5, 8, 32, 64, 96, 128], [0.05, 0.1, 0.25, 0.5, 1.0], [5, 8, 16, 24, 32]


def recorded(path):
    """Steps of whole lines so far."""
    return [json.loads(line) for line in open(path) if line.endswith("\n") and '"writes"' in line]


def step(a, n, masks, *policy):
    """(milliseconds, forwards): medians of the second to fourth step of a decode of one token a step, which is then
    given up; the first one makes room."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as f:
        prompt = json.dumps([i * 37 % 200 for i in range(n - masks)])
        p = subprocess.Popen([TABES, "run", "-m", a.model, "--prompt-tokens", prompt, "--length", str(masks), "--threads",
                              str(a.threads), "--device", "cpu", "--tokens-out", "-q", "--record", f.name, *map(str, policy)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        steps = []
        while len(steps) < 4 and p.poll() is None:
            try:
                p.wait(0.02)
            except subprocess.TimeoutExpired:
                pass
            steps = recorded(f.name)
        p.terminate()
        p.wait()
    if len(steps) < 4:
        sys.exit(f"growth: {' '.join(map(str, policy))}: stopped after {len(steps)} steps")
    return tuple(statistics.median(x[key] for x in steps[1:4]) for key in ("ms", "nfe"))


def points(a):
    """name -> [(x, measurement)]"""
    boe = lambda rho: ["--policy", "boe", "--rho", rho]
    greedy = ["--policy", "confidence"]
    series = {"greedy by N": [(n, (n, n // 2, *greedy)) for n in LENGTHS],
              "boe 0.25 by N": [(n, (n, n // 2, *boe(0.25))) for n in LENGTHS],
              "greedy by masks": [(m, (256, m, *greedy)) for m in LEFT],
              "boe 0.25 by masks": [(m, (256, m, *boe(0.25))) for m in LEFT],
              "boe by rho": [(r, (256, 128, *boe(r))) for r in RHOS],
              "forward in a batch": [(b, (64, b, "--policy", "oracle")) for b in BATCH]}
    return {name: [(x, args) for x, args in xs if args[0] <= a.longest] for name, xs in series.items()}


def measure(a):
    todo = points(a)
    samples = {(name, x): [] for name, xs in todo.items() for x, _ in xs}
    for _ in range(a.repeats):
        for name, xs in todo.items():
            for x, args in xs:
                ms, nfe = step(a, *args)
                samples[name, x].append(ms / nfe if "batch" in name else ms)
    return {name: [(x, statistics.median(samples[name, x])) for x, _ in xs] for name, xs in todo.items()}


def panel(x0, title, lines, unit):
    """One small plot, both axes from 0."""
    top, right = max(y for line in lines.values() for _, y in line), max(x for line in lines.values() for x, _ in line)
    place = lambda x, y: f"{x0 + 45 + 180 * x / right:.1f},{170 - 130 * y / top:.1f}"
    out = [f'<text x="{x0 + 45}" y="20" class="t">{title}</text>',
           f'<path d="M{x0 + 45},40V170H{x0 + 225}" class="a"/>',
           f'<text x="{x0 + 41}" y="44" class="e">{top:.0f} ms</text><text x="{x0 + 225}" y="184" class="e">{right:g}{unit}</text>']
    for i, (name, line) in enumerate(lines.items()):
        colour = ["#0072b2", "#d55e00"][i]
        out.append(f'<polyline points="{" ".join(place(x, y) for x, y in line)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{place(*p).split(",")[0]}" cy="{place(*p).split(",")[1]}" r="2.5" fill="{colour}"/>' for p in line]
        out.append(f'<text x="{x0 + 50}" y="{200 + 14 * i}" fill="{colour}">{name}</text>')
    return "\n".join(out)


def svg(got):
    panels = [("length", ["greedy by N", "boe 0.25 by N"], " tokens"), ("masks left, N = 256", ["greedy by masks", "boe 0.25 by masks"], " masks"),
              ("candidates, 128 masks", ["boe by rho"], " = rho"), ("batch, N = 64", ["forward in a batch"], " candidates")]
    body = "\n".join(panel(250 * i, title, {n: got[n] for n in names if got[n]}, unit) for i, (title, names, unit) in enumerate(panels))
    return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 225" font-family="sans-serif" font-size="11">\n'
            '<style>.t{font-weight:bold}.a{fill:none;stroke:#888}.e{text-anchor:end;fill:#666}</style>\n'
            f'<rect width="1000" height="225" fill="#fff"/>\n{body}\n</svg>\n')


def main():
    ap = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("Usage: "))
    ap.add_argument("model")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--repeats", type=int, default=3)
    ap.add_argument("--svg", metavar="FILE")
    ap.add_argument("--json", metavar="FILE")
    a = ap.parse_args()
    a.longest = json.loads(subprocess.run([TABES, "info", a.model, "--json"], check=True, capture_output=True).stdout)["context"]
    got = measure(a)
    for name, line in got.items():
        print(f"{name:<20}" + "".join(f"{x:>8g}: {ms:8.1f} ms" for x, ms in line))
    if a.svg:
        with open(a.svg, "w") as f:
            f.write(svg(got))
    if a.json:
        with open(a.json, "w") as f:
            json.dump(got, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
