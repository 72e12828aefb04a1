"""The gate over the histogram of a layer's pre-activations, on a small canvas."""

from __future__ import annotations

import html

import numpy as np
import torch

from ...drawing import words
from ...engine.gate import gate_values
from ...engine.smooth import SMOOTH
from ...engine.softening import Softening
from ...figures.layer_view import LayerView
from ..kit.canvas import draw, sharp_canvas

WIDTH = 312
"""Width of the column beside the screen, in CSS pixels."""

# The page shows through, white or, in a dark theme, black: texts have 4.5 times its brightness or
# its darkness, 0.18 on a scale from 0 to 1 of relative luminance.
TEXT, _BAR, CURVE = "#757575", "rgba(120, 140, 170, 0.55)", "#bf5600"


class GateCurve:
    """The gate over the histogram of pre-activations: what the temperature means.

    Bars count the layer's pre-activations; the curve is the share of the gradient that passes. Of a
    smooth activation a thin line shows the network's own gate.
    """

    HEIGHT = 118

    def __init__(self) -> None:
        self.box = sharp_canvas(
            (WIDTH, self.HEIGHT), "pullback-curve", height="auto", margin="8px 0 0 0"
        )
        self._shown: tuple[LayerView, Softening] | None = None
        self.box.on_client_ready(self.redraw)

    def show(self, view: LayerView, softening: Softening) -> None:
        """Draw a layer's histogram and the softening's gate."""
        if self._shown is None or self._shown[0] is not view or self._shown[1] != softening:
            self._shown = (view, softening)
            self.redraw()

    def redraw(self) -> None:
        """Draw again, for a page that has just opened."""
        if self._shown is not None:
            view, softening = self._shown
            self.box.say(
                f"Gate over the histogram of the pre-activations of {html.escape(view.gated)}: "
                "the share of the gradient that passes"
            )
            draw(lambda: self._paint(view, softening))

    def _paint(self, view: LayerView, softening: Softening) -> None:
        canvas, width, height = self.box, 2 * WIDTH, 2 * self.HEIGHT
        base, top = height - 58, 34
        relative = softening.units == "relative"
        counts, low, high = view.relative if relative else view.absolute

        def place(z: float) -> float:
            return (z - low) / (high - low) * width

        canvas.clear()
        bars = np.sqrt(counts / max(int(counts.max()), 1)) * (base - top)
        lefts = np.arange(len(counts)) * width / len(counts)
        canvas.fill_style = _BAR
        canvas.fill_rects(lefts, base - bars, np.full(len(counts), width / len(counts) - 1), bars)
        canvas.stroke_style = TEXT
        canvas.line_width = 1
        canvas.stroke_line(0, base, width, base)
        canvas.stroke_line(place(0.0), base, place(0.0), top)
        z = np.linspace(low, high, 241)

        lines = [(CURVE, 5, softening)]
        if view.form in SMOOTH:  # the network's own gate, which the softening starts from
            lines.insert(0, (TEXT, 2, Softening.held().with_units(softening.units)))
        shares = [
            gate_values(one, torch.from_numpy(z), view.form, view.scale).numpy()
            for _, _, one in lines
        ]
        # The derivative of a smooth activation leaves the range from 0 to 1.
        least, most = min(0.0, *map(np.min, shares)), max(1.0, *map(np.max, shares))
        for (style, thickness, _), share in zip(lines, shares, strict=True):
            canvas.stroke_style, canvas.line_width = style, thickness
            heights = (share - least) / (most - least) * (base - top)
            places = (z - low) / (high - low) * width
            canvas.stroke_lines(np.stack([places, base - heights], axis=-1))
        canvas.font = "23px sans-serif"
        canvas.text_baseline = "middle"
        canvas.fill_style = TEXT
        for align, x, text in (
            ("left", 2, f"{low:.2g}"),
            ("center", min(max(place(0.0), 60), width - 60), "0"),
            ("right", width - 2, f"{high:.2g}"),
        ):
            canvas.text_align = align
            canvas.fill_text(text, x, base + 16)
        canvas.text_align = "left"
        unit = "in units of each channel's scale" if relative else "as they are"
        canvas.fill_text(f"pre-activations of {view.gated}, {unit}", 2, base + 44, width)
        if relative and view.constant:
            canvas.text_align = "right"
            flat = words.counted(view.constant, "flat channel")
            canvas.fill_text(f"without {flat}", width - 2, 14)
            canvas.text_align = "left"
        canvas.fill_style = CURVE
        canvas.fill_text("share of the gradient that passes", 2, 14)
