#!/usr/bin/env python3
"""Files from strangers: what they name outside of their folder is not opened, what they say never reaches a terminal as
an escape, and exports stay documents of their own structure. Every field and every name is hostile here at once."""
import html.parser
import json
import os
import pty
import random
import re
import select
import shutil
import subprocess
import tempfile
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from export_support import hostile_lines, write_lines
from support import ENV, TABES, Checks, tabes

checks = Checks("test_security.py")
check = checks.check
folder = tempfile.TemporaryDirectory()
room = Path(folder.name)

# A window title, a colour by C1, a status report, bidi overrides and marks, DEL, a bell, a line separator.
EVIL = "\x1b]0;pwned\x07\x9b31m\x9d0;x\x9c\x1b[6n\u202eabc\u2066\u200f\u061c\x7f\u2028\r"
RAW = "\udc9b31m\udc9d"  # bytes 9B and 9D by themselves
NAME = (EVIL + RAW).replace("/", "")
STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\udc80-\udcff]")
LOOKS = re.compile(r"\x1b\[[0-9;]*[mK]|\r(?=\d+/\d+ tokens|\x1b\[K)")  # colours, and the line of progress
# Fields that name things may hold no control characters at all; the bidirectional ones are left to try.
FIELD = "\u202ea\u2066\u200f\u2028"
SUDOKU = "examples/models/sudoku"


def steers(text):
    found = STEERS.search(text.replace("\r\n", "\n"))
    return found and f"U+{ord(found[0]):04X} in {text[max(0, found.start() - 30):found.end() + 30]!r}"


def on_terminal(*args, keys=b"", seconds=60, looks=False, env=None):
    """What the command sends to a terminal, both streams; with `looks` colours are taken out."""
    master, slave = pty.openpty()
    p = subprocess.Popen([TABES, *map(str, args)], stdin=slave, stdout=slave, stderr=slave, env=env or ENV, start_new_session=True)
    os.close(slave)
    if keys:
        os.write(master, keys)
    out = b""
    timer = threading.Timer(seconds, p.kill)
    timer.start()
    while True:
        try:
            select.select([master], [], [])
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        out += part
    timer.cancel()
    code = p.wait()
    os.close(master)
    text = out.decode("utf-8", "surrogateescape")
    return code, LOOKS.sub("", text) if looks else text


def messages():
    """Names of files that are not there, or no recording, lesson, theme, model: the message is one tame line."""
    there = room / ("there" + NAME)
    there.write_bytes(b"\x1b]0;pwned\x07 \xc2\x9b31m\n")
    for name in (NAME, str(there), str(room / NAME)):
        for args in (["info", name], ["info", "-m", name], ["replay", name], ["verify", name], ["export", name, "--to", "html"],
                     ["lesson", "./" + name], ["lesson", name], ["lesson", "--check", name + ".lesson"], ["themes", name], ["themes", "./" + name],
                     ["run", "-m", "sudoku", "--prompt-file", name], ["run", "-m", "sudoku", "-p", name], ["tokenize", "--tokenizer", name, "x"],
                     ["run", "-m", "sudoku", "-p", "12", "--record", "/nowhere/" + name], ["open", "--tree", name],
                     [name], ["run", "--" + name], ["run", name], ["policies", name], ["run", "-m", "sudoku", "-p", "1", "--device", name],
                     ["run", "-m", "sudoku", "-p", "1", "--policy", name], ["eval", name], ["eval", "sudoku", "--results", "/nowhere/" + name],
                     ["open", "-m", "sudoku", "--dump-screen", name],
                     ["open", "-m", "sudoku", "--no-config", "--dump-screen", "80x24", "--exec", name.replace("\n", "")]):
            code, out, message = tabes(*args)
            check(code in (1, 2), f"{args}: exit code {code}, {out[:200]!r}")
            check(not steers(out + message), f"{args}: {steers(out + message)}")
            check(message.startswith("tabes") and message.count("\n") == 1, f"{args}: not one line: {message!r}")


