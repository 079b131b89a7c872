#!/usr/bin/env python3
"""tabes eval: the JSON contract, equal results whatever the number of workers and however often it was killed, every
option that counts, files for other programs, and refusals. Public data sets are read where $TABES_TASK_DATA names
their folder."""
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.dom.minidom

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gguf_support
from support import ENV, TABES, Checks, tabes

c = Checks("eval")
folder = tempfile.mkdtemp()
FOUR = f"{folder}/four.csv"
# The layout of the public file: 4x4, 0 for a blank.
PUZZLES = ["3102200002100320,3142243142131324", "0140432014020000,2143432114323214", "4310010000303420,4312214312343421",
           "2004001203201003,2134341243211243", "0024003101000413,1324423131422413"]
FIELDS = ["policy", "task", "n", "correct", "accuracy", "ci_low", "ci_high", "nfe", "backward_rows", "seconds",
          "tokens_per_step", "seed"]


def put(name, text):
    path = f"{folder}/{name}"
    with open(path, "w") as f:
        f.write(text)
    return path


def evaluate(*args, ok=True):
    code, out, message = tabes("eval", "-q", *args, timeout=280)
    c.check((code == 0) == ok, f"eval {args}: {code} {message.strip()}")
    return out


def rows(*args):
    return json.loads(evaluate(*args, "--json"))["results"]


def timeless(document):
    document = json.loads(document)
    for r in document["results"]:
        r.pop("seconds")
    return document


put("four.csv", "Puzzle,Solution\n" + "\n".join(PUZZLES) + "\n")
BASE = ["-m", "sudoku", "--task", "sudoku", "--data", FOUR]

# ---- the contract ----
document = evaluate(*BASE, "--policies", "all", "-n", 3, "--json")
got = json.loads(document)["results"]
names = [p["name"] for p in json.loads(tabes("policies", "--json")[1])]
c.check([r["policy"] for r in got] == names, f"a row for every policy: {[r['policy'] for r in got]}")
for r in got:
    c.check(all(f in r for f in FIELDS), f"fields of {r['policy']}: {sorted(set(FIELDS) - set(r))}")
    c.check(r["n"] == 3 and 0 <= r["correct"] <= 3 and abs(r["accuracy"] - r["correct"] / 3) < 1e-12, f"counts: {r}")
    c.check(0 <= r["ci_low"] <= r["accuracy"] <= r["ci_high"] <= 1, f"interval: {r}")
    c.check(r["task"] == "sudoku" and r["seed"] == 0 and r["tokens_per_step"] > 0 and r["seconds"] >= 0, f"{r}")
by = {r["policy"]: r for r in got}
blanks = [p.split(",")[0].count("0") for p in PUZZLES[:3]]
c.check(by["confidence"]["nfe"] == sum(blanks) / 3 and by["confidence"]["backward_rows"] == 0, f"cost: {by['confidence']}")
c.check(by["boe"]["backward_rows"] > 0 and by["oracle"]["nfe"] > by["boe"]["nfe"], "BoE goes backward, the oracle looks ahead")
c.check(timeless(document) == timeless(evaluate(*BASE, "--policies", "all", "-n", 3, "--json", "--jobs", 1)),
        "one worker gives what several give")

# The same as `tabes run` of each puzzle.
for policy in ("confidence", "random"):
    right = 0
    for line in PUZZLES:
        grid = "\n".join(line[i:i + 4] for i in range(0, 16, 4)).replace("0", ".")
        text = tabes("run", "-m", "sudoku", "-p", grid, "--policy", policy, "--seed", 3, "--threads", 1)[1]
        right += text.strip().replace("\n", "") == line.split(",")[1]
    r = rows(*BASE, "--policies", policy, "--seed", 3)[0]
    c.check(r["correct"] == right, f"{policy}: {r['correct']} right, by run {right}")

# ---- lists are multiplied out; parameters reach the policies ----
many = rows(*BASE, "-n", 2, "--policies", "confidence,boe", "--tokens-per-step", "1,4", "--seeds", "0,5")
c.check([(r["tokens_per_step"], r["policy"], r["seed"]) for r in many] ==
        [(t, p, s) for t in (1, 4) for p in ("confidence", "boe") for s in (0, 5)], "lengths, tokens, policies, seeds")
