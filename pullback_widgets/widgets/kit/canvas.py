"""A canvas that has a name, and gives the keyboard back."""

from __future__ import annotations

import html
import re
from typing import Any

import ipycanvas
import ipywidgets as w
import traitlets as t


class Canvas(ipycanvas.Canvas):
    """What all pictures are drawn on.

    Its tooltip is what a screen reader says of it. ipycanvas can be reached with Tab and takes
    every key, Tab included; here the first key makes it let go, and the next one moves on. What the
    mouse does on a canvas must therefore have a control beside it.
    """

    description = t.Unicode("").tag(sync=True)
    """Always empty: where there is none, ipywidgets' page fails to show the tooltip."""

    def __init__(self, **options: Any) -> None:
        """Make a canvas; see ``ipycanvas.Canvas`` for the options."""
        super().__init__(**options)
        self.on_key_down(lambda *key: self.blur())

    def say(self, caption: str) -> None:
        """Give the canvas a name: the text of a caption in HTML."""
        self.tooltip = html.unescape(re.sub(r"<[^>]*>", "", caption))


def sharp_canvas(size: tuple[int, int], name: str, **layout: Any) -> Canvas:
    """A canvas of twice the shown size, sharp on displays with two pixels per CSS pixel.

    Args:
        size: Width and height in CSS pixels.
        name: A CSS class.
        **layout: More of ``ipywidgets.Layout``.
    """
    width, height = size
    shown = {"width": f"{width}px", "height": f"{height}px", "flex": "0 0 auto"}
    canvas = Canvas(width=2 * width, height=2 * height, layout=w.Layout(**{**shown, **layout}))
    canvas.add_class(name)
    return canvas
