"""A network of two inputs, and points in the plane for it to tell apart."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import checks
from .weights import checked_seed, seeded

EXTENT = 1.5
"""The plane goes from -EXTENT to EXTENT in both directions."""

NOISE = 0.08


class Points(NamedTuple):
    """Points in the plane and their classes.

    Attributes:
        places: (N, 2), first the horizontal coordinate, then the vertical one, upwards.
        labels: (N,), 0 or 1.
    """

    places: Tensor
    labels: Tensor


def _moons(turn: Tensor, upper: Tensor) -> Tensor:
    angle = turn * math.pi
    x = torch.where(upper, angle.cos() - 0.5, 0.5 - angle.cos())
    y = torch.where(upper, angle.sin() - 0.25, 0.25 - angle.sin())
    return torch.stack([x, y], 1) * 0.8


def _ring(turn: Tensor, outer: Tensor) -> Tensor:
    angle, radius = turn * 2 * math.pi, torch.where(outer, 1.1, 0.4)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def _corners(turn: Tensor, odd: Tensor) -> Tensor:
    # Four clouds; opposite ones belong together, so that no straight line tells them apart.
    angle = turn * 8 * math.pi
    radius = 0.35 * (turn * 97 % 1).sqrt()
    x = torch.where(turn < 0.5, 0.75, -0.75)
    y = torch.where(odd, x, -x)
    return torch.stack([x + radius * angle.cos(), y + radius * angle.sin()], 1)


SHAPES = MappingProxyType({"moons": _moons, "ring": _ring, "corners": _corners})
"""Arrangements of points that come by name."""


def toy_points(name: str = "moons", count: int = 40, seed: int = 0) -> Points:
    """Points of two classes, half of each.

    Args:
        name: One of ``SHAPES``.
        count: Of all points.
        seed: Of their scatter.

    Raises:
        ValueError: For another name, or no points.
    """
    if name not in SHAPES:
        raise ValueError(f"There are no points {name!r}; choose from: {', '.join(SHAPES)}.")
    count = checks.whole("count", count)
    half = count - count // 2
    chance = torch.Generator().manual_seed(checked_seed(seed))
    turn = (torch.arange(half) + 0.5) / half
    turn, labels = torch.cat([turn, turn])[:count], torch.arange(2).repeat_interleave(half)[:count]
    places = SHAPES[name](turn, labels == 0)
    return Points(places + NOISE * torch.randn(count, 2, generator=chance), labels)


def checked_points(points: Any) -> Points:
    """Points from a name or a pair of places and labels.

    Raises:
        ValueError: If they are none.
    """
    if isinstance(points, str):
        return toy_points(points)
    try:
        places, labels = points
        places = torch.as_tensor(places).detach().cpu().float()
        given = torch.as_tensor(labels).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"The points are {type(points).__name__}; expected a name ({', '.join(SHAPES)}) or a "
            "pair of places (N, 2) and labels (N,)."
        ) from error
    fits = places.dim() == 2 and places.shape[1] == 2 and given.shape == places.shape[:1]
    if not fits or not len(given) or not torch.isfinite(places).all():
        raise ValueError(
            f"The points have places of shape {tuple(places.shape)} and labels of shape "
            f"{tuple(given.shape)}; expected finite numbers (N, 2) and (N,)."
        )
    if not set(given.tolist()) <= {0, 1}:
        raise ValueError(
            "Some labels are neither 0 nor 1; the toy network tells two classes apart."
        )
    return Points(places, given.long())


def toy_network(width: int = 8, depth: int = 2, seed: int = 0) -> nn.Sequential:
    """Linear layers with ReLUs between them, from (N, 2) to (N, 1).

    Args:
        width: Units of each hidden layer.
        depth: Hidden layers.
        seed: Of the weights.

    Raises:
        ValueError: If width or depth are below 1, or the seed is none.
    """
    sizes = [2, *[checks.whole("width", width)] * checks.whole("depth", depth)]

    def build() -> nn.Sequential:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (before, after) in enumerate(itertools.pairwise(sizes), start=1):
            layers[f"linear{number}"] = nn.Linear(before, after)
            layers[f"relu{number}"] = nn.ReLU()
        layers["score"] = nn.Linear(sizes[-1], 1)
        return nn.Sequential(layers)

    return seeded(build, seed)


class ToyTraining:
    """A training that can go on after its points have moved.

    Attributes:
        network: What is trained.
        loss: Of the last step, NaN before the first.
    """

    def __init__(self, network: nn.Module, learning_rate: float = 0.02) -> None:
        self.network = network
        self.loss = float("nan")
        self._optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)

    def go(self, points: Points, steps: int) -> None:
        """So many steps on all points: the score shall be positive for class 1."""
        wanted = points.labels.float()
        with torch.enable_grad():
            for _ in range(steps):
                loss = F.binary_cross_entropy_with_logits(self.network(points.places)[:, 0], wanted)
                self._optimizer.zero_grad()
                loss.backward()
                self._optimizer.step()
                self.loss = float(loss.detach())
