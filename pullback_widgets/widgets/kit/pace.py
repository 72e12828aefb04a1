"""How fast a page draws: it says which frame it has drawn, and is sent no more than it can take.

Without an answer the commands for a canvas queue up without bound, and the picture follows the hand
later and later. The answer needs no script of ours: the last command of a frame fills a canvas of
one pixel with the frame's number as a colour, and the page sends that pixel back.
"""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Iterator

import traitlets as t
from PIL import Image

from .canvas import LOCK, Canvas

MOST = 4
"""How many frames may be on their way. One is drawn while the next one travels; and an answer comes
some 0.2 s after the picture is seen, as browsers turn a canvas into a file when they have nothing
else to do. With two, a busy machine shows half as many frames."""

PATIENCE = 1.0
"""After so many seconds without an answer nobody is waited for: the page is closed, or hidden."""

SLOW = 0.5
"""If an answer takes so many seconds or more, smaller frames may be worth their loss."""

AGAIN = 20
"""Every so many frames the other kind of file is measured anew."""

LOSSLESS, LOSSY = "BMP", "JPEG"

LEVELS = 4
"""Of each of the three colours: so few that a browser may change them a little, as some do so that
nobody is recognised by them."""

NUMBERS = LEVELS**3
"""After so many frames numbers are used again."""


class _Pixel(Canvas):
    """A canvas of which the page sends back what is drawn on it.

    What came back is sent to nobody: no echo, and to a page that opens later nothing, which it
    would make an object URL of.
    """

    image_data = t.Bytes(default_value=None, allow_none=True, read_only=True).tag(
        sync=True,
        echo_update=False,
        to_json=lambda value, widget: None,
        from_json=lambda value, widget: None if value is None else bytes(value),
    )


class Pace:
    """Counts the frames that are sent and those that are drawn.

    Several pages may show a widget: the fastest of them sets the pace.
    """

    def __init__(self) -> None:
        """Make it, for one widget."""
        self.pixel = _Pixel(width=1, height=1, sync_image_data=True)
        self.pixel.observe(lambda change: self._answered(change["new"]), "image_data")
        # One lock with all drawing: none is ever waited for while the other is held.
        self._changed = threading.Condition(LOCK)
        self._number = 0
        self._on_their_way: dict[int, tuple[str, float]] = {}
        self._answers, self._unheard = False, 0
        self._seconds: dict[str, float] = {}
        self._since_other = 0

    def mark(self, kind: str = LOSSLESS) -> None:
        """Number a frame; called when the last of its commands is sent, in the same ``draw``.

        Args:
            kind: Of the files in it.
        """
        with self._changed:
            if self.pixel.comm is None:  # it is closed
                return
            self._number = number = (self._number + 1) % NUMBERS
            self._on_their_way.pop(number, None)
            self._on_their_way[number] = (kind, time.monotonic())
            while len(self._on_their_way) > NUMBERS // 2:  # nobody answers
                del self._on_their_way[next(iter(self._on_their_way))]
            self.pixel.fill_style = _colour(number)
            self.pixel.fill_rect(0, 0, 1, 1)

    @property
    def free(self) -> bool:
        """Whether one more frame can be sent now."""
        with self._changed:
            return self._is_free()

    def wait(self) -> None:
        """Until one more frame can be sent, or nobody answers; a second at most."""
        with self._changed:
            if not self._changed.wait_for(self._is_free, PATIENCE):
                self._answers = False

    @contextlib.contextmanager
    def unheard(self) -> Iterator[None]:
        """Wait for no answer: the thread that would hear it is busy."""
        with self._changed:
            self._unheard += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._unheard -= 1
                self._on_their_way.clear()

    def kind(self) -> str:
        """The kind of file that reaches the page sooner, by what was measured while it moved.

        A file without loss takes 0.1 ms to make and is four times as large as a JPEG: on the same
        machine nothing is gained by that, over a slow line much.
        """
        with self._changed:
            if self._seconds.get(LOSSLESS, 0.0) < SLOW:
                return LOSSLESS
            if LOSSY not in self._seconds:
                return LOSSY
            best, other = sorted(self._seconds, key=self._seconds.__getitem__)
            self._since_other += 1
            return other if self._since_other % AGAIN == 0 else best

    def close(self) -> None:
        """Wait for nothing any more."""
        with self._changed:
            self._answers = False
            self._changed.notify_all()

    def _is_free(self) -> bool:
        return not self._answers or self._unheard > 0 or len(self._on_their_way) < MOST

    def _answered(self, png: bytes | None) -> None:
        number = None if png is None else _number(png)
        with self._changed:
            if number not in self._on_their_way:  # another page was faster
                return
            kind, sent = self._on_their_way[number]
            taken, known = time.monotonic() - sent, self._seconds.get(kind)
            self._seconds[kind] = taken if known is None else 0.7 * known + 0.3 * taken
            for older in list(self._on_their_way):
                del self._on_their_way[older]
                if older == number:
                    break
            self._answers = True
            self._changed.notify_all()


def _colour(number: int) -> str:
    """A number below :data:`NUMBERS` as a colour."""
    levels = [number // LEVELS**place % LEVELS * 255 // (LEVELS - 1) for place in range(3)]
    return f"rgb({', '.join(map(str, levels))})"


def _number(png: bytes) -> int:
    """The number of a colour, as a picture of one pixel."""
    with Image.open(io.BytesIO(png)) as pixel:
        colour = pixel.convert("RGB").tobytes()[:3]
    return sum(round(one * (LEVELS - 1) / 255) * LEVELS**place for place, one in enumerate(colour))
