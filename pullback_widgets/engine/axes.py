"""Which axis of a tensor holds the channels: where the weights of the last layer put it.

Convolutions and batch norms put it behind the batch, ``nn.Linear`` and layer norms last. Whatever
rearranges, adds or activates values carries it along.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FIRST = 1
"""The axis behind the batch, where channels are if nothing says otherwise."""

_CONVOLUTIONS = {
    getattr(space, f"conv{kind}{dims}d")
    for space in (F, torch)
    for kind in ("", "_transpose")
    for dims in (1, 2, 3)
}
_CHANNELS_FIRST = {
    *_CONVOLUTIONS,
    *(F.batch_norm, F.group_norm, F.instance_norm),
    *(torch.batch_norm, torch.group_norm, torch.instance_norm),
}
_CHANNELS_LAST = {F.linear, F.bilinear, torch.bilinear}
_LAYER_NORMS = {F.layer_norm, torch.layer_norm, F.rms_norm, torch.rms_norm}
_MIXING = {
    *(torch.matmul, torch.mm, torch.bmm, torch.einsum, torch.baddbmm),
    *(Tensor.matmul, Tensor.mm, Tensor.bmm, Tensor.__matmul__),
}
"""Their results have channels that are none of the first argument's."""


class Axes:
    """The channel axes of the running forward pass. Tensors are held weakly."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Tensor], int]] = {}

    def get(self, tensor: Tensor) -> int:
        """The channel axis of a tensor; FIRST where it is not known."""
        axis = self._find(tensor)
        return FIRST if axis is None or axis >= tensor.dim() else axis

    def put(self, tensor: Tensor, axis: int) -> None:
        """Note a tensor's channel axis."""
        self._known[id(tensor)] = (weakref.ref(tensor), axis)

    def follow(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], out: Any
    ) -> None:
        """Note the channel axis of ``out = func(*args, **kwargs)``."""
        if func in _CHANNELS_FIRST:
            dims = out.dim() - 1
            self.put(out, min(FIRST, dims))
        elif func in _CHANNELS_LAST:
            self.put(out, out.dim() - 1)
        elif func in _LAYER_NORMS:
            shape = args[1] if len(args) > 1 else kwargs["normalized_shape"]
            if isinstance(shape, int) or len(shape) == 1:
                self.put(out, out.dim() - 1)
            elif args:
                self._carry(args[:1], out)
        elif func not in _MIXING:
            self._carry(args[:2], out)

    def _find(self, tensor: Tensor) -> int | None:
        entry = self._known.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def _first(self, sources: Sequence[Any]) -> tuple[Tensor, int] | None:
        """The first source that has a channel axis, and the axis.

        A concatenation may begin with what is no value of the image, such as a class token.
        """
        for source in sources:
            if isinstance(source, Tensor):
                axis = self._find(source)
                if axis is not None:
                    return source, axis
            elif isinstance(source, (list, tuple)):
                found = self._first(source)
                if found is not None:
                    return found
        return None

    def _carry(self, sources: Sequence[Any], out: Any) -> None:
        """Note the channel axis of what was made of the first source that has one."""
        found = self._first(sources)
        if found is None:
            return
        source, axis = found
        for part in out if isinstance(out, (list, tuple)) else (out,):
            if isinstance(part, Tensor) and part is not source and axis < source.dim():
                moved = _carried(source, axis, part)
                if moved is not None:
                    self.put(part, moved)


def _carried(source: Tensor, axis: int, out: Tensor) -> int | None:
    """Where the channel axis of ``source`` is in what was made of it."""
    if out.shape == source.shape and out.stride() == source.stride():
        return axis
    channels = source.shape[axis]
    if channels > 1 and out.untyped_storage().data_ptr() == source.untyped_storage().data_ptr():
        # A view: the channels are where the steps through memory are theirs.
        stride = source.stride(axis)
        for place in range(out.dim()):
            if out.shape[place] == channels and out.stride(place) == stride:
                return place
    if out.dim() == source.dim():
        return axis
    before = math.prod(source.shape[:axis])  # a reshape that had to copy
    for place in range(1, out.dim()):
        if out.shape[place] == channels and math.prod(out.shape[:place]) == before:
            return place
    return None
