"""The two pictures, the line under them, and what links them."""

from __future__ import annotations

import numpy as np
import pytest
from explorers import right
from waiting import SECONDS
from widgets import Page, click, event, find

import pullback_widgets as pw


def beside(page: Page, explorer: pw.Explorer) -> np.ndarray:
    """The picture on the left canvas."""
    canvas = find(explorer, "pullback-beside")
    (shown,) = page.on[f"IPY_MODEL_{canvas.model_id}"]
    return page.pictures[shown]


def advice(explorer: pw.Explorer) -> str:
    return str(find(explorer, "pullback-advice").children[0].value)


@pytest.mark.parametrize("view", ["pullback", "perturbed", "photograph"])
def test_the_photograph_stands_beside(explorer: pw.Explorer, page: Page, view: str) -> None:
    explorer.view = view
    frame = right(explorer, page)
    other = "pullback" if view == "photograph" else "photograph"
    assert np.array_equal(beside(page, explorer), frame.picture(other))
    names = [find(explorer, "pullback-pane", n).children[0].value for n in range(2)]
    assert other in names[0] and view in names[1]


@pytest.mark.parametrize("name", ["pullback-screen", "pullback-beside"])
def test_a_drag_and_a_click_do_the_same_on_both(
    explorer: pw.Explorer, page: Page, name: str
) -> None:
    canvas = find(explorer, name)
    event(canvas, "mouse_down", 0.2, 0.5)
    event(canvas, "mouse_move", 0.6, 0.5)
    event(canvas, "mouse_up", 0.6, 0.5)
    assert explorer.wipe == pytest.approx(0.6)
    explorer.layer = "layer1"
    right(explorer, page)
    click(canvas, 0.9, 0.1)
    rows, columns = right(explorer, page).view.layer.shape[1:]
    assert explorer.position == (int(0.1 * rows), int(0.9 * columns))


def test_what_is_under_the_mouse_is_said_and_marked_on_the_other(
    explorer: pw.Explorer, page: Page
) -> None:
    frame = right(explorer, page)
    invited = advice(explorer)
    canvas = find(explorer, "pullback-screen")
    event(canvas, "mouse_move", 0.5, 0.25)
    size = frame.pullback.shape[1]
    red, green, blue = frame.pullback[:, size // 4, size // 2].tolist()
    said = advice(explorer)
    assert f"row {size // 4}, column {size // 2}" in said
    assert f"{red:.3g}, {green:.3g}, {blue:.3g}" in said and "% of full strength" in said
    assert explorer._screen.beside._point == (0.5, 0.25)
    assert explorer._screen.picture._point is None
    event(canvas, "mouse_out")
    assert advice(explorer) == invited and explorer._screen.beside._point is None
    event(find(explorer, "pullback-beside"), "mouse_move", 0.5, 0.25)
    assert "full strength" not in advice(explorer)  # a photograph has none
    assert explorer._screen.picture._point == (0.5, 0.25)


def test_the_unit_under_the_mouse(explorer: pw.Explorer, page: Page) -> None:
    explorer.layer = "layer1"
    frame = right(explorer, page)
    event(find(explorer, "pullback-screen"), "mouse_move", 0.99, 0.01)
    value = explorer.session.activations("layer1")[frame.target.channel, 0, -1]
    assert f"channel {frame.target.channel} is {float(value):.3g} here" in advice(explorer)


def test_a_click_at_a_class_offers_the_last_layer_that_has_places(
    explorer: pw.Explorer, page: Page
) -> None:
    right(explorer, page)
    offer = find(explorer, "pullback-advice").children[1]
    assert offer.layout.display == "none"
    click(find(explorer, "pullback-screen"), 0.9, 0.1)
    assert explorer.layer == "logits" and offer.layout.display == ""
    name = offer.description.partition(",")[0]
    offer.click()
    frame = right(explorer, page)
    assert (explorer.layer, offer.layout.display) == (name, "none")
    values = explorer.session.activations(name)
    row, column = explorer.position
    assert (row, column) == (0, values.shape[2] - 1)
    assert frame.target.channel == int(values[:, row, column].argmax())


def test_an_offer_stays_until_the_mouse_is_back(explorer: pw.Explorer, page: Page) -> None:
    right(explorer, page)
    canvas = find(explorer, "pullback-screen")
    offer = find(explorer, "pullback-advice").children[1]
    event(canvas, "mouse_move", 0.5, 0.5)
    click(canvas, 0.5, 0.5)
    event(canvas, "mouse_move", 0.6, 0.9)
    event(canvas, "mouse_out")
    assert offer.layout.display == ""
    event(canvas, "mouse_move", 0.6, 0.9)
    assert offer.layout.display == "none" and "row" in advice(explorer)


def test_the_line_invites_to_what_works(explorer: pw.Explorer, page: Page) -> None:
    explorer.temperature = 0
    right(explorer, page)
    assert "Drag the temperature" in advice(explorer)
    explorer.temperature = 0.5
    right(explorer, page)
    assert "Click a place" in advice(explorer)


def test_predictions_are_those_of_what_is_on_the_screen(explorer: pw.Explorer, page: Page) -> None:
    frame = right(explorer, page)
    assert "→" not in find(explorer, "pullback-top").description
    explorer.target = frame.predictions[-1].index
    explorer.view = "perturbed"
    explorer.wait(SECONDS)
    frame = right(explorer, page)
    after = pw.Session(frame.model, frame.step.perturbed, range=(-1, 1)).predictions(5)
    assert [best.index for best, _ in frame.after()] == [one.index for one in after]
    before = explorer.session.predictions(frame.classes)
    for number, (best, was) in enumerate(frame.after()):
        assert best.probability == pytest.approx(after[number].probability, abs=1e-4)
        assert was == pytest.approx(next(o.probability for o in before if o.index == best.index))
        assert "→" in find(explorer, "pullback-top", number).description
    explorer.view = "pullback"
    right(explorer, page)
    assert "→" not in find(explorer, "pullback-top").description
