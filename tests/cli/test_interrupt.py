#!/usr/bin/env python3
"""Ctrl-C and SIGTERM while the kernels run: always exit 130 and one line, never a crash.

A signal handler's frame on a thread that runs generated code once corrupted the heap in five runs of eight.
"""
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import ENV, TABES, Checks

BLANK = "\n".join(["." * 9] * 9)


def waits_for_pipe(c):
    """Nothing is computed yet, and nobody writes: the signal ends it as it ends any program."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(f"{folder}/prompt")
        for command in ("run", "score"):
            p = subprocess.Popen([TABES, command, "-m", "sudoku", "--prompt-file", f"{folder}/prompt"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV)
            time.sleep(1)
            p.terminate()
            try:
                p.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                p.kill()
            c.check(p.returncode == -signal.SIGTERM, f"{command} at a pipe: exit {p.returncode}")


def main():
    c = Checks("cli interrupt")
    for i in range(8):
        sig = signal.SIGTERM if i % 2 else signal.SIGINT
        args = [TABES, "run", "-m", "sudoku", "-p", BLANK, "--policy", "oracle", "--rho", "1", "-q"]
        p = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV)
        time.sleep(0.3 + 0.05 * i)
        p.send_signal(sig)
        out, message = p.communicate(timeout=60)
        c.check(p.returncode == 130, f"{sig.name}: exit {p.returncode}, {message!r}")
        c.check(out == b"" and message.count(b"\n") == 1 and b"interrupted" in message, f"{sig.name}: {message!r}")
    waits_for_pipe(c)
    c.finish()


main()
