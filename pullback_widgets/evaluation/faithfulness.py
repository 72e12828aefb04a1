"""Whether what a map calls important is what the score depends on: three correlations.

In all of them a feature is a value of the image, pixels times colours, and the map is taken as the
method returns it, as Quantus does it. Groups of features are replaced by the image's smallest value
(*black*) or by chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .batch import Batch, Scores, exact
from .methods import Explainer
from .metric import Direction, Metric, nothing
from .statistics import pearson, spearman

Groups = list[NDArray[np.int64]]


@dataclass(frozen=True)
class FaithfulnessCorrelation(Metric):
    """Pearson's correlation of attributions and score, over random groups of features.

    Of ``runs`` random groups ``S`` each is made black alone; the correlation is of
    ``sum_{i in S} p_i`` and ``z(x) - z(x with S black)``. Bhatt, Weller and Moura (2020,
    arXiv 2005.00631).

    A gradient is not multiplied with how far a feature is moved, so that for it the measure is
    about signs and sizes on the whole. Scattered pixels are no picture that the network knows.

    Attributes:
        runs: Groups.
        share: Features in one, of all; 12,544 of 150,528 in the paper's evaluation.
    """

    name: str = "faithfulness_correlation"
    runs: int = 100
    share: float = 1 / 12

    title: ClassVar[str] = "Faithfulness correlation"
    better: ClassVar[Direction] = "higher"
    source: ClassVar[str] = "arXiv 2005.00631"

    def of(self, batch: Batch, method: Explainer) -> Scores:
        maps = batch.maps(method)
        if maps is None:
            return nothing(batch)
        sums = [_sums(one, groups) for one, groups in zip(maps, self.groups(batch), strict=True)]
        return pearson(np.stack(sums), self._drops(batch))

    def groups(self, batch: Batch) -> list[Groups]:
        """The groups of each image, the same for all methods."""

        def drawn(number: int) -> Groups:
            features = batch.x[number].numel()
            size = max(1, round(self.share * features))
            chance = batch.chance(number, "groups")
            return [chance.permutation(features)[:size] for _ in range(self.runs)]

        return batch.shared(
            ("groups", self.runs, self.share), lambda: [drawn(n) for n in range(len(batch))]
        )

    def _drops(self, batch: Batch) -> Scores:
        def measured() -> Scores:
            perturbed = (
                (n, _filled(batch.x[n], group, batch.x[n].min()))
                for n, groups in enumerate(self.groups(batch))
                for group in groups
            )
            after = batch.values(perturbed).reshape(len(batch), -1)
            return np.asarray(batch.scores[:, None] - after)

        return batch.shared((self.name, self.runs, self.share), measured)


@dataclass(frozen=True)
class FaithfulnessEstimate(Metric):
    """Pearson's correlation of attributions and score, over groups in the order of the map.

    The features in falling order are cut into ``groups`` of one size, and each is made black alone;
    the correlation is of the groups' attributions and the falls of the score. Alvarez-Melis and
    Jaakkola (2018, arXiv 1806.07538), in groups as Quantus has it.

    What was said of faithfulness correlation holds here. The groups are the method's own, so that
    methods are not asked the same questions.

    Attributes:
        groups: How many; 48 in the paper's evaluation.
    """

    name: str = "faithfulness_estimate"
    groups: int = 48

    title: ClassVar[str] = "Faithfulness estimate"
    better: ClassVar[Direction] = "higher"
    source: ClassVar[str] = "arXiv 1806.07538"

    def of(self, batch: Batch, method: Explainer) -> Scores:
        maps = batch.maps(method)
        if maps is None:
            return nothing(batch)
        groups = [_in_order(-one, self.groups) for one in maps]
        after = batch.values(
            (n, _filled(batch.x[n], group, batch.x[n].min()))
            for n in range(len(batch))
            for group in groups[n]
        ).reshape(len(batch), -1)
        sums = [_sums(one, of) for one, of in zip(maps, groups, strict=True)]
        return pearson(np.stack(sums), batch.scores[:, None] - after)


@dataclass(frozen=True)
class MonotonicityCorrelation(Metric):
    """Spearman's correlation of the sizes of attributions and how uncertain the score becomes.

    The features in rising order of ``|p|`` are cut into ``groups``, each is filled ``samples``
    times with one random number, and the correlation is of ``sum |p_i|`` and of the mean of
    ``(z(x') - z(x))^2 / z(x)^2``. Nguyen and Martinez (2020, arXiv 2007.07584), in groups as
    Quantus has it.

    It knows no signs. Random maps score above zero where groups differ in size alone.

    Attributes:
        groups: How many; 12 in the paper's evaluation.
        samples: Numbers for each.
    """

    name: str = "monotonicity_correlation"
    groups: int = 12
    samples: int = 10

    title: ClassVar[str] = "Monotonicity correlation"
    better: ClassVar[Direction] = "higher"
    source: ClassVar[str] = "arXiv 2007.07584"

    def of(self, batch: Batch, method: Explainer) -> Scores:
        maps = batch.maps(method)
        if maps is None:
            return nothing(batch)
        sizes = maps.abs()
        groups = [_in_order(one, self.groups) for one in sizes]
        after = batch.values(
            (n, one) for n in range(len(batch)) for one in self._fillings(batch, n, groups[n])
        ).reshape(len(batch), -1, self.samples)
        before = batch.scores
        # The same for all groups of an image, so that it changes no rank; it keeps the number's
        # meaning, and small scores from overflowing.
        unit = np.where(np.abs(before) >= 1e-5, before, 1.0) ** 2
        changes = ((after - before[:, None, None]) ** 2).mean(2) / unit[:, None]
        sums = [_sums(one, of) for one, of in zip(sizes, groups, strict=True)]
        return spearman(np.stack(sums), changes)

    def fillings(self, batch: Batch, number: int, groups: int) -> Scores:
        """The numbers that groups of an image are filled with, (groups, samples)."""
        return batch.chance(number, "fillings").uniform(-1, 1, (groups, self.samples))

    def _fillings(self, batch: Batch, number: int, groups: Groups) -> Iterator[Tensor]:
        numbers = self.fillings(batch, number, len(groups))
        for group, row in zip(groups, numbers, strict=True):
            for one in row:
                yield _filled(batch.x[number], group, torch.tensor(one).to(batch.x))


def _in_order(values: Tensor, count: int) -> Groups:
    """The features of a map in rising order, cut into groups; the last may be smaller."""
    order = np.argsort(exact(values).ravel(), kind="stable")
    size = -(-len(order) // count)
    return [order[start : start + size] for start in range(0, len(order), size)]


def _sums(one: Tensor, groups: Groups) -> Scores:
    """The sum of a map over each group."""
    values = exact(one).ravel()
    return np.array([values[group].sum() for group in groups])


def _filled(image: Tensor, group: NDArray[np.int64], value: Tensor) -> Tensor:
    """A copy of an image with a group of features replaced by a number."""
    changed = image.clone()
    changed.view(-1)[torch.from_numpy(group).to(image.device)] = value
    return changed
