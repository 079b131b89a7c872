#!/usr/bin/env python3
"""analyse_gcc.py BUILD FILE... - gcc's analyzer over sources as the build compiles them, without writing an object.

Prints what it finds but for what scripts/gcc-analyzer.txt knows; ends with 1 where there is something. gcc 12 takes a
value that memcpy fills with the bytes of another type for uninitialised, so that is left to clang. TABES_ANALYSIS:
engine/base/status.h tells the tools what they cannot see from one file.
"""
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

OPTIONS = ["-O0", "-U_FORTIFY_SOURCE", "-fanalyzer", "-DTABES_ANALYSIS", "-Wno-unused-value",
           "-Wno-analyzer-use-of-uninitialized-value", "-fdiagnostics-path-format=none"]


def analyse(name, entry, known):
    """What is found in a file, a line each."""
    if not entry:
        return [f"analyse: {name} is not part of the build"]
    args = shlex.split(entry["command"])
    args[args.index("-o") + 1] = "/dev/null"
    args = [a for a in args if a not in ("-O3", "-Werror")] + OPTIONS
    p = subprocess.run(args, cwd=entry["directory"], capture_output=True, text=True)
    found = [line for line in p.stderr.splitlines() if "warning:" in line or "error:" in line]
    found = [line for line in found if not any(name == k[0] and f"[-Wanalyzer-{k[1]}]" in line for k in known)]
    return found or ([f"analyse: gcc failed on {name}: {p.stderr}"] if p.returncode else [])


def main():
    build, names = sys.argv[1], sys.argv[2:]
    with open(f"{build}/compile_commands.json") as f:
        entries = {e["file"]: e for e in reversed(json.load(f))}  # the program's, not a test's other build of it
    with open("scripts/gcc-analyzer.txt") as f:
        known = [line.split()[:2] for line in f if line[0] != "#"]
    with ThreadPoolExecutor(2) as pool:
        found = sum(pool.map(lambda n: analyse(n, entries.get(os.path.abspath(n)), known), names), [])
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)


main()
