"""A journey through the temperature strip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boards

if TYPE_CHECKING:
    from collections.abc import Callable

    from labpage import LabPage

STRIP = """
import pullback_widgets as pw
pw.set_device("cpu")
view = pw.TemperatureStrip(target="golf ball", temperatures=[0.3, 1.0], steps=1)
view
"""
TILE = "view.result.picture({row}, {column}, view.shown)"
LAST = 3
FILM = 1
"""Which of the boards is the film."""


def tile(lab: LabPage, row: int, column: int) -> None:
    """Waits until a part of the result stands on its tile."""
    boards.shows(lab, "view._board", row, column, TILE.format(row=row, column=column))


def film(lab: LabPage, column: int) -> None:
    """Waits until the large pictures are of one temperature."""
    for row in range(2):
        picture = TILE.format(row=row, column=column)
        boards.shows(lab, "view._film", 0, row + 1, picture, FILM)


def test_from_the_first_tiles_to_the_film_and_the_explorer(
    lab_page: Callable[..., LabPage],
) -> None:
    lab = lab_page(STRIP)
    lab.python("view.wait()")
    for row in range(2):
        for column in (0, 1, LAST):
            tile(lab, row, column)

    assert boards.overflow(lab) == boards.overflow(lab, FILM) == 0

    # The film, from the coldest to the hottest.
    lab.page.locator(".pullback-film .noUi-handle").press("Home")
    film(lab, 0)
    lab.python("columns = []; view.observe(lambda change: columns.append(change['new']), 'column')")
    lab.page.locator(".pullback-film-play").click()
    lab.wait_until(lambda: lab.value("view.column") == LAST, "the end of the film")
    film(lab, LAST)
    assert lab.value("columns") == [1, 2, 3]

    # Another look, another class.
    lab.page.get_by_role("button", name="difference").first.click()
    lab.wait_until(lambda: lab.value("view.shown") == "difference", "the other look is chosen")
    tile(lab, 1, 1)
    box = lab.page.get_by_label("Class")
    box.fill("spatula")
    box.press("Enter")
    lab.wait_until(lambda: lab.value("view.result.target.label") == 813, "the new class")
    lab.python("view.wait()")
    tile(lab, 0, 2)

    # A click opens the tile.
    boards.click_tile(lab, "view._board", 1, 2)
    lab.wait_until(lambda: lab.value("view.explorer is not None"), "an explorer is there")
    lab.wait_until_drawn(".pullback-screen")
    assert lab.value("view.explorer.units") == "absolute"
    assert lab.value("view.explorer.temperature") == 1.0
    film(lab, 2)

    # A reload shows it all again.
    lab.reload()
    tile(lab, 0, 2)
    film(lab, 2)
