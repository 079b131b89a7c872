"""A small masked diffusion language model in the public LLaDA layout.

Everything the two example trainings share: the network (tensor names, RMSNorm, half-split
RoPE, SwiGLU and unmasked attention exactly as LLaDA has them), the masked-diffusion loss,
the optimiser, a training loop timed by the clock, greedy decoding by four commit orders,
and the export of a model directory.
"""
import argparse
import json
import math
import os
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

POLICIES = ("confidence", "margin", "entropy", "random")


class Block(nn.Module):
    def __init__(self, d, heads, mlp, eps):
        super().__init__()
        self.heads = heads
        self.attn_norm = nn.RMSNorm(d, eps)
        self.ff_norm = nn.RMSNorm(d, eps)
        self.q_proj, self.k_proj, self.v_proj, self.attn_out = (
            nn.Linear(d, d, bias=False) for _ in range(4))
        self.ff_proj = nn.Linear(d, mlp, bias=False)  # gate
        self.up_proj = nn.Linear(d, mlp, bias=False)
        self.ff_out = nn.Linear(mlp, d, bias=False)  # down

    def forward(self, x, cos, sin):
        batch, length, d = x.shape

        def split(y):
            return y.view(batch, length, self.heads, -1).transpose(1, 2)

        def rope(y):
            a, b = y.chunk(2, -1)
            return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(y.dtype)

        h = self.attn_norm(x)
        q, k, v = rope(split(self.q_proj(h))), rope(split(self.k_proj(h))), split(self.v_proj(h))
        # Plain products: on the CPU, at these lengths, twice as fast as the fused kernel's backward.
        y = ((q * q.shape[-1] ** -0.5) @ k.mT).softmax(-1).to(v.dtype) @ v
        y = y.transpose(1, 2).reshape(batch, length, d)
        x = x + self.attn_out(y)
        h = self.ff_norm(x)
        return x + self.ff_out(F.silu(self.ff_proj(h)) * self.up_proj(h))


class Denoiser(nn.Module):
    """config holds the keys of LLaDA's config.json."""

    def __init__(self, config):
        super().__init__()
        self.config = c = config
        d = c["d_model"]
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(c["vocab_size"], d),
            "blocks": nn.ModuleList(
                Block(d, c["n_heads"], c["mlp_hidden_size"], c["rms_norm_eps"])
                for _ in range(c["n_layers"])),
            "ln_f": nn.RMSNorm(d, c["rms_norm_eps"]),
            "ff_out": nn.Linear(d, c["vocab_size"], bias=False),
        })
        for name, p in self.named_parameters():
            if p.dim() == 2:
                std = 0.5 if "wte" in name else 1 / math.sqrt(p.shape[1])
                if name.endswith("attn_out.weight") or ("blocks" in name and name.endswith("ff_out.weight")):
                    std /= math.sqrt(2 * c["n_layers"])
                nn.init.normal_(p, std=std)
        nn.init.zeros_(self.transformer["ff_out"].weight)
        half = d // c["n_heads"] // 2
        inv = c["rope_theta"] ** (-torch.arange(half).double() / half)
        angle = torch.arange(c["max_sequence_length"]).double()[:, None] * inv
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)

    def forward(self, tokens):
        t, n = self.transformer, tokens.shape[1]
        x, cos, sin = t["wte"](tokens), self.cos[:n], self.sin[:n]
        for block in t["blocks"]:
            x = block(x, cos, sin)
        return t["ff_out"](t["ln_f"](x)).float()


def llada_config(vocab, mask, eos, d, heads, layers, mlp, length, theta):
    return {
        "model_type": "llada", "architectures": ["LLaDAModelLM"],
        "activation_type": "silu", "block_type": "llama", "block_group_size": 1,
        "d_model": d, "n_heads": heads, "n_kv_heads": heads, "n_layers": layers,
        "mlp_hidden_size": mlp, "vocab_size": vocab, "embedding_size": vocab,
        "max_sequence_length": length, "rope": True, "rope_theta": float(theta),
        "rms_norm_eps": 1e-5, "layer_norm_type": "rms", "weight_tying": False,
        "include_bias": False, "include_qkv_bias": False,
        "mask_token_id": mask, "eos_token_id": eos, "pad_token_id": eos,
    }


# --- files ------------------------------------------------------------------------------

def write_atomically(path, write):
    """Calls write(temporary path), then renames it: a reader never sees half a file."""
    temporary = f"{path}.tmp"
    write(temporary)
    os.replace(temporary, path)


def write_json(path, value):
    def write(p):
        with open(p, "w") as f:
            json.dump(value, f, indent=2)
            f.write("\n")
    write_atomically(path, write)


def export(folder, config, state):
    """config.json and model.safetensors (F16, rounded from the given state)."""
    os.makedirs(folder, exist_ok=True)
    write_json(f"{folder}/config.json", config)
    tensors = {f"model.{k}": v.detach().to(torch.float16).contiguous() for k, v in state.items()}

    def write(p):
        save_file(tensors, p, metadata={"format": "pt"})
        os.chmod(p, 0o644)
    write_atomically(f"{folder}/model.safetensors", write)


def load(folder):
    with open(f"{folder}/config.json") as f:
        model = Denoiser(json.load(f))
    state = load_file(f"{folder}/model.safetensors")
    model.load_state_dict({k.removeprefix("model."): v.float() for k, v in state.items()})
    return model.eval()


# --- training ---------------------------------------------------------------------------

