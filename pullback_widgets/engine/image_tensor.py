"""Tensors that are given as images: checked, and brought to [-1, 1]."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from .caller import warn_caller
from .image_error import ImageError

Range = tuple[float, float]
"""The values that mean black and white in a tensor."""

_TOLERANCE = 1e-6  # rounding that a tensor may exceed its range by

_CHANNELS = {3: "RGB", None: "RGB or as many channels as the network takes"}

_told = WeakIdKeyDictionary()
"""The tensors of which was said that they look like [0, 1]: figures read them more than once."""


def checked_range(range: Any) -> Range | None:
    """Two numbers, the second larger, or None.

    Raises:
        ValueError: If it is anything else.
    """
    if range is None:
        return None
    try:
        low, high = (float(bound) for bound in range)
    except (TypeError, ValueError):
        low = high = math.nan
    if not low < high or math.isinf(high - low):
        raise ValueError(
            f"range is {range!r}; expected the two numbers that mean black and white, such as "
            "(0, 1) or (-1, 1)."
        )
    return low, high


def checked_image(
    image: Tensor, *, batch: bool, channels: int | None, range: Range | None = None
) -> Tensor:
    """A copy of a tensor in [-1, 1], without gradient.

    Args:
        image: Floating-point numbers (C, H, W), or (N, C, H, W).
        batch: Whether it has the images in front.
        channels: C; None for any number.
        range: What it is in; by default [-1, 1], with a warning if it looks like [0, 1].

    Raises:
        ImageError: For another shape, type or range.
    """
    shape = tuple(image.shape)
    count = 3 if channels is None else channels
    expected = f"(N, {count}, H, W)" if batch else f"({count}, H, W)"
    if not image.is_floating_point():
        raise ImageError(
            f"The image tensor holds {image.dtype}; expected floating-point numbers in [-1, 1]: "
            "x.float() / 127.5 - 1 for values in 0..255."
        )
    wrong = channels is not None and shape[-3:-2] != (channels,)
    if len(shape) != 3 + batch or wrong or 0 in shape:
        raise ImageError(
            f"The image tensor has the shape {shape}; expected {expected}, "
            f"{_CHANNELS.get(channels, 'as many channels as mean has numbers')}, at least one "
            f"pixel{_hint(shape, 3 + batch, channels)}."
        )
    given, image = image, image.detach()
    low, high = (float(bound) for bound in torch.aminmax(image))
    if math.isnan(low):
        raise ImageError(
            "The image tensor contains NaN; expected numbers in [-1, 1]: see where they arose, or "
            "replace them with x.nan_to_num()."
        )
    if range is not None and range != (-1.0, 1.0):
        black, white = range
        if low < black - _TOLERANCE or high > white + _TOLERANCE:
            raise ImageError(
                f"The image tensor reaches from {low:.4g} to {high:.4g}; expected the range that "
                f"was given, [{black:g}, {white:g}]: leave range out for tensors in [-1, 1], which "
                "images of this package are."
            )
        return (image - black) * (2 / (white - black)) - 1
    if not max(-low, high) <= 1 + _TOLERANCE:
        raise ImageError(
            f"The image tensor reaches from {low:.4g} to {high:.4g}; expected [-1, 1]: "
            "x / 127.5 - 1 for values in 0..255, x * 2 - 1 for [0, 1], x.clamp(-1, 1) for small "
            "excess."
        )
    if range is None and 0 <= low < high and given not in _told:
        _told[given] = True
        warn_caller(
            f"The image tensor reaches from {low:.4g} to {high:.4g} and is taken to be in [-1, 1], "
            "where nothing of it is darker than mid-grey; if it is in [0, 1] give x * 2 - 1 or, to "
            "pw.Session, range=(0, 1), and if it is right range=(-1, 1)."
        )
    return image.clone()


def _hint(shape: tuple[int, ...], dimensions: int, channels: int | None) -> str:
    if channels is not None and len(shape) == dimensions and shape[-1] == channels:
        return " (channels come first: x.permute(2, 0, 1))"
    if channels == 1 and len(shape) == dimensions and shape[-3] == 3:
        return " (one channel: x.mean(-3, keepdim=True))"
    if channels is not None and len(shape) == dimensions and shape[-3] != channels:
        many = "s" * (shape[-3] != 1)
        return (
            f" (if the network takes {shape[-3]} channel{many}, give pw.Model(mean=..., std=...) "
            f"{shape[-3]} number{many} each)"
        )
    return ""
