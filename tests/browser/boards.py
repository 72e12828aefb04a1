"""Boards as a browser test sees them: the pixels of a tile, and clicks on it."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from labpage import LabPage

BOARD = ".pullback-board"


def tile(lab: LabPage, board: str, row: int, column: int, index: int = 0) -> np.ndarray:
    """The pixels of a tile, (side, side, 3).

    Args:
        lab: The notebook.
        board: The board as an expression in the kernel, such as ``view._board``.
        row: Of the tile.
        column: Likewise.
        index: Which of the boards on the page.
    """
    left, top, side = _place(lab, board, row, column)
    pixels = lab.canvas_pixels(BOARD, index)
    return pixels[top : top + side, left : left + side, :3]


def shows(lab: LabPage, board: str, row: int, column: int, picture: str, index: int = 0) -> None:
    """Waits until a tile shows a picture.

    Args:
        lab: The notebook.
        board: As in :func:`tile`.
        row: Of the tile.
        column: Likewise.
        picture: (H, W, 3) bytes as an expression in the kernel.
        index: Which of the boards on the page.
    """

    def alike() -> bool:
        seen = tile(lab, board, row, column, index)
        size = seen.shape[1], seen.shape[0]
        wanted = np.asarray(_fitted(_picture(lab, picture), size), float)
        # A marked tile has an outline, an open one says so at its lower edge.
        inner = np.abs(wanted - seen)[8:-36, 8:-8]
        close = inner.mean() < 8  # enlarged, and JPEG
        return bool(close and seen.std() > 1)

    lab.wait_until(alike, f"tile {row}, {column} shows {picture}")


def _fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    larger = picture.width < size[0]
    return picture.resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)


def click_tile(lab: LabPage, board: str, row: int, column: int, index: int = 0) -> None:
    """Clicks into the middle of a tile."""
    left, top, side = _place(lab, board, row, column)
    lab.click_canvas(left + side / 2, top + side / 2, BOARD, index)


def overflow(lab: LabPage, index: int = 0) -> int:
    """CSS pixels of a board that the page is too narrow for."""
    measure = "canvas => canvas.parentElement.scrollWidth - canvas.parentElement.clientWidth"
    pixels: int = lab.canvas(BOARD, index).evaluate(measure)
    return pixels


def _place(lab: LabPage, board: str, row: int, column: int) -> tuple[int, int, int]:
    """Left, top and side of a tile in the canvas's own pixels."""
    left, top = lab.value(f"{board}._corner({row}, {column})")
    return 2 * left, 2 * top, 2 * lab.value(f"{board}.tile")


def _picture(lab: LabPage, expression: str) -> Image.Image:
    code = (
        "(lambda p: __import__('base64').b64encode("
        "__import__('pullback_widgets.drawing.pixels', fromlist=['png']).png(p)).decode())"
        f"({expression})"
    )
    return Image.open(io.BytesIO(base64.b64decode(lab.value(code)))).convert("RGB")
