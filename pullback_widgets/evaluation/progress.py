"""How far a run is, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..drawing.words import counted


@dataclass(frozen=True)
class Progress:
    """How far a run is; as text it is a line for people.

    Attributes:
        done: Images that are done, those of an earlier run among them.
        total: Images in all; None where nobody knows.
        fresh: Images that this run did itself.
        seconds: Since it began.
    """

    done: int
    total: int | None
    fresh: int
    seconds: float

    @property
    def share(self) -> float:
        """The share that is done, 0 to 1; 0 where nobody knows."""
        return self.done / self.total if self.total else 0.0

    @property
    def rate(self) -> float:
        """Images a second; 0 before the first."""
        return self.fresh / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that it will take at this rate; None where nobody knows."""
        if self.total is None or not self.rate:
            return None
        return (self.total - self.done) / self.rate

    def __str__(self) -> str:
        of = counted(self.done, "image") if self.total is None else f"{self.done} of {self.total}"
        images = of if self.total is None else f"{of} images"
        rate = f", {self.rate:.3g} a second" if self.rate else ""
        return f"{images}{rate}" + ("" if not self.left else f", {in_time(self.left)} left")


Report = Callable[[Progress], object]
"""Called after each batch."""


def in_time(seconds: float) -> str:
    """A time in the largest unit of which it is more than one."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
