#!/usr/bin/env python3
"""What run.sh needs to work on a machine with a GPU, tried without one: gpu_bench on the CPU with a tiny shape, the
report on its result beside a made-up PyTorch, the scripts' syntax, and that PyTorch gets the same shapes."""
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "cli"))
from support import Checks

BENCH = os.environ.get("GPU_BENCH", "build/tests/gpu/gpu_bench")


def call(*args):
    p = subprocess.run(list(map(str, args)), capture_output=True, text=True, timeout=250)
    return p.returncode, p.stdout, p.stderr


def near(a, b):
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def step(c, length, s, dense):
    n, masked = length["n"], length["n_masked"]
    what = f"N = {n}, {s['triple']}, rho {s['rho']}"
    c.check(s["triple"] == f"mask/masked/{'dense' if dense else 'candidates'}", what)
    c.check(s["n_cand"] == max(1, -(-masked * s["rho"] // 1)), f"{what}: {s['n_cand']} candidates")
    # The shape is shifted: a candidate's emit row is active too.
    c.check(s["n_active"] == n if dense else s["n_cand"] < s["n_active"] <= 2 * s["n_cand"],
            f"{what}: {s['n_active']} active rows")
    c.check(near(s["ratio"], s["step_ms"] / length["greedy_ms"]), f"{what}: ratio")
    floors = length["forward_floor_ms"] + s["backward_floor_ms"] + s["soft_floor_ms"]
    c.check(near(s["floor_ratio"], floors / length["forward_floor_ms"]), f"{what}: floor_ratio")
    c.check(all(s[k] > 0 for k in ("step_ms", "forward_ms", "soft_ms", "tis_ms", "backward_ms")), f"{what}: times")


def measured(c, path):
    code, out, message = call(BENCH, "--device", "cpu", "--shape", "tiny", "--n", "32,64", "--rho", "0.25,1", "--repeat",
                              3, "--json", path)
    if not c.check(code == 0 and message == "", f"gpu_bench: {code} {message}{out}"):
        return None
    with open(path) as f:
        data = json.load(f)
    c.check(data["schema"] == "tabes-gpu-bench/1" and not os.path.exists(path + ".part"), "schema, and no half file")
    c.check(all(data["ceilings"][k] > 0 for k in ("flops_per_s", "bytes_per_s", "copy_bytes_per_s", "read_bytes_per_s")),
            f"ceilings: {data['ceilings']}")
    shape = data["shapes"][0]
    c.check((shape["name"], shape["device"], shape["precision"], shape["d"]) == ("tiny", "cpu", "f32", 64), "shape")
    c.check([x["n"] for x in shape["lengths"]] == [32, 64], "lengths")
    for length in shape["lengths"]:
        c.check(length["n_prompt"] + length["n_masked"] == length["n"] and length["used_bytes"] > 0, f"{length['n']}")
        c.check(near(length["forward_over_floor"], length["greedy_ms"] / length["forward_floor_ms"]), "forward_over_floor")
        for i, s in enumerate(length["steps"]):
            step(c, length, s, i == 2)
        c.check(out.count(f"\n{length['n']:6d} ") == len(length["steps"]) == 3, f"lines of the table: {out}")
    return data


def refusals(c):
    for args in (["--shape", "huge"], ["--shape", "tiny,"], ["--n", "2"], ["--n", "32,"], ["--rho", "0"], ["--repeat", "x"],
                 ["--precision", "f16"], ["--what", "1"], ["--json"]):
        code, out, message = call(BENCH, *args)
        c.check(code == 2 and out == "" and message.startswith("usage: "), f"{args}: {code} {message}")
    env = dict(os.environ, TABES_CUDA_MODULE="/nonexistent")
    p = subprocess.run([BENCH, "--shape", "tiny"], capture_output=True, text=True, env=env, timeout=60)
    c.check(p.returncode == 77 and "gpu_bench: " in p.stderr, f"no device: {p.returncode} {p.stderr}")


def canned(forward, ratio, tis_ms):
    """A result as gpu_bench writes it, with the numbers that the goals look at."""
    s = {"triple": "mask/masked/candidates", "rho": 0.25, "n_cand": 32, "n_active": 32, "step_ms": 10 * ratio,
         "tis_ms": tis_ms, "backward_ms": tis_ms, "backward_floor_ms": 4.0, "ratio": ratio, "floor_ratio": 1.9}
    length = {"n": 256, "greedy_ms": 10.0, "forward_over_floor": forward, "steps": [s]}
    return {"ceilings": {"flops_per_s": 7e14, "bytes_per_s": 3e12}, "shapes": [{"name": "llada-8b", "lengths": [length]}]}


def report(c, folder, bench, torch):
    names = [os.path.join(folder, n) for n in ("bench", "torch", "checks", "out")]
    for name, data in zip(names, (bench, torch)):
        if data:
            with open(name, "w") as f:
                json.dump(data, f)
        elif os.path.exists(name):
            os.remove(name)
    with open(names[2], "w") as f:
        f.write("ok build\nfailed memcheck: decode f32\n")
    code, out, message = call(sys.executable, f"{HERE}/report.py", "--bench", names[0], "--torch", names[1], "--checks",
                              names[2], "--about", "gpu=a = b", "--json", names[3])
    if not c.check(code == 0, f"report: {code} {message}"):
        return "", {"goals": []}
    with open(names[3]) as f:
        return out, json.load(f)


def reports(c, folder, data):
    torch = {"torch": "2.9", "title": "GPU", "shapes": [{"name": "llada-8b", "lengths": [
        {"n": 256, "forward_ms": 12.0, "tis": [{"active": "candidates", "rho": 0.25, "backward_ms": 20.0}]}]}]}
    for bench, peer, want in ((canned(1.2, 1.04, 3.9), torch, [True, True, True]),
                              (canned(1.4, 1.06, 4.1), torch, [False, False, False]),
                              (canned(1.2, 2.0, 5.0), None, [True, False, None]), (data, torch, [None] * 3)):
        out, got = report(c, folder, bench, peer)
        met = [g["met"] for g in got["goals"]]
        if bench is data:  # a CPU's forward over its floor may be anything
            met, want = met[1:], [None, None]
        c.check(met == want, f"goals: {got['goals']}")
        c.check([out.count(w) for w in ("PASS", "FAIL", "----")][:2] ==
                [sum(g["met"] is v for g in got["goals"]) for v in (True, False)], out)
        c.check(got["about"] == {"gpu": "a = b"} and got["bench"] == bench and got["torch"] == (peer or {}), "joined")
        c.check(got["checks"][1] == {"status": "failed", "name": "memcheck: decode f32"}, f"checks: {got['checks']}")
    out, got = report(c, folder, None, None)
    c.check(got["goals"] == [] and "PASS" not in out, "nothing measured")


def scripts(c):
    code, _, message = call("sh", "-n", f"{HERE}/run.sh")
    c.check(code == 0, message)
    if shutil.which("shellcheck"):
        code, out, _ = call("shellcheck", "-x", f"{HERE}/run.sh")
        c.check(code == 0, out)
    code, _, message = call("sh", f"{HERE}/run.sh", "--what")
    c.check(code == 2 and "usage: " in message, f"run.sh: {code} {message}")


def same_shapes(c):
    with open(f"{HERE}/torch_peer.py") as f:
        shapes = ast.literal_eval(re.search(r"^SHAPES = (\{.*?^\})", f.read(), re.M | re.S).group(1))
    with open(f"{HERE}/../../engine/transformer/synthetic.c") as f:
        rows = re.findall(r'^ +\{"([\w-]+)", (.*), (\w+), (\w+), \w+, K_\w+, 1\}', f.read(), re.M)
    ours = {name: numbers.split(", ") for name, numbers, _, _ in rows}
    for name, (d, L, H, KV, f, V, theta, eps, shifted, bias) in shapes.items():
        want = [d, L, H, KV, f, V, theta, eps]
        got = [float(x) for x in ours.get(name, [])]
        c.check(got[:6] + got[7:] == want, f"torch_peer: {name}: {want}, the engine has {got}")
        flags = next(((a, b) for n, _, a, b in rows if n == name), None)
        c.check(flags == (str(shifted).lower(), str(bias).lower()), f"torch_peer: {name}: shifted and bias: {flags}")


def main():
    c = Checks("gpu bench")
    with tempfile.TemporaryDirectory() as folder:
        data = measured(c, os.path.join(folder, "bench.json"))
        if data:
            reports(c, folder, data)
    refusals(c)
    scripts(c)
    same_shapes(c)
    c.finish()


main()
