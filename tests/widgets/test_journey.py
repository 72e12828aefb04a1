"""The depth journey as a widget: its tiles, and how stages get other layers and channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from networks import image, network, wrap
from waiting import SECONDS
from widgets import Page, alike, click, find, making, offered, seen, text_with, tile, type_in

import pullback_widgets as pw
from pullback_widgets.drawing.words import accounts_for
from pullback_widgets.figures.journey import SHOWN, Journey
from pullback_widgets.figures.sessions import Sessions

WALK: dict[str, Any] = {"steps": 2, "step_size": 1.5}

pytestmark = pytest.mark.usefixtures("nothing_swallowed")


@pytest.fixture
def make(page: Page) -> Iterator[Callable[..., pw.DepthJourney]]:
    """Makes views that have drawn their figure."""

    def build(**choices: Any) -> pw.DepthJourney:
        return pw.DepthJourney(wrap(network("residual")), image(), **WALK, **choices)

    yield from making(build)


@pytest.fixture
def view(make: Callable[..., pw.DepthJourney]) -> pw.DepthJourney:
    return make()


def shows(page: Page, view: pw.DepthJourney) -> bool:
    """Whether every tile shows its part of the result."""
    result: Journey = view.result
    return all(
        alike(tile(page, view._board, row, n), result.picture(n, shown))
        for row, shown in enumerate(SHOWN)
        for n, values in enumerate(result.maps)
        if shown != "activation" or values.numel() > 1
    )


def stages(view: pw.DepthJourney) -> list[tuple[str, int]]:
    assert view.wait(SECONDS) and not view.error
    return [(stage.layer.name, stage.channel) for stage in view.result.stages]


def test_every_tile_is_shown(page: Page, view: pw.DepthJourney) -> None:
    assert view.result.progress == 1 and shows(page, view)
    expected = pw.depth_journey(view.model, view.image, **WALK)
    assert view.result.stages == expected.stages
    assert torch.equal(view.result.differences, expected.differences)
    texts = page.texts[f"IPY_MODEL_{view._board.box.model_id}"]
    assert "layer10.relu:2" in texts and view.result.change(1) in texts
    assert "one number," in texts  # where the class has no map
    assert accounts_for(view.result.share(2)) in texts


def test_channels_in_the_order_of_their_strength(page: Page, view: pw.DepthJourney) -> None:
    view.stage = 1
    (_, first), (_, before), _ = stages(view)
    order = view.result.stages[1].strongest
    assert before == order[0]
    find(view, "A stronger channel").click()
    assert stages(view)[1][1] == order[0]  # there is none
    for channel in order[1:]:
        find(view, "The next strongest channel").click()
        assert stages(view)[1][1] == channel == find(view, "Channel").value
        assert shows(page, view)
    assert stages(view)[0][1] == first and view.channels == [None, order[-1], None]


def test_layer_and_channel_by_their_controls(page: Page, view: pw.DepthJourney) -> None:
    find(view, "Stage").value = 0
    assert view.stage == 0 and find(view, "Layer").value == "relu"
    type_in(find(view, "Layer"), "layer1. bn")
    assert offered(view) == ["bn1", "bn2"] and view.layers is None
    assert find(view, "Channel") not in seen(view) and find(view, "Stage") in seen(view)
    find(view, "bn2").click()
    name, channel = stages(view)[0]
    assert name == "layer1.bn2" and channel == view.result.stages[0].strongest[0]
    assert [name for name, _ in stages(view)[1:]] == ["layer10.relu:2", "logits"]
    find(view, "Channel").value = 2
    assert stages(view)[0] == ("layer1.bn2", 2) and shows(page, view)
    assert find(view, "Channel").max == 3
    find(view, "Stage").value = 2
    assert (find(view, "Layer").value, find(view, "Channel").max) == ("logits", 5)
    assert find(view, "Next ▶").disabled and text_with(view, "· 6 classes")
    find(view, "Stage").value = 0
    find(view, "◀ Previous").click()
    find(view, "◀ Previous").click()  # before the first is computed
    layers = [one.name for one in pw.layers(view.model)]
    wanted = layers[layers.index("layer1.bn2") - 2]
    assert stages(view)[0][0] == find(view, "Layer").value == wanted


def test_a_refused_layer_leaves_the_line_as_it_was(view: pw.DepthJourney) -> None:
    view._layer._choose("nowhere")
    assert view.wait(SECONDS) and "nowhere" in view.error
    assert find(view, "Layer").value == "relu"


def test_unchanged_stages_are_not_walked_again(view: pw.DepthJourney) -> None:
    shares: list[float] = []
    view.observe(lambda change: shares.append(change["new"].done.sum()), "result")
    view.channels = {"relu": view.result.stages[0].strongest[1]}
    assert stages(view)[0][1] == view.result.stages[0].strongest[1]
    assert shares[0] == 4  # two stages of two steps


def test_run_walks_all_stages_again(view: pw.DepthJourney) -> None:
    with torch.no_grad():
        view.model.module.head.weight.mul_(2)
    before = view.result.after[-1]
    view.run()
    assert view.wait(SECONDS) and view.result.after[-1] != before
    assert torch.equal(
        view.result.pullbacks, pw.depth_journey(view.model, view.image, **WALK).pullbacks
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layers", ["layer1.bn1"]),
        ("channels", [1, 2, 3]),
        ("image", image(seed=5)),
        ("temperature", 0.0),
        ("steps", 1),
        ("model", wrap(network("chain"))),
    ],
)
def test_every_choice_computes_anew(
    page: Page, view: pw.DepthJourney, name: str, value: Any
) -> None:
    view.stage = 2
    setattr(view, name, value)
    names = ("layers", "channels", "softening", "steps", "step_size")
    assert stages(view) and shows(page, view)
    expected = pw.depth_journey(
        view.model, view.image, **{name: getattr(view, name) for name in names}
    )
    assert torch.equal(view.result.differences, expected.differences)
    assert view.stage < len(view.result.stages)


def test_another_network_forgets_layers_and_channels(view: pw.DepthJourney) -> None:
    view.choose(layers=["relu", "logits"], channels=[1, 2])
    assert stages(view) == [("relu", 1), ("logits", 2)]
    view.model = wrap(network("chain"))
    assert view.layers is None and view.channels is None
    assert [name for name, _ in stages(view)] == ["relu1", "relu2", "logits"]


def test_a_network_that_cannot_be_had_leaves_layers_and_channels(
    page: Page, view: pw.DepthJourney, monkeypatch: pytest.MonkeyPatch
) -> None:
    view.choose(layers=["relu", "logits"], channels=[1, 2])
    assert stages(view) == [("relu", 1), ("logits", 2)]
    before, original = view.model, Sessions.model

    def load(self: Sessions, model: pw.Model | str) -> pw.Model:
        if isinstance(model, str):
            raise pw.DownloadError("no connection")
        return original(self, model)

    monkeypatch.setattr(Sessions, "model", load)
    view.model = "resnet50"
    assert view.wait(SECONDS) and view.error == "no connection"
    assert view.model is before
    assert (view.layers, view.channels) == (["relu", "logits"], [1, 2])
    view.steps = 1
    assert stages(view) == [("relu", 1), ("logits", 2)] and shows(page, view)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("layers", 3, "expected a list"),
        ("layers", ["nowhere"], "nowhere"),
        ("channels", 3, "channels is 3"),
        ("channels", [9, None, None], "Channel 9"),
        ("stage", 3, "0 to 2"),
    ],
)
def test_wrong_choices_are_explained(
    page: Page, view: pw.DepthJourney, name: str, value: Any, said: str
) -> None:
    before = view.result
    view.attempt(name, value)
    assert view.wait(SECONDS) and said in view.error
    assert view.result is before and shows(page, view)
    view.choose(layers=None, channels=None)
    assert stages(view) and not view.error


def test_a_click_opens_the_tile_and_chooses_its_stage(view: pw.DepthJourney) -> None:
    board = view._board
    for row, shown in enumerate(("photograph", "overlay", "pullback", "difference")):
        (left, top), middle = board._corner(row, 1), board.tile / 2
        x, y = 2 * (left + middle), 2 * (top + middle)
        click(board.box, x / board.box.width, y / board.box.height)
        explorer = view.explorer
        assert view.stage == 1 and explorer.view == shown
        assert board._mark == (0, 1, 4) and board._opened == (row, 1)
        assert explorer.wait(SECONDS) and explorer.result.target == view.result.stages[1].target
    torch.testing.assert_close(explorer.result.step.difference, view.result.differences[1])
