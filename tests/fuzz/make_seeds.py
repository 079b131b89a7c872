#!/usr/bin/env python3
"""Small valid inputs for the fuzz targets: make_seeds.py FOLDER writes FOLDER/TARGET/NAME.

Checkpoints are written here, as small as their formats allow; the other files are those of the tree, cut to whole
lines where they are long. Nothing but the standard library is used, and the same tree gives the same bytes.
"""
import json
import pathlib
import struct
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
MAX_BYTES = 16 * 1024

# ---- GGUF ----

U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, LIST, U64, I64, F64 = range(13)
PACK = {U8: "<B", I8: "<b", U16: "<H", I16: "<h", U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q", I64: "<q",
        F64: "<d"}
# GGML's number of a type, elements and bytes of a block
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22),
         "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110),
         "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210), "BF16": (30, 1, 2)}


def text(s):
    raw = s.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(kind, v):
    if kind == TEXT:
        return text(v)
    if kind == LIST:
        item, items = v
        return struct.pack("<IQ", item, len(items)) + b"".join(value(item, i) for i in items)
    return struct.pack(PACK[kind], v)


def filler(n, salt):
    """Bytes that are small numbers in every type: no NaN reaches the forward pass from a seed."""
    return bytes((i * 7 + salt * 13) % 29 + 1 for i in range(n))


