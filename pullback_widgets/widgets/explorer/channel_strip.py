"""A layer's strongest channels, on a small canvas."""

from __future__ import annotations

from collections.abc import Callable

from ...drawing import pixels
from ...figures.layer_view import LayerView
from ..kit.canvas import draw, sharp_canvas
from .gate_curve import CURVE, TEXT, WIDTH


class ChannelStrip:
    """The strongest channels of a layer as activation maps; a click chooses one."""

    COLUMNS, ROWS, GAP, LABEL = 6, 2, 5, 16

    def __init__(self, on_pick: Callable[[int], None]) -> None:
        """Make the strip.

        Args:
            on_pick: Called with the channel that was clicked.
        """
        self.side = (WIDTH - (self.COLUMNS - 1) * self.GAP) // self.COLUMNS
        height = self.ROWS * (self.side + self.LABEL)
        self.box = sharp_canvas((WIDTH, height), "pullback-strip")
        self._maps = [self.box.picture() for _ in range(self.COLUMNS * self.ROWS)]
        self._loaded: LayerView | None = None
        self._on_pick = on_pick
        self._shown: tuple[LayerView, int | None] | None = None
        self.box.on_client_ready(self.redraw)
        self.box.on_mouse_down(self._down)

    def show(self, view: LayerView, channel: int | None) -> None:
        """Draw a layer's strongest channels, the chosen one framed."""
        if self._shown is None or self._shown[0] is not view or self._shown[1] != channel:
            self._shown = (view, channel)
            self.redraw()

    def redraw(self) -> None:
        """Draw again, for a page that has just opened."""
        if self._shown is not None:
            view, channel = self._shown
            channels = ", ".join(str(number) for number, _ in view.strongest)
            self.box.say(f"Maps of the channels that answer most: {channels}")
            draw(lambda: self._paint(view, channel))

    def _paint(self, view: LayerView, chosen: int | None) -> None:
        canvas = self.box
        canvas.clear()
        canvas.image_smoothing_enabled = False
        canvas.font = "22px sans-serif"
        canvas.text_align = "center"
        canvas.text_baseline = "middle"
        for number, (channel, values) in enumerate(view.strongest):
            left, top = self._corner(number)
            if view is not self._loaded:
                self._maps[number].load(pixels.heat(values))
            self._maps[number].draw(2 * left, 2 * top, 2 * self.side, 2 * self.side)
            if channel == chosen:
                canvas.stroke_style = CURVE
                canvas.line_width = 6
                canvas.stroke_rect(2 * left + 3, 2 * top + 3, 2 * self.side - 6)
            canvas.fill_style = CURVE if channel == chosen else TEXT
            canvas.fill_text(str(channel), 2 * left + self.side, 2 * (top + self.side) + 16)

        self._loaded = view

    def _corner(self, number: int) -> tuple[int, int]:
        row, column = divmod(number, self.COLUMNS)
        return column * (self.side + self.GAP), row * (self.side + self.LABEL)

    def _down(self, x: float, y: float) -> None:
        if self._shown is None:
            return
        for number, (channel, _) in enumerate(self._shown[0].strongest):
            left, top = self._corner(number)
            if 0 <= x / 2 - left < self.side and 0 <= y / 2 - top < self.side + self.LABEL:
                self._on_pick(channel)
                return
