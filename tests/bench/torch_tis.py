#!/usr/bin/env python3
"""A BoE step in plain PyTorch on the CPU, on the weights of a GGUF file: what a user would write without this project.

Usage: torch_tis.py FILE N THREADS REPEATS [bfloat16]     FILE: architecture llada, every tensor F32; needs torch

The first half of N is a prompt, the second half masks; see peers.py, which gives the same state to tabes. A step is a
forward that records a graph, entropies, soft writes of the candidates (a quarter of the masks, by confidence) and the
gradient of the summed entropies at their embeddings, through every row (TIS mask/masked/dense). Prints one JSON object:
median times, candidates and their TIS. bfloat16: weights and activations are, statistics stay float32.
"""
import json
import math
import mmap
import statistics
import struct
import sys
import time

import torch
import torch.nn.functional as F

RHO = 0.25
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


class Gguf:
    """Metadata without arrays, and F32 tensors as views of the mapped file."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY)
        self.at = 8
        n_tensors, n_pairs = self.take("<Q"), self.take("<Q")
        self.meta, self.tensors, infos = {}, {}, []
        for _ in range(n_pairs):
            key = self.text()
            self.meta[key] = self.value(self.take("<I"))
        for _ in range(n_tensors):
            name = self.text()
            shape = [self.take("<Q") for _ in range(self.take("<I"))][::-1]
            if self.take("<I") != 0:
                sys.exit(f"torch_tis: {path}: {name} is not F32")
            infos.append((name, shape, self.take("<Q")))
        align = self.meta.get("general.alignment", 32)
        start = -(-self.at // align) * align
        for name, shape, offset in infos:
            flat = torch.frombuffer(self.data, dtype=torch.float32, count=math.prod(shape), offset=start + offset)
            self.tensors[name] = flat.view(shape)

    def take(self, form):
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def text(self):
        n = self.take("<Q")
        self.at += n
        return self.data[self.at - n:self.at].decode("utf-8", "replace")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind != 9:
            return self.take(SCALARS[kind])
        kind, n = self.take("<I"), self.take("<Q")
        for _ in range(n):
            self.value(kind)
        return None


class Model:
    def __init__(self, path, dtype):
        g = Gguf(path)
        g.tensors = {k: v.to(dtype) for k, v in g.tensors.items()}
        meta = {k.removeprefix("llada."): v for k, v in g.meta.items()}
        self.L, self.d, self.H = meta["block_count"], meta["embedding_length"], meta["attention.head_count"]
        self.KV, self.hd = meta.get("attention.head_count_kv", self.H), self.d // self.H
        self.theta, self.eps = meta["rope.freq_base"], meta["attention.layer_norm_rms_epsilon"]
        self.mask, self.t = meta["tokenizer.ggml.mask_token_id"], g.tensors
        self.V = self.t["token_embd.weight"].shape[0]

    def norm(self, x, name):
        return F.rms_norm(x, (self.d,), self.t[name], self.eps)

    def rope(self, x, angle):
        """x [heads][n][hd]: neighbours (2i, 2i+1) are a pair."""
        a, b, c, s = x[..., 0::2], x[..., 1::2], angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        return torch.stack((a * c - b * s, a * s + b * c), -1).flatten(-2)

    def layer(self, x, i, angle):
        n, b = x.shape[0], f"blk.{i}."
        h = self.norm(x, b + "attn_norm.weight")
        q, k, v = (F.linear(h, self.t[f"{b}attn_{c}.weight"]).view(n, -1, self.hd).transpose(0, 1) for c in "qkv")
        q, k = self.rope(q, angle), self.rope(k, angle)
        if self.KV != self.H:
            k, v = (y.repeat_interleave(self.H // self.KV, 0) for y in (k, v))
        o = F.scaled_dot_product_attention(q[None], k[None], v[None])[0].transpose(0, 1).reshape(n, -1)
        x = x + F.linear(o, self.t[b + "attn_output.weight"])
        h = self.norm(x, b + "ffn_norm.weight")
        h = F.silu(F.linear(h, self.t[b + "ffn_gate.weight"])) * F.linear(h, self.t[b + "ffn_up.weight"])
        return x + F.linear(h, self.t[b + "ffn_down.weight"])

    def logits(self, x, rows):
        speed = self.theta ** (-torch.arange(0, self.hd, 2, dtype=torch.float64) / self.hd)
        angle = torch.outer(torch.arange(x.shape[0], dtype=torch.float64), speed).float()
        for i in range(self.L):
            x = self.layer(x, i, angle)
        z = F.linear(self.norm(x[rows], "output_norm.weight"), self.t["output.weight"])
        forbidden = torch.zeros(self.V)
        forbidden[self.mask] = -1e30
        return z.float() + forbidden


def step(m, tokens, rows):
    begin = time.perf_counter()
    E = m.t["token_embd.weight"]
    x = E[tokens].detach().requires_grad_()
    logp = torch.log_softmax(m.logits(x, rows), -1)
    p = logp.exp()
    H = -(p * logp).sum(-1)
    confidence = p.detach().max(-1).values
    cand = confidence.topk(math.ceil(RHO * len(rows))).indices.sort().values
    middle = time.perf_counter()
    soft = p.detach()[cand].to(E.dtype) @ E
    (g,) = torch.autograd.grad(H.sum(), x)
    tis = -(g[rows[cand]] * (soft - E[m.mask])).sum(-1)
    end = time.perf_counter()
    return {"step_ms": (end - begin) * 1e3, "forward_ms": (middle - begin) * 1e3}, rows[cand].tolist(), tis.tolist()


def main():
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    path, n, threads, repeats = sys.argv[1], *map(int, sys.argv[2:5])
    torch.set_num_threads(threads)
    m = Model(path, getattr(torch, sys.argv[5] if len(sys.argv) > 5 else "float32"))
    tokens = torch.tensor([i % 200 for i in range(n // 2)] + [m.mask] * (n - n // 2))
    rows = torch.arange(n // 2, n)
    step(m, tokens, rows)
    runs = [step(m, tokens, rows) for _ in range(repeats)]
    times = {k: statistics.median(r[0][k] for r in runs) for k in runs[0][0]}
    print(json.dumps({"torch": torch.__version__, **times, "candidates": runs[0][1], "tis": runs[0][2]}))


main()
