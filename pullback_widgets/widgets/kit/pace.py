"""How fast a page takes frames: it says which one it has, and is sent no more than it can take.

Without an answer the commands for a canvas queue up without bound, and the picture follows the hand
later and later. The answer needs no script of ours: a frame's number travels with its caption,
after the picture, and a link between two widgets, which the page follows by itself, sends it back.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import ipywidgets as w
import traitlets as t

MOST = 2
"""How many frames may be on their way: one is drawn while the next one travels."""

PATIENCE = 1.0
"""After so many seconds without an answer nobody is waited for: the page is closed, or asleep."""

SLOW = 0.3
"""If an answer takes so many seconds or more, smaller frames may be worth their loss."""

AGAIN = 20
"""Every so many frames the other kind of file is measured anew."""

LOSSLESS, LOSSY = "BMP", "JPEG"

FORGOTTEN = 64
"""So many frames without an answer are remembered: a page that wakes up may still give one."""


class _Answer(w.Label):
    """What a page sends back. It is sent to nobody else: there is no echo."""

    value = t.Unicode("").tag(sync=True, echo_update=False)


class Pace:
    """Counts the frames that are sent and those that arrived.

    Several pages may show a widget: the fastest of them sets the pace.
    """

    def __init__(self, caption: w.HTML) -> None:
        """Make it, for one widget.

        Args:
            caption: What travels after each picture, and is made before any is drawn. Its
                placeholder, which is never seen, is the number.
        """
        self.answer = _Answer()
        self.answer.observe(lambda change: self._answered(change["new"]), "value")
        self._link = w.jsdlink((caption, "placeholder"), (self.answer, "value"))
        self.unseen: list[w.Widget] = [self.answer, self._link]
        self._caption = caption
        self._changed = threading.Condition()
        self._number = 0
        self._on_their_way: dict[int, tuple[str, float]] = {}
        self._answers, self._unheard = False, 0
        self._seconds: dict[str, float] = {}
        self._since_other = 0

    def mark(self, kind: str = LOSSLESS) -> None:
        """Number a frame; called before its caption is sent and after its picture was.

        Args:
            kind: Of the files in it.
        """
        with self._changed:
            self._number = number = self._number + 1
            self._on_their_way[number] = (kind, time.monotonic())
            while len(self._on_their_way) > FORGOTTEN:
                del self._on_their_way[next(iter(self._on_their_way))]
        self._caption.placeholder = str(number)

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

    def _answered(self, text: str) -> None:
        number = int(text) if text.isdecimal() else 0
        with self._changed:
            if number not in self._on_their_way:  # another page was faster
                return
            kind, sent = self._on_their_way[number]
            taken, known = time.monotonic() - sent, self._seconds.get(kind)
            self._seconds[kind] = taken if known is None else 0.7 * known + 0.3 * taken
            for older in [one for one in self._on_their_way if one <= number]:
                del self._on_their_way[older]
            self._answers = True
            self._changed.notify_all()
