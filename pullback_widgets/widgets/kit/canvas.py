"""A canvas that has a name and gives the keyboard back, and all drawing on canvases.

ipycanvas has one command queue for a kernel, in names that it calls private. They are used here
and nowhere else; ``tests/widgets/kit/test_canvas.py`` says for which versions that holds.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import ipycanvas
import ipywidgets as w
import traitlets as t
from PIL import Image

from ...drawing.pixels import RGB
from .layout import plain

try:
    from ipycanvas.canvas import _CANVAS_MANAGER, COMMANDS
except ImportError as error:
    raise ImportError(
        f"pullback_widgets cannot draw with ipycanvas {ipycanvas.__version__}; install a version "
        'that it is tested with: pip install "ipycanvas>=0.14,<0.15"'
    ) from error

LOCK = threading.RLock()
"""Held while commands are sent: two threads would mix theirs."""


class Canvas(ipycanvas.Canvas):
    """What all pictures are drawn on.

    Its tooltip is what a screen reader says of it. The mouse passes through one that does not
    listen to it. No key does anything on a canvas, so what the mouse does there must have a control
    beside it. ipycanvas takes every key, Tab included: the page's script keeps them from it, and
    where that does not run the first key makes it let go, and the next one moves on.
    """

    description = t.Unicode("").tag(sync=True)
    """Always empty: where there is none, ipywidgets' page fails to show the tooltip."""

    def __init__(self, **options: Any) -> None:
        """Make a canvas; see ``ipycanvas.Canvas`` for the options."""
        super().__init__(**options)
        self.on_key_down(lambda *key: self.blur())

    # The style sheet and the page's script know these classes.

    def on_mouse_down(self, callback: Callable[..., object], remove: bool = False) -> None:
        self.add_class("pullback-listens")
        super().on_mouse_down(callback, remove)

    def on_mouse_up(self, callback: Callable[..., object], remove: bool = False) -> None:
        self.add_class("pullback-listens")
        super().on_mouse_up(callback, remove)

    def on_mouse_move(self, callback: Callable[..., object], remove: bool = False) -> None:
        self.add_class("pullback-listens").add_class("pullback-follows")
        super().on_mouse_move(callback, remove)

    def say(self, caption: str) -> None:
        """Give the canvas a name: the text of a caption in HTML."""
        self.tooltip = plain(caption)


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


def draw(paint: Callable[[], None]) -> None:
    """Run drawing commands and send them as one message."""
    with LOCK:
        # A page that was reloaded does not know which canvas was drawn on last: it is named anew.
        _CANVAS_MANAGER._current_canvas = None
        try:
            with ipycanvas.hold_canvas():
                paint()
        except BaseException:
            # hold_canvas has no finally: what it buffered is dropped, so that the next one works.
            _CANVAS_MANAGER._caching = False
            _CANVAS_MANAGER._commands_cache = []
            _CANVAS_MANAGER._buffers_cache = []
            raise


def put(canvas: ipycanvas.Canvas, picture: RGB) -> None:
    """Put a picture on a canvas, without loss.

    ``put_image_data`` would send RGB as JPEG, and RGBA as PNG, whose compression takes as long as
    half a pullback (16 ms measured for 224 x 224). A BMP takes 0.1 ms.
    """
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "BMP")
    put_file(canvas, file.getvalue())


def put_file(canvas: ipycanvas.Canvas, content: bytes, left: int = 0, top: int = 0) -> None:
    """Put a picture on a canvas, of any file type that browsers read."""
    _CANVAS_MANAGER.send_draw_command(canvas, COMMANDS["putImageData"], [left, top], [content])
