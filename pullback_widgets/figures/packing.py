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


def packed_image(image: Tensor) -> dict[str, str]:
    """An image in [-1, 1] as text: a PNG where its values are bytes, else a NumPy file."""
    values = image.cpu() if image.dtype in (torch.float32, torch.float64) else image.cpu().float()
    as_bytes = ((values + 1) * 127.5).round().to(torch.uint8)
    if values.dtype == torch.float32 and torch.equal(_from_bytes(as_bytes), values):
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(as_bytes.permute(1, 2, 0).numpy()).save(file, "PNG")
        return {"png": _text(file)}
    return packed_arrays(image=values)


def unpacked_image(written: Mapping[str, str]) -> Tensor:
    """The image that :func:`packed_image` wrote."""
    if "png" in written:
        from PIL import Image

        with Image.open(io.BytesIO(base64.b64decode(written["png"]))) as file:
            return _from_bytes(torch.from_numpy(np.array(file)).permute(2, 0, 1).contiguous())
    return torch.from_numpy(unpacked_arrays(written)["image"])


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
    """The arrays that :func:`packed_arrays` wrote."""
    with np.load(io.BytesIO(base64.b64decode(written["npz"])), allow_pickle=False) as arrays:
        return dict(arrays)


def _text(file: io.BytesIO) -> str:
    return base64.b64encode(file.getvalue()).decode("ascii")
