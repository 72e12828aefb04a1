"""Whether a pullback is the same everywhere, as those of a mean over an early layer's map are."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..engine.layer import Layer
from ..engine.target import Channel, Target

EVEN = 0.9
"""Least cosine. Measured on the built-in network and one photograph (coffee): the stem has 1.0 at
the temperatures 0, 0.85 and 5; the first block 0.67 to 0.99."""


Grid = tuple[int, int]
"""Rows and columns."""


def places(target: Target, layers: Iterable[Layer]) -> Grid | None:
    """Over which places of its layer a target is a mean; None for any other target.

    Args:
        target: What is pulled back.
        layers: Of the network; its own is enough.
    """
    if not isinstance(target, Channel) or target.reduce != "mean":
        return None
    return next((one.grid for one in layers if one.name == target.layer), None)


def even(pullback: Tensor, places: Grid | None) -> str:
    """Why a picture is the same everywhere, after "This is"; empty if it is not.

    Args:
        pullback: (C, H, W).
        places: See :func:`places`.
    """
    if places is None or not is_even(pullback, places):
        return ""
    return (
        f"the pullback of a mean over {places[0]} x {places[1]} places, and nearly the same "
        "everywhere"
    )


def is_even(pullback: Tensor, grid: Grid) -> bool:
    """Whether a picture hardly changes when it is moved by a quarter of its layer's places.

    Args:
        pullback: (C, H, W).
        grid: Rows and columns of the layer, between which the picture may repeat itself.
    """
    height, width = pullback.shape[1:]
    down, right = (
        (side // places) * (places // 4) for side, places in zip((height, width), grid, strict=True)
    )
    if min(down, right) < 1:
        return False
    first, moved = pullback[:, :-down, :-right], pullback[:, down:, right:]
    cosine = torch.nn.functional.cosine_similarity(first.flatten(), moved.flatten(), dim=0)
    return bool(cosine >= EVEN)
