"""How fast the engine is, side by side in one run with two other ways to do the same.

``python benchmarks/engine.py`` times, for each network and in turn round after round:

* plain: autograd's own gradient of a logit with respect to the image,
* pullback: the softened pullback from scratch (one forward, one backward),
* again: another temperature on a recorded session (one backward),
* naive: another temperature in the straightforward way: a copy of the network whose ReLU and
  max-pooling modules are replaced by soft ones (pooling by unfolding),
* rebuilt: the same with the network built anew and its weights loaded instead of a copy.

Weights are random, which costs the same time. Prints medians and their ratios.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

import pullback_widgets as pw

NETWORKS = ("efficientnet_lite0", "resnet50", "vgg11_bn", "densenet121")
TARGET = 3
WAYS = ("plain", "pullback", "again", "naive", "rebuilt")
RATIOS = ("pullback/plain", "again/plain", "naive/again", "rebuilt/again")


class NaiveRelu(torch.autograd.Function):
    """A ReLU with a sigmoid gate at a fixed temperature behind it."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, temperature: float, top: float) -> Tensor:
        ctx.save_for_backward(z)
        ctx.temperature = temperature
        return z.clamp(0.0, top)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (z,) = ctx.saved_tensors
        return grads[0] * torch.sigmoid(z / ctx.temperature), None, None


class NaivePool(torch.autograd.Function):
    """Max-pooling with unfolded softmax pooling behind it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pool: nn.MaxPool2d, temperature: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.pool, ctx.temperature = pool, temperature
        return F.max_pool2d(x, pool.kernel_size, pool.stride, pool.padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        pool, (n, c, height, width) = ctx.pool, x.shape
        options = {"kernel_size": pool.kernel_size, "stride": pool.stride, "padding": pool.padding}
        windows = F.unfold(x, **options).view(n, c, -1, grads[0][0, 0].numel())
        weights = torch.softmax(windows / ctx.temperature, dim=2)
        shared = weights * grads[0].reshape(n, c, 1, -1)
        return F.fold(shared.flatten(1, 2), (height, width), **options), None, None


class SoftModule(nn.Module):
    """What the naive way puts in a module's place."""

    def __init__(self, replaced: nn.Module, temperature: float) -> None:
        super().__init__()
        self.replaced, self.temperature = replaced, temperature

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.replaced, nn.MaxPool2d):
            return NaivePool.apply(x, self.replaced, self.temperature)
        top = 6.0 if isinstance(self.replaced, nn.ReLU6) else float("inf")
        return NaiveRelu.apply(x, self.temperature, top)


def naive(network: nn.Module, seen: Callable[[Tensor], Tensor], x: Tensor, t: float) -> Tensor:
    """The straightforward pullback: replace the modules of a network, forward, backward."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU | nn.ReLU6 | nn.MaxPool2d):
                setattr(parent, name, SoftModule(child, t))
    return plain(network, seen, x)


def plain(network: nn.Module, seen: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Autograd's own gradient of the target's logit with respect to the image."""
    leaf = x[None].clone().requires_grad_()
    return torch.autograd.grad(network(seen(leaf))[0, TARGET], leaf)[0]


def build(name: str) -> nn.Module:
    """A network with random weights."""
    if name == "efficientnet_lite0":
        return timm.create_model("tf_efficientnet_lite0").eval()
    return torchvision.models.get_model(name, weights=None).eval()


def measure(name: str, rounds: int, device: torch.device) -> dict[str, float]:
    """Median milliseconds of each way, over interleaved rounds."""
    network = build(name).to(device)
    model = pw.Model(network, calibration=torch.rand(4, 3, 224, 224) * 2 - 1)
    image = torch.rand(3, 224, 224) * 2 - 1
    on_device = image.to(device)
    softening = pw.Softening.relative(0.85)
    session = pw.Session(model, image)
    weights = network.state_dict()

    def anew() -> nn.Module:
        fresh = build(name).to(device)
        fresh.load_state_dict(weights)
        return fresh

    temperatures = iter(0.5 + 0.001 * i for i in range(10_000))
    ways: dict[str, Callable[[], object]] = {
        "plain": lambda: plain(network, model.normalise, on_device),
        "pullback": lambda: pw.pullback(model, image, TARGET, softening),
        "again": lambda: session.pullback(TARGET, pw.Softening.relative(next(temperatures))),
        "naive": lambda: naive(
            copy.deepcopy(network), model.normalise, on_device, next(temperatures)
        ),
        "rebuilt": lambda: naive(anew(), model.normalise, on_device, next(temperatures)),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 2):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if number >= 2:  # the first rounds warm up
                times[way].append(time.perf_counter() - start)
    return {way: 1000 * statistics.median(values) for way, values in times.items()}


def main() -> None:
    """Measure the networks named on the command line, all four by default."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    device = pw.get_device()
    threads = torch.get_num_threads()
    print(
        f"torch {torch.__version__}, {device}, {threads} threads, {options.rounds} rounds, median"
    )
    print("| network | " + " | ".join((*WAYS, *RATIOS)) + " |")
    print("| --- |" + " --- |" * len((*WAYS, *RATIOS)))
    for name in options.networks:
        ms = measure(name, options.rounds, device)
        times = [f"{ms[way]:.1f} ms" for way in WAYS]
        ratios = [f"{ms[a] / ms[b]:.2f}" for a, b in (pair.split("/") for pair in RATIOS)]
        print(f"| {name} | " + " | ".join((*times, *ratios)) + " |", flush=True)


if __name__ == "__main__":
    main()
