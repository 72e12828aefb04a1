"""Thumbnails of what a unit sees: a square of the image, equally large for a whole layer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..drawing import pixels
from ..drawing.pixels import RGB
from ..engine.layer import Layer
from ..engine.model import Model
from ..engine.recording import Recording
from ..engine.softening import Softening
from ..engine.target import Direction

ENERGY = 0.95
"""Share of a pullback's energy that lies in the box."""

WHOLE = 0.75
"""A box larger than this share of the image becomes the whole image."""


def layer_and_box(model: Model, name: str, size: tuple[int, int]) -> tuple[Layer, int]:
    """The layer, and the side of the box that most of its units' pullbacks fit into."""
    recording = Recording(model, model.blank(*size), until={name})
    layer = next(one for one in recording.layers if one.name == name)
    whole = min(size)
    if len(layer.shape) < 2:
        return layer, whole
    # All gates half open, so that it depends neither on an image nor on a temperature; all
    # channels at once, with random weights, so that they do not cancel.
    weights = torch.randn(layer.shape[0], generator=torch.Generator().manual_seed(0))
    middle = tuple(length // 2 for length in layer.shape[1:])
    linear = Softening(1e9, units="absolute")
    pulled = recording.pull([Direction(name, weights, middle)], linear, last=True)
    energy = pulled.double().cpu().square().sum(1)
    wanted, box = ENERGY * float(energy.sum()), 1
    if not 0 < wanted < math.inf:  # grey as it is, this image tells nothing of what a unit sees
        return layer, whole
    while box < whole and float(_sums(energy, box).max()) < wanted:
        box += 1
    return layer, whole if box > WHOLE * whole else box


def cut(pulled: Tensor, image: Tensor, box: int, side: int) -> tuple[tuple[int, int], RGB, RGB]:
    """The box that holds most of a pullback's energy, as pictures.

    Args:
        pulled: (3, H, W).
        image: (3, H, W) in [-1, 1].
        box: Side of the box, in pixels.
        side: Side of the pictures.

    Returns:
        Top and left of the box; the pullback and the image in it, (side, side, 3) bytes.
    """
    sums = _sums(pulled.double().square().sum(0, keepdim=True), box)[0]
    top, left = divmod(int(sums.argmax()), sums.shape[1])
    place = (slice(None), slice(top, top + box), slice(left, left + box))
    shown = pixels.signed_map(_resized(pulled[place], side))
    return (top, left), shown, pixels.photograph(_resized(image[place], side))


def _sums(values: Tensor, box: int) -> Tensor:
    """Sums over all squares of a side: (N, H, W) to (N, H - box + 1, W - box + 1)."""
    sums = F.pad(values.cumsum(1).cumsum(2), (1, 0, 1, 0))
    tall = sums[:, box:] - sums[:, :-box]
    return tall[:, :, box:] - tall[:, :, :-box]


def _resized(values: Tensor, side: int) -> Tensor:
    """(3, box, box) to (3, side, side)."""
    values = values.float()[None]
    return F.interpolate(values, (side, side), mode="bilinear", antialias=True)[0]
