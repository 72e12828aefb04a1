"""Layers by name: what is said about one that is not there."""

from __future__ import annotations

import pytest

from pullback_widgets.engine.layer import unknown_layer


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (["a", "b", "logits"], "it has: a, b, logits. pw.layers(model)"),
        (list("abcdefgh"), "it has: a, b, c, d, e, f and 2 more. pw.layers(model)"),
        (["layer1.relu", "head"], "nearest: layer1.relu. pw.layers(model)"),
    ],
)
def test_unknown_layers_name_those_that_are_there(known: list[str], said: str) -> None:
    name = "layer1.rel" if "layer1.relu" in known else "???"
    assert said in str(unknown_layer(name, known))
