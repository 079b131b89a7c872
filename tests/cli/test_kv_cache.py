#!/usr/bin/env python3
"""--kv-cache through the public command: what is refused, how a decode is labelled, and that its recording says so,
verifies and shows it."""
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import Checks, tabes

LLADA = "tests/vectors/llada"
RUN = ["run", "-m", LLADA, "--prompt-tokens", "[5,47,7]", "--length", 16]
NOTE = "tabes: approximate decode: "


def lines(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def refusals(c):
    greedy = [*RUN, "--policy", "confidence"]
    for args, needle in (
            ([*greedy, "--kv-cache", "full"], 'kv-cache: "full" is not one of none, prefix, dual'),
            ([*greedy, "--kv-cache", "dual", "--kv-refresh", "-1"], "kv-refresh: "),
            ([*greedy, "--kv-cache", "dual", "--cfg", "1"], "kv-cache: the guided sequence of cfg is not cached"),
            ([*RUN, "--kv-cache", "dual"], "kv-cache: the gradients of policy boe need passes of all rows"),
            ([*RUN, "--policy", "oracle", "--kv-cache", "prefix"], "kv-cache: the lookaheads of policy oracle"),
            ([*RUN, "--policy", "lookum", "--kv-cache", "prefix"], "kv-cache: the lookaheads of policy lookum"),
            (["score", "-m", LLADA, "--tokens", "[1,47,2]", "--policy", "confidence", "--kv-cache", "dual"],
             "kv-cache: there is one state to score"),
            (["eval", "--task", "sudoku", "-n", "1", "--policies", "confidence,boe", "--kv-cache", "dual"],
             "kv-cache: the gradients of policy boe")):
        code, out, message = tabes(*args)
        c.check(code == 2 and out == "" and message.count("\n") == 1, f"{args}: {code} {out} {message}")
        c.check(needle in message, f"{args}: {message}")


def decode(c, path, *args):
    code, out, message = tabes(*RUN, "--policy", *args, "--record", path, "--json")
    c.check(code == 0, f"{args}: {message}")
    return json.loads(out), message


def labelled(c, folder):
    path = f"{folder}/label.jsonl"
    exact, message = decode(c, path, "confidence")
    c.check(message == "" and lines(path)[0]["params"]["kv_cache"] == "none", f"an exact decode has no note: {message}")
    screen = tabes("replay", path, "--at", 2, "--dump-screen", "120x36")[1]
    c.check("approximate" not in screen, "nor a label")
    got, message = decode(c, path, "confidence", "--kv-cache", "dual")
    c.check(message.startswith(NOTE) and message.count("\n") == 1 and "kv-cache dual" in message, message)
    c.check(got["params"]["kv_cache"] == "dual" and got["nfe"] == 17 and got["steps"] == 17, "a step is one NFE")
    head = lines(path)[0]
    c.check(head["params"]["kv_cache"] == "dual" and head["params"]["kv_refresh"] == 0, "the recording's header")
    screen = tabes("replay", path, "--at", 2, "--dump-screen", "120x36")[1]
    c.check("confidence  approximate" in screen, f"the pane's title:\n{screen}")
    live = tabes("open", "-m", LLADA, "--prompt-tokens", "[5,47,7]", "--length", 8, "--policies", "confidence", "--kv-cache",
                 "prefix", "--dump-screen", "120x36")
    c.check(live[0] == 0 and "confidence  approximate" in live[1], f"live:\n{live[1]}{live[2]}")
    c.check(tabes(*RUN, "--policy", "confidence", "--kv-cache", "dual", "-q")[2] == "", "--quiet has no notes")
    again, _ = decode(c, path, "confidence", "--kv-cache", "dual", "--kv-refresh", 1)
    c.check(again["tokens"] == exact["tokens"], "a pass of all rows at every step is the exact decode")


def verified(c, folder):
    for policy in ("confidence", "klass", "p2", "threshold"):
        for kind in ("prefix", "dual"):
            for extra in ([], ["--kv-refresh", 3], ["--block-length", 5], ["--block-length", 5, "--kv-refresh", 2]):
                path = f"{folder}/verify.jsonl"
                decode(c, path, policy, "--kv-cache", kind, *extra)
                code, out, message = tabes("verify", path, "-m", LLADA, "--exact")
                c.check(code == 0, f"{policy} {kind} {extra}: {out}{message}")
    # The recording is checked: one that claims to be exact does not verify.
    path = f"{folder}/claim.jsonl"
    decode(c, path, "confidence", "--kv-cache", "dual")
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(text.replace('"kv_cache":"dual"', '"kv_cache":"none"'))
    code, out, _ = tabes("verify", path, "-m", LLADA, "--exact")
    c.check(code == 1, f"a false claim: {code} {out}")


def main():
    c = Checks("kv_cache")
    refusals(c)
    with tempfile.TemporaryDirectory() as folder:
        labelled(c, folder)
        verified(c, folder)
    c.finish()


main()
