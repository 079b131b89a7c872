#!/usr/bin/env python3
"""The public command on a device other than the CPU: the one that TABES_DEVICE names, emulated or real. A decode comes
out as on the CPU, recordings are compared across devices, and a device that is too small, runs dry or is lost ends with
one line. Skipped without TABES_DEVICE."""
import json
import math
import os
import pty
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import ENV, TABES, Checks, tabes

DEVICE = os.environ.get("TABES_DEVICE", "")
LLADA = ["-m", "tests/vectors/llada"]
RUN = ["run", *LLADA, "--prompt-tokens", "[5,6,47,8]", "--length", 8, "--tokens-out", "-q"]
THERE = ["--device", DEVICE]


def info(c):
    code, out, message = tabes("info", *LLADA, *THERE, "--json")
    if not c.check(code == 0, f"info: {message}"):
        return {}
    got = json.loads(out)
    memory = got["device_memory"]
    c.check(got["device"].startswith("cuda:") and got["device_title"] and got["precision"] == "f32", f"info: {out}")
    c.check(0 < memory["used_bytes"] <= memory["total_bytes"] and memory["free_bytes"] < memory["total_bytes"],
            f"memory: {memory}")
    text = tabes("info", *LLADA, *THERE, "--precision", "bf16")[1]
    c.check(f"{got['device']} ({got['device_title']}), products in bf16" in text and " GB free" in text, f"info: {text}")
    return got


def recordings(c, folder):
    files = {}
    for policy in ("confidence", "boe"):
        results = []
        for name, where in (("cpu", ["--device", "cpu"]), ("f32", THERE), ("bf16", [*THERE, "--precision", "bf16"])):
            files[policy, name] = f"{folder}/{policy}-{name}.jsonl"
            code, out, message = tabes(*RUN, "--policy", policy, *where, "--record", files[policy, name])
            c.check(code == 0 and message == "", f"run --policy {policy} on {name}: {code} {message!r}")
            results.append(out)
        c.check(results[0] == results[1], f"{policy}: the same tokens as on the CPU: {results}")
        code, out, _ = tabes("verify", files[policy, "f32"], *LLADA, *THERE)
        c.check(code == 0 and out.startswith("same: ") and out.count("\n") == 1, f"{policy}: on its own device: {out!r}")
        code, out, _ = tabes("verify", files[policy, "cpu"], *LLADA, *THERE)
        c.check(code == 0 and "recorded on cpu in f32, run again on cuda:" in out, f"{policy}: from the CPU: {out!r}")
        code, out, _ = tabes("verify", files[policy, "bf16"], *LLADA, "--device", "cpu", "--json")
        got = json.loads(out)
        c.check(code in (0, 1) and got["recorded_on"]["precision"] == "bf16" and got["run_on"]["device"] == "cpu",
                f"{policy}: from bf16: {out!r}")


def terminal_output(args):
    """What the command writes to standard error when that is a terminal."""
    ours, theirs = pty.openpty()
    p = subprocess.Popen([TABES, *map(str, args)], stdout=subprocess.DEVNULL, stderr=theirs, env=ENV)
    os.close(theirs)
    out = b""
    try:
        while True:
            part = os.read(ours, 4096)
            if not part:
                break
            out += part
    except OSError:  # Linux: the other end is closed
        pass
    os.close(ours)
    p.wait(60)
    return out.decode()


def progress(c):
    shown = [a for a in RUN if a != "-q"] + ["--policy", "confidence", *THERE]
    out = terminal_output(shown)
    c.check("weights to cuda:" in out and " GB" in out.split("weights to", 1)[1], f"progress on a terminal: {out!r}")
    c.check("\r\033[K" in out.rsplit("weights to", 1)[1], f"progress is cleared: {out!r}")
    c.check(terminal_output([*shown, "-q"]) == "", "-q shows none")
    c.check(tabes(*shown)[2] == "", "no progress in a pipe")
    c.check("weights to" not in terminal_output([*shown, "--device", "cpu"]), "none to the CPU")


