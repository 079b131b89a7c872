#!/usr/bin/env python3
"""`tabes export` to html, svg and md, read by the parsers that their readers use; hostile tokens; options."""
import filecmp
import html.parser
import json
import math
import os
import re
import shutil
import sys
import tempfile
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from export_support import hostile_lines, read_lines, states_of, write_lines
from support import Checks, tabes

EXAMPLES = [f"examples/trajectories/{name}.jsonl" for name in ("sudoku-boe", "sudoku-greedy", "story-boe", "story-greedy")]
COLORS = ["plain", "entropy", "confidence", "tis", "order"]
SVG = "{http://www.w3.org/2000/svg}"
# What must not be in any document: controls, direction overrides, separators, the byte order mark.
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def export(c, *args):
    code, out, message = tabes("export", *args)
    c.check(code == 0 and message == "", f"export {args}: {code}: {message}")
    c.check(not FORBIDDEN.search(out), f"export {args}: a character that may not be there")
    return out


def usage(c, files, folder):
    a, b = EXAMPLES[:2]
    for args, needle in (
            ([a], "--to is missing"), ([a, "--to", "xml"], "json, csv, html, svg, md or cast"), (["--to", "html"], "FILE"),
            ([a, b, "--to", "svg"], "expected one FILE, got 2"), ([a, b, a, "--to", "html"], "one or two FILE, got 3"),
            ([a, "--to", "svg", "--at", "7"], "state 7 is past the end, expected 0 to 6"),
            ([a, "--to", "svg", "--at", "-1"], "--at"), ([a, "--to", "svg", "--at", "x"], "--at"),
            ([a, "--to", "svg", "--at", ""], "--at"), ([a, "--to", "svg", "--at", "99999999999999"], "--at"),
            ([a, "--to", "svg", "--color", "red"], "plain, entropy, confidence, tis or order"),
            ([a, "--to", "md", "-o", folder], "is a folder"),
            ([a, "--to", "csv", "--at", "3"], "--at is not used by csv"), ([a, "--to", "md", "--color", "tis"], "--color is not used by md"),
            ([a, f"{folder}/none.jsonl", "--to", "html"], "none.jsonl"), ([a, "README.md", "--to", "html"], "README.md:1:1")):
        code, out, message = tabes("export", *args)
        c.check(code == 2 and out == "" and message.count("\n") == 1 and needle in message, f"{args}: {code}: {message!r}")
    code, out, _ = tabes("export", "--help")
    for name in ("json", "csv", "html", "svg", "md"):
        c.check(re.search(rf"^ +{name}: \w", out, re.M), f"--help explains {name}")
    out = export(c, a, "--to", "svg")
    c.check(tabes("export", a, "--to", "svg", "-o", f"{folder}/x.svg")[:2] == (0, ""), "-o prints nothing")
    with open(f"{folder}/x.svg", encoding="utf-8") as f:
        c.check(f.read() == out, "-o writes what is printed otherwise")
    shutil.copy(a, f"{folder}/own.jsonl")
    code, _, message = tabes("export", f"{folder}/own.jsonl", "--to", "csv", "-o", f"{folder}/./own.jsonl")
    c.check(code == 2 and "is the recording itself" in message and filecmp.cmp(a, f"{folder}/own.jsonl", False),
            f"-o of the recording itself: {code}: {message!r}")
    with open(a, "rb") as f:
        code, piped, _ = tabes("export", "-", "--to", "svg", stdin=f.read())
    c.check(code == 0 and piped == out, "standard input")


# SVG --------------------------------------------------------------------

def check_svg(c, path, lines, at, color):
    root = ET.fromstring(export(c, path, "--to", "svg", "--at", at, "--color", color).encode())
    what = f"{path}, state {at}, {color}"
    n = len(lines) - 2 if at == "end" else int(at)
    texts = [t.text or "" for t in root.iter(SVG + "text")]
    tags = {e.tag.removeprefix(SVG) for e in root.iter()}
    c.check(root.tag == SVG + "svg" and tags <= {"svg", "title", "text", "rect", "linearGradient", "stop"}, f"{what}: {tags}")
    c.check(all(not k.startswith("on") and "href" not in k for e in root.iter() for k in e.attrib), f"{what}: attributes")
    c.check(any(f"state {n} of {len(lines) - 2}" in t for t in texts), f"{what}: the state is named")
    masks = states_of(lines)[n].count(lines[0]["model"]["mask_id"])
    signs = [t for t in root.iter(SVG + "text") if t.get("text-anchor") == "middle" and t.get("font-size") is None]
    c.check(len(signs) == masks, f"{what}: {len(signs)} masked slots, expected {masks}")
    for e in root.iter():
        for key in ("x", "y", "width", "height", "textLength"):
            v = e.get(key, "0").removesuffix("%")
            c.check(math.isfinite(float(v)) and float(v) >= 0, f"{what}: {key}={v}")
    return root, texts


