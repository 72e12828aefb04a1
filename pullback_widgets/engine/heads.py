"""The heads of attention as channels: of each head, how much it writes at each token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .factors import MATRIX_PRODUCTS
from .gate import Kept
from .held import Attention, Held, MultiHead, WeightedSum
from .precision import autocast_around, resumed

ATTENTION = {F.scaled_dot_product_attention, F.multi_head_attention_forward, *MATRIX_PRODUCTS}
"""The calls that may have heads."""


class Heads(NamedTuple):
    """Where the heads of one call of attention are found.

    Attributes:
        shape: Batch, heads, tokens.
        sources: What the network has of them: their outputs, or what these are computed from.
        outputs: From the sources to the heads' outputs, (batch, heads, tokens, features).
    """

    shape: tuple[int, int, int]
    sources: Sequence[Tensor]
    outputs: Callable[..., Tensor]

    def lengths(self, *sources: Tensor) -> Tensor:
        """The length of each head's output at each token, (batch, heads, tokens).

        It is written as the product with the output's direction, a constant: linear, and with the
        gradient of the length, which is 0 where the output is.
        """
        out = self.outputs(*sources)
        direction = out.detach()
        length = torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        direction = direction / length.clamp_min(torch.finfo(out.dtype).tiny)
        return (out * direction).sum(-1)


def find_heads(
    held: Held,
    inputs: Sequence[Tensor],
    func: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    out: Any,
    before: int | None = None,
) -> Heads | None:
    """The heads of ``out = func(*args, **kwargs)``; None for calls without any that can be told.

    Args:
        held: What the call was recognised as.
        inputs: What gradients pass to.
        func: What was called.
        args: With these.
        kwargs: And these.
        out: What it returned.
        before: How many tokens the last layer of tokens before it has. Heads may attend from
            features to features, as XCiT's do; what they write at a token then stands along the
            other axis.
    """
    if isinstance(held, MultiHead):
        return _of_multihead(held, inputs, *args, **kwargs)
    if not isinstance(held, Attention | WeightedSum) or out.dim() != 4:
        return None
    order: Sequence[int] = range(4)
    if isinstance(held, WeightedSum):
        order = (0, 1, 2, 3) if held.place == 0 else (0, 1, 3, 2)
        if func is torch.einsum:
            found = _order(args[0], held.place)  # of four axes, as there are here
            if found is None:
                return None
            order = found
    batch, heads, tokens, features = (out.shape[place] for place in order)
    if tokens != before == features and _among_themselves(held, inputs):
        order, tokens = [*order[:2], order[3], order[2]], features
    return Heads((batch, heads, tokens), [out], lambda one: one.permute(*order))


def _among_themselves(held: Attention | WeightedSum, inputs: Sequence[Tensor]) -> bool:
    """Whether queries and keys are of the same things: the weights are as many by as many."""
    if isinstance(held, WeightedSum):
        return inputs[held.place].shape[-1] == inputs[held.place].shape[-2]
    return inputs[0].shape[-2] == inputs[1].shape[-2]


def _order(equation: Any, place: int) -> Sequence[int] | None:
    """Where batch, heads, tokens and features are in what an einsum of weights and values gives."""
    if not isinstance(equation, str) or "->" not in equation:
        return None
    inputs, result = equation.replace(" ", "").split("->")
    dots = "0123"[: 7 - len(result)]
    inputs, result = inputs.replace("...", dots), result.replace("...", dots)
    weights, values = inputs.split(",")[:: 1 if place == 0 else -1]
    shared = [n for n, one in enumerate(result) if one in weights and one in values]
    tokens = [n for n, one in enumerate(result) if one not in values]
    features = [n for n, one in enumerate(result) if one not in weights]
    order = [*shared, *tokens, *features]
    return order if (len(shared), len(tokens), len(features)) == (2, 1, 1) else None


def _of_multihead(
    held: MultiHead,
    inputs: Sequence[Tensor],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    *rest: Any,
    **others: Any,
) -> Heads | None:
    """Heads inside of one function of torch, which are computed again when they are asked for."""
    if query.dim() != 3 or (training and dropout_p):
        return None
    tokens, batch, _ = query.shape
    autocast = autocast_around(query)

    def inside(call: Callable[..., Any], *given: Any) -> Tensor:
        with _LastAttention() as seen:
            call(*given)
        assert seen.out is not None
        return seen.out.reshape(batch, num_heads, tokens, -1)

    def outputs(*sources: Tensor) -> Tensor:
        again = replace(
            held,
            run=lambda: inside(held.own, *sources),
            own=lambda *given: inside(held.own, *given),
            divided=lambda *given: inside(held.divided, *given),
            inputs=[Kept(one) for one in sources],
        )
        with resumed(autocast):
            out: Tensor = again(*sources)
        return out

    return Heads((batch, num_heads, tokens), inputs, outputs)


class _LastAttention(TorchFunctionMode):
    """Keeps what the last product of attention weights and values was."""

    def __init__(self) -> None:
        super().__init__()
        self.out: Tensor | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is F.scaled_dot_product_attention or func is torch.bmm:
            self.out = out
        return out
