"""A recording whose tokens are hostile, for the tests of the exports; and reading recordings. Standard library only."""
import json

TEXTS = {
    0: {"text": "<eos>", "special": True},
    1: "</script><img src=x onerror=\"window.broken=1\">",
    2: "]]>&amp;<!--",
    3: "\x1b[31mred\x07",
    4: "\u202eevil\u2066",
    5: {"hex": "78e28a"},      # "x" and the first two bytes of U+2295
    6: {"hex": "9579"},        # its last byte and "y"
    7: "\n",
    8: "a|b`c\\|",
    9: {"hex": "fffe"},
    10: "\u4e2d\u6587",
    11: {"hex": "610062"},     # a NUL inside
    12: "",
    13: "e\u0301\u0301\u0301\u0301",
    15: {"hex": "e280"},       # U+202E in two tokens
    16: {"hex": "ae"},
    17: "\"'\u2028",
    18: {"text": "<mask>", "special": True},
}  # 14 has no text
MASK, VOCAB = 18, 19


def step(k, kind, masked, writes, **more):
    n = len(masked)
    return {"type": "step", "step": k, "kind": kind, "t": 3 - k if k < 3 else 1, "T": 3, "masked": masked,
            "entropy": [0.5 + 0.125 * i for i in range(n)], "confidence": [0.75] * n, "margin": [0.5] * n,
            "argmax": [1] * n, "top_k": 3, "top_ids": [[1, 4, 9]] * n, "top_p": [[0.75, 0.25, 1e-9]] * n,
            "total_entropy": sum(0.5 + 0.125 * i for i in range(n)), "candidates": masked,
            "score": [0.25] * n, "tis": [0.5 if i % 2 else -0.25 for i in range(n)], "gate": [1] * n,
            "penalty": [0] * n, "tis_name": "mask/masked/candidates", "h_t": 0, "lambda_t": 0,
            "writes": [{"pos": p, "token": t, "p": 0.75, "score": 0.25} for p, t in writes],
            "nfe": 1, "backward_rows": 2, "ms": 3, "observe_ms": 0, **more}


def hostile_lines():
    start = [0, 1] + [MASK] * 14
    first = [(2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 2), (8, 9)]
    steps = [
        step(0, "decode", list(range(2, 16)), first),
        step(1, "force", list(range(9, 16)), [(9, 10), (10, 11)]),
        step(2, "remask", list(range(11, 16)), [(2, MASK)]),
        step(3, "decode", [2, 11, 12, 13, 14, 15], [(2, 8), (11, 13), (12, 14), (13, 15), (14, 16), (15, 17)]),
    ]
    steps.append(step(4, "setting", [], [], nfe=0, backward_rows=0, ms=0, note="why | </script>\u202e", setting={
        "policy": "mar<gin", "params": {}, "given": [], "T": 9, "bans": [[-1, 8]], "pins": [2]}))
    tokens = list(start)
    for s in steps:
        for w in s["writes"]:
            tokens[w["pos"]] = w["token"]
    header = {"type": "header", "schema": "tabes-trajectory", "version": "1.2", "created": "2026-01-01T00:00:00Z",
              "model": {"name": "mo<b>del\u202e", "arch": "llada", "fingerprint": "00ff", "dtype": "F16",
                        "n_vocab": VOCAB, "mask_id": MASK, "eos_id": 0, "shifted": False},
              "policy": "bo|e<i>", "params": {"steps": 4}, "given": ["steps"], "seed": "18446744073709551615",
              "device": "cpu", "precision": "f32", "threads": 2, "n_prompt": 2, "start": start,
              "texts": {str(i): t for i, t in TEXTS.items()}}
    closing = {"type": "closing", "complete": True, "steps": len(steps), "result": tokens,
               "written": sum(len(s["writes"]) for s in steps), "nfe": 4, "backward_rows": 8, "ms": 12}
    return [header, *steps, closing]


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(line) + "\n" for line in lines)


def read_lines(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def states_of(lines):
    """Tokens of every state of a recording."""
    tokens = list(lines[0]["start"])
    out = [list(tokens)]
    for s in lines[1:]:
        for w in s.get("writes", []):
            tokens[w["pos"]] = w["token"]
        if s["type"] == "step":
            out.append(list(tokens))
    return out
