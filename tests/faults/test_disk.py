#!/usr/bin/env python3
"""The disk is full, writes are short, flushing fails, and two processes want the same file. What was written before is
whole and can be used, the failure is told, and an evaluation goes on when there is room again."""
import os
import resource
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faulty import ENV, LLADA, PROGRAM, Checks, is_prefix, run, said_once, timeless, whole_lines

RUN = ["run", "-m", LLADA, "--prompt-tokens", "[5,6]", "--length", "6", "--policy", "boe", "-q", "--record"]
EVAL = ["eval", "-m", LLADA, "--task", "sudoku"]
STORY = ["eval", "-m", "story", "--task", "story", "-n", "3", "--policies", "confidence", "--lengths", "3", "--jobs", "2", "-q",
         "--csv", "--results"]


def limit_files(n):
    """The kernel's own limit: a write is cut short there, and the next one fails. The signal that comes with it would
    end a program that does not expect it."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (n, n))


def usable(c, path, what):
    """The recording opens, cut short or not."""
    end = run(["export", path, "--to", "json", "-q"])
    c.check(end.code == 0, f"{what}: cannot be read: {end}")


def recordings(c, folder, want):
    size = os.path.getsize(f"{folder}/want.jsonl")
    # Times have more digits or fewer, so not quite up to its size.
    for n in sorted({0, 1, 100, *range(size // 9, size - 200, size // 9), size - 200}):
        for how, arguments in (("FAULT_DISK", {"env": {"FAULT_DISK": str(n)}}), ("limit", {"before": limit_files(n)})):
            path, what = f"{folder}/full.jsonl", f"recording, {how} {n} of {size}"
            end = run([*RUN, path], **arguments)
            c.check(said_once(end) and path in end.err, f"{what}: {end}")
            lines, torn = whole_lines(path)
            unfinished = lines and lines[-1].get("type") == "closing" and not lines[-1]["complete"]
            c.check(not torn and is_prefix(lines[:-1] if unfinished else lines, want), f"{what}: {len(lines)} lines, torn {torn}")
            if lines:
                usable(c, path, what)
    for n in (1, 7, 1000):
        end = run([*RUN, f"{folder}/short.jsonl"], {"FAULT_SHORT": str(n)})
        lines, torn = whole_lines(f"{folder}/short.jsonl")
        c.check(end.code == 0 and not torn and timeless(lines) == timeless(want), f"recording, writes of {n} bytes: {end}")


def saved(c, folder):
    """What the workbench writes is all there or not at all, and an older file stays."""
    command = ["open", "-m", LLADA, "--prompt-tokens", "[5,47,47,6]", "--exec", f"step; write {folder}/saved.jsonl"]
    c.check(run(command).code == 0, "the workbench writes")
    with open(f"{folder}/saved.jsonl", "rb") as f:
        before = f.read()
    for env in ({"FAULT_DISK": "0"}, {"FAULT_DISK": "700"}, {"FAULT_DISK": str(len(before) - 200)}, {"FAULT_SYNC": "1"}):
        end = run(command, env)
        c.check(said_once(end), f"write with {env}: {end}")
        with open(f"{folder}/saved.jsonl", "rb") as f:
            c.check(f.read() == before, f"write with {env}: the older file is kept")
        c.check(not [x for x in os.listdir(folder) if x.endswith(".tmp")], f"write with {env}: nothing is left over")


def exports(c, folder):
    """A document that does not fit on the disk is not left in part, and does not destroy the one before."""
    for to in ("json", "html", "svg", "md", "csv", "cast"):
        command = ["export", f"{folder}/want.jsonl", "--to", to, "-q", "-o", f"{folder}/document"]
        c.check(run(command).code == 0, f"export to {to}")
        with open(f"{folder}/document", "rb") as f:
            whole = f.read()
        for n in (0, len(whole) // 2, len(whole) - 1):
            end = run(command, before=limit_files(n))
            c.check(said_once(end) and "document" in end.err, f"export to {to}, {n} bytes: {end}")
            with open(f"{folder}/document", "rb") as f:
                c.check(f.read() == whole, f"export to {to}, {n} bytes: the older file is kept")
            c.check(sorted(os.listdir(folder)).count("document") == 1 and not
                    [x for x in os.listdir(folder) if x.endswith(".tmp")], f"export to {to}: nothing is left over")
        with open(f"{folder}/out", "wb") as out:
            end = run(command[:-2], stdout=out, before=limit_files(len(whole) // 2))
        c.check(said_once(end) and "standard output" in end.err, f"export to standard output: {end}")


def evaluations(c, folder):
    end = run([*STORY, f"{folder}/want-results.jsonl"])
    c.check(end.code == 0, f"evaluation: {end}")
    want = {x["key"]: timeless(x) for x in whole_lines(f"{folder}/want-results.jsonl")[0]}
    size, path = os.path.getsize(f"{folder}/want-results.jsonl"), f"{folder}/results.jsonl"
    for env, before in [({"FAULT_DISK": str(n)}, None) for n in (0, 1, size // 3, size // 2, size - size // 8)] + \
                       [({"FAULT_SYNC": "1"}, None), ({}, limit_files(size // 2))]:
        what = f"evaluation, {env or 'limit'} of {size}"
        if os.path.exists(path):
            os.remove(path)
        end = run([*STORY, path], env, before=before)
        c.check(said_once(end) and path in end.err, f"{what}: {end}")
        lines, torn = whole_lines(path)
        c.check(not torn and all(timeless(x) == want[x["key"]] for x in lines), f"{what}: whole lines, torn {torn}")
        end = run([*STORY, path], {"FAULT_SHORT": "11"})
        got = whole_lines(path)[0]
        c.check(end.code == 0 and {x["key"]: timeless(x) for x in got} == want and len(got) == len(want),
                f"{what}: goes on: {end}")


def two_writers(c, folder):
    """The second one is refused and changes nothing; once the first has ended, the file can be had."""
    path = f"{folder}/shared.jsonl"
    slow = ["run", "-m", "sudoku", "-p", "\n".join(["." * 9] * 9), "--policy", "oracle", "--rho", "1", "--record", path]
    first = subprocess.Popen([PROGRAM, *slow], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV)
    while first.poll() is None and (not os.path.exists(path) or os.path.getsize(path) < 3000):
        pass
    end = run([*RUN, path])
    c.check(end.code == 2 and said_once(end) and "another run is recording to it" in end.err, f"a second recorder: {end}")
    end = run(["open", "-m", LLADA, "--prompt-tokens", "[5,47]", "--exec", f"step; write {path}"])
    c.check(end.code == 2 and said_once(end) and "another run is recording to it" in end.err, f"a writing workbench: {end}")
    first.send_signal(signal.SIGTERM)
    first.wait(60)
    lines, torn = whole_lines(path)
    c.check(not torn and lines[0]["model"]["name"] == "sudoku" and lines[-1]["type"] == "closing", "the first one's file is whole")
    c.check([x["step"] for x in lines[1:-1]] == list(range(len(lines) - 2)), "with all its steps")
    c.check(run([*RUN, path]).code == 0, "afterwards the file can be had")
    usable(c, path, "the file of two")


def main():
    c = Checks("disk")
    with tempfile.TemporaryDirectory() as folder:
        end = run([*RUN, f"{folder}/want.jsonl"])
        c.check(end.code == 0, f"recording: {end}")
        recordings(c, folder, whole_lines(f"{folder}/want.jsonl")[0])
        saved(c, folder)
        exports(c, folder)
        evaluations(c, folder)
        two_writers(c, folder)
    c.finish()


main()
