#!/usr/bin/env python3
"""Options that say what a checkpoint does not, prompts in chat templates and with gaps, and what `info` tells."""
import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gguf_support
from support import Checks, tabes

MASK, START, HEAD, END, EOT = 258, 256, 259, 260, 261


def prompt_of(c, what, model, *args, stdin=b""):
    """Ids before the one mask that is asked for."""
    code, out, message = tabes("run", "-m", model, *args, "--length", 1, "--policy", "confidence", "--tokens-out", "-q",
                               stdin=stdin)
    if not c.check(code == 0, f"{what}: exit code {code}: {message}"):
        return []
    return json.loads(out)[:-1]


def refused(c, what, words, *args, stdin=b""):
    code, out, message = tabes(*args, stdin=stdin)
    c.check(code == 2 and not out and message.count("\n") == 1 and all(w in message for w in words),
            f"{what}: exit code {code}: {message}")


def check_templates(c, model):
    byte = lambda s: list(s.encode())
    message = lambda role, s: [HEAD, *ids(role), END, *ids("\n\n" + s), EOT]

    def ids(s):  # the byte alphabet in order of its bytes is the identity here
        return byte(s)

    answer = [HEAD, *ids("assistant"), END, *ids("\n\n")]
    whole = [START, *message("user", "Hi"), *answer]
    c.check(prompt_of(c, "template", model, "-p", " Hi\n") == whole, "LLaDA's template, trimmed")
    c.check(prompt_of(c, "by name", model, "-p", "Hi", "--template", "llada") == whole, "a template by name")
    c.check(prompt_of(c, "system", model, "-p", "Hi", "--system", "S") ==
            [START, *message("system", "S"), *message("user", "Hi"), *answer], "a system message")
    c.check(prompt_of(c, "raw", model, "-p", "Hi", "--raw") == ids("Hi"), "--raw")
    c.check(prompt_of(c, "stdin", model, "--prompt-file", "-", "--raw", stdin="né\n".encode()) == ids("né"), "standard input")
    chatml = [262, *ids("system\nYou are a helpful assistant."), 263, *ids("\n"), 262, *ids("user\nHi"), 263, *ids("\n"), 262,
              *ids("assistant\n")]
    c.check(prompt_of(c, "dream", model, "-p", "Hi", "--template", "dream") == chatml, "Dream's template")
    c.check(prompt_of(c, "qwen3", model, "-p", "Hi", "--template", "qwen3")[-19:] == ids("<think>\n\n</think>\n\n"), "Qwen3's")
    for words, args in ((["--raw"], ["--raw", "--system", "S"]), (["llada", "chatml"], ["--template", "x"])):
        refused(c, str(args), words, "run", "-m", model, "-p", "Hi", *args)


def check_gaps(c, model):
    run = ["run", "-m", model, "--policy", "confidence", "--tokens-out", "-q"]
    code, out, message = tabes(*run, "-p", "a<mask:3>b<mask>")
    got = json.loads(out) if code == 0 else []
    c.check(len(got) == 6 and got[0] == 97 and got[4] == 98 and MASK not in got, f"gaps are filled: {got} {message}")
    code, out, _ = tabes("tokenize", "-m", model, "--json", "<mask:12><mask:0>x<mask:><mask:1234567>")
    got = json.loads(out)["ids"]
    c.check(got[:12] == [MASK] * 12 and got[12] == 120 and got.count(MASK) == 12, f"markers: {got}")
    code, out, _ = tabes("tokenize", "-m", model, "--lines", stdin="a\n\n<mask:2>\n".encode())
    c.check(code == 0 and [json.loads(l) for l in out.splitlines()] == [[97], [], [MASK, MASK]], f"--lines: {out}")


def check_overrides(c, folder):
    unsaid = gguf_support.write(f"{folder}/unsaid.gguf", **{"tokenizer.ggml.mask_token_id": None})
    refused(c, "no mask", ["mask", "--mask-id", "unsaid.gguf"], "info", unsaid)
    code, out, _ = tabes("info", unsaid, "--mask-id", 258, "--json")
    c.check(code == 0 and json.loads(out)["mask_token"] == "<|mdm_mask|>", f"--mask-id: {out}")
    refused(c, "a mask out of range", ["999"], "info", unsaid, "--mask-id", 999)
    llama = gguf_support.write(f"{folder}/llama.gguf", "llama", **{"diffusion.shift_logits": None})
    refused(c, "no shift", ["--no-shift", "llama.gguf"], "info", llama)
    for option, shifted in (("--shift", True), ("--no-shift", False)):
        code, out, _ = tabes("info", llama, option, "--json")
        c.check(code == 0 and json.loads(out)["shifted"] == shifted, f"{option}: {out}")
    for arch, word in (("llada-moe", "mixtures"), ("mamba", "expected")):
        refused(c, arch, [arch, word], "info", gguf_support.write(f"{folder}/other.gguf", arch))