def evil_recording(path):
    """A recording of the Sudoku model whose texts, names and notes are hostile."""
    lines = [json.loads(line) for line in open("examples/trajectories/sudoku-boe.jsonl", encoding="utf-8")]
    head = lines[0]
    head.update(created=FIELD, device=FIELD, precision=FIELD[:3])
    head["model"].update(arch=FIELD, fingerprint=FIELD, dtype=FIELD[:3])
    for step in lines[1:]:
        if step["type"] == "step":
            step["note"] = FIELD
    write_lines(path, lines)


def recordings():
    path, tokens = room / f"rec{NAME}.jsonl", room / "tokens.jsonl"
    evil_recording(path)
    lines = hostile_lines()
    lines[0]["model"].update(name="mo" + FIELD, arch=FIELD, fingerprint=FIELD)
    for i in ("3", "4", "8"):
        lines[0]["texts"][i] = EVIL + i
    lines[0]["texts"]["9"] = {"hex": (b"\x9b31m\x9d0;x\x9c\xff" + b"e" + b"\xcc\x81" * 40).hex()}
    write_lines(tokens, lines)
    cut = room / f"cut{NAME}.jsonl"
    cut.write_bytes(tokens.read_bytes()[:-40])
    for args in (["verify", path, "-m", "sudoku"], ["verify", path, "-m", "sudoku", "--json"], ["verify", tokens], ["verify", cut, "-m", "sudoku"],
                 ["replay", tokens, "-m", "sudoku"]):
        code, out = on_terminal(*args)
        check(code in (0, 1, 2) and not steers(out), f"{args}: {code}: {steers(out)}")
        code, out, message = tabes(*args)
        check(code in (0, 1, 2) and not steers(out + message), f"{args}: {code}: {steers(out + message)}")
    for form in ("json", "csv", "html", "svg", "md", "cast"):
        for file in (path, tokens, cut):
            code, out = on_terminal("export", file, "--to", form)
            check(code == 0 and not steers(out), f"export {form} of {file.name[:6]}: {code}: {steers(out)}")
    for keys in ("sss", "sse", "ssi", "sstL", "?"):
        for file in (path, tokens):
            code, out, message = tabes("replay", file, "--no-config", "--dump-screen", "100x40", "--keys", keys)
            check(code == 0 and not steers(out), f"replay {keys}: {code}: {message} {steers(out)}")
            check("pwned" not in out or "<U+001B>" in out or "?" in out, "hostile text is spelt")


def workbench():
    """On a real terminal, escapes are the program's own: none carries a title, a report, or a C1 control."""
    env = dict(ENV, TERM="xterm-256color", XDG_STATE_HOME=folder.name, XDG_CONFIG_HOME=folder.name)
    for keys in (b"sssi?qq", b":open " + b"/nowhere/\x16\x1b\r" + b"q", b"ss:note x\rq!", b"ssiii:quit-now\r"):
        _, out = on_terminal("replay", room / "tokens.jsonl", room / "tokens.jsonl", keys=keys + b":quit-now\r", env=env, seconds=20)
        check(len(out) > 500, f"the workbench came up: {out[:200]!r}")
        check("\x1b]" not in out and "\x1b[6n" not in out and not re.search("[\x80-\x9f\u202a-\u202e\u2066-\u2069\udc80-\udcff]", out), f"keys {keys}: an escape got through")


def model_folder(name):
    path = room / name
    shutil.copytree(SUDOKU, path)
    return path


def fields():
    """A field that names something and holds a control character is refused, tamely."""
    for key in ("created", "device", "precision", "policy"):
        for text in ("\x1b[31m", "\x9b31m", "\x7f", "\n"):
            lines = hostile_lines()
            lines[0][key] = text
            write_lines(room / "field.jsonl", lines)
            code, out, message = tabes("export", room / "field.jsonl", "--to", "md")
            check(code == 2 and f"{key} holds a control character" in message and not steers(message), f"{key} {text!r}: {message!r}")


