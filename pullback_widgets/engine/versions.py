"""Versions of tensors: torch counts every write to a tensor, but to those made for inference."""

from __future__ import annotations

from torch import Tensor


def version_of(tensor: Tensor) -> int:
    """How often a tensor was overwritten; tensors made in inference mode do not count."""
    return 0 if tensor.is_inference() else tensor._version