def svgs(c, hostile):
    for path in EXAMPLES[:1] + EXAMPLES[2:3] + [hostile]:
        lines = read_lines(path)
        for at in (0, 2, "end"):
            for color in COLORS:
                root, texts = check_svg(c, path, lines, at, color)
                if color not in ("plain", "order"):
                    c.check(any("nats" in t or "probability" in t for t in texts), f"{path}: {color} has a unit")
    result = "".join(t for t in check_svg(c, EXAMPLES[0], read_lines(EXAMPLES[0]), "end", "plain")[1] if re.fullmatch(r"\d", t))
    texts = read_lines(EXAMPLES[0])[0]["texts"]
    want = "".join(texts[str(t)] for t in read_lines(EXAMPLES[0])[-1]["result"] if isinstance(texts[str(t)], str))
    c.check(result == want.replace("\n", ""), f"the figure holds the result: {result}")
    _, texts = check_svg(c, hostile, read_lines(hostile), 1, "plain")
    joined = "\n".join(texts)
    for needle in ("</script><img\nsrc=x\nonerror=", "]]>&amp;<!--", "<U+001B>", "<U+202E>", "x\u2295", "<FF>", "mo<b>del<U+202E>, bo|e<i>"):
        c.check(needle in joined, f"the figure shows {needle}: {joined!r}")
    root, texts = check_svg(c, hostile, read_lines(hostile), "end", "plain")
    wide = [t for t in root.iter(SVG + "text") if t.text == "\u4e2d"]
    c.check(len(wide) == 1 and float(wide[0].get("textLength")) == 16.8, "a wide character has two columns")
    c.check("<U+202E>" in "\n".join(texts) and "#14" in texts, f"joined overrides and unknown tokens: {texts}")


# HTML -------------------------------------------------------------------

class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.scripts, self.policy, self.inside = [], [], [], "", None
        self.title, self.styles = "", ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.inside = tag
        a = dict(attrs)
        if tag == "script":
            self.scripts.append([a, ""])
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy":
            self.policy = a["content"]

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1][1] += data
        elif self.inside == "title":
            self.title += data
        elif self.inside == "style":
            self.styles += data