def check_tokenizers(c, folder, model):
    bare = gguf_support.write(f"{folder}/bare.gguf", **{"tokenizer.ggml.tokens": None})
    refused(c, "no tokenizer", ["bare.gguf", "--tokenizer"], "run", "-m", bare, "-p", "Hi")
    code, out, _ = tabes("info", bare, "--tokenizer", model, "--json")
    got = json.loads(out) if code == 0 else {}
    c.check(got.get("tokenizer") == {"source": "GGUF metadata", "ids": gguf_support.VOCAB}, f"--tokenizer FILE: {out}")
    unknown = gguf_support.write(f"{folder}/pre.gguf", **{"tokenizer.ggml.pre": "rwkv"})
    refused(c, "unknown pre", ["rwkv", "--tokenizer"], "info", unknown)
    # GPT-2's layout: vocab.json and merges.txt, with nothing beside them; the mask has no text there
    slow = f"{folder}/gpt2"
    os.mkdir(slow)
    alphabet = gguf_support.byte_alphabet()
    vocab = {t: i for i, t in enumerate(alphabet)}
    vocab.update({"th": 256, "\u0120th": 257, "<|endoftext|>": 258})
    with open(f"{slow}/vocab.json", "w") as f:
        json.dump(vocab, f)
    with open(f"{slow}/merges.txt", "w") as f:
        f.write("#version: 0.2\nt h\n\u0120 th\n")
    code, out, _ = tabes("tokenize", "--tokenizer", slow, "--json", "th th't<|endoftext|>")
    c.check(code == 0 and json.loads(out)["ids"] == [256, 257, 39, 116, 258], f"vocab.json and merges.txt: {out}")
    code, out, message = tabes("run", "-m", "tests/vectors/mdlm", "--tokenizer", slow, "-p", "x")
    c.check(code == 2 and "ids up to 258" in message, f"a vocabulary that the model has no rows for: {message}")
    with open(f"{slow}/tokenizer_config.json", "w") as f:
        json.dump({"tokenizer_class": "LlamaTokenizer"}, f)
    refused(c, "unknown class", ["LlamaTokenizer"], "tokenize", "--tokenizer", slow, "x")
    with open(f"{slow}/merges.txt", "a") as f:
        f.write("broken\n")
    os.remove(f"{slow}/tokenizer_config.json")
    refused(c, "a bad merge", ["merges.txt", "line 4"], "tokenize", "--tokenizer", slow, "x")


def check_info(c, model):
    code, out, message = tabes("info", model, "--json")
    got = json.loads(out) if code == 0 else {}
    c.check(got.get("architecture") == "llada" and got["template"] == "llada" and got["mask_token"] == "<|mdm_mask|>" and
            set(got["types"]) == {"F32"} and got["memory_needed"]["session_bytes"] > 0, f"info: {out} {message}")
    c.check(sum(got["types"].values()) == got["weight_bytes"], "types add up to the weights")
    code, out, _ = tabes("info", "tests/parity/llama_cpp/llada-Q4_K_M.gguf")
    rows = {l.split(" ")[0]: l[15:].strip() for l in out.splitlines()}
    c.check(code == 0 and "Q4_K" in rows["types"] and "Q6_K" in rows["types"] and "session" in rows["memory"] and
            rows["tokenizer"].startswith("GGUF metadata"), f"info as text: {out}")
    code, out, _ = tabes("info", "tests/vectors/mdlm", "--json")
    got = json.loads(out)
    c.check(got["architecture"] == "mdlm" and got["mask_id"] == got["vocab"] - 1 and got["tokenizer"] is None, f"mdlm: {out}")


def check_workbench(c, folder, model):
    """The workbench opens them, and a recording verifies."""
    code, out, message = tabes("open", "-m", model, "-p", "Hi", "--dump-screen", "100x30", "--no-config")
    c.check(code == 0 and "assistant" in out, f"open: {code} {message}")
    record = f"{folder}/run.jsonl"
    code, _, message = tabes("run", "-m", model, "-p", "Hi", "--length", 4, "--record", record, "-q")
    c.check(code == 0, f"record: {message}")
    code, _, message = tabes("verify", record, "-m", model)
    c.check(code == 0, f"verify: {message}")
    shutil.copy(model, f"{folder}/cut.gguf")
    with open(f"{folder}/cut.gguf", "r+b") as f:
        f.truncate(os.path.getsize(model) - 100)
    refused(c, "cut short", ["cut.gguf", "truncated"], "info", f"{folder}/cut.gguf")


def main():
    c = Checks("cli checkpoints")
    with tempfile.TemporaryDirectory() as folder:
        model = gguf_support.write(f"{folder}/model.gguf")
        check_templates(c, model)
        check_gaps(c, model)
        check_overrides(c, folder)
        check_tokenizers(c, folder, model)
        check_info(c, model)
        check_workbench(c, folder, model)
    c.finish()


if __name__ == "__main__":
    main()
