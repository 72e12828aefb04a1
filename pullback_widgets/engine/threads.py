"""How many threads compute a pass fastest, found out by trying.

torch takes all cores. On two cores with a browser beside it that is slower than one thread, on
eight idle ones it is not, and for a small network more threads only wait for each other.
"""

from __future__ import annotations

import contextlib
import functools
import math
import statistics
import time
from collections import deque
from collections.abc import Hashable, Iterator

import torch
from threadpoolctl import ThreadpoolController

ROUNDS = 3
"""How often each number is tried; one that takes twice as long as another, once."""

RECENT = 15
"""How many passes tell whether it is still as it was."""

DRIFT = 1.5
"""When passes take so many times as long as when the number was chosen, or as short, it is chosen
anew."""


class Threads:
    """Chooses the number of threads for passes that are computed again and again.

    It holds for the calling thread alone, while a pass runs: torch's setting stays as it is.
    """

    def __init__(self) -> None:
        self.best: int | None = None
        """The number that was fastest; None until it is known."""
        self._kind: Hashable = None
        self._tried: dict[int, list[float]] = {}
        self._usual = 0.0
        self._recent: deque[float] = deque(maxlen=RECENT)

    @contextlib.contextmanager
    def timed(self, kind: Hashable) -> Iterator[int]:
        """Run a pass with the number of threads that is fastest, or is tried.

        Args:
            kind: Passes of one kind take equally long. The first of each is not counted: it may do
                more than the others.

        Yields:
            The number of threads.
        """
        most = torch.get_num_threads()
        counts = sorted({1, (most + 1) // 2, most})
        first, self._kind = kind != self._kind, kind
        if first:
            self._tried = {}
        count = self.best if self.best in counts else most
        if not first and (left := self._to_try(counts)):
            count = left[0]
        with _openmp().limit(limits=count):
            start = time.perf_counter()
            yield count
            seconds = time.perf_counter() - start
        if not first and len(counts) > 1:
            self._learn(count, seconds, counts)

    def _to_try(self, counts: list[int]) -> list[int]:
        """The numbers of which it is not known yet how fast they are, the least tried first."""
        quickest = min((min(times) for times in self._tried.values()), default=math.inf)
        tried = {one: self._tried.get(one, []) for one in counts}
        left = [
            one
            for one, times in tried.items()
            if len(times) < ROUNDS and min(times, default=0.0) < 2 * quickest
        ]
        return sorted(left, key=lambda one: len(tried[one]))

    def _learn(self, count: int, seconds: float, counts: list[int]) -> None:
        if not self._to_try(counts):
            self._recent.append(seconds)
            now = statistics.median(self._recent)
            if len(self._recent) == RECENT and not (
                self._usual / DRIFT < now < self._usual * DRIFT
            ):
                self._tried = {}
            return
        self._tried.setdefault(count, []).append(seconds)
        if not self._to_try(counts):
            medians = {one: statistics.median(self._tried[one]) for one in counts}
            self.best = min(counts, key=medians.__getitem__)
            self._usual = medians[self.best]
            self._recent.clear()


@functools.cache
def _openmp() -> ThreadpoolController:
    """The threads of torch: a limit on these holds for the thread that sets it."""
    return ThreadpoolController().select(user_api="openmp")
