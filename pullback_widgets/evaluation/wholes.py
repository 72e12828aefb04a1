"""The map as a whole: whether it adds up, and where it leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..engine.output import probabilities_of
from ..engine.session import Session
from .batch import Batch, Scores, answers, exact
from .methods import PIXELS, Ascent, Explainer
from .metric import TINY, Direction, Metric, nothing
from .sensitivity import other_classes


@dataclass(frozen=True)
class Completeness(Metric):
    """How far a map is from adding up to the score: ``|sum p x - (z(x) - z(0))| / |z(x) - z(0)|``.

    0 is complete, with mid-grey as the image from which all is counted. Sundararajan, Taly and Yan
    (2017, arXiv 1703.01365) ask it of every attribution. Heat does not add up to anything.

    A complete map may still put everything in the wrong place; and constants, such as biases, make
    a true effective map incomplete.
    """

    name: str = "completeness"

    title: ClassVar[str] = "Completeness error"
    better: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "arXiv 1703.01365"

    def of(self, batch: Batch, method: Explainer) -> Scores:
        maps = None if method.reading == "heat" else batch.maps(method)
        if maps is None:
            return nothing(batch)
        total = exact(method.as_contribution(maps, batch.session)).reshape(len(batch), -1).sum(1)
        grey = batch.shared(
            "grey",
            lambda: batch.values((n, torch.zeros_like(one)) for n, one in enumerate(batch.x)),
        )
        true = batch.scores - grey
        found: Scores = np.abs(total - true) / np.maximum(np.abs(true), TINY)
        return found


@dataclass(frozen=True)
class Counterfactual(Metric):
    """The probability of a random class after an ascent along the map.

    ``steps`` steps of length ``step_size`` along the method's map of that class, taken anew at each
    image on the way, within ``radius`` of the first image and in [-1, 1]; lengths are those at 224
    x 224 pixels and three colours, elsewhere as many for a value. An ascent takes its own steps.
    After Satkiewicz (2025, arXiv 2507.22832). Heat has no direction.

    It shows what makes the network change its answer, not what it saw; a plain gradient gets there
    with noise that nobody can see.

    Attributes:
        steps: Number of steps.
        step_size: L2 length of each.
        radius: L2 radius.
    """

    name: str = "counterfactual"
    steps: int = 5
    step_size: float = 20.0
    radius: float = 100.0

    title: ClassVar[str] = "Counterfactual probability"
    better: ClassVar[Direction] = "higher"
    source: ClassVar[str] = "arXiv 2507.22832"

    def of(self, batch: Batch, method: Explainer) -> Scores:
        found = self._after(batch, method)
        return nothing(batch) if found is None else self._probability(batch, found)

    def _after(self, batch: Batch, method: Explainer) -> Tensor | None:
        """The images after the ascent, (N, C, H, W)."""
        if method.reading == "heat" or batch.logits.shape[1] < 2:
            return None
        walk = ("ascent", method.name, self.steps, self.step_size, self.radius)
        return batch.shared(walk, lambda: self._walked(batch, method))

    def _walked(self, batch: Batch, method: Explainer) -> Tensor | None:
        targets, start = other_classes(batch), batch.x
        if isinstance(method, Ascent):
            found = batch.explained(method, batch.session, targets)
            return None if found is None else (start + found).clamp(-1, 1)
        scale = (start[0].numel() / PIXELS) ** 0.5
        x, session = start, batch.session
        for step in range(self.steps):
            if step:
                session = Session(batch.model, x, range=(-1, 1))
            found = batch.explained(method, session, targets)
            if found is None:
                return None
            x = self._moved(start, x, method.as_gradient(found, session), scale)
        return x

    def _moved(self, start: Tensor, x: Tensor, along: Tensor, scale: float) -> Tensor:
        """The next images, as ``Session.ascend`` has them."""
        difference = x + self.step_size * scale * along / _length(along) - start
        radius = self.radius * scale
        kept = start + difference * (radius / _length(difference).clamp_min(radius))
        return kept.clamp(-1, 1)

    def _probability(self, batch: Batch, images: Tensor) -> Scores:
        targets = other_classes(batch)
        return batch.values(enumerate(images), targets, probability=True)


@dataclass(frozen=True)
class Confirmed(Counterfactual):
    """Which share of a counterfactual's rise a second network confirms.

    ``(q(x') - q(x)) / (p(x') - p(x))`` with the random class's probability ``p`` in the network and
    ``q`` in the second one, which has the same classes. NaN where ``p`` hardly rises.

    What both networks take for the class may still be what no person would; and a second network of
    the same training confirms its habits, too.

    Attributes:
        least: Rises below this are none.
    """

    name: str = "counterfactual_confirmed"
    least: float = 0.05

    title: ClassVar[str] = "Rise confirmed by a second network"

    def of(self, batch: Batch, method: Explainer) -> Scores:
        after = self._after(batch, method)
        if after is None or batch.second is None:
            return nothing(batch)
        rise = self._probability(batch, after) - self._probability(batch, batch.x)
        confirmed = self._second(batch, after) - self._second(batch, batch.x)
        return np.where(rise > self.least, confirmed / np.maximum(rise, TINY), np.nan)

    def _second(self, batch: Batch, images: Tensor) -> Scores:
        assert batch.second is not None
        targets = other_classes(batch)
        said = answers(batch.second, images)
        shares = probabilities_of(said, batch.second.probability)
        return _picked(said if shares is None else shares, targets)


def _picked(values: Tensor, targets: Sequence[int]) -> Scores:
    return exact(values[torch.arange(len(values)), list(targets)])


def _length(images: Tensor) -> Tensor:
    """The L2 norm of each image, (N, 1, 1, 1); that of zeros is the smallest number."""
    tiny = torch.finfo(images.dtype).tiny
    return images.flatten(1).norm(dim=1).clamp_min(tiny).view(-1, 1, 1, 1)
