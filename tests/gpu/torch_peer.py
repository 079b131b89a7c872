#!/usr/bin/env python3
"""The shapes of gpu_bench in plain PyTorch on the same device: what a user would write without this project.

Measured, as medians of synchronised wall clock times that end with the results on the host:
  forward_ms         no autograd: logits, entropy, confidence and argmax of the masked rows (a greedy step)
  graph_forward_ms   the same forward recording a graph (what a step with TIS needs), without statistics
  backward_ms        gradient of the summed entropies of the masked rows at the candidates' embeddings (TIS)
The last two once dense and once with the attention output of all but the candidates' rows detached (Eq. 30).
Weights do not require gradients, attention is scaled_dot_product_attention, everything runs eagerly in bfloat16.

Needs torch with CUDA; without, says so and exits 77.
"""
import argparse
import json
import math
import os
import statistics
import sys
import time

SHAPES = {
    # d, layers, heads, kv heads, mlp, vocabulary, theta, eps, shifted, bias of q, k and v
    "llada-8b": (4096, 32, 32, 32, 12288, 126464, 5e5, 1e-5, False, False),
    "dream-7b": (3584, 28, 28, 4, 18944, 152064, 1e6, 1e-6, True, True),
    "small": (768, 12, 12, 12, 2048, 32000, 1e4, 1e-5, False, False),
}
WARM_UP, FEWEST = 2, 3


def skip(why):
    print(f"torch_peer: skipped: {why}", file=sys.stderr)
    sys.exit(77)


try:
    import torch
    import torch.nn.functional as F
except ImportError as e:
    skip(f"this Python ({sys.executable}) has no torch ({e}); TORCH_PYTHON names another for run.sh")


