"""Which torch calls are gates: every way to write a ReLU or a max-pooling in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .smooth import OWN


class Rectifier(NamedTuple):
    """A call that was recognised as an activation ``z * gate(z)``: a rectifier or a smooth one.

    Attributes:
        z: Its input, the pre-activation.
        own: The operation itself, out of place.
        slope: Slope for negative inputs.
        in_place: Whether the call overwrites ``z``.
        form: Which activation it is; smooth ones stand in ``smooth.SMOOTH``.
    """

    z: Tensor
    own: Callable[[Tensor], Tensor]
    slope: float | Tensor = 0.0
    in_place: bool = False
    form: str = "relu"


class MaxPool(NamedTuple):
    """A call that was recognised as a max-pooling over the last ``dims`` dimensions."""

    x: Tensor
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool
    return_indices: bool


def may_be_gate(func: Callable[..., Any]) -> bool:
    """Whether some call of ``func`` is a rectifier or a max-pooling."""
    return func in _READERS or func in _POOLS


def find_rectifier(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Rectifier | None:
    """The rectifier that ``func(*args, **kwargs)`` is, or None."""
    read = _READERS.get(func)
    return None if read is None else read(*args, **kwargs)


def find_max_pool(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> MaxPool | None:
    """The max-pooling that ``func(*args, **kwargs)`` is, or None."""
    entry = _POOLS.get(func)
    return None if entry is None else _max_pool(*entry, *args, **kwargs)


def _relu(input: Tensor, inplace: bool = False) -> Rectifier:
    return Rectifier(input, torch.relu, in_place=inplace)


def _relu_(input: Tensor) -> Rectifier:
    return Rectifier(input, torch.relu, in_place=True)


def _relu6(input: Tensor, inplace: bool = False) -> Rectifier:
    return Rectifier(input, F.relu6, in_place=inplace, form="relu6")


def _hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Rectifier | None:
    if min_val != 0 or max_val != 6:
        return None
    return Rectifier(
        input, lambda z: F.hardtanh(z, min_val, max_val), in_place=inplace, form="relu6"
    )


def _hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Rectifier | None:
    return _hardtanh(input, min_val, max_val, True)


def _leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Rectifier:
    def own(z: Tensor) -> Tensor:
        return F.leaky_relu(z, negative_slope)

    return Rectifier(input, own, float(negative_slope), inplace, "leaky_relu")


def _leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Rectifier:
    return _leaky_relu(input, negative_slope, True)


def _prelu(input: Tensor, weight: Tensor) -> Rectifier:
    weight = weight.detach()
    return Rectifier(input, lambda z: torch.prelu(z, weight), weight, form="prelu")


def _threshold(
    input: Tensor, threshold: float, value: float, inplace: bool = False
) -> Rectifier | None:
    if threshold != 0 or value != 0:
        return None
    return Rectifier(input, lambda z: F.threshold(z, 0, 0), in_place=inplace)


def _threshold_(input: Tensor, threshold: float, value: float) -> Rectifier | None:
    return _threshold(input, threshold, value, True)


def _clamp_reader(in_place: bool) -> Callable[..., Rectifier | None]:
    def read(input: Tensor, min: Any = None, max: Any = None, *, out: Any = None) -> Any:
        # Only clamp(min=0) is a ReLU, and clamp(0, 6) a ReLU6; any other clamp is no gate.
        numbers = not isinstance(min, Tensor) and not isinstance(max, Tensor)
        if not numbers or min != 0 or max not in (None, 6) or out is not None:
            return None
        form = "relu" if max is None else "relu6"
        return Rectifier(input, lambda z: torch.clamp(z, min, max), in_place=in_place, form=form)

    return read


def _gelu(input: Tensor, approximate: str = "none") -> Rectifier:
    form = "gelu" if approximate == "none" else "gelu tanh"
    return Rectifier(input, OWN[form], form=form)


def _smooth_reader(form: str) -> Callable[..., Rectifier]:
    def read(input: Tensor, inplace: bool = False) -> Rectifier:
        return Rectifier(input, OWN[form], in_place=inplace, form=form)

    return read


def _in_place(read: Callable[..., Any]) -> Callable[..., Any]:
    return lambda z: read(z, inplace=True)


_SMOOTH = {form: _smooth_reader(form) for form in ("silu", "hardswish", "mish")}

_READERS: dict[Callable[..., Any], Callable[..., Rectifier | None]] = {
    **dict.fromkeys((F.relu, torch.relu, Tensor.relu), _relu),
    **dict.fromkeys((F.relu_, torch.relu_, Tensor.relu_), _relu_),
    **dict.fromkeys((F.relu6, torch._C._nn.relu6), _relu6),
    **dict.fromkeys((F.hardtanh, torch._C._nn.hardtanh), _hardtanh),
    F.hardtanh_: _hardtanh_,
    **dict.fromkeys((F.leaky_relu, torch._C._nn.leaky_relu), _leaky_relu),
    F.leaky_relu_: _leaky_relu_,
    **dict.fromkeys((F.prelu, torch.prelu, Tensor.prelu), _prelu),
    **dict.fromkeys((F.threshold, torch.threshold), _threshold),
    F.gelu: _gelu,
    torch._C._nn.gelu_: lambda *args, **kwargs: _gelu(*args, **kwargs)._replace(in_place=True),  # type: ignore[attr-defined]
    F.silu: _SMOOTH["silu"],
    F.hardswish: _SMOOTH["hardswish"],
    F.mish: _SMOOTH["mish"],
    **{
        getattr(torch._C._nn, name): read
        for form, out_of_place in _SMOOTH.items()
        for name, read in ((form, out_of_place), (f"{form}_", _in_place(out_of_place)))
    },
    torch.threshold_: _threshold_,  # which is also F.threshold_
    **dict.fromkeys(
        (torch.clamp, torch.clip, torch.clamp_min, Tensor.clamp, Tensor.clip, Tensor.clamp_min),
        _clamp_reader(in_place=False),
    ),
    **dict.fromkeys(
        (
            torch.clamp_,
            torch.clip_,
            torch.clamp_min_,
            Tensor.clamp_,
            Tensor.clip_,
            Tensor.clamp_min_,
        ),
        _clamp_reader(in_place=True),
    ),
}

# Function -> (number of pooled dimensions, whether it always returns the indices too).
_POOLS: dict[Callable[..., Any], tuple[int, bool]] = {
    **{
        getattr(F, name): (dims, name.endswith("indices"))
        for dims in (1, 2, 3)
        for name in (f"max_pool{dims}d", f"max_pool{dims}d_with_indices")
    },
    torch.max_pool1d: (1, False),
    torch.max_pool2d: (2, False),
    torch.max_pool3d: (3, False),
    torch.max_pool1d_with_indices: (1, True),
}


def _max_pool(
    dims: int,
    with_indices: bool,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> MaxPool:
    def per_dimension(value: Any) -> tuple[int, ...]:
        values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        return tuple(int(v) for v in (values * dims if len(values) == 1 else values))

    kernel = per_dimension(kernel_size)
    return MaxPool(
        input,
        kernel,
        kernel if stride is None or stride == [] or stride == () else per_dimension(stride),
        per_dimension(padding),
        per_dimension(dilation),
        bool(ceil_mode),
        bool(return_indices) or with_indices,
    )
