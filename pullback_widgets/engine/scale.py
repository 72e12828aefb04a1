"""The scale of each channel's pre-activations, which the relative temperature is a multiple of.

Most scales can be read off the network while it runs: a batch norm in evaluation mode gives
``|gamma|``; activations, pooling and dropout pass a scale on; a sum adds in quadrature; a
concatenation concatenates. Wherever this gives nothing, the scale is measured once on calibration
photographs (see ``Model.calibration``), never on the image at hand.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from .versions import version_of

FLOOR = 1e-6
"""Smallest scale, in units of the pre-activation, so that every temperature is above 0."""

_PASS = {
    F.gelu,
    F.silu,
    F.mish,
    F.hardswish,
    F.elu,
    F.elu_,
    F.celu,
    F.celu_,
    F.selu,
    F.selu_,
    F.softplus,
    F.hardsigmoid,
    F.sigmoid,
    F.tanh,
    torch.sigmoid,
    torch.tanh,
    Tensor.sigmoid,
    Tensor.tanh,
    F.dropout,
    F.dropout1d,
    F.dropout2d,
    F.dropout3d,
    F.alpha_dropout,
    F.feature_alpha_dropout,
    F.avg_pool1d,
    F.avg_pool2d,
    F.avg_pool3d,
    F.adaptive_avg_pool1d,
    F.adaptive_avg_pool2d,
    F.adaptive_avg_pool3d,
    F.adaptive_max_pool1d,
    F.adaptive_max_pool2d,
    F.adaptive_max_pool3d,
    torch.dropout,
    torch.flatten,
    Tensor.flatten,
    Tensor.contiguous,
    Tensor.clone,
}
_SUM = {
    torch.add,
    Tensor.add,
    Tensor.add_,
    Tensor.__add__,
    Tensor.__radd__,
    Tensor.__iadd__,
}
_BATCH_NORMS = {F.batch_norm, torch.batch_norm}
_CONCATENATE = {torch.cat, torch.concat, torch.concatenate}


def follows_scale(func: Callable[..., Any]) -> bool:
    """Whether ``ScaleMap.follow`` can know the scale of what ``func`` returns."""
    return func in _BATCH_NORMS or func in _PASS or func in _SUM or func in _CONCATENATE


class Scale:
    """The scale of a tensor's channels, shape (C,), computed when it is first asked for.

    Attributes:
        channels: C.
        origin: ``"batch norm"``, or ``"sum"`` of several.
    """

    __slots__ = ("_compute", "_value", "channels", "origin")

    def __init__(
        self, channels: int, compute: Callable[[], Tensor], origin: str = "batch norm"
    ) -> None:
        self.channels = channels
        self.origin = origin
        self._compute: Callable[[], Tensor] | None = compute
        self._value: Tensor | None = None

    def __call__(self) -> Tensor:
        """One scale for each channel, at least FLOOR."""
        if self._value is None:
            assert self._compute is not None
            self._value = self._compute().clamp_min(FLOOR)
        return self._value


class ScaleMap:
    """Which tensors of the running forward pass have a known scale, and which.

    Tensors are held weakly: following them keeps none alive.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Tensor], int, Scale]] = {}

    def get(self, tensor: Tensor, result: Tensor | None = None) -> Scale | None:
        """The scale of a tensor's channels, if it is known.

        Args:
            tensor: What is looked up.
            result: What has just been computed from it, perhaps in place.
        """
        entry = self._known.get(id(tensor))
        if entry is None or entry[0]() is not tensor:
            return None
        # Overwritten since, perhaps through a view, it has another scale.
        overwritten = version_of(tensor) - entry[1] > (tensor is result)
        return None if overwritten else entry[2]

    def put(self, tensor: Tensor, scale: Scale | None) -> None:
        """Note the scale of a tensor; ``None`` or one that does not fit forgets it."""
        if scale is not None and tensor.dim() > 1 and tensor.shape[1] == scale.channels:
            self._known[id(tensor)] = (weakref.ref(tensor), version_of(tensor), scale)
        else:
            self._known.pop(id(tensor), None)

    def follow(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], out: Any
    ) -> None:
        """Note the scale of ``out = func(*args, **kwargs)``."""
        if not isinstance(out, Tensor):
            return
        if func is F.batch_norm:
            self.put(out, _batch_norm_scale(*args, **kwargs))
        elif func is torch.batch_norm:
            values, weight, bias, mean, var, training, *_ = args
            self.put(out, _batch_norm_scale(values, mean, var, weight, bias, training))
        elif func in _PASS:
            source = args[0] if args else kwargs["input"]
            # Flattening may fold the images into the channels; then the scale is lost.
            same_images = out.shape[:1] == source.shape[:1]
            self.put(out, self.get(source, out) if same_images else None)
        elif func in _SUM:
            self.put(out, self._sum(args, kwargs, out))
        elif func in _CONCATENATE:
            self.put(out, self._concatenation(*args, **kwargs))
        elif id(out) in self._known and (kwargs.get("out") is out or any(out is a for a in args)):
            self.put(out, None)  # overwritten in place by something that does not keep the scale

    def _sum(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Scale | None:
        if kwargs.get("alpha", 1) != 1:
            return None
        terms = [*args, *(kwargs[name] for name in ("input", "other") if name in kwargs)]
        total: Scale | None = None
        for term in terms:
            if not isinstance(term, Tensor) or term.dim() == 0:
                continue  # a constant moves a channel and leaves its scale
            scale = self.get(term, out)
            if scale is None or (total is not None and total.channels != scale.channels):
                return None
            total = scale if total is None else _quadrature(total, scale)
        return total

    def _concatenation(self, tensors: Sequence[Tensor], dim: int = 0, **_: Any) -> Scale | None:
        scales = [scale for tensor in tensors if (scale := self.get(tensor)) is not None]
        if len(scales) < len(tensors) or dim not in (1, 1 - tensors[0].dim()):
            return None
        channels = sum(scale.channels for scale in scales)
        origin = "sum" if any(scale.origin == "sum" for scale in scales) else "batch norm"
        return Scale(channels, lambda: torch.cat([scale() for scale in scales]), origin)


def _quadrature(first: Scale, second: Scale) -> Scale:
    return Scale(first.channels, lambda: torch.hypot(first(), second()), "sum")


def _batch_norm_scale(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    *_: Any,
    **__: Any,
) -> Scale | None:
    if training or running_var is None:
        return None  # normalised by the statistics of the batch at hand
    if weight is None or _all_equal(weight):
        return None  # folded into its convolution, or never trained: it says nothing about scales
    gamma = weight.detach()
    return Scale(len(gamma), gamma.abs)


_equal = WeakTensorKeyDictionary()
"""Of weights that were looked at: their version, and whether all of them are equal."""


def _all_equal(weight: Tensor) -> bool:
    """Whether the weights of several channels are all the same; asked of a device only once."""
    version, equal = _equal.get(weight, (-1, False))
    if version != version_of(weight):
        equal = len(weight) > 1 and bool((weight == weight[0]).all())
        _equal[weight] = version_of(weight), equal
    return equal


def channel_deviation(values: Tensor, channel_dim: int = 1) -> Tensor:
    """Standard deviation per channel over images and positions, shape (C,), at least FLOOR.

    Infinite values take no part: in front of a max-pooling they are padding.
    """
    if values.dim() < 2:
        values, channel_dim = values.view(-1, 1), 1
    others = [dim for dim in range(values.dim()) if dim != channel_dim]
    deviation = values.std(dim=others, correction=0)
    if not bool(deviation.isfinite().all()):
        inside = values.isfinite()
        count = inside.sum(others, keepdim=True).clamp_min(1)
        mean = values.where(inside, 0).sum(others, keepdim=True) / count
        squares = (values - mean).where(inside, 0).square().sum(others, keepdim=True)
        deviation = (squares / count).sqrt().squeeze(others)
    return deviation.clamp_min(FLOOR)
