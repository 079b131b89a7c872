#!/usr/bin/env python3
"""Closer looks on the screen say what `tabes score` says about the same state, to the digits that are shown."""
import json
import math
import re
import sys
import tempfile

from support import Checks, tabes

PUZZLE = """589..4...
..6..3...
...759.68
.6......9
.13.....4
7.4..6...
.479..5..
1958.7...
2..1....."""
SIZE, CURSOR = "200x60", 14
checks = Checks("test_looks.py")
check = checks.check


def score(*more, policy="boe"):
    code, out, message = tabes("score", "-m", "sudoku", "--policy", policy, "--json", *more)
    if not check(code == 0, f"score: {message}"):
        checks.finish()
    return json.loads(out)


def screen(commands):
    code, out, message = tabes("open", "-m", "sudoku", "-p", PUZZLE, "--policies", "boe", "--no-config", "--exec", commands,
                               "--dump-screen", SIZE)
    if not check(code == 0, f"{commands}: {message}"):
        checks.finish()
    return out


def near(text, value, digits, what):
    """Shown with so many decimals; half a unit and float32 noise."""
    check(abs(float(text) - value) <= 0.6 * 10.0 ** -digits, f"{what}: {text} on the screen, {value} by score")


def test_influence(d):
    """Column of the cursor: whom it settles."""
    out = screen(f"position {CURSOR}; influence")
    c = d["candidates"].index(CURSOR)
    lines = out.splitlines()
    title = next((i for i, line in enumerate(lines) if re.search(rf"{CURSOR} settles  .*is settled by", line)), None)
    if not check(title is not None, f"no list of influences:\n{out}"):
        return
    at = lines[title].index(f"{CURSOR} settles")
    right = [line[at - 1:] for line in lines]
    rows = [re.match(r"\s+(\d+) \S+\s+([+-]\d\.\d{4})", line) for line in right[title + 1:]]
    rows = [m for m in rows if m]
    check(len(rows) >= 8, f"{len(rows)} rows of influences")
    values = []
    for m in rows:
        j = d["masked"].index(int(m[1]))
        near(m[2], d["influence"][j][c], 4, f"D[{m[1]}][{CURSOR}]")
        values.append(float(m[2]))
    check(values == sorted(values, reverse=True), "influences are not sorted")
    others = sorted((row[c] for j, row in enumerate(d["influence"]) if d["masked"][j] != CURSOR), reverse=True)
    near(f"{values[0]:.4f}", others[0], 4, "the strongest influence")


def test_attention(d):
    c = d["candidates"].index(CURSOR)
    for head in (1, "mean"):
        out = screen(f"position {CURSOR}; attention-layer 3; attention-head {head}")
        rows = d["attention"][c]
        weights = rows[head] if head != "mean" else [sum(r[j] for r in rows) / len(rows) for j in range(len(rows[0]))]
        found = re.findall(r"(?:^|\s)(\d+) (?:\S+|<mask>)\s+([01]\.\d{4})(?!\d)", "\n".join(l[88:] for l in out.splitlines()))
        check(len(found) >= 30, f"{len(found)} positions in the list of head {head}\n{out}")
        for pos, p in found:
            near(p, weights[int(pos)], 4, f"attention to {pos}, head {head}")
        top = max(range(len(weights)), key=lambda j: weights[j])
        check(any(int(pos) == top for pos, _ in found), f"the strongest position {top} is missing")
        check("layer 3 of 8" in out, "the layer is not told")


def test_truth(d):
    out = screen(f"position {CURSOR}; truth")
    tis = next(iter(d["tis"].values()))
    found = re.findall(r"\s(\d+) \S+\s+([+-]\d+\.\d{4})\s+([+-]\d+\.\d{4})\s+([+-]\d+\.\d{4})\s+\d+\.\d{4}", out)
    check(len(found) == len(d["candidates"]), f"{len(found)} candidates in the table\n{out}")
    for pos, t, soft, hard in found:
        c = d["candidates"].index(int(pos))
        near(t, tis[c], 4, f"TIS of {pos}")
        near(soft, d["reduction_soft"][c], 4, f"relaxed reduction of {pos}")
        near(hard, d["reduction_hard_expected"][c], 4, f"discrete reduction of {pos}")
    m = re.search(r"relaxed \S+ ([+-]\d\.\d\d) \S+ ([+-]\d\.\d\d)\s+discrete \S+ ([+-]\d\.\d\d) \S+ ([+-]\d\.\d\d)", out)
    if not check(m, f"no correlations\n{out}"):
        return
    c = next(iter(d["correlations"].values()))
    for k, name in enumerate(("spearman_relaxed", "kendall_relaxed", "spearman_discrete", "kendall_discrete")):
        near(m[k + 1], c[name], 2, name)
    check(f"bound {d['curvature_bound_estimated']:.4g} nats" in out, f"bound {d['curvature_bound_estimated']}\n{out}")


def average_ranks(v):
    return [sum(x < y for x in v) + (sum(x == y for x in v) + 1) / 2 for y in v]


def pearson(x, y):
    mx, my = sum(x) / len(x), sum(y) / len(y)
    up = sum((a - mx) * (b - my) for a, b in zip(x, y))
    return up / math.sqrt(sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y))