def models():
    """A model whose folder and tokens are hostile."""
    path = model_folder("model" + NAME)
    text = json.loads((path / "tokenizer.json").read_text())
    for t in text["added_tokens"]:
        if t["content"] == "<bos>":
            t["content"] = EVIL
        if t["content"] == "<eos>":
            t["content"] = "\x1b[2J\x9b2J"
    vocab = text["model"].get("vocab", {})
    text["model"]["vocab"] = {{"<bos>": EVIL, "<eos>": "\x1b[2J\x9b2J"}.get(k, k): v for k, v in vocab.items()}
    (path / "tokenizer.json").write_text(json.dumps(text))
    (path / "tokenizer_config.json").unlink()
    for args in (["info", path], ["info", path, "--json"], ["tokenize", "-m", path, "12" + EVIL], ["tokenize", "-m", path, "--decode", "[10,11,1]"],
                 ["tokenize", "-m", path, "--decode", "[10,11,1]", "--json"], ["score", "-m", path, "--prompt-file", "examples/prompts/sudoku.txt"],
                 ["score", "-m", path, "--prompt-file", "examples/prompts/sudoku.txt", "--json"],
                 ["run", "-m", path, "--prompt-tokens", "[10,11,1,9]", "--length", "2"]):
        code, out = on_terminal(*args, looks=True)
        check(not steers(out), f"{args[0]} {args[2:]}: {code}: {steers(out)}")
    code, out, _ = tabes("tokenize", "-m", path, "--decode", "[10]")
    check(code == 0 and out == EVIL + "\n", f"into a pipe a text goes as it is: {out!r}")
    code, out, _ = tabes("tokenize", "-m", path, "--decode", "[10]", "--json")
    check(code == 0 and json.loads(out)["text"] == EVIL, f"JSON says the same text: {out!r}")


def shards():
    """An index names files beside it and nothing else, and a pipe is not waited for."""
    secret = room / "outside.safetensors"
    shutil.copy(f"{SUDOKU}/model.safetensors", secret)
    path = model_folder("indexed")
    (path / "model.safetensors").rename(path / "part.safetensors")
    index = path / "model.safetensors.index.json"

    def named(name):
        index.write_text(json.dumps({"weight_map": {"a" + EVIL: name}}))
        return tabes("info", path)

    code, _, message = named("part.safetensors")
    check(code == 0, f"a file beside the index: {message}")
    for name in ("../outside.safetensors", str(secret), "./part.safetensors", "..", ".", "", "sub/x", "/dev/zero", 7, None):
        code, _, message = named(name)
        check(code == 2 and message.count("\n") == 1 and not steers(message), f"index names {name}: {code} {message!r}")
    os.mkfifo(path / "pipe.safetensors")
    for name in ("pipe.safetensors", "link.safetensors"):
        if name[0] == "l":
            (path / name).symlink_to("/dev/zero")
        code, _, message = named(name)
        check(code == 2 and "regular file" in message, f"{name}: {code} {message!r}")


LESSON = "title: t\nabout: a\nmodel: sudoku\n{}\npolicies: confidence\n== One\nText.\n{}\n"


