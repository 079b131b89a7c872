#!/usr/bin/env python3
"""Bad usage and bad input: exit code 2, one line on standard error that names the cause, nothing on standard output.
Then the help texts, the version and the table of policies."""
import json
import os
import shutil
import struct
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import ENV, Checks, tabes

LLADA = "tests/vectors/llada"
RUN = ["run", "-m", LLADA, "--prompt-tokens", "[1,2,3]", "--length", "4"]
SCORE = ["score", "-m", LLADA, "--tokens", "[1,47,47,2]"]


def refused(c, args, needle, stdin=b"", code=2, env=None):
    got, out, message = tabes(*args, stdin=stdin, env=env)
    what = "tabes " + " ".join(map(str, args))[:100]
    c.check(got == code, f"{what}: exit code {got}, expected {code}: {message.strip()}")
    c.check(out == "", f"{what}: prints on standard output: {out[:80]!r}")
    c.check(message.count("\n") == 1 and message.endswith("\n") and message.startswith("tabes"),
            f"{what}: not one line: {message!r}")
    c.check(needle in message, f"{what}: {message.strip()!r} lacks {needle!r}")


def bad_usage(c):
    for args, needle in (
            (["frobnicate"], "unknown command"), (["rnu"], "did you mean 'run'"),
            (RUN + ["--frob"], "unknown option --frob"), (RUN + ["--lenght", 3], "did you mean --length"),
            (RUN + ["-z"], "unknown option -z"), (RUN + ["--length"], "needs a value"),
            (RUN + ["--json=1"], "takes no value"), (RUN + ["--prompt-", "x"], "ambiguous"),
            (RUN + ["extra"], "unexpected argument"), (RUN + ["--length", "-1"], "--length"),
            (RUN + ["--length", "4x"], "--length"), (RUN + ["--length", "1e3"], "--length"),
            (RUN + ["--seed", "-1"], "--seed"), (RUN + ["--seed", "99999999999999999999"], "--seed"),
            (RUN + ["--threads", 0], "--threads"), (RUN + ["--precision", "f64"], "expected auto, f32 or bf16"),
            (RUN + ["--policy", "magic"], "unknown policy 'magic'"), (RUN + ["--policy", "boe,margin"], "at most 1"),
            (RUN + ["--policy", "boe", "--rho", 1.5], "rho"), (RUN + ["--policy", "boe", "--rho", "nan"], "rho"),
            (RUN + ["--policy", "boe", "--rho", "half"], "rho"), (RUN + ["--policy", "boe", "--rho", ""], "rho"),
            (RUN + ["--policy", "boe", "--gate", "maybe"], "gate"), (RUN + ["--steps", "1.5"], "steps"),
            (RUN + ["--policy", "boe", "--active", "all"], "active"),
            (RUN + ["--policy", "boe", "--lookahead", "soft", "--objective", "remaining", "--active", "candidates"],
             "identically zero"),
            (SCORE + ["--lookahead", "soft", "--objective", "remaining", "--active", "candidates"], "identically zero"),
            (SCORE + ["--tis", "soft/remaining/candidates"], "identically zero"),
            (SCORE + ["--tis", "mask/remaining/dense"], "remaining"), (SCORE + ["--tis", "mask/masked"], "--tis"),
            (SCORE + ["--tis", "mask/all/dense"], "all"), (SCORE + ["--t", 0], "--t"), (SCORE + ["--t", 3], "--t"),
            (SCORE + ["--samples", 1], "--samples"), (SCORE + ["-p", "x"], "either"),
            (["score", "-m", LLADA], "no state"), (["run", "-m", LLADA], "no prompt"),
            (RUN + ["-p", "x"], "only one of"), (RUN + ["--tokens-out", "--json"], "only one of"),
            (["info", "a", "b"], "one model"), (["policies", "magic"], "unknown policy"),
            (["tokenize", "-m", "story", "a", "b"], "more than one TEXT"),
            (["open", "--policies", "boe,margin,entropy,random,oracle"], "at most 4"),
            (["open", "--policies", "boe,magic"], "unknown policy 'magic'"),
            (RUN + ["--policies", "boe"], "unknown option --policies"),
            (["replay", "a", "b", "c", "d", "e"], "one to 4 recordings, found 5"),
    ):
        refused(c, args, needle)


