"""Mixed precision: a backward pass computes in the precision of its forward pass.

``torch.autocast`` casts what some functions are given. A derivative that is computed by calling
such a function again needs the same casts, wherever the backward pass is asked for; and only it
does, since torch's own derivatives have cast values already.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor


def autocast_around(tensor: Tensor) -> tuple[str, torch.dtype] | None:
    """The autocast that functions of a tensor run under now; None without."""
    kind = tensor.device.type
    if not _is_enabled(kind):
        return None
    return kind, torch.get_autocast_dtype(kind)


def resumed(autocast: tuple[str, torch.dtype] | None) -> AbstractContextManager[Any]:
    """The autocast that was noted."""
    if autocast is None:
        return contextlib.nullcontext()
    return torch.autocast(autocast[0], dtype=autocast[1])


def without_autocast(tensor: Tensor) -> AbstractContextManager[Any]:
    """No autocast for functions of a tensor, whatever the caller has."""
    kind = tensor.device.type
    return torch.autocast(kind, enabled=False) if _is_enabled(kind) else contextlib.nullcontext()


def _is_enabled(kind: str) -> bool:
    # Not every device has one.
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
