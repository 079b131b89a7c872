#!/usr/bin/env python3
"""What `tabes run`, `info` and `tokenize` print, and how a run ends: blanks in prompts, seeds, recordings, Ctrl-C,
closed pipes and full disks. Uses the bundled models where text is needed."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import ENV, TABES, Checks, tabes

LLADA = "tests/vectors/llada"
PUZZLE = "53..7....\n6..195...\n.98....6.\n8...6...3\n4..8.3..1\n7...2...6\n.6....28.\n...419..5\n....8..79"


def ids(c, *args, stdin=b""):
    code, out, message = tabes(*args, stdin=stdin)
    c.check(code == 0, f"{args}: exit code {code}: {message}")
    return json.loads(out)


def token_runs(c):
    base = ["run", "-m", LLADA, "--tokens-out", "-q"]
    got = ids(c, *base, "--prompt-tokens", "[5,47,7,47]", "--length", 0)
    c.check(len(got) == 4 and got[0] == 5 and got[2] == 7 and 47 not in got, f"blanks are filled in place: {got}")
    got = ids(c, *base, "--prompt-tokens", "[5,47,7,47]")
    c.check(len(got) == 4, "a prompt with blanks appends nothing unless told")
    got = ids(c, *base, "--prompt-tokens", "[5,47,7,47]", "--length", 3)
    c.check(len(got) == 7 and 47 not in got, "blanks and an appended part")
    got = ids(c, *base, "--prompt-tokens", "[5]")
    c.check(len(got) == 65, "64 masks by default")
    got = ids(c, *base, "--prompt-tokens", json.dumps([5] * 250))
    c.check(len(got) == 256, "fewer where the context ends")
    got = ids(c, *base, "--prompt-tokens", "[]", "--length", 5)
    c.check(len(got) == 5, "an empty prompt")
    code, out, _ = tabes("run", "-m", LLADA, "--prompt-tokens", "[5]", "--length", 2, "-q")
    c.check(code == 0 and len(json.loads(out)) == 3, "without a tokenizer the result is ids")
    hot = base + ["--prompt-tokens", "[5]", "--length", 20, "--temperature", 1.5]
    one, two, three = (ids(c, *hot, "--seed", s) for s in (1, 2, 1))
    c.check(one == three and one != two, "a seed gives the same run, another seed another")
    # Every way to write the same options.
    same = [ids(c, *base, "--prompt-tokens=[5]", *o) for o in (
        ["--length", 8, "--policy", "boe", "--gate", "off"], ["--no-gate", "--length=8", "--policy=boe"],
        ["--len", 8, "--policy", "boe", "--gate=no"])]
    c.check(same[0] == same[1] == same[2], "spellings of the same options")


def json_runs(c, folder):
    record = f"{folder}/a.jsonl"
    got = ids(c, "run", "-m", LLADA, "--prompt-tokens", "[5,6]", "--length", 6, "--steps", 3, "--policy", "boe", "--rho", 1,
              "--record", record, "--json")
    for key in ("model", "policy", "params", "seed", "text", "tokens", "n_prompt", "steps", "nfe", "backward_rows", "ms",
                "record"):
        c.check(key in got, f"--json has {key}")
    c.check(got["policy"] == "boe" and got["params"]["rho"] == 1 and got["params"]["steps"] == 3, "parameters")
    c.check(got["steps"] == 3 and got["nfe"] == 3 and got["backward_rows"] > 0 and got["text"] is None, "costs")
    with open(record) as f:
        lines = [json.loads(line) for line in f]
    c.check([x["type"] for x in lines] == ["header", "step", "step", "step", "closing"], "the recording's lines")
    c.check(lines[-1]["result"] == got["tokens"], "the recording's result")
    code, _, message = tabes("verify", record, "-m", LLADA)
    c.check(code == 0, f"the recording verifies: {message}")
    _, _, message = tabes("run", "-m", LLADA, "--prompt-tokens", "[5]", "--length", 2, "--policy", "boe")
    c.check("untuned" in message and message.count("\n") == 1, f"a note on anti-collapse: {message!r}")


def seeds(c):
    for seed, want in ((3, 3), (2**53, 2**53), (2**53 + 1, str(2**53 + 1)), (2**64 - 1, str(2**64 - 1))):
        got = ids(c, "run", "-m", LLADA, "--prompt-tokens", "[5]", "--length", 1, "--seed", seed, "--json", "-q")
        c.check(got["seed"] == want, f"seed {seed} is {got['seed']!r}")


def text_runs(c, folder):
    code, out, message = tabes("run", "-m", "sudoku", "-p", PUZZLE, "--policy", "confidence")
    grid = out.rstrip("\n").split("\n")
    c.check(code == 0 and message == "" and len(grid) == 9 and all(len(r) == 9 for r in grid), f"a grid: {out!r}")
    clues = zip("".join(grid), PUZZLE.replace("\n", ""))
    c.check(all(a in "123456789" and b in (a, ".") for a, b in clues), "clues stay, blanks are filled")
    with open(f"{folder}/p.txt", "w") as f:
        f.write(PUZZLE.replace(".", "<mask>", 3) + "\n")
    c.check(tabes("run", "--prompt-file", f"{folder}/p.txt", "--policy", "confidence")[1] == out,
            "<mask>, a prompt file and the default model")
    c.check(tabes("run", "--prompt-file", "-", "--policy", "confidence", stdin=PUZZLE.encode())[1] == out, "standard input")
    story = ["run", "-m", "story", "-p", "Tom has 3 apples.", "--length", 24, "--policy", "confidence"]
    code, out, message = tabes(*story)
    c.check(code == 0 and "Tom has 3 apples" not in out and out.endswith("\n"), f"only the new text: {out!r}")
    got = ids(c, *story, "--json")
    c.check(got["text"] + "\n" == out and "<eos>" not in out and "<bos>" not in out, "the same text in JSON")
    got = ids(c, "run", "-m", "story", "-p", "Tom has <mask> apples.", "--policy", "confidence", "--json")
    c.check("Tom" in got["text"] and "apples" in got["text"], "the whole text when the prompt has blanks")


def other_commands(c):
    got = ids(c, "tokenize", "-m", "sudoku", "--json", "12.<mask>")
    c.check(got["ids"][-4:] == [0, 1, 12, 12] and got["pieces"][-4:] == ["1", "2", ".", "."], f"tokenize: {got}")
    text = "Once upon a time, 42 naïve 🙂\n\ttabs  and   blanks "
    got = ids(c, "tokenize", "-m", "story", "--json", "--no-special", stdin=(text + "\n").encode())
    code, out, _ = tabes("tokenize", "-m", "story", "--decode", json.dumps(got["ids"]))
    c.check(code == 0 and out == text + "\n", f"tokenize and back: {out!r}")
    code, out, _ = tabes("tokenize", "-m", "sudoku", "7")
    c.check(code == 0 and out.splitlines()[-1].split()[1:] == ["6", "\"7\""], f"the readable table: {out!r}")
    got = ids(c, "info", "-m", "tests/vectors/dream", "--json")
    c.check(got["shifted"] and not got["tokenizer"] and got["mask_id"] == 47 and got["context"] == 256, f"info: {got}")
    c.check(got["heads"] == 4 and got["kv_heads"] == 2 and got["vocab"] == 48 and got["dtype"] == "F32", f"info: {got}")
    code, out, _ = tabes("info", "sudoku")
    c.check(code == 0 and "fingerprint" in out and "tokenizer.json" in out, f"info as text: {out!r}")
    code, out, _ = tabes("score", "-m", "sudoku", "-p", "12<mask>4", "--policy", "confidence", "-q")
    c.check(code == 0 and len(out.splitlines()) == 3 and "rank" in out, f"score as a table: {out!r}")
    got = ids(c, "score", "-m", LLADA, "--tokens", "[1,47,47,2]", "--policy", "confidence", "--json")
    c.check(got["tis"] == {} and got["score"] == got["confidence"], "a policy without TIS")
    got = ids(c, "score", "-m", LLADA, "--tokens", "[1,47,47,47,47,2]", "--steps", 4, "--t", 1, "--lambda", 1,
              "--h-max", 2, "--json")
    c.check(got["T"] == 4 and got["t"] == 1 and got["h_t"] == 0.5 and got["lambda_t"] == 0.25, f"annealing: {got['h_t']}")


def slow_run(record):
    """A run of many slow steps: the dearest policy over all candidates of an almost empty grid."""
    return subprocess.Popen([TABES, "run", "-m", "sudoku", "-p", "\n".join(["." * 9] * 9), "--policy", "oracle", "--rho", "1",
                             "--record", record], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV)


def wait_for_lines(p, path, n, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end and p.poll() is None:
        if os.path.exists(path):
            with open(path, "rb") as f:
                if f.read().count(b"\n") >= n:
                    return True
        time.sleep(0.01)
    return False


def interrupted(c, folder):
    for sig in (signal.SIGINT, signal.SIGTERM):
        record = f"{folder}/{sig.name}.jsonl"
        p = slow_run(record)
        c.check(wait_for_lines(p, record, 2), "the run records steps")
        p.send_signal(sig)
        out, message = p.communicate(timeout=60)
        c.check(p.returncode == 130, f"{sig.name}: exit code {p.returncode}")
        c.check(out == b"" and message.count(b"\n") == 1 and b"interrupted" in message, f"{sig.name}: {message!r}")
        with open(record, "rb") as f:
            data = f.read()
        lines = [json.loads(line) for line in data.splitlines()]
        c.check(data.endswith(b"\n") and lines[0]["type"] == "header" and all(x["type"] == "step" for x in lines[1:-1]),
                f"{sig.name}: whole steps only")
        c.check(lines[-1]["type"] == "closing" and not lines[-1]["complete"], f"{sig.name}: closed as incomplete")
        c.check(str(len(lines) - 2).encode() in message, f"{sig.name}: the message counts the steps: {message!r}")


def failed_writes(c, folder):
    run = [TABES, "run", "-m", LLADA, "--prompt-tokens", "[5]", "--length", "2", "-q"]
    p = subprocess.run(["/bin/sh", "-c", 'exec 3>&1; { "$@"; echo "code $?" >&3; } | true', "sh", *run],
                       capture_output=True, env=ENV, timeout=60)
    c.check(p.stderr == b"", f"a closed pipe is quiet: {p.stderr!r}")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            p = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, env=ENV, timeout=60)
        c.check(p.returncode == 1 and b"standard output" in p.stderr, f"a full disk: {p.returncode} {p.stderr!r}")
    code, out, message = tabes(*run[1:], "--record", f"{folder}/none/a.jsonl")
    c.check(code == 2 and out == "" and "none/a.jsonl" in message, f"a recording that cannot be made: {code} {message!r}")
    bad = tabes(*run[1:], "--record", f"{folder}/b.jsonl", "--steps", "-1")
    c.check(bad[0] == 2 and not os.path.exists(f"{folder}/b.jsonl"), "bad usage makes no file")


def main():
    c = Checks("cli run")
    token_runs(c)
    seeds(c)
    with tempfile.TemporaryDirectory() as folder:
        json_runs(c, folder)
        text_runs(c, folder)
        failed_writes(c, folder)
        interrupted(c, folder)
    other_commands(c)
    c.finish()


main()
