#!/usr/bin/env python3
"""Scripted use of the workbench over and over: it never ends by itself, nothing leaks, and while a person only looks
the memory in use does not grow. Sessions that look take turns with sessions that change the decode: those keep what can
be undone and every branch, so their memory may grow, and only their end is checked.

test_soak.py [SECONDS [SECONDS OF A SESSION]]
"""
import os
import random
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faulty import Checks
from screen import Screen

PUZZLE = "589..4...\n..6..3...\n...759.68\n.6......9\n.13.....4\n7.4..6...\n.479..5..\n1958.7...\n2..1....."
OPEN = ["open", "-m", "sudoku", "-p", PUZZLE, "--policies", "confidence,boe", "--no-config"]
RECORDINGS = ["examples/trajectories/sudoku-greedy.jsonl", "examples/trajectories/sudoku-boe.jsonl"]
ALLOWED = 2 << 20  # bytes that rounds may add: caches, histories up to their limits

# What a person does, as keys and as commands: the first only look, the others change the decode.
LOOKS = [b"b", b"5b", b"gg", b"\t", b"l", b"e", b"o", b"h", b"j", b"k", b"v", b"?q", b"d", b"L", b"(", b")", b"z", b"T", b"\x0c",
         b"\033[<0;20;10M\033[<0;20;10m", b"\033[<64;20;10M", b"w", b"x\033", b"O", b"p\033"]
LOOKING = ["first", "goto 3", "goto 9", "position 7", "position 40", "search H>1", "search 5", "color entropy", "color tis",
           "color influence", "color orders", "color state", "detail influence", "detail truth", "detail inspector", "detail scores",
           "detail attention", "detail candidates", "mark a", "mark-go a", "theme light", "theme dark", "nonsense", "speed 50"]
CHANGES = [b"s", b"5s", b"r\033", b"u", b"\x12", b"a", b"A", b"X", b"K\033", b"E\033", b"M\033"]
CHANGING = ["step", "5 step", "remask", "undo", "redo", "set rho 0.5", "policy margin", "policy boe", "note hello", "seed 3", "branch",
            "restart", "pane-add entropy"]


class Session:
    """A workbench and what its memory was after each round."""

    def __init__(self, args, folder):
        self.heap_file = os.path.join(folder, f"heap{time.monotonic_ns()}")
        self.s = Screen(args, {"FAULT_HEAP": self.heap_file, "ASAN_OPTIONS": "exitcode=99:quarantine_size_mb=8"})
        self.s.wait_drawn(b"\033[?1049h")
        self.s.settle(0.3)

    def press(self, keys, quiet=0.015):
        self.s.send(keys)
        self.s.settle(quiet, 5)
        self.s.drawn = self.s.drawn[-4096:] if b"\033[?1049l" not in self.s.drawn else self.s.drawn

    def command(self, line):
        self.press(b"\033:" + line.encode() + b"\r")

    def heap(self):
        """Bytes in use, the least of a moment: a step that is computed takes some."""
        self.s.pump(0.2)
        with open(self.heap_file) as f:
            return min(map(int, f.read().split()[-3:]))

    def alive(self):
        return self.s.p.poll() is None


def settle_in(w):
    """One look of each kind to its end: the room that the model computes in is made then, and kept."""
    for detail in ("influence", "truth", "scores", "attention", "candidates", "inspector"):
        w.command(f"detail {detail}")
        w.s.settle(0.5, 60)


def look(w, rng, folder):
    """Ends where it began."""
    for _ in range(6):
        w.press(rng.choice(LOOKS))
        w.command(rng.choice(LOOKING))
    w.s.resize(rng.randint(80, 200), rng.randint(24, 60))
    w.command(f"write {folder}/run.jsonl")
    w.command(f"export {rng.choice(('html', 'svg', 'md', 'csv', 'json'))} {folder}/page")
    w.command(f"open {RECORDINGS[0]} {RECORDINGS[1]}")
    for _ in range(4):
        w.press(rng.choice(LOOKS))
        w.command(rng.choice(LOOKING))
    w.command("open")
    for line in ("goto 0", "position 0", "color state", "detail inspector", "theme dark"):
        w.command(line)
    w.s.resize(120, 40)


def change(w, rng, folder):
    for _ in range(8):
        w.press(rng.choice(CHANGES))
        w.command(rng.choice(CHANGING))
    w.command(f"record {folder}/run")
    w.press(b"\x17c")
    look(w, rng, folder)


def session(c, doing, rng, seconds, folder):
    """One workbench from start to end; what was in use after each round."""
    w, heap = Session(OPEN, folder), []
    w.command("goto 12")
    if doing is look:
        settle_in(w)
    until = time.monotonic() + seconds
    while time.monotonic() < until and w.alive():
        doing(w, rng, folder)
        heap.append(w.heap())
    went_on, most = w.alive(), w.s.memory_kib()
    for _ in range(3):
        w.press(b"\033", 0.1)
    w.press(b"Q")
    code, said = w.s.end(60)
    c.check(went_on and code == 0 and not said, f"{doing.__name__}, {len(heap)} rounds: exit {code}, {said[-3000:]!r}")
    w.s.close()
    print(f"{doing.__name__}, after each round, KiB:", " ".join(str(x // 1024) for x in heap), flush=True)
    return heap, most


def use(c, seconds, each, folder):
    rng = random.Random(1)
    rounds, worst, most = 0, 0, 0
    for _ in range(max(1, round(seconds / (2 * each)))):
        for doing in (look, change):
            heap, resident = session(c, doing, rng, each, folder)
            rounds, most = rounds + len(heap), max(most, resident)
            if doing is look and len(heap) > 5:
                worst = max(worst, growth(heap))
    return rounds, worst, most


def growth(heap):
    """What the last two thirds of rounds added, in bytes, but for the largest step: a thread that takes part in some
    product for the first time makes its room then, and on a busy machine a look may still be computed."""
    steps = [b - a for a, b in zip(heap, heap[1:])][len(heap) // 3:]
    return sum(steps) - max(steps)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 16
    each = float(sys.argv[2]) if len(sys.argv) > 2 else 8
    c = Checks("soak")
    with tempfile.TemporaryDirectory() as folder:
        rounds, worst, most = use(c, seconds, each, folder)
    c.check(worst <= ALLOWED, f"memory grows by {worst} bytes in two thirds of the rounds")
    c.finish(f", {rounds} rounds, growth of the last two thirds {worst / 1024:.0f} KiB, at most {most // 1024} MiB resident")


main()
