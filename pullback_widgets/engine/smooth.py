"""Smooth activations ``f(z) = z * gate(z)``: their own gates, and these gates under noise.

*Expected gating* (the project's definition; compare arXiv 2507.22832v6, whose gates are rescaled
instead): a soft gate is the mean of the own gate when the pre-activation carries normal noise of
standard deviation ``s``. For a gate that is nearly ``Phi((z - m) / k)`` this is nearly the own
gate at ``m + (z - m) / sqrt(1 + (s / k)^2)``: exact for GELU, and for every gate at ``s = 0``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class SmoothGate(NamedTuple):
    """The gate of a smooth activation.

    Attributes:
        own: From pre-activations to ``f(z) / z``, 0 to 1.
        expected: From pre-activations and the noise's standard deviation to the mean of the gate.
        rescaled: From ``z / T`` to the gate of the paper's version 6; None where it has none.
    """

    own: Callable[[Tensor], Tensor]
    expected: Callable[[Tensor, float | Tensor], Tensor]
    rescaled: Callable[[Tensor], Tensor] | None = None


def _tanh_gelu(z: Tensor) -> Tensor:
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def _hardswish(z: Tensor) -> Tensor:
    return (z / 6 + 0.5).clamp(0, 1)


def _mish(z: Tensor) -> Tensor:
    return F.softplus(z).tanh()


def _like(noise: float | Tensor, z: Tensor) -> Tensor:
    return torch.as_tensor(noise, dtype=z.dtype, device=z.device)


def _widened(
    own: Callable[[Tensor], Tensor], width: float, middle: float = 0.0
) -> Callable[[Tensor, float | Tensor], Tensor]:
    """The mean under noise of a gate that is nearly ``Phi((z - middle) / width)``."""

    def expected(z: Tensor, noise: float | Tensor) -> Tensor:
        widening = (1 + (_like(noise, z) / width).square()).rsqrt()
        return own((z - middle) * widening + middle)

    return expected


def _expected_hardswish(z: Tensor, noise: float | Tensor) -> Tensor:
    """The mean of ``clamp(z / 6 + 1/2, 0, 1)``, in closed form."""
    s = _like(noise, z).clamp_min(1e-12)
    low, high = (-3 - z) / s, (3 - z) / s
    below, above = torch.special.ndtr(low), torch.special.ndtr(high)
    density = (torch.exp(-high.square() / 2) - torch.exp(-low.square() / 2)) / math.sqrt(
        2 * math.pi
    )
    return (1 - above + ((z + 3) * (above - below) - s * density) / 6).clamp(0, 1)


# Mish's gate is 1/2 at -0.3119 and has there the slope of a normal distribution of deviation 1.258;
# the logistic function is nearly the normal distribution of deviation 1.702.
SMOOTH: dict[str, SmoothGate] = {
    "gelu": SmoothGate(torch.special.ndtr, _widened(torch.special.ndtr, 1.0), torch.special.ndtr),
    "gelu tanh": SmoothGate(_tanh_gelu, _widened(_tanh_gelu, 1.0), torch.special.ndtr),
    "silu": SmoothGate(torch.sigmoid, _widened(torch.sigmoid, 1.702), torch.sigmoid),
    "hardswish": SmoothGate(_hardswish, _expected_hardswish),
    "mish": SmoothGate(_mish, _widened(_mish, 1.258, -0.3119)),
}
"""By form; the first word is the operation, as ``Softening.kinds`` names it."""

NOISE = {"sigmoid": 1.702, "normal": 1.0}
"""The standard deviation of the noise under which a ReLU's gate is the soft one, in units of T."""

OWN: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu tanh": functools.partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "hardswish": F.hardswish,
    "mish": F.mish,
}
"""The activations themselves."""