c.check(rows(*BASE, "--budget", 2, "-n", 1)[0]["nfe"] == -(-blanks[0] // 2), "--budget")
c.check(rows(*BASE, "--steps", 3, "-n", 1)[0]["nfe"] == 3, "--steps")
c.check([r["tokens_per_step"] for r in rows(*BASE, "-n", 1, "--protocol", "figure4", "--policies", "confidence")] ==
        [1, 2, 4, 8, 16], "figure4")
c.check(rows(*BASE, "-n", 1, "--protocol", "table2")[0]["tokens_per_step"] == 2, "table2")
ablation = rows(*BASE, "-n", 1, "--protocol", "table5", "--ablation")
c.check([r["policy"] for r in ablation][:3] == ["confidence", "boe", "boe gate=off"], "ablation")
c.check([r["params"].get("active") for r in ablation].count("dense") == 1, "ablation: dense rows")
dense = next(r for r in ablation if r["policy"] == "boe active=dense")
c.check(dense["backward_rows"] > ablation[1]["backward_rows"], "ablation: dense costs more rows")

# ---- matched forwards ----
for budget in (3, 5):
    for r in rows(*BASE, "--match-nfe", budget, "--policies", "confidence,boe,oracle"):
        c.check(r["over_budget"] or r["nfe"] <= budget, f"--match-nfe {budget}: {r}")
plain = rows(*BASE, "-n", 1, "--match-nfe", 5, "--policies", "boe")[0]
charged = rows(*BASE, "-n", 1, "--match-nfe", 5, "--policies", "boe", "--charge-backward")[0]
c.check(charged["tokens_per_step"] >= plain["tokens_per_step"] == -(-blanks[0] // 5), f"--charge-backward: {charged}")
paper = rows(*BASE, "-n", 1, "--nfe-accounting", "paper")
c.check(paper[1]["nfe"] == 2 * paper[0]["nfe"] == 2 * blanks[0], "the paper counts 2 per BoE step")

# LookUM within 3 forwards writes its whole pool at once: its row is no lookahead's, and the table says so.
for args, blind in ((["--match-nfe", 3], True), (["--match-nfe", 3, "--pool", 9], True), (["--budget", 3], False),
                    (["--budget", 5, "--pool", 6], False)):
    text = evaluate(*BASE, "--policies", "confidence,lookum", *args)
    c.check(("nothing ahead" in text) == blind, f"lookahead {args}: {text}")
text = evaluate(*BASE, "--policies", "boe-horizon", "--budget", 9)
c.check("boe-horizon at 9 tokens per step looked at nothing ahead" in text, f"horizon: {text}")

# ---- pairs, CSV, table, chart, plot, samples ----
document = json.loads(evaluate(*BASE, "--policies", "confidence,random", "--tokens-per-step", 4, "--json"))
pair = document["pairs"][0]
a, b = document["results"]
c.check((pair["a"], pair["b"], pair["n"]) == ("confidence", "random", 5), f"pair: {pair}")
c.check(pair["only_b"] - pair["only_a"] == b["correct"] - a["correct"], f"pair: {pair}")
c.check(0 < pair["p_mcnemar"] <= 1 and pair["ci_low"] <= pair["difference"] <= pair["ci_high"], f"pair: {pair}")
table = list(csv.DictReader(io.StringIO(evaluate(*BASE, "--csv"))))
c.check([r["policy"] for r in table] == ["confidence", "boe"] and all(r["n"] == "5" for r in table), f"CSV: {table}")
c.check([r["p_against"] for r in table] == ["", "confidence"], f"CSV: whom p is against: {table}")
# A policy of more tokens per step is no partner of the others, wherever it stands.
mixed = ["-n", 2, "--policies", "lookum,confidence,boe"]
c.check("test against confidence on" in evaluate(*BASE, *mixed), "the table names the partner")
against = [r["p_against"] for r in csv.DictReader(io.StringIO(evaluate(*BASE, *mixed, "--csv")))]
c.check(against == ["", "", "confidence"], f"CSV names the partner: {against}")
text = evaluate(*BASE, "--chart", "--plot", f"{folder}/p.svg", "--samples", f"{folder}/s.jsonl")
c.check("confidence" in text and "Wilson" in text and "⣀" in text, f"table: {text}")
c.check(xml.dom.minidom.parse(f"{folder}/p.svg").documentElement.tagName == "svg", "SVG")
samples = sorted(f for f in os.listdir(folder) if f.startswith("s-"))
c.check(len(samples) == 2, f"a file of samples for each configuration: {samples}")
c.check([json.loads(line)["id"] for line in open(f"{folder}/{samples[0]}")] == [f"row-{i}" for i in range(1, 6)], "samples")

# ---- killed and resumed ----
LONG = ["-m", "sudoku", "--task", "sudoku", "-n", 4, "--policies", "confidence,random", "--json"]
want = timeless(evaluate(*LONG))
results = f"{folder}/results.jsonl"
for lines in (1, 3):
    p = subprocess.Popen([TABES, "eval", "-q", *map(str, LONG), "--results", results], stdout=subprocess.DEVNULL, env=ENV)
    deadline = time.time() + 120
    while time.time() < deadline and p.poll() is None:
        if os.path.exists(results) and open(results, "rb").read().count(b"\n") >= lines:
            break
        time.sleep(0.02)
    p.send_signal(signal.SIGKILL)
    p.wait()
had = open(results, "rb").read().count(b"\n")
c.check(0 < had < 8, f"killed in the middle: {had} of 8 results")
with open(results, "a") as f:
    f.write('{"key":"torn')
code, out, message = tabes("eval", *LONG, "--results", results)
c.check(code == 0 and timeless(out) == want, f"resumed: {message}")
c.check(f"{had} of 8 results already" in message and "cut short" in message, f"what was there is said: {message}")
lines = [json.loads(line) for line in open(results)]
c.check(len(lines) == 8 and len({line["key"] for line in lines}) == 8, f"nothing twice: {len(lines)} lines")
before = open(results, "rb").read()
again = evaluate(*LONG, "--results", results)
c.check(json.loads(again)["results"] == json.loads(out)["results"], "all found: the same table, times included")
c.check(open(results, "rb").read() == before, "nothing is appended")
p = subprocess.Popen([TABES, "eval", "-q", *map(str, LONG), "--results", f"{folder}/int.jsonl"], stderr=subprocess.PIPE,
                     stdout=subprocess.DEVNULL, env=ENV)
while p.poll() is None and not (os.path.exists(f"{folder}/int.jsonl") and os.path.getsize(f"{folder}/int.jsonl")):
    time.sleep(0.02)
p.send_signal(signal.SIGINT)
message = p.communicate()[1].decode()
c.check(p.returncode == 130 and "goes on from there" in message, f"interrupted: {p.returncode} {message}")

# ---- other tasks ----
r = rows("-m", "story", "--task", "story", "-n", 3, "--policies", "confidence")[0]
c.check(r["n"] == 3 and r["length"] == 40 and r["nfe"] == 40, f"story: {r}")
r = rows("-m", "story", "--task", "countdown", "-n", 1, "--policies", "confidence", "--lengths", "8,12")
c.check([x["length"] for x in r] == [8, 12], f"countdown: {r}")
r = rows("-m", "countdown", "--task", "countdown", "-n", 8, "--policies", "confidence")
c.check(r[0]["length"] == 14 and r[0]["nfe"] == 14 and r[0]["correct"] >= 2, f"countdown in the bundled model's notation: {r}")
starts = put("starts.jsonl", "".join(line for line in list(open("examples/models/story/heldout.jsonl"))[:2]))
TEXT = ["-m", "story", "--task", "text", "--data", starts, "--policies", "confidence", "--lengths", 40]
r = rows(*TEXT, "--judge-model", "story", "--elbo-draws", 8, "--samples", f"{folder}/text.jsonl")[0]
c.check(r["correct"] is None and r["accuracy"] is None and r["n"] == 2, f"text: {r}")
c.check(1 <= r["elbo_perplexity"] < 5 and 1 <= r["judge_perplexity"] < 5, f"perplexities: {r}")
c.check(r["entropy"] > 0 and 0 < r["diversity"] <= 1, f"entropy and diversity: {r}")
c.check(all(set(json.loads(line)) == {"text"} for line in open(f"{folder}/text.jsonl")), "samples for MAUVE")
human = put("he.jsonl", json.dumps({"task_id": "HumanEval/0", "prompt": "def f():\n", "test": "", "entry_point": "f"}) + "\n")
code, out, message = tabes("eval", "-m", "story", "--task", "humaneval", "--data", human, "--lengths", 4, "--policies", "random",
                           "--json")
c.check(code == 0 and json.loads(out)["results"][0]["correct"] is None and "--samples" in message, f"humaneval: {message}")

# An answer ends with the turn, as in `tabes run`: the first of end of text and end of turn. Bytes that are no text are left out.
chat = gguf_support.write(f"{folder}/chat.gguf")
question = put("gsm8k.jsonl", json.dumps({"question": "Hi", "answer": "#### 1"}) + "\n")
DRAWN = ["-m", chat, "--policy", "random", "--temperature", 1]
ended = 0
evaluate(*DRAWN[:2], *DRAWN[4:], "--policies", "random", "--task", "gsm8k", "--data", question, "--lengths", 24,
         "--seeds", "0,1,2,3,4,5,6,7", "--results", f"{folder}/chat.jsonl")
for line in open(f"{folder}/chat.jsonl"):
    r = json.loads(line)
    got = json.loads(tabes("run", *DRAWN, "-p", 'Hi\nThink step by step and end with "#### " and the number.', "--seed", r["seed"],
                           "--length", 24, "--threads", 1, "--json")[1])
    ended += gguf_support.EOT in got["tokens"][-24:]
    texts = [re.sub("[^\1-\x7f]", "", t) for t in (r["text"], got["text"])]
    c.check(texts[0] == texts[1], f"seed {r['seed']}: {texts}")
c.check(0 < ended < 8, f"turns that end early: {ended}")

# ---- refusals ----
bad = put("bad.csv", "Puzzle,Solution\n123\n")
for args, needle in ((["--task", "magic"], "unknown task"), ([], "no task"), (BASE[2:] + ["-n", 0], "-n"),
                     (BASE[2:] + ["-n", 6], "has 5 examples"), (BASE[2:] + ["--policies", "magic"], "unknown policy"),
                     (BASE[2:] + ["--policies", "boe,boe"], "twice"), (BASE[2:] + ["--tokens-per-step", "1,1"], "twice"),
                     (BASE[2:] + ["--tokens-per-step", "0"], "--tokens-per-step"), (BASE[2:] + ["--seeds", "1,"], "--seeds"),
                     (BASE[2:] + ["--protocol", "table9"], "table2"), (BASE[2:] + ["--json", "--csv"], "only one"),
                     (BASE[2:] + ["--seeds", "1", "--seed", "2"], "only one"), (BASE[2:] + ["--match-nfe", "0"], "--match-nfe"),
                     (BASE[2:] + ["--match-nfe", "3", "--tokens-per-step", 2], "leave"),
                     (BASE[2:] + ["--charge-backward"], "--match-nfe"), (BASE[2:] + ["--nfe-accounting", "x"], "paper"),
                     (BASE[2:] + ["--steps", 3, "--tokens-per-step", 2], "--steps"),
                     (BASE[2:] + ["--ablation", "--policies", "boe"], "only one"), (["--task", "gsm8k"], "--data"),
                     (["--task", "sudoku", "--data", bad], "line 2"), (["--task", "sudoku", "--data", "/none"], "/none"),
                     (["--task", "sudoku", "--clues", 3], "--clues"), (BASE[2:] + ["--clues", 30], "--clues"),
                     (BASE[2:] + ["--results", "/none/x"], "/none/x"), (BASE[2:] + ["--plot", "/none/x.svg"], "/none/x.svg"), (BASE[2:] + ["--results", bad], "bad.csv"),
                     (BASE[2:] + ["--lengths", 20], "gaps of their own"),
                     (["--task", "text", "--lengths", 200], "context"), (BASE[2:] + ["--judge-model", "story"], "text"),
                     (["--task", "countdown"], "example countdown-0"),
                     (["-m", "tests/vectors/llada", "--task", "text"], "no tokenizer"), (BASE[2:] + ["extra"], "unexpected")):
    code, out, message = tabes("eval", "-m", "sudoku", *args)
    c.check(code == 2 and out == "", f"eval {args}: exit code {code}, {out[:60]!r}")
    c.check(message.count("\n") == 1 and needle in message, f"eval {args}: {message!r} lacks {needle!r}")

# ---- public files ----
note, data = "", os.environ.get("TABES_TASK_DATA")
if data:
    for task, name, model in (("sudoku", "sudoku.csv", "sudoku"), ("countdown", "countdown.jsonl", "story"),
                              ("gsm8k", "gsm8k.jsonl", "story"), ("math500", "math500.jsonl", "story")):
        r = rows("-m", model, "--task", task, "--data", f"{data}/{name}", "-n", 2, "--policies", "confidence",
                 *([] if task == "sudoku" else ["--lengths", 4]))
        c.check(r[0]["n"] == 2, f"{name}: {r}")
else:
    note = " (public data sets skipped: TABES_TASK_DATA is not set)"

shutil.rmtree(folder)
c.finish(note)
