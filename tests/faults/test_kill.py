#!/usr/bin/env python3
"""kill -9 at random moments. Of a recording at most the step in flight is lost: every step that the program has told
of is in the file, and the file reads. An evaluation goes on from where it was, and ends with the results of one that
was never killed.

test_kill.py [KILLS [SEED]]
"""
import os
import pty
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faulty import ENV, PROGRAM, Checks, is_prefix, run, timeless, whole_lines

PUZZLE = "53..7....\n6..195...\n.98....6.\n8...6...3\n4..8.3..1\n7...2...6\n.6....28.\n...419..5\n....8..79"
RUN = ["run", "-m", "sudoku", "-p", PUZZLE, "--policy", "boe", "--record"]
EVAL = ["eval", "-m", "story", "--task", "story", "-n", "8", "--policies", "confidence,boe", "--lengths", "12", "--jobs", "2",
        "--csv", "-q", "--results"]


def killed(args, seconds):
    """Runs the program with its progress on a terminal and kills it after that time. What it said, and whether it
    was still running."""
    master, slave = pty.openpty()
    p = subprocess.Popen([PROGRAM, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave, env=ENV)
    os.close(slave)
    time.sleep(seconds)
    alive = p.poll() is None
    p.send_signal(signal.SIGKILL)
    p.wait(60)
    said = b""
    try:
        while chunk := os.read(master, 65536):
            said += chunk
    except OSError:
        pass  # the terminal's other side is closed
    os.close(master)
    return said.decode("utf-8", "replace"), alive


def duration(args):
    start = time.monotonic()
    end = run(args, timeout=120)
    if end.code:
        sys.exit(f"kill: {args}: {end}")
    return time.monotonic() - start


def kill_recording(c, folder, want, seconds):
    path = f"{folder}/killed.jsonl"
    if os.path.exists(path):
        os.remove(path)
    said, alive = killed([*RUN, path], seconds)
    told = max(map(int, re.findall(r"step (\d+)", said)), default=0)
    if not os.path.exists(path):
        c.check(told == 0, f"killed after {seconds:.3f} s: step {told} was told, and there is no file")
        return alive
    lines, torn = whole_lines(path)
    steps = sum(x["type"] == "step" for x in lines)
    c.check(steps >= told, f"killed after {seconds:.3f} s: step {told} was told, {steps} are in the file")
    c.check(is_prefix(lines, want), f"killed after {seconds:.3f} s: other lines")
    if lines:
        end = run(["export", path, "--to", "md"])
        c.check(end.code == 0, f"killed after {seconds:.3f} s, torn {torn}: cannot be read: {end}")
    return alive


def kill_evaluation(c, folder, want, seconds, rng):
    """Killed again and again until it gets through, then compared."""
    path = f"{folder}/results.jsonl"
    if os.path.exists(path):
        os.remove(path)
    kills, most = 0, 30
    while kills < most:
        _, alive = killed([*EVAL, path], rng.uniform(0.3, 1.0) * seconds)
        kills += 1
        if not alive:
            break
    end = run([*EVAL, path], timeout=120)
    lines, torn = whole_lines(path)
    got = {x["key"]: timeless(x) for x in lines}
    c.check(end.code == 0 and not torn, f"evaluation after {kills} kills: {end}")
    c.check(got == want and len(lines) == len(want), f"evaluation after {kills} kills: other results")
    return kills


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    c = Checks("kill")
    with tempfile.TemporaryDirectory() as folder:
        whole = duration([*RUN, f"{folder}/want.jsonl"])
        want = whole_lines(f"{folder}/want.jsonl")[0]
        inside = sum(kill_recording(c, folder, want, rng.uniform(0, 1.1) * whole) for _ in range(n))
        whole = duration([*EVAL, f"{folder}/want-results.jsonl"])
        results = {x["key"]: timeless(x) for x in whole_lines(f"{folder}/want-results.jsonl")[0]}
        kills = 0
        while kills < n:
            kills += kill_evaluation(c, folder, results, whole, rng)
    c.finish(f", {n} recordings killed, {inside} of them while they ran, and evaluations {kills} times")


main()
