"""Whether a map is where its class is: four photographs as one image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..engine.model import Model
from ..engine.session import Session
from .batch import Batch, Neighbour, Scores, answers, exact
from .methods import Explainer, key
from .metric import TINY, Direction, Metric

NEIGHBOURS = 32
"""So many images serve the mosaics of all others."""


@dataclass(frozen=True)
class Localisation(Metric):
    """The share of what speaks for a class that lies in its quarter of a mosaic.

    The image and three of other classes, at half the size, stand side by side as one; the map is
    that of the image's target, and the share is of ``sum_c p x`` where it is positive, summed over
    colours. By chance it is 0.25. After Focus, Arias-Duart et al. (2021, arXiv 2109.15035).

    It takes for granted that nothing in the other quarters speaks for the class, and that the class
    is in the image at all. A mosaic is no photograph; what changes at its seams may count.

    Attributes:
        tiles: In how many of the four the image is.
        multiplied: Whether maps are read as shares of the target; otherwise as they are.
    """

    name: str = "localisation"
    tiles: int = 1
    multiplied: bool = True

    title: ClassVar[str] = "Localisation"
    better: ClassVar[Direction] = "higher"
    source: ClassVar[str] = "arXiv 2109.15035"

    def scores(self, batch: Batch, methods: Sequence[Explainer]) -> Scores:
        found = np.full((len(batch), len(methods)), np.nan)
        mosaics = [self.mosaic(batch, n) for n in range(len(batch))]
        known = [n for n, one in enumerate(mosaics) if one is not None]
        if not known:
            return found
        images = torch.stack([one[0] for one in mosaics if one is not None])
        inside = torch.stack([one[1] for one in mosaics if one is not None]).to(images.device)
        session = Session(batch.model, images.clamp(-1, 1), range=(-1, 1))
        targets = [batch.targets[n] for n in known]
        for column, method in enumerate(methods):
            maps = batch.explained(method, session, targets)
            if maps is not None:
                read = method.as_contribution(maps, session).sum(1) if self.multiplied else maps
                found[known, column] = share(read, inside)
        return found

    def mosaic(self, batch: Batch, number: int) -> tuple[Tensor, Tensor] | None:
        """An image's mosaic, (C, H, W), and where in it it is, true or false, (H, W).

        None where too few others are of other classes.
        """
        target = batch.targets[number]
        others = [
            one
            for one in batch.neighbours
            if one.key != batch.keys[number] and target not in (one.top, one.label)
        ]
        chance = batch.chance(number, f"mosaic {self.tiles}")
        order, places = chance.permutation(len(others)), chance.permutation(4)
        if len(others) < 4 - self.tiles:
            return None
        small = half_size(batch.x[number])
        tiles = [small] * 4
        for place, other in zip(places[self.tiles :], order, strict=False):
            tiles[place] = others[other].pixels.to(small)
        rows = [torch.cat(tiles[n : n + 2], dim=2) for n in (0, 2)]
        inside = torch.zeros(4, dtype=torch.bool)
        inside[places[: self.tiles].tolist()] = True
        height, width = small.shape[1:]
        mask = inside.view(2, 2).repeat_interleave(height, 0).repeat_interleave(width, 1)
        return torch.cat(rows, dim=1), mask


@dataclass(frozen=True)
class Focus(Localisation):
    """The same with the image in two of the four quarters, and with maps as they are.

    As the paper's evaluation has it: the positive values of the map, not multiplied with the image.
    By chance it is 0.5. The definition takes two photographs of one class.
    """

    name: str = "focus"
    tiles: int = 2
    multiplied: bool = False

    title: ClassVar[str] = "Focus"


def share(maps: Tensor, inside: Tensor) -> Scores:
    """Which share of the positive part of maps, (N, [C,] H, W), lies inside of masks, (N, H, W)."""
    positive = exact(maps.clamp_min(0))
    where = inside.cpu().numpy()
    where = where[:, None] if positive.ndim == 4 else where
    axes = tuple(range(1, positive.ndim))
    total = positive.sum(axes)
    found: Scores = np.where(
        total > 0, (positive * where).sum(axes) / np.maximum(total, TINY), np.nan
    )
    return found


def half_size(image: Tensor) -> Tensor:
    """An image (C, H, W) for a mosaic, (C, H / 2, W / 2)."""
    size = (max(1, image.shape[1] // 2), max(1, image.shape[2] // 2))
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0].clamp(-1, 1)


def neighbours(
    model: Model, images: Iterable[tuple[Tensor, int | None]], at_once: int
) -> list[Neighbour]:
    """What mosaics need of some images, (C, H, W) each with its class."""
    found: list[Neighbour] = []
    several = list(images)
    for start in range(0, len(several), at_once):
        part = several[start : start + at_once]
        pixels = torch.stack([image for image, _ in part])
        tops = answers(model, pixels).argmax(1).tolist()
        device, dtype = model.placement()
        found += [
            # Keys as a batch has them, which sees the images in the network's type.
            Neighbour(key(image.to(device, dtype)), top, label, half_size(image))
            for (image, label), top in zip(part, tops, strict=True)
        ]
    return sorted(found, key=lambda one: one.key)  # the same in whatever order they came
