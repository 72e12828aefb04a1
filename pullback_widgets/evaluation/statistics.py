"""Correlations and angles, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .batch import Scores, exact


def pearson(a: Scores, b: Scores) -> Scores:
    """Pearson's correlation of each row of two (N, K); NaN where one is constant."""
    a, b = (rows - rows.mean(1, keepdims=True) for rows in (a, b))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Scores = np.where(norms > 0, (a * b).sum(1) / norms, np.nan)
    return found


def spearman(a: Scores, b: Scores) -> Scores:
    """Spearman's: that of the ranks, equal values sharing the mean of theirs."""
    return pearson(ranks(a), ranks(b))


def ranks(rows: NDArray[Any]) -> Scores:
    """The rank of each value in its row, (N, K), from 1."""
    found = np.empty(rows.shape)
    for row, values in zip(found, rows, strict=True):
        _, place, count = np.unique(values, return_inverse=True, return_counts=True)
        last = count.cumsum()
        row[:] = (last - (count - 1) / 2)[place]
    return found


def cosines(a: Tensor, b: Tensor) -> Scores:
    """The cosine of the angle between each two maps, (N,); NaN where one is zero."""
    first, second = (exact(one).reshape(len(one), -1) for one in (a, b))
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Scores = np.where(norms > 0, (first * second).sum(1) / norms, np.nan)
    return found
