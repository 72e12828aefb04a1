"""Pictures one after the other: GIF, WebP, and MP4 where there is a program for it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .files import whole
from .letters import letters
from .pixels import RGB, enlarge

ENDINGS = (".gif", ".webp", ".mp4")
ENCODER = "imageio_ffmpeg"
"""The package that has the program for MP4."""


def offered() -> tuple[str, ...]:
    """The endings that can be written here."""
    return ENDINGS if importlib.util.find_spec(ENCODER) else ENDINGS[:-1]


def save_animation(
    path: Path,
    frames: Sequence[RGB],
    captions: Sequence[str] = (),
    seconds: float = 0.6,
    side: int = 448,
    hold: float = 1.5,
) -> Path:
    """Write an animation; a GIF and a WebP start again at their end.

    Args:
        path: The file; its ending is one of ``ENDINGS``.
        frames: Pictures of one size, (H, W, 3).
        captions: A line for each, which is written under it; none for pictures alone.
        seconds: How long each stays.
        side: Pixels are repeated until the longer side has this many.
        hold: How long the last one stays, in seconds.

    Raises:
        ValueError: If there are no frames, or nothing that writes MP4.
    """
    if not frames:
        raise ValueError("There is nothing to animate; press Play first.")
    pictures = [enlarge(frame, side) for frame in frames]
    if any(captions):
        width, longest = pictures[0].shape[1], max(captions, key=len)
        lines = [written(one, width, longest) for one in captions]
        pictures = [np.concatenate(both) for both in zip(pictures, lines, strict=True)]
    with whole(path) as part:
        if path.suffix == ".mp4":
            _save_mp4(part, pictures, seconds, hold)
        else:
            _save_pictures(part, pictures, seconds, hold)
    return path


def _save_pictures(path: Path, pictures: Sequence[RGB], seconds: float, hold: float) -> None:
    from PIL import Image

    first, *others = map(Image.fromarray, pictures)
    first.save(
        path,
        path.suffix[1:].upper(),
        save_all=True,
        append_images=others,
        duration=[round(1000 * seconds)] * len(others) + [round(1000 * hold)],
        loop=0,
        # Of a WebP: the values that were computed, not what looks like them.
        **({"lossless": True} if path.suffix == ".webp" else {}),
    )


def written(text: str, width: int, longest: str = "") -> RGB:
    """A line of text on white, (H, ``width``, 3) bytes.

    Args:
        text: The line.
        width: In pixels.
        longest: Of several lines that get letters of one size, so small that this one has room.
    """
    from PIL import Image, ImageDraw

    size = max(8, width // 14)
    line = Image.new("RGB", (width, round(1.6 * size)), "white")
    draw = ImageDraw.Draw(line)
    font = letters(size)
    needed = draw.textlength(longest or text, font)
    fitting = letters(max(6, int(size * min(1, (width - 8) / max(needed, 1)))))
    draw.text((width / 2, 0.8 * size), text, "#202020", fitting, anchor="mm")
    return np.asarray(line)


def _save_mp4(path: Path, pictures: Sequence[RGB], seconds: float, hold: float) -> None:
    if path.suffix not in offered():
        raise ValueError(
            "MP4 needs the package imageio-ffmpeg, which is not installed here; run: pip install "
            "imageio-ffmpeg, or write a .webp or .gif."
        )
    from imageio.v2 import mimwrite

    height, width = pictures[0].shape[:2]
    # The sides of a video are even.
    even: list[Any] = [
        np.pad(one, ((0, height % 2), (0, width % 2), (0, 0)), "edge") for one in pictures
    ]
    even += even[-1:] * (round(hold / seconds) - 1)
    mimwrite(path, even, format="FFMPEG", fps=1 / seconds, macro_block_size=2, quality=9)