def lessons():
    inside = room / "lessons"
    inside.mkdir()
    board = Path("examples/prompts/sudoku.txt").read_text()
    (inside / "p.txt").write_text(board)
    (inside / "deep").mkdir()
    (inside / "deep" / "p.txt").write_text(board)
    (room / "secret.txt").write_text(board)
    (inside / "link.txt").symlink_to(room / "secret.txt")
    (inside / "near.txt").symlink_to("deep/p.txt")
    (inside / "out").symlink_to(room)
    os.mkfifo(inside / "pipe.txt")
    lesson = inside / "l.lesson"

    def checked(head, step=""):
        lesson.write_text(LESSON.format(head, step))
        return tabes("lesson", "--check", lesson)

    bundled = Path("examples/prompts/sudoku.txt").resolve()
    for name in ("p.txt", "deep/p.txt", "deep/../p.txt", "near.txt", bundled):
        code, out, message = checked(f"prompt-file: {name}")
        check(code == 0, f"prompt-file {name}: {message}")
    for name in ("../secret.txt", room / "secret.txt", "/etc/passwd", "link.txt", "out/secret.txt", "pipe.txt", "deep", "/dev/zero"):
        code, out, message = checked(f"prompt-file: {name}")
        check(code == 2 and ("outside" in message or "regular" in message) and "root" not in message, f"prompt-file {name}: {code} {message!r}")
    shutil.copy("examples/trajectories/sudoku-boe.jsonl", room / "r.jsonl")
    lesson.write_text("title: t\nabout: a\nreplay: ../r.jsonl\n== One\nText.\n")
    code, _, message = tabes("lesson", "--check", lesson)
    check(code == 2 and "outside" in message, f"replay: {message}")
    for name, what in (("/" + SUDOKU, "No such"), ("../indexed", "outside"), ("./out/indexed", "outside"), ("indexed", "does not come with")):
        lesson.write_text(LESSON.format("length: 4", "").replace("model: sudoku", f"model: {name}"))
        code, _, message = tabes("lesson", "--check", lesson)
        check(code == 2 and what in message, f"model {name}: {message!r}")
    # Under no spelling does a lesson write, read, or leave.
    words = ["write", "export", "record", "save-tree", "source", "open", "quit", "quit-now", "suspend", "theme", "command"]
    for word in words:
        for line in (word, f"{word} x", f"{word}! x", f":{word} x", f"1 {word} x", f"\t{word}\tx", f"{word[:-1]} x", f"{word}\rx", f'"{word}" x'):
            code, _, message = checked("prompt-file: p.txt", f"do: {line}")
            check(code == 2, f"do: {line!r} is taken: {message!r}")
    left = {p.name for p in inside.iterdir()}
    check(left == {"p.txt", "deep", "link.txt", "near.txt", "out", "pipe.txt", "l.lesson"}, f"nothing is written: {left}")
    for text in ("\x1b[31m", "\x9b31m", "\u202e", "\x7f"):
        code, _, message = checked("prompt-file: p.txt", text)
        check(code == 2 and "cannot be shown" in message and not steers(message), f"a lesson with {text!r}: {message!r}")


def themes():
    about = room / "evil.theme"
    for text in ("\x1b[31m", "\x9b31m", "\u202e", "\x7f"):
        about.write_text(f"about = x{text}y\n")
        for args in (["themes", about], ["themes", about, "--color", "always"], ["open", "-m", "sudoku", "--no-config", "--dump-screen", "80x24", "--theme", about]):
            code, out, message = tabes(*args)
            check(not steers(LOOKS.sub("", out) + message), f"{args} with {text!r}: {code} {steers(LOOKS.sub('', out) + message)}")
    path = room / f"t{NAME}.theme"
    path.write_text("about = fine\n")
    for args in (["themes", path], ["themes", path, "--color", "always"]):
        code, out, message = tabes(*args)
        check(code == 0 and not steers(LOOKS.sub("", out) + message), f"themes of a hostile name: {code} {message!r}")
    for name in ("../evil", "themes/dark", "/etc/passwd"):
        code, _, message = tabes("themes", name)
        check(code == 2, f"theme {name}: a name with a slash is a file, and that is not one: {message!r}")


