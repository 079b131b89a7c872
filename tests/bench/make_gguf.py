#!/usr/bin/env python3
"""A GGUF file of a published model's shape with random weights, for measuring: nobody needs to download 4.5 GB.

Usage: make_gguf.py SHAPE OUT          SHAPE: llada-8b, dream-7b, medium (0.95B), small (0.1B)

Matrices are Q4_K, as in a Q4_K_S file the head is Q6_K; norms are F32. Blocks come from a pool of random ones whose
scales make weights about as large as trained ones, so numbers stay tame through all layers. The vocabulary has as
many tokens as the model's, of which the special ones are real. Standard library only.
"""
import random
import struct
import sys

SHAPES = {  # width, layers, heads, kv heads, MLP, vocabulary, context, mask
    "llada-8b": ("llada", 4096, 32, 32, 32, 12288, 126464, 4096, 126336),
    "dream-7b": ("dream", 3584, 28, 28, 4, 18944, 152064, 131072, 151666),
    "medium": ("llada", 2048, 16, 16, 16, 5632, 32000, 4096, 31999),
    "small": ("llada", 768, 12, 12, 12, 2048, 32000, 4096, 31999),
}
TYPES = {"F32": (0, 1, 4), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210)}
ALIGN = 32


def half(x):
    return struct.pack("<e", x)


def pool_of(kind, rng, n=1 << 14):
    blocks = []
    for _ in range(n):
        if kind == "Q4_K":  # d, dmin, 12 bytes of scales, 128 of nibbles: about 0.02 around zero
            blocks.append(half(1.2e-4 * rng.uniform(0.5, 1)) + half(9e-4 * rng.uniform(0.5, 1)) + rng.randbytes(140))
        else:
            blocks.append(rng.randbytes(192) + bytes(rng.randrange(-30, 31) & 255 for _ in range(16)) + half(4e-5))
    return b"".join(blocks)


def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def u32(key, v):
    return text(key) + struct.pack("<II", 4, v)


def f32(key, v):
    return text(key) + struct.pack("<If", 6, v)


def boolean(key, v):
    return text(key) + struct.pack("<IB", 7, v)


def texts(key, items):
    return text(key) + struct.pack("<IIQ", 9, 8, len(items)) + b"".join(map(text, items))


def byte_alphabet():
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    other = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(other)) for b in range(256)]


def vocabulary(n, mask):
    tokens = byte_alphabet()
    tokens += [f"[T{i}]" for i in range(len(tokens), n)]
    types = [1] * 256 + [5] * (n - 256)
    tokens[mask], types[mask] = "<|mask|>", 3
    return tokens, types


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
        sys.exit(__doc__)
    arch, d, layers, heads, kv, f, vocab, context, mask = SHAPES[sys.argv[1]]
    hd = d // heads
    tensors = [("token_embd.weight", (vocab, d), "Q4_K")]
    for i in range(layers):
        b = f"blk.{i}."
        tensors += [(b + "attn_norm.weight", (d,), "F32"), (b + "attn_q.weight", (d, d), "Q4_K"),
                    (b + "attn_k.weight", (kv * hd, d), "Q4_K"), (b + "attn_v.weight", (kv * hd, d), "Q4_K"),
                    (b + "attn_output.weight", (d, d), "Q4_K"), (b + "ffn_norm.weight", (d,), "F32"),
                    (b + "ffn_gate.weight", (f, d), "Q4_K"), (b + "ffn_up.weight", (f, d), "Q4_K"),
                    (b + "ffn_down.weight", (d, f), "Q4_K")]
        if arch == "dream":
            tensors += [(b + f"attn_{x}.bias", (n,), "F32") for x, n in (("q", d), ("k", kv * hd), ("v", kv * hd))]
    tensors += [("output_norm.weight", (d,), "F32"), ("output.weight", (vocab, d), "Q6_K")]
    tokens, types = vocabulary(vocab, mask)
    pairs = [text("general.architecture") + struct.pack("<I", 8) + text(arch), u32(arch + ".block_count", layers),
             u32(arch + ".context_length", context), u32(arch + ".embedding_length", d),
             u32(arch + ".feed_forward_length", f), u32(arch + ".attention.head_count", heads),
             u32(arch + ".attention.head_count_kv", kv), f32(arch + ".rope.freq_base", 5e5 if arch == "llada" else 1e6),
             f32(arch + ".attention.layer_norm_rms_epsilon", 1e-5), boolean(arch + ".attention.causal", 0),
             u32("tokenizer.ggml.mask_token_id", mask), texts("tokenizer.ggml.tokens", tokens),
             text("tokenizer.ggml.model") + struct.pack("<I", 8) + text("gpt2"),
             text("tokenizer.ggml.pre") + struct.pack("<I", 8) + text("qwen2"),
             text("tokenizer.ggml.token_type") + struct.pack("<IIQ", 9, 5, vocab) + struct.pack(f"<{vocab}i", *types),
             texts("tokenizer.ggml.merges", [])]
    if arch == "llada":
        pairs.append(boolean("diffusion.shift_logits", 0))
    infos, sizes, at = [], [], 0
    for name, shape, kind in tensors:
        number, elements, block = TYPES[kind]
        count = 1
        for x in shape:
            count *= x
        size = count // elements * block
        infos.append(text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", x) for x in shape[::-1]) +
                     struct.pack("<IQ", number, at))
        sizes.append(size)
        at += -(-size // ALIGN) * ALIGN
    rng = random.Random(7)
    pools = {k: pool_of(k, rng) for k in ("Q4_K", "Q6_K")}
    with open(sys.argv[2], "wb") as out:
        out.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join(pairs) + b"".join(infos))
        out.write(bytes(-out.tell() % ALIGN))
        for (name, shape, kind), size in zip(tensors, sizes):
            if kind == "F32":
                value = 1.0 if name.endswith("weight") else 0.0
                out.write(struct.pack("<f", value) * (size // 4))
            else:
                block, left = TYPES[kind][2], size
                while left:
                    start = rng.randrange(len(pools[kind]) // block) * block
                    piece = pools[kind][start:start + left]
                    out.write(piece)
                    left -= len(piece)
            out.write(bytes(-out.tell() % ALIGN))


if __name__ == "__main__":
    main()
