"""The two pictures, the line under them, and what links them."""

from __future__ import annotations

import numpy as np
import pytest
from explorers import right
from waiting import SECONDS
from widgets import Page, click, event, find

import pullback_widgets as pw
from pullback_widgets.widgets.explorer.advice import strength


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
    names = [find(explorer, "pullback-head", n).children[0].value for n in range(2)]
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
    assert f"{red:.3g}, {green:.3g}, {blue:.3g}" in said and "full strength" in said
    assert explorer._screen.beside._point == (0.5, 0.25)
    assert explorer._screen.picture._point is None
    event(canvas, "mouse_out")
    assert advice(explorer) == invited and explorer._screen.beside._point is None
    event(find(explorer, "pullback-beside"), "mouse_move", 0.5, 0.25)
    assert "full strength" not in advice(explorer)  # a photograph has none
    assert explorer._screen.picture._point == (0.5, 0.25)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.994, "99 % of full strength"),
        (1.0, "100 % of full strength"),
        (3.55, "3.55 times full strength, which is all the picture can show"),
    ],
)
def test_how_strongly_a_pixel_is_shown(share: float, words: str) -> None:
    assert strength(share) == words


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
    assert "Drag the temperature" in advice(explorer) and "about 0.85" in advice(explorer)
    explorer.temperature = 0.5
    right(explorer, page)
    assert "Click a place" in advice(explorer)
    explorer.temperature = 50
    right(explorer, page)
    assert "half of everything" in advice(explorer)


def test_a_wipe_near_an_edge_takes_all_or_nothing(explorer: pw.Explorer, page: Page) -> None:
    canvas = find(explorer, "pullback-screen")
    for end, wipe in ((0.5, 0.5), (0.99, 1.0), (0.01, 0.0)):
        event(canvas, "mouse_down", explorer.wipe, 0.5)
        event(canvas, "mouse_move", end, 0.5)
        event(canvas, "mouse_up", end, 0.5)
        assert explorer.wipe == pytest.approx(wipe, abs=0.01)


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


def rectangle(explorer: pw.Explorer, page: Page, name: str) -> tuple[float, ...]:
    """Where a canvas was last told to draw its picture."""
    canvas = find(explorer, name)
    return page.places[f"IPY_MODEL_{canvas.model_id}"]


BOTH = ("pullback-screen", "pullback-beside")


def test_zoom_and_fit_by_button_on_both(explorer: pw.Explorer, page: Page) -> None:
    right(explorer, page)
    (fit,), (farther, closer) = (find(explorer, "pullback-head", n).children[1:] for n in (0, 1))
    assert fit.disabled and farther.disabled and not closer.disabled
    for times in (2, 4, 8, 16):
        closer.click()
        assert explorer.zoom == times
    assert closer.disabled and not fit.disabled
    for name in BOTH:
        left, top, width, height = rectangle(explorer, page, name)
        assert (width, height) == (16 * 1024, 16 * 1024)
        assert (left, top) == (512 - width / 2, 512 - height / 2)
    farther.click()
    assert explorer.zoom == 8
    fit.click()
    assert explorer.zoom == 1 and explorer.centre == (0.5, 0.5)
    assert rectangle(explorer, page, BOTH[0]) == (0, 0, 1024, 1024)
    right(explorer, page)


@pytest.mark.parametrize("name", BOTH)
def test_a_drag_pans_what_is_large_and_still_wipes_at_the_handle(
    explorer: pw.Explorer, page: Page, name: str
) -> None:
    explorer.choose(zoom=4, wipe=0.5)
    assert explorer.wait(SECONDS)
    canvas = find(explorer, name)
    event(canvas, "mouse_down", 0.9, 0.5)
    event(canvas, "mouse_move", 0.9, 0.7)
    event(canvas, "mouse_move", 0.7, 0.7)
    event(canvas, "mouse_up", 0.7, 0.7)
    assert explorer.centre == pytest.approx((0.5 + 0.05, 0.5 - 0.05)) and explorer.wipe == 0.5
    event(canvas, "mouse_down", 0.9, 0.5)
    event(canvas, "mouse_move", -0.9, 9.0)  # no farther than its edge
    event(canvas, "mouse_up", 0.0, 1.0)
    assert explorer.centre == pytest.approx((1 - 1 / 8, 1 / 8))
    left, top, width, height = rectangle(explorer, page, name)
    assert left <= 0 and top <= 0 and left + width >= 1024 and top + height >= 1024
    event(canvas, "mouse_down", 0.51, 0.5)
    event(canvas, "mouse_move", 0.3, 0.5)
    event(canvas, "mouse_up", 0.3, 0.5)
    assert explorer.wipe == pytest.approx(0.3)


def test_a_click_in_a_large_picture_picks_what_is_there(explorer: pw.Explorer, page: Page) -> None:
    explorer.choose(layer="layer1", zoom=2, centre=(1.0, 0.0))
    frame = right(explorer, page)
    rows, columns = frame.view.layer.shape[1:]
    click(find(explorer, "pullback-beside"), 0.5, 0.5)
    right(explorer, page)
    assert explorer.position == (int(0.25 * rows), int(0.75 * columns))
    explorer.zoom = 1
    explorer._screen.on_zoom(2.0)  # goes to what is outlined
    middle = ((explorer.position[1] + 0.5) / columns, (explorer.position[0] + 0.5) / rows)
    assert explorer.centre == pytest.approx(middle)


def test_what_is_no_zoom(explorer: pw.Explorer) -> None:
    explorer.zoom = 1000
    assert explorer.zoom == 16
    explorer.zoom = 0
    assert explorer.zoom == 1
    for wrong in ("large", float("nan")):
        with pytest.raises(ValueError, match="zoom"):
            explorer.zoom = wrong
    for wrong in ((0.5, 2.0), 3, (1,)):
        with pytest.raises((ValueError, TypeError), match="centre"):
            explorer.centre = wrong
    assert "zoom" not in explorer.recipe()
    explorer.zoom = 2
    assert explorer.recipe()["zoom"] == 2


def test_a_mean_that_is_the_same_everywhere_says_so() -> None:
    explorer = pw.Explorer(layer="conv_stem", channel=1)
    assert explorer.wait(SECONDS)
    assert "mean over 112 x 112 places, and nearly the same everywhere" in advice(explorer)
    explorer.position = (56, 56)
    assert explorer.wait(SECONDS) and "mean over" not in advice(explorer)
    explorer.choose(layer="blocks.4.2.bn2.act", channel=64)
    assert explorer.wait(SECONDS) and "mean over" not in advice(explorer)
    explorer.close()