class Model:
    """A pre-norm transformer with SwiGLU, half-split RoPE, grouped keys and no attention mask; random weights."""

    def __init__(self, name, device):
        (self.d, self.L, self.H, self.KV, self.f, self.V, self.theta, self.eps, self.shifted, bias) = SHAPES[name]
        self.hd = self.d // self.H
        self.device = device
        self.mask = self.V - 1
        q, kv = self.H * self.hd, self.KV * self.hd
        self.embed, self.head = self.random(self.V, self.d), self.random(self.V, self.d)
        self.norm = self.ones()
        self.layers = [{
            "n1": self.ones(), "n2": self.ones(), "qkv": self.random(q + 2 * kv, self.d),
            "bias": self.random(q + 2 * kv) if bias else None, "o": self.random(self.d, q),
            "gu": self.random(2 * self.f, self.d), "down": self.random(self.d, self.f)} for _ in range(self.L)]

    def random(self, *shape):
        return torch.empty(*shape, dtype=torch.bfloat16, device=self.device).normal_(0, 0.02)

    def ones(self):
        return torch.ones(self.d, dtype=torch.bfloat16, device=self.device)

    def rms(self, x, w):
        y = x.float()
        return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype) * w

    def tables(self, n):
        speed = self.theta ** (-torch.arange(0, self.hd, 2, device=self.device, dtype=torch.float64) / self.hd)
        angle = torch.outer(torch.arange(n, device=self.device, dtype=torch.float64), speed)
        angle = torch.cat((angle, angle), -1)
        return angle.cos().to(torch.bfloat16), angle.sin().to(torch.bfloat16)

    def rope(self, x, tables):
        half = self.hd // 2
        turned = torch.cat((-x[..., half:], x[..., :half]), -1)
        return x * tables[0] + turned * tables[1]

    def attention(self, w, x, tables, active):
        n, q, kv = x.shape[0], self.H * self.hd, self.KV * self.hd
        qkv = F.linear(x, w["qkv"], w["bias"])
        query, key, value = (t.view(n, -1, self.hd).transpose(0, 1) for t in qkv.split((q, kv, kv), -1))
        query, key = self.rope(query, tables), self.rope(key, tables)
        if self.KV != self.H:
            key, value = (t.repeat_interleave(self.H // self.KV, 0) for t in (key, value))
        o = F.scaled_dot_product_attention(query[None], key[None], value[None])[0]
        o = o.transpose(0, 1).reshape(n, q)
        if active is not None:
            o = torch.where(active, o, o.detach())
        return F.linear(o, w["o"])

    def forward(self, x, rows, tables, active=None):
        """Float32 logits of `rows`, the mask's column out of reach."""
        for w in self.layers:
            x = x + self.attention(w, self.rms(x, w["n1"]), tables, active)
            gate, up = F.linear(self.rms(x, w["n2"]), w["gu"]).split(self.f, -1)
            x = x + F.linear(F.silu(gate) * up, w["down"])
        z = F.linear(self.rms(x[rows], self.norm), self.head).float()
        forbidden = torch.zeros(self.V, device=self.device)
        forbidden[self.mask] = -1e30
        return z + forbidden


class State:
    """N positions, the first half random tokens, the second half masks."""

    def __init__(self, m, n):
        self.n, self.n_masked = n, n - n // 2
        self.tokens = torch.randint(0, m.mask, (n,), device=m.device)
        self.tokens[n // 2:] = m.mask
        self.masked = torch.arange(n // 2, n, device=m.device)
        self.rows = (self.masked - 1).clamp(min=0) if m.shifted else self.masked
        self.tables = m.tables(n)

    def candidates(self, m, rho):
        """Every so-manieth masked position, and the mask of active rows."""
        count = min(self.n_masked, max(1, math.ceil(rho * self.n_masked)))
        cand = self.masked[torch.linspace(0, self.n_masked - 1, count, device=m.device).round().long()]
        active = torch.zeros(self.n, 1, dtype=torch.bool, device=m.device)
        active[cand] = True
        if m.shifted:
            active[(cand - 1).clamp(min=0)] = True
        return cand, active


def entropies(z):
    logp = torch.log_softmax(z, -1)
    return -(logp.exp() * logp).sum(-1), logp


def greedy_step(m, s):
    torch.cuda.synchronize()
    begin = time.perf_counter()
    with torch.inference_mode():
        H, logp = entropies(m.forward(m.embed[s.tokens], s.rows, s.tables))
        confidence, argmax = logp.max(-1)
        H.cpu(), confidence.cpu(), argmax.cpu()
    return {"forward_ms": (time.perf_counter() - begin) * 1e3}


def tis_step(m, s, cand, active):
    torch.cuda.synchronize()
    begin = time.perf_counter()
    x = m.embed[s.tokens].detach().requires_grad_()
    z = m.forward(x, s.rows, s.tables, active)
    torch.cuda.synchronize()
    middle = time.perf_counter()
    H, _ = entropies(z)
    (g,) = torch.autograd.grad(H.sum(), x)
    g[cand].cpu()
    end = time.perf_counter()
    return {"graph_forward_ms": (middle - begin) * 1e3, "backward_ms": (end - middle) * 1e3}


def repeat(step, times):
    for _ in range(WARM_UP):
        step()
    samples, begin = [], time.perf_counter()
    while len(samples) < times and (len(samples) < FEWEST or time.perf_counter() - begin < 2):
        samples.append(step())
    return {k: statistics.median(s[k] for s in samples) for k in samples[0]}


def measure(m, n, rhos, times):
    s = State(m, n)
    out = {"n": n, "n_masked": s.n_masked, **repeat(lambda: greedy_step(m, s), times), "tis": []}
    try:
        for rho in [*rhos, None]:
            cand, active = s.candidates(m, rho or 1)
            times_of = repeat(lambda c=cand, a=active if rho else None: tis_step(m, s, c, a), times)
            out["tis"].append({"active": "candidates" if rho else "dense", "rho": rho or 1, "n_cand": len(cand),
                               **times_of})
    except torch.cuda.OutOfMemoryError as e:
        out["error"] = str(e).splitlines()[0]
    torch.cuda.empty_cache()
    return out


def numbers(kind):
    return lambda text: [kind(x) for x in text.split(",")]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--shape", default="llada-8b,dream-7b")
    p.add_argument("--device", default="cuda")
    p.add_argument("--n", type=numbers(int), default=[128, 256, 512, 1024, 4096])
    p.add_argument("--rho", type=numbers(float), default=[0.25])
    p.add_argument("--repeat", type=int, default=20)
    p.add_argument("--json")
    a = p.parse_args()
    unknown = [name for name in a.shape.split(",") if name not in SHAPES]
    if unknown:
        p.error(f"unknown shape {unknown[0]}; there are {' '.join(SHAPES)}")
    if not torch.cuda.is_available():
        skip(f"torch {torch.__version__} sees no CUDA device")
    torch.manual_seed(1)
    result = {"schema": "tabes-gpu-torch/1", "torch": torch.__version__,
              "title": torch.cuda.get_device_name(a.device), "shapes": []}
    for name in a.shape.split(","):
        m = Model(name, a.device)
        lengths = []
        result["shapes"].append({"name": name, "lengths": lengths})
        for n in a.n:
            lengths.append(measure(m, n, a.rho, a.repeat))
            print(name, json.dumps(lengths[-1]), flush=True)
            if a.json:
                with open(a.json + ".part", "w") as f:
                    json.dump(result, f, indent=1)
                os.replace(a.json + ".part", a.json)
        del m
        torch.cuda.empty_cache()


main()
