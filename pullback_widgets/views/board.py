"""The board: rows and columns of labelled tiles on one canvas, put there one by one."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence

import ipycanvas
import numpy as np
from ipycanvas.canvas import _CANVAS_MANAGER, COMMANDS
from PIL import Image

from ..picture import MID_GREY, RGB
from ..screen import draw

PAGE = 836
"""Width of a notebook's output on a common screen."""

GAP = 4
LINE = 16
"""Height of a line of text, in CSS pixels."""

INK, DIM, MARK = "#202020", "#6b6b6b", "#e8710a"
JPEG_QUALITY = 92


def tile_beside(columns: int, labels: int = 100, smallest: int = 72, largest: int = 168) -> int:
    """The side of tiles of which so many fit side by side on a page, with labels before them."""
    return min(max((PAGE - labels) // columns - GAP, smallest), largest)


class Board:
    """A table of pictures.

    All lengths are CSS pixels; the canvas has twice as many of its own, so that tiles are crisp on
    any display.

    Attributes:
        box: The canvas widget.
        on_click: Called with (row, column, x, y) after a click on a tile; x and y are the place in
            the tile, 0 to 1.
    """

    def __init__(self, tile: int = 112) -> None:
        """Make an empty board.

        Args:
            tile: Side of a tile.
        """
        self.tile = tile
        self.on_click: Callable[[int, int, float, float], object] = lambda *_: None
        self.box = ipycanvas.Canvas(width=2, height=2)
        self.box.add_class("pullback-board")
        self._lock = threading.RLock()
        self._rows: list[str] = []
        self._columns: list[str] = []
        self._left = self._top = self._below = 0
        self._tiles: dict[tuple[int, int], tuple[RGB, str, int]] = {}
        self._mark: tuple[int, int] | None = None
        self.box.on_mouse_up(self._up)
        self.box.on_client_ready(self.redraw)

    def clear(
        self,
        rows: Sequence[str],
        columns: Sequence[str],
        *,
        tile: int | None = None,
        left: int | None = None,
        captions: bool = False,
    ) -> None:
        """Start anew with empty tiles.

        Args:
            rows: A label for each row, shown left of it; lines are divided by newlines.
            columns: A label for each column, shown over it; likewise.
            tile: Side of a tile; by default as before.
            left: Width for the labels of the rows; by default what they need, 0 if all are empty.
            captions: Whether each tile has a line of text of its own under it.
        """
        with self._lock:
            self._rows, self._columns = list(rows), list(columns)
            self.tile = tile or self.tile
            longest = max((len(line) for row in rows for line in row.split("\n")), default=0)
            self._left = left if left is not None else 8 + 7 * longest if longest else 0
            lines = max((_lines(column) for column in columns), default=0)
            self._top = LINE * lines + (GAP if lines else 0)
            self._below = LINE if captions else 0
            self._tiles.clear()
            self._mark = None
            step_x, step_y = self._steps()
            width = self._left + len(columns) * step_x - GAP
            height = self._top + len(rows) * step_y - GAP
            if (self.box.width, self.box.height) != (2 * width, 2 * height):
                self.box.width, self.box.height = 2 * width, 2 * height
                self.box.layout.width = f"{width}px"
                self.box.layout.height = "auto"
            self.redraw()

    def put(self, row: int, column: int, picture: RGB, caption: str = "", span: int = 1) -> None:
        """Show a picture on a tile.

        Args:
            row: From 0, downwards.
            column: From 0, to the right.
            picture: (H, W, 3) bytes.
            caption: The line under the tile, where the board has captions.
            span: How many columns the picture covers.
        """
        with self._lock:
            self._tiles[row, column] = self._fitted(picture, span), caption, span
            draw(lambda: self._paint_tile(row, column))

    def label(self, rows: Sequence[str], columns: Sequence[str]) -> None:
        """Change the labels; there must be as many as before."""
        with self._lock:
            if (self._rows, self._columns) != (list(rows), list(columns)):
                self._rows, self._columns = list(rows), list(columns)
                draw(self._paint_labels)

    def mark(self, row: int, column: int) -> None:
        """Outline one tile, and no other."""
        with self._lock:
            self._mark = (row, column)
            self.redraw()

    def redraw(self) -> None:
        """Draw everything again, for a page that has just opened."""
        with self._lock:
            draw(self._paint)

    def _steps(self) -> tuple[int, int]:
        """From one tile to the next: across and down."""
        return self.tile + GAP, self.tile + self._below + GAP

    def _corner(self, row: int, column: int) -> tuple[int, int]:
        """Left and top of a tile."""
        across, down = self._steps()
        return self._left + column * across, self._top + row * down

    def _fitted(self, picture: RGB, span: int) -> RGB:
        """The picture in the canvas's own pixels."""
        size = 2 * (span * (self.tile + GAP) - GAP), 2 * self.tile
        image = Image.fromarray(picture)
        if image.size == size:
            return picture
        larger = image.width < size[0]
        how = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
        return np.asarray(image.resize(size, how))

    def _paint(self) -> None:
        canvas = self.box
        canvas.fill_style = "white"
        canvas.fill_rect(0, 0, canvas.width, canvas.height)
        self._paint_labels()
        canvas.fill_style = f"rgb({MID_GREY + 112}, {MID_GREY + 112}, {MID_GREY + 112})"
        for row in range(len(self._rows)):
            for column in range(len(self._columns)):
                left, top = self._corner(row, column)
                canvas.fill_rect(2 * left, 2 * top, 2 * self.tile, 2 * self.tile)
        for place in self._tiles:
            self._paint_tile(*place)
        if self._mark is not None:
            left, top = self._corner(*self._mark)
            canvas.stroke_style = MARK
            canvas.line_width = 2 * GAP
            canvas.stroke_rect(2 * left, 2 * top, 2 * self.tile, 2 * self.tile)

    def _paint_labels(self) -> None:
        canvas = self.box
        canvas.fill_style = "white"
        canvas.fill_rect(0, 0, canvas.width, 2 * self._top)
        canvas.fill_rect(0, 0, 2 * self._left, canvas.height)
        for column, label in enumerate(self._columns):
            left, _ = self._corner(0, column)
            top = self._top - GAP - LINE * _lines(label)
            self._text(label, left + self.tile / 2, top, "center", self.tile)
        for row, label in enumerate(self._rows):
            _, top = self._corner(row, 0)
            middle = top + (self.tile - LINE * _lines(label)) / 2
            self._text(label, self._left - 6, middle, "right", self._left - 6)

    def _text(self, text: str, x: float, top: float, align: str, width: float) -> None:
        """Lines of text; the first one strong."""
        canvas = self.box
        canvas.text_align = align
        canvas.text_baseline = "middle"
        for number, line in enumerate(text.split("\n")):
            canvas.fill_style = DIM if number else INK
            canvas.font = "22px sans-serif" if number else "600 23px sans-serif"
            middle = 2 * (top + LINE * (number + 0.5))
            canvas.fill_text(line, 2 * x, middle, max_width=2 * width)

    def _paint_tile(self, row: int, column: int) -> None:
        picture, caption, _ = self._tiles[row, column]
        left, top = self._corner(row, column)
        file = io.BytesIO()
        # A board holds a hundred tiles: as JPEG without colour subsampling they are a tenth.
        Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        _CANVAS_MANAGER.send_draw_command(
            self.box, COMMANDS["putImageData"], [2 * left, 2 * top], [file.getvalue()]
        )
        if self._below:
            self.box.fill_style = "white"
            self.box.fill_rect(2 * left, 2 * (top + self.tile), 2 * self.tile, 2 * LINE)
            self.box.text_align, self.box.text_baseline = "center", "middle"
            self.box.font, self.box.fill_style = "22px sans-serif", INK
            self.box.fill_text(
                caption,
                2 * left + self.tile,
                2 * (top + self.tile) + LINE,
                max_width=2 * self.tile,
            )

    def _up(self, x: float, y: float) -> None:
        across, down = self._steps()
        column, row = int((x / 2 - self._left) // across), int((y / 2 - self._top) // down)
        if not (0 <= row < len(self._rows) and 0 <= column < len(self._columns)):
            return
        left, top = self._corner(row, column)
        in_x, in_y = (x / 2 - left) / self.tile, (y / 2 - top) / self.tile
        if 0 <= in_x <= 1 and 0 <= in_y <= 1:
            self.on_click(row, column, in_x, in_y)


def _lines(text: str) -> int:
    return text.count("\n") + 1 if text else 0