def check_page(c, text, what):
    p = Page(text)
    c.check(len(p.scripts) == 2 and p.scripts[0][0] == {"type": "application/json", "id": "recording"} and p.scripts[1][0] == {},
            f"{what}: scripts {[s[0] for s in p.scripts]}")
    c.check("default-src 'none'" in p.policy and "base-uri 'none'" in p.policy, f"{what}: {p.policy}")
    c.check(not any(t in ("img", "link", "iframe", "object", "embed", "base", "audio", "video", "form") for t in p.tags), f"{what}: {set(p.tags)}")
    c.check(not any(k.startswith("on") or k in ("src", "href", "srcset", "action") for k, _ in p.attributes), f"{what}: attributes")
    code = p.scripts[1][1]
    c.check("://" not in code and "://" not in p.styles and "url(" not in p.styles and "@import" not in p.styles, f"{what}: an address")
    c.check(not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|\bfetch\b|XMLHttp|import\b", code), f"{what}: code")
    c.check("<" not in p.scripts[0][1], f"{what}: '<' in the data")
    return p, json.loads(p.scripts[0][1])


def check_run(c, run, lines, what):
    """The page's numbers are the file's, rounded to its units."""
    steps = [s for s in lines if s["type"] == "step"]
    c.check(run["start"] == lines[0]["start"] and len(run["steps"]) == len(steps), f"{what}: start and steps")
    c.check(run["seed"] == lines[0]["seed"] and run["complete"] == lines[-1]["complete"], f"{what}: header")
    for got, s in zip(run["steps"], steps):
        c.check(got["kind"] == s["kind"] and got["nfe"] == s["nfe"] and got["rows"] == s["backward_rows"], f"{what}: {s['step']}")
        c.check(got["w"][0::3] == [w["pos"] for w in s["writes"]] and got["w"][1::3] == [w["token"] for w in s["writes"]], f"{what}: writes")
        if s["kind"] == "setting":
            c.check(got["set"]["policy"] == s["setting"]["policy"] and got["set"]["pins"] == s["setting"]["pins"], f"{what}: setting")
            continue
        c.check(all(abs(h * 1e-4 - e) <= 0.51e-4 for h, e in zip(got["h"], s["entropy"])) and len(got["h"]) == len(s["masked"]), f"{what}: entropies")
        c.check(all(abs(p * 1e-5 - e) <= 0.51e-5 for p, e in zip(got["c"], s["confidence"])), f"{what}: confidences")
        ids, at = [], 0
        for row, k in zip(s["top_ids"], got["k"]):
            c.check(1 <= k <= len(row), f"{what}: at least the likeliest token is listed")
            ids += row[:k]
        c.check(got["ti"] == ids, f"{what}: candidates")
        cand = list(range(len(s["masked"]))) if got["cand"] == 1 else got["cand"]
        c.check([s["masked"][i] for i in cand] == s["candidates"], f"{what}: scored positions")
        if "tis" in s:
            c.check(all(abs(a - b) <= 1e-3 * abs(b) for a, b in zip(got["tis"], s["tis"])), f"{what}: TIS")


def pages(c, hostile):
    for path in EXAMPLES + [hostile]:
        p, data = check_page(c, export(c, path, "--to", "html"), path)
        c.check(data["at"] == 0 and data["color"] == "plain" and len(data["runs"]) == 1, f"{path}: opens at the start")
        check_run(c, data["runs"][0], read_lines(path), path)
    p, data = check_page(c, export(c, *EXAMPLES[:2], "--to", "html", "--at", "end", "--color", "tis"), "two")
    c.check(data["at"] == 6 and data["color"] == "tis" and p.title == "sudoku, boe and sudoku, confidence", f"two: {p.title}")
    for run, path in zip(data["runs"], EXAMPLES):
        check_run(c, run, read_lines(path), path)
    p, data = check_page(c, export(c, hostile, EXAMPLES[2], "--to", "html"), "hostile")
    texts = data["runs"][0]["texts"]
    c.check(p.title == "mo<b>del<U+202E>, bo|e<i> and story, boe", f"hostile: {p.title}")
    c.check(texts["1"] == "</script><img src=x onerror=\"window.broken=1\">" and "14" not in texts, "hostile: texts")
    c.check(texts["11"] == {"s": 0, "p": [["t", "a"], ["m", "<U+0000>"], ["t", "b"]]}, f"hostile: {texts['11']}")


# Markdown ---------------------------------------------------------------

def markdown(c, hostile, folder):
    for path in EXAMPLES + [hostile]:
        lines, out = read_lines(path), export(c, path, "--to", "md")
        table = out[out.index("| step |"):].split("\n\n")[0].splitlines()
        c.check(len(table) == 2 + len(lines) - 2, f"{path}: a row for each step")
        c.check(all(len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 6 for row in table), f"{path}: five cells in each row")
        c.check(table[-1].endswith(f"| {lines[-1]['nfe']} |"), f"{path}: NFE so far: {table[-1]}")
    c.check("a\\|b\\`c\\\\\\|" in out and "put back to the mask 2\n" in out and "a person wrote 9: " in out
            and "step 5: a person chose how to go on: mar\\<gin, 9 planned steps, pinned 2, banned a\\|" in out, "hostile: escapes and interventions")
    c.check(out.startswith("# mo\\<b\\>del\\<U+202E\\>, bo\\|e\\<i\\>: 15 tokens in 5 steps\n"), f"hostile: {out[:80]!r}")
    lines = read_lines(EXAMPLES[0])
    write_lines(f"{folder}/none.jsonl", [lines[0], {**lines[-1], "steps": 0, "result": lines[0]["start"], "complete": False,
                                                    "written": 0, "nfe": 0, "backward_rows": 0, "ms": 0}])
    for to in ("md", "svg", "html"):
        c.check(export(c, f"{folder}/none.jsonl", "--to", to) != "", f"a recording without steps to {to}")
    os.remove(f"{folder}/none.jsonl")
    with open(EXAMPLES[0], "rb") as f:
        cut = f.read()[:-30]
    code, out, message = tabes("export", "-", "--to", "md", stdin=cut)
    c.check(code == 0 and "truncated" in message and message.count("\n") == 1, f"a cut file is said to be one: {message!r}")
    code, out, message = tabes("export", "-", "--to", "md", "-q", stdin=cut)
    c.check(code == 0 and message == "", "and not with -q")


def main():
    c = Checks("export")
    with tempfile.TemporaryDirectory() as folder:
        hostile = f"{folder}/hostile.jsonl"
        write_lines(hostile, hostile_lines())
        usage(c, hostile, folder)
        svgs(c, hostile)
        pages(c, hostile)
        markdown(c, hostile, folder)
    c.finish()


main()
