"""The screen: the photograph and beside it the picture, with all that links the two.

A wipe, an outlined cell, and the place under the mouse are on both.

All drawing of the package goes through :func:`draw`, because ipycanvas has one manager for all
canvases of a kernel, and an exception or a second thread inside ``hold_canvas`` would leave every
canvas silent.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

import ipywidgets as w
import numpy as np

from ...drawing.pixels import MID_GREY, RGB
from ...figures.snapshot import LARGEST_ZOOM, MIDDLE
from ..kit.canvas import LOCK, Canvas, draw, sharp_canvas
from ..kit.pace import LOSSLESS

Place = tuple[float, float]
"""Across and down a picture, 0 to 1."""

Look = tuple[float, float, float]
"""How many times larger than fits a picture is, and what of it is in the middle: across, down."""

WHOLE: Look = (1.0, *MIDDLE)

Cell = tuple[float, float, float, float]
"""Left, top, width and height of a part of a picture, as shares of it."""


EDGE = 0.02
"""Nearer than this to an edge a wipe takes all or nothing: no sliver stays over later pictures."""

GRIP = 60
"""How near to the wipe a drag moves it in a picture that is too large, in the canvas's pixels."""


class Screen:
    """Two canvases of one size, which do together what is done on one.

    Attributes:
        box: Both, side by side, each under its name.
        picture: The right one, with the wipe.
        beside: The left one.
        on_hover: Called with whether the mouse is on the picture, not beside it, and the place
            there; None for the place when it leaves.
        on_pan: Called with what shall be in the middle, while a large picture is dragged.
        on_zoom: Called with how many times larger than now it shall be; 0 for the whole picture.
    """

    def __init__(self) -> None:
        self.picture, self.beside = WipeCanvas(), WipeCanvas(name="pullback-beside", grip=False)
        self.on_hover: Callable[[bool, Place | None], None] = lambda picture, place: None
        self.on_pan: Callable[[Place], None] = lambda centre: None
        self.on_zoom: Callable[[float], None] = lambda times: None
        both = (self.beside, self.picture)
        self._names = [w.HTML() for _ in both]
        self._fit = self._button("fit", "Show the whole picture again", 0.0)
        self._farther = self._button("\N{MINUS SIGN}", "Zoom out", 0.5)
        self._closer = self._button("+", "Zoom in", 2.0)
        panes = []
        for name, canvas in zip(self._names, both, strict=True):
            # On a phone there is no room for three beside one name.
            zoom = [self._farther, self._closer] if canvas is self.picture else [self._fit]
            head = w.HBox([name, *zoom])
            head.add_class("pullback-head")
            pane = w.VBox([head, canvas.box], layout=w.Layout(overflow="visible"))
            pane.add_class("pullback-pane")
            panes.append(pane)
        self.box = w.HBox(panes, layout=w.Layout(overflow="visible"))
        self.box.add_class("pullback-panes")
        self.sources = [*self.beside.sources, *self.picture.sources]
        self.picture.on_hover = lambda place: self._hovered(True, place)
        self.beside.on_hover = lambda place: self._hovered(False, place)
        for canvas in both:
            canvas.on_pan = lambda centre: self.on_pan(centre)

    def _button(self, text: str, words: str, times: float) -> w.Button:
        button = w.Button(description=text, tooltip=words)
        button.on_click(lambda _: self.on_zoom(times))
        return button

    def listen(
        self, picked: Callable[[float, float], None], wiped: Callable[[float], None]
    ) -> None:
        """Say what a click and a drag do, on either canvas; see ``WipeCanvas``."""
        for canvas in (self.picture, self.beside):
            canvas.on_pick, canvas.on_wipe = picked, wiped

    def show(
        self,
        pictures: Sequence[RGB],
        names: tuple[str, str, str],
        cells: tuple[Cell | None, Cell | None] = (None, None),
        wipe: float = 0.0,
        look: Look = WHOLE,
        kind: str = LOSSLESS,
    ) -> None:
        """Show what stands beside, the picture, and what dragging wipes to.

        Args:
            pictures: These three, (H, W, 3) bytes.
            names: Theirs.
            cells: What is outlined beside and on the picture.
            wipe: See ``WipeCanvas.show``.
            look: Likewise.
            kind: Likewise.
        """
        self._fit.disabled = self._farther.disabled = look[0] <= 1
        self._closer.disabled = look[0] >= LARGEST_ZOOM
        beside, picture, second = pictures
        for label, name in zip(self._names, names, strict=False):
            label.value = f'<div class="pullback-name">{html.escape(name)}</div>'

        def both() -> None:
            self.beside.show(beside, None, (names[0], ""), cells[0], wipe, look, kind)
            self.picture.show(picture, second, names[1:], cells[1], wipe, look, kind)

        draw(both)

    def _hovered(self, picture: bool, place: Place | None) -> None:
        (self.beside if picture else self.picture).point(place)
        self.on_hover(picture, place)


