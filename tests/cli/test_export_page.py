#!/usr/bin/env python3
"""The page of `tabes export --to html` in a real browser without a screen: what the canvas holds at each state, the
address, keys and controls, two runs, and hostile tokens. Skipped (77) where Chromium is not installed."""
import html.parser
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from export_support import MASK, hostile_lines, read_lines, states_of, write_lines
from support import Checks, tabes

BOE, GREEDY, STORY = (f"examples/trajectories/{name}.jsonl" for name in ("sudoku-boe", "sudoku-greedy", "story-boe"))
BROWSER = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
VOID = {"br", "meta", "input", "link", "img", "hr"}


class Dom(html.parser.HTMLParser):
    """Elements with their classes, attributes and text, as a flat list in document order."""

    def __init__(self, text):
        super().__init__()
        self.all, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        e = {"tag": tag, "attrs": dict(attrs), "classes": set((dict(attrs).get("class") or "").split()), "text": "",
             "inside": [o["attrs"].get("id") or " ".join(sorted(o["classes"])) for o in self.open]}
        self.all.append(e)
        if tag not in VOID:
            self.open.append(e)

    def handle_endtag(self, tag):
        while self.open and self.open.pop()["tag"] != tag:
            pass

    def handle_data(self, data):
        for e in self.open:
            e["text"] += data

    def by_id(self, name):
        return next((e for e in self.all if e["attrs"].get("id") == name), {"text": "", "attrs": {}, "classes": set()})

    def canvases(self):
        """For each run its slots in order."""
        out = []
        for e in self.all:
            if "canvas" in e["classes"]:
                out.append([])
            elif "data-i" in e["attrs"]:
                out[-1].append(e)
        return out


class Browser:
    def __init__(self, checks, folder):
        self.checks, self.folder, self.n = checks, folder, 0

    def run(self, address, *options):
        self.n += 1
        args = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--v=0",
                f"--user-data-dir={self.folder}/profile", "--virtual-time-budget=2000", *options, address]
        p = subprocess.run(args, capture_output=True, timeout=120)
        said = [line for line in p.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line]
        self.checks.check(p.returncode == 0, f"the browser ends with {p.returncode}")
        self.checks.check(not said, f"{address}: the page complains: {said[:3]}")
        return p.stdout.decode(errors="replace")

    def dom(self, path, after="", *options):
        return Dom(self.run(f"file://{path}{after}", "--dump-dom", *options))


def export(c, out, *args):
    code, _, message = tabes("export", *args, "--to", "html", "-o", out)
    c.check(code == 0, f"export {args}: {message}")
    return out


