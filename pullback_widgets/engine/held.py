"""Operations of which a part may be held constant: norms, attention, products.

Each call keeps its own forward pass. In the backward pass the softening decides whether statistics,
attention weights and bounded factors are constants, which makes the operation linear, or whether
the operation keeps its own derivative. (Definitions: docs/method, "Beyond ReLU".)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .attention import held_multihead, tempered
from .gate import Kept, Settings, refuse_second_derivatives
from .precision import autocast_around, resumed
from .seeded import seeded
from .softening import Softening

Gradients = Sequence[Tensor | None]


@dataclass
class Held:
    """One call of an operation.

    Attributes:
        settings: Where the softening is read at backward time.
        kind: ``"layer norm"``, ``"attention"``, ``"product"``, ...
        path: The layer that it runs in; empty where layers are not recorded.
        run: The call as the network made it.
        own: The operation of the inputs that gradients pass to, out of place.
        inputs: These inputs, for the backward pass.
    """

    settings: Settings
    kind: str
    path: str
    run: Callable[[], Any]
    own: Callable[..., Any]
    inputs: list[Kept] = field(default_factory=list)

    def holds(self, softening: Softening) -> bool:
        """Whether a softening holds a part of the operation constant."""
        attention = self.kind == "attention"
        return (softening.attention if attention else softening.products) == "held"

    def constant_inputs(self) -> set[int]:
        """Places of the inputs that no gradient passes to where the operation is held."""
        return set()

    def __call__(self, *inputs: Tensor) -> Any:
        """The operation's own output."""
        return _HeldFunction.apply(self, *inputs)

    def backward(self, inputs: Sequence[Tensor], grads: Gradients, wanted: list[bool]) -> Gradients:
        """The gradients of the inputs, from those of the outputs."""
        return own_derivatives(self.own, inputs, grads, wanted)


@dataclass
class Norm(Held):
    """A norm by statistics of the image.

    Attributes:
        fold: From the input to a tensor over whose last axis the statistics are taken.
        unfold: The way back.
        weight: Of the affine map behind the norm, in the input's layout; None for 1.
        eps: Added to the mean square.
        centred: Whether the mean is taken off (all but RMS norms).
    """

    fold: Callable[[Tensor], Tensor] = field(kw_only=True)
    unfold: Callable[[Tensor, Tensor], Tensor] = field(kw_only=True)
    weight: Tensor | None = field(kw_only=True)
    eps: float = field(kw_only=True)
    centred: bool = field(default=True, kw_only=True)

    def holds(self, softening: Softening) -> bool:
        if softening.norms == "layer norms held":
            return self.kind in ("layer norm", "RMS norm")
        return softening.norms != "own"

    def backward(self, inputs: Sequence[Tensor], grads: Gradients, wanted: list[bool]) -> Gradients:
        softening = self.settings.softening
        if not self.holds(softening):
            return own_derivatives(self.own, inputs, grads, wanted)
        x, grad = inputs[0], grads[0]
        assert grad is not None
        folded = self.fold(x)
        if self.centred:
            squares = folded.var(-1, correction=0, keepdim=True)
        else:
            squares = folded.square().mean(-1, keepdim=True)
        pulled = self.fold(grad if self.weight is None else grad * self.weight)
        pulled = pulled * (squares + self.eps).rsqrt()
        if self.centred and softening.norms == "deviation held":
            pulled = pulled - pulled.mean(-1, keepdim=True)
        result: list[Tensor | None] = [self.unfold(pulled, x)]
        if any(wanted[1:]):  # a weight that is computed has its own derivative
            result += own_derivatives(self.own, inputs, grads, [False, *wanted[1:]])[1:]
        return result


@dataclass
class Attention(Held):
    """``F.scaled_dot_product_attention``; its inputs are queries, keys, values, a computed mask.

    Attributes:
        weights: From queries, keys, a temperature and a computed mask to the attention weights.
    """

    weights: Callable[..., Tensor] = field(kw_only=True)

    def holds(self, softening: Softening) -> bool:
        return softening.attention != "own"

    def constant_inputs(self) -> set[int]:
        return {0, 1, 3}

    def backward(self, inputs: Sequence[Tensor], grads: Gradients, wanted: list[bool]) -> Gradients:
        softening = self.settings.softening
        if not self.holds(softening):
            return own_derivatives(self.own, inputs, grads, wanted)
        query, key, value, *masks = inputs
        weights = self.weights(query, key, softening.attention_temperature, *masks)

        def attend(values: Tensor) -> Tensor:
            groups = weights.shape[-3] // values.shape[-3] if weights.dim() > 3 else 1
            return weights @ (values.repeat_interleave(groups, -3) if groups > 1 else values)

        none = [None] * len(masks)
        return [None, None, *own_derivatives(attend, [value], grads, [True]), *none]


