#!/usr/bin/python3
"""replay/schema.json and the reader agree on what a line of a recording is. The interpreter is the system's own,
since python3-jsonschema is installed for that one."""
import copy
import glob
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import Checks, tabes

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)

HEADER, DECODE, FORCE, REMASK, SETTING, OBSERVED, CLOSING = range(7)  # lines of tests/replay/v1.1.jsonl
ABSENT = object()
BIG = 2**53
CONTROLS = ["a\tb", "a\x1b", "a\x7f", "a\x85", "\n"]

# (line, path, a value that is refused)
REFUSED = [
    (HEADER, "type", "node"), (HEADER, "schema", "tabes-tree"),
    *[(HEADER, "version", v) for v in ("2.0", "1", "1.", "1.x", "11.0", "1.0000000000000000")],
    *[(HEADER, "seed", v) for v in ("", "-1", "12a", "9" * 21, -1, 1.5, BIG + 2, None, [])],
    (HEADER, "threads", -1), (HEADER, "threads", 2**20 + 1), (HEADER, "threads", 1.5),
    (HEADER, "n_prompt", -1), (HEADER, "n_prompt", 2**20 + 1),
    (HEADER, "start", []), (HEADER, "start/0", -1), (HEADER, "start/0", 2**21), (HEADER, "start", [0] * (2**20 + 1)),
    (HEADER, "given", ["steps", 5]),
    (HEADER, "model/n_vocab", 1), (HEADER, "model/n_vocab", 2**21 + 1),
    (HEADER, "model/mask_id", -1), (HEADER, "model/mask_id", 2**21), (HEADER, "model/eos_id", -1),
    *[(HEADER, path, v) for path in ("created", "policy", "device", "precision", "model/name", "model/arch",
                                     "model/fingerprint", "model/dtype") for v in CONTROLS],
    *[(HEADER, path, "x" * (n + 1)) for path, n in (
        ("created", 31), ("policy", 31), ("device", 31), ("precision", 15), ("model/name", 127), ("model/arch", 23),
        ("model/fingerprint", 39), ("model/dtype", 7))],
    *[(HEADER, "texts/" + key, "x") for key in ("-1", "01", "x", "1.0", "")],
    *[(HEADER, "texts/1", v) for v in (
        "x" * 4097, {"text": "x" * 4097}, {"hex": "61" * 4097}, {"hex": "6"}, {"hex": "zz"}, {"hex": "AB"}, {},
        {"text": "a", "hex": "61"}, {"text": "a", "special": 1}, {"text": 1}, {"hex": 1}, {"special": True}, None, 5)],
    (DECODE, "kind", "decoded"), (DECODE, "kind", ""), (DECODE, "type", "header"), (DECODE, "type", "steps"),
    (DECODE, "step", -1), (DECODE, "step", 2**20), (DECODE, "step", 0.5),
    (DECODE, "t", 0), (DECODE, "t", -1), (DECODE, "t", 1.5), (DECODE, "t", 2**24 + 1),
    (DECODE, "T", 0), (DECODE, "T", 2**24 + 1),
    (DECODE, "masked/0", -1), (DECODE, "masked/0", 2**20), (DECODE, "masked/1", 2), (DECODE, "candidates/1", 4),
    (DECODE, "entropy/0", -0.0011), (DECODE, "entropy/0", 14.56),
    *[(DECODE, f"{name}/0", v) for name in ("confidence", "margin", "gate", "top_p/0") for v in (-1.1e-6, 1 + 1.1e-6)],
    (DECODE, "argmax/0", -1), (DECODE, "argmax/0", 2**21), (DECODE, "top_ids/0/0", -1),
    (DECODE, "top_k", 0), (DECODE, "top_k", 9), (DECODE, "delta_e_norm/0", -1e-9),
    (DECODE, "tis_name", "x" * 64), *[(DECODE, "tis_name", v) for v in CONTROLS],
    (DECODE, "writes/0/pos", -1), (DECODE, "writes/0/pos", 2**20), (DECODE, "writes/0/pos", 4.5),
    (DECODE, "writes/0/token", -1), (DECODE, "writes/0/p", -1.1e-6), (DECODE, "writes/0/p", 1 + 1.1e-6),
    *[(DECODE, cost, v) for cost in ("nfe", "ms", "observe_ms") for v in (-1e-9, 1.1e15)],
    (DECODE, "backward_rows", -1), (DECODE, "backward_rows", 0.5), (DECODE, "backward_rows", BIG + 2),
    (DECODE, "note", "x" * 4096), *[(DECODE, "note", v) for v in CONTROLS],
    *[(line, "setting", None) for line in range(DECODE, CLOSING)], (SETTING, "setting", ABSENT),
    (SETTING, "kind", "force"), (REMASK, "kind", "setting"), (REMASK, "kind", "decode"),
    (SETTING, "setting/policy", "x" * 32), *[(SETTING, "setting/policy", v) for v in CONTROLS],
    (SETTING, "setting/T", 0), (SETTING, "setting/T", 2**24 + 1),
    (SETTING, "setting/pins", [-1]), (SETTING, "setting/pins", [7, 7]), (SETTING, "setting/pins", [2**20]),
    (SETTING, "setting/bans", [[-1, 2]] * 4097),
    *[(SETTING, "setting/bans/0", v) for v in ([], [1], [1, 2, 3], [-2, 2], [-1, -1], [1.5, 2], [2**20, 2], [-1, 2**21],
                                              ["1", 2], {"pos": 1})],
    (OBSERVED, "observed/name", "x" * 64), *[(OBSERVED, "observed/name", v) for v in CONTROLS],
    (OBSERVED, "observed/positions/0", -1),
    (CLOSING, "type", "step"), *[(CLOSING, name, -1) for name in ("steps", "written", "nfe", "backward_rows", "ms")],
    (CLOSING, "steps", 1.5), (CLOSING, "result/0", -1), (CLOSING, "result/0", 2**21),
]

