#!/usr/bin/env python3
"""Attention probabilities of some rows of the saved cases, in float64 and straight from the stored weights.

Usage: attention.py tests/vectors/NAME...
Needs numpy. Reads NAME/{config.json,model.safetensors,cases.json} and writes NAME/attention.json: for each case and
layer, the rows that predict the first two, the middle and the last position, as [heads][tokens]. Shares no code with
oracle.py; the logits of both are compared before anything is written.
"""
import json
import os
import struct
import sys

import numpy as np


def read_weights(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    out = {}
    for name, t in header.items():
        if name != "__metadata__":
            assert t["dtype"] == "F32", name
            begin, end = t["data_offsets"]
            out[name] = np.frombuffer(data[begin:end], "<f4").reshape(t["shape"]).astype(np.float64)
    return out


LLADA = dict(embed="model.transformer.wte.weight", norm="model.transformer.ln_f.weight", head="model.transformer.ff_out.weight",
             layer="model.transformer.blocks.%d.", attn_norm="attn_norm", q="q_proj", k="k_proj", v="v_proj", o="attn_out",
             mlp_norm="ff_norm", gate="ff_proj", up="up_proj", down="ff_out")
QWEN = dict(embed="model.embed_tokens.weight", norm="model.norm.weight", head="lm_head.weight", layer="model.layers.%d.",
             attn_norm="input_layernorm", q="self_attn.q_proj", k="self_attn.k_proj", v="self_attn.v_proj",
             o="self_attn.o_proj", mlp_norm="post_attention_layernorm", gate="mlp.gate_proj", up="mlp.up_proj",
             down="mlp.down_proj")


class Network:
    def __init__(self, folder):
        with open(os.path.join(folder, "config.json")) as f:
            c = json.load(f)
        self.w = read_weights(os.path.join(folder, "model.safetensors"))
        self.shifted = c["model_type"] == "Dream"
        self.read(c)

    def read(self, c):
        llada = c["model_type"] == "llada"
        self.names = dict(LLADA if llada else QWEN)
        if c.get("tie_word_embeddings"):
            self.names["head"] = self.names["embed"]
        self.heads = c["n_heads" if llada else "num_attention_heads"]
        self.kv_heads = c["n_kv_heads" if llada else "num_key_value_heads"]
        self.layers = c["n_layers" if llada else "num_hidden_layers"]
        self.eps, self.theta, self.mask = c["rms_norm_eps"], c["rope_theta"], c["mask_token_id"]

    def emit(self, pos):
        return max(pos - 1, 0) if self.shifted else pos

    def linear(self, layer, name, x):
        at = self.names["layer"] % layer + self.names[name]
        return x @ self.w[at + ".weight"].T + self.w.get(at + ".bias", 0.0)

    def norm(self, x, weight):
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps) * weight

    def split(self, x, heads, rotate, weight=None):
        """[tokens][heads·hd] to [heads][tokens][hd]; pairs (i, i + hd/2) turn by position·theta^(-2i/hd), after
        the norm of each head where there is one."""
        n = len(x)
        x = x.reshape(n, heads, -1).swapaxes(0, 1)
        if not rotate:
            return x
        if weight is not None:
            x = self.norm(x, weight)
        half = x.shape[2] // 2
        turn = np.exp(1j * np.outer(np.arange(n), self.theta ** (-np.arange(half) / half)))
        z = (x[..., :half] + 1j * x[..., half:]) * turn
        return np.concatenate([z.real, z.imag], axis=2)

    def attend(self, q, k, v, seen):
        """Heads back in one row per token; the probabilities are appended to `seen`."""
        group = [head // (self.heads // self.kv_heads) for head in range(self.heads)]
        s = q @ k[group].swapaxes(1, 2) / np.sqrt(q.shape[2])
        p = np.exp(s - s.max(axis=2, keepdims=True))
        p /= p.sum(axis=2, keepdims=True)
        seen.append(p)
        return (p @ v[group]).swapaxes(0, 1).reshape(q.shape[1], -1)

    def run(self, tokens):
        """Logits [tokens][vocabulary] of the network's rows, and the attention of each layer [heads][tokens][tokens]."""
        x, seen = self.w[self.names["embed"]][tokens], []
        for i in range(self.layers):
            weight = lambda name: self.w[self.names["layer"] % i + self.names[name] + ".weight"]
            h = self.norm(x, weight("attn_norm"))
            part = lambda name: self.w.get(self.names["layer"] % i + "self_attn." + name + "_norm.weight")
            q = self.split(self.linear(i, "q", h), self.heads, True, part("q"))
            k = self.split(self.linear(i, "k", h), self.kv_heads, True, part("k"))
            v = self.split(self.linear(i, "v", h), self.kv_heads, False)
            x = x + self.linear(i, "o", self.attend(q, k, v, seen))
            h = self.norm(x, weight("mlp_norm"))
            gate = self.linear(i, "gate", h)
            x = x + self.linear(i, "down", gate / (1 + np.exp(-gate)) * self.linear(i, "up", h))
        return self.norm(x, self.w[self.names["norm"]]) @ self.w[self.names["head"]].T, seen


class MDLM(Network):
    def read(self, c):
        assert not c["time_conditioning"]
        self.heads = self.kv_heads = c["n_heads"]
        self.layers, self.eps, self.theta, self.mask = c["n_blocks"], 1e-5, 10000.0, c["vocab_size"] - 1

    def affine(self, name, x):
        return x @ self.w[f"backbone.{name}.weight"].T + self.w.get(f"backbone.{name}.bias", 0.0)

    def modulated(self, name, x, shift, scale):
        x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + self.eps)
        return x * self.w[f"backbone.{name}.weight"] * (1 + scale) + shift

    def run(self, tokens):
        silu = lambda x: x / (1 + np.exp(-x))
        time = np.repeat([1.0, 0.0], 128)  # cosines and sines of sigma = 0
        c = silu(self.affine("sigma_map.mlp.2", silu(self.affine("sigma_map.mlp.0", time))))
        x, seen = self.w["backbone.vocab_embed.embedding"][tokens], []
        for i in range(self.layers):
            b = f"blocks.{i}."
            s1, g1, a1, s2, g2, a2 = np.split(self.affine(b + "adaLN_modulation", c), 6)
            q, k, v = np.split(self.affine(b + "attn_qkv", self.modulated(b + "norm1", x, s1, g1)), 3, axis=1)
            q, k, v = (self.split(y, self.heads, turn) for y, turn in ((q, True), (k, True), (v, False)))
            x = x + a1 * self.affine(b + "attn_out", self.attend(q, k, v, seen))
            h = self.affine(b + "mlp.0", self.modulated(b + "norm2", x, s2, g2))
            h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h ** 3)))
            x = x + a2 * self.affine(b + "mlp.2", h)
        s, g = np.split(self.affine("output_layer.adaLN_modulation", c), 2)
        return self.affine("output_layer.linear", self.modulated("output_layer.norm_final", x, s, g)), seen


def open_network(folder):
    with open(os.path.join(folder, "config.json")) as f:
        mdlm = json.load(f)["model_type"] == "mdlm"
    return (MDLM if mdlm else Network)(folder)


def rows_of(net, index, case):
    n = len(case["tokens"])
    logits, seen = net.run(case["tokens"])
    for pos, want in zip(case["masked"], case["logits"]):
        off = np.abs(np.delete(logits[net.emit(pos)], net.mask) - want).max()
        assert off < 1e-9, f"case {index}, position {pos}: logits off by {off:.1e}"
    return [dict(case=index, layer=layer, pos=pos, attention=np.round(p[:, net.emit(pos)], 9).tolist())
            for layer, p in enumerate(seen) for pos in (0, 1, n // 2, n - 1)]


def main():
    for folder in sys.argv[1:]:
        net = open_network(folder)
        with open(os.path.join(folder, "cases.json")) as f:
            cases = json.load(f)["cases"]
        rows = [row for i, case in enumerate(cases) for row in rows_of(net, i, case)]
        with open(os.path.join(folder, "attention.json"), "w") as f:
            f.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
        print(f"{folder}: {len(rows)} rows")


main()
