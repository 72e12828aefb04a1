"""Two pictures side by side: live, linked, with one wipe between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from explorers import Make, right
from networks import image, network, wrap
from waiting import SECONDS
from widgets import Page, event, find, text_with

import pullback_widgets as pw
from pullback_widgets.figures.sessions import Sessions
from pullback_widgets.figures.snapshot import Snapshot


def left(page: Page, explorer: pw.Explorer) -> np.ndarray:
    canvas = find(explorer, "pullback-beside")
    (shown,) = page.on[f"IPY_MODEL_{canvas.model_id}"]
    return page.pictures[shown]


def both(page: Page, explorer: pw.Explorer) -> Snapshot:
    """Waits, and compares what is on the left with a computation from nothing."""
    frame = right(explorer, page) if explorer.wipe == 0 else explorer.result
    (fresh,) = Sessions().frames(explorer.request())
    assert fresh.second is not None
    wanted = fresh.second.picture(explorer.view, explorer.colour)
    assert np.array_equal(left(page, explorer), wanted)
    return frame


def test_one_temperature_beside_another(explore: Make, page: Page) -> None:
    explorer = explore(beside={"temperature": 0.3})
    both(page, explorer)
    names = [find(explorer, "pullback-head", n).children[0].value for n in range(2)]
    assert "relative T = 0.3" in names[0] and "relative T = 0.85" in names[1]
    caption = text_with(explorer, "pullback-caption")
    assert "left: <b>pullback</b>" in caption and "relative T = 0.3" in caption
    explorer.choose(temperature=2.0, target=3, colour="diverging")
    frame = both(page, explorer)
    assert frame.target == pw.Logit(3)
    explorer.beside = None
    frame = right(explorer, page)
    assert np.array_equal(left(page, explorer), frame.picture("photograph"))


def test_the_wipe_goes_between_the_two(explore: Make, page: Page) -> None:
    explorer = explore(beside={"temperature": 0.3})
    both(page, explorer)
    canvas = find(explorer, "pullback-screen")
    event(canvas, "mouse_down", 0.2, 0.5)
    event(canvas, "mouse_move", 0.6, 0.5)
    event(canvas, "mouse_up", 0.6, 0.5)
    assert explorer.wait(SECONDS)
    first, over = page.screen(explorer)
    assert np.array_equal(first, explorer.result.picture("pullback"))
    assert np.array_equal(over, explorer.result.second.picture("pullback"))


def test_what_is_under_the_mouse_is_of_the_picture_there(explore: Make, page: Page) -> None:
    explorer = explore(beside={"target": 3})
    frame = both(page, explorer)
    event(find(explorer, "pullback-beside"), "mouse_move", 0.5, 0.25)
    size = frame.pullback.shape[1]
    red = float(explorer.result.second.pullback[0, size // 4, size // 2])
    assert f"{red:.3g}" in str(find(explorer, "pullback-advice").children[0].value)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("this temperature", {"temperature": 3.0}),
        ("this neuron", {"target": 3}),
        ("this network", {"model": wrap(network("residual", seed=4))}),
        ("this photograph", {"image": image(7)}),
    ],
)
def test_what_is_there_stays_while_the_rest_changes(
    explore: Make, page: Page, name: str, change: dict[str, object]
) -> None:
    explorer = explore()
    before = right(explorer, page).picture("pullback")
    explorer._view.beside.value = name
    assert explorer.wait(SECONDS)
    explorer.choose(**change)
    assert explorer.wait(SECONDS) and explorer.error == ""
    assert np.array_equal(left(page, explorer), before)
    assert not np.array_equal(page.screen(explorer)[0], before)
    assert explorer._view.beside.value == name
    explorer._view.beside.value = "the photograph"
    assert explorer.beside is None
    right(explorer, page)


def test_another_layer_parts_from_what_was_of_the_old_one(explore: Make, page: Page) -> None:
    explorer = explore(layer="layer1", beside={"channel": 0})
    both(page, explorer)
    explorer.layer = "layer10"
    right(explorer, page)
    assert explorer.beside is None
    explorer.beside = {"layer": "layer1"}
    both(page, explorer)
    explorer.model = wrap(network("chain"))
    right(explorer, page)
    assert explorer.beside is None


def test_what_the_network_does_not_have_is_said(explore: Make, page: Page) -> None:
    explorer = explore()
    before = right(explorer, page)
    explorer.beside = {"layer": "layer9"}
    assert explorer.wait(SECONDS)
    assert "layer9" in explorer.error
    assert np.array_equal(page.screen(explorer)[0], before.picture("pullback"))
    explorer.beside = None
    right(explorer, page)
    with pytest.raises(ValueError, match="temprature"):
        explorer.beside = {"temprature": 1}


def test_a_recipe_opens_with_both(explore: Make, page: Page, tmp_path: Path) -> None:
    explorer = explore(beside={"temperature": 0.3, "image": image(2)})
    both(page, explorer)
    saved = explorer.save(tmp_path / "both.json")
    opened = pw.open_recipe(saved, model=explorer.model)
    assert opened.wait(SECONDS) and opened.error == ""
    assert np.array_equal(left(page, opened), left(page, explorer))
    opened.close()
    explorer.beside = None
    explorer.wait(SECONDS)
    assert "beside" not in explorer.recipe()