class Muon(torch.optim.Optimizer):
    """Momentum whose matrix updates are orthogonalised by a Newton-Schulz iteration.

    Matrices of one shape are handled together. Used for the matrices inside the blocks;
    embeddings, head and norms get AdamW.
    """

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.01):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @staticmethod
    def orthogonalise(g):
        tall = g.shape[-2] > g.shape[-1]
        x = (g.mT if tall else g).bfloat16()
        x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
        for _ in range(5):
            a = x @ x.mT
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        return (x.mT if tall else x).float()

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                shapes.setdefault(p.shape, []).append(p)
            for shape, ps in shapes.items():
                for p in ps:
                    m = self.state[p].setdefault("m", torch.zeros_like(p))
                    m.lerp_(p.grad, 1 - group["momentum"])
                g = torch.stack([p.grad.lerp(self.state[p]["m"], group["momentum"]) for p in ps])
                u = self.orthogonalise(g) * max(1, shape[0] / shape[1]) ** 0.5
                for p, d in zip(ps, u):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(d, alpha=-group["lr"])


def masked_loss(model, clean, masked, mask_id):
    """Cross-entropy on the masked positions, averaged within a sequence, then over sequences.

    With each answer position masked with probability t, the average within a sequence is
    LLaDA's 1/t weighting with the expected count t*n replaced by the actual count.
    """
    z = model(clean.masked_fill(masked, mask_id))
    loss = F.cross_entropy(z.flatten(0, 1), clean.flatten(), reduction="none").view_as(clean)
    count = masked.sum(1)
    return ((loss * masked).sum(1) / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)


def train(config, batches, out, seconds, evaluate, lr=0.02, adam_lr=3e-3, ema_decay=0.998,
          export_every=300, seed=0, compiled=True, bf16=True, init=None):
    """Trains until `seconds` have passed; batches(progress) yields lists of (clean, masked).

    Returns the averaged weights. Every `export_every` seconds the averaged weights are
    exported to `out` and `evaluate(model)`, which returns a line of text, is logged.
    """
    torch.manual_seed(seed)
    model = Denoiser(config)
    if init:
        model.load_state_dict(load(init).state_dict())
    run = torch.compile(model) if compiled else model
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    matrices = [p for k, p in model.named_parameters() if p.dim() == 2 and "blocks" in k]
    others = [p for k, p in model.named_parameters() if p.dim() < 2 or "blocks" not in k]
    optimisers = [Muon(matrices, lr),
                  torch.optim.AdamW(others, adam_lr, betas=(0.9, 0.98), weight_decay=0.0)]
    peak = [lr, adam_lr]
    print(f"parameters {sum(p.numel() for p in model.parameters())}", flush=True)
    start = exported = time.time()
    step, sequences, recent = 0, 0, []
    while True:
        progress = (time.time() - start) / seconds
        if progress >= 1:
            break
        rate = min(1, progress / 0.01 + 0.05) * min(1, (1 - progress) / 0.7)
        for o, p in zip(optimisers, peak):
            o.param_groups[0]["lr"] = p * rate
        parts = batches(progress)
        total = sum(len(c) for c, _ in parts)
        for clean, masked in parts:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = masked_loss(run, clean, masked, config["mask_token_id"])
            (loss * (len(clean) / total)).backward()
            recent.append(loss.item())
        for o in optimisers:
            o.step()
            o.zero_grad(set_to_none=True)
        step, sequences = step + 1, sequences + total
        with torch.no_grad():
            w = 1 - min(ema_decay, step / (step + 10))
            for k, v in model.state_dict().items():
                average[k].lerp_(v, w)
        now = time.time()
        if step == 1 or step % 50 == 0:
            print(f"{now - start:7.0f} s  step {step:6d}  sequences {sequences:8d}  "
                  f"loss {sum(recent) / len(recent):.4f}", flush=True)
            recent = []
        if now - exported > export_every:
            exported = now
            export(out, config, average)
            print(f"{now - start:7.0f} s  {evaluate(load(out))}", flush=True)
    export(out, config, average)
    print(f"done: {step} steps, {sequences} sequences, {time.time() - start:.0f} s", flush=True)
    return average


# --- decoding ---------------------------------------------------------------------------

@torch.no_grad()
def decode(model, tokens, policy, seed=0):
    """Fills every mask token greedily, one position per step in each sequence.

    The position with the best score is written (ties: the lower position) with its most
    probable token; the mask token itself is never written.
    """
    mask = model.config["mask_token_id"]
    x = tokens.clone()
    rank = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
    rows = torch.arange(len(x))
    while True:
        empty = x == mask
        if not empty.any():
            return x
        z = model(x)
        z[..., mask] = -torch.inf
        p = z.softmax(-1)
        top, token = p.topk(2, -1)
        if policy == "confidence":
            score = top[..., 0]
        elif policy == "margin":
            score = top[..., 0] - top[..., 1]
        elif policy == "entropy":
            score = torch.xlogy(p, p).sum(-1)
        else:
            score = rank
        best = score.masked_fill(~empty, -torch.inf).argmax(1)
        todo = empty.any(1)
        x[rows[todo], best[todo]] = token[rows[todo], best[todo], 0]


def arguments(description, out):
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("task", choices=("data", "train", "evaluate"))
    parser.add_argument("--out", default=out, help="model directory")
    parser.add_argument("--minutes", type=float, default=75, help="training time")
    parser.add_argument("--batch", type=int, default=128, help="sequences per step")
    parser.add_argument("--d-model", type=int, default=128)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--mlp", type=int, default=384)
    parser.add_argument("--lr", type=float, default=0.02, help="peak rate of the matrices")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--export-every", type=float, default=300, help="seconds")
    parser.add_argument("--init", help="start from this model directory")
    return parser
