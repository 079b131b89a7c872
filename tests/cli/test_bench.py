#!/usr/bin/env python3
"""tabes bench: what its JSON promises and its table's shape. Times are only asked to be plausible: other programs may
compute beside the test."""
import json
import re

from support import Checks, tabes

c = Checks("bench")


def near(a, b, by=1e-6):
    return abs(a - b) <= by * max(abs(a), abs(b))


def phases(got, name):
    of, parts = got["phases_of"], got["phases"]
    names = [p["phase"] for p in parts]
    wanted = ["embedding", "norms", "qkv", "attention", "output", "mlp", "head", "selection", "soft writes"]
    wanted += ["backward " + x for x in ("head", "mlp", "output", "attention", "qkv", "norms")]
    c.check(names == wanted, f"{name}: phases {names}")
    c.check(near(sum(p["share"] for p in parts), 1) and near(sum(p["seconds"] for p in parts), of["seconds"]),
            f"{name}: shares make up the step")
    c.check(of["policy"] == "boe" and of["rho"] == 0.25 and of["masked"] == of["n"] - of["n"] // 2 and of["repeats"] > 0,
            f"{name}: {of}")
    for p in parts:
        host = p["phase"] == "selection" and got["device"] == "cpu"  # the choice; statistics are part of the head
        c.check(p["seconds"] > 0 and (host or (p["calls"] > 0 and p["gbps"] > 0 and p["of_ceiling"] > 0)), f"{name}: {p}")
    products = {p["phase"] for p in parts if p["gflops"] > 0}
    idle = {"embedding", "norms", "selection", "backward norms"}
    c.check(products == set(names) - idle, f"{name}: phases with arithmetic {sorted(products)}")


def decodes(got, name, lengths):
    c.check({d["n"] for d in got["greedy"]} <= set(lengths), f"{name}: lengths {got['greedy']}")
    c.check(got["greedy"][-1]["n"] == got["phases_of"]["n"] or len(got["greedy"]) > 1, f"{name}: the first length")
    greedy = {d["n"]: d for d in got["greedy"]}
    for n in greedy:
        c.check([d["rho"] for d in got["boe"] if d["n"] == n] == [0.1, 0.25, 0.5], f"{name}: rho at N = {n}")
    for d in got["boe"] + got["greedy"]:
        c.check(d["steps"] == d["n"] - d["n"] // 2, f"{name}: {d}")
        c.check(2 <= d["sampled_steps"] <= 5 if d["extrapolated"] else d["sampled_steps"] == d["steps"], f"{name}: {d}")
    for d in got["boe"]:
        base = greedy[d["n"]]
        c.check(near(d["ratio_to_greedy"], d["decode_seconds"] / base["decode_seconds"]), f"{name}: ratio {d}")
        c.check(0.5 < d["ratio_to_greedy"] < 50 and d["extrapolated"] == base["extrapolated"], f"{name}: {d}")
    for s in got["steps"]:
        c.check(s["ms"] > 0 and s["repeats"] > 0 and 1 <= s["masked"] <= s["n"] // 2 + 1, f"{name}: {s}")
        c.check((s["policy"] == "boe") == (s["rho"] is not None) and s["policy"] in ("boe", "confidence"), f"{name}: {s}")
    for d in got["greedy"]:  # an extrapolated decode lies between its fastest and its slowest step
        ms = [s["ms"] for s in got["steps"] if s["n"] == d["n"] and s["rho"] is None]
        if d["extrapolated"]:
            c.check(min(ms) * 0.999 <= d["decode_seconds"] / d["steps"] * 1e3 <= max(ms) * 1.001, f"{name}: {d}, steps {ms}")


def bundled(name, lengths, *options):
    code, out, message = tabes("bench", "-m", name, "--seconds", 2, "--json", *options)
    if not c.check(code == 0 and message == "" and out.count("\n") == 1, f"{name}: {code} {message!r}"):
        return
    got = json.loads(out)
    c.check(got["model"] == name and got["device"] == "cpu" and got["precision"] == "f32" and got["parameters"] > 1e6,
            f"{name}: what was measured: {out[:300]}")
    c.check(got["seconds"] > 0 and all(got["ceilings"][k] > 0 for k in ("gflops", "gbps", "copy_gbps", "read_gbps")),
            f"{name}: {got['ceilings']}")
    phases(got, name)
    decodes(got, name, lengths)
    m = got["memory"]
    c.check(0 < m["resident_bytes"] <= m["peak_bytes"] and m["weight_bytes"] > 1e6 and m["session_bytes"] > 0, f"{name}: {m}")
    c.check(m["session_tokens"] == max(d["n"] for d in got["greedy"]) and m["device_bytes"] is None, f"{name}: {m}")
    return got


bundled("story", [128, 256, 512])
got = bundled("sudoku", [128, 90, 96, 162, 256], "--threads", 1)
c.check(got and got["threads"] == 1, "threads")

# A context shorter than any length is measured whole, and shifted models as well.
bundled_names = {"tests/vectors/llada": "llada", "tests/vectors/dream": "dream", "tests/vectors/mdlm": "mdlm"}
for path, name in bundled_names.items():
    code, out, message = tabes("bench", path, "--seconds", 0.5, "--json")
    if c.check(code == 0, f"{path}: {code} {message!r}"):
        phases(json.loads(out), name)

code, out, message = tabes("bench", "sudoku", "--seconds", 0.5)
c.check(code == 0 and message == "", f"table: {code} {message!r}")
lines = out.split("\n")
c.check(all(len(x) <= 80 for x in lines), f"table: {max(map(len, lines))} columns: {out}")
for pattern in (r"^sudoku \(", r"^ceilings: [\d.]+ GFLOP/s \(product of size \d+\), [\d.]+ GB/s$", r"^One BoE step at rho 0.25, N = ",
                r"^phase +ms +share +GFLOP/s +GB/s +of ceiling$", r"^backward attention( +[\d.]+){2}%( +[\d.]+){3}%$",
                r"^policy( +\d+)+ +decode, s +ratio$", r"^greedy( +[\d.]+)+ +1\.000$", r"^boe 0\.25( +[\d.]+)+$",
                r"^A decode is \d+ steps of one token; (extrapolated from \d of them|all of them were run)\.$",
                r"^memory: [\d.]+ MB resident", r"^weights [\d.]+ MB, session of \d+ tokens [\d.]+ MB$"):
    c.check(re.search(pattern, out, re.M), f"table: no line like {pattern}: {out}")

for args, text in ((["-m", "/nonexistent"], "/nonexistent"), (["--seconds", "0"], "--seconds"),
                   (["--seconds", "x"], "--seconds"), (["--seconds", "nan"], "--seconds"), (["sudoku", "story"], "one model"),
                   (["-m", "sudoku", "story"], "one model"), (["--rho", "0.5"], "rho"), (["--threads", "-1"], "--threads")):
    code, out, message = tabes("bench", *args)
    c.check(code == 2 and out == "" and message.count("\n") == 1 and text in message, f"bench {args}: {code} {message!r}")

c.finish()
