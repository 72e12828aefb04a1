"""The temperature strip as a widget: what is on its tiles, its curves and its film."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import image, network, wrap
from waiting import SECONDS
from widgets import Page, alike, click, enter, find, making, offered, seen, tile, type_in

import pullback_widgets as pw
from pullback_widgets.drawing.files import load_npz
from pullback_widgets.drawing.pixels import RGB, photograph
from pullback_widgets.drawing.words import accounts_for
from pullback_widgets.figures.strip import Strip
from pullback_widgets.widgets.kit.tiles import TileBoard

SETTINGS: dict[str, Any] = {"target": "spoon", "temperatures": [3.0], "steps": 1}

pytestmark = pytest.mark.usefixtures("nothing_swallowed")

Make = Callable[..., pw.TemperatureStrip]


@pytest.fixture
def make(page: Page) -> Iterator[Make]:
    """Makes views that have drawn their figure."""

    def build(**choices: Any) -> pw.TemperatureStrip:
        options = {"step_size": 1.5, **SETTINGS, **choices}
        return pw.TemperatureStrip(wrap(network("residual")), image(), **options)

    yield from making(build)


@pytest.fixture
def view(make: Make) -> pw.TemperatureStrip:
    return make()


def shows(page: Page, view: pw.TemperatureStrip) -> bool:
    """Whether every tile, the film included, shows its part of the result."""
    result: Strip = view.result
    rows, columns = result.done.shape
    return (
        all(
            alike(tile(page, view._board, row, column), result.picture(row, column, view.shown))
            for row in range(rows)
            for column in range(columns)
        )
        and alike(tile(page, view._film, 0, 0), photograph(result.image))
        and all(
            alike(tile(page, view._film, 0, row + 1), result.picture(row, view.column, view.shown))
            for row in range(rows)
        )
    )


def curve_of(page: Page, board: TileBoard, row: int) -> RGB:
    left, top = board._corner(row, 0)
    return page.tiles[f"IPY_MODEL_{board.box.model_id}"][2 * left, 2 * top]


def press(board: TileBoard, row: int, column: int) -> None:
    """A click into the middle of a tile."""
    (left, top), middle = board._corner(row, column), board.tile / 2
    click(board.box, 2 * (left + middle) / board.box.width, 2 * (top + middle) / board.box.height)


@pytest.mark.parametrize("shown", ["pullback", "difference", "perturbed"])
def test_every_tile_is_shown(page: Page, make: Make, shown: str) -> None:
    view = make(shown=shown)
    assert not view.error and view.result.progress == 1
    assert shows(page, view)
    expected = pw.temperature_strip(view.model, view.image, step_size=1.5, **SETTINGS)
    assert torch.equal(view.result.differences, expected.differences)


def test_curves_lie_under_all_tiles(page: Page, view: pw.TemperatureStrip) -> None:
    for row in (2, 3):
        curve = curve_of(page, view._board, row)
        left, right = view._board._corner(row, 0)[0], view._board._corner(row, 2)[0]
        assert curve.shape[1] == 2 * (right - left + view._board.tile)
        assert curve.std() > 10


def test_the_film_follows_the_slider(page: Page, view: pw.TemperatureStrip) -> None:
    assert view.column == 2  # of three, 6 is too many
    slider = find(view, "pullback-film")
    for column in range(3):
        slider.value = column
        assert view.column == column and shows(page, view)
    view.temperatures = [0.5, 1.0]
    assert view.wait(SECONDS) and slider.max == 3 and view.column == 2 and shows(page, view)


def test_the_column_of_the_film_is_outlined(view: pw.TemperatureStrip) -> None:
    assert view._board._mark == (0, 2, 2)
    press(view._board, 1, 1)
    assert view._board._mark == (0, 1, 2) and view._board._opened == (1, 1)
    find(view, "pullback-film").value = 0
    assert view._board._mark == (0, 0, 2) and view._board._opened == (1, 1)
    find(view, "Close").click()
    assert view._board._opened is None


def test_captions_have_two_lines(page: Page, view: pw.TemperatureStrip) -> None:
    texts = page.texts[f"IPY_MODEL_{view._board.box.model_id}"]
    assert {"t = 3", "T = 3", view.result.result(0, 1)} <= set(texts)
    assert "after 1 step of ascent" in view.caption(view.result)


def test_the_large_pullbacks_say_what_they_account_for(
    page: Page, view: pw.TemperatureStrip
) -> None:
    film = f"IPY_MODEL_{view._film.box.model_id}"
    share = view.result.share(0, view.column)
    assert accounts_for(share, "logit") in " ".join(page.texts[film])
    assert accounts_for(share, "logit") in view._film.words.value
    view.shown = "perturbed"
    assert "accounts for" not in view._film.words.value


def test_looking_computes_nothing(page: Page, view: pw.TemperatureStrip) -> None:
    before = view.result
    view.shown = "perturbed"
    view.column = 1
    assert view.wait(SECONDS) and view.result is before and shows(page, view)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target", 3),
        ("target", pw.Channel("layer1.bn1", 1)),
        ("image", image(seed=7)),
        ("temperatures", None),
        ("steps", 2),
    ],
)
def test_every_choice_computes_anew(
    page: Page, view: pw.TemperatureStrip, name: str, value: Any
) -> None:
    before = view.result
    setattr(view, name, value)
    assert view.wait(SECONDS) and not view.error and view.result is not before
    assert shows(page, view)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("target", "dog", "dog"),
        ("temperatures", [2.0, 1.0], "rising"),
        ("image", "nowhere.png", "nowhere.png"),
        ("column", 9, "0 to 2"),
    ],
)
def test_refused_choices_are_explained(
    page: Page, view: pw.TemperatureStrip, name: str, value: Any, said: str
) -> None:
    before = view.result
    view.attempt(name, value)
    assert said in view.error and view.wait(SECONDS) and view.result is before
    assert shows(page, view)


def test_a_click_opens_the_tile(view: pw.TemperatureStrip) -> None:
    view.shown = "difference"
    press(view._board, 1, 1)
    explorer = view.explorer
    assert explorer.wait(SECONDS) and not explorer.error and view.column == 1
    assert explorer.softening == pw.Softening(3.0, units="absolute")
    torch.testing.assert_close(explorer.result.step.difference, view.result.differences[1, 1])
    view.column = 0
    press(view._film, 0, 1)
    assert view.explorer.softening == pw.Softening.hard()


def test_curves_and_the_photograph_open_nothing(view: pw.TemperatureStrip) -> None:
    press(view._board, 2, 1)
    assert view.column == 1
    press(view._film, 0, 0)
    assert view.explorer is None


def test_class_by_its_control(view: pw.TemperatureStrip) -> None:
    box = find(view, "Class")
    assert box.value == "spoon"
    enter(box, "4")
    assert view.target == 4 and view.wait(SECONDS) and view.result.target == pw.Logit(4)
    assert box.value == view.model.categories[4]
    type_in(box, "spo")
    assert offered(view) == ["spoon"] and box.value == "spo" and view.target == 4
    assert find(view, "Steps") not in seen(view)
    find(view, "spoon").click()
    assert view.wait(SECONDS) and view.result.target == pw.Logit(5)
    assert find(view, "Steps") in seen(view)
    enter(box, f"spoon, {view.model.categories[4]}")
    assert view.wait(SECONDS) and isinstance(view.result.target, pw.Difference)
    enter(box, "")
    assert view.target is None
    view.target = pw.Channel("relu", 0)
    assert box.value == ""


def test_what_is_taken_away_shows_the_same(view: pw.TemperatureStrip, tmp_path: Path) -> None:
    view.shown = "perturbed"
    titles = [text.get_text() for text in view.figure().texts]
    assert any("photograph after ascent" in title for title in titles)
    assert "image/png" in view._stored.bundle()[0]
    arrays, _ = load_npz(view.save(tmp_path / "strip.npz"))
    np.testing.assert_array_equal(arrays["pullbacks"], view.result.pullbacks)
    assert view.code() == view.result.code()
