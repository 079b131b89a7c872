#!/usr/bin/env python3
"""The program and its modules as the linker left them: position-independent, nothing writable that runs, addresses
resolved and then read-only, no search path that others can move, checked calls of the C library, and none that runs a shell."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

from support import TABES, Checks, tabes

if not shutil.which("readelf"):
    print("skipped: readelf is not installed")
    sys.exit(77)
checks = Checks("test_hardening.py")
check = checks.check
PROGRAM = Path(TABES)
RELEASE = "Release" in tabes("--version")[1].split("libraries")[0]


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True, check=True).stdout


def imports(path):
    return {m[1] for m in re.finditer(r"\bUND\s+(\w+)", readelf("--dyn-syms", path))}


def linked(path, is_program):
    dynamic, segments = readelf("-d", path), readelf("-l", path)
    check("DYN" in readelf("-h", path), f"{path}: its place in memory is random")
    check(not is_program or re.search(r"FLAGS_1.*PIE", dynamic), f"{path}: a PIE")
    check("GNU_RELRO" in segments and re.search(r"BIND_NOW|FLAGS_1.*NOW", dynamic), f"{path}: full RELRO")
    check(re.search(r"GNU_STACK.*RW ", segments), f"{path}: the stack does not run")
    check(not re.search(r"LOAD.*RWE", segments), f"{path}: nothing is both writable and run")
    check("TEXTREL" not in dynamic, f"{path}: code is not relocated")
    # A build may name the folders of the libraries that it found; never one that follows the file or the caller.
    folders = [f for m in re.finditer(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic) for f in m[1].split(":")[:-1] + [m[1].split(":")[-1] or "/"]]
    check(all(f.startswith("/") for f in folders), f"{path}: libraries are looked for in {folders}")


def calls():
    names = imports(PROGRAM)
    bad = names & {"system", "popen", "wordexp", "execl", "execlp", "execle", "execvp", "execvpe", "fork", "vfork", "posix_spawn", "posix_spawnp", "gets", "tmpnam",
                   "mktemp", "strcpy", "sprintf"}
    check(not bad, f"calls that are not wanted: {bad}")
    check("execv" in names, "the one exec is that of the program itself (cli/main.c)")
    if RELEASE:
        check("__stack_chk_fail" in names, "stacks are guarded")
        checked = {n for n in names if n.endswith("_chk")}
        check(len(checked) > 5, f"calls of the C library are checked: {checked}")


def flags():
    """What shows in no table of the file: how it was compiled."""
    commands = PROGRAM.parent / "compile_commands.json"
    if not commands.exists():
        return
    text = commands.read_text()
    cache = (PROGRAM.parent / "CMakeCache.txt").read_text()
    for flag, known in (("-fstack-clash-protection", "has_fstack_clash_protection"), ("-fcf-protection", "has_fcf_protection")):
        check(flag in text or f"{known}:INTERNAL=1" not in cache, f"compiled with {flag}")
    level = 3 if "has_fortify_3:INTERNAL=1" in cache else 2
    check(not RELEASE or f"-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE={level}" in text, f"_FORTIFY_SOURCE={level}")


linked(PROGRAM, True)
for module in ("libtabes_mpi.so", "libtabes_cuda.so"):
    if (PROGRAM.parent / module).exists():
        linked(PROGRAM.parent / module, False)
calls()
flags()
checks.finish()
