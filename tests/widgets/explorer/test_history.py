"""The history: thumbnails, stars, undo and redo."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from explorers import Make, right
from networks import image, network, wrap
from waiting import SECONDS
from widgets import Page, event, find

import pullback_widgets as pw
from pullback_widgets.networks import loaded
from pullback_widgets.widgets.explorer import explorer as explorer_module
from pullback_widgets.widgets.explorer import history as history_module
from pullback_widgets.widgets.explorer.history import Entry


def visit(explorer: pw.Explorer, **choices: Any) -> Entry:
    """Make choices, and stay until they are noted."""
    explorer.choose(**choices)
    assert explorer.wait(SECONDS) and explorer.error == ""
    explorer._note()
    entry = explorer.history.current
    assert entry is not None
    return entry


def same_choices(explorer: pw.Explorer, entry: Entry) -> None:
    for name in ("layer", "target", "channel", "position", "softening", "view", "image", "beside"):
        chosen, wanted = getattr(explorer, name), getattr(entry.request, name)
        assert chosen is wanted or chosen == wanted, name


def test_a_picture_is_noted_when_it_stays(
    explore: Make, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorer_module, "REST_SECONDS", 0.2)
    explorer, noted = explore(), threading.Event()
    show = explorer.history.on_change
    explorer.history.on_change = lambda: (show(), noted.set())
    for number in range(1, 40):  # as while the temperature is dragged
        explorer.temperature = number / 10
    assert noted.wait(SECONDS) and explorer.wait(SECONDS)
    explorer._note()
    assert len(explorer.history.entries) <= 2  # where it began, if that took long, and where it is
    assert explorer.history.entries[0].request.softening.temperature == pytest.approx(3.9)


def test_a_click_goes_back_to_all_choices(explorer: pw.Explorer, page: Page) -> None:
    visits = [
        visit(explorer, target=1),
        visit(explorer, layer="layer1", channel=2, position=(0, 1), temperature=0.3),
        visit(explorer, layer="logits", target=2, view="overlay", image=image(5)),
        visit(explorer, beside={"temperature": 3.0}, view="pullback"),
        visit(explorer, softening=pw.Softening.paper_v6(), beside=None),
    ]
    assert explorer.history.entries == visits[::-1]
    canvas = find(explorer, "pullback-history")
    for number in (2, 4, 0, 3, 1):
        place = len(visits) - 1 - number
        event(canvas, "mouse_up", (place + 0.5) / len(visits), 0.3)
        right(explorer, page)
        same_choices(explorer, visits[number])
        explorer._note()
        assert explorer.history.entries == visits[::-1]  # nothing new was reached
        assert explorer._strip.words.index == place
    explorer._strip.words.index = 4
    right(explorer, page)
    same_choices(explorer, visits[0])
    explorer.temperature = 0.5  # of the family that was recalled
    assert explorer.softening == pw.Softening.relative(0.5)


def test_undo_and_redo(explorer: pw.Explorer, page: Page) -> None:
    strip = explorer._strip
    first = visit(explorer, target=1)
    assert strip.undo.disabled and strip.redo.disabled
    second, third = visit(explorer, temperature=0.3), visit(explorer, temperature=2.0)
    for button, entry in ((strip.undo, second), (strip.undo, first), (strip.redo, second)):
        button.click()
        right(explorer, page)
        same_choices(explorer, entry)
    fourth = visit(explorer, target=3)
    assert strip.redo.disabled
    strip.undo.click()
    right(explorer, page)
    same_choices(explorer, second)
    assert explorer.history.entries == [fourth, third, second, first]
    explorer.target = 4  # not noted yet
    assert explorer.wait(SECONDS)
    strip.undo.click()
    right(explorer, page)
    same_choices(explorer, second)
    strip.redo.click()
    assert right(explorer, page).target == pw.Logit(4)


def test_the_last_twenty_and_those_with_a_star(explorer: pw.Explorer) -> None:
    kept = visit(explorer, target=1)
    explorer._strip.star.click()
    assert kept.starred and explorer._strip.star.description == "Kept"
    visits = [visit(explorer, temperature=0.1 * number) for number in range(1, 30)]
    assert explorer.history.entries == [*visits[: -history_module.MOST - 1 : -1], kept]
    assert "★" in explorer._strip.words.options[-1][0]
    assert len(explorer._strip.words.options) == history_module.MOST + 1
    explorer.history.go(kept)
    explorer._strip.star.click()
    assert not kept.starred


def test_what_a_picture_is_stands_with_it(explorer: pw.Explorer, page: Page) -> None:
    entry = visit(explorer, target=pw.Channel("layer1", 2), temperature=0.3)
    for words in ("layer1, channel 2", "relative T = 0.3", "Residual"):
        assert words in entry.words
    canvas = find(explorer, "pullback-history")
    assert entry.words in canvas.tooltip
    texts = page.texts[f"IPY_MODEL_{canvas.model_id}"]
    assert "0.3" in texts and any(text.startswith("layer1, ch") for text in texts)
    thumbnails = page.tiles[f"IPY_MODEL_{canvas.model_id}"].values()
    assert any(np.ptp(one) > 20 for one in thumbnails)


def test_an_ascent_is_recalled_as_far_as_it_came(explorer: pw.Explorer, page: Page) -> None:
    walked = visit(explorer, target=1, view="perturbed", steps=3)
    visit(explorer, view="pullback")
    explorer._strip.undo.click()
    frame = right(explorer, page)
    assert frame.step is not None and frame.step.index == 3
    explorer._note()
    assert explorer.history.current is walked


def test_zoom_stays_as_it_is(explorer: pw.Explorer) -> None:
    first = visit(explorer, target=1)
    visit(explorer, target=2, zoom=4)
    explorer.history.go(first)
    assert explorer.zoom == 4


def test_a_network_that_can_be_loaded_again_is_not_kept(
    explorer: pw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = wrap(network("chain"))
    monkeypatch.setattr(model, "catalogue_name", "resnet18")
    monkeypatch.setitem(loaded._loaded, "resnet18", model)
    assert visit(explorer, model=model).request.model == "resnet18"
    again = visit(explorer, model=wrap(network("residual")))
    assert again.request.model is explorer.model
    explorer._strip.undo.click()
    assert explorer.wait(SECONDS) and explorer.result.model is model


def test_what_is_no_more_is_said(explorer: pw.Explorer, page: Page, tmp_path: Any) -> None:
    from PIL import Image

    file = tmp_path / "photograph.png"
    Image.new("RGB", (30, 30), "red").save(file)
    first = visit(explorer, image=str(file))
    visit(explorer, image=image(3), target=2)
    file.unlink()
    here = explorer.history.current
    explorer.history.go(first)
    assert "photograph.png" in explorer.error and explorer.history.current is here
    assert explorer.target == 2 and explorer.image is not first.request.image
    explorer.target = 1
    right(explorer, page)


@pytest.mark.parametrize(
    ("softening", "words"),
    [
        (pw.Softening.relative(0.5), "0.5"),
        (pw.Softening.relative(0.5).with_units("absolute"), "absolute 0.5"),
        (pw.Softening.paper_v6(0.5), "paper v6 0.5"),
        (pw.Softening.hard(), "plain gradient"),
        (pw.Softening.held(), "held gates"),
    ],
)
def test_a_label_says_what_the_temperature_is(
    explore: Make, softening: pw.Softening, words: str
) -> None:
    assert visit(explore(softening=softening)).label[1] == words


def test_a_label_says_which_view_it_is(explore: Make) -> None:
    explorer = explore()
    pullback, step = visit(explorer), visit(explorer, view="perturbed")
    assert step.label == (pullback.label[0], f"{pullback.label[1]} perturbed")
