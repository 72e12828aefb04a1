"""The Explorer's first picture, and what may be chosen at the beginning."""

from typing import Any

import pytest
import torch
from explorers import Make, right
from networks import image, network, wrap
from widgets import Page, find, text_with

import pullback_widgets as pw


def test_the_first_picture(explorer: pw.Explorer, page: Page) -> None:
    frame = right(explorer, page)
    assert frame.title == explorer.result.title
    assert torch.equal(explorer.pullback, pw.pullback(explorer.model, explorer.image))
    assert "Residual on cpu" in text_with(explorer, "pullback-status")
    assert frame.title in text_with(explorer, "pullback-caption")


def test_everything_can_be_chosen_at_the_beginning(explore: Make, page: Page) -> None:
    explorer = explore(
        layer="layer1",
        channel=2,
        position=(1, 3),
        softening=pw.Softening.paper_v6(0.6),
        temperature=0.4,
        view="difference",
        steps=2,
        wipe=0.5,
    )
    frame = right(explorer, page)
    assert frame.target == pw.Unit("layer1", 2, (1, 3))
    assert frame.request.softening == pw.Softening.paper_v6(0.4)
    assert frame.step.index == 2


@pytest.mark.parametrize(
    ("choices", "kind"),
    [
        ({"model": 3}, TypeError),
        ({"model": "resnet51"}, ValueError),
        ({"given": "no such file.png"}, ValueError),
        ({"temprature": 0.5}, TypeError),
        ({"temperature": -1.0}, ValueError),
        ({"view": "sideways"}, ValueError),
    ],
    ids=str,
)
def test_a_bad_beginning_raises(explore: Make, choices: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        explore(**choices)


def test_a_layer_that_turns_out_not_to_exist(explore: Make, page: Page) -> None:
    explorer = explore(layer="layer2")
    assert "layer1" in explorer.error
    with pytest.raises(RuntimeError, match="layer1"):
        explorer.pullback  # noqa: B018
    explorer.layer = "layer1"
    right(explorer, page)


def test_the_default_explorer_shows_the_embedded_network(page: Page) -> None:
    explorer = pw.Explorer(target="golf ball")
    assert explorer.wait(60.0)
    right(explorer, page)
    assert explorer.result.title == "golf ball (class 574)"
    assert isinstance(explorer.model, pw.Model)
    assert find(explorer, "Network").value == "efficientnet_lite0"
    assert find(explorer, "Photograph").value == "coffee"
    assert "load_model" in explorer.code() and "'coffee'" in explorer.code()
    explorer.close()


@pytest.mark.parametrize("hidden", [{"layer": "layer1"}, {"channel": 1}, {"position": (0, 0)}])
def test_a_class_and_a_hidden_neuron_contradict_each_other(
    explore: Make, hidden: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="one or the other"):
        explore(model=wrap(network("residual")), given=image(1), target=2, **hidden)