def tensor_bytes(kind, shape, salt):
    _, elements, size = TYPES[kind]
    count = 1
    for dim in shape:
        count *= dim
    if kind == "F32":
        return b"".join(struct.pack("<f", ((i + salt) % 13 - 6) / 16) for i in range(count))
    return filler(count // elements * size, salt)


def gguf(values, tensors, version=3, alignment=32):
    """values: (key, kind, value); tensors: (name, type, shape with the fastest dimension last)."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    for key, kind, v in values:
        out += text(key) + struct.pack("<I", kind) + value(kind, v)
    data = b""
    for salt, (name, kind, shape) in enumerate(tensors):
        data += b"\0" * (-len(data) % alignment)
        out += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        out += struct.pack("<IQ", TYPES[kind][0], len(data))
        data += tensor_bytes(kind, shape, salt)
    return out + b"\0" * (-len(out) % alignment) + data


def gguf_model(arch, kind="F32", width=4, extra=(), norms=False, bias=False, head=True, parts=1):
    """A network of one layer and one pair of heads of 2; with parts=2 as a set of two files."""
    f, vocab, heads, kv = (width if width <= 32 else 4), 6, 2, 1
    d, q, k = width, heads * 2, kv * 2
    plain = "F32" if kind.startswith("Q") else kind
    values = [("general.architecture", TEXT, arch), (f"{arch}.embedding_length", U32, d),
              (f"{arch}.attention.head_count", U32, heads), (f"{arch}.attention.head_count_kv", U32, kv),
              (f"{arch}.attention.key_length", U32, 2), (f"{arch}.block_count", U32, 1),
              (f"{arch}.feed_forward_length", U32, f), (f"{arch}.context_length", U32, 8),
              (f"{arch}.attention.layer_norm_rms_epsilon", F32, 1e-5), (f"{arch}.rope.freq_base", F32, 1e4),
              ("tokenizer.ggml.mask_token_id", U32, 5), ("general.alignment", U32, 4), *extra]
    tensors = [("token_embd.weight", kind, (vocab, d)), ("output_norm.weight", "F32", (d,))]
    if head:
        tensors.append(("output.weight", kind, (vocab, d)))
    for name, kind_, shape in (("attn_q", kind, (q, d)), ("attn_k", kind, (k, d)), ("attn_v", kind, (k, d)),
                               ("attn_output", plain, (d, q)), ("ffn_gate", kind, (f, d)), ("ffn_up", kind, (f, d)),
                               ("ffn_down", "BF16" if f < d else kind, (d, f)), ("attn_norm", "F32", (d,)),
                               ("ffn_norm", "F32", (d,))):
        tensors.append((f"blk.0.{name}.weight", kind_, shape))
    if norms:
        tensors += [("blk.0.attn_q_norm.weight", "F32", (2,)), ("blk.0.attn_k_norm.weight", "F32", (2,))]
    if bias:
        tensors += [(f"blk.0.attn_{p}.bias", "F32", (n,)) for p, n in (("q", q), ("k", k), ("v", k))]
    if parts == 1:
        return gguf(values, tensors, alignment=4)
    count = ("split.count", U16, 2)
    return (gguf([*values, ("split.no", U16, 0), count], tensors[:3], alignment=4) + b"\n====\n" +
            gguf([("split.no", U16, 1), count, ("general.alignment", U32, 4)], tensors[3:], alignment=4))


def gguf_files():
    kinds = [(f"v.{k}", k, 1) for k in PACK if k not in (F32, F64)] + [("f", F32, 0.5), ("d", F64, 2.5)]
    yield "empty", gguf([], [])
    yield "version-2", gguf([("general.name", TEXT, "x")], [("a", "F32", (2, 3))], version=2)
    yield "values", gguf([*kinds, ("t", TEXT, "text"), ("e", TEXT, "")], [])
    lists = [(f"l.{k}", LIST, (k, [1, 0, 1])) for k in PACK if k not in (F32, F64)]
    yield "lists", gguf([*lists, ("l.f", LIST, (F32, [0.5, -1.0])), ("l.t", LIST, (TEXT, ["a", "", "bc"])),
                         ("l.e", LIST, (U32, []))], [])
    yield "tensors", gguf([], [(f"t.{k}", k, (2, 256)) for k in TYPES], alignment=32)
    yield "split", gguf([("split.no", U16, 0), ("split.count", U16, 2)], [("a", "F32", (1,))])
    yield "tokens", gguf([("tokenizer.ggml.model", TEXT, "gpt2"), ("tokenizer.ggml.pre", TEXT, "qwen2"),
                          ("tokenizer.ggml.tokens", LIST, (TEXT, ["a", "b", "ab", "<mask>"])),
                          ("tokenizer.ggml.token_type", LIST, (I32, [1, 1, 1, 3])),
                          ("tokenizer.ggml.merges", LIST, (TEXT, ["a b"]))], [])


def gguf_models():
    no_shift = [("diffusion.shift_logits", BOOL, False)]
    yield "llada", gguf_model("llada", extra=[("llada.rope.dimension_count", U32, 2)])
    yield "dream", gguf_model("dream", bias=True)
    yield "qwen3", gguf_model("qwen3", norms=True, extra=no_shift)
    yield "llama-tied", gguf_model("llama", head=False, extra=no_shift)
    yield "qwen2-bf16", gguf_model("qwen2", kind="BF16", bias=True)
    yield "llada-set", gguf_model("llada", parts=2)
    yield "llada-f16", gguf_model("llada", kind="F16")
    for kind in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"):
        yield f"llada-{kind}", gguf_model("llada", kind=kind, width=32)
    for kind in ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"):
        yield f"qwen2-{kind}", gguf_model("qwen2", kind=kind, width=256, head=False)


# ---- safetensors ----

def safetensors(tensors):
    head, data = {"__metadata__": {"format": "pt"}}, b""
    for salt, (name, shape) in enumerate(tensors):
        raw = tensor_bytes("F32", shape, salt)
        head[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    raw = json.dumps(head, separators=(",", ":")).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def checkpoint(config, tensors, shards=False):
    files = [tensors[:3], tensors[3:]] if shards else [tensors]
    return b"\n====\n".join([json.dumps(config, separators=(",", ":")).encode(), *map(safetensors, files)])


def llada(shards=False):
    config = {"model_type": "llada", "d_model": 4, "n_heads": 2, "n_kv_heads": 1, "n_layers": 1, "mlp_hidden_size": 4,
              "vocab_size": 6, "embedding_size": 8, "max_sequence_length": 8, "rope": True, "rope_theta": 10000.0,
              "rms_norm_eps": 1e-5, "block_type": "llama", "layer_norm_type": "rms", "activation_type": "silu",
              "weight_tying": False, "include_bias": False, "include_qkv_bias": False, "mask_token_id": 5,
              "eos_token_id": 4, "pad_token_id": 4}
    p = "model.transformer."
    tensors = [(p + "wte.weight", (8, 4)), (p + "ln_f.weight", (4,)), (p + "ff_out.weight", (8, 4))]
    b = p + "blocks.0."
    tensors += [(b + n + ".weight", s) for n, s in (
        ("attn_norm", (4,)), ("ff_norm", (4,)), ("q_proj", (4, 4)), ("k_proj", (2, 4)), ("v_proj", (2, 4)),
        ("attn_out", (4, 4)), ("ff_proj", (4, 4)), ("up_proj", (4, 4)), ("ff_out", (4, 4)))]
    return checkpoint(config, tensors, shards)


def hugging_face(kind, bias=False, norms=False, tied=False):
    config = {"model_type": kind, "hidden_size": 4, "num_attention_heads": 2, "num_key_value_heads": 1,
              "num_hidden_layers": 1, "intermediate_size": 4, "vocab_size": 6, "max_position_embeddings": 8,
              "rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": tied, "mask_token_id": 5,
              "head_dim": 2, "hidden_act": "silu"}
    b = "model.layers.0."
    tensors = [("model.embed_tokens.weight", (6, 4)), ("model.norm.weight", (4,))]
    if not tied:
        tensors.append(("lm_head.weight", (6, 4)))
    tensors += [(b + n + ".weight", s) for n, s in (
        ("input_layernorm", (4,)), ("post_attention_layernorm", (4,)), ("self_attn.q_proj", (4, 4)),
        ("self_attn.k_proj", (2, 4)), ("self_attn.v_proj", (2, 4)), ("self_attn.o_proj", (4, 4)),
        ("mlp.gate_proj", (4, 4)), ("mlp.up_proj", (4, 4)), ("mlp.down_proj", (4, 4)))]
    if bias:
        tensors += [(b + f"self_attn.{p}_proj.bias", (n,)) for p, n in (("q", 4), ("k", 2), ("v", 2))]
    if norms:
        tensors += [(b + f"self_attn.{p}_norm.weight", (2,)) for p in "qk"]
    return checkpoint(config, tensors)


def mdlm(timed):
    d, cond, freq, vocab = 4, 2, 4, 6
    config = {"model_type": "mdlm", "vocab_size": vocab, "hidden_dim": d, "cond_dim": cond, "n_blocks": 1,
              "n_heads": 2, "model_length": 8, "time_conditioning": timed}
    p, b = "backbone.", "backbone.blocks.0."

    def biased(name, rows, cols):
        return [(name + ".weight", (rows, cols)), (name + ".bias", (rows,))]

    tensors = [(p + "vocab_embed.embedding", (vocab, d)), *biased(p + "sigma_map.mlp.0", cond, freq),
               *biased(p + "sigma_map.mlp.2", cond, cond), (b + "norm1.weight", (d,)), (b + "norm2.weight", (d,)),
               (b + "attn_qkv.weight", (3 * d, d)), (b + "attn_out.weight", (d, d)), *biased(b + "mlp.0", 4 * d, d),
               *biased(b + "mlp.2", d, 4 * d), *biased(b + "adaLN_modulation", 6 * d, cond),
               (p + "output_layer.norm_final.weight", (d,)), *biased(p + "output_layer.linear", vocab, d),
               *biased(p + "output_layer.adaLN_modulation", 2 * d, cond)]
    return checkpoint(config, tensors)


def safetensors_files():
    yield "empty", safetensors([])
    yield "one", safetensors([("a", (2, 3))])
    yield "three", safetensors([("a", (1,)), ("b", ()), ("c", (2, 1, 2))])
    yield "llada", llada()
    yield "dream", hugging_face("Dream", bias=True)
    yield "qwen3", hugging_face("a2d-qwen3", norms=True, tied=True)
    yield "llama", hugging_face("a2d-llama")
    yield "mdlm", mdlm(False)
    yield "mdlm-time", mdlm(True)
    yield "shards", llada(shards=True)
    yield "indexed", llada() + b'\n====\n{"weight_map":{"a":"model.safetensors","b":"model.safetensors"}}'


# ---- tokenizers: the first byte is the form, see fuzz_tokenizer.c ----

def small_tokenizer(**changes):
    return json.dumps({
        "added_tokens": [{"id": 5, "content": "<mask>", "special": True, "lstrip": True}],
        "normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True},
        "post_processor": {"type": "TemplateProcessing",
                           "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
                           "special_tokens": {"<s>": {"ids": [4]}}},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "unk_token": "u", "fuse_unk": True,
                  "vocab": {"l": 0, "o": 1, "lo": 2, "u": 3, "<s>": 4}, "merges": ["l o"]}, **changes}).encode()


def tokenizers():
    yield "small", b"\0" + small_tokenizer()
    split = {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\s+|\\p{L}+"}, "behavior": "MergedWithNext", "invert": True},
        {"type": "Digits", "individual_digits": True}]}
    yield "split", b"\0" + small_tokenizer(pre_tokenizer=split, decoder={"type": "Fuse"})
    added = [{"id": 5, "content": "I'll", "single_word": True, "lstrip": True, "rstrip": True, "normalized": True},
             {"id": 6, "content": "34", "single_word": True, "rstrip": True},
             {"id": 7, "content": "\u597d", "rstrip": True}, {"id": 8, "content": "wo\u0308", "normalized": True}]
    steps = {"type": "Sequence", "processors": [{"type": "ByteLevel"}]}
    yield "sequence", b"\0" + small_tokenizer(post_processor=steps)
    yield "added", b"\0" + small_tokenizer(added_tokens=added)
    tokens = [("tokenizer.ggml.model", TEXT, "gpt2"), ("tokenizer.ggml.tokens", LIST, (TEXT, ["l", "o", "lo", "<m>", "<s>"])),
              ("tokenizer.ggml.token_type", LIST, (I32, [1, 1, 1, 3, 3])), ("tokenizer.ggml.bos_token_id", U32, 4),
              ("tokenizer.ggml.merges", LIST, (TEXT, ["l o"])), ("tokenizer.ggml.add_bos_token", BOOL, True),
              ("tokenizer.ggml.mask_token_id", U32, 3), ("tokenizer.chat_template", TEXT, "<|im_start|>")]
    for pre in ("gpt-2", "qwen2", "bailingmoe"):
        yield pre, b"\1" + gguf([*tokens, ("tokenizer.ggml.pre", TEXT, pre)], [])
    merges = b'{"l":0,"o":1,"lo":2}\n====\n#version: 0.2\nl o\n\n====\n'
    yield "merges", b"\2" + merges + (b'{"tokenizer_class":"Qwen2Tokenizer","mask_token":{"content":"<m>"},"chat_template":"x",'
                                       b'"added_tokens_decoder":{"3":{"content":"<m>","special":true}}}\n====\n{"<e>":4}')
    yield "plain-merges", b"\2" + merges + b"{}\n====\n{}"
    for path in sorted(TREE.glob("tests/tokenizer/*/tokenizer.json")):
        yield path.parent.name, b"\0" + path.read_bytes()


# ---- texts of the tree ----

def whole_lines(path):
    raw = path.read_bytes()
    return raw if len(raw) <= MAX_BYTES else raw[:raw.rfind(b"\n", 0, MAX_BYTES) + 1]


def texts(*patterns):
    for pattern in patterns:
        for path in sorted(TREE.glob(pattern)):
            yield path.name, whole_lines(path)


def trajectories():
    yield from texts("tests/replay/*.jsonl", "examples/trajectories/*.jsonl")
    run = (TREE / "tests/replay/v1.0.jsonl").read_bytes()
    setting = {"type": "step", "step": 0, "kind": "setting", "t": 1, "T": 9, "total_entropy": 0, "writes": [],
               "setting": {"policy": "boe", "params": {"rho": 0.5}, "given": ["rho"], "T": 7,
                           "bans": [[-1, 3], [4, 2]], "pins": [4, 5]},
               "note": "a note", "nfe": 0, "backward_rows": 0, "ms": 0, "observe_ms": 0}
    yield "setting", run[:run.index(b"\n") + 1] + json.dumps(setting).encode() + b"\n"
    lines = [{"type": "tree", "schema": "tabes-tree", "version": "1.0", "nodes": [2], "active": [2]},
             {"type": "node", "pane": 0, "id": 1, "parent": 0, "fork": 0, "name": "b1"},
             {"type": "node", "pane": 0, "id": 2, "parent": 1, "fork": 1, "name": "b2 at 1"}]
    head, first, second = (json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
    yield "tree", head + first + run + second + run


# ---- texts, configurations and tasks: the first byte is what the target's comment says ----

def prompts():
    said = ["Hello, w\u00f6rld!  I'll 1234\r\n\t\u4f60\u597d \U0001f642 e\u0301", "a<mask>b<mask:3>c", "<|im_start|>user\nx<|im_end|>",
            "53..7....\n6..195...", "Tom has 3 apples. #### 12", " \u00a0\u2003x\u200d", "\u0130\u0345\ufb03\u1e9b\u0323"]
    for i, words in enumerate(said):
        for kind in range(8):
            yield f"{i}-{kind}", bytes([kind + 8 * (i % 6)]) + words.encode()
    for i, raw in enumerate((b"\xff\xfe\x80", b"\xe4\xbd", b"\xed\xa0\x80\xf4\x90\x80\x80", b"\0a\0")):
        yield f"bytes-{i}", b"\0" + raw


def configs():
    between = b"\n====\n"
    own, _ = llada().split(between, 1)
    tuned = b'{"boe": {"lambda": 0.05, "h_max": 2.0}}'
    token = b'{"mask_token": {"content": "<mask>"}, "chat_template": "<|im_start|>", "eos_token": "d"}'
    yield "llada", own
    yield "tuned", own + between + tuned + between + token
    yield "no-boe", own + between + b'{"other": 1}' + between + b"{}"
    for path in sorted(TREE.glob("examples/models/*/config.json")):
        beside = path.parent
        yield beside.name, between.join((beside / n).read_bytes() for n in ("config.json", "tabes.json", "tokenizer_config.json"))


def examples():
    def lines(path, n):
        return b"".join((TREE / path).read_bytes().splitlines(keepends=True)[:n])

    def one(task, record, answer):
        return bytes([task]) + json.dumps(record).encode() + b"\n\n====\n" + answer

    yield "sudoku", b"\0" + lines("examples/models/sudoku/heldout.csv", 2)
    yield "sudoku-4x4", b"\0quizzes,solutions\n1.34341221434321,1234341221434321\n\n====\n1234\n3412\n2143\n4321"
    yield "countdown", b"\1" + lines("examples/models/countdown/heldout.jsonl", 3) + b"\n====\n44-15=29,79-29=50."
    yield "countdown-one", one(1, {"input": "15,44,79,50"}, b"44-15=29,79-29=50")
    yield "story", b"\2" + lines("examples/models/story/heldout.jsonl", 2) + b"\n====\nso 3 + 4 = 7 #### 7 \n"
    yield "gsm8k", one(3, {"question": "How many?", "answer": "3 and 4\n#### 1,234"}, b"It is \\boxed{1,234.0}")
    yield "math", one(4, {"problem": "x?", "answer": "\\frac{1}{2}", "unique_id": "a/1"}, b"\\boxed{\\dfrac12} or $0.5$ \\boxed 3/4")
    yield "math-text", one(4, {"problem": "x?", "answer": "x=5\\text{ cm}"}, b"\\boxed{\\sqrt3 \\text{ cm}}")
    yield "humaneval", one(5, {"task_id": "HumanEval/0", "prompt": "def f():\n"}, b"    return 1\n\ndef g():\n")
    yield "mbpp", one(6, {"task_id": 2, "text": "add", "test_list": ["assert f(1) == 2"]}, b"```python\nx\n``` [DONE]")
    yield "mbpp-list", bytes([6]) + json.dumps([{"task_id": 2, "prompt": "add", "test_list": []}]).encode() + b"\n====\nx"
    yield "text", one(7, {"text": "Once upon"}, b"\xffa time\0")
    yield "text-plain", b"\7Once\n\nTwice\n\n====\nx"
    yield "results", bytes([8]) + b"".join(json.dumps({
        "key": f"{item:032d}", "task": "countdown", "example": "countdown-0", "policy": "boe", "length": 8, "seed": "0", "correct": True,
        "masks": 8, "steps": 8, "tokens_per_step": 1, "nfe": 8.5, "backward_rows": 3, "seconds": 0.25, "elbo": 1.5,
        "text": "1+2=3 \u597d"}).encode() + b"\n" for item in (0, 1, 0, 9))


def arguments():
    for i, words in enumerate((
            "-m sudoku -p a<mask>b --length 4 --policy boe --rho 0.5 --seed 7 --json -q",
            "--prompt-tokens [8,2,8] --policy confidence --budget 2 --no-gate --threads 2 --device cpu --precision f32",
            "--prompt-tokens=[0,1.5,-1,[2]] x -- --y", "--prompt-file ab<mask:3> --template qwen3 --system x --raw --mask-id 3 --shift",
            "--until a --until b --tokens-out --record x --help", "--policies all --top-k 3 --top-p 0.5 --cfg 1.5 --eos-ban",
            "--policies confidence,boe,remdm --block-length 2 --steps 9")):
        yield f"run-{i}", bytes([i % 2]) + "\n".join(words.split()).encode()
    for i, words in enumerate((
            "--task countdown -n 3 --lengths 8,16 --tokens-per-step 1,2 --seeds 0,18446744073709551615 --jobs 2 --csv",
            "--task text --data x --elbo-draws 4 --judge-model y --samples z --chart --plot p.svg", "--task sudoku --clues 30 --ablation",
            "--task gsm8k --data x --protocol table2 --match-nfe 64 --charge-backward --nfe-accounting paper --results r")):
        yield f"eval-{i}", b"\2" + "\n".join(words.split()).encode()


# ---- the workbench: the first byte picks what is shown ----

def scripts():
    said = ["step 2\npolicy entropy\nset budget 2\nstep\nbranch other\n\nbranch b1\nbranch-name x\nseed 42\n\ngoto end",
            "prompt \"ab <mask:3>\"\n\nexport html x\nexport cast y\nwrite z.jsonl\nopen z.jsonl\n\nopen\nrecord p\nsource x",
            "color tis\n\ndetail scores\n\ndetail attention\nattention-layer 0\nattention-head mean\n\ncolor influence\n\ndetail truth\n",
            "search H>0.5\nfind-next\nsearch \"a\"\nnote a \"b\nposition 4\nmark a\nmark-go a\nspeed 8\nfocus b\n\npane-add boe\n\npane-close!",
            "lesson-answer 2\n\nlesson-next\nlesson-answer\n\n: 3 \n# x\nquit!", "theme dark\ntheme x.theme\nopen! a.jsonl b.jsonl\n\nopen c.jsonl\n"]
    for i, words in enumerate(said):
        for what in range(4):
            yield f"{i}-{what}", bytes([what + 4 * (i % 2)]) + words.encode()
    for path in sorted(TREE.glob("examples/lessons/*.lesson")):
        lines = [line[4:] for line in path.read_text().splitlines() if line.startswith("do: ")]
        yield path.stem, b"\0" + "\n".join(lines).encode()


def key_presses():
    said = [b"ss\xff2sbb\xffG\xffg0\xffhjkl\xff", b":goto 3\r\xff:br\t\t\xff/H>1\rnN\xff", b"P\x1b[B\x1b[B\r\xffrx\r\xffE<mask>\x04\xff", b"wpbuu\x12\xffKjd\r\xff",
            b"\x17n\x17w\xff\x17c\xff", b"\x1b[<0;5;9M\x1b[<32;30;22M\x1b[<65;9;9M\xff", b"?jjq\xffTT\xffv\xffOD\xff", b"\x1bOA\x1b[5~\x1b[Z\xff 9\xff",
            b":\x12go\x1b[A\x10\x0e\x01\x0b\x19\x14\r\xff", b"2>\xff\r>\xff<\xff", b"ma3s'a\xff(\xff)\xffz\xff\x03\x1aq\xffQ"]
    for i, keys in enumerate(said):
        for what in range(4):
            yield f"{i}-{what}", bytes([what + 4 * (i % 4)]) + keys


def views():
    yield from trajectories()
    small = (TREE / "tests/replay/v1.0.jsonl").read_bytes()
    yield "two", small + b"\n====\n" + (TREE / "tests/replay/v1.1.jsonl").read_bytes()


SEEDS = {
    "gguf": lambda: [*gguf_files(), ("model", gguf_model("llada"))],
    "checkpoint": gguf_models,
    "safetensors": safetensors_files,
    "tokenizer": tokenizers,
    "trajectory": trajectories,
    "theme": lambda: texts("themes/*.theme"),
    "view": views,
    "verify": trajectories,
    "text": prompts,
    "config": configs,
    "tasks": examples,
    "arguments": arguments,
    "commands": scripts,
    "terminal": key_presses,
    "lesson": lambda: texts("examples/lessons/*.lesson"),
}


def main():
    for target, seeds in SEEDS.items():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, raw in seeds():
            if len(raw) <= MAX_BYTES:
                (folder / name).write_bytes(raw)


if __name__ == "__main__":
    main()
