"""A number measured on a sample, with its interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 500


class Interval(NamedTuple):
    """A number and its 95 % interval.

    Attributes:
        value: As measured on the whole sample.
        low: 2.5 % quantile over resampled samples (percentile bootstrap).
        high: 97.5 % quantile, likewise.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def resampled(
    rows: NDArray[Any], statistic: Callable[[NDArray[Any]], NDArray[Any]]
) -> NDArray[Any]:
    """A statistic of the mean row, over samples drawn with replacement; seeded.

    Args:
        rows: One for each independent observation, (N, ...).
        statistic: From means (R, ...) to values (R,).
    """
    chance = np.random.default_rng(0)
    counts = chance.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=RESAMPLES)
    return statistic(counts @ rows / len(rows))


def interval_of(rows: NDArray[Any], statistic: Callable[[NDArray[Any]], NDArray[Any]]) -> Interval:
    """A statistic of the mean row, and its interval; see :func:`resampled`."""
    low, high = np.quantile(resampled(rows, statistic), [0.025, 0.975])
    return Interval(float(statistic(rows.mean(axis=0)[None])[0]), float(low), float(high))


def mean_interval(values: NDArray[Any]) -> Interval:
    """The mean of independent observations, (N,), and its interval."""
    return interval_of(values, lambda means: means)
