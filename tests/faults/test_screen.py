#!/usr/bin/env python3
"""The workbench when memory is short, when signals come in storms, when its terminal goes away, without standard input
and with a home that cannot be written.

test_screen.py [--every] [--jobs N]
"""
import argparse
import concurrent.futures
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faulty import ENV, LLADA, PROGRAM, Checks, Ended, is_prefix, run, said_once, whole_lines
from screen import Screen

OPEN = ["open", "-m", LLADA, "--prompt-tokens", "[5,47,47,6,47]", "--no-config"]
SLOW = ["open", "-m", "story", "-p", "Once upon a time", "--length", "200", "--policy", "oracle", "--rho", "1", "--no-config"]
FEW = 40


# Memory ------------------------------------------------------------------

def short_of_memory(how):
    """What is wrong when memory is short in that way while the workbench starts and is used a little; or None."""
    s = Screen([*OPEN, "--keys", "ssleuKx"], {"FAULT_ALLOC": how})
    try:
        s.wait_drawn(b"\033[?1049h", 20)
        s.settle(0.15)
        s.send(b"\033")
        s.pump(0.1)
        s.send(b"Q")
        code, said = s.end(20)
        if code is None:
            return f"hangs, {said!r}"
        if not s.restored():
            return f"leaves the terminal as it was used, exit {code}, {said!r}"
        if code == 0 and not said or said_once(Ended(code, b"", said.encode())):
            return None
        return f"exit {code}, {said[-2000:]!r}"
    finally:
        s.close()


