"""Whether a pullback is the same everywhere, as those of a mean over an early layer's map are."""

from __future__ import annotations

import torch
from torch import Tensor

EVEN = 0.9
"""Least cosine. Measured on the built-in network and one photograph (coffee): the stem has 1.0 at
the temperatures 0, 0.85 and 5; the first block 0.67 to 0.99."""


def is_even(pullback: Tensor, grid: tuple[int, int]) -> bool:
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
