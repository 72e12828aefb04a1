"""How the cost grows with the image's side and the batch, and how many images a second it is.

``python benchmarks/growth.py`` prints, each in interleaved rounds,

* for sides and for batches: the plain gradient, the pullback from scratch and again at another
  temperature, and what they are to the plain gradient,
* images a second of pullbacks beside captum's Saliency and GuidedBackprop on the same network,
  whose ReLUs are modules out of place, because captum's hooks need that.

Weights are random, which costs the same time. With one thread (``OMP_NUM_THREADS=1``) the seconds
are those of the CPU, which other work on the machine disturbs least; with more, those of the clock.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import timm
import torch
import torchvision
from captum.attr import GuidedBackprop, Saliency
from torch import Tensor, nn

import pullback_widgets as pw

SIDES = (96, 160, 224, 320, 512)
BATCHES = (1, 4, 16, 64)
BATCHES_SIDE = 96
TARGET = 3
Ways = dict[str, Callable[[], object]]


def random_images(count: int, side: int) -> Tensor:
    """Images in [-1, 1], the same in each run."""
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def as_model(network: nn.Module, side: int) -> pw.Model:
    """The network as we take it, calibrated on images of this side."""
    return pw.Model(network, size=side, calibration=random_images(4, side))


def ours(network: nn.Module, side: int, batch: int) -> Ways:
    """The plain gradient, the pullback, and again at another temperature."""
    model, images = as_model(network, side), random_images(batch, side)
    session = pw.Session(model, images)
    temperatures = itertools.count(1)

    def plain() -> object:
        leaf = images.clone().requires_grad_()
        return torch.autograd.grad(network(model.normalise(leaf))[:, TARGET].sum(), leaf)

    return {
        "plain": plain,
        "pullback": lambda: pw.pullback(model, images, TARGET),
        "again": lambda: session.pullback(
            TARGET, pw.Softening.relative(0.5 + 0.001 * next(temperatures))
        ),
    }


def beside_captum(network: nn.Module, side: int, batch: int) -> Ways:
    """Ours, and captum's two on the same network."""
    model, images = as_model(network, side), random_images(batch, side)
    seen = model.normalise(images)
    saliency, guided = Saliency(network), GuidedBackprop(network)

    def by(method: Any) -> Callable[[], object]:
        return lambda: method.attribute(seen.clone().requires_grad_(), target=TARGET)

    own = ours(network, side, batch)
    del own["plain"]
    return {**own, "Saliency": by(saliency), "GuidedBackprop": by(guided)}


def clock() -> Callable[[], float]:
    """What tells the seconds."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def medians(ways: Ways, rounds: int) -> dict[str, float]:
    """Median seconds of each way, over interleaved rounds; the first warms up."""
    now = clock()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            start = now()
            run()
            if number:
                times[name].append(now() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def out_of_place(network: nn.Module) -> nn.Module:
    """The same network, each of whose ReLUs leaves its input alone."""
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return network.eval()


def grows(rounds: int) -> None:
    """Print how the cost grows."""
    network = timm.create_model("tf_efficientnet_lite0").eval()
    cases = [(side, 1) for side in SIDES] + [(BATCHES_SIDE, batch) for batch in BATCHES[1:]]
    print("| side | batch | plain | pullback | again | pullback/plain | again/plain |")
    print("| --- |" + " --- |" * 6)
    for side, batch in cases:
        found = medians(ours(network, side, batch), rounds)
        shown = [f"{1000 * found[one]:.1f} ms" for one in ("plain", "pullback", "again")]
        shown += [f"{found[one] / found['plain']:.2f}" for one in ("pullback", "again")]
        print(f"| {side} | {batch} | " + " | ".join(shown) + " |", flush=True)


def images_a_second(rounds: int, batch: int) -> None:
    """Print images a second, ours beside captum's."""
    names = ("pullback", "again", "Saliency", "GuidedBackprop")
    print("| network | " + " | ".join(names) + " |")
    print("| --- |" + " --- |" * len(names))
    for name in ("vgg11_bn", "resnet50"):
        network = out_of_place(torchvision.models.get_model(name, weights=None))
        found = medians(beside_captum(network, 224, batch), rounds)
        rates = [f"{batch / found[one]:.1f}" for one in names]
        print(f"| {name} | " + " | ".join(rates) + " |", flush=True)


def main() -> None:
    """Measure everything once and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=4, help="beside captum")
    options = parser.parse_args()
    threads, by = torch.get_num_threads(), clock().__name__
    print(f"torch {torch.__version__}, {threads} threads, {options.rounds} rounds, medians by {by}")
    grows(options.rounds)
    images_a_second(options.rounds, options.batch)


if __name__ == "__main__":
    main()