def screen(c):
    code, out, message = tabes("open", *LLADA, *THERE, "--prompt-tokens", "[1,47,47,2]", "--keys", "c", "--dump-screen",
                               "80x24")
    c.check(code == 0 and " f32 " in out and " GB" in out and out.count("step 2/2") >= 2, f"the workbench: {out}{message}")


def evaluation(c, folder, is_emulated):
    """Decodes beside each other come out as one after the other."""
    puzzles = f"{folder}/four.csv"
    with open(puzzles, "w") as f:
        f.write("Puzzle,Solution\n3102200002100320,3142243142131324\n0140432014020000,2143432114323214\n"
                "4310010000303420,4312214312343421\n2004001203201003,2134341243211243\n")
    task = ["eval", "-m", "sudoku", "--task", "sudoku", "--data", puzzles, "--policies", "confidence", *THERE]
    results = []
    for jobs in (["--jobs", 1], []):
        code, out, message = tabes(*task, *jobs, "--json")
        c.check(code == 0 and message == "", f"eval: {code} {message}")
        got = json.loads(out)["results"] if code == 0 else []
        for row in got:
            row.pop("seconds")
        results.append(got)
    c.check(results[0] == results[1], f"eval with several jobs: {results}")
    if not is_emulated:
        return
    code, out, lines = emulated(*task, "--json", MEMORY=300_000_000)
    got = json.loads(out)["results"] if code == 0 else []
    for row in got:
        row.pop("seconds")
    c.check(got == results[0] and len(lines) == 1 and "room for 2 of 4 examples" in lines[0],
            f"eval with room for two: {code} {lines} {got}")


