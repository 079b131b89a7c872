#!/usr/bin/env python3
"""tabes eval under mpirun: two processes give what one gives, each item is decoded once, a results file goes from one
number of processes to another, and a failure ends all of them. $MPIEXEC is Open MPI's launcher."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import ENV, TABES, Checks, tabes

c = Checks("eval_mpi")
folder = tempfile.mkdtemp()
MPI = [os.environ.get("MPIEXEC", "mpirun"), "--oversubscribe", "-n", "2"]
MPI_ENV = dict(ENV, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
BASE = ["eval", "--task", "sudoku", "-n", "4", "--policies", "confidence,boe", "--tokens-per-step", "4"]


def ranks(*args, timeout=200):
    p = subprocess.run([*MPI, TABES, *args], capture_output=True, text=True, timeout=timeout, env=MPI_ENV)
    return p.returncode, p.stdout, p.stderr


def timeless(text):
    document = json.loads(text)
    for r in document["results"]:
        r.pop("seconds")
    return document


def keys(path):
    return [json.loads(line)["key"] for line in open(path)]


want = timeless(tabes(*BASE, "-q", "--json")[1])
code, out, message = ranks(*BASE, "-q", "--json", "--results", f"{folder}/two.jsonl")
if c.check(code == 0 and out.count("\n") == 1, f"two processes: {code} {message}"):
    c.check(timeless(out) == want, "two processes give what one gives")
    c.check(len(keys(f"{folder}/two.jsonl")) == len(set(keys(f"{folder}/two.jsonl"))) == 8, "every item once")
    code, out, message = tabes(*BASE, "--json", "--results", f"{folder}/two.jsonl")
    c.check(code == 0 and timeless(out) == want and "8 of 8" in message, f"one process reads it: {message}")

# Killed under two, resumed by one, and the other way round.
path = f"{folder}/killed.jsonl"
p = subprocess.Popen([*MPI, TABES, *BASE, "-q", "--json", "--results", path], stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, env=MPI_ENV, start_new_session=True)
deadline = time.time() + 100
while p.poll() is None and time.time() < deadline and not (os.path.exists(path) and os.path.getsize(path)):
    time.sleep(0.01)
os.killpg(p.pid, signal.SIGKILL)
p.wait()
deadline = time.time() + 30  # the launcher's children end with it, but not at once
code = 2
while code == 2 and time.time() < deadline:
    code, out, message = tabes(*BASE, "-q", "--json", "--results", path)
c.check(code == 0 and timeless(out) == want, f"resumed by one: {code} {message}")
c.check(len(keys(path)) == len(set(keys(path))) == 8, "nothing twice")
lines = open(path).read().split("\n")
with open(path, "w") as f:
    f.write("\n".join(lines[:3]) + "\n" + lines[3][:20])
code, out, message = ranks(*BASE, "--json", "--results", path)
c.check(code == 0 and timeless(out) == want and "3 of 8" in message, f"resumed by two: {code} {message}")
c.check(len(keys(path)) == 8, "only the missing ones are decoded")

code, out, message = ranks(*BASE, "--data", "/nonexistent", "--json", timeout=60)
c.check(code == 2 and not out and "/nonexistent" in message, f"bad input ends all: {code} {message}")
code, out, message = ranks(*BASE, "--results", "/nonexistent/x", "--json", timeout=60)
c.check(code == 2 and not out and "/nonexistent/x" in message, f"what only the first can find ends all: {code} {message}")

shutil.rmtree(folder)
c.finish()
