#!/usr/bin/env python3
"""The manual page and the shell completions say what the program says: commands, options, policies, choices.

The completions are those of the build that $TABES belongs to.
"""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from support import TABES, Checks, tabes

c = Checks("docs")
LONG = r"--([a-z][a-z-]*)"
RECORDING = "examples/trajectories/sudoku-boe.jsonl"


# ---- the program ----

def help_of(*command):
    code, out, message = tabes(*command, "--help")
    assert code == 0 and message == "", f"{command} --help"
    return out


def own_options(text):
    """Long options that a help text lists, up to the policies' parameters."""
    return set(re.findall(r"^  (?:-., |    )" + LONG, text.split("\nPolicy parameters")[0], re.M)) | {"help"}


commands = re.findall(r"^  ([a-z]+) ", help_of(), re.M)
policies = json.loads(tabes("policies", "--json")[1])
params = {p["option"]: p for policy in policies for p in policy["params"]}
helps = {name: help_of(name) for name in commands}
own = {name: own_options(text) for name, text in helps.items()}
full = {name: own[name] | (set(params) if "\nPolicy parameters" in helps[name] else set()) for name in commands}
switched_off = {"no-" + name for name, p in params.items() if p["type"] == "bool"}


# ---- the manual page ----

def sections(page):
    """Text of the page by (section, subsection)."""
    found, here = {}, ("", "")
    for line in page.split("\n"):
        if line.startswith(".Sh "):
            here = (line[4:].strip(), "")
        elif line.startswith(".Ss "):
            here = (here[0], line[4:].strip())
        found[here] = found.get(here, "") + line + "\n"
    return found


def fl_options(text):
    return set(re.findall(r"\bFl -([a-z][a-z-]*)", text))


page = Path("docs/tabes.1").read_text()
parts = sections(page)
shared = set().union(*(fl_options(t) for (s, _), t in parts.items() if s in ("DESCRIPTION", "OPTIONS", "POLICIES")))
for name in commands:
    text = parts.get(("COMMANDS", name))
    if c.check(text is not None, f"manual page: a subsection of {name}"):
        missing = own[name] - fl_options(text) - shared
        c.check(not missing, f"manual page: options of {name}: {sorted(missing)}")
        listed = set(re.findall(r"^\.It (?:Fl . , )?Fl -([a-z-]+)", text, re.M))
        c.check(listed <= own[name], f"manual page: {name} has no {sorted(listed - own[name])}")
known = set().union(*full.values()) | switched_off | {"version"}
c.check(fl_options(page) <= known, f"manual page: unknown options {sorted(fl_options(page) - known)}")
described = [name for section, name in parts if section == "COMMANDS" and name]
c.check(set(described) <= set(commands), f"manual page: unknown commands {sorted(set(described) - set(commands))}")
letters = set(re.findall(r"^  -(.), ", "".join(helps.values()), re.M)) | {"h", "V"}
in_page = set(re.findall(r"\bFl ([A-Za-z])\b", page))
c.check(in_page == letters, f"manual page: letters {sorted(in_page ^ letters)}")
table = parts[("POLICIES", "")]
names = re.findall(r"^\.It Cm ([a-z0-9-]+)$", table, re.M)
c.check(names == [p["name"] for p in policies], f"manual page: policies {names}")
explained = set(re.findall(r"^\.It Fl -([a-z-]+)", table, re.M))
c.check(explained == set(params), f"manual page: parameters {sorted(explained ^ set(params))}")
bindings = Path("tui/key_table.c").read_text()
keys = {k for line in re.findall(r"^\.It Ic (.*)", parts[("KEYS", "")], re.M) for k in line.split() if len(k) == 1}
unbound = [k for k in sorted(keys - {","}) if f"'{k}'" not in bindings]
c.check(len(keys) > 5 and not unbound, f"manual page: keys {unbound} do nothing")

# Every variable that the sources read.
sources = [f for room in ("kernels", "engine", "bench", "replay", "eval", "tui", "cli") for f in Path(room).rglob("*.c")]
variables = {v for f in sources for v in re.findall(r'(?:getenv|is_set)\("([A-Z_]+)"\)', f.read_text())}
for name in sorted(variables - {"HOME"}):
    c.check(re.search(r"\bEv " + name + r"\b", page), f"manual page: {name}")