def devices(c):
    """Names are checked for their form; what is not there is one line with a way out, and auto does without."""
    for name in ("gpu7", "", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:1234", "cuda0", "cuda:0 "):
        refused(c, RUN + ["--device", name], "expected auto, cpu, cuda or cuda:N")
    for module in ("/nonexistent", "./README.md"):
        env = dict(ENV, TABES_CUDA_MODULE=module)
        for name in ("cuda", "cuda:3"):
            for args in (RUN, SCORE, ["info", "-m", LLADA], ["open", "-m", "sudoku"]):
                refused(c, args + ["--device", name], "use --device cpu", env=env)
        for name in ("auto", "cpu"):
            code, out, message = tabes(*RUN, "--device", name, "-q", env=env)
            c.check(code == 0 and len(json.loads(out)) == 7 and message == "", f"--device {name}: {code} {message!r}")
    code, out, _ = tabes("info", "-m", LLADA, "--device", "cpu", "--json")
    got = json.loads(out)
    c.check((got["device"], got["precision"], got["device_memory"]) == ("cpu", "f32", None), f"info of the CPU: {out}")


def bad_tokens(c):
    for text, needle in (("[1,2,99]", "element 2 (from 0) is 99, the model has ids 0..47"), ("[1,-1]", "element 1"),
                         ("[1.5]", "element 0"), ("[\"a\"]", "element 0"), ("[1,[2]]", "element 1"), ("[1,2", "not a JSON"),
                         ("7", "not a JSON"), ("", "not a JSON"), ("[1]x", "not a JSON"), ("[1e400]", "element 0"),
                         ("[null]", "element 0"), ("[" * 5000, "not a JSON")):
        refused(c, ["run", "-m", LLADA, "--prompt-tokens", text, "--length", 2], needle)
        refused(c, ["score", "-m", LLADA, "--tokens", text], needle)
    refused(c, ["score", "-m", LLADA, "--tokens", "[1,2,3]"], "nothing to score")
    refused(c, ["score", "-m", LLADA, "--tokens", "[]"], "nothing to score")
    for layer in ("3", "-1", "last", ""):
        refused(c, SCORE + ["--attention", layer], "--attention: ")
    refused(c, ["score", "-m", LLADA, "--tokens", json.dumps([47] * 257)], "context")
    refused(c, ["run", "-m", LLADA, "--prompt-tokens", "[1,2]", "--length", 0], "nothing to generate")
    refused(c, ["run", "-m", LLADA, "--prompt-tokens", "[1,2]", "--length", 255], "256")
    refused(c, ["run", "-m", LLADA, "--prompt-tokens", json.dumps([1] * 300), "--length", 1], "256")
    refused(c, ["run", "-m", LLADA, "-p", "hello"], "--prompt-tokens")
    refused(c, ["tokenize", "-m", LLADA, "hello"], "no tokenizer")


def bad_texts(c, folder):
    refused(c, ["run", "-m", "sudoku", "-p", "1a2"], "byte 1")
    refused(c, ["run", "-m", "story", "--prompt-file", "-"], "byte 2: 0xFF", stdin=b"ab\xff")
    refused(c, ["run", "-m", "story", "--prompt-file", f"{folder}/none"], f"{folder}/none")
    for args in (["run", "--prompt-file"], ["score", "--prompt-file"], ["open", "--dump-screen", "80x24", "--prompt-file"],
                 ["open", "--dump-screen", "80x24", "--config"], ["open", "--dump-screen", "80x24", "--script"]):
        refused(c, [args[0], "-m", "story", *args[1:], folder], "directory")
    refused(c, ["run", "-m", "story", "-p", "word " * 2000], "context")
    refused(c, ["tokenize", "-m", "story", "--decode", "[100000]"], "element 0")


def write(folder, name, data):
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def damaged_model(folder, config=None, weights=None, extra=None):
    """A copy of the llada vectors' model with its config or weights changed by a function."""
    shutil.rmtree(f"{folder}/m", ignore_errors=True)
    os.makedirs(f"{folder}/m")
    for name, change in (("config.json", config), ("model.safetensors", weights)):
        with open(f"{LLADA}/{name}", "rb") as f:
            data = f.read()
        data = change(data) if change else data
        if data is not None:
            write(f"{folder}/m", name, data)
    for name, data in (extra or {}).items():
        write(f"{folder}/m", name, data)
    return f"{folder}/m"


def edit(**changes):
    """Config with keys replaced; None removes one."""
    def change(data):
        d = {**json.loads(data), **changes}
        return json.dumps({k: v for k, v in d.items() if v is not None})
    return change


def edit_header(change):
    def apply(data):
        n = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + n])
        change(header)
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text + data[8 + n:]
    return apply


