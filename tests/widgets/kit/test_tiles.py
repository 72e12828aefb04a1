"""The board: what stands on it, whether it fits the page, and that its size comes at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from widgets import Page, click

from pullback_widgets.widgets.kit.tiles import GAP, PAGE, TileBoard, margin, tile_beside

pytestmark = pytest.mark.usefixtures("nothing_swallowed")

GREY = np.full((2, 2, 3), 90, np.uint8)


@pytest.fixture
def board(page: Page) -> TileBoard:
    """Two rows of three tiles."""
    board = TileBoard(50)
    board.clear(["one", "two"], ["a", "b", "c"], captions=1)
    return board


def places(page: Page, board: TileBoard) -> list[tuple[int, int]]:
    """Rows and columns of the tiles that a page that opens now would show pictures on."""
    tiles = page.tiles.setdefault(f"IPY_MODEL_{board.box.model_id}", {})
    tiles.clear()
    board.redraw()
    corners = {
        (2 * left, 2 * top): (row, column)
        for row in range(len(board._rows))
        for column in range(len(board._columns))
        for left, top in [board._corner(row, column)]
    }
    return sorted(corners[corner] for corner in tiles)


def texts(page: Page, board: TileBoard) -> list[str]:
    """What is written after everything is drawn anew."""
    page.texts.clear()
    board.redraw()
    return page.texts[f"IPY_MODEL_{board.box.model_id}"]


@pytest.mark.parametrize("columns", [1, 6, 11, 12, 40])
@pytest.mark.parametrize("rows", [[""], ["Chelsea the cat"]])
def test_boards_fit_the_page(page: Page, columns: int, rows: list[str]) -> None:
    board = TileBoard()
    board.clear(rows, ["label"] * columns, tile=tile_beside(columns, margin(rows)))
    assert 0 < board.box.width <= 2 * PAGE
    assert board.box.layout.width == f"{board.box.width // 2}px"


def test_a_new_size_comes_in_one_message(board: TileBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(board.box, "_send", lambda message, buffers=None: sent.append(message))
    board.clear(["one"], ["a", "b", "c", "d", "e"])
    sizes = [m["state"] for m in sent if m["method"] == "update" and "width" in m["state"]]
    assert sizes == [{"width": board.box.width, "height": board.box.height}]


def test_long_headings_are_broken_at_spaces(page: Page) -> None:
    board = TileBoard()
    board.clear([""], ["Integrated gradients\nrelative T = 0.85", "Gradient"], tile=94)
    assert {"Integrated", "gradients", "relative T = 0.85", "Gradient"} <= set(texts(page, board))
    assert board._top > 3 * 16


def test_a_text_stands_in_the_place_of_pictures(page: Page, board: TileBoard) -> None:
    for column in range(3):
        board.put(1, column, GREY)
    board.put(1, 1, "could not be downloaded", span=2)
    assert places(page, board) == [(1, 0)]
    written = texts(page, board)
    assert "could not be" in written and "downloaded" in written
    board.put(1, 2, GREY)  # under it
    assert places(page, board) == [(1, 0), (1, 2)]
    assert "downloaded" not in texts(page, board)


def test_a_moved_outline_leaves_the_tiles(page: Page, board: TileBoard) -> None:
    for row in range(2):
        for column in range(3):
            board.put(row, column, GREY)
    tiles = page.tiles[f"IPY_MODEL_{board.box.model_id}"]
    board.mark(0, 1, rows=2)
    tiles.clear()
    board.mark(0, 2, rows=2)
    assert len(tiles) == 2  # those that were outlined
    messages = page.messages
    board.mark(0, 2, rows=2)
    assert page.messages == messages


def test_which_tile_is_open_is_said_on_it(page: Page, board: TileBoard) -> None:
    board.put(0, 0, GREY)
    board.opened((0, 0))
    assert "opened below" in texts(page, board)
    board.opened(None)
    assert "opened below" not in texts(page, board)


def test_clicks_are_in_the_canvas_s_own_pixels(board: TileBoard) -> None:
    clicks: list[Any] = []
    board.on_click = lambda *place: clicks.append(place)
    left, top = board._corner(1, 2)
    for x in (left + 25, left - GAP / 2):
        click(board.box, 2 * x / board.box.width, 2 * (top + 10) / board.box.height)
    assert clicks == [(1, 2, pytest.approx(0.5), pytest.approx(0.2))]
