"""The temperature at which a sigmoid is nearest to mean states, and sums over channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..engine.gate import gate_values
from ..engine.softening import Softening
from ..evaluation.interval import Interval, bootstrap

FITTED = np.geomspace(0.005, 20.0, 73)
"""Relative temperatures at which the fit of the sigmoid is tried; the best lies between them."""


def losses(z: NDArray[Any], state: NDArray[Any]) -> NDArray[np.float64]:
    """Mean squared error of the gate at every temperature of FITTED, (U, len(FITTED))."""
    result = np.empty((z.shape[1], len(FITTED)))
    for number, temperature in enumerate(FITTED):
        result[:, number] = np.square(soft_gate(z, float(temperature)) - state).mean(axis=0)
    return result


def fit(losses: NDArray[np.float64]) -> Interval:
    """The temperature of least loss, with its interval over the rows."""
    return bootstrap(losses, _best)


def _best(losses: NDArray[Any]) -> NDArray[Any]:
    """The temperatures of least loss, each by a parabola through the three lowest points."""
    losses = np.atleast_2d(losses)
    middle = np.clip(losses.argmin(axis=1), 1, len(FITTED) - 2)
    left, centre, right = (losses[np.arange(len(losses)), middle + k] for k in (-1, 0, 1))
    bend = left - 2 * centre + right
    shift = 0.5 * (left - right) / np.where(bend > 0, bend, np.inf)
    step = np.log(FITTED[1] / FITTED[0])
    return FITTED[middle] * np.exp(np.clip(shift, -1, 1) * step)


def soft_gate(z: NDArray[Any], temperature: float) -> NDArray[Any]:
    """The sigmoid gate at relative z."""
    return np.asarray(gate_values(Softening.relative(temperature), torch.from_numpy(z)).numpy())


def by_channel(values: NDArray[Any], channels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums over the units of each channel: from (U, K) to a row for each channel there is."""
    _, groups = np.unique(channels, return_inverse=True)
    sums = np.zeros((int(groups.max()) + 1, *values.shape[1:]))
    np.add.at(sums, groups, values)
    return sums


def difference(sums: NDArray[Any]) -> NDArray[Any]:
    """The mean of some values less that of others, from the sums and counts of either, (R, 4)."""
    counts = np.maximum(sums[:, 1::2], np.finfo(float).tiny)  # none in an odd sample of channels
    means = sums[:, ::2] / counts
    return np.asarray(means[:, 0] - means[:, 1])


def spread(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Variance of y among values of about the same x: in up to 400 bins of at least 20 values."""
    parts = np.array_split(np.argsort(x, axis=None), min(max(x.size // 20, 1), 400))
    flat = y.ravel()
    return float(np.average([flat[p].var() for p in parts], weights=[len(p) for p in parts]))