# (line, path, a value at the edge of what is accepted)
ACCEPTED = [
    (HEADER, "version", "1.999"), (HEADER, "version", "1.0000000000000"), (HEADER, "version", "01.2"),
    (HEADER, "seed", 0), (HEADER, "seed", BIG), (HEADER, "seed", "0"), (HEADER, "seed", "0" * 30 + "7"),
    (HEADER, "threads", 0), (HEADER, "threads", 2**20), (HEADER, "n_prompt", 0), (HEADER, "created", "x" * 31),
    (HEADER, "model/name", "x" * 127), (HEADER, "model/name", "\u202e\u00a0"), (HEADER, "model/n_vocab", 2**21),
    (HEADER, "given", ["steps", "of a later version"]), (HEADER, "of a later version", [{}]),
    (HEADER, "model/of a later version", None), (HEADER, "params/of_a_later_version", None),
    (HEADER, "texts/1", "x" * 4096), (HEADER, "texts/1", {"hex": "ff" * 4096}), (HEADER, "texts/1", "\t\x1b"),
    (DECODE, "T", 2**24), (DECODE, "t", 1), (DECODE, "t", 9.0), (DECODE, "entropy/0", -0.001),
    (DECODE, "confidence/0", 1.000001), (DECODE, "confidence/0", -1e-6), (DECODE, "writes/0/p", 1.000001),
    (DECODE, "top_k", 8), (DECODE, "tis_name", "x" * 63), (DECODE, "nfe", 1e15), (DECODE, "ms", 1e15),
    (DECODE, "backward_rows", BIG), (DECODE, "note", ""), (DECODE, "note", "x" * 4095),
    (DECODE, "of a later version", {"setting": 1}),
    (SETTING, "setting/policy", "x" * 31), (SETTING, "setting/T", 2**24), (SETTING, "setting/bans", [[11, 19]] * 4096),
    (SETTING, "setting/bans", []), (SETTING, "setting/pins", []),
    (SETTING, "note", "why"), (OBSERVED, "observed/name", "x" * 63),
]

# (line, path, a value that only the reader refuses): replay/FORMAT.md, "Beyond the schema"
BEYOND = [
    (DECODE, "t", 10), (HEADER, "seed", str(2**64)), (HEADER, "n_prompt", 13),
    (HEADER, "model/mask_id", 20), (HEADER, "start/0", 20), (HEADER, "texts/20", "x"), (HEADER, "params/rho", -1),
    (DECODE, "writes/0/pos", 12), (DECODE, "writes/0/token", 20), (SETTING, "setting/pins", [7, 6]),
    (SETTING, "setting/bans", [[12, 2]]), (SETTING, "setting/bans", [[-1, 20]]),
    (DECODE, "entropy/0", 3), (DECODE, "score", []), (DECODE, "top_k", 1), (DECODE, "top_p/0", [0.5]),
    (DECODE, "step", 1), (DECODE, "masked/0", 3), (DECODE, "candidates/0", 3), (REMASK, "writes/0/token", 3),
    (DECODE, "note", "\u00e9" * 2048), (HEADER, "created", "\u00e9" * 16), (HEADER, "texts/1", "\u00e9" * 2049),
    (CLOSING, "written", 11), (CLOSING, "complete", True), (CLOSING, "nfe", 9),
]