def processes(c, folder):
    """Under mpirun plain "cuda" is another GPU for each process: the second one loses its own."""
    if not os.environ.get("MPIEXEC"):
        return
    puzzles = f"{folder}/many.csv"
    with open(puzzles, "w") as f:
        f.write("Puzzle,Solution\n" + "3102200002100320,3142243142131324\n" * 20)
    env = dict(ENV, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", TABES_EMULATOR_DEVICES="2")
    part = [TABES, "eval", "-q", "-m", "sudoku", "--task", "sudoku", "--data", puzzles, "--policies", "confidence",
            "--jobs", "1", "--device", "cuda"]
    command = [os.environ["MPIEXEC"], "--oversubscribe", "-n", "1", *part, ":", "-n", "1", "env",
               "TABES_EMULATOR_FAIL_AFTER=150", *part]
    p = subprocess.run(command, capture_output=True, text=True, timeout=200, env=env)
    c.check(p.returncode and "rank 1: " in p.stderr and "cuda:1: the device was lost" in p.stderr,
            f"mpirun: {p.returncode} {p.stderr}")


def large_model(folder):
    """A checkpoint of 77 MB in bfloat16, nearly all of it holes, so that "auto" looks for a GPU."""
    vocabulary, at = 300_000, 0
    with open("tests/vectors/llada/config.json") as f:
        config = dict(json.load(f), vocab_size=vocabulary, embedding_size=vocabulary)
    with open("tests/vectors/llada/model.safetensors", "rb") as f:
        tensors = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    tensors.pop("__metadata__", None)
    for t in tensors.values():
        t["shape"] = [vocabulary if n == 48 else n for n in t["shape"]]
        t["data_offsets"] = [at, at := at + 4 * math.prod(t["shape"])]
    head = json.dumps(tensors).encode()
    os.mkdir(f"{folder}/large")
    with open(f"{folder}/large/config.json", "w") as f:
        json.dump(config, f)
    with open(f"{folder}/large/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head)
        f.truncate(8 + len(head) + at)
    return f"{folder}/large"


def emulated(*args, env=ENV, **settings):
    """Exit code, output, and lines on standard error but for the emulator's own."""
    env = dict(env, **{f"TABES_EMULATOR_{k}": str(v) for k, v in settings.items()})
    code, out, message = tabes(*args, env=env)
    return code, out, [line for line in message.splitlines() if not line.startswith("emulator: ")]


def automatic(c, folder):
    """What kept "auto" from a GPU that is there is told in a line; that there is none is not."""
    info = ["info", "-m", large_model(folder), "--json"]
    code, out, lines = emulated(*info)
    c.check(code == 0 and json.loads(out)["device"].startswith("cuda:") and not lines, f"auto: {code} {lines}")
    driver = f"{folder}/driver"
    os.mkdir(driver)
    os.symlink(os.environ["TABES_CUDA_MODULE"], f"{driver}/libcuda.so.1")  # any library
    broken = dict(ENV, TABES_CUDA_MODULE="/nonexistent/module.so", LD_LIBRARY_PATH=driver)
    for says, settings in (("the driver knows CUDA 11.2", {"REFUSE": "driver"}),
                           ("has compute capability 7.0", {"REFUSE": "code"}),
                           ("too small", {"MEMORY": 50_000_000}),
                           ("/nonexistent/module.so", {"env": broken}),
                           (None, {"DEVICES": 0})):
        code, out, lines = emulated(*info, **settings)
        right = len(lines) == 1 and "note: on the CPU: " in lines[0] and says in lines[0] if says else not lines
        c.check(code == 0 and json.loads(out)["device"] == "cpu" and right, f"auto, {says}: {code} {lines}")
        c.check(not any("use --device" in line for line in lines), f"no advice to do what is done: {lines}")


def trouble(c, folder):
    """What only an emulated device can be asked for."""
    code, out, lines = emulated(*RUN, *THERE, MEMORY=50_000_000)
    c.check(code == 1 and out == "" and len(lines) == 1 and "too small" in lines[0] and "--device cpu" in lines[0],
            f"too little memory: {code} {lines}")
    code, out, lines = emulated(*RUN, "--device", "cuda:5")
    c.check(code == 2 and len(lines) == 1 and "no such device" in lines[0], f"a device that is not there: {code} {lines}")
    want = tabes(*RUN, *THERE)[1]
    for what in ("capture", "graphs"):
        code, out, lines = emulated(*RUN, *THERE, REFUSE=what)
        c.check(code == 0 and out == want and not lines, f"a device without {what}: {code} {out} {lines}")
    code, out, lines = emulated(*RUN, *THERE, FAIL_AFTER=10)
    c.check(code == 1 and out == "" and len(lines) == 1 and "lost" in lines[0], f"lost at the first step: {code} {lines}")
    record = f"{folder}/lost.jsonl"
    code, out, lines = emulated(*RUN, *THERE, "--policy", "confidence", "--record", record, FAIL_AFTER=100)
    c.check(code == 1 and out == "" and len(lines) == 1 and "lost" in lines[0], f"lost while running: {code} {lines}")
    with open(record) as f:
        kinds = [json.loads(line) for line in f]
    c.check(len(kinds) > 2 and kinds[-1]["type"] == "closing" and not kinds[-1]["complete"], "its steps are kept")
    open_lost = ["open", *LLADA, *THERE, "--prompt-tokens", "[1,47,47,47,47,2]", "--policy", "confidence"]
    code, out, _ = emulated(*open_lost, "--keys", "css", "--dump-screen", "120x34", FAIL_AFTER=60)
    c.check(code == 0 and "was lost during" in out and "confidence: cuda:" in out, f"lost in the workbench: {code} {out}")


def main():
    c = Checks("cli device")
    if not DEVICE:
        print("cli device: skipped: TABES_DEVICE names no device to compare with the CPU")
        sys.exit(77)
    about = info(c)
    with tempfile.TemporaryDirectory() as folder:
        recordings(c, folder)
        progress(c)
        screen(c)
        is_emulated = "emulated" in about.get("device_title", "")
        evaluation(c, folder, is_emulated)
        if is_emulated:
            automatic(c, folder)
            trouble(c, folder)
            processes(c, folder)
    c.finish()


main()