def memory(c, options):
    with tempfile.TemporaryDirectory() as folder:
        s = Screen([*OPEN, "--keys", "ssleuKx"], {"FAULT_TRACE": f"{folder}/trace"})
        s.wait_drawn(b"\033[?1049h")
        s.settle()
        s.send(b"\033Q")
        code, said = s.end()
        c.check(code == 0 and not said and s.restored(), f"the workbench opens: exit {code}, {said!r}")
        s.close()
        with open(f"{folder}/trace") as f:
            calls, *places = map(int, f)
    places.sort()
    how = [str(n) for n in range(1, calls + 1)] if options.every else \
        [f"{n}+" if i % 5 == 4 else str(n) for i, n in enumerate(places[::max(1, len(places) // FEW)])]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for way, wrong in zip(how, pool.map(short_of_memory, how)):
            wrong = wrong and short_of_memory(way)  # perhaps the whole machine stood still
            c.check(not wrong, f"workbench: FAULT_ALLOC={way}: {wrong}")
    print(f"workbench: {calls} calls, {len(how)} runs with a failure", flush=True)


# Signals -----------------------------------------------------------------

def resizing(c, n, rng):
    """Through all sizes, tiny ones included, while steps are computed; then it still answers."""
    s = Screen(OPEN)
    c.check(s.wait_drawn(b"\033[?1049h"), "the workbench opens")
    for i in range(n):
        s.resize(rng.choice((1, 2, 40, 79, 80, 120, 300, 1000)), rng.choice((1, 2, 10, 23, 24, 60, 200)))
        if i % 7 == 0:
            s.send(rng.choice((b"s", b"b", b"l", b"K\033", b"?q", b"vi")))  # v takes the next key, which must not be ?
        s.pump(0.002)
    s.resize(120, 40)
    s.settle()
    before = len(s.drawn)
    s.send(b"\033?")
    until = time.monotonic() + 20
    while len(s.drawn) == before and time.monotonic() < until:
        s.pump(0.05)
    c.check(s.p.poll() is None and len(s.drawn) > before, f"after {n} resizes it answers")
    s.send(b"\033")
    s.pump(0.1)
    s.send(b"Q")
    code, said = s.end()
    c.check(code == 0 and not said and s.restored(), f"after {n} resizes: exit {code}, {said!r}")
    s.close()


def storms(c, rng):
    for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        for args in (OPEN, SLOW):
            s = Screen(args)
            s.wait_drawn(b"\033[?1049h")
            s.pump(rng.uniform(0, 0.3))
            for _ in range(30):
                s.resize(rng.randint(80, 200), rng.randint(24, 60))
            for _ in range(30):
                s.p.send_signal(sig)
            code, said = s.end()
            c.check(code == -sig and not said and s.restored(), f"workbench, {sig.name} thirty times: exit {code}, {said!r}")
            s.close()


def storms_unseen(c, folder):
    """A run that records: SIGTERM again and again ends it at once; the file is whole lines whatever came."""
    args = ["run", "-m", "sudoku", "-p", "\n".join(["." * 9] * 9), "--policy", "oracle", "--rho", "1", "-q", "--record"]
    for sig, times, codes in ((signal.SIGTERM, 1, (130,)), (signal.SIGTERM, 30, (130,)), (signal.SIGINT, 30, (130,)),
                              (signal.SIGHUP, 30, (-signal.SIGHUP,)), (signal.SIGWINCH, 300, None)):
        path = f"{folder}/{sig.name}{times}.jsonl"
        p = subprocess.Popen([PROGRAM, *args, path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             env=ENV)
        while p.poll() is None and (not os.path.exists(path) or os.path.getsize(path) < 2000):
            time.sleep(0.005)
        for _ in range(times):
            p.send_signal(sig)
        if codes is None:  # is not for it
            c.check(p.poll() is None, f"{sig.name} changes nothing")
            p.send_signal(signal.SIGTERM)
        p.communicate(timeout=60)
        c.check(p.returncode in (codes or (130,)), f"{sig.name} {times} times: exit {p.returncode}")
        lines, torn = whole_lines(path)
        steps = [x["step"] for x in lines if x["type"] == "step"]
        c.check(not torn and steps == list(range(len(steps))), f"{sig.name} {times} times: the file")
        c.check(run(["export", path, "--to", "md"]).code == 0, f"{sig.name} {times} times: the file reads")


# What it stands on -------------------------------------------------------

def terminal_gone(c):
    for args in (OPEN, SLOW, ["replay", "examples/trajectories/story-boe.jsonl", "--no-config"]):
        for controlling in (True, False):
            s = Screen(args, controlling=controlling)
            s.wait_drawn(b"\033[?1049h")
            s.pump(0.2)
            s.vanish()
            try:
                code = s.p.wait(20)
            except subprocess.TimeoutExpired:
                code = None
                s.p.kill()
            said = s.p.stderr.read()
            c.check(code in (0, 1, -signal.SIGHUP) and said.count(b"\n") <= 1,
                    f"{args[0]}, the terminal gone, controlling {controlling}: exit {code}, {said!r}")
            s.p.stderr.close()
            s.p.wait()


def no_stdin(c, folder):
    def without(*fds):
        return lambda: [os.close(fd) for fd in fds]
    end = run(OPEN, stdin=None, before=without(0))
    c.check(end.code == 2 and said_once(end) and "needs a terminal" in end.err, f"the workbench without input: {end}")
    end = run(["run", "-m", LLADA, "--prompt-tokens", "[5]", "--length", "2", "-q", "--record", f"{folder}/n.jsonl"], stdin=None,
              before=without(0))
    c.check(end.code == 0 and not whole_lines(f"{folder}/n.jsonl")[1], f"a run without input: {end}")
    end = run(["run", "-m", "story", "--prompt-file", "-", "--length", "2", "-q"], stdin=None, before=without(0))
    c.check(end.code in (0, 1, 2), f"a prompt from no input: {end}")
    end = run(["info", "sudoku"], stdin=None, before=without(0, 1))
    c.check(end.code == 1 and said_once(end), f"without input and output: {end}")


def no_home(c):
    """Nothing can be kept in /proc, and nothing is said about that."""
    env = {"HOME": "/proc", "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "/proc/none"}
    s = Screen([x for x in OPEN if x != "--no-config"], env)
    s.wait_drawn(b"\033[?1049h")
    s.settle()
    s.send(b":step\r")
    s.settle()
    s.send(b"/5\r")
    s.settle()
    s.send(b"Q")
    code, said = s.end()
    c.check(code == 0 and not said and s.restored(), f"a home that cannot be written: exit {code}, {said!r}")
    s.close()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--every", action="store_true")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--resizes", type=int, default=150)
    options = p.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and the program keeps to that
    rng = random.Random(1)
    c = Checks("screen")
    memory(c, options)
    resizing(c, options.resizes, rng)
    storms(c, rng)
    with tempfile.TemporaryDirectory() as folder:
        storms_unseen(c, folder)
        no_stdin(c, folder)
    terminal_gone(c)
    no_home(c)
    c.finish()


main()
