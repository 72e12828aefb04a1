"""Images and arrays as text, for recipes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..drawing.reading import DamagedError, arrays_in

MOST_PIXELS = 8_000_000
"""Of an image in a recipe, which is as large as a network takes it."""

MOST_BYTES = 128_000_000
"""Of all arrays at one place of a recipe."""


def packed_image(image: Tensor) -> dict[str, str]:
    """An image in [-1, 1] as text: a PNG where its values are bytes, else a NumPy file."""
    values = image.cpu() if image.dtype in (torch.float32, torch.float64) else image.cpu().float()
    as_bytes = ((values + 1) * 127.5).round().to(torch.uint8)
    rgb = values.dtype == torch.float32 and len(values) == 3
    if rgb and torch.equal(_from_bytes(as_bytes), values):
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(as_bytes.permute(1, 2, 0).numpy()).save(file, "PNG")
        return {"png": _text(file)}
    return packed_arrays(image=values)


def unpacked_image(written: Mapping[str, str]) -> Tensor:
    """The image that :func:`packed_image` wrote.

    Raises:
        ValueError: If it is damaged.
    """
    if "png" in written:
        return _from_bytes(
            torch.from_numpy(_png(_bytes(written["png"]))).permute(2, 0, 1).contiguous()
        )
    return torch.from_numpy(unpacked_arrays(written)["image"])


def _png(content: bytes) -> NDArray[np.uint8]:
    """The pixels of a PNG, (H, W, 3)."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as file:
            if file.mode == "RGB" and 0 < file.width * file.height <= MOST_PIXELS:
                return np.array(file)
        why = "another kind of PNG"
    except Exception as error:  # of damaged files Pillow raises almost anything
        why = str(error) or type(error).__name__
    raise ValueError(
        f"The pixels of an image in the recipe are damaged ({why}); save it anew from a widget."
    )


def _from_bytes(values: Tensor) -> Tensor:
    """Bytes as ``image.to_tensor`` makes them an image."""
    return values.to(torch.float32).div_(127.5).sub_(1)


def packed_arrays(**arrays: Any) -> dict[str, str]:
    """Arrays and tensors as text: a NumPy file."""
    file = io.BytesIO()
    kept: dict[str, Any] = {
        name: torch.as_tensor(one).detach().cpu().numpy() for name, one in arrays.items()
    }
    np.savez_compressed(file, **kept)
    return {"npz": _text(file)}


def unpacked_arrays(written: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """The arrays that :func:`packed_arrays` wrote.

    Raises:
        ValueError: If they are damaged.
    """
    try:
        return arrays_in(io.BytesIO(_bytes(written["npz"])), MOST_BYTES)
    except DamagedError as error:
        raise ValueError(
            f"The arrays in the recipe are damaged: {error}; save it anew from a widget."
        ) from error


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(
            f"A picture or an array in the recipe is damaged ({error}); save it anew from a widget."
        ) from error


def _text(file: io.BytesIO) -> str:
    return base64.b64encode(file.getvalue()).decode("ascii")
