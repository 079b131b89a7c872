#!/usr/bin/env python3
"""Every policy through the public command: its recordings verify, exports and screens say what was put back, and runs
end at what --until names."""
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import Checks, tabes

QUESTION = "Finn buys 2 boxes of 2 eggs each. Then he wins 4 eggs. Then he drops 6. How many eggs does Finn have in the end?"
BACK = ("p2", "remdm", "remdm-llada", "fb", "dfm")
PUTS_BACK = {"p2": ["--path-eta", "8"], "remdm": ["--eta", "0.3"]}


def lines(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def every_policy(c, folder):
    for p in json.loads(tabes("policies", "--json")[1]):
        for extra in ([], ["--block-length", "4", "--steps", "6"]):
            name, path = p["name"], f"{folder}/{p['name']}.jsonl"
            run = ["run", "-m", "tests/vectors/llada", "--prompt-tokens", "[5,47,7]", "--length", 12, "-q", "--policy", name,
                   "--seed", 3, "--record", path, "--json", *extra, *PUTS_BACK.get(name, [])]
            code, out, message = tabes(*run)
            if not c.check(code == 0, f"{run}: {message}"):
                continue
            got, steps = json.loads(out), lines(path)
            c.check(47 not in got["tokens"] and got["tokens"][0] == 5 and got["tokens"][2] == 7, f"{name}: no mask is left")
            c.check(steps[0]["version"] == "1.2" and steps[-1]["complete"] is True, f"{name}: header and closing line")
            writes = [w for s in steps[1:-1] for w in s["writes"]]
            back = sum(w["token"] == 47 for w in writes)
            c.check(back == 0 or name in BACK, f"{name} puts {back} tokens back")
            c.check(len(writes) - 2 * back == 13, f"{name}: {len(writes)} writes, {back} of them put back")
            code, out, message = tabes("verify", path, "-m", "tests/vectors/llada", "--exact")
            c.check(code == 0, f"{name} verifies: {out}{message}")


def shown(c, folder):
    path = f"{folder}/back.jsonl"
    code, _, message = tabes("run", "-m", "sudoku", "--prompt-file", "examples/prompts/sudoku.txt", "-q", "--policy", "remdm",
                             "--eta", 0.3, "--steps", 20, "--seed", 3, "--record", path)
    c.check(code == 0, message)
    steps = lines(path)[1:-1]
    masked = [set(s["masked"]) for s in steps] + [set()]
    k = next(i for i, s in enumerate(steps) if any(set(masked[i + 1]) - set(masked[i])))
    back = sorted(set(masked[k + 1]) - set(masked[k]))
    total = sum(len(set(b) - set(a)) for a, b in zip(masked, masked[1:]))
    text = tabes("export", path, "--to", "md")[1]
    c.check(f", {total} put back\n" in text and f"{back[0]}: put back" in text, "Markdown counts and names them")
    rows = [r for r in tabes("export", path, "--to", "csv")[1].split("\n") if r.startswith(f"{k},decode,{back[0]},")]
    mask = lines(path)[0]["model"]["mask_id"]
    c.check(len(rows) == 1 and rows[0].split(",")[-4] == "1" and rows[0].split(",")[-2] == str(mask), f"a row of what was put back: {rows}")
    c.check(tabes("export", path, "--to", "svg", "--at", k + 1)[0] == 0, "a figure of that state")
    code, page, _ = tabes("export", path, "--to", "html")
    c.check(code == 0 and "put back" in page, "the page's legend")
    screen = tabes("replay", path, "--at", k + 1, "--exec", f"position {back[0]}", "--dump-screen", "160x40")[1]
    c.check("↺ just put back" in screen, f"the legend has the sign:\n{screen}")
    c.check(screen.count("↺") >= 3, "so have canvas and timeline")
    c.check(f"put back at step {k + 1}" in screen, f"the inspector says when:\n{screen}")
    plain = tabes("replay", path, "--at", k + 1, "--ascii", "--dump-screen", "160x40")[1]
    c.check(plain.isascii() and "r just put back" in plain, "in ASCII, too")
    end = tabes("replay", path, "--at", "end", "--dump-screen", "120x36")[1]
    c.check("done" in end and "step 20/20" in end, f"the end:\n{end}")


def empty_steps(c, folder):
    """Dream's schedule writes nothing at first."""
    path = f"{folder}/empty.jsonl"
    code, _, message = tabes("run", "-m", "tests/vectors/llada", "--prompt-tokens", "[5]", "--length", 8, "--steps", 8, "-q",
                             "--policy", "dream", "--record", path)
    c.check(code == 0 and [len(s["writes"]) for s in lines(path)[1:-1]] == [0, 1, 1, 1, 1, 1, 1, 2], f"quotas {message}")
    for form in ("md", "csv", "svg", "html", "json"):
        c.check(tabes("export", path, "--to", form)[0] == 0, f"export to {form}")
    screen = tabes("replay", path, "--at", 1, "--dump-screen", "100x30")[1]
    c.check("step 1/8" in screen and "budget 1" in screen, f"a state after an empty step:\n{screen}")
    live = tabes("open", "-m", "tests/vectors/llada", "--prompt-tokens", "[5]", "--length", 8, "--steps", 8, "--policies",
                 "dream,remdm-llada", "--exec", "run", "--dump-screen", "120x36")[1]
    c.check("step 8/8" in live and "step 16/16" in live, f"both run to their ends:\n{live}")


def until(c, folder):
    base = ["run", "-m", "story", "-p", QUESTION, "--policy", "ltr", "-q"]
    whole = json.loads(tabes(*base, "--json")[1])
    c.check(whole["stopped_by"] is None and whole["steps"] == 64, "without it the decode goes to its end")
    path = f"{folder}/until.jsonl"
    code, out, message = tabes(*base, "--until", ".", "--json", "--record", path)
    got = json.loads(out)
    c.check(code == 0 and got["stopped_by"] == "." and got["steps"] < 20, f"--until: {message}")
    c.check(whole["text"].startswith(got["text"]) and "." not in got["text"], f"text ends before it: {got['text']!r}")
    closing = lines(path)[-1]
    c.check(closing["complete"] is False and closing["steps"] == got["steps"], "the recording is not complete")
    c.check(tabes("verify", path, "-m", "story")[0] == 0, "and verifies")
    got = json.loads(tabes(*base, "--until", "no such text", "--until", "####", "--json")[1])
    c.check(got["stopped_by"] == "####", "one of several texts")
    got = json.loads(tabes(*base, "--until-eos", "--json")[1])
    c.check(got["stopped_by"] == "end of text" and got["text"] == whole["text"] and got["steps"] < 64, "--until-eos")
    got = json.loads(tabes(*base, "--until", "nowhere", "--json")[1])
    c.check(got["text"] == whole["text"] and got["stopped_by"] is None, "a text that never comes")
    many = [x for i in range(17) for x in ("--until", str(i))]
    code, _, message = tabes(*base, *many)
    c.check(code == 2 and "more than 16 times" in message, f"too many texts: {message}")
    code, _, message = tabes(*base, "--until", "")
    c.check(code == 2 and "empty" in message, f"an empty text: {message}")
    code, _, message = tabes("run", "-m", "tests/vectors/llada", "--prompt-tokens", "[5]", "--until", "x")
    c.check(code == 2 and "tokenizer" in message, f"no tokenizer: {message}")


def main():
    c = Checks("cli policies")
    with tempfile.TemporaryDirectory() as folder:
        every_policy(c, folder)
        shown(c, folder)
        empty_steps(c, folder)
        until(c, folder)
    c.finish()


if __name__ == "__main__":
    main()
