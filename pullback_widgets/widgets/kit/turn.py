"""Whose turn it is: the first figures of a notebook are computed one after another.

A notebook that is run from top to bottom asks for all of its figures at once. Computed at once they
need the memory of all together, and none is there before the last. What a user asks for later never
waits.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Iterator

POLL_SECONDS = 0.05


class Turns:
    """A queue that can be left at any time."""

    def __init__(self) -> None:
        self._queue: list[object] = []
        self._lock = threading.Lock()

    def wait(self, who: object) -> Iterator[None]:
        """Queue up; ends when it is ``who``'s turn, which lasts until :meth:`leave`."""
        with self._lock:
            self._queue.append(who)
        while self._queue[0] is not who:
            yield
            time.sleep(POLL_SECONDS)

    def leave(self, who: object) -> bool:
        """Let the next one go on; whether ``who`` was in the queue."""
        with self._lock:
            before = len(self._queue)
            self._queue = [one for one in self._queue if one is not who]
            return len(self._queue) < before


TURNS = Turns()


def give_memory_back() -> None:
    """Return what is free to the system.

    glibc keeps, for each thread that ever computed something, most of what was freed there: after a
    few figures that is more than a gigabyte.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)
