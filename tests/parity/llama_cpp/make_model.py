#!/usr/bin/env python3
"""make_model.py ARCH SIZE OUT.gguf - a random-weight GGUF (v3, all F32) of the arch llada or dream. Needs numpy.

SIZE is `small` (two layers, rows of 64 and 96: types of 32 elements a block) or `wide` (one layer, rows of 256:
K-quants). Two query heads share a key head. llada: RoPE on pairs (2i, 2i+1), no biases, diffusion.shift_logits false.
dream: RoPE on halves, biases on q, k and v, neither diffusion.shift_logits nor rope.dimension_count.

Every id but the mask has a text and an output row of its own; the mask's output row is zero, so its logit is 0 and
its share of a softmax is nil beside logits of HEAD: a program that bans the mask and one that does not agree.
HEAD also makes the distributions peaked, as those of a trained model are. Norm weights are near 1 but not 1.
The chat template gives back the text of the user, because llama-diffusion-cli always applies a template.
"""
import struct
import sys
import numpy as np

SIZES = {  # d, layers, heads, key heads, ffn
    "small": (64, 2, 4, 2, 96),
    "wide": (256, 1, 4, 2, 256),
}
SEED = {"llada": 11, "dream": 12}
HEAD = 12.0
VOCAB = 288
ALIGN = 32
SPECIAL = ["<|startoftext|>", "<|endoftext|>", "<|mask|>", "<|eot_id|>"]
BOS, EOS, MASK, EOT = range(256, 260)
MERGES = ("Ġ t|h e|Ġt he|i n|Ġ a|r e|o n|Ġ s|a t|e n|o r|Ġ w|e r|n d|Ġ o|i t|i s|Ġ c|e s|Ġ b|o u|Ġ f|Ġ m|in g|Ġ p|e d|"
          "a n|Ġa nd").split("|")
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


def byte_texts():
    """The printable stand-ins of byte-level vocabularies, by byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) if b in plain else chr(256 + rest.index(b)) for b in range(256)]


def string(text):
    b = text.encode()
    return struct.pack("<Q", len(b)) + b


def pair(key, value):
    """One metadata pair; the Python type decides the GGUF type (a list is of strings or of int32)."""
    if isinstance(value, bool):
        body = struct.pack("<IB", 7, value)
    elif isinstance(value, int):
        body = struct.pack("<II", 4, value)
    elif isinstance(value, float):
        body = struct.pack("<If", 6, value)
    elif isinstance(value, str):
        body = struct.pack("<I", 8) + string(value)
    elif isinstance(value[0], str):
        body = struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(string, value))
    else:
        body = struct.pack("<IIQ", 9, 5, len(value)) + np.asarray(value, "<i4").tobytes()
    return string(key) + body


def metadata(arch, size):
    d, layers, heads, kv, ffn = SIZES[size]
    texts = byte_texts() + SPECIAL + [m.replace(" ", "") for m in MERGES]
    assert len(texts) == VOCAB and len(set(texts)) == VOCAB
    out = {
        "general.architecture": arch,
        "general.name": f"random {arch}, {size}",
        f"{arch}.vocab_size": VOCAB,
        f"{arch}.context_length": 512,
        f"{arch}.embedding_length": d,
        f"{arch}.block_count": layers,
        f"{arch}.feed_forward_length": ffn,
        f"{arch}.attention.head_count": heads,
        f"{arch}.attention.head_count_kv": kv,
        f"{arch}.rope.freq_base": 500000.0 if arch == "llada" else 1000000.0,
        f"{arch}.attention.layer_norm_rms_epsilon": 1e-5 if arch == "llada" else 1e-6,
        f"{arch}.attention.causal": False,
    }
    if arch == "llada":
        out |= {f"{arch}.rope.dimension_count": d // heads, "diffusion.shift_logits": False}
    return out | {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2" if arch == "llada" else "qwen2",
        "tokenizer.ggml.tokens": texts,
        "tokenizer.ggml.token_type": [3 if BOS <= i <= EOT else 1 for i in range(VOCAB)],
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.bos_token_id": BOS,
        "tokenizer.ggml.eos_token_id": EOS,
        "tokenizer.ggml.mask_token_id": MASK,
        "tokenizer.ggml.add_bos_token": arch == "llada",
        "tokenizer.chat_template": TEMPLATE,
    }


def weights(arch, size):
    d, layers, heads, kv, ffn = SIZES[size]
    rng = np.random.Generator(np.random.PCG64(SEED[arch]))

    def matrix(rows, columns, scale=1.0):
        return rng.standard_normal((rows, columns)) * scale / columns**0.5

    def norm():
        return 1 + 0.1 * rng.standard_normal(d)

    yield "token_embd.weight", rng.standard_normal((VOCAB, d))
    for i in range(layers):
        yield f"blk.{i}.attn_norm.weight", norm()
        for name, rows in (("q", d), ("k", d // heads * kv), ("v", d // heads * kv)):
            yield f"blk.{i}.attn_{name}.weight", matrix(rows, d, 1.5)
            if arch == "dream":
                yield f"blk.{i}.attn_{name}.bias", 0.3 * rng.standard_normal(rows)
        yield f"blk.{i}.attn_output.weight", matrix(d, d)
        yield f"blk.{i}.ffn_norm.weight", norm()
        yield f"blk.{i}.ffn_gate.weight", matrix(ffn, d)
        yield f"blk.{i}.ffn_up.weight", matrix(ffn, d)
        yield f"blk.{i}.ffn_down.weight", matrix(d, ffn)
    yield "output_norm.weight", norm()
    head = matrix(VOCAB, d, HEAD)
    head[MASK] = 0
    yield "output.weight", head


def main():
    arch, size, path = sys.argv[1:]
    pairs = [pair(k, v) for k, v in metadata(arch, size).items()]
    infos, data = b"", b""
    tensors = list(weights(arch, size))
    for name, w in tensors:
        dims = w.shape[::-1]
        infos += string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, 0, len(data))
        data += w.astype("<f4").tobytes()
        data += b"\0" * (-len(data) % ALIGN)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join(pairs) + infos
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % ALIGN) + data)


if __name__ == "__main__":
    main()
