"""What a map depends on: noise in the image, the target, the weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..engine.inside import named_modules_inside
from ..engine.model import Model
from ..engine.session import Session
from .batch import Batch, Scores, exact
from .methods import Explainer
from .metric import TINY, Direction, Metric, nothing
from .statistics import cosines, pearson


@dataclass(frozen=True)
class MaxSensitivity(Metric):
    """How far noise that is hardly seen moves a map, at most.

    ``max_d |p(x + d) - p(x)| / |p(x)|`` over ``samples`` images with uniform noise up to ``radius``
    for each value, which keep to [-1, 1]. Yeh et al. (2019, arXiv 1901.09392).

    A map that ignores the network is perfect here. More samples find larger values.

    Attributes:
        samples: How often noise is drawn.
        radius: Largest change of a value of the image in [-1, 1].
    """

    name: str = "max_sensitivity"
    samples: int = 10
    radius: float = 0.02

    title: ClassVar[str] = "Maximum sensitivity"
    better: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "arXiv 1901.09392"

    def scores(self, batch: Batch, methods: Sequence[Explainer]) -> Scores:
        found = np.full((len(batch), len(methods)), np.nan)
        noise = [self.noise(batch, n) for n in range(len(batch))]
        for sample in range(self.samples):  # one recording at a time, for all methods
            moved = batch.x + torch.stack([one[sample] for one in noise]).to(batch.x)
            session = _session(batch.model, moved)
            for column, method in enumerate(methods):
                before = batch.maps(method)
                after = batch.explained(method, session, batch.targets)
                if before is not None and after is not None:
                    change = _norms(after - before) / np.maximum(_norms(before), TINY)
                    found[:, column] = np.fmax(found[:, column], change)
        return found

    def noise(self, batch: Batch, number: int) -> Tensor:
        """The noise of an image, (samples, C, H, W)."""
        shape = (self.samples, *batch.x.shape[1:])
        drawn = batch.chance(number, "noise").uniform(-self.radius, self.radius, shape)
        return torch.from_numpy(drawn)


@dataclass(frozen=True)
class TargetSensitivity(Metric):
    """The cosine between the maps of the target and of the most probable other class.

    1 means that the question is ignored. It always stands in the table, because methods that ignore
    the target may win every other column.

    Two classes may well have similar evidence, so that no single number is right; compare with
    other methods on the same images.
    """

    name: str = "target_sensitivity"

    title: ClassVar[str] = "Cosine to the next class"
    better: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "after arXiv 1912.09818"

    def of(self, batch: Batch, method: Explainer) -> Scores:
        maps = batch.maps(method)
        others = None
        if batch.logits.shape[1] > 1:
            others = batch.explained(method, batch.session, next_classes(batch))
        return nothing(batch) if maps is None or others is None else cosines(maps, others)


@dataclass(frozen=True)
class RandomLogit(Metric):
    """Pearson's correlation between the maps of the target and of a random other class.

    Sixt, Granz and Landgraf (2020, arXiv 1912.09818); the paper's evaluation correlates, Quantus's
    default is the structural similarity.

    A random class may be nearly the same or a thing apart, so single images say little.
    """

    name: str = "random_logit"

    title: ClassVar[str] = "Random logit"
    better: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "arXiv 1912.09818"

    def of(self, batch: Batch, method: Explainer) -> Scores:
        maps = batch.maps(method)
        others = None
        if batch.logits.shape[1] > 1:
            others = batch.explained(method, batch.session, other_classes(batch))
        if maps is None or others is None:
            return nothing(batch)
        return pearson(*(exact(one).reshape(len(batch), -1) for one in (maps, others)))


@dataclass(frozen=True)
class Randomisation(Metric):
    """The cosine between a map and the one under randomised weights, from the top.

    The parameters of the last third of the layers that have any, then of the last two thirds, then
    of all, are put in random order, each tensor within itself; the mean of the three cosines.
    Adebayo et al. (2018, arXiv 1810.03292), cascading.

    A map near 1 says nothing of what was learnt. Random order keeps the sizes of weights, so that
    gates and norms still work; what a convolution's place or the image itself brings stays, too.

    Attributes:
        stages: In how many steps.
    """

    name: str = "randomisation"
    stages: int = 3

    title: ClassVar[str] = "Cosine to random weights"
    better: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "arXiv 1810.03292"

    def scores(self, batch: Batch, methods: Sequence[Explainer]) -> Scores:
        total = np.zeros((len(batch), len(methods)))
        copies = batch.once(
            ("randomised", self.stages),
            lambda: list(randomised(batch.model, self.stages, batch.seed)),
        )
        for model in copies:
            session = _session(model, batch.x)
            for column, method in enumerate(methods):
                maps = batch.maps(method)
                # What is bound to its network would answer for that one.
                other = None if method.bound else batch.explained(method, session, batch.targets)
                total[:, column] += (
                    nothing(batch) if maps is None or other is None else cosines(maps, other)
                )
        return total / self.stages


def randomised(model: Model, stages: int, seed: int) -> Iterator[Model]:
    """Copies of a network, more and more of whose layers have random weights; it stays as it is."""
    names = [
        name
        for name, module in named_modules_inside(model.module).items()
        if any(True for _ in module.parameters(recurse=False))
    ]
    for stage in range(1, stages + 1):
        yield _shuffled(model, names[len(names) * (stages - stage) // stages :], seed)


def _shuffled(model: Model, layers: Sequence[str], seed: int) -> Model:
    twin = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in layers:
            for parameter in twin.module.get_submodule(name).parameters(recurse=False):
                order = torch.randperm(parameter.numel(), generator=generator)
                values = parameter.detach().cpu().flatten()[order].view(parameter.shape)
                parameter.copy_(values.to(parameter))
    return twin


def next_classes(batch: Batch) -> list[int]:
    """The most probable class of each image other than its target."""
    best = batch.logits.topk(2).indices.tolist()
    return [
        first if first != target else second
        for (first, second), target in zip(best, batch.targets, strict=True)
    ]


def other_classes(batch: Batch) -> list[int]:
    """A random class of each image other than its target."""
    count = batch.logits.shape[1]
    drawn = [int(batch.chance(n, "class").integers(count - 1)) for n in range(len(batch))]
    return [one + (one >= target) for one, target in zip(drawn, batch.targets, strict=True)]


def _session(model: Model, images: Tensor) -> Session:
    """A session of images, of which what leaves [-1, 1] is taken back."""
    return Session(model, images.clamp(-1, 1), range=(-1, 1))


def _norms(maps: Tensor) -> Scores:
    found: Scores = np.linalg.norm(exact(maps).reshape(len(maps), -1), axis=1)
    return found
