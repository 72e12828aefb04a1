"""Something that is done when all is at rest: not while a slider is dragged, but after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Rest:
    """Runs an action, in a thread of its own, once nobody has asked for it for some seconds."""

    def __init__(self, seconds: float, action: Callable[[], object]) -> None:
        """Make it.

        Args:
            seconds: How long nobody must have asked.
            action: What is run; it deals with its own errors.
        """
        self._seconds, self._action = seconds, action
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._due = 0.0
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """Run the action later; whoever asked before waits as long."""
        with self._lock:
            self._due = time.monotonic() + self._seconds
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._wait, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Never run the action again."""
        self._closed.set()

    def _wait(self) -> None:
        while True:
            with self._lock:
                left = self._due - time.monotonic()
                if left <= 0 or self._closed.is_set():
                    self._thread = None
                    break
            self._closed.wait(left)
        if not self._closed.is_set():
            self._action()
