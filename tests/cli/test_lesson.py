#!/usr/bin/env python3
"""tabes lesson: the list, every bundled lesson played through unseen, the documented example, and what is wrong with
lessons that strangers wrote, with file and line."""
import json
import re
import tempfile
from pathlib import Path

from support import Checks, tabes

BUNDLED = ["masking", "greedy", "entropy", "tis", "first-order", "aqa", "remasking", "fair"]
GOOD = """title: Small
about: two masks
model: sudoku
prompt-file: p.txt
policies: confidence
== One
Here are {count masked} masks.
do: first
mark: next
ask: How many?
- one
+ two
--
Two it is.
"""
checks = Checks("test_lesson.py")
check = checks.check
folder = tempfile.TemporaryDirectory()
room = Path(folder.name)
(room / "p.txt").write_text("1234\n34.2\n2143\n43.1\n")


def lesson(text, name="own.lesson"):
    (room / name).write_text(text)
    return str(room / name)


def test_list():
    for args in ([], ["--list"]):
        code, out, message = tabes("lesson", *args)
        rows = [line.split("\t") for line in out.splitlines()]
        check(code == 0 and not message, f"lesson {args}: {code} {message}")
        check([r[0] for r in rows] == BUNDLED, f"lesson {args}: {out}")
        check(all(len(r) == 3 and all(r) for r in rows), f"name, title, subject: {out}")
    code, out, _ = tabes("lesson", "--json")
    listed = json.loads(out)
    check(code == 0 and [x["name"] for x in listed] == BUNDLED, f"--json: {out}")
    check(all(x["steps"] >= 7 and Path(x["path"]).is_file() for x in listed), f"--json: {out}")


def test_bundled():
    """Every step fits, every command works, every highlight and answer is there; and viewers are asked."""
    code, out, message = tabes("lesson", "--check", timeout=250)
    check(code == 0 and not message, f"--check: {message}")
    check([line.split(":")[0] for line in out.splitlines()] == BUNDLED, f"--check: {out}")
    for name in BUNDLED:
        text = Path(f"examples/lessons/{name}.lesson").read_text()
        check(len(re.findall("^ask:", text, re.M)) >= 2, f"{name}: fewer than two predictions")


def test_documented():
    page = Path("docs/lessons.md").read_text()
    example = re.search(r"```lesson\n(.*?)```", page, re.S)
    code, out, message = tabes("lesson", "--check", lesson(example[1], "example.lesson"))
    check(code == 0 and out == "example: 3 steps, ok\n", f"the example of docs/lessons.md: {message}")
    names = re.findall(r'^    X\("([a-z-]+)"', Path("tui/lessons/sets.c").read_text(), re.M)
    check(len(names) > 20, f"sets found: {names}")
    table = page[page.index("## Sets"):]
    for name in names:
        check(f"`{name}`" in table, f"docs/lessons.md misses the set {name}")


def test_played():
    path = lesson(GOOD)
    code, out, message = tabes("lesson", path, "--no-config", "--dump-screen", "80x24")
    check(code == 0, f"play: {message}")
    for part in ("Small", "1/1 One", "Here are 2 masks.", "How many?", " 2  two"):
        check(part in out, f"'{part}' is not on the screen:\n{out}")
    _, out, _ = tabes("lesson", path, "--no-config", "--dump-screen", "120x40", "--keys", "2")
    check("Right: 2, two" in out and "Two it is." in out and "1 of 1 right" in out, f"right answer:\n{out}")
    _, out, _ = tabes("lesson", path, "--no-config", "--dump-screen", "80x24", "--exec", "lesson-answer 1")
    check("Not so: 2, two" in out and "0 of 1 right" in out, f"wrong answer:\n{out}")
    code, _, message = tabes("lesson", path, "--no-config", "--dump-screen", "80x24", "--exec", "lesson-answer 4")
    check(code == 2 and "answer 4, expected 1..2" in message, f"no such answer: {message}")


def refused(text, where, what):
    path = lesson(text, "bad.lesson")
    code, out, message = tabes("lesson", "--check", path)
    ok = code == 2 and message.count("\n") == 1 and f"{path}{where}" in message and what in message and not out
    check(ok, f"expected {where} {what}: exit {code}, {message}")


def test_refused():
    refused(GOOD.replace("mark: next", "mark: nexxt"), ":9:7: ", "'nexxt' is no position")
    refused(GOOD.replace("mark: next", "mark: 99"), ":6: ", "past the end")
    refused(GOOD.replace("{count masked}", "{tis 0}"), ":6: ", "tis of position 0 is not known")
    refused(GOOD.replace("do: first", "do: set foo 1"), ":6: step 1, command:1: ", 'no parameter is called "foo"')
    refused(GOOD.replace("do: first", "do: quit"), ":8:5: ", "not for lessons")
    refused(GOOD.replace("Two it is.", "Much too long. " * 60), ":13: ", "lines at 80x24")
    refused(GOOD.replace("policies: confidence\n", "policies: confidence\nset: rho 0.5\n"), "", "'rho'")
    refused(GOOD.replace("model: sudoku", "model: ./none"), "", "none")
    refused(GOOD.replace("p.txt", "q.txt"), "", "q.txt")
    refused(GOOD.replace("policies: confidence", "policies: mauve"), ":5:11: ", "'mauve' is no policy")
    refused(GOOD.replace("== One", "x: y"), ":6:1: ", "expected title:")


def test_usage():
    for args, what in ((["masing"], "is it masking"), (["none/at/all.lesson"], "all.lesson"), (["-m", "story", "tis"], "brings its own"),
                       (["masking", "greedy"], "one lesson at a time"), (["--list", "tis"], "takes no name")):
        code, out, message = tabes("lesson", *args)
        check(code == 2 and what in message and not out, f"lesson {args}: exit {code}, {message}")


for test in (test_list, test_bundled, test_documented, test_played, test_refused, test_usage):
    test()
checks.finish()
