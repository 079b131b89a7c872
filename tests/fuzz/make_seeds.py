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


def checkpoint(config, tensors):
    return json.dumps(config, separators=(",", ":")).encode() + b"\n====\n" + safetensors(tensors)


def llada():
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
    return checkpoint(config, tensors)


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


SEEDS = {
    "gguf": lambda: [*gguf_files(), ("model", gguf_model("llada"))],
    "checkpoint": gguf_models,
    "safetensors": safetensors_files,
    "tokenizer": tokenizers,
    "trajectory": trajectories,
    "theme": lambda: texts("themes/*.theme"),
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
