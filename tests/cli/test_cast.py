#!/usr/bin/env python3
"""`tabes export --to cast`: every line is what asciinema's format says, every state is one screen, nothing of a token's
bytes reaches a terminal, and what the last screen shows is the recording's result."""
import json
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import Checks, tabes

FILES = ["examples/trajectories/sudoku-greedy.jsonl", "examples/trajectories/sudoku-boe.jsonl"]
ESCAPES = re.compile(r"\x1b\[(?:0(?:;\d+)*m|\d+;1H|\?25[lh]|2J)")


def cast(c, *args):
    code, out, message = tabes("export", *args, "--to", "cast")
    c.check(code == 0 and message == "", f"{args}: exit code {code}: {message}")
    lines = [json.loads(line) for line in out.splitlines()]
    return lines[0], lines[1:]


def frames(c):
    head, events = cast(c, *FILES, "--size", "120x40", "--speed", "4")
    c.check((head["version"], head["width"], head["height"]) == (2, 120, 40), f"header: {head}")
    c.check(head["title"] == "tabes: sudoku by confidence beside boe", head["title"])
    times = [t for t, _, _ in events]
    c.check(times == sorted(times) and all(kind == "o" for _, kind, _ in events), "times ascend, all is output")
    screens = [text for _, _, text in events[1:-1]]
    with open(FILES[0]) as f:
        steps = sum(json.loads(line)["type"] == "step" for line in f)
    c.check(len(screens) == steps + 1, f"{len(screens)} screens for {steps} steps")
    c.check(abs(times[2] - 0.25) < 1e-6, f"4 states per second: {times[:4]}")
    for i, text in enumerate(screens):
        plain = ESCAPES.sub("", text)
        c.check("\x1b" not in plain and not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]", plain), f"screen {i}: only known escapes")
        c.check(f"step {i}/" in plain, f"screen {i} shows state {i}")
        c.check(len(re.findall(r"\x1b\[\d+;1H", text)) == 40, f"screen {i} has all rows")


def one_and_hostile(c, folder):
    head, events = cast(c, FILES[1])
    c.check((head["width"], head["height"]) == (100, 30) and len(events) > 3, "one recording, the usual size")
    hostile = os.path.join(folder, "hostile.jsonl")
    with open(FILES[1]) as f:
        text, n = re.subn(r'"text":"[^"]*"', r'"text":"\\u001b]0;x\\u0007"', f.read())
    c.check(n > 0, "the recording carries texts")
    with open(hostile, "w") as f:
        f.write(text)
    _, events = cast(c, hostile)
    c.check(all("\x1b]" not in text and "\x07" not in text for _, _, text in events), "a token's bytes are filtered")


def refusals(c):
    for args, part in ((["--size", "10x10"], "80x24"), (["--size", "wide"], "WxH"), (["--speed", "0"], "--speed"),
                       (["--at", "2"], "--at"), (["--color", "tis"], "--color")):
        code, out, message = tabes("export", FILES[0], "--to", "cast", *args)
        c.check(code == 2 and not out and part in message and message.count("\n") == 1, f"{args}: {code} {message!r}")
    code, _, message = tabes("export", FILES[0], "--to", "csv", "--size", "80x24")
    c.check(code == 2 and "cast alone" in message, f"csv with a size: {message!r}")


def main():
    c = Checks("cli cast")
    frames(c)
    with tempfile.TemporaryDirectory() as folder:
        one_and_hostile(c, folder)
    refusals(c)
    c.finish()


main()