def with_script(path, code):
    """A copy of the page that does something once it is open."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    out = path.replace(".html", "-scripted.html")
    with open(out, "w", encoding="utf-8") as f:
        f.write(text.replace("</body>", f"<script>{code}</script></body>"))
    return out


def label(lines, token):
    t = lines[0]["texts"].get(str(token))
    return (t["text"] if isinstance(t, dict) else t).replace("\n", "↵")


def check_state(c, slots, lines, n, what):
    """The canvas holds the tokens of state n, and says which are masked, prompt and new."""
    states, mask = states_of(lines), lines[0]["model"]["mask_id"]
    c.check(len(slots) == len(states[0]), f"{what}: {len(slots)} slots")
    fresh = {w["pos"] for w in lines[n]["writes"]} if n else set()
    for pos, (e, token) in enumerate(zip(slots, states[n])):
        if token == mask:
            c.check("masked" in e["classes"] and e["text"] in ("░", "▒", "▓", "+", "−", "·", "0"), f"{what}: position {pos} is masked: {e}")
        else:
            c.check("masked" not in e["classes"] and e["text"] == label(lines, token), f"{what}: position {pos}: {e['text']!r}, expected {label(lines, token)!r}")
        c.check(("fresh" in e["classes"]) == (pos in fresh), f"{what}: position {pos}: is it new? {e['classes']}")
        given = states[0][pos] == token and token != mask
        c.check(("prompt" in e["classes"]) == given, f"{what}: position {pos}: is it prompt? {e['classes']}")
    if n < len(states) - 1:
        following = {w["pos"] for w in lines[n + 1]["writes"]}
        c.check({i for i, e in enumerate(slots) if "next" in e["classes"]} == following, f"{what}: what is written next")


def states(c, b, folder):
    lines, page = read_lines(BOE), export(c, f"{folder}/boe.html", BOE)
    for after, n in (("", 0), ("#step=3&color=entropy&pos=13", 3), ("#step=6", 6), ("#step=end&color=order", 6), ("#step=99", 6), ("#step=-1&color=none&pos=x", 0)):
        dom = b.dom(page, after)
        check_state(c, dom.canvases()[0], lines, n, f"sudoku{after}")
        c.check(dom.by_id("where")["text"] == f"state {n} of 6", f"{after}: {dom.by_id('where')['text']}")
        slots = dom.canvases()[0]
        if "entropy" in after:
            lit = {i for i, e in enumerate(slots) if "lit" in e["classes"] and "--fill: rgb(" in e["attrs"].get("style", "")}
            c.check(lit == {i for i, e in enumerate(slots) if "masked" in e["classes"]}, f"entropy fills the masked positions: {lit}")
            step = lines[4]
            entropy = step["entropy"][step["masked"].index(13)]
            inspector = dom.by_id("inspector")["text"]
            c.check("Position 13" in inspector and f"{entropy:.3f} nats" in inspector, f"inspector: {inspector}")
            c.check("2.48 nats = ln 12" in dom.by_id("legend")["text"], "the legend has a unit")
        if "order" in after:
            order = {w["pos"]: i for i, w in enumerate((w for s in lines[1:-1] for w in s["writes"]), 1)}
            c.check(all(e["attrs"].get("data-order") == (str(order[i]) if i in order else None) for i, e in enumerate(slots)), "order of writing")


def controls(c, b, folder):
    lines = read_lines(BOE)
    key = "const key = k => document.dispatchEvent(new KeyboardEvent('keydown', {key: k, bubbles: true}));"
    drag = "const scrub = document.getElementById('scrub'); scrub.value = 4; scrub.dispatchEvent(new Event('input'));"
    for code, n, color in (
            (key + "for (const k of ['s', 's', '.', 'S', 'ArrowRight', 'ArrowRight', 'e']) key(k);", 4, "entropy"),
            (key + "for (const k of ['End', 'ArrowLeft', 't', 't', '%']) key(k);", 5, "confidence"),
            (key + "for (const k of ['End', 's', 's', 'Home', 'S', 'o']) key(k);", 0, "order"),
            (drag, 4, "plain"), (key + "key(' ');", 2, "plain"), ("location.hash = '#step=5&color=tis';", 5, "tis"),
            ("document.querySelector('.canvas [data-i=\"21\"]').click();" + key + "key('l'); key('s');", 1, "plain")):
        page = with_script(f"{folder}/boe.html", code)
        dom = b.dom(page)
        if code.endswith("key(' ');"):  # playing: the clock decides how far it got
            c.check(dom.by_id("where")["text"] != "state 0 of 6", f"Space plays: {dom.by_id('where')['text']}")
            continue
        check_state(c, dom.canvases()[0], lines, n, code[-60:])
        pressed = [e["attrs"]["data-color"] for e in dom.all if e["attrs"].get("aria-pressed") == "true"]
        c.check(pressed == [color], f"{code[-60:]}: {pressed}")
        c.check("data-i" not in code or "Position 22" in dom.by_id("inspector")["text"], "a click and h, l keep a position")


def two_runs(c, b, folder):
    page = export(c, f"{folder}/two.html", GREEDY, BOE)
    dom = b.dom(page, "#step=6")
    canvases = dom.canvases()
    c.check(len(canvases) == 2, f"{len(canvases)} canvases")
    final = []
    for slots, path in zip(canvases, (GREEDY, BOE)):
        check_state(c, slots, read_lines(path), 6, path)
        final.append(read_lines(path)[-1]["result"])
    differ = {i for i, (x, y) in enumerate(zip(*final)) if x != y}
    for slots in canvases:
        c.check({i for i, e in enumerate(slots) if "differs" in e["classes"]} == differ, "the positions that differ")
    c.check(f"{len(differ)} positions differ" in dom.by_id("story")["text"], dom.by_id("story")["text"])
    dom = b.dom(export(c, f"{folder}/unequal.html", STORY, BOE), "#step=2&pos=70&color=confidence")
    c.check([len(s) for s in dom.canvases()] == [53, 90], "runs of unequal length")
    c.check("no such position" in dom.by_id("inspector")["text"], "a position that one run lacks")


def hostile(c, b, folder):
    write_lines(f"{folder}/hostile.jsonl", hostile_lines())
    page = export(c, f"{folder}/hostile.html", f"{folder}/hostile.jsonl")
    for n, want in ((1, {1: "</script><img src=x onerror=\"window.broken=1\">", 2: "<U+001B>[31mred<U+0007>", 3: "<U+202E>evil<U+2066>",
                         4: "x⊕", 5: "y", 6: "↵", 7: "]]>&amp;<!--", 8: "<FF><FE>", 9: "▓"}),
                    (2, {9: "中文", 10: "a<U+0000>b"}), (3, {2: "▓"}),
                    (4, {2: "a|b`c\\|", 11: "é\u0301\u0301<U+0301>".replace("é", "e\u0301"), 12: "#14", 13: "<U+202E>", 14: "", 15: "\"'<U+2028>"})):
        dom = b.dom(page, f"#step={n}&pos=3&color=tis")
        slots = dom.canvases()[0]
        for pos, text in want.items():
            got = slots[pos]["text"]
            masked = text == "▓"
            c.check("masked" in slots[pos]["classes"] if masked else got == text, f"state {n}, position {pos}: {got!r}, expected {text!r}")
        c.check(not any(e["tag"] in ("img", "i", "b") and "broken" in str(e) for e in dom.all), "no markup comes from a token")
        c.check("hand" in slots[9]["classes"] or n < 2, "a person's token is marked")
        c.check("back" in slots[2]["classes"] or n != 3, "a position that was put back is marked")
    dom = b.dom(page, "#step=5&pos=2")
    c.check("a person chose how to go on: mar<gin, 1 position pinned, 1 token banned" in dom.by_id("story")["text"]
            and "Note: “why | </script><U+202E>”" in dom.by_id("story")["text"], dom.by_id("story")["text"])
    c.check("pinned" in dom.canvases()[0][2]["classes"] and "pinned: it stays" in dom.by_id("inspector")["text"], "a pin is shown")
    c.check(dom.by_id("title")["text"] == "mo<b>del<U+202E>, unmasked by bo|e<i>", dom.by_id("title")["text"])
    c.check(MASK not in states_of(hostile_lines())[4], "the run ends without masks")


def picture(c, b, folder):
    for size in ("1280,800", "400,800"):
        shot = f"{folder}/shot.png"
        b.run(f"file://{folder}/two.html#step=3&color=entropy", f"--screenshot={shot}", f"--window-size={size}")
        with open(shot, "rb") as f:
            data = f.read()
        w, h = struct.unpack(">II", data[16:24])
        c.check(f"{w},{h}" == size and len(data) > 20000, f"a picture of {w}x{h}, {len(data)} bytes")
    probe = "document.title = `${document.documentElement.scrollWidth} ${window.innerWidth}`;"
    for size in ("1280,800", "400,800"):
        dom = b.dom(with_script(f"{folder}/two.html", probe), "#step=3&pos=13", f"--window-size={size}")
        title = next(e["text"] for e in dom.all if e["tag"] == "title")
        wide, window = map(int, re.findall(r"\d+", title))
        c.check(wide <= window, f"{size}: nothing sticks out to the right: {title}")


def put_back(c, b, folder):
    """A policy that puts tokens back: they are masked again, and the page says so."""
    record = f"{folder}/back.jsonl"
    code, _, message = tabes("run", "-m", "sudoku", "--prompt-file", "examples/prompts/sudoku.txt", "-q", "--policy", "remdm",
                             "--eta", 0.3, "--steps", 20, "--seed", 3, "--record", record)
    c.check(code == 0, message)
    lines, page = read_lines(record), export(c, f"{folder}/back.html", record)
    mask = lines[0]["model"]["mask_id"]
    n = next(i for i, s in enumerate(lines) if any(w["token"] == mask for w in s.get("writes", [])))
    back = {w["pos"] for w in lines[n]["writes"] if w["token"] == mask}
    dom = b.dom(page, f"#step={n}&pos={min(back)}")
    slots = dom.canvases()[0]
    c.check({i for i, e in enumerate(slots) if "back" in e["classes"]} == back, f"positions put back: {back}")
    c.check(all("masked" in slots[i]["classes"] for i in back), "they are masked")
    written = len(lines[n]["writes"]) - len(back)
    story = dom.by_id("story")["text"]
    c.check(f"Step {n} wrote {written} token" in story and f"and put {len(back)} back." in story, f"the story: {story}")
    c.check(f"put back to the mask in step {n}" in dom.by_id("inspector")["text"], dom.by_id("inspector")["text"])
    c.check("put back to the mask" in dom.by_id("keys")["text"], dom.by_id("keys")["text"])
    ticks = [e for e in dom.all if "tick" in e["classes"]]
    c.check(len(ticks) == sum(any(w["token"] == mask for w in s.get("writes", [])) for s in lines), f"{len(ticks)} ticks")


def main():
    if not BROWSER:
        print("skipped: chromium is not installed")
        sys.exit(77)
    c = Checks("export page")
    with tempfile.TemporaryDirectory() as folder:
        b = Browser(c, folder)
        states(c, b, folder)
        controls(c, b, folder)
        two_runs(c, b, folder)
        hostile(c, b, folder)
        picture(c, b, folder)
        put_back(c, b, folder)
    c.finish(f" ({b.n} pages)")


main()
