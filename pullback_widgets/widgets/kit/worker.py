"""A thread that only ever works on the newest request.

A slider that is dragged asks for a hundred pictures a second. Nothing queues here: a request
replaces the one that waits, and stops the one that runs at its next step.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

Request = TypeVar("Request")

PAUSE_SECONDS = 0.2
"""What nobody asked for yet is begun after so long without a request, and once in so long..."""

QUIET = 0.3
"""... while the process takes less than this share of a core."""

IDLE_SECONDS = 30.0
"""An idle thread ends after this long, so that widgets nobody uses any more hold none."""

EXIT_SECONDS = 5.0
"""How long the end of Python waits for steps that run."""


class Worker(Generic[Request]):
    """Runs the newest request in a thread of its own, step by step."""

    def __init__(
        self,
        run: Callable[[Request], Iterator[object]],
        failed: Callable[[Request, BaseException], None],
        name: str = "pullback_widgets",
        ready: Callable[[], object] = lambda: None,
        spare: Callable[[], bool] = lambda: False,
    ) -> None:
        """Make the worker; the thread starts with the first request.

        Args:
            run: From a request to an iterator; between its steps a newer request takes over.
            failed: Called with the exception if a request raised and no newer one waits.
            name: Of the thread.
            ready: Returns when the next request shall be taken; until then newer ones replace it.
            spare: Does a little that may be of use later, while the process does nothing else;
                returns whether there is more of it. A request waits until it returns.
        """
        self._run, self._ready, self._spare = run, ready, spare
        self._failed = failed
        self._name = name
        self._changed = threading.Condition()
        self._waiting: list[Request] = []
        self._running = self._sparing = False
        self._stopped = self._ended = False
        self._thread: threading.Thread | None = None
        _workers.add(self)

    @property
    def busy(self) -> bool:
        """Whether a request runs or waits."""
        with self._changed:
            return self._running or bool(self._waiting)

    @property
    def waiting(self) -> bool:
        """Whether a newer request waits for the running one."""
        with self._changed:
            return bool(self._waiting)

    def submit(self, request: Request) -> None:
        """Run this next; whatever waits is forgotten, whatever runs stops at its next step."""
        with self._changed:
            self._waiting[:] = [request]
            self._stopped = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def stop(self) -> None:
        """Stop at the next step; a request that waits already is taken one step far."""
        with self._changed:
            self._stopped = True

    def end(self) -> None:
        """Stop, and let the thread end at once where it is idle: an idle one holds its widget."""
        with self._changed:
            self._stopped = self._ended = True
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Until nothing runs or waits; at once when called by the worker itself.

        Args:
            timeout: Seconds, or None for no limit.

        Returns:
            Whether everything is done.
        """
        if threading.current_thread() is self._thread:
            return False
        with self._changed:
            return self._changed.wait_for(lambda: not (self._running or self._waiting), timeout)

    def _until_done(self, timeout: float) -> None:
        """Until this thread computes nothing, not even what nobody asked for."""
        with self._changed:
            self._changed.wait_for(
                lambda: not (self._running or self._sparing or self._waiting), timeout
            )

    def _loop(self) -> None:
        request: Request | None
        more, worked = False, time.monotonic()
        while True:
            with self._changed:
                self._running = self._sparing = False
                more = more and time.monotonic() - worked < IDLE_SECONDS
                self._changed.notify_all()
                quiet = self._pause(PAUSE_SECONDS if more else IDLE_SECONDS)
                asked = bool(self._waiting)
                if not asked and (self._ended or not more):
                    self._thread = None
                    return
                self._sparing = quiet and not asked
            try:
                if asked:
                    self._ready()
                    with self._changed:
                        if not self._waiting:  # Python ends
                            continue
                        request = self._waiting.pop()
                        self._running = more = True
                    self._work(request)
                    worked = time.monotonic()
                elif quiet:
                    more = False  # if it fails
                    more = self._spare()
            except BaseException:  # of the report itself; the thread must outlive it
                traceback.print_exc()
            request = None  # an idle worker keeps no request, and so no image, alive

    def _pause(self, seconds: float) -> bool:
        """Wait for a request; whether nobody needed the machine meanwhile."""
        since, used = time.monotonic(), time.process_time()
        self._changed.wait_for(lambda: bool(self._waiting) or self._ended, seconds)
        share = (time.process_time() - used) / max(time.monotonic() - since, 1e-3)
        others = any(one._running or one._waiting for one in list(_workers) if one is not self)
        return share < QUIET and not others and not _is_crowded()

    def _work(self, request: Request) -> None:
        try:
            steps = self._run(request)
            for _ in steps:
                with self._changed:
                    superseded = self._stopped or bool(self._waiting)
                if superseded:
                    close = getattr(steps, "close", None)
                    if close is not None:
                        close()
                    break
        except BaseException as error:
            with self._changed:
                superseded = bool(self._waiting)
            if not superseded:
                self._failed(request, error)


_workers: weakref.WeakSet[Worker[Any]] = weakref.WeakSet()


def _is_crowded() -> bool:
    """Whether the machine had more to do than it has cores, in the last minute."""
    load = getattr(os, "getloadavg", None)  # Windows has none
    return load is not None and load()[0] > (os.cpu_count() or 1)


@atexit.register
def _finish() -> None:
    """Let running steps end: a thread that Python kills inside torch would abort the process."""
    workers = list(_workers)
    for worker in workers:
        worker.end()
        with worker._changed:
            worker._waiting.clear()
    for worker in workers:
        worker._until_done(EXIT_SECONDS)