def tau_b(x, y):
    sign = lambda a, b: (a > b) - (a < b)
    pairs = [(sign(x[i], x[j]), sign(y[i], y[j])) for i in range(len(x)) for j in range(i)]
    up = sum(a * b for a, b in pairs)
    return up / math.sqrt(sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs))


def test_correlations(d):
    """What `tabes score --truth` says about the numbers that it prints."""
    for name, tis in d["tis"].items():
        c = d["correlations"][name]
        for kind, truth in (("relaxed", d["reduction_soft"]), ("discrete", d["reduction_hard_expected"])):
            check(abs(c[f"spearman_{kind}"] - pearson(average_ranks(tis), average_ranks(truth))) < 1e-9, f"{name}: Spearman, {kind}")
            check(abs(c[f"kendall_{kind}"] - tau_b(tis, truth)) < 1e-9, f"{name}: Kendall, {kind}")
        bound, chosen = d["curvature_bound_estimated"], set(d["chosen"])
        value = dict(zip(d["candidates"], tis))
        want = [j for j in d["candidates"] if j not in chosen and all(value[i] - value[j] > bound for i in chosen)]
        check(d["stable_estimated"][name] == want, f"{name}: stable over {d['stable_estimated'][name]}, expected {want}")
    check(abs(bound - max(d["curvature"])) < 1e-12, "the bound is not the largest curvature")
    best = sorted(range(len(d["score"])), key=lambda i: (-d["score"][i], i))[:d["budget"]]
    check(d["chosen"] == sorted(d["candidates"][i] for i in best), "chosen are not the best scores")


def test_anatomy(d):
    out = screen(f"position {CURSOR}; anatomy")
    c = d["candidates"].index(CURSOR)
    m = re.search(r"boe score ([+-]\S+) = gate (\S+) . TIS ([+-]\S+) . penalty (\S+)", out)
    if check(m, f"no sum\n{out}"):
        near(m[1], d["score"][c], 4, "score")
        near(m[2], d["gate"][c], 3, "gate")
        near(m[3], next(iter(d["tis"].values()))[c], 4, "TIS")
        near(m[4], d["penalty"][c], 4, "penalty")
    rank = 1 + sum(s > d["score"][c] for s in d["score"])
    check(f"rank {rank} of {len(d['score'])}" in out, f"rank {rank} is not told\n{out}")
    for policy in ("confidence", "margin", "oracle", "left-to-right"):
        own = score("-p", PUZZLE, policy=policy)
        m = re.search(policy + r"\s+(\d+)/(\d+)\s+([+-]\d+\.\d{4})", out)
        if CURSOR not in own["candidates"]:
            check(not m, f"{policy} ranks a position that is no candidate of it")
        elif check(m, f"no rank by {policy}\n{out}"):
            k = own["candidates"].index(CURSOR)
            check(int(m[1]) == 1 + sum(s > own["score"][k] for s in own["score"]), f"rank by {policy}: {m[0]}")
            near(m[3], own["score"][k], 4, f"score by {policy}")


def test_lock_in():
    """Each written position masked again alone, by its logits."""
    out = screen("goto 12; lockin")
    summary = re.search(r"(\d+) of (\d+) written tokens would now be written differently", out)
    rows = re.findall(r"\n ?\s+(\d+) (\d)\s+([01]\.\d{3})\s+([01]\.\d{3})", out)
    check(summary and int(summary[2]) == 12, f"no summary\n{out}")
    check(len(rows) >= 5, f"{len(rows)} rows\n{out}")
    with tempfile.TemporaryDirectory() as d:
        code, _, message = tabes("run", "-m", "sudoku", "-p", PUZZLE, "--policy", "boe", "--record", f"{d}/run.jsonl")
        check(code == 0, f"run: {message}")
        with open(f"{d}/run.jsonl", encoding="utf-8") as f:
            records = [json.loads(line) for line in f]
    start = records[0]["start"]
    mask = records[0]["model"]["mask_id"]
    tokens = list(start)
    for r in records[1:13]:
        for w in r["writes"]:
            tokens[w["pos"]] = w["token"]
    for pos, digit, _, p in rows[:5]:
        state = list(tokens)
        own = state[int(pos)]
        state[int(pos)] = mask
        d = score("--tokens", json.dumps(state), "--logits")
        z = d["logits"][d["masked"].index(int(pos))]
        top = max(z)
        near(p, math.exp(z[own] - top) / sum(math.exp(v - top) for v in z), 3, f"p now at {pos} ({digit})")


def main():
    d = score("-p", PUZZLE, "--influence", "--attention", "3", "--truth")
    check(CURSOR in d["candidates"], f"{CURSOR} is no candidate")
    test_influence(d)
    test_attention(d)
    test_truth(d)
    test_correlations(d)
    test_correlations(score("-p", PUZZLE, "--truth", "--tis", "all", "--budget", "3", "--rho", "0.6"))
    one = score("--tokens", "[10, 12, 5, 11]", "--truth")
    check(list(one["correlations"].values())[0]["kendall_relaxed"] is None, "one candidate has a correlation")
    test_anatomy(d)
    test_lock_in()
    checks.finish()


if __name__ == "__main__":
    sys.exit(main())