@dataclass
class WeightedSum(Held):
    """A matrix product of attention weights, which a softmax made, and values.

    Attributes:
        place: Which of the two inputs holds the weights.
        axis: Along which axis of the weights the values are summed up.
    """

    place: int = field(kw_only=True)
    axis: int = field(kw_only=True)

    def constant_inputs(self) -> set[int]:
        return {self.place}

    def backward(self, inputs: Sequence[Tensor], grads: Gradients, wanted: list[bool]) -> Gradients:
        softening = self.settings.softening
        if not self.holds(softening):
            return own_derivatives(self.own, inputs, grads, wanted)
        weights = tempered(inputs[self.place], softening.attention_temperature, self.axis)

        def attend(values: Tensor) -> Tensor:
            return self.own(*((weights, values) if self.place == 0 else (values, weights)))

        (pulled,) = own_derivatives(attend, [inputs[1 - self.place]], grads, [True])
        return [None, pulled] if self.place == 0 else [pulled, None]


@dataclass
class MultiHead(Held):
    """``F.multi_head_attention_forward``; its inputs are queries, keys and values as they enter.

    Behind them comes what else is computed, such as a mask.

    Attributes:
        divided: From a temperature and the inputs to the outputs with queries and keys divided by
            it, and no derivative of the division.
    """

    divided: Callable[..., Any] = field(kw_only=True)

    def backward(self, inputs: Sequence[Tensor], grads: Gradients, wanted: list[bool]) -> Gradients:
        softening = self.settings.softening
        temperature = softening.attention_temperature
        function = self.own
        if softening.attention == "held":
            function = functools.partial(held_multihead, self.own, temperature)
        elif softening.attention == "queries" and temperature != 1.0:
            function = functools.partial(self.divided, temperature)
        return own_derivatives(function, inputs, grads, wanted)


@dataclass
class Factor(Held):
    """A factor of a product: itself, and a constant where products are held."""

    def constant_inputs(self) -> set[int]:
        return {0}

    def backward(self, inputs: Sequence[Tensor], grads: Gradients, wanted: list[bool]) -> Gradients:
        return [None] if self.holds(self.settings.softening) else grads


@dataclass
class GatedHalf(Held):
    """``F.glu``: the first half of the channels times the sigmoid of the second."""

    axis: int = field(kw_only=True)

    def backward(self, inputs: Sequence[Tensor], grads: Gradients, wanted: list[bool]) -> Gradients:
        if not self.holds(self.settings.softening):
            return own_derivatives(self.own, inputs, grads, wanted)
        grad = grads[0]
        assert grad is not None
        _, gate = inputs[0].chunk(2, self.axis)
        return [torch.cat([grad * gate.sigmoid(), torch.zeros_like(grad)], self.axis)]


def own_derivatives(
    function: Callable[..., Any], inputs: Sequence[Tensor], grads: Gradients, wanted: list[bool]
) -> list[Tensor | None]:
    """The gradients that autograd itself gives through a function, bit for bit."""
    with torch.enable_grad():
        at = [one.detach().requires_grad_(want) for one, want in zip(inputs, wanted, strict=True)]
        out = function(*at)
        outs = out if isinstance(out, tuple) else (out,)
        pairs = [
            (one, grad)
            for one, grad in zip(outs, grads, strict=True)
            if grad is not None and isinstance(one, Tensor) and one.requires_grad
        ]
        leaves = [one for one, want in zip(at, wanted, strict=True) if want]
        if not pairs or not leaves:
            return [None] * len(at)
        found = iter(
            torch.autograd.grad(
                seeded([one for one, _ in pairs], [grad for _, grad in pairs]),
                leaves,
                allow_unused=True,
            )
        )
        return [next(found) if want else None for want in wanted]


class _HeldFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, held: Held, *inputs: Tensor) -> Any:
        ctx.held, ctx.autocast = held, autocast_around(inputs[0])
        ctx.set_materialize_grads(False)
        run = held.run
        del held.run  # it holds tensors of the graph that will refer to this call
        return run()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        held = ctx.held
        inputs = [one.get(held.settings.last) for one in held.inputs]
        if all(grad is None for grad in grads):
            return (None,) * len(ctx.needs_input_grad)
        wanted = list(ctx.needs_input_grad[1:])
        if not isinstance(held, Factor):
            refuse_second_derivatives(held.kind)
        with resumed(ctx.autocast):
            return (None, *held.backward(inputs, grads, wanted))
