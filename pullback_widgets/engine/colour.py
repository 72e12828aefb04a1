"""The colours of a picture: of any mode, depth and profile, they become opaque 8-bit sRGB."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .image_error import ImageError

ROUNDING = 3
"""A profile that changes no colour by more of 255 levels than this is sRGB."""

STRIP = 2_000_000
"""Pixels that are converted at once: a large picture never stands in memory in several modes."""

_GREY_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_WITH_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")


def to_srgb(image: Image.Image, what: str, *, profiled: bool = True) -> Image.Image:
    """A loaded picture as RGB, transparency laid over white.

    Args:
        image: In any mode of Pillow's.
        what: What messages call it.
        profiled: Whether a colour profile inside of it is followed; sRGB is meant without one.

    Raises:
        ImageError: For floating-point pixels, or more than 16 bits.
    """
    width, height = image.size
    rows = max(1, STRIP // width)
    if height <= rows:
        return _strip_to_srgb(image, what, profiled)
    made = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        made.paste(_strip_to_srgb(strip, what, profiled), (0, top))
    return made


def _strip_to_srgb(image: Image.Image, what: str, profiled: bool) -> Image.Image:
    """Some rows of a picture, as :func:`to_srgb` makes all of them."""
    alpha = None
    profile = image.info.get("icc_profile") if profiled else None
    if image.mode in _GREY_16_BIT or image.mode in ("I", "F"):
        values = np.asarray(image)
        grey = image.info.get("transparency")
        image = Image.fromarray(to_8_bit(values, what))
        if isinstance(grey, int):  # compared in 16 bits: in 8, its neighbours would be clear, too
            alpha = Image.fromarray(np.where(values == grey, 0, 255).astype(np.uint8))
    elif image.mode in _WITH_ALPHA or "transparency" in image.info:
        # Pillow has no direct way from premultiplied grey.
        layer = (image.convert("LA") if image.mode == "La" else _in_8_bit(image)).convert("RGBA")
        alpha = layer.getchannel("A")
        grey_too = image.mode in ("LA", "La", "L", "1")
        image = layer.convert("RGB").convert("L") if grey_too else layer.convert("RGB")
    elif image.mode in ("P", "1"):
        image = image.convert("RGB" if image.mode == "P" else "L")
    rgb = _converted(image, profile)
    if alpha is None:
        return rgb
    over = Image.new("RGB", rgb.size, "white")
    over.paste(rgb, mask=alpha)
    return over


def _is_none(change: Any, mode: str) -> bool:
    """Whether a change of colours only rounds, as from one description of sRGB to another."""
    from PIL import ImageCms

    if mode not in ("RGB", "L"):
        return False
    levels = np.arange(0, 256, 15)
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    some = Image.fromarray((colours if mode == "RGB" else levels[None]).astype(np.uint8))
    changed = ImageCms.applyTransform(some, change)
    if changed is None:
        return True
    difference = np.asarray(changed, np.int16) - np.asarray(some.convert("RGB"), np.int16)
    return int(np.abs(difference).max()) <= ROUNDING


def _in_8_bit(image: Image.Image) -> Image.Image:
    """With its transparent colour in 8 bits, as its pixels are: PNG keeps 16 of both."""
    clear = image.info.get("transparency")
    if isinstance(clear, tuple) and max(clear) > 255:
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    return image


def _converted(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in sRGB, from the colours of its profile if it has one that can be read."""
    if profile:
        from PIL import ImageCms

        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            change = ImageCms.buildTransform(source, srgb, image.mode, "RGB")
            if not _is_none(change, image.mode):
                found = ImageCms.applyTransform(image, change)
                if found is not None:
                    return found
        except (
            Exception
        ):  # a damaged profile, or one of another mode, is no reason to refuse pixels
            pass
    return image.convert("RGB")


def to_8_bit(pixels: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """The high byte of 16-bit values, which takes every 257 v back to v."""
    if pixels.dtype.kind == "f":
        raise ImageError(
            f"The pixels of {what} are floating-point numbers, whose range is not agreed on; scale "
            "them to 0..255 and convert to uint8 (x * 255 if they are in [0, 1]), or give a torch "
            "tensor (3, H, W) in [-1, 1]."
        )
    if pixels.dtype != np.uint16 and (pixels.min() < 0 or pixels.max() > 0xFFFF):
        raise ImageError(
            f"The pixels of {what} reach from {pixels.min()} to {pixels.max()}, beyond 16 bits; "
            "scale them to 0..255 and convert to uint8."
        )
    return (pixels >> 8).astype(np.uint8)
