"""A canvas that has a name and gives the keyboard back, and all drawing on canvases.

ipycanvas has one command queue for a kernel, in names that it calls private. They are used here
and nowhere else; ``tests/widgets/kit/test_canvas.py`` says for which versions that holds.
"""

from __future__ import annotations

import base64
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
    from ipycanvas.canvas import _CANVAS_MANAGER
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
        self._pictures: list[Picture] = []
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

    def picture(self) -> Picture:
        """One more picture that can be put on this canvas; it is closed with it."""
        self._pictures.append(Picture(self))
        return self._pictures[-1]

    def show(self, pixels: RGB, kind: str = "BMP") -> None:
        """Take a picture's size and show it, for other canvases to draw; see ``Picture.load``."""
        height, width = pixels.shape[:2]
        with self.hold_sync():  # in one message
            self.set_trait("width", width)
            self.set_trait("height", height)
        picture = self._pictures[0] if self._pictures else self.picture()
        picture.load(pixels, kind)
        picture.draw()

    def show_again(self) -> None:
        """Show the same, in a page that has just opened."""
        if self._pictures:
            self._pictures[0].draw()

    def close(self) -> None:
        """Close it with its pictures; a thread that still draws makes no new one."""
        with LOCK:
            while self._pictures:
                self._pictures[0].close()
            super().close()


class Picture:
    """A picture on a canvas, for which the page has one place that each new one takes.

    ``put_image_data`` makes an address for every picture, which the page never gives back: 0.156 MB
    are lost with every frame of 224 x 224 pixels. Nothing is lost by an image widget whose value is
    an address with the picture in it.
    """

    def __init__(self, canvas: Canvas) -> None:
        """Make it, without a picture; see :meth:`Canvas.picture`."""
        self._canvas = canvas
        self._image: w.Image | None = None

    def load(self, pixels: RGB, kind: str = "BMP", **options: Any) -> None:
        """Send a picture to the page, which shows it when it is drawn next.

        Args:
            pixels: (H, W, 3) bytes.
            kind: Of the file that is sent. A BMP takes 0.1 ms to make; a PNG would take as long as
                half a pullback (16 ms measured for 224 x 224).
            **options: Of Pillow for that kind; a JPEG's colours are as sharp as its brightness.
        """
        file = io.BytesIO()
        options = {"quality": 90, "subsampling": 0, **options} if kind == "JPEG" else options
        Image.fromarray(pixels).save(file, kind, **options)
        value = f"data:image/{kind.lower()};base64,".encode() + base64.b64encode(file.getvalue())
        with LOCK:
            if self._canvas.comm is None:  # it is closed
                return
            if self._image is None:
                # Its layout is its own: a page that is just loading may not know the canvas's yet.
                self._image = w.Image(value=value, format="url")
            else:
                self._image.value = value

    def draw(self, left: float = 0, top: float = 0, *size: float) -> None:
        """Put it on the canvas, its corner there; nothing happens where there is none yet.

        Args:
            left: In the canvas's pixels, as all of these.
            top: Likewise.
            *size: Width and height; by default its own.
        """
        if self._image is not None:
            self._canvas.draw_image(self._image, left, top, *size)

    def close(self) -> None:
        """Forget it, here and in the page."""
        if self in self._canvas._pictures:
            self._canvas._pictures.remove(self)
        if self._image is not None:
            self._image.layout.close()
            self._image.close()


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
    """Run drawing commands and send them as one message; those of a ``draw`` inside go with it."""
    with LOCK:
        if _CANVAS_MANAGER._caching:
            paint()
            return
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
