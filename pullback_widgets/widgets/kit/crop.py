"""Which part of a photograph the network sees.

A network sees the centre of what it is given (``engine.image``). What is made here has another part
there.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ...engine.image import CENTRE, load_photograph

MIDDLE, START, END, PADDED, SQUEEZED = PARTS = (
    "centre",
    "left or top",
    "right or bottom",
    "all, on grey",
    "all, squeezed",
)
"""What one can choose, the first as everywhere else."""

LARGEST = 2048
"""Pixels of the longer side of a photograph that is shown whole on grey; networks see fewer."""


def cropped(source: object, part: str, name: str) -> Image.Image:
    """A photograph of which the network sees a part.

    Args:
        source: What ``load_photograph`` takes.
        part: One of ``PARTS`` but the first.
        name: The photograph's; the part is added.

    Raises:
        ImageError: If the source is no photograph.
    """
    square = _square(load_photograph(source), part)
    margin = round(square.width * (1 / CENTRE - 1) / 2)
    around = ((margin, margin), (margin, margin), (0, 0))
    made = Image.fromarray(np.pad(np.asarray(square), around, "edge"))
    made.filename = f"{name}, {part}.png"  # type: ignore[attr-defined]
    return made


def _square(photograph: Image.Image, part: str) -> Image.Image:
    """What the network shall see."""
    width, height = photograph.size
    if part == SQUEEZED:
        side = min(width, height)
        return photograph.resize((side, side), Image.Resampling.BILINEAR)
    if part == PADDED:
        photograph.thumbnail((LARGEST, LARGEST))
        width, height = photograph.size
        side = max(width, height)
        square = Image.new("RGB", (side, side), (128, 128, 128))
        square.paste(photograph, ((side - width) // 2, (side - height) // 2))
        return square
    side = max(1, round(CENTRE * min(width, height)))
    left, top = (width - side) // 2, (height - side) // 2
    if width > height:
        left = 0 if part == START else width - side
    else:
        top = 0 if part == START else height - side
    return photograph.crop((left, top, left + side, top + side))
