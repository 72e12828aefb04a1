"""How much of the change of a score, where the image is changed, a map does not foretell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from .batch import Batch, Scores, exact
from .methods import Explainer
from .metric import TINY, Direction, Metric, nothing


@dataclass(frozen=True)
class Patch:
    """A square of an image and what takes its place."""

    top: int
    left: int
    values: Tensor

    def window(self, image: Tensor) -> Tensor:
        """The square of an image or map (C, H, W)."""
        height, width = self.values.shape[1:]
        return image[:, self.top : self.top + height, self.left : self.left + width]

    def put(self, image: Tensor) -> Tensor:
        """A copy of the image with it."""
        changed = image.clone()
        self.window(changed).copy_(self.values)
        return changed


@dataclass(frozen=True)
class Infidelity(Metric):
    """The share of the energy of score changes that a map leaves unexplained, after scaling.

    Squares of uniform noise are put into the image, each alone, ``count`` of every size. With
    ``b = z(x + d) - z(x)`` the changes of the logit and ``a = <p, d>`` those that the map
    foretells, it is ``min_s sum (s a - b)^2 / sum b^2 = 1 - (a b)^2 / (a a) (b b)``, the mean over
    sizes: 0 is foretold up to one factor, 1 is no better than nothing. Yeh et al. (2019,
    arXiv 1901.09392) define infidelity and the best scaling; that it is divided by the energy, so
    that images count alike, is ours.

    It does not show whether the map depends on the target, and noise is not what the network was
    trained on. A map of edges may score well where objects are.

    Attributes:
        parts: A side of the image divided by those of the squares.
        count: Squares of each size.
        scaled: Whether the map is scaled at best.
    """

    name: str = "infidelity"
    parts: tuple[int, ...] = (2, 4)
    count: int = 20
    scaled: bool = True

    title: ClassVar[str] = "Infidelity"
    better: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "arXiv 1901.09392"

    def of(self, batch: Batch, method: Explainer) -> Scores:
        maps = batch.maps(method)
        if maps is None:
            return nothing(batch)
        foretold = self.foretold(batch, method.as_gradient(maps, batch.session))
        found = unexplained(foretold, self.changes(batch), scaled=self.scaled)
        means: Scores = found.reshape(len(batch), -1).mean(1)
        return means

    def patches(self, batch: Batch) -> list[list[list[Patch]]]:
        """For each image and size, its squares."""
        return batch.shared(
            ("patches", self.parts, self.count),
            lambda: [
                [list(self._drawn(batch, n, part)) for part in self.parts] for n in _of(batch)
            ],
        )

    def _drawn(self, batch: Batch, number: int, part: int) -> Iterator[Patch]:
        chance = batch.chance(number, f"patches {part}")
        image = batch.x[number]
        channels, height, width = image.shape
        side = max(1, min(height, width) // part)
        for _ in range(self.count):
            top, left = (int(chance.integers(length - side + 1)) for length in (height, width))
            noise = chance.uniform(-1, 1, (channels, side, side))
            yield Patch(top, left, torch.from_numpy(noise).to(image))

    def changes(self, batch: Batch) -> Scores:
        """The changes of the logit, (N * sizes, count); the forward passes are shared by all."""

        def measured() -> Scores:
            perturbed = (
                (n, patch.put(batch.x[n]))
                for n, sizes in enumerate(self.patches(batch))
                for patches in sizes
                for patch in patches
            )
            after = batch.values(perturbed).reshape(len(batch), -1)
            return (after - batch.scores[:, None]).reshape(-1, self.count)

        return batch.shared(("changes", self.parts, self.count), measured)

    def foretold(self, batch: Batch, gradient: Tensor) -> Scores:
        """What a map foretells of them, likewise."""
        rows = []
        for image, one, sizes in zip(batch.x, gradient, self.patches(batch), strict=True):
            for patches in sizes:
                change = torch.stack([patch.values - patch.window(image) for patch in patches])
                seen = torch.stack([patch.window(one) for patch in patches])
                rows.append((exact(change) * exact(seen)).sum((1, 2, 3)))
        return np.stack(rows)


def unexplained(foretold: Scores, true: Scores, *, scaled: bool) -> Scores:
    """Which share of the energy of each row of true changes, (R, K), is not foretold, (R,)."""
    energy = np.maximum((true**2).sum(1), TINY)
    if scaled:
        both = (foretold * true).sum(1)
        found: Scores = 1 - both**2 / np.maximum((foretold**2).sum(1), TINY) / energy
    else:
        found = ((foretold - true) ** 2).sum(1) / energy
    return found


@dataclass(frozen=True)
class UnscaledInfidelity(Infidelity):
    """The same with the map as it is: ``sum (a - b)^2 / sum b^2``.

    It also asks whether the map is as large as the changes; 1 is what a map of zeros has, and there
    is no upper end. Maps that have no unit, such as heat and guided backpropagation, fail it for
    this reason alone.
    """

    name: str = "infidelity_unscaled"
    scaled: bool = False

    title: ClassVar[str] = "Infidelity, unscaled"


@dataclass(frozen=True)
class AccumulatingInfidelity(Metric):
    """Infidelity as the paper's evaluation computes it: squares stay, until nothing is left.

    The image is covered with squares from the upper left, row by row; each is filled with one
    number, and all that came before stay. With ``a = <p, x - x'>`` and ``b = z(x) - z(x')`` of each
    such image it is the mean of ``(s a - b)^2`` in squares of logits, with the best ``s`` of the
    image (the paper's program) or without (Quantus). So most of it compares the image with one that
    is nearly gone. The map is taken as the method returns it, whatever its numbers mean.

    Numbers of networks with larger logits are larger, and a few images may make most of a mean.
    The paper works on normalised images, where maps that are no gradients differ from those here.

    Attributes:
        side: Of a square: the image's side divided by this; 4 is 56 of 224 pixels.
        samples: How often with other numbers.
        baseline: ``"uniform"``: a number from -1 to 1 for each square; ``"black"``: the image's
            smallest.
        scaled: Whether the map is scaled at best.
    """

    name: str = "infidelity_accumulating"
    side: int = 4
    samples: int = 5
    baseline: str = "uniform"
    scaled: bool = True

    title: ClassVar[str] = "Infidelity, accumulating"
    better: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "arXiv 2507.22832 and its program; Quantus"

    def scores(self, batch: Batch, methods: Sequence[Explainer]) -> Scores:
        maps = [batch.maps(method) for method in methods]
        flat = [None if one is None else exact(one).reshape(len(batch), -1) for one in maps]
        unknown = np.full(batch.x[0].numel(), np.nan)
        true, found = self._changes(batch), np.empty((len(batch), len(methods)))
        for n in range(len(batch)):
            rows = np.stack([unknown if one is None else one[n] for one in flat], axis=1)
            image = exact(batch.x[n])
            foretold = np.stack(
                [(image - exact(one)).ravel() @ rows for one in self._steps(batch, n)]
            )
            if self.scaled:
                both, own = true[n] @ foretold, (foretold**2).sum(0)
                foretold = foretold * (both / np.maximum(own, TINY))
            found[n] = ((foretold - true[n][:, None]) ** 2).mean(0)
        return found

    def _steps(self, batch: Batch, number: int) -> Iterator[Tensor]:
        """The images with more and more squares."""
        image = batch.x[number]
        side = max(1, min(image.shape[1:]) // self.side)
        chance = batch.chance(number, f"accumulating {self.side}")
        for _ in range(self.samples if self.baseline == "uniform" else 1):
            changed = image.clone()
            for top in range(0, image.shape[1], side):
                for left in range(0, image.shape[2], side):
                    fill = chance.uniform(-1, 1) if self.baseline == "uniform" else image.min()
                    changed = changed.clone()
                    changed[:, top : top + side, left : left + side] = fill
                    yield changed

    def _changes(self, batch: Batch) -> Scores:
        def measured() -> Scores:
            steps = ((n, one) for n in _of(batch) for one in self._steps(batch, n))
            after = batch.values(steps).reshape(len(batch), -1)
            return np.asarray(batch.scores[:, None] - after)

        return batch.shared(("accumulating", self.side, self.samples, self.baseline), measured)


@dataclass(frozen=True)
class UnscaledAccumulatingInfidelity(AccumulatingInfidelity):
    """The same with the map as it is, which is Quantus's ``Infidelity``.

    It mostly tells the size of a map: one of zeros may have the best number.
    """

    name: str = "infidelity_accumulating_unscaled"
    scaled: bool = False

    title: ClassVar[str] = "Infidelity, accumulating, unscaled"


def _of(batch: Batch) -> range:
    return range(len(batch))
