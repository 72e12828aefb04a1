"""The letters that are written into pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont


def letters(size: int) -> FreeTypeFont:
    """A font; Pillow's own has no arrows and no Greek, and this one comes with matplotlib.

    Args:
        size: In pixels.
    """
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(
        Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size
    )
