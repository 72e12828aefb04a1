"""``nn.MultiheadAttention`` from within, where its attention can be held constant."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


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
    from .held import attention_weights

    weights = attention_weights(
        query.detach(), key.detach(), temperature, attn_mask, is_causal, scale
    )
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
