"""A hidden layer on an image: its strongest channels and its pre-activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..engine.layer import Layer
from ..engine.session import Session
from ..engine.target import LOGITS
from ..engine.tokens import Tokens

STRONGEST = 12
BINS = 60
CONSTANT = 1e-3
"""Below this share of the largest scale, a channel is taken for constant."""


class Histogram(NamedTuple):
    """Counts of values between ``low`` and ``high`` in equal bins."""

    counts: NDArray[np.int64]
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class LayerView:
    """A hidden layer on the image at hand.

    Attributes:
        layer: The layer; for the logits, with the shape (K,).
        strongest: Channel and activation map, strongest mean positive value first; none for logits.
        activations: Its values, (C, ...), on the CPU; none for logits.
        gated: The layer whose pre-activations the histograms count.
        absolute: Histogram of its pre-activations.
        relative: Histogram of its pre-activations in units of each channel's scale, without
            constant channels.
        constant: How many channels that leaves out: those with nearly no scale.
        form: Which activation they enter, such as ``"relu"`` or ``"gelu"``.
        scale: The median of the channels' scales.
    """

    layer: Layer
    strongest: list[tuple[int, NDArray[np.float32]]]
    activations: Tensor | None
    gated: str
    absolute: Histogram
    relative: Histogram
    constant: int
    form: str
    scale: float

    def activation(self, channel: int, position: tuple[int, ...]) -> float | None:
        """The value of a unit; None for logits and for places that the layer does not have."""
        values = self.activations
        if values is None or values.dim() != 1 + len(position):
            return None
        return float(values[channel][position])

    def largest(self, position: tuple[int, ...]) -> int | None:
        """The channel that is largest at a place; None as above."""
        values = self.activations
        if values is None or values.dim() != 1 + len(position):
            return None
        return int(values.movedim(0, -1)[position].argmax())


def layer_view(session: Session, layer: str) -> LayerView:
    """A layer on the session's image: its strongest channels and its pre-activations."""
    gated, values, scale = session.gate_inputs(layer)
    strongest: list[tuple[int, NDArray[np.float32]]] = []
    activations = None
    if layer == LOGITS:
        found = Layer(LOGITS, "", tuple(session.logits.shape))
    else:
        found = next(one for one in session.layers if one.name == layer)
        activations = session.activations(layer).float().cpu()
        for channel, _ in session.strongest(layer, k=STRONGEST):
            strongest.append((channel, _as_map(activations[channel], found.tokens)))
    values = values.float().cpu()
    scale = scale.float().cpu()
    # A constant channel has no scale: it alone would be a million units wide.
    varies = ~(scale < CONSTANT * scale.max())
    units = scale[varies].view(-1, *[1] * (values.dim() - 1))
    relative = histogram(values[varies] / units)
    constant = int((~varies).sum())
    absolute, middle = histogram(values), float(scale.median())
    form = session.recording.gate_form(gated)
    return LayerView(
        found, strongest, activations, gated, absolute, relative, constant, form, middle
    )


def histogram(values: Tensor) -> Histogram:
    """Counts in BINS bins around zero that hold the central 99 % of the values."""
    array = values.flatten().numpy()
    array = array[np.isfinite(array)]
    low, high = np.percentile(array[:: max(1, array.size // 100_000)], [0.5, 99.5])
    reach = float(max(abs(low), abs(high))) or 1.0
    low, high = max(float(low), -reach) if low < 0 else -0.2 * reach, float(max(high, 0.2 * reach))
    counts, _ = np.histogram(array, BINS, (low, high))
    return Histogram(counts, low, high)


def _as_map(values: Tensor, tokens: Tokens | None) -> NDArray[np.float32]:
    """One channel as a two-dimensional map, whatever dimensions the layer has."""
    if tokens is not None:  # the patches alone
        return values[len(tokens.prefix) :].reshape(tokens.grid).numpy()
    if values.dim() >= 2:
        return values.reshape(-1, values.shape[-1]).numpy()
    return values.reshape(1, -1).numpy()
