"""What the tests of faults share: the program with something failing in it, and what must hold afterwards whatever
failed. Standard library only."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from support import Checks  # noqa: E402,F401

PROGRAM = os.environ.get("TABES_FAULTS", "build/tabes_faults")
LLADA = "tests/vectors/llada"
# One thread, so that the order of allocations is the same every time; a policy for waiting, so that the program does
# not start itself again. A leak has an exit code of its own, and a sanitizer answers NULL as malloc does.
ENV = dict(os.environ, LC_ALL="C.UTF-8", OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive",
           ASAN_OPTIONS="exitcode=99:allocator_may_return_null=1", UBSAN_OPTIONS="exitcode=99", LSAN_OPTIONS="exitcode=99")


class Ended:
    """How a run ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err.decode("utf-8", "replace")

    def __repr__(self):
        return f"exit {self.code}, {self.err[-3000:]!r}"


def run(args, env=None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=20, before=None):
    """Runs the program; one that hangs is ended and has the exit code 124."""
    p = subprocess.Popen([PROGRAM, *map(str, args)], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
                         env=dict(ENV, **(env or {})), preexec_fn=before)
    try:
        out, err = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
        return Ended(124, out, err)
    return Ended(p.returncode, out, err)


def said_once(end):
    """Ended with one line of its own, notes aside, and an exit code that says so. The kernels' scratch memory is the
    one thing that ends the process (kernels/cpu/threads.c), with its line."""
    lines = [x for x in end.err.splitlines() if not x.startswith("tabes: note: ")]
    if end.code == -signal.SIGABRT:
        return len(lines) == 1 and "bytes of scratch for the kernels" in lines[0]
    return end.code in (1, 2) and len(lines) == 1 and lines[0].startswith("tabes") and len(lines[0]) > 8


def whole_lines(path):
    """The lines of a file that are whole, and whether there was a torn one among or behind them."""
    with open(path, "rb") as f:
        parts = f.read().split(b"\n")
    lines = []
    for x in parts[:-1]:
        try:
            lines.append(json.loads(x))
        except ValueError:
            return lines, True
    return lines, parts[-1] != b""


def timeless(x):
    """Without what differs from run to run."""
    if isinstance(x, dict):
        return {k: timeless(v) for k, v in x.items() if k not in ("ms", "observe_ms", "seconds", "created", "record")}
    return [timeless(v) for v in x] if isinstance(x, list) else x


def is_prefix(lines, of):
    return len(lines) <= len(of) and timeless(lines) == timeless(of[:len(lines)])