def changed(line, path, value):
    """The line with what is at the path ("writes/0/pos") replaced, or removed."""
    line = copy.deepcopy(line)
    *parents, last = path.split("/")
    where = line
    for key in parents:
        where = where[int(key) if isinstance(where, list) else key]
    last = int(last) if isinstance(where, list) else last
    if value is ABSENT:
        del where[last]
    else:
        where[last] = value
    return line


def fields(value, path=""):
    """Paths of a line's fields, those within its objects and the first item of its lists; values of parameters and
    texts of tokens have rules of their own."""
    if isinstance(value, dict):
        inner = value.items()
    else:
        inner = [("0", value[0])] if isinstance(value, list) and value else []
    for key, item in inner:
        here = f"{path}/{key}" if path else key
        yield here, item
        if key not in ("params", "texts"):
            yield from fields(item, here)


def wrong(value):
    """A value of each other type that is not as good."""
    if isinstance(value, bool):
        return [None, 1, "true", [], {}]
    if isinstance(value, (int, float)):
        return [None, True, str(value), [value], {}]
    return [v for v in (None, True, 5, "x", [], {}) if not isinstance(v, type(value))]


def says(value):
    return "is absent" if value is ABSENT else f"= {str(value)[:40]!r}"


class Files:
    """Whether the schema and the reader take the line n of a recording."""

    def __init__(self, lines, schema, folder):
        self.lines, self.schema, self.path = lines, schema, os.path.join(folder, "changed.jsonl")

    def taken(self, n, line):
        with open(self.path, "w") as f:
            f.writelines(json.dumps(each) + "\n" for each in [*self.lines[:n], line])  # none behind it contradicts it
        code, _, message = tabes("export", self.path, "--to", "json")
        assert code in (0, 2) and (code == 0 or f"{self.path}:{n + 1}:" in message), (code, message)
        return self.schema.is_valid(line), code == 0


def check_recordings(c, schema, folder):
    kept = sorted(glob.glob("examples/trajectories/*.jsonl") + glob.glob("tests/replay/*.jsonl"))
    c.check(len(kept) >= 6, f"the recordings are there: {kept}")
    new = [os.path.join(folder, policy + ".jsonl") for policy in ("boe", "remdm")]
    for path in new:
        code, _, message = tabes("run", "-q", "-m", "tests/vectors/llada", "--prompt-tokens", "[3,4,6,7]", "--length", 8,
                                 "--policy", os.path.basename(path)[:-6], "--record", path)
        c.check(code == 0, f"{path}: {message}")
    for path in kept + new:
        with open(path) as f:
            for n, line in enumerate(f, 1):
                why = [e.message[:80] for e in schema.iter_errors(json.loads(line))]
                c.check(not why, f"{path}:{n} fits the schema: {why}")


def check_changes(c, files):
    for kind, changes, want in (("refused", REFUSED, (False, False)), ("accepted", ACCEPTED, (True, True)),
                                ("beyond the schema", BEYOND, (True, False))):
        for n, path, value in changes:
            got = files.taken(n, changed(files.lines[n], path, value))
            c.check(got == want, f"{kind}: line {n + 1}, {path} {says(value)}: schema, reader take it: {got}")


def check_fields(c, files):
    seen = set()
    for n, line in enumerate(files.lines):
        for path, value in fields(line):
            removed = [] if path.endswith("/0") else [ABSENT]
            types = [] if path == "seed" or (line["type"], path) in seen else wrong(value)  # seeds have two types
            seen.add((line["type"], path))
            for new in removed + types:
                got = files.taken(n, changed(line, path, new))
                ok = got[0] == got[1] and (new is ABSENT or not got[1])
                c.check(ok, f"line {n + 1}, {path} {says(new)}: schema, reader take it: {got}")


def main():
    c = Checks("schema")
    with open("replay/schema.json") as f:
        schema = json.load(f)
    Draft202012Validator.check_schema(schema)
    schema = Draft202012Validator(schema)
    with open("tests/replay/v1.1.jsonl") as f:
        lines = [json.loads(line) for line in f]
    with tempfile.TemporaryDirectory() as folder:
        check_recordings(c, schema, folder)
        files = Files(lines, schema, folder)
        check_changes(c, files)
        check_fields(c, files)
    c.finish()


main()
