"""How much memory a pullback and a session take, beside autograd's own gradient.

``python benchmarks/memory.py`` measures, for ResNet50 with random weights and a batch of 8 images,
each in a fresh process on the CPU:

* plain: autograd's gradient of a logit with respect to the images, of a network whose weights need
  none,
* graph: what autograd keeps for it,
* pullback: the softened pullback from scratch,
* session: what a recorded session keeps.

Prints resident memory beyond that before it, the peak and what is left. Needs Linux.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
from pathlib import Path

import torch
import torchvision
from torch import Tensor

import pullback_widgets as pw

WAYS = ("plain", "graph", "pullback", "session")
TARGET = 3


def resident(name: str) -> float:
    """``VmRSS``, the resident memory of this process, or ``VmHWM``, its peak, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise LookupError(f"/proc/self/status has no {name}.")


def measure(way: str, network: str, images: int) -> tuple[float, float]:
    """Peak and rest of one way, in MB beyond what was there before it."""
    torch.manual_seed(0)
    module = torchvision.models.get_model(network, weights=None).eval()
    if way in ("plain", "graph"):
        module.requires_grad_(False)
    model = pw.Model(module, calibration=torch.rand(4, 3, 64, 64) * 2 - 1)
    batch = torch.rand(images, 3, 224, 224) * 2 - 1

    def run(x: Tensor) -> object:
        if way == "pullback":
            return pw.pullback(model, x, TARGET)
        if way == "session":
            return pw.Session(model, x)
        leaf = x.clone().requires_grad_()
        logits = module(model.normalise(leaf))
        return logits if way == "graph" else torch.autograd.grad(logits[:, TARGET].sum(), leaf)[0]

    run(batch[:1])
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    kept = run(batch)
    gc.collect()
    result = resident("VmHWM") - before, resident("VmRSS") - before
    del kept
    return result


def main() -> None:
    """Measure every way in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", nargs="?", default="resnet50")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(*measure(options.way, options.network, options.images))
        return
    # Freed memory goes back at once, so that what is resident is what is used.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    print(f"torch {torch.__version__}, {options.network}, {options.images} images")
    print("| way | peak | left |\n| --- | --- | --- |")
    for way in WAYS:
        command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        peak, left = map(float, done.stdout.split())
        print(f"| {way} | {peak:.0f} MB | {left:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
