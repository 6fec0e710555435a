#!/usr/bin/env python3
"""Exchanges networks with PyTorch through safetensors files, in both directions, and compares outputs.

    python3 -m venv venv && venv/bin/pip install torch safetensors numpy packaging
    venv/bin/python scripts/interop/check.py

(a) A state dict saved by PyTorch is read by `load_means`; (b) a posterior saved by `save_posterior` is read by
`load_state_dict`. Both are checked for a dense network and for one with a convolution and batch norm; outputs must differ
by at most 1e-5 of the largest. Not part of CI, which has no PyTorch.
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parents[2]
NETS = {
    "dense": lambda: nn.Sequential(nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)),
    "conv": lambda: nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(128, 10),
    ),
}


def compare(what, ours, theirs):
    gap = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    print(f"{what}: {tuple(ours.shape)} outputs, largest difference {gap:.1e} of the largest output")
    if not gap <= 1e-5:
        sys.exit(f"{what}: the difference is more than 1e-5; the two libraries disagree")


def check(name, folder):
    torch.manual_seed(1)
    net, x = NETS[name](), torch.randn(20, 64) if name == "dense" else torch.randn(20, 1, 8, 8)
    for _ in range(3):
        net(3 * x + 1)  # moves batch norm's running moments
    for parameter in net.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    save_file({"inputs": x}, folder / "inputs.safetensors")
    save_file(net.state_dict(), folder / "state.safetensors")
    subprocess.run(["cargo", "run", "-q", "--example", "interop", "--", name, folder], cwd=ROOT, check=True)
    outputs = load_file(folder / "outputs.safetensors")
    with torch.no_grad():
        compare(f"{name}, PyTorch's network here", outputs["theirs"], net.eval()(x))
        posterior = load_file(folder / "own.safetensors")
        state = {k.replace("scale", "weight"): v for k, v in posterior.items() if not k.endswith("log_sigma2")}
        other = NETS[name]().eval()
        lacking = other.load_state_dict(state, strict=False)
        assert not lacking.unexpected_keys and all("num_batches" in k for k in lacking.missing_keys), lacking
        compare(f"{name}, our network in PyTorch", outputs["own"], other(x))


for name in NETS:
    with tempfile.TemporaryDirectory() as folder:
        check(name, pathlib.Path(folder))