def reshape(header):
    name = next(k for k in header if "blocks.1" in k and "q_proj" in k)
    header[name]["shape"] = [32, 128]


def forget(header):
    del header[next(k for k in header if "blocks.2" in k and "ff_out" in k)]


def bad_models(c, folder):
    refused(c, ["info", "-m", f"{folder}/none"], f"{folder}/none")
    refused(c, ["info", "-m", "nonesuch"], "nonesuch")
    refused(c, ["info", "-m", "README.md" if os.path.exists("README.md") else "LICENSE"], "")
    cases = (
        (dict(config=lambda d: None), "config.json"), (dict(weights=lambda d: None), "safetensors"),
        (dict(config=lambda d: b""), "config.json"), (dict(config=lambda d: d[:40]), "config.json"),
        (dict(config=lambda d: b"[1]"), "config.json"), (dict(config=edit(model_type="gpt2")), "gpt2"),
        (dict(config=edit(model_type=None)), "model_type"), (dict(config=edit(d_model=None)), "d_model"),
        (dict(config=edit(n_layers=None)), "n_layers"), (dict(config=edit(n_heads=0)), "n_heads"),
        (dict(config=edit(n_heads=3)), "heads"), (dict(config=edit(n_layers=4)), "blocks.3"),
        (dict(config=edit(d_model=1 << 40)), "d_model"), (dict(config=edit(n_layers="three")), "n_layers"),
        (dict(config=edit(mask_token_id=48)), "mask_token_id"), (dict(config=edit(mask_token_id=None)), "mask"),
        (dict(config=edit(d_model=128)), ""), (dict(config=edit(vocab_size=47, embedding_size=47)), ""),
        (dict(weights=lambda d: d[:100000]), "model.safetensors"), (dict(weights=lambda d: d[:5]), "model.safetensors"),
        (dict(weights=lambda d: b""), "model.safetensors"),
        (dict(weights=lambda d: struct.pack("<Q", 1 << 62) + d[8:]), "model.safetensors"),
        (dict(weights=lambda d: d[:8] + b"[" * 100 + d[108:]), "model.safetensors"),
        (dict(weights=edit_header(reshape)), "q_proj"), (dict(weights=edit_header(forget)), "model.safetensors"),
        (dict(extra={"tokenizer.json": "{"}), "tokenizer.json"),
        (dict(extra={"tokenizer.json": '{"model":{"type":"BPE","vocab":{"a":48}}}'}), "ids up to 48"),
        (dict(extra={"tabes.json": "[]"}), "tabes.json"), (dict(extra={"tabes.json": '{"boe":{"lambda":0.1}}'}), "boe.h_max"),
        (dict(extra={"tabes.json": '{"boe":{"lambda":-1,"h_max":1}}'}), "boe.lambda"),
    )
    for kind, needle in cases:
        model = damaged_model(folder, **kind)
        refused(c, ["run", "-m", model, "--prompt-tokens", "[1,47]", "--length", 0], needle)
    model = damaged_model(folder, extra={"tabes.json": '{"boe":{"lambda":0.25,"h_max":1.5}, "later": 1}'})
    code, out, _ = tabes("info", "-m", model, "--json")
    c.check(code == 0 and json.loads(out)["tuning"] == {"lambda": 0.25, "h_max": 1.5}, f"tuning is read: {out}")
    code, out, _ = tabes("run", "-m", model, "--prompt-tokens", "[1,47]", "--policy", "boe", "--json")
    params = json.loads(out)["params"]
    c.check(params["lambda"] == 0.25 and params["h_max"] == 1.5, f"tuning reaches the policy: {params}")
    code, out, _ = tabes("run", "-m", model, "--prompt-tokens", "[1,47]", "--policy", "boe", "--lambda", 0, "--json")
    c.check(json.loads(out)["params"]["lambda"] == 0, "an option wins over the tuning")


