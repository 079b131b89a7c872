#!/usr/bin/env python3
"""A weight that is NaN or infinite ends `tabes run` with one line that names layer and row, or the position whose logits it
reached, exit code 2 and no result. Checkpoints are the saved vectors' with one number changed. With TABES_DEVICE on that
device."""
import json
import os
import re
import shutil
import struct
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import Checks, tabes

DEVICE = os.environ.get("TABES_DEVICE", "cpu")
PROMPT = [0, 5, 6, 47, 8]  # then three masks: positions 3, 5, 6, 7
# The usual NaN; one that rounding to bfloat16 carries over into a zero when the bits are just added to; +inf.
BITS = (0x7FC00000, 0x7FFFFFFF, 0x7F800000)
PARTS = ("attn_norm", "q_proj", "k_proj", "v_proj", "attn_out", "ff_norm", "ff_proj", "up_proj", "ff_out")


def plant(arch, folder, name, bits):
    """A copy of the checkpoint whose first number of tensor `name` has these bits."""
    source = f"tests/vectors/{arch}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    shutil.copy(f"{source}/config.json", folder)
    with open(f"{source}/model.safetensors", "rb") as f:
        data = bytearray(f.read())
    size = struct.unpack("<Q", data[:8])[0]
    tensor = json.loads(data[8:8 + size])[name]
    assert tensor["dtype"] == "F32"
    struct.pack_into("<I", data, 8 + size + tensor["data_offsets"][0], bits)
    with open(f"{folder}/model.safetensors", "wb") as f:
        f.write(data)


def refused(c, folder, what, pattern, *options):
    record = f"{folder}/record.jsonl"
    code, out, message = tabes("run", "-m", folder, "--prompt-tokens", json.dumps(PROMPT), "--length", 3, "--tokens-out",
                               "-q", "--record", record, "--device", DEVICE, *options)
    lines = [line for line in message.splitlines() if not line.startswith("emulator: ")]
    c.check(code == 2 and out == "" and len(lines) == 1 and re.search(pattern, lines[0]), f"{what}: {code} {out!r} {lines}")
    c.check(not os.path.exists(record), f"{what}: no recording is begun")


def layers(c, folder):
    """Whatever weight of a layer it is, the layer is named; the last one computes the rows of masks alone."""
    for layer, name in ((0, "q_proj"), (1, None), (2, "ff_out")):
        for part in [name] if name else PARTS:
            tensor = f"model.transformer.blocks.{layer}.{part}.weight"
            row = r"\d+" if layer == 2 else "0"
            for bits in BITS if part in ("q_proj", "ff_out", "k_proj") else BITS[:1]:
                plant("llada", folder, tensor, bits)
                for precision in ("f32", "bf16"):
                    refused(c, folder, f"{tensor} {bits:#x} {precision}",
                            rf"NaN in the output of layer {layer}, row {row} \(sequence 0\)$", "--policy", "boe",
                            "--precision", precision)


def ends(c, folder):
    """Before the first layer a row of the embedding, after the last one positions."""
    where = r"NaN or infinity in the logits of position 3 of sequence 0$"
    cases = {"model.transformer.wte.weight": r"NaN in the output of the embedding, row 0 \(sequence 0\)$",
             "model.transformer.ln_f.weight": where, "model.transformer.ff_out.weight": where}
    for tensor, pattern in cases.items():
        for bits in BITS[:2]:
            plant("llada", folder, tensor, bits)
            for precision in ("f32", "bf16"):
                refused(c, folder, f"{tensor} {bits:#x} {precision}", pattern, "--precision", precision)


def others(c, folder):
    for arch, tensor in (("dream", "model.layers.1.mlp.down_proj.weight"), ("qwen3", "model.layers.1.self_attn.q_norm.weight")):
        plant(arch, folder, tensor, BITS[0])
        refused(c, folder, f"{arch}: {tensor}", r"NaN in the output of layer 1, row \d+ \(sequence 0\)$")


def main():
    c = Checks("nan")
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/model"
        layers(c, model)
        ends(c, model)
        others(c, model)
    c.finish()


main()
