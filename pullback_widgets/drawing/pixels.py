"""From tensors to pictures: uint8 arrays that a canvas, a file or a figure shows.

Signed maps have zero in mid-grey. They are scaled by the ``PERCENTILE`` of their absolute values,
a function of the map alone: robust against single pixels, and as steady as the map itself while a
slider is dragged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import whole

RGB = NDArray[np.uint8]
COLOURS = ("rgb", "diverging")

PERCENTILE = 99.5
MID_GREY = 128

# Ends and middle of the diverging map: blue below zero, orange above, told apart by everyone who
# is colour-blind, and the same mid-grey at zero as the RGB map.
_BELOW, _ABOVE = np.array([12, 72, 190.0]), np.array([250, 132, 12.0])


def as_array(image: Any) -> NDArray[np.float32]:
    """A (3, H, W) tensor as an (H, W, 3) float array."""
    if hasattr(image, "detach"):
        image = image.detach().cpu().float().numpy()
    return np.ascontiguousarray(np.moveaxis(np.asarray(image, np.float32), 0, -1))


def limit(signed: Any) -> float:
    """The value that a signed map shows as white, and its negative as black.

    Args:
        signed: (3, H, W) tensor.

    Returns:
        The 99.5th percentile of the absolute values; 1.0 for a map of zeros.
    """
    values = np.abs(as_array(signed)).ravel()
    rank = min(int(values.size * PERCENTILE / 100), values.size - 1)
    value = float(np.partition(values, rank)[rank])
    return value or float(values.max()) or 1.0


def photograph(image: Any) -> RGB:
    """An image as pixels that matplotlib and Pillow show.

    Args:
        image: (3, H, W) tensor or array, or (1, H, W) in grey, in [-1, 1]; what lies outside is
            cut off.

    Returns:
        (H, W, 3) bytes.

    Raises:
        ValueError: For another shape.
    """
    return _bytes((_coloured(image) + 1.0) * 127.5)


def signed_map(signed: Any, colour: str = "rgb", scale: float | None = None) -> RGB:
    """A signed map, such as a pullback, as pixels; zero is mid-grey.

    Args:
        signed: (3, H, W) tensor or array, or (1, H, W), in any units.
        colour: ``"rgb"`` shows the three channels; ``"diverging"`` their mean, blue below zero and
            orange above.
        scale: The value shown at full strength, above 0; by default the 99.5th percentile of the
            absolute values (of the channel mean where that is what is shown).

    Returns:
        (H, W, 3) bytes.

    Raises:
        ValueError: For another shape or colour.
    """
    if colour not in COLOURS:
        raise ValueError(f"There are no colours {colour!r}; choose from: {', '.join(COLOURS)}.")
    values = _coloured(signed)
    if colour == "diverging":
        values = values.mean(-1, keepdims=True)
    strength = values / (scale or limit(np.moveaxis(values, -1, 0)))
    strength = np.clip(strength, -1.0, 1.0)
    if colour == "diverging":
        end = np.where(strength < 0, _BELOW, _ABOVE)
        return _bytes(MID_GREY + np.abs(strength) * (end - MID_GREY))
    return _bytes(MID_GREY + 127.0 * strength)


def overlay(signed: Any, image: Any, colour: str = "rgb") -> RGB:
    """A signed map over a pale, grey version of the photograph it belongs to."""
    grey = photograph(image).astype(np.float32).mean(-1, keepdims=True)
    shown = signed_map(signed, colour).astype(np.float32) - MID_GREY
    return _bytes(0.55 * grey + 0.45 * MID_GREY + shown)


def heat(values: Any) -> RGB:
    """An activation map, (H, W), dark to light, as (H, W, 3) bytes; its own range."""
    array = np.asarray(values, np.float32)
    low, high = float(array.min()), float(array.max())
    share = (array - low) / ((high - low) or 1.0)
    stops = np.array([[18, 20, 44], [92, 44, 120], [214, 84, 82], [252, 210, 120.0]])
    position = share * (len(stops) - 1)
    left = np.clip(position.astype(int), 0, len(stops) - 2)
    part = (position - left)[..., None]
    return _bytes(stops[left] * (1 - part) + stops[left + 1] * part)


def enlarge(picture: RGB, side: int) -> RGB:
    """The picture with every pixel repeated, so that its longer side is at least ``side``."""
    times = max(1, -(-side // max(picture.shape[:2])))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def side_by_side(pictures: Sequence[RGB], gap: int = 8) -> RGB:
    """Pictures of one size in a row on white, enlarged to twice their size or more."""
    large = [enlarge(one, 448) for one in pictures]
    white = np.full((large[0].shape[0], gap, 3), 255, np.uint8)
    parts = [part for one in large for part in (one, white)]
    return np.concatenate(parts[:-1], axis=1)


def png(picture: RGB) -> bytes:
    """The picture as a PNG file."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=4)
    return file.getvalue()


def save(picture: RGB, path: str | Path) -> Path:
    """Write a picture to a file, pixels repeated to at least 896 per side.

    Raises:
        ValueError: If the file name has an ending that Pillow cannot write.
    """
    from PIL import Image

    path = Path(path)
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ValueError(
            f"The file name {path.name!r} has no picture ending that can be written; "
            'use one such as "picture.png".'
        )
    with whole(path) as part:
        Image.fromarray(enlarge(picture, 896)).save(part)
    return path


def _coloured(image: Any) -> NDArray[np.float32]:
    """As (H, W, 3) numbers; one channel is grey."""
    shape = np.shape(image)
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ValueError(
            f"The image has the shape {tuple(shape)}; expected (3, H, W), or (1, H, W) in grey: "
            "give the images of a batch one by one, and of other channels three that shall be "
            "shown."
        )
    array = as_array(image)
    return array if shape[0] == 3 else array.repeat(3, axis=2)


def _bytes(values: NDArray[Any]) -> RGB:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
