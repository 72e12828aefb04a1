"""What a GPU makes of it: pullbacks, ascents and an atlas, eager beside ``torch.compile``.

``python benchmarks/gpu.py`` prints the device's name and medians, measured by CUDA's own events, of

* gradient: autograd's own gradient of a logit with respect to the image, forward and backward,
* again: a pullback at another temperature on a recorded session,
* ascent: five steps,
* atlas: all 2,048 channels of a layer of ResNet50 with the six sample photographs.

The second column is of the same network after ``torch.compile``. A recording runs compiled networks
eagerly, so only the first row should gain by it; the others say what that costs.

Where there is no GPU it says so. ``--on cpu`` tries the script itself.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import torch
import torchvision
from torch import nn

import pullback_widgets as pw

NETWORK, LAYER = "resnet50", "layer4.2.bn3"
TARGET = 3
NO_GPU = "There is no GPU here (torch {}, built for CUDA {}), so nothing was measured."


def milliseconds(run: Callable[[], object], device: torch.device) -> float:
    """How long something takes on a device until it is done there."""
    if device.type != "cuda":
        start = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - start)
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    first.record()
    run()
    last.record()
    torch.cuda.synchronize(device)
    return first.elapsed_time(last)


def ways(
    network: nn.Module, side: int, channels: int, device: torch.device
) -> dict[str, Callable[[], object]]:
    """What is measured of a network."""
    model = pw.Model(network, size=side)
    image = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    on_device = image[None].to(device)
    session = pw.Session(model, image)
    temperatures = itertools.count(1)

    def gradient() -> object:
        leaf = on_device.clone().requires_grad_()
        return torch.autograd.grad(network(model.normalise(leaf))[0, TARGET], leaf)

    def again() -> object:
        return session.pullback(TARGET, pw.Softening.relative(0.5 + 0.001 * next(temperatures)))

    def ascent() -> object:
        return list(session.ascend(TARGET, steps=5))

    def atlas() -> object:
        return pw.layer_atlas(model, LAYER, channels=range(channels))

    return {"gradient": gradient, "again": again, "ascent": ascent, "atlas": atlas}


def measure(
    side: int, channels: int, rounds: int, device: torch.device
) -> dict[str, tuple[float, float]]:
    """Median milliseconds of each way, eager and compiled, over interleaved rounds."""
    network = torchvision.models.get_model(NETWORK, weights=None).eval().to(device)
    eager = ways(network, side, channels, device)
    compiled = ways(torch.compile(network), side, channels, device)
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in eager}
    for name in eager:
        for number in range((1 if name == "atlas" else rounds) + 2 * (name != "atlas")):
            for column, one in enumerate((eager, compiled)):
                taken = milliseconds(one[name], device)
                if number >= 2 or name == "atlas":  # the first rounds warm up, and compile
                    times[name][column].append(taken)
    return {
        name: (statistics.median(first), statistics.median(second))
        for name, (first, second) in times.items()
    }


def main() -> None:
    """Measure everything once and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--side", type=int, default=224, help="of the image, in pixels")
    parser.add_argument("--channels", type=int, default=2048, help="of the atlas")
    parser.add_argument("--on", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    if options.on == "cuda" and not torch.cuda.is_available():
        print(NO_GPU.format(torch.__version__, torch.version.cuda or "none"))
        return
    device = torch.device(options.on)
    name = torch.cuda.get_device_name() if options.on == "cuda" else "CPU"
    print(
        f"{name}, torch {torch.__version__}, {NETWORK}, {options.side} px, {options.rounds} rounds"
    )
    print("| what | eager | compiled |")
    print("| --- | --- | --- |")
    found = measure(options.side, options.channels, options.rounds, device)
    for what, (eager, compiled) in found.items():
        print(f"| {what} | {eager:.2f} ms | {compiled:.2f} ms |")


if __name__ == "__main__":
    main()
