"""Attention weights at a temperature, and ``nn.MultiheadAttention`` from within."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def tempered(weights: Tensor, temperature: float, axis: int) -> Tensor:
    """Softmax weights along an axis as they are at another temperature: ``A^(1/T)``, summing to 1.

    Weights that do not sum to 1 along the axis are left as they are.
    """
    if temperature == 1.0:
        return weights
    total = weights.sum(axis, keepdim=True)
    if not bool(torch.allclose(total, torch.ones_like(total), atol=1e-3)):
        return weights
    powers = weights.pow(1 / temperature)
    return powers / powers.sum(axis, keepdim=True)


def summed_axis(equation: str, place: int, otherwise: int) -> int:
    """Along which axis of the operand at a place an einsum of two sums up, counted from the end.

    Args:
        equation: As ``torch.einsum`` takes it.
        place: 0 or 1.
        otherwise: The answer where it is not one axis, or the result is not written out.
    """
    operands, arrow, result = equation.replace(" ", "").partition("->")
    letters = operands.split(",")[place]
    summed = [n - len(letters) for n, one in enumerate(letters) if one not in result]
    # What stands for several axes is counted right from the end only where it is in front.
    return summed[0] if arrow and len(summed) == 1 and "." not in letters[3:] else otherwise


def attention_weights(
    query: Tensor,
    key: Tensor,
    temperature: float = 1.0,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """The weights of ``F.scaled_dot_product_attention``, their logits divided by a temperature.

    Args:
        query: (..., H, L, E).
        key: (..., H or a divisor of it, S, E).
        temperature: Above 0.
        attn_mask: As torch takes it: booleans, True where attention is paid, or added numbers.
        is_causal: Whether later keys are hidden.
        scale: Of the products; ``1 / sqrt(E)`` by default.

    Returns:
        (..., H, L, S), of sum 1 over S.
    """
    groups = query.shape[-3] // key.shape[-3] if query.dim() > 3 else 1
    if groups > 1:
        key = key.repeat_interleave(groups, -3)
    logits = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        allowed = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
        logits = logits.masked_fill(~allowed, -torch.inf)
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            logits = logits.masked_fill(~attn_mask, -torch.inf)
        else:
            logits = logits + attn_mask
    return F.softmax(logits / temperature, -1)


class _HeldAttention(TorchFunctionMode):
    """Cuts the gradient of attention weights, and takes their softmax at a temperature."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            return _attend(self.temperature, *args, **kwargs)
        if func is F.softmax:
            logits = args[0] if args else kwargs.pop("input")
            return func(logits.detach() / self.temperature, *args[1:], **kwargs)
        return func(*args, **kwargs)


def _attend(
    temperature: float,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    mask = None if attn_mask is None else attn_mask.detach()
    weights = attention_weights(query.detach(), key.detach(), temperature, mask, is_causal, scale)
    return weights @ value


def held_multihead(own: Callable[..., Any], temperature: float, *inputs: Tensor) -> Any:
    """The attention of ``own``, a call of the body of torch's function, with constant weights."""
    with _HeldAttention(temperature):
        return own(*inputs)


# torch's function hands itself over to any mode that is on; this is the same body without asking.
_BODY = F.multi_head_attention_forward
body = types.FunctionType(
    _BODY.__code__,
    {**_BODY.__globals__, "has_torch_function": lambda _: False},
    "multi_head_attention_forward",
    _BODY.__defaults__,
    _BODY.__closure__,
)
body.__kwdefaults__ = _BODY.__kwdefaults__
