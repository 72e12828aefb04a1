"""What a metric is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from .batch import Batch, Scores
from .methods import Explainer

Direction = Literal["lower", "higher"]

TINY = 1e-30
"""Keeps zero maps from dividing by zero."""


class Metric:
    """A number for each image and method. The docstring says what it does not show.

    Metrics are frozen dataclasses: their settings are part of what a result was made with.

    Attributes:
        name: What ``pw.evaluate`` takes, and the column of the table.
        title: Above a panel.
        better: Which direction is.
        source: Where the definition comes from.
    """

    name: str
    title: ClassVar[str]
    better: ClassVar[Direction]
    source: ClassVar[str]

    def scores(self, batch: Batch, methods: Sequence[Explainer]) -> Scores:
        """The numbers, (N, M); NaN where a method has none."""
        found = np.full((len(batch), len(methods)), np.nan)
        for column, method in enumerate(methods):
            found[:, column] = self.of(batch, method)
        return found

    def of(self, batch: Batch, method: Explainer) -> Scores:
        """The numbers of one method, (N,)."""
        raise NotImplementedError


def nothing(batch: Batch) -> Scores:
    """No number for any image."""
    return np.full(len(batch), np.nan)