class WipeCanvas:
    """A large canvas: a picture, a wipe to a second one, an outlined cell and a marked place.

    Pictures keep the network's resolution; the browser enlarges them with smoothing off onto a
    canvas of twice the shown size, so that pixels are crisp on any display.

    Attributes:
        box: The canvas widget.
        on_pick: Called with (x, y), both 0 to 1, after a click.
        on_wipe: Called with the share of the width that the second picture has, while dragging.
        on_pan: Called with what shall be in the middle, while a picture larger than the canvas is
            dragged elsewhere than at the wipe.
        on_hover: Called with the place under the mouse while no button is down, and with None when
            it has left the picture.
    """

    def __init__(self, side: int = 512, name: str = "pullback-screen", grip: bool = True) -> None:
        """Make it.

        Args:
            side: In CSS pixels, where it is sharpest.
            name: A CSS class.
            grip: Whether the wipe has its handle here; else its line alone is drawn.
        """
        self.side, self._has_grip = side, grip
        self.on_hover: Callable[[Place | None], None] = lambda place: None
        self.on_pick: Callable[[float, float], None] = lambda x, y: None
        self.on_wipe: Callable[[float], None] = lambda share: None
        self.on_pan: Callable[[Place], None] = lambda centre: None
        self.box = sharp_canvas((side, side), name, width="100%", height="auto", border="none")
        self._pictures: list[RGB | None] = [None, None]
        self._sent: list[tuple[RGB | None, str]] = [(None, LOSSLESS)] * 2
        self._kind = LOSSLESS
        # Without a handle nothing is wiped to.
        self.sources = [Canvas(width=1, height=1) for _ in range(2 if grip else 1)]
        self._labels = ("", "")
        self._wipe = 0.0
        self._cell: Cell | None = None
        self._point: Place | None = None
        self._look = self._pressed_look = WHOLE
        self._pressed: tuple[float, float] | None = None
        self._dragged = self._pans = False
        self.box.on_mouse_down(self._down)
        self.box.on_mouse_move(self._move)
        self.box.on_mouse_up(self._up)
        self.box.on_mouse_out(lambda x, y: self._left())
        for canvas in (*self.sources, self.box):
            canvas.on_client_ready(self.redraw)

    def show(
        self,
        first: RGB,
        second: RGB | None,
        labels: tuple[str, str],
        cell: Cell | None = None,
        wipe: float = 0.0,
        look: Look = WHOLE,
        kind: str = LOSSLESS,
    ) -> None:
        """Show a picture, and the one that dragging wipes to.

        Args:
            first: (H, W, 3) bytes.
            second: (H, W, 3) bytes, which are sent when they are wiped to; None for none.
            labels: Their names.
            cell: What is outlined.
            wipe: The share of the width that the second picture has, from the left, 0 to 1.
            look: How large the pictures are; the wipe stays where it is on the canvas.
            kind: Of the files that are sent; one that was sent with loss is sent again without.
        """
        with LOCK:
            seen = (labels, cell, wipe, look)
            before = (self._labels, self._cell, self._wipe, self._look)
            self._kind = kind
            self._pictures, self._labels = [first, second], labels
            self._cell, self._wipe, self._look = cell, wipe, look
            if seen != before or self._to_send():
                draw(self._send)

    def point(self, place: Place | None) -> None:
        """Mark a place, the one under the mouse on the other canvas; None for none."""
        with LOCK:
            if self._point != place:
                self._point = place
                if self._pictures[0] is not None:
                    draw(self._paint)

    def redraw(self) -> None:
        """Draw everything again, for a page that has just opened."""
        with LOCK:
            if self._pictures[0] is not None:
                draw(self._again)

    def _again(self) -> None:
        for source in self.sources:
            source.show_again()
        self._paint()

    def _to_send(self) -> list[int]:
        """The pictures that the page does not have yet, or not without loss."""
        wanted = [0, 1] if self._wipe > 0 and self._has_grip else [0]
        found = []
        for number in wanted:
            image, (sent, kind) = self._pictures[number], self._sent[number]
            blurred = kind != LOSSLESS == self._kind
            if image is not None and (blurred or not _equal(sent, image)):
                found.append(number)
        return found

    def _send(self) -> None:
        for number in self._to_send():
            image = self._pictures[number]
            if image is not None:
                self.sources[number].show(image, self._kind)
                self._sent[number] = image, self._kind
        self._paint()

    def _paint(self) -> None:
        canvas, size = self.box, 2 * self.side
        canvas.image_smoothing_enabled = False
        place = left, top, width, height = self._place()
        if min(width, height) < size:
            canvas.clear()
        canvas.draw_image(self.sources[0], *place)
        split = round(self._wipe * size)
        if split > 0 and not self._has_grip:
            canvas.fill_style = "rgba(255, 255, 255, 0.8)"
            canvas.fill_rect(split - 2, 0, 4, size)
        elif split > 0:
            canvas.save()
            canvas.begin_path()
            canvas.rect(0, 0, split, size)
            canvas.clip()
            canvas.draw_image(self.sources[1], *place)
            canvas.restore()
            canvas.fill_style = "white"
            canvas.fill_rect(split - 2, 0, 4, size)
            self._tag(self._labels[1], split - 12 - self._tag_width(self._labels[1]), split)
            self._tag(self._labels[0], split + 12, size)
        if self._has_grip:
            self._grip(split, size)
        if self._cell is not None:
            x, y, columns, rows = self._cell
            cell = (left + x * width, top + y * height, columns * width, rows * height)
            for colour, thickness in (("black", 10), ("#ffd84d", 5)):
                canvas.stroke_style = colour
                canvas.line_width = thickness
                canvas.stroke_rect(*cell)
        if self._point is not None:
            x, y = left + self._point[0] * width, top + self._point[1] * height
            for colour, thickness in (("black", 8), ("white", 4)):
                canvas.stroke_style = colour
                canvas.line_width = thickness
                canvas.stroke_circle(x, y, 20)

    def _place(self) -> tuple[float, float, float, float]:
        """Where the picture lies on the canvas: left, top, width and height.

        As large as fits, in the middle; or larger, and then over all of the canvas.
        """
        size, (times, *centre) = 2 * self.side, self._look
        rows, columns = (1, 1) if self._pictures[0] is None else self._pictures[0].shape[:2]
        width, height = (times * size * one / max(rows, columns) for one in (columns, rows))
        left, top = (
            (size - length) / 2
            if length <= size
            else min(max(size / 2 - middle * length, size - length), 0.0)
            for length, middle in zip((width, height), centre, strict=True)
        )
        return left, top, width, height

    def _grip(self, split: int, size: int) -> None:
        """A handle on the dividing line; half of it shows at the edge, inviting to drag."""
        canvas = self.box
        for colour, radius in (("rgba(0, 0, 0, 0.55)", 42), ("white", 36)):
            canvas.fill_style = colour
            canvas.fill_circle(split, size // 2, radius)
        canvas.fill_style = f"rgb({MID_GREY - 60}, {MID_GREY - 60}, {MID_GREY - 60})"
        for offset in (-10, 6):
            canvas.fill_rect(split + offset, size // 2 - 15, 4, 30)

    @staticmethod
    def _tag_width(text: str) -> int:
        return 20 * len(text) + 32

    def _tag(self, text: str, left: int, end: int) -> None:
        """A label of one side, if it has room on that side."""
        canvas, width = self.box, self._tag_width(text)
        if left < 0 or left + width > end:
            return
        canvas.fill_style = "rgba(0, 0, 0, 0.6)"
        canvas.fill_rect(left, 12, width, 60)
        canvas.fill_style = "white"
        canvas.font = "38px sans-serif"  # the canvas may be shown at a third of its size
        canvas.text_align = "center"
        canvas.text_baseline = "middle"
        canvas.fill_text(text, left + width // 2, 43)

    # The mouse: a click picks a position, a drag moves the wipe, or a picture that is too large.
    # Canvas events are not coalesced by the browser, so a move only sends a few vector commands.

    def _down(self, x: float, y: float) -> None:
        self._pressed, self._dragged, self._pressed_look = (x, y), False, self._look
        self._pans = self._look[0] > 1 and abs(x - self._wipe * 2 * self.side) > GRIP
        self.on_hover(None)

    def _move(self, x: float, y: float) -> None:
        if self._pressed is None:
            self.on_hover(self._where(x, y))
            return
        across, down = x - self._pressed[0], y - self._pressed[1]
        if self._dragged or abs(across) > 8 or (self._pans and abs(down) > 8):
            self._dragged = True
            if self._pans:
                self._pan(across, down)
            else:
                share = x / (2 * self.side)
                self.on_wipe(0.0 if share < EDGE else 1.0 if share > 1 - EDGE else share)

    def _pan(self, across: float, down: float) -> None:
        """Ask for what is in the middle after a drag; the picture goes on filling the canvas."""
        size, (_, *centre) = 2 * self.side, self._pressed_look
        _, _, *lengths = self._place()
        first, second = (
            0.5
            if length <= size
            else min(max(middle - moved / length, size / 2 / length), 1 - size / 2 / length)
            for length, middle, moved in zip(lengths, centre, (across, down), strict=True)
        )
        self.on_pan((first, second))

    def _up(self, x: float, y: float) -> None:
        pressed, dragged = self._pressed, self._dragged
        self._release()
        place = self._where(x, y)
        if pressed is not None and not dragged and place is not None:
            self.on_pick(*place)

    def _where(self, x: float, y: float) -> Place | None:
        """A point of the canvas as a place on the picture; None beside it."""
        left, top, width, height = self._place()
        across, down = (x - left) / width, (y - top) / height
        return (across, down) if 0 <= across <= 1 and 0 <= down <= 1 else None

    def _left(self) -> None:
        self._release()
        self.on_hover(None)

    def _release(self) -> None:
        self._pressed, self._dragged = None, False


def _equal(one: RGB | None, other: RGB) -> bool:
    return one is not None and (one is other or np.array_equal(one, other))