def help_texts(c):
    code, out, message = tabes("--help")
    c.check(code == 0 and message == "", "--help")
    commands = [line.split()[0] for line in out.splitlines() if line.startswith("  ") and not line.startswith("   ")]
    for name in ("open", "run", "score", "replay", "verify", "export", "info", "tokenize", "policies"):
        c.check(name in commands, f"--help lists {name}")
        code, text, message = tabes(name, "--help")
        c.check(code == 0 and message == "" and text.lower().startswith("usage: tabes"), f"{name} --help")
        c.check("—" not in text, f"{name} --help is plain")
    for name in ("run", "score"):
        text = tabes(name, "--help")[1]
        c.check("--rho" in text and "--lambda-schedule" in text, f"{name} --help has the policies' parameters")
    code, out, message = tabes("--version")
    c.check(code == 0 and out.startswith("tabes ") and message == "", "--version")
    code, out, message = tabes(*RUN, "--policy", "confidence", "--rho", 0.5)
    c.check(code == 0 and out and "--rho is not used by policy confidence" in message, f"a flag of another policy: {message}")
    c.check(tabes("help", "run")[1] == tabes("run", "--help")[1], "help run")


def unprinted(c):
    """What only JSON has is computed, and said to be missing from the table."""
    for option in (["--attention", "2"], ["--logits"], ["--influence"]):
        code, _, message = tabes(*SCORE, *option)
        c.check(code == 0 and message == f"tabes: {option[0]} is printed with --json only\n", f"{option}: {code}: {message!r}")
        c.check(tabes(*SCORE, *option, "--json")[2] == "", f"{option}: nothing is said with --json")


def locales(c):
    """A terminal without UTF-8 gets ASCII, as with --ascii."""
    screens = [tabes("replay", "examples/trajectories/sudoku-boe.jsonl", *ascii, "--no-config", "--dump-screen", "120x40",
                     env=dict(ENV, LC_ALL=locale)) for locale, ascii in (("C", ()), ("C", ("--ascii",)), ("C.UTF-8", ("--ascii",)))]
    c.check(all(code == 0 and out == screens[2][1] and out.isascii() and "<U+" not in out for code, out, _ in screens),
            "the C locale's screen is that of --ascii")


def policy_table(c):
    code, out, message = tabes("policies", "--json")
    table = json.loads(out)
    names = [p["name"] for p in table]
    for name in ("confidence", "margin", "entropy", "random", "boe", "boe-others", "boe-mid"):
        c.check(name in names, f"policies has {name}")
    text = tabes("policies")[1]
    for p in table:
        c.check(p["name"] in text and p["help"].split()[0] in text, f"the table shows {p['name']}")
        one = json.loads(tabes("policies", p["name"], "--json")[1])
        c.check(one == [p], f"policies {p['name']} is its row")
        for q in p["params"]:
            c.check(f"--{q['option']}" in text and q["name"] == q["option"].replace("-", "_"), f"parameter {q['name']}")
            value = {True: "on", False: "off"}.get(q["default"], q["default"]) if q["type"] == "bool" else q["default"]
            if p["name"] in ("confidence", "boe"):
                code, _, message = tabes(*RUN, "--policy", p["name"], f"--{q['option']}", value)
                c.check(code == 0, f"the default of {p['name']} --{q['option']} is accepted: {message}")
            if q["type"] in ("int", "real"):
                refused(c, RUN + ["--policy", p["name"], f"--{q['option']}={q['max'] + 1}"], q["option"])


def main():
    c = Checks("cli usage")
    bad_usage(c)
    devices(c)
    bad_tokens(c)
    with tempfile.TemporaryDirectory() as folder:
        bad_texts(c, folder)
        bad_models(c, folder)
    help_texts(c)
    unprinted(c)
    locales(c)
    policy_table(c)
    c.finish()


main()
