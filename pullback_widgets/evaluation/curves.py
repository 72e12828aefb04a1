"""What becomes of a probability while the image is taken away, or comes back, pixel by pixel."""

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

GREY = 0.0


@dataclass(frozen=True)
class Deletion(Metric):
    """The mean probability of the target while pixels become grey, the most important first.

    Pixels go in the order of ``sum_c p x``, in ``steps`` steps of one size; the area under the
    curve, 0 to 1, by the trapezoidal rule. Petsiuk, Das and Saenko (2018, arXiv 1806.07421). Where
    the network has no probabilities, its logit is taken.

    A few pixels of high contrast fool many networks, so a low area may show how fragile the network
    is, not how true the map.

    Attributes:
        steps: Of the curve.
    """

    name: str = "deletion"
    steps: int = 16

    title: ClassVar[str] = "Deletion"
    better: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "arXiv 1806.07421"
    inserts: ClassVar[bool] = False

    def of(self, batch: Batch, method: Explainer) -> Scores:
        found = self.curve(batch, method)
        return nothing(batch) if found is None else area(found)

    def curve(self, batch: Batch, method: Explainer) -> Scores | None:
        """The probabilities, (N, steps + 1); the first with nothing taken or put yet."""
        maps = batch.maps(method)
        if maps is None:
            return None
        read = method.as_contribution(maps, batch.session).sum(1)
        perturbed = (
            (n, one) for n, row in enumerate(read) for one in self._images(batch.x[n], falling(row))
        )
        return batch.values(perturbed, probability=True).reshape(len(batch), -1)

    def _images(self, image: Tensor, order: NDArray[np.int64]) -> Iterator[Tensor]:
        grey = torch.full_like(image, GREY)
        start, end = (grey, image) if self.inserts else (image, grey)
        for step in range(self.steps + 1):
            count = round(len(order) * step / self.steps)
            places = torch.from_numpy(order[:count]).to(image.device)
            changed = start.clone()
            changed.flatten(1)[:, places] = end.flatten(1)[:, places]
            yield changed


@dataclass(frozen=True)
class Insertion(Deletion):
    """The mean probability while pixels come to a grey image, the most important first.

    The reverse of deletion, with its source and its limits: grey is an image, too, and a network
    may take the first pixels for whatever it likes.
    """

    name: str = "insertion"

    title: ClassVar[str] = "Insertion"
    better: ClassVar[Direction] = "higher"
    inserts: ClassVar[bool] = True


def falling(values: Tensor) -> NDArray[np.int64]:
    """The places of a map (H, W) by falling value."""
    return np.argsort(-exact(values).ravel(), kind="stable")


def area(curves: Scores) -> Scores:
    """The area under each of some curves, (N, K), over a unit of length."""
    found: Scores = ((curves[:, 1:] + curves[:, :-1]) / 2).mean(1)
    return found
