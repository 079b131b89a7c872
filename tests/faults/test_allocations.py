#!/usr/bin/env python3
"""Every call for memory fails in turn: the program ends with one line and the files as they should be, or does what
it does otherwise.

test_allocations.py [--places | --every] [--only NAME] [--jobs N]

A place is a call for memory with its innermost callers. By default the first call of some places of every case fails,
alone or with all that follow it; with --places that of every place, both ways; with --every each single call.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "cli")]
import gguf_support
from faulty import LLADA, Checks, is_prefix, run, said_once, timeless, whole_lines

RECORDING = "examples/trajectories/story-boe.jsonl"
SMALL = ["--prompt-tokens", "[5,47,47,6]", "-q"]

FEW = 40  # places of a case, about

# What is run, in a folder of its own that stands for @; the file of JSON lines that it leaves there, if any, which may
# be cut short after a whole line; one that is either whole or not there; whether the output has times in it; and
# whether it is a screen, on which a failure is told until the next key.
Case = collections.namedtuple("Case", "name args lines whole timed screen", defaults=(None, None, False, False))
CASES = [
    Case("info", ["info", "sudoku"]),
    Case("info-gguf", ["info", "@/small.gguf"]),
    Case("run", ["run", "-m", LLADA, *SMALL, "--policy", "boe", "--record", "@/a.jsonl"], "a.jsonl"),
    Case("run-text", ["run", "-m", "story", "-p", "Tom has 3 apples.", "--length", "2", "--until", "x", "-q"]),
    Case("score", ["score", "-m", LLADA, "--tokens", "[1,47,47,2]", "--policy", "boe", "--tis", "all", "--truth", "-q"]),
    Case("score-json", ["score", "-m", "sudoku", "-p", "12<mask>4", "--policy", "confidence", "--json", "-q"]),
    Case("tokenize", ["tokenize", "-m", "story", "Once upon a time"]),
    Case("verify", ["verify", "@/kept.jsonl", "-m", LLADA, "-q"]),
    Case("replay", ["replay", "--dump-screen", "100x30", "--at", "3", RECORDING], screen=True),
    Case("export-json", ["export", "@/kept.jsonl", "--to", "json", "-o", "@/x.json"], None, "x.json"),
    Case("export-html", ["export", "@/kept.jsonl", "--to", "html"]),
    Case("export-svg", ["export", "@/kept.jsonl", "--to", "svg"]),
    Case("export-md", ["export", "@/kept.jsonl", "--to", "md"]),
    Case("export-csv", ["export", "@/kept.jsonl", "--to", "csv"]),
    Case("export-cast", ["export", "@/kept.jsonl", "--to", "cast"]),
    Case("eval", ["eval", "-m", "story", "--task", "story", "-n", "1", "--policies", "confidence", "--lengths", "2", "--jobs",
                  "1", "--results", "@/r.jsonl", "--csv", "-q"], "r.jsonl", timed=True),
    Case("screen", ["open", "-m", LLADA, *SMALL[:2], "--dump-screen", "100x30", "--keys", "sslejjKx"], screen=True),
    Case("commands", ["open", "-m", LLADA, *SMALL[:2], "--exec",
                      "step; step; position 1; remask; undo; redo; step; note hello; branch x; write @/w.jsonl"], None, "w.jsonl"),
    Case("lessons", ["lesson", "--list"]),
]


def contents(path):
    """Of a file that is whole; a recording without its times."""
    if path.endswith(".jsonl"):
        lines, torn = whole_lines(path)
        return timeless(lines), torn
    with open(path, "rb") as f:
        return f.read()


def filled(args, folder):
    return [a.replace("@", folder) for a in args]


class Trial:
    """One case in a folder, and what it does when nothing fails."""

    def __init__(self, case, folder):
        self.case, self.folder = case, folder
        trace = os.path.join(folder, "trace")
        self.reference = run(filled(case.args, folder), {"FAULT_TRACE": trace})
        with open(trace) as f:
            self.calls, *self.places = map(int, f)
        self.lines = whole_lines(self.path(folder, case.lines))[0] if case.lines else None
        self.whole = contents(self.path(folder, case.whole)) if case.whole else None

    @staticmethod
    def path(folder, name):
        return os.path.join(folder, name)

    def wrong_files(self, folder, code):
        left = [x for x in os.listdir(folder) if x.endswith(".tmp")]
        if left:
            return f"{left} is left"
        for name in filter(None, (self.case.lines, self.case.whole)):
            if code == 0 and not os.path.exists(self.path(folder, name)):
                return f"{name} is missing"
            if os.path.exists(self.path(folder, name)):
                wrong = (self.wrong_lines if name == self.case.lines else self.wrong_whole)(self.path(folder, name), code)
                if wrong:
                    return f"{name} {wrong}"
        return None

    def wrong_whole(self, path, code):
        return None if contents(path) == self.whole else "has other contents"

    def wrong_lines(self, path, code):
        lines, torn = whole_lines(path)
        if torn:
            return "is torn"
        unfinished = lines and lines[-1].get("type") == "closing" and not lines[-1].get("complete")
        if not is_prefix(lines[:-1] if unfinished else lines, self.lines):
            return "has other lines"
        return "is not complete" if code == 0 and len(lines) != len(self.lines) else None

    def wrong(self, how):
        """What is wrong when memory is short in that way, or None."""
        with tempfile.TemporaryDirectory() as folder:
            for kept in ("kept.jsonl", "small.gguf"):
                os.link(self.path(self.folder, kept), self.path(folder, kept))
            end = run(filled(self.case.args, folder), {"FAULT_ALLOC": how})
            if end.code == 124:  # perhaps the whole machine stood still
                end = run(filled(self.case.args, folder), {"FAULT_ALLOC": how})
            if end.code == 0 and not self.case.screen and self.plain(end.out, folder) != self.plain(self.reference.out, self.folder):
                return f"succeeds with other output, {end}"
            if end.code and not said_once(end):
                return f"{end}"
            partly = "what was printed is not complete" in end.err
            if end.code and not partly and not self.plain(self.reference.out, self.folder).startswith(self.plain(end.out, folder)):
                return f"fails with other output, {end}"
            return self.wrong_files(folder, end.code)

    def plain(self, out, folder):
        out = out.replace(folder.encode(), b"@")
        return re.sub(rb"\d+\.\d+(e-\d+)?", b"#", out) if self.case.timed else out


def ways(trial, options):
    """Of the few, one in five with all that follow."""
    places = sorted(trial.places)
    if options.every:
        return [str(n) for n in range(1, trial.calls + 1)]
    if options.places:
        return [str(n) for n in places] + [f"{n}+" for n in places]
    step = max(1, len(places) // FEW)
    return [f"{n}+" if i % 5 == 4 else str(n) for i, n in enumerate(places[::step])]


def try_case(c, case, folder, options):
    trial = Trial(case, folder)
    c.check(trial.reference.code == 0, f"{case.name}: {trial.reference}")
    how = ways(trial, options)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for way, wrong in zip(how, pool.map(trial.wrong, how)):
            c.check(not wrong, f"{case.name}: FAULT_ALLOC={way}: {wrong}")
    return trial.calls, len(how)


def prepare(folder):
    """What some cases read."""
    end = run(["run", "-m", LLADA, *SMALL, "--policy", "boe", "--record", f"{folder}/kept.jsonl"])
    if end.code:
        sys.exit(f"cannot record: {end}")
    gguf_support.write(f"{folder}/small.gguf")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--every", action="store_true")
    p.add_argument("--places", action="store_true")
    p.add_argument("--only")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    options = p.parse_args()
    c = Checks("allocations")
    calls = tried = 0
    for case in CASES:
        if options.only and options.only != case.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            prepare(folder)
            n, k = try_case(c, case, folder, options)
            calls, tried = calls + n, tried + k
            print(f"{case.name}: {n} calls, {k} runs with a failure", flush=True)
    c.finish(f", {calls} calls for memory, {tried} runs in which some failed")


main()