class Shape(html.parser.HTMLParser):
    """Elements and attributes in order, and the text of each script."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.shape, self.scripts, self.title, self.inside = [], [], "", None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.shape.append((tag, tuple(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.shape.append(("/" + tag,))
        self.inside = None

    def handle_comment(self, data):
        self.shape.append(("comment", data))

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        if self.inside == "title":
            self.title += data


BITS = ["</script>", "<script>", "<!--", "-->", "]]>", "<![CDATA[", "</title>", "</style>", "\" onload=\"x()", "' onerror='x()", "javascript:x()", "&lt;",
        "&#60;", "\u2028", "\u2029", "\\u003c", "\\", "\"", "'", "`", "${x}", "\x1b]0;t\x07", "\x9b31m", "\u202e", "\u2066", "\x7f", "\t", "\n", "<svg/onload=x()>",
        "e" + "\u0301" * 9, "\ufeff", "\ufffe", "\U000e0041", "@DATA@", "@SCRIPT@", "@TITLE@", "%s%n", "=cmd()", "<SCRIPT", "</ScRiPt >", "\U0001f600", "<?xml", "<!DOCTYPE"]


def exports():
    """Whatever the fields say, the documents keep the structure that plain fields give them."""
    rng = random.Random(7)
    path = room / "fuzz.jsonl"

    def write(text):
        lines = hostile_lines()
        head = lines[0]
        head.update(policy=text(31), device=text(31), precision=text(8), created=text(31))
        head["model"].update(name=text(100), arch=text(20), fingerprint=text(39), dtype=text(7))
        for i in head["texts"]:
            head["texts"][i] = {"text": text(200, False), "special": True} if i in ("0", "18") else text(200, False)
        for step in lines[1:-1]:
            step["note"] = text(200)
            if step.get("setting"):
                step["setting"]["policy"] = text(30)
            if "tis_name" in step:
                step["tis_name"] = text(30)
        write_lines(path, lines)
        out = {}
        for form in ("html", "svg", "md", "csv", "json", "cast"):
            code, out[form], message = tabes("export", path, "--to", form)
            check(code == 0 and not message, f"{form}: {code} {message!r}")
        return out, lines

    def hostile(most, field=True):
        s = ""
        while len(s.encode()) < most:
            s += re.sub("[\x00-\x1f\x7f-\x9f]", "", rng.choice(BITS)) if field else rng.choice(BITS)
        while len(s.encode()) > most:
            s = s[:-1]
        return s or "x"

    plain, _ = write(lambda most, field=True: "plain")
    shape = Shape(plain["html"])
    script, n_svg = shape.scripts[-1], len(ElementTree.fromstring(plain["svg"]).findall(".//*[@href]"))
    tags = {e.tag for e in ElementTree.fromstring(plain["svg"]).iter()}
    for n in range(12):
        out, lines = write(hostile)
        got = Shape(out["html"])
        check(got.shape == shape.shape, f"{n}: html has other elements: {[x for x in got.shape if x not in shape.shape][:3]}")
        check(got.scripts[-1] == script, f"{n}: the page's script is as it was")
        data = next(s for s in got.scripts if s.lstrip().startswith("{"))
        run = json.loads(data)["runs"][0]
        check("<" not in data and run["vocab"] == 19, f"{n}: the data hold no markup")
        check(not STEERS.search(out["html"].replace("\n", "")), f"{n}: html: {steers(out['html'])}")
        svg = ElementTree.fromstring(out["svg"])
        names = {k for e in svg.iter() for k in e.attrib}
        check({e.tag for e in svg.iter()} <= tags and not any(k.startswith("on") or "href" in k for k in names), f"{n}: svg: {names}")
        check(len(svg.findall(".//*[@href]")) == n_svg and not steers(out["svg"]), f"{n}: svg: {steers(out['svg'])}")
        prose = re.sub(r"^(`{3,})[a-z]*\n.*?^\1$", "", out["md"], flags=re.M | re.S)
        check(not steers(out["md"]) and not re.search(r"(?<!\\)<", prose), f"{n}: markdown: {steers(out['md'])} {re.findall('.{30}<.{30}', prose)[:2]}")
        events = [json.loads(line) for line in out["cast"].rstrip("\n").split("\n")]
        shown = "".join(re.sub(r"\x1b\[(?:0(?:;\d+)*m|\d+;1H|\?25[lh]|2J)", "", e[2]) for e in events[1:])
        check(not steers(shown), f"{n}: cast: {steers(shown)}")
        check(not steers(events[0].get("title", "")), f"{n}: the cast's title: {events[0]}")
        again = json.loads(out["json"])["header"]
        check(again["model"]["name"] == lines[0]["model"]["name"], f"{n}: JSON keeps what was said")


for test in (messages, recordings, fields, workbench, models, shards, lessons, themes, exports):
    test()
checks.finish()
