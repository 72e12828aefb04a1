"""Layers by stage, and by what someone types."""

from __future__ import annotations

import pytest

from pullback_widgets.engine.layer import Layer
from pullback_widgets.engine.layer_search import search, stages

LAYERS = [
    Layer("stem", "Conv2d", (8, 32, 32)),
    Layer("blocks.0.conv1", "Conv2d", (8, 32, 32)),
    Layer("blocks.0.act", "ReLU6", (8, 32, 32)),
    Layer("blocks.1.0.conv1", "Conv2d", (16, 16, 16)),
    Layer("blocks.1.0.act", "ReLU6", (16, 16, 16)),
    Layer("blocks.1.0.act:2", "ReLU6", (16, 16, 16)),
    Layer("blocks.1", "Sequential", (16, 16, 16)),
    Layer("logits", "6 classes", (6,)),
]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["conv", "blocks.4.2.bn2.act", "blocks.4.2.bn2.act:2", "blocks.4", "logits"],
            ["", "blocks.4", "blocks.4", "blocks.4", ""],
        ),
        (["relu", "layer1.0.relu", "layer1.0.relu:2"], ["", "layer1", "layer1"]),
        (["features.0", "features.1", "head.fc", "head.drop"], ["features"] * 2 + ["head"] * 2),
    ],
)
def test_the_stage_is_what_a_name_begins_with(names: list[str], expected: list[str]) -> None:
    assert [stages(names)[name] for name in names] == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("conv", [0, 1, 3]),
        (" ACT 16x16 ", [4, 5]),
        ("relu6", [2, 4, 5]),
        ("blocks.1", [6, 3, 4, 5]),
        ("blocks.1.", [3, 4, 5]),
        ("logits", [7]),
        ("", list(range(8))),
        ("blocks.0.atc", [2]),
        ("xyzzy", []),
    ],
)
def test_what_a_text_finds(text: str, found: list[int]) -> None:
    """All words must fit; a layer of this name comes first; else those spelt nearly so."""
    assert [LAYERS.index(layer) for layer in search(text, LAYERS)][: len(found) or 1] == found
