"""A number measured on a sample, with its interval."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
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


def bootstrap(
    rows: Any, statistic: Callable[[NDArray[Any]], NDArray[Any]] = lambda means: means
) -> Interval:
    """A statistic of the mean over independent observations, with its 95 % interval.

    The percentile bootstrap (Efron 1979): 500 samples, as large as the first, are drawn from it
    with replacement, always the same ones.

    Args:
        rows: An observation each, (N,) or (N, ...).
        statistic: From the means of many samples, (R, ...), to a value for each, (R,); by default
            the mean itself, of observations that are numbers.

    Raises:
        ValueError: If there is no observation, or the statistic is not one number for each sample.
    """
    rows = np.asarray(rows)
    if not rows.size:
        raise ValueError(f"rows has the shape {rows.shape}; expected at least one observation.")
    values = statistic(_draws(len(rows)) @ rows / len(rows))
    if np.shape(values) != (RESAMPLES,):
        raise ValueError(
            f"The statistic of {RESAMPLES} samples has the shape {np.shape(values)}; expected one "
            f"number for each. rows has the shape {rows.shape}: give it column by column, or a "
            "statistic that makes a number of them."
        )
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(statistic(rows.mean(axis=0)[None])[0]), float(low), float(high))


def intervals(rows: Any) -> list[Interval]:
    """The mean of each column with its interval, as :func:`bootstrap` has them, in one pass.

    It takes little memory however many observations there are.

    Args:
        rows: Numbers (N, K); a NaN is none, and the mean is over those that there are.

    Raises:
        ValueError: If there is no observation.
    """
    rows = np.asarray(rows, float)
    if not len(rows):
        raise ValueError("There is no observation; expected at least one.")
    known = ~np.isnan(rows)
    both = np.concatenate([np.where(known, rows, 0.0), known], axis=1)
    chance = np.random.default_rng(0)
    even = np.full(len(rows), 1 / len(rows))
    # A draw at a time gives the same ones as all at once.
    sums = np.stack([chance.multinomial(len(rows), even) @ both for _ in range(RESAMPLES)])
    columns = rows.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums[:, :columns] / sums[:, columns:]
        total = both[:, :columns].sum(0) / both[:, columns:].sum(0)
    found = []
    for mean, drawn in zip(total, means.T, strict=True):
        drawn = drawn[~np.isnan(drawn)]
        low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
        found.append(Interval(float(mean), float(low), float(high)))
    return found


@lru_cache(maxsize=4)  # a curve asks for the same ones at each of its points
def _draws(count: int) -> NDArray[np.int64]:
    """How often each of ``count`` observations is in each sample, (R, count)."""
    chance = np.random.default_rng(0)
    return chance.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
