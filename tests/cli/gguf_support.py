"""A tiny GGUF model of the llada kind with random float32 weights and a byte-level tokenizer. Standard library only."""
import random
import struct

SPECIAL = ["<|startoftext|>", "<|endoftext|>", "<|mdm_mask|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
           "<|im_start|>", "<|im_end|>"]
CHAT = "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>' }}"
D, HEADS, MLP = 32, 2, 48
VOCAB = 256 + len(SPECIAL)
EOT = 256 + SPECIAL.index("<|eot_id|>")


def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def value(key, v):
    """A pair: the type follows from Python's."""
    if isinstance(v, bool):
        return text(key) + struct.pack("<IB", 7, v)
    if isinstance(v, int):
        return text(key) + struct.pack("<II", 4, v)
    if isinstance(v, float):
        return text(key) + struct.pack("<If", 6, v)
    if isinstance(v, str):
        return text(key) + struct.pack("<I", 8) + text(v)
    if v and isinstance(v[0], int):
        return text(key) + struct.pack("<IIQ", 9, 5, len(v)) + struct.pack(f"<{len(v)}i", *v)
    return text(key) + struct.pack("<IIQ", 9, 8, len(v)) + b"".join(map(text, v))


def byte_alphabet():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(other)) for b in range(256)]


def pairs(arch="llada", **changes):
    """The metadata, by key without the architecture; a change of None leaves a key out."""
    a = arch + "."
    all_pairs = {"general.architecture": arch, a + "block_count": 1, a + "context_length": 128,
                 a + "embedding_length": D, a + "feed_forward_length": MLP, a + "attention.head_count": HEADS,
                 a + "rope.freq_base": 1e4, a + "attention.layer_norm_rms_epsilon": 1e-5,
                 "diffusion.shift_logits": False, "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2",
                 "tokenizer.ggml.tokens": byte_alphabet() + SPECIAL,
                 "tokenizer.ggml.token_type": [1] * 256 + [3] * len(SPECIAL), "tokenizer.ggml.merges": [],
                 "tokenizer.ggml.mask_token_id": 258, "tokenizer.chat_template": CHAT}
    all_pairs.update(changes)
    return [value(k, v) for k, v in all_pairs.items() if v is not None]


def write(path, arch="llada", **changes):
    rng = random.Random(3)
    shapes = [("token_embd.weight", (VOCAB, D)), ("output.weight", (VOCAB, D)), ("output_norm.weight", (D,)),
              ("blk.0.attn_norm.weight", (D,)), ("blk.0.ffn_norm.weight", (D,)), ("blk.0.ffn_gate.weight", (MLP, D)),
              ("blk.0.ffn_up.weight", (MLP, D)), ("blk.0.ffn_down.weight", (D, MLP))]
    shapes += [(f"blk.0.attn_{x}.weight", (D, D)) for x in ("q", "k", "v", "output")]
    infos, data = b"", b""
    for name, shape in shapes:
        n = shape[0] * (shape[1] if len(shape) == 2 else 1)
        infos += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", x) for x in shape[::-1])
        infos += struct.pack("<IQ", 0, len(data))
        data += struct.pack(f"<{n}f", *(1.0 if len(shape) == 1 else rng.gauss(0, 0.3) for _ in range(n)))
        data += bytes(-len(data) % 32)
    meta = pairs(arch, **changes)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(meta)) + b"".join(meta) + infos
    with open(path, "wb") as f:
        f.write(head + bytes(-len(head) % 32) + data)
    return path
