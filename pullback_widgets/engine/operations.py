"""Which torch calls are norms, attention or products, and what of them may be held constant."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import attention
from .factors import IN_PLACE, MATRIX_PRODUCTS, PRODUCTS, Factors
from .gate import Settings
from .held import (
    Attention,
    Factor,
    GatedHalf,
    Held,
    MultiHead,
    Norm,
    WeightedSum,
)
from .trace import Trace

Call = tuple[Held, tuple[Tensor, ...]]
"""An operation, and the inputs that gradients pass to."""


def may_be_held(func: Callable[..., Any]) -> bool:
    """Whether some call of ``func`` is a norm, attention, a gated unit or a product."""
    return func in _READERS or func in PRODUCTS or func in MATRIX_PRODUCTS


def find_held(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    settings: Settings,
    path: str,
) -> Call | None:
    """The operation that ``func(*args, **kwargs)`` is, or None."""
    read = _READERS.get(func)
    if read is None:
        return None
    return read(settings, path, functools.partial(func, *args, **kwargs), *args, **kwargs)


def find_weighted_sum(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    factors: Factors,
    settings: Settings,
    path: str,
) -> Call | None:
    """A matrix product of softmax weights and values, or None."""
    if func not in MATRIX_PRODUCTS:
        return None
    first, second, call = _operands(func, args)
    place = factors.constant_of(first, second)
    if place is None:
        return None
    mark = factors.get((first, second)[place])
    if mark is None or not mark.softmax:
        return None
    axis = -1 if place == 0 else -2
    if func is torch.einsum and isinstance(args[0], str):
        axis = attention.summed_axis(args[0], place, axis)
    found = WeightedSum(
        settings, "attention", path, functools.partial(func, *args), call, place=place, axis=axis
    )
    return found, (first, second)


def with_held_factor(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    factors: Factors,
    settings: Settings,
    trace: Trace,
) -> tuple[Any, ...]:
    """The arguments of a product, its bounded factor replaced by itself as a constant."""
    if func not in PRODUCTS and func not in MATRIX_PRODUCTS:
        return args
    first, second, _ = _operands(func, args)
    place = factors.constant_of(first, second)
    if place is None or (place == 0 and func in IN_PLACE):
        return args
    factor: Tensor = (first, second)[place]
    mark = factors.get(factor)
    kind = "attention" if mark is not None and mark.softmax else "product"
    holder = Factor(settings, kind, trace.path, lambda: factor.view_as(factor), _same)
    trace.held.append(holder)
    held = holder(factor)
    return tuple(
        [held if one is factor else one for one in arg]
        if isinstance(arg, list | tuple)
        else held
        if arg is factor
        else arg
        for arg in args
    )


def _same(x: Tensor) -> Tensor:
    return x


def _operands(
    func: Callable[..., Any], args: tuple[Any, ...]
) -> tuple[Any, Any, Callable[[Tensor, Tensor], Tensor]]:
    if func is torch.einsum:
        equation, *operands = args
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = list(operands[0])
        if len(operands) != 2:
            return None, None, func
        return operands[0], operands[1], lambda one, other: torch.einsum(equation, one, other)
    if len(args) < 2:
        return None, None, func
    return args[0], args[1], func


def _computed(*tensors: Tensor | None) -> tuple[Tensor, ...]:
    """Those weights that are computed while the network runs: gradients pass through them too."""
    return tuple(one for one in tensors if one is not None and one.grad_fn is not None)


def _last_axes(dims: int) -> dict[str, Any]:
    return {
        "fold": lambda x: x.flatten(-dims),
        "unfold": lambda folded, x: folded.view(x.shape),
    }


def _layer_norm(
    settings: Settings,
    path: str,
    run: Callable[[], Any],
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Call:
    def own(x: Tensor, *computed: Tensor) -> Tensor:
        w, b = _replaced(computed, weight, bias)
        return F.layer_norm(x, list(normalized_shape), w, b, eps)

    norm = Norm(
        settings, "layer norm", path, run, own,
        **_last_axes(len(normalized_shape)), weight=_plain(weight), eps=eps,
    )  # fmt: skip
    return norm, (input, *_computed(weight, bias))


def _rms_norm(
    settings: Settings,
    path: str,
    run: Callable[[], Any],
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Call:
    def own(x: Tensor, *computed: Tensor) -> Tensor:
        (w,) = _replaced(computed, weight)
        return F.rms_norm(x, list(normalized_shape), w, eps)

    norm = Norm(
        settings, "RMS norm", path, run, own, **_last_axes(len(normalized_shape)),
        weight=_plain(weight), eps=torch.finfo(input.dtype).eps if eps is None else eps,
        centred=False,
    )  # fmt: skip
    return norm, (input, *_computed(weight))


def _group_norm(
    settings: Settings,
    path: str,
    run: Callable[[], Any],
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Call:
    def own(x: Tensor, *computed: Tensor) -> Tensor:
        w, b = _replaced(computed, weight, bias)
        return F.group_norm(x, num_groups, w, b, eps)

    norm = Norm(
        settings, "group norm", path, run, own,
        fold=lambda x: x.reshape(len(x), num_groups, -1),
        unfold=lambda folded, x: folded.reshape(x.shape),
        weight=_per_channel(weight, input), eps=eps,
    )  # fmt: skip
    return norm, (input, *_computed(weight, bias))


def _instance_norm(
    settings: Settings,
    path: str,
    run: Callable[[], Any],
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Call | None:
    if not use_input_stats:
        return None  # linear

    def own(x: Tensor, *computed: Tensor) -> Tensor:
        w, b = _replaced(computed, weight, bias)
        return F.instance_norm(x, None, None, w, b, True, momentum, eps)

    norm = Norm(
        settings, "instance norm", path, run, own,
        fold=lambda x: x.flatten(2),
        unfold=lambda folded, x: folded.reshape(x.shape),
        weight=_per_channel(weight, input), eps=eps,
    )  # fmt: skip
    return norm, (input, *_computed(weight, bias))


def _batch_norm(
    settings: Settings,
    path: str,
    run: Callable[[], Any],
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Call | None:
    if not training and running_var is not None:
        return None  # linear

    def own(x: Tensor, *computed: Tensor) -> Tensor:
        w, b = _replaced(computed, weight, bias)
        return F.batch_norm(x, None, None, w, b, True, momentum, eps)

    norm = Norm(
        settings, "norm by the image's own statistics", path, run, own,
        fold=lambda x: x.transpose(0, 1).flatten(1),
        unfold=lambda folded, x: folded.view(x.transpose(0, 1).shape).transpose(0, 1),
        weight=_per_channel(weight, input), eps=eps,
    )  # fmt: skip
    return norm, (input, *_computed(weight, bias))


def _in_aten_order(read: Callable[..., Any]) -> Callable[..., Any]:
    """A reader of ``torch.batch_norm`` and its kind, which have the weights first."""

    def reader(
        settings: Settings,
        path: str,
        run: Callable[[], Any],
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        training: bool,
        momentum: float,
        eps: float,
        cudnn_enabled: bool,
    ) -> Any:
        rest = (weight, bias, training, momentum, eps)
        return read(settings, path, run, input, running_mean, running_var, *rest)

    return reader


def _plain(weight: Tensor | None) -> Tensor | None:
    return None if weight is None else weight.detach()


def _per_channel(weight: Tensor | None, like: Tensor) -> Tensor | None:
    return None if weight is None else weight.detach().view(-1, *[1] * (like.dim() - 2))


def _replaced(computed: tuple[Tensor, ...], *weights: Tensor | None) -> list[Tensor | None]:
    """The weights of a norm, those that are computed taken from the inputs, the others as is."""
    rest = iter(computed)
    return [
        one if one is None else next(rest) if one.grad_fn is not None else one.detach()
        for one in weights
    ]


def _attention(
    settings: Settings,
    path: str,
    run: Callable[[], Any],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Call | None:
    if dropout_p:
        return None  # another one at each call
    # A mask that is computed, as a position bias may be, has a gradient of its own. Any other stays
    # as it is: whether it wants a gradient decides which of torch's programs computes this.
    masks = _computed(attn_mask)

    def own(query: Tensor, key: Tensor, value: Tensor, *computed: Tensor) -> Tensor:
        mask = computed[0] if computed else attn_mask
        return F.scaled_dot_product_attention(
            query, key, value, mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
        )

    def weights(query: Tensor, key: Tensor, temperature: float, *computed: Tensor) -> Tensor:
        mask = computed[0] if computed else _plain(attn_mask)
        return attention.attention_weights(query, key, temperature, mask, is_causal, scale)

    found = Attention(settings, "attention", path, run, own, weights=weights)
    return found, (query, key, value, *masks)


def _multihead(
    settings: Settings,
    path: str,
    run: Callable[[], Any],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *args: Any,
    **kwargs: Any,
) -> Call:
    # torch projects a tensor that is all three in one step, whose bits are others.
    inputs = tuple({id(one): one for one in (query, key, value)}.values())
    places = [next(n for n, one in enumerate(inputs) if one is x) for x in (query, key, value)]
    # What is computed, such as a mask, has a gradient of its own where attention keeps its own.
    given: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
    computed = {
        name: one
        for name, one in given.items()
        if isinstance(one, Tensor) and one.grad_fn is not None
    }
    given = {name: None if name in computed else one for name, one in given.items()}

    def call(query: Tensor, key: Tensor, value: Tensor, rest: Sequence[Tensor]) -> Any:
        filled = {**given, **dict(zip(computed, rest, strict=True))}
        keywords = {name: one for name, one in filled.items() if isinstance(name, str)}
        positional = [filled[place] for place in range(len(args))]
        return attention.body(query, key, value, *positional, **keywords)

    def own(*every: Tensor) -> Any:
        query, key, value = (every[place] for place in places)
        return call(query, key, value, every[len(inputs) :])

    def divided(temperature: float, *every: Tensor) -> Any:
        query, key, value = (every[place] for place in places)
        # The values of the quotient, with the derivative of the identity.
        query, key = (x + (x / temperature - x).detach() for x in (query, key))
        return call(query, key, value, every[len(inputs) :])

    found = MultiHead(settings, "attention", path, run, own, divided=divided)
    return found, (*inputs, *computed.values())


def _glu(
    settings: Settings, path: str, run: Callable[[], Any], input: Tensor, dim: int = -1
) -> Call:
    own = functools.partial(F.glu, dim=dim)
    return GatedHalf(settings, "product", path, run, own, axis=dim), (input,)


_READERS: dict[Callable[..., Any], Callable[..., Call | None]] = {
    **dict.fromkeys((F.layer_norm, torch.layer_norm), _layer_norm),
    **dict.fromkeys((F.rms_norm, torch.rms_norm), _rms_norm),
    **dict.fromkeys((F.group_norm, torch.group_norm), _group_norm),
    F.instance_norm: _instance_norm,
    torch.instance_norm: _in_aten_order(_instance_norm),
    F.batch_norm: _batch_norm,
    torch.batch_norm: _in_aten_order(_batch_norm),
    F.scaled_dot_product_attention: _attention,
    F.multi_head_attention_forward: _multihead,
    **dict.fromkeys((F.glu, torch._C._nn.glu), _glu),
}
