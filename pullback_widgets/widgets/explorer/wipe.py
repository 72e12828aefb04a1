"""The screen: a canvas with the picture, a wipe to a second one, and an outlined cell.

All drawing of the package goes through :func:`draw`, because ipycanvas has one manager for all
canvases of a kernel, and an exception or a second thread inside ``hold_canvas`` would leave every
canvas silent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...drawing.pixels import MID_GREY, RGB
from ..kit.canvas import LOCK, Canvas, draw, put, sharp_canvas


class WipeCanvas:
    """The large canvas.

    Pictures keep the network's resolution; the browser enlarges them with smoothing off onto a
    canvas of twice the shown size, so that pixels are crisp on any display.

    Attributes:
        box: The canvas widget.
        on_pick: Called with (x, y), both 0 to 1, after a click.
        on_wipe: Called with the share of the width that the second picture has, while dragging.
    """

    def __init__(self, side: int = 512) -> None:
        self.side = side
        self.on_pick: Callable[[float, float], None] = lambda x, y: None
        self.on_wipe: Callable[[float], None] = lambda share: None
        self.box = sharp_canvas((side, side), "pullback-screen", height="auto", border="none")
        self._pictures: list[RGB] = []
        self.sources = [Canvas(width=1, height=1) for _ in range(2)]
        self._labels = ("", "")
        self._wipe = 0.0
        self._cell: tuple[float, float, float, float] | None = None
        self._pressed: tuple[float, float] | None = None
        self._dragged = False
        self.box.on_mouse_down(self._down)
        self.box.on_mouse_move(self._move)
        self.box.on_mouse_up(self._up)
        self.box.on_mouse_out(lambda x, y: self._release())
        for canvas in (*self.sources, self.box):
            canvas.on_client_ready(self.redraw)

    def show(
        self,
        first: RGB,
        second: RGB,
        labels: tuple[str, str],
        cell: tuple[float, float, float, float] | None = None,
        wipe: float = 0.0,
    ) -> None:
        """Show a picture, and the one that dragging wipes to.

        Args:
            first: (H, W, 3) bytes.
            second: (H, W, 3) bytes.
            labels: Their names.
            cell: Left, top, width and height of the outlined cell, as shares of the picture.
            wipe: The share of the width that the second picture has, from the left, 0 to 1.
        """
        with LOCK:
            changed = [
                not (self._pictures and np.array_equal(old, new))
                for old, new in zip(self._pictures or (first, second), (first, second), strict=True)
            ]
            self._pictures, self._labels = [first, second], labels
            self._cell, self._wipe = cell, wipe
            self._send(changed)

    def redraw(self) -> None:
        """Draw everything again, for a page that has just opened."""
        with LOCK:
            if self._pictures:
                self._send((True, True))

    def _send(self, changed: Sequence[bool]) -> None:
        def paint() -> None:
            for source, image, new in zip(self.sources, self._pictures, changed, strict=True):
                if new:
                    height, width = image.shape[:2]
                    if (source.width, source.height) != (width, height):
                        source.width, source.height = width, height
                    put(source, image)
            self._paint()

        draw(paint)

    def _paint(self) -> None:
        canvas, size = self.box, 2 * self.side
        canvas.image_smoothing_enabled = False
        place = left, top, width, height = self._place()
        if (width, height) != (size, size):
            canvas.clear()
        canvas.draw_image(self.sources[0], *place)
        split = round(self._wipe * size)
        if split > 0:
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
        self._grip(split, size)
        if self._cell is not None:
            x, y, columns, rows = self._cell
            cell = (left + x * width, top + y * height, columns * width, rows * height)
            for colour, thickness in (("black", 10), ("#ffd84d", 5)):
                canvas.stroke_style = colour
                canvas.line_width = thickness
                canvas.stroke_rect(*cell)

    def _place(self) -> tuple[float, float, float, float]:
        """Where the picture lies on the canvas: as large as fits, in the middle."""
        size = 2 * self.side
        rows, columns = self._pictures[0].shape[:2] if self._pictures else (1, 1)
        width, height = size * columns / max(rows, columns), size * rows / max(rows, columns)
        return (size - width) / 2, (size - height) / 2, width, height

    def _grip(self, split: int, size: int) -> None:
        """A handle on the dividing line; half of it shows at the edge, inviting to drag."""
        canvas = self.box
        for colour, radius in (("rgba(0, 0, 0, 0.55)", 30), ("white", 26)):
            canvas.fill_style = colour
            canvas.fill_circle(split, size // 2, radius)
        canvas.fill_style = f"rgb({MID_GREY - 60}, {MID_GREY - 60}, {MID_GREY - 60})"
        for offset in (-8, 6):
            canvas.fill_rect(split + offset, size // 2 - 11, 3, 22)

    @staticmethod
    def _tag_width(text: str) -> int:
        return 13 * len(text) + 24

    def _tag(self, text: str, left: int, end: int) -> None:
        """A label of one side, if it has room on that side."""
        canvas, width = self.box, self._tag_width(text)
        if left < 0 or left + width > end:
            return
        canvas.fill_style = "rgba(0, 0, 0, 0.6)"
        canvas.fill_rect(left, 12, width, 40)
        canvas.fill_style = "white"
        canvas.font = "24px sans-serif"
        canvas.text_align = "center"
        canvas.text_baseline = "middle"
        canvas.fill_text(text, left + width // 2, 32)

    # The mouse: a click picks a position, a drag moves the wipe. Canvas events are not coalesced
    # by the browser, so a move only sets the share and sends a few vector commands.

    def _down(self, x: float, y: float) -> None:
        self._pressed, self._dragged = (x, y), False

    def _move(self, x: float, y: float) -> None:
        if self._pressed is None:
            return
        if self._dragged or abs(x - self._pressed[0]) > 8:
            self._dragged = True
            self.on_wipe(min(max(x / (2 * self.side), 0.0), 1.0))

    def _up(self, x: float, y: float) -> None:
        pressed, dragged = self._pressed, self._dragged
        self._release()
        if pressed is not None and not dragged:
            left, top, width, height = self._place()
            across, down = (x - left) / width, (y - top) / height
            if 0 <= across <= 1 and 0 <= down <= 1:
                self.on_pick(across, down)

    def _release(self) -> None:
        self._pressed, self._dragged = None, False
