#!/usr/bin/env python3
"""What zsh completes: an interactive zsh in a pseudo-terminal, a few lines, a Tab after each.

Needs zsh; the completion file is that of the build that $TABES belongs to.
"""
import os
import pty
import select
import shutil
import sys
import tempfile
import time
from pathlib import Path

from support import TABES, Checks

if not shutil.which("zsh"):
    print("zsh completion: skipped, zsh is not installed")
    sys.exit(77)

c = Checks("zsh completion")
build = Path(TABES).resolve().parent
CASES = [
    ("tabes rep", "tabes replay "),
    ("tabes run --poli", "tabes run --policy="),
    ("tabes run --policy=le", "tabes run --policy=left-to-right,"),  # a blank takes the comma's place
    ("tabes open --policy boe,mar", "tabes open --policy boe,margin,"),
    ("tabes --dev", "tabes --device="),
    ("tabes --v", "tabes --version "),
    ("tabes info --precision b", "tabes info --precision bf16 "),
    ("tabes export b.jsonl --to h", "tabes export b.jsonl --to html "),
    ("tabes run -m sto", "tabes run -m story "),
    ("tabes info su", "tabes info sudoku "),
    ("tabes replay b", "tabes replay b.jsonl "),
    ("tabes policies le", "tabes policies left-to-right "),
    ("tabes themes mono", "tabes themes monochrome "),
    ("tabes replay --theme proj", "tabes replay --theme projector "),
    ("tabes help ver", "tabes help verify "),
    ("tabes score --influ", "tabes score --influence "),
]
SETUP = """
PS1='> '; unsetopt beep zle_bracketed_paste 2>/dev/null
fpath=('%s' $fpath)
autoload -U compinit && compinit -u -D
show() { print -r -- "$BUFFER|" >>'%s/answers'; BUFFER=''; }
zle -N show; bindkey '^T' show
touch '%s/ready'
"""


def drain(fd):
    """Reads what the shell writes, so that it does not wait for us."""
    while select.select([fd], [], [], 0.02)[0]:
        try:
            if not os.read(fd, 65536):
                return
        except OSError:
            return


def wait(fd, condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        drain(fd)
        if condition():
            return True
    return False


with tempfile.TemporaryDirectory() as tmp:
    (Path(tmp) / "b.jsonl").touch()
    (Path(tmp) / "setup").write_text(SETUP % (build / "completions", tmp, tmp))
    answers = Path(tmp) / "answers"
    answers.touch()
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(tmp)
        env = {"HOME": tmp, "TERM": "xterm", "PATH": f"{build}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        os.execvpe("zsh", ["zsh", "-f", "-i"], env)
    os.write(fd, b". ./setup\r")
    if not wait(fd, (Path(tmp) / "ready").exists):
        c.check(False, "zsh did not start")
        c.finish()
    for i, (line, _) in enumerate(CASES):
        os.write(fd, line.encode() + b"\t\x14")
        if not wait(fd, lambda: len(answers.read_text().splitlines()) > i):
            break
    got = answers.read_text().splitlines()
    os.write(fd, b"exit\r")
    os.close(fd)
    os.waitpid(pid, 0)
for i, (line, want) in enumerate(CASES):
    answer = got[i][:-1] if i < len(got) else None
    c.check(answer == want, f"{line!r}: {answer!r}, expected {want!r}")
c.finish()
