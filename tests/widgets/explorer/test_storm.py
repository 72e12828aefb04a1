"""A storm of changes in the Explorer ends with the last."""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from explorers import Make, right
from networks import image, network, wrap
from widgets import Page

import pullback_widgets as pw
from pullback_widgets.figures.snapshot import VIEWS
from pullback_widgets.widgets.explorer.panels import PRESETS

VECTOR = torch.tensor([0.5, -1.0, 0.0, 2.0], dtype=torch.float64)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_storm_of_changes_ends_with_the_last(explore: Make, page: Page, seed: int) -> None:
    """1,000 random changes; what is on the screen then is what a fresh computation gives."""
    chance = random.Random(seed)
    models = [wrap(network("residual", seed)) for seed in range(2)]
    images = [image(seed) for seed in range(4)]
    grids = {layer.name: layer.shape[1:] for layer in pw.layers(models[0]) if len(layer.shape) == 3}
    targets: list[Any] = [
        *(None, 0, 3, "golf ball", "spoon"),
        *(pw.Channel("layer1", 2, "max"), pw.Unit("layer10", 1, (3, 0))),
        *(pw.Direction("layer1", VECTOR), pw.Difference(0, pw.Channel("relu", 1))),
    ]
    explorer = explore(models[0], images[0], steps=2)

    def elsewhere() -> None:
        if explorer.layer in grids:
            explorer.position = tuple(map(chance.randrange, grids[explorer.layer]))

    def choose(name: str, values: list[Any]) -> Callable[[], None]:
        return lambda: setattr(explorer, name, chance.choice(values))

    changes: list[Callable[[], Any]] = [
        *3 * [choose("temperature", [0.0, 0.05, 0.3, 0.85, 2, 30.0])],
        *2 * [choose("target", targets)],
        *2 * [choose("layer", ["logits", *grids])],
        *2 * [choose("channel", [None, 0, 1, 2, 3])],
        *2 * [elsewhere],
        *2 * [choose("view", list(VIEWS))],
        choose("compare", list(VIEWS)),
        choose("wipe", [0.0, 0.0, 0.5, 1.0]),
        choose("colour", ["rgb", "diverging"]),
        choose("image", images),
        choose("model", models),
        choose("steps", [1, 2, 3]),
        choose("step_size", [0.5, 2.0]),
        choose("radius", [1.0, 50.0]),
        choose("units", ["relative", "absolute"]),
        choose("softening", list(PRESETS.values())),
        explorer.play,
    ]
    for _ in range(1000):
        chance.choice(changes)()
        if chance.random() < 0.3:
            time.sleep(0.003 * chance.random())
    right(explorer, page)
    assert explorer.result.request.softening == explorer.softening
