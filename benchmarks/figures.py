"""How fast the figures are, side by side in one run with the engine called one by one.

``python benchmarks/figures.py`` times, in turn round after round, on the built-in network:

* grid: a counterfactual grid of four photographs and five classes, one step; against as many
  sessions and ascents,
* atlas: 32 channels of a layer on the photographs that excite them most; against looking for those
  and pulling each channel back by ``pw.pullback``,
* warmer: the same atlas at another temperature, its strongest examples known; against a new one.

Prints medians and their ratios.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections import deque
from collections.abc import Callable

import torch

import pullback_widgets as pw
from pullback_widgets.figures.atlas import AtlasRequest, compute

LAYER, CHANNELS = "blocks.3.1.bn1", range(32)
IMAGES = ("coffee", "chelsea", "rocket", "motorcycle")
CLASSES = ("golf ball", "spatula", "missile", "moped", "ostrich")


def grid_one_by_one(model: pw.Model) -> None:
    """Every cell with a session and an ascent of its own."""
    for image in IMAGES:
        for target in CLASSES:
            deque(pw.Session(model, image).ascend(target, steps=1), maxlen=0)


def atlas_one_by_one(model: pw.Model) -> None:
    """Every channel with a pullback of its own, on its strongest photograph."""
    strength = torch.stack(
        [
            pw.Session(model, image).activations(LAYER).clamp_min(0).mean((1, 2))[CHANNELS]
            for image in IMAGES
        ]
    )
    for channel, best in zip(CHANNELS, strength.argmax(0).tolist(), strict=True):
        pw.pullback(model, IMAGES[best], pw.Channel(LAYER, channel, reduce="max"))


def measure(rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds of each figure, and of the other way to it."""
    model = pw.load_model("efficientnet_lite0")
    images = list(IMAGES)  # the same object, by which an earlier atlas is known
    asked = AtlasRequest(model, LAYER, images, channels=CHANNELS)
    known = deque(compute(asked), maxlen=1)[0]
    temperatures = iter(0.5 + 0.001 * i for i in range(10_000))

    def warmer(anew: bool) -> None:
        softening = pw.Softening.relative(next(temperatures))
        request = dataclasses.replace(asked, softening=softening)
        deque(compute(request, None if anew else known), maxlen=0)

    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "grid": (
            lambda: pw.counterfactual_grid(model, images, CLASSES, extra=None, steps=1),
            lambda: grid_one_by_one(model),
        ),
        "atlas": (
            lambda: pw.layer_atlas(model, LAYER, images, channels=CHANNELS),
            lambda: atlas_one_by_one(model),
        ),
        "warmer": (lambda: warmer(anew=False), lambda: warmer(anew=True)),
    }
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
    for number in range(rounds + 1):
        for name, pair in ways.items():
            for run, seconds in zip(pair, times[name], strict=True):
                start = time.perf_counter()
                run()
                if number:  # the first round warms up
                    seconds.append(time.perf_counter() - start)
    return {
        name: (statistics.median(ours), statistics.median(other))
        for name, (ours, other) in times.items()
    }


def main() -> None:
    """Measure all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    threads = torch.get_num_threads()
    print(
        f"torch {torch.__version__}, {pw.get_device()}, {threads} threads, {options.rounds} rounds"
    )
    print("| figure | ours | the other way | other/ours |\n| --- | --- | --- | --- |")
    for name, (ours, other) in measure(options.rounds).items():
        print(f"| {name} | {ours:.2f} s | {other:.2f} s | {other / ours:.2f} |", flush=True)


if __name__ == "__main__":
    main()
