"""Pictures that are the same everywhere, and those that are not."""

from __future__ import annotations

import pytest
import torch

import pullback_widgets as pw
from pullback_widgets.engine.layer import Layer
from pullback_widgets.figures.evenness import is_even, places


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (66, 70)])
def test_a_pattern_of_the_layers_stride_is_even(size: tuple[int, int]) -> None:
    tile = torch.randn(3, 2, 2)
    picture = tile.repeat(1, size[0] // 2, size[1] // 2)
    assert is_even(picture, (size[0] // 2, size[1] // 2))


def test_what_has_places_is_not() -> None:
    spot = torch.zeros(3, 64, 64)
    spot[:, 10:30, 10:30] = 1.0
    assert not is_even(spot, (32, 32))
    assert not is_even(torch.randn(3, 64, 64), (32, 32))
    assert not is_even(torch.zeros(3, 64, 64), (32, 32))


def test_a_map_without_quarters_is_not() -> None:
    assert not is_even(torch.ones(3, 64, 64), (2, 2))
    assert not is_even(torch.ones(3, 8, 8), (32, 32))


def test_only_a_mean_is_over_places() -> None:
    layers = [Layer("conv", "Conv2d", (4, 32, 16)), Layer("logits", "10 classes", (10,))]
    assert places(pw.Channel("conv", 1), layers) == (32, 16)
    for other in (
        pw.Channel("conv", 1, "max"),
        pw.Unit("conv", 1, (3, 4)),
        pw.Channel("logits", 1),
        pw.Logit(1),
    ):
        assert places(other, layers) is None
