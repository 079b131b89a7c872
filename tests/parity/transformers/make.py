#!/usr/bin/env python3
"""Tiny random models by the transformers library's own classes, and what they compute with the causal mask opened.

Usage: make.py     (needs torch and transformers; written with torch 2.15.0 and transformers 5.24.0)
Writes {llama,qwen2,qwen3}/ beside itself: the checkpoint as save_pretrained leaves it, with config.json's model_type
and mask_token_id changed, and expected.json, read by tests/unit/test_parity.c:

    {"cases": [{"tokens": [...], "logits": [[...] per row of the network, unshifted], "entropy_sum": S,
                "grad": [[...] per position]}]}

S sums, over the masked positions, the entropy of the row that predicts each (qwen2 is shifted: position p reads row
max(p-1, 0)), the mask token left out of the softmax; grad is dS/d(input embeddings) by autograd. All in float32; the
same in float64 must agree closely, or nothing is written.
"""

import copy
import json
import math
import os
import shutil

import torch
import transformers

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB, MASK = 40, 37
COMMON = dict(
    vocab_size=VOCAB,
    hidden_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=80,
    max_position_embeddings=128,
    attention_dropout=0.0,
    bos_token_id=38,
    eos_token_id=39,
    pad_token_id=39,
    attn_implementation="eager",
)
# The forms a checkpoint comes in are spread over the three: the head is the embedding or a matrix of its own; one file
# or shards with an index; rope_theta within rope_parameters, as this version writes it, or at the top, as published.
KINDS = {
    "llama": dict(
        classes=("LlamaConfig", "LlamaForCausalLM"),
        seed=11,
        model_type="a2d-llama",
        shifted=False,
        theta=500000.0,
        theta_on_top=False,
        shard="10MB",
        config=dict(rms_norm_eps=1e-5, tie_word_embeddings=False),
    ),
    "qwen2": dict(
        classes=("Qwen2Config", "Qwen2ForCausalLM"),
        seed=12,
        model_type="qwen2",
        shifted=True,
        theta=1000000.0,
        theta_on_top=True,
        shard="48KB",
        config=dict(rms_norm_eps=1e-6, tie_word_embeddings=True, num_attention_heads=6),
    ),
    "qwen3": dict(
        classes=("Qwen3Config", "Qwen3ForCausalLM"),
        seed=13,
        model_type="a2d-qwen3",
        shifted=False,
        theta=1000000.0,
        theta_on_top=True,
        shard="10MB",
        config=dict(rms_norm_eps=1e-6, tie_word_embeddings=False, head_dim=16),
    ),
}


def build(kind):
    config, model = (getattr(transformers, c) for c in kind["classes"])
    rope = dict(rope_type="default", rope_theta=kind["theta"])
    m = model(config(**{**COMMON, "rope_parameters": rope, **kind["config"]})).eval()
    g = torch.Generator().manual_seed(kind["seed"])
    with torch.no_grad():  # larger than the library's own, so that every part of the network matters
        for name, p in sorted(m.named_parameters()):
            noise = torch.randn(p.shape, generator=g)
            if "norm" in name:
                p.copy_(1 + 0.2 * noise)
            elif name.endswith("bias"):
                p.copy_(0.3 * noise)
            else:
                p.copy_(noise * (0.6 if "embed" in name else 1.6 / math.sqrt(p.shape[1])))
    return m


def forward(m, e):
    """Logits [N, V] of embeddings [N, d], with an additive mask of zeros: every row sees every other."""
    n = e.shape[0]
    open_mask = torch.zeros(1, 1, n, n, dtype=e.dtype)
    return m(inputs_embeds=e[None], attention_mask=open_mask, use_cache=False).logits[0]


def compute(m, tokens, shifted):
    e = m.get_input_embeddings().weight[tokens].detach().requires_grad_(True)
    z = forward(m, e)
    allowed = torch.arange(VOCAB) != MASK
    lp = torch.log_softmax(z[:, allowed], -1)
    h = -(lp.exp() * lp).sum(-1)
    total = sum(h[max(p - 1, 0) if shifted else p] for p, t in enumerate(tokens) if t == MASK)
    (grad,) = torch.autograd.grad(total, e)
    return z.detach(), total.detach(), grad


def check_bidirectional(m, tokens):
    e = m.get_input_embeddings().weight[tokens].detach()
    other = e.clone()
    other[-1] = m.get_input_embeddings().weight[(tokens[-1] + 1) % VOCAB].detach()
    with torch.no_grad():
        first = (forward(m, e)[0] - forward(m, other)[0]).abs().max().item()
        causal = (m(inputs_embeds=e[None]).logits[0, 0] - m(inputs_embeds=other[None]).logits[0, 0]).abs().max().item()
    assert first > 1e-2, f"the last token changes the first row by {first} only"
    assert causal == 0, "the library's own mask is not causal: what was opened?"
    return first


def some_tokens(g, n, k, fixed=()):
    x = [t if t < MASK else t + 1 for t in torch.randint(0, VOCAB - 1, (n,), generator=g).tolist()]
    at = [p for p in torch.randperm(n, generator=g).tolist() if p not in fixed]
    for p in list(fixed) + at[: k - len(fixed)]:
        x[p] = MASK
    return x


def write(name, kind):
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    m = build(kind)
    m.save_pretrained(folder, max_shard_size=kind["shard"])
    for file in os.listdir(folder):
        if file == "generation_config.json":
            os.remove(os.path.join(folder, file))
        else:
            os.chmod(os.path.join(folder, file), 0o644)
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        config = json.load(f)
    config["model_type"], config["mask_token_id"] = kind["model_type"], MASK
    if kind["theta_on_top"]:
        config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    with open(path, "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)
        f.write("\n")

    g = torch.Generator().manual_seed(kind["seed"] + 100)
    exact, cases = copy.deepcopy(m).double(), []
    # Both positions that a shifted model reads from row 0 are masked in the second.
    for tokens in (some_tokens(g, 7, 3), some_tokens(g, 15, 8, (0, 1)), some_tokens(g, 24, 17)):
        change = check_bidirectional(m, tokens)
        z, total, grad = compute(m, tokens, kind["shifted"])
        off = [
            ((a - b).abs().max() / b.abs().max()).item()
            for a, b in zip((z, total, grad), compute(exact, tokens, kind["shifted"]))
        ]
        assert max(off) < 1e-4, off
        print(
            f"{name}: {len(tokens)} tokens: the last one moves row 0 by {change:.2f}; float64 differs by",
            " ".join(f"{o:.1e}" for o in off),
        )
        cases.append(dict(tokens=tokens, logits=z.tolist(), entropy_sum=total.item(), grad=grad.tolist()))
    short = lambda v: [short(x) for x in v] if isinstance(v, list) else v if isinstance(v, int) else float(f"{v:.9g}")
    with open(os.path.join(folder, "expected.json"), "w") as f:
        json.dump(dict(cases=[{k: short(v) for k, v in c.items()} for c in cases]), f)
        f.write("\n")


def main():
    print("torch", torch.__version__, "transformers", transformers.__version__)
    torch.set_num_threads(1)
    for name, kind in KINDS.items():
        write(name, kind)


main()
