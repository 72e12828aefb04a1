"""The board: rows and columns of labelled tiles on one canvas, put there one by one."""

from __future__ import annotations

import html
import math
import textwrap
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import ipywidgets as w
import numpy as np
from PIL import Image

from ...drawing.pixels import RGB
from .canvas import Canvas, Picture, draw
from .layout import row as beside

PAGE = 836
"""Width of a notebook's output on a common screen."""

GAP = 4
LINE = 16
"""Height of a line of text, in CSS pixels."""

LETTER, STRONG_LETTER = 5.5, 6.5
"""Width of a letter, in CSS pixels."""

# The page shows through, white or, in a dark theme, black; the ink has a contrast of 4.5 with both.
INK, EMPTY, MARK = "#757575", "rgba(128, 128, 128, 0.15)", "#e8710a"
JPEG_QUALITY = 92

Place = tuple[int, int]
"""Row and column."""


def tile_beside(columns: int, labels: int = 100, largest: int = 168) -> int:
    """The side of tiles of which so many fit side by side on a page, with labels before them."""
    return min(max((PAGE - max(labels, GAP)) // columns - GAP, 1), largest)


def margin(rows: Sequence[str]) -> int:
    """The width that the labels of rows need."""
    longest = max((len(line) for row in rows for line in row.split("\n")), default=0)
    return 8 + math.ceil(STRONG_LETTER * longest) if longest else GAP


class Tile(NamedTuple):
    """What stands on a tile; see :meth:`TileBoard.put`."""

    content: RGB | str
    caption: str | None = ""
    span: int = 1


class TileBoard:
    """A table of pictures.

    All lengths are CSS pixels; the canvas has twice as many of its own, so that tiles are crisp on
    any display. A page that is too narrow shows it smaller.

    Attributes:
        box: The canvas widget.
        words: All that is written on the board, for screen readers only.
        chooser: Controls that do what a click does.
        on_click: Called with (row, column, x, y) after a click on a tile; x and y are the place in
            the tile, 0 to 1.
        on_choose: Called with (row, column) when a tile was chosen without the mouse; by default
            that is a click into its middle.
    """

    def __init__(self, tile: int = 112) -> None:
        """Make an empty board.

        Args:
            tile: Side of a tile.
        """
        self.tile = tile
        self.on_click: Callable[[int, int, float, float], object] = lambda *_: None
        self.on_choose: Callable[[int, int], object] = lambda row, column: self.on_click(
            row, column, 0.5, 0.5
        )
        self.box = Canvas(width=2, height=2, layout=w.Layout(height="auto"))
        self.box.add_class("pullback-board")
        self.words = w.HTML()
        self.words.add_class("pullback-spoken")
        self._chosen = [
            w.Dropdown(description=name, layout=w.Layout(width="300px"))
            for name in ("Tile in row", "and column")
        ]
        for box in self._chosen:
            box.style.description_width = "initial"
        go = w.Button(
            description="Choose",
            tooltip="The same as a click on the tile",
            layout=w.Layout(width="84px"),
        )
        go.on_click(lambda _: self._choose())
        self.chooser = beside(*self._chosen, go)
        self._lock = threading.RLock()
        self._rows: list[str] = []
        self._columns: list[str] = []
        self._left = self._top = self._below = 0
        self._tiles: dict[Place, Tile] = {}
        self._pictures: dict[Place, Picture] = {}
        self._mark: tuple[int, int, int] | None = None
        self._opened: Place | None = None
        self.box.on_mouse_up(self._up)
        self.box.on_client_ready(self.redraw)

    def clear(
        self,
        rows: Sequence[str],
        columns: Sequence[str],
        *,
        tile: int | None = None,
        left: int | None = None,
        captions: int = 0,
    ) -> None:
        """Start anew with empty tiles.

        Args:
            rows: A label for each row, shown left of it; lines are divided by newlines.
            columns: A label for each column, shown over it; likewise. What is too long is broken
                at spaces.
            tile: Side of a tile; by default as before.
            left: Width for the labels of the rows; by default what they need.
            captions: Lines of text that each tile has under it.
        """
        with self._lock:
            self._rows, self._columns = list(rows), list(columns)
            self.tile = tile or self.tile
            self._left = margin(rows) if left is None else left
            lines = max((len(_lines(column, self.tile)) for column in columns), default=0)
            self._top = LINE * lines + (2 * GAP if lines else GAP)
            self._below = LINE * captions
            self._tiles.clear()
            for row, column in list(self._pictures):
                if row >= len(rows) or column >= len(columns):
                    self._pictures.pop((row, column)).close()
            self._mark = self._opened = None
            step_x, step_y = self._steps()
            width = self._left + len(columns) * step_x
            height = self._top + len(rows) * step_y
            self.box.layout.width = f"{width}px"
            with self.box.hold_sync():  # in one message, or the page jumps twice
                self.box.width, self.box.height = 2 * width, 2 * height
            self._name()
            self.redraw()

    def put(
        self,
        row: int,
        column: int,
        content: RGB | str,
        caption: str | None = "",
        span: int = 1,
    ) -> None:
        """Show something on a tile.

        Args:
            row: From 0, downwards.
            column: From 0, to the right.
            content: A picture, (H, W, 3) bytes; or a text in the place of one, nothing if empty.
            caption: The text under the tile, where the board has captions; None for a picture that
                takes its place, too.
            span: How many columns it covers.
        """
        with self._lock:
            if not isinstance(content, str):
                content = self._fitted(content, self.size(span, caption is None))
            first, end = self._start(row, column), column + span
            last = max(one + self._span(row, one) for one in range(first, end))
            for one in range(first, end):
                self._tiles.pop((row, one), None)
            self._tiles[row, column] = Tile(content, caption, span)
            if not isinstance(content, str):
                if (row, column) not in self._pictures:
                    self._pictures[row, column] = self.box.picture()
                # A board holds a hundred: as JPEG without colour subsampling they are a tenth.
                self._pictures[row, column].load(
                    content, "JPEG", quality=JPEG_QUALITY, subsampling=0
                )
            self._say()

            def paint() -> None:
                for one in self._starts(row):
                    if first <= one < last:
                        self._paint_tile(row, one)
                self._paint_over()

            draw(paint)

    def label(self, rows: Sequence[str], columns: Sequence[str]) -> None:
        """Change the labels; there must be as many as before, of as many lines."""
        with self._lock:
            if (self._rows, self._columns) != (list(rows), list(columns)):
                self._rows, self._columns = list(rows), list(columns)
                self._name()
                draw(self._paint_labels)

    def mark(self, row: int, column: int, rows: int = 1) -> None:
        """Outline a tile, or so many under each other, and no other."""
        with self._lock:
            before, self._mark = self._mark, (row, column, rows)
            if before != self._mark:
                draw(lambda: self._paint_mark(before))

    def opened(self, place: Place | None) -> None:
        """Write on one tile that it is open below; None for no tile."""
        with self._lock:
            before, self._opened = self._opened, place

            def paint() -> None:
                if before is not None:
                    self._paint_tile(*before)
                self._paint_over()

            if before != place:
                draw(paint)

    def redraw(self) -> None:
        """Draw everything again, for a page that has just opened."""
        with self._lock:
            draw(self._paint)

    # The same without looking and without a mouse.

    def _name(self) -> None:
        """The names of rows and columns."""
        rows, columns = len(self._rows), len(self._columns)
        self.box.say(f"Table of pictures, {rows} x {columns}; in words below")
        for box, labels in zip(self._chosen, (self._rows, self._columns), strict=True):
            lines = [label.partition("\n")[0].strip() for label in labels]
            names = [
                (f"{number}. {line}" if line else str(number), number - 1)
                for number, line in enumerate(lines, 1)
            ]
            kept = min(box.value or 0, len(names) - 1)
            box.options = names
            box.value = kept
        self._say()

    def _say(self) -> None:
        """What is written on the board, as a table."""
        heads = "".join(f'<th scope="col">{_inline(label)}</th>' for label in self._columns)
        lines = [f"<tr><td></td>{heads}</tr>"]
        for row, label in enumerate(self._rows):
            cells = [f'<th scope="row">{_inline(label)}</th>']
            for column in self._starts(row):
                tile = self._tiles.get((row, column), Tile("empty"))
                text = tile.content if isinstance(tile.content, str) else tile.caption or "picture"
                cells.append(f'<td colspan="{tile.span}">{_inline(text)}</td>')
            lines.append(f"<tr>{''.join(cells)}</tr>")
        self.words.value = f"<table>{''.join(lines)}</table>"

    def _choose(self) -> None:
        row, column = (box.value for box in self._chosen)
        if row is not None and column is not None:
            self.on_choose(row, self._start(row, column))

    # Where things are.

    def size(self, span: int, tall: bool) -> tuple[int, int]:
        """Width and height of so many tiles, with the place of captions if it is tall."""
        return span * (self.tile + GAP) - GAP, self.tile + tall * self._below

    def _steps(self) -> tuple[int, int]:
        """From one tile to the next: across and down."""
        return self.tile + GAP, self.tile + self._below + GAP

    def _corner(self, row: int, column: int) -> tuple[int, int]:
        """Left and top of a tile."""
        across, down = self._steps()
        return self._left + column * across, self._top + row * down

    def _span(self, row: int, column: int) -> int:
        """How many columns a tile covers."""
        return self._tiles[row, column].span if (row, column) in self._tiles else 1

    def _starts(self, row: int) -> list[int]:
        """The columns of a row that no tile before them covers."""
        starts = [0]
        while (after := starts[-1] + self._span(row, starts[-1])) < len(self._columns):
            starts.append(after)
        return starts

    def _start(self, row: int, column: int) -> int:
        """The column of the tile that covers a place."""
        return max(one for one in self._starts(row) if one <= column)

    @staticmethod
    def _fitted(picture: RGB, shown: tuple[int, int]) -> RGB:
        """The picture in the canvas's own pixels."""
        size = 2 * shown[0], 2 * shown[1]
        image = Image.fromarray(picture)
        if image.size == size:
            return picture
        larger = image.width < size[0]
        how = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
        return np.asarray(image.resize(size, how))

    # Drawing, in the canvas's own pixels.

    def _paint(self) -> None:
        self.box.clear_rect(0, 0, self.box.width, self.box.height)
        self._paint_labels()
        for row in range(len(self._rows)):
            for column in self._starts(row):
                self._paint_tile(row, column)
        self._paint_over()

    def _paint_labels(self) -> None:
        canvas = self.box
        # Up to where an outline begins.
        canvas.clear_rect(0, 0, canvas.width, 2 * self._top - GAP)
        canvas.clear_rect(0, 0, 2 * self._left - GAP, canvas.height)
        for column, label in enumerate(self._columns):
            left, _ = self._corner(0, column)
            lines = _lines(label, self.tile)
            top = self._top - GAP - LINE * len(lines)
            self._text(lines, left + self.tile / 2, top, "center", self.tile)
        for row, label in enumerate(self._rows):
            _, top = self._corner(row, 0)
            lines = _lines(label, self._left - 6)
            middle = top + (self.tile - LINE * len(lines)) / 2
            self._text(lines, self._left - 6, middle, "right", self._left - 6)

    def _text(self, lines: Sequence[Line], x: float, top: float, align: str, width: float) -> None:
        canvas = self.box
        canvas.text_align, canvas.text_baseline, canvas.fill_style = align, "middle", INK
        for number, (line, strong) in enumerate(lines):
            canvas.font = "600 23px sans-serif" if strong else "22px sans-serif"
            middle = 2 * (top + LINE * (number + 0.5))
            canvas.fill_text(line, 2 * x, middle, max_width=2 * width)

    def _paint_tile(self, row: int, column: int) -> None:
        content, caption, span = self._tiles.get((row, column), Tile(""))
        left, top = self._corner(row, column)
        width, height = self.size(span, tall=True)
        self.box.clear_rect(2 * left, 2 * top, 2 * width, 2 * height)
        if (row, column) not in self._tiles:
            self.box.fill_style = EMPTY
            self.box.fill_rect(2 * left, 2 * top, 2 * width, 2 * self.tile)
        elif isinstance(content, str):
            lines = _lines(content, width - 8, strong=False)[: self.tile // LINE]
            above = top + (self.tile - LINE * len(lines)) / 2
            self._text(lines, left + width / 2, above, "center", width)
        else:
            self._pictures[row, column].draw(2 * left, 2 * top)
        if self._below and caption:
            under = [Line(line, False) for line in caption.split("\n")]
            self._text(under, left + width / 2, top + self.tile, "center", width)

    def _frame(self, row: int, column: int, rows: int) -> tuple[int, int, int, int]:
        """Left, top, width and height of an outline."""
        left, top = self._corner(row, column)
        return 2 * left, 2 * top, 2 * self.tile, 2 * (rows * self._steps()[1] - GAP)

    def _paint_mark(self, before: tuple[int, int, int] | None) -> None:
        """Draw what an outline covered, then the new one."""
        if before is not None:
            left, top, width, height = self._frame(*before)
            self.box.clear_rect(left - GAP, top - GAP, width + 2 * GAP, height + 2 * GAP)
            first, column, rows = before
            for row in range(first, first + rows):
                self._paint_tile(row, self._start(row, column))
        self._paint_over()

    def _paint_over(self) -> None:
        """What lies over tiles: the outline, and which of them is open."""
        canvas = self.box
        if self._mark is not None:
            canvas.stroke_style, canvas.line_width = MARK, 2 * GAP
            canvas.stroke_rect(*self._frame(*self._mark))
        if self._opened is not None:
            left, top = self._corner(*self._opened)
            above, width = top + self.tile - LINE, self.tile
            canvas.fill_style = "rgba(0, 0, 0, 0.7)"
            canvas.fill_rect(2 * left, 2 * above, 2 * width, 2 * LINE)
            canvas.text_align, canvas.text_baseline = "center", "middle"
            canvas.fill_style, canvas.font = "white", "22px sans-serif"
            canvas.fill_text(
                "opened below", 2 * left + width, 2 * above + LINE, max_width=2 * width - 8
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


def _inline(text: str) -> str:
    return html.escape(text.replace("\n", " ").strip())


class Line(NamedTuple):
    """A line of text."""

    text: str
    strong: bool


def _lines(text: str, width: float, strong: bool = True) -> list[Line]:
    """A text's lines, those that are too long broken at spaces.

    Args:
        text: Lines are divided by newlines.
        width: In CSS pixels.
        strong: Whether the first one is.
    """
    return [
        Line(part, strong and not number)
        for number, line in enumerate(text.split("\n") if text else [])
        for part in _broken(line, width, STRONG_LETTER if strong and not number else LETTER)
    ]


def _broken(line: str, width: float, letter: float) -> list[str]:
    return textwrap.wrap(line, max(int(width / letter), 1), break_long_words=False) or [line]