for tool in (["mandoc", "-Tlint", "-Wwarning"], ["groff", "-mandoc", "-ww", "-Tutf8", "-z"]):
    if not shutil.which(tool[0]):
        print(f"docs: {tool[0]} is not installed, so the page is not checked with it")
        continue
    p = subprocess.run([*tool, "docs/tabes.1"], capture_output=True, text=True)
    c.check(not p.stdout and not p.stderr, f"{tool[0]}: {p.stdout}{p.stderr}")


# ---- the completions ----

folder = Path(TABES).parent / "completions"
if not (folder / "tabes.bash").exists():
    print(f"docs: {folder} has no completions: build the target tabes_completions")
    sys.exit(1)
bash, zsh, fish = ((folder / name).read_text() for name in ("tabes.bash", "_tabes", "tabes.fish"))


def of_bash(command):
    line = re.search(rf"^    {command}\) echo '(.*)' ;;$", bash, re.M)
    return set(re.findall(r"(?<!\S)" + LONG, line[1])) if line else set()


def of_zsh(command):
    body = re.search(rf"^_tabes_{command}\(\) \{{\n(.*?)^\}}", zsh, re.M | re.S)
    return set(re.findall(rf"^ +(?:'\*?|'\([^)]*\)'\{{-.\+?,){LONG}", body[1], re.M)) if body else set()


def of_fish(command):
    found = {"help"} if "complete -c tabes -l help" in fish else set()
    for line in re.findall(rf"^complete -c tabes -n '__tabes_is [a-z ]*\b{command}\b[a-z ]*'(.*)", fish, re.M):
        found |= set(re.findall(r"^(?: -s .)? -l ([a-z-]+)", line))
    return found


for shell, options in (("bash", of_bash), ("zsh", of_zsh), ("fish", of_fish)):
    for name in commands:
        got = options(name)
        c.check(got == full[name], f"{shell}: {name} differs in {sorted(got ^ full[name])}")
names = [p["name"] for p in policies]
models = sorted(m.name for m in Path("examples/models").iterdir() if m.is_dir())
for what, words in (("commands", commands), ("policies", names), ("bundled", models)):
    got = re.search(rf"^_tabes_{what}='(.*)'$", bash, re.M)[1].split()
    c.check(got == words, f"bash: {what}: {got}")

# Choices: those of parameters are the program's; the program takes each of the others.
AROUND = {"open": ["--dump-screen", "20x5"], "replay": [RECORDING, "-m", "sudoku", "--dump-screen", "20x5"],
          "export": [RECORDING, "--to", "svg"], "verify": [RECORDING, "-m", "/nonexistent"],
          "run": ["-p", "x", "-m", "/nonexistent"], "eval": ["--task", "sudoku", "-m", "/nonexistent"], "score": ["-p", "x", "-m", "/nonexistent"]}
for patterns, words in re.findall(r"^    (\S+/\S+(?: \| \S+)*)\) _tabes_words '(.*)' ;;$", bash, re.M):
    for pattern in patterns.split(" | "):
        command, option = pattern.split("/")
        param = params.get(option[2:])
        if param:
            choices = ["on", "off"] if param["type"] == "bool" else param["choices"]
            c.check(words.split() == choices, f"choices of {pattern}: {words}")
            continue
        for word in words.split():
            around = AROUND.get(command, ["-m", "/nonexistent"] if "model" in own[command] else [])
            message = tabes(command, *around, option, word)[2]
            c.check("(see tabes" not in message, f"tabes {command} {option} {word}: {message.strip()}")
formats = re.search(r"export/--to\) _tabes_words '(.*)'", bash)[1].split()
offered = re.search(r"expected (.*)", tabes("export", RECORDING, "--to", "?")[2])[1]
c.check(formats == re.findall(r"[a-z]+", offered.split("(")[0].replace(" or ", " ")), f"export formats: {formats}")

c.finish()
