"""A picture with lines of text under it, for places that show nothing but pictures."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from .letters import letters

TEXT, MARGIN = 15, 8
"""Height of a letter and of the space around the text, in pixels."""


def captioned(png: bytes, lines: Sequence[str]) -> bytes:
    """Write lines under a picture, black on white; those that are too long are broken.

    Args:
        png: A PNG file.
        lines: Plain text.

    Returns:
        A PNG file, as wide as before.
    """
    from PIL import Image, ImageDraw

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    font = letters(TEXT)
    width = picture.width - 2 * MARGIN

    def fits(text: str) -> bool:
        return font.getlength(text) <= width

    broken = [part for line in lines for part in _broken(line, fits)]
    step = round(1.35 * TEXT)
    below = len(broken) * step + 2 * MARGIN
    whole = Image.new("RGB", (picture.width, picture.height + below), "white")
    whole.paste(picture)
    draw = ImageDraw.Draw(whole)
    for number, line in enumerate(broken):
        draw.text((MARGIN, picture.height + MARGIN + number * step), line, "black", font)
    file = io.BytesIO()
    whole.save(file, "PNG", compress_level=4)
    return file.getvalue()


def _broken(line: str, fits: Callable[[str], bool]) -> list[str]:
    """A line, broken at spaces where it does not fit."""
    parts: list[str] = []
    for word in line.split():
        longer = f"{parts[-1]} {word}" if parts else word
        if parts and fits(longer):
            parts[-1] = longer
        else:
            parts.append(word)
    return parts
