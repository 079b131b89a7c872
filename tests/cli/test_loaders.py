#!/usr/bin/env python3
"""What folders of checkpoints hold beside the usual: added tokens in two more files, shards without an index, chat
templates as a list, a sequence of post-processors; and what is wrong with each."""
import json
import shutil
import struct
import tempfile
from pathlib import Path

from support import Checks, tabes

checks = Checks("test_loaders.py")
check = checks.check
folder = tempfile.TemporaryDirectory()
room = Path(folder.name)
SUDOKU = Path("examples/models/sudoku")


def merges(name, **files):
    """A GPT-2 tokenizer of lower-case letters and one merge."""
    path = room / name
    path.mkdir()
    vocab = {c: i for i, c in enumerate("abcdefghijklmnopqrstuvwxyz")}
    vocab.update({"ab": 26, "<|endoftext|>": 27})
    (path / "vocab.json").write_text(json.dumps(vocab))
    (path / "merges.txt").write_text("#version: 0.2\na b\n")
    for file, content in files.items():
        (path / (file + ".json")).write_text(json.dumps(content))
    return path


def ids(path, text):
    code, out, message = tabes("tokenize", "--tokenizer", path, "--json", text)
    return (json.loads(out)["ids"] if code == 0 else message), code


def added_tokens():
    path = merges("listed", added_tokens={"<x>": 28, "<y>": 29})
    check(ids(path, "abc<x><y>a")[0] == [26, 2, 28, 29, 0], f"added_tokens.json: {ids(path, 'abc<x><y>a')}")
    decoder = {"28": {"content": "<x>", "special": True}, "30": {"content": "<z>", "special": False}}
    path = merges("decoded", tokenizer_config={"added_tokens_decoder": decoder}, added_tokens={"<x>": 28, "<y>": 29})
    check(ids(path, "<z><x>ab<y>")[0] == [30, 28, 26, 29], f"both: {ids(path, '<z><x>ab<y>')}")
    for i, (files, what) in enumerate((({"added_tokens": {"<x>": -1}}, "'<x>' is not in range"), ({"added_tokens": {"<x>": "1"}}, "not in range"),
                                       ({"added_tokens": {"<x>": 1e18}}, "not in range"), ({"tokenizer_config": {"added_tokens_decoder": {"x": {}}}}, "added_tokens_decoder"),
                                       ({"tokenizer_config": {"added_tokens_decoder": {"5": 3}}}, "added_tokens_decoder"),
                                       ({"tokenizer_config": {"added_tokens_decoder": [1]}}, "added_tokens_decoder: expected an object"),
                                       ({"tokenizer_config": {"added_tokens_decoder": {"28": {"content": "<x>"}}}, "added_tokens": [1]},
                                        "added_tokens.json: not a JSON object"))):
        message, code = ids(merges(f"bad{i}", **files), "a")
        check(code == 2 and what in message, f"{files}: {code} {message}")
    broken = merges("broken")
    (broken / "added_tokens.json").write_text("{")
    message, code = ids(broken, "a")
    check(code == 2 and "added_tokens.json" in message, f"broken: {message}")


def shards():
    """Tensors in several files, named so that the folder's own order may be any."""
    whole = (SUDOKU / "model.safetensors").read_bytes()
    n = struct.unpack("<Q", whole[:8])[0]
    header, data = json.loads(whole[8:8 + n]), whole[8 + n:]
    path = room / "shards"
    shutil.copytree(SUDOKU, path)
    (path / "model.safetensors").unlink()
    names = [k for k in header if k != "__metadata__"]
    for part, letter in enumerate("cab"):
        head, body = {}, b""
        for name in names[part::3]:
            begin, end = header[name]["data_offsets"]
            head[name] = dict(header[name], data_offsets=[len(body), len(body) + end - begin])
            body += data[begin:end]
        text = json.dumps(head).encode()
        (path / f"part-{letter}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
    args = ("--prompt-file", "examples/prompts/sudoku.txt", "-q")
    check(tabes("run", "-m", path, *args)[:2] == tabes("run", "-m", SUDOKU, *args)[:2], "three shards decode as the whole file does")
    shutil.copy(path / "part-a.safetensors", path / "part-d.safetensors")
    code, _, message = tabes("info", path)
    check(code == 2 and "also in" in message, f"a tensor of two files: {message}")


def settings():
    path = room / "settings"
    shutil.copytree(SUDOKU, path)
    config = json.loads((path / "tokenizer_config.json").read_text())
    llada = "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>' }}"
    for template in ([{"name": "tool", "template": "x"}, {"name": "default", "template": llada}], [{"name": "tool", "template": "x"}], [3], "x", 5):
        (path / "tokenizer_config.json").write_text(json.dumps(dict(config, chat_template=template)))
        code, out, message = tabes("info", path)
        check(code == 0 and "template" in out, f"template {template}: {message}")
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    (path / "chat_template.jinja").write_text("{{ anything }}")
    check(tabes("info", path)[0] == 0, "a template in a file of its own")
    text = json.loads((path / "tokenizer.json").read_text())
    for processor, fine in (({"type": "Sequence", "processors": [{"type": "ByteLevel"}, text.get("post_processor") or {"type": "ByteLevel"}]}, True),
                            ({"type": "Sequence", "processors": [{"type": "Unknown"}]}, False), ({"type": "Unknown"}, False)):
        (path / "tokenizer.json").write_text(json.dumps(dict(text, post_processor=processor)))
        code, _, message = tabes("tokenize", "-m", path, "12")
        check((code == 0) == fine and (fine or "post_processor" in message), f"{processor}: {message}")


for test in (added_tokens, shards, settings):
    test()
checks.finish()
