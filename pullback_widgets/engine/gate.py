"""The gates: operations whose forward pass is untouched and whose backward pass is softened.

A gate keeps a reference to the settings of its recording and reads the temperature *when the
gradient passes through it*. So after one forward pass every new temperature costs one backward
pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .axes import FIRST
from .precision import autocast_around, resumed
from .scale import Scale
from .seeded import seeded
from .smooth import NOISE, OWN, SMOOTH
from .softening import Softening
from .versions import version_of


@dataclass
class Settings:
    """What the gates of one recording read at backward time.

    It holds nothing of the recording itself: the autograd graph refers to it, and a way back to the
    graph would be a cycle through C++ that Python never collects.

    Attributes:
        softening: How gradients that pass now are softened.
        calibrated: The calibrated scale of the channels that enter a gate, shape (C,).
        last: Whether no other gradient will follow, so that what was kept may go.
        states: What rectifiers pass on instead of what the softening says, by their turn: shares
            from 0 to 1, of the shape of their inputs.
        pulling: Whether a gradient by the image is taken now, and by nothing else.
    """

    softening: Softening
    calibrated: Callable[[GateKey], Tensor]
    last: bool = False
    states: Mapping[int, Tensor] | None = None
    pulling: bool = False


class GateKey(NamedTuple):
    """Which gate of the network.

    Attributes:
        turn: Its turn among all gates of the forward pass.
        channels: How many channels enter it.
        path: The layer that it runs in; empty where layers are not recorded.
    """

    turn: int
    channels: int
    path: str


class Kept:
    """A value that a gate needs at backward time, without its graph.

    Autograd would refuse a value that the network overwrites later, even where the gate's own
    derivative would not have needed it. So the recording copies it just before that happens.
    """

    __slots__ = ("_tensor", "_version")

    def __init__(self, tensor: Tensor) -> None:
        self._tensor: Tensor | None = tensor.detach()
        self._version = version_of(tensor)

    def copy(self) -> None:
        """Keep a copy, because the value is about to be overwritten."""
        if self._tensor is not None:
            self._tensor = self._tensor.clone()
            self._version = version_of(self._tensor)

    def get(self, last: bool) -> Tensor:
        """The value; with ``last`` it is not kept any longer.

        Raises:
            RuntimeError: If it was overwritten unseen, or asked for again after the last time.
        """
        tensor = self._tensor
        if tensor is None or version_of(tensor) != self._version:
            raise RuntimeError(
                "A value that the backward pass needs was overwritten in place where "
                "pullback_widgets could not see it, or is gone; let the network's own operations "
                "be out of place there."
            )
        if last:
            self._tensor = None
        return tensor


@dataclass
class Gate:
    """One call of a rectifier.

    Attributes:
        key: Which gate of the network this is.
        settings: Where the softening is read at backward time.
        operation: What the network called, such as ``"relu6"``.
        run: The call as the network made it.
        own: The operation itself, out of place.
        slope: Slope for negative inputs: 0 for ReLU, a number or (C,) tensor for leaky ones.
        scale: Of its channels, where it could be followed from a batch norm.
        in_place: Whether the call overwrites its input.
        form: Which activation it is; smooth ones stand in ``smooth.SMOOTH``.
        axis: Where its input has the channels.
        input: The pre-activation, for the backward pass.
    """

    key: GateKey
    settings: Settings
    operation: str
    run: Callable[[], Tensor]
    own: Callable[[Tensor], Tensor]
    slope: float | Tensor = 0.0
    scale: Scale | None = None
    in_place: bool = False
    form: str = "relu"
    axis: int = FIRST
    input: Kept | None = None

    @property
    def is_smooth(self) -> bool:
        """Whether it is a smooth activation, not a rectifier."""
        return self.form in SMOOTH

    def __call__(self, z: Tensor) -> Tensor:
        """The operation's own output; gradients of it are softened."""
        return _RectifierFunction.apply(z, self)

    def untouched(self) -> Tensor:
        """The operation's own output, once, with nothing behind it."""
        run = self.run
        del self.run  # it holds tensors of the graph that will refer to this gate
        return run()

    def backward(self, z: Tensor, grad: Tensor) -> Tensor:
        """``grad * (a + (1 - a) g(z / T))``, or the operation's own derivative when hard."""
        softening, states = self.settings.softening, self.settings.states
        if self.is_smooth:
            share = self._smooth_share(softening, z)
            return own_derivative(self.own, z, grad) if share is None else share * grad
        if states is not None:
            gate = states[self.key.turn].to(z, copy=True)
        elif softening.gate in ("hard", "held"):
            return own_derivative(self.own, z, grad)
        else:
            temperature = shaped(self._temperature(softening), z, self.axis)
            if softening.gate == "sigmoid" and not self._is_leaky and z.device.type == "cpu":
                return _through_sigmoid(z, temperature, grad)
            gate = _soft(softening, z / temperature)
        if self._is_leaky:
            slope = self.slope
            if isinstance(slope, Tensor) and slope.numel() > 1:
                slope = slope.view(-1, *[1] * (z.dim() - 2))  # torch has them on axis 1
            gate = gate.mul_(1.0 - slope).add_(slope)
        return gate.mul_(grad)

    @property
    def _is_leaky(self) -> bool:
        return isinstance(self.slope, Tensor) or self.slope != 0.0

    def has_own_gate(self, softening: Softening) -> bool:
        """Whether a softening knows a gate for this smooth activation."""
        if softening.gate == "hard" or softening.smooth == "own":
            return False
        rescaled = softening.smooth == "rescaled" and softening.gate != "held"
        return not rescaled or SMOOTH[self.form].rescaled is not None

    def _smooth_share(self, softening: Softening, z: Tensor) -> Tensor | None:
        """What a smooth activation passes on; None for its own derivative."""
        if not self.has_own_gate(softening):
            return None
        smooth = SMOOTH[self.form]
        if softening.gate == "held":
            return smooth.own(z)
        temperature = shaped(self._temperature(softening), z, self.axis)
        if softening.smooth == "expected":
            return smooth.expected(z, NOISE[softening.gate] * temperature)
        assert smooth.rescaled is not None
        return smooth.rescaled(z / temperature)

    def pre_activation(self) -> Tensor:
        """What entered it, without its graph; only where a gradient may follow."""
        assert self.input is not None
        return self.input.get(last=False)

    def _temperature(self, softening: Softening) -> float | Tensor:
        kind = self.form.partition(" ")[0]
        t = softening.temperature * softening.factor(self.key.path, kind)
        if softening.units == "absolute":
            return t
        return t * self.channel_scale()

    def channel_scale(self) -> Tensor:
        """The scale of its channels, (C,): followed from a batch norm, or calibrated."""
        return self.settings.calibrated(self.key) if self.scale is None else self.scale()


def gate_values(softening: Softening, z: Tensor, form: str = "relu", scale: float = 1.0) -> Tensor:
    """The share of the gradient that passes at pre-activations ``z``; between 0 and 1 of a gate.

    Args:
        softening: In whose units ``z`` is.
        z: Pre-activations, or with relative temperatures multiples of ``scale``.
        form: Which activation: a rectifier, or one of ``smooth.SMOOTH``.
        scale: Of the channel; of consequence for smooth activations, whose own gates have a width.
    """
    if form in SMOOTH:
        scale = scale if softening.units == "relative" else 1.0
        return _smooth_values(softening, z * scale, form, scale)
    if softening.gate in ("hard", "held"):
        return (z > 0).to(z)
    return _soft(softening, z / softening.temperature)


def _smooth_values(softening: Softening, z: Tensor, form: str, scale: float) -> Tensor:
    settings = Settings(softening, lambda _: torch.full((1,), scale, dtype=z.dtype))
    key = GateKey(1, 1, "")
    gate = Gate(key, settings, form, lambda: z, OWN[form], form=form)
    return gate.backward(z[:, None], torch.ones_like(z)[:, None])[:, 0]


def _soft(softening: Softening, u: Tensor) -> Tensor:
    """``g(u)`` of a soft gate; ``u`` may be overwritten."""
    return u.sigmoid_() if softening.gate == "sigmoid" else torch.special.ndtr(u)


def _through_sigmoid(z: Tensor, temperature: float | Tensor, grad: Tensor) -> Tensor:
    """``grad * sigmoid(z / T)``; powers of 2 take a processor half the time of those of e."""
    u = (z / (temperature * -math.log(2))).exp2_().add_(1)
    return torch.div(grad, u, out=None if grad.requires_grad else u)


def own_derivative(function: Callable[[Tensor], Tensor], x: Tensor, grad: Tensor) -> Tensor:
    """The gradient that autograd itself gives through ``function`` at ``x``, bit for bit."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        # A network that takes gradients while it runs may take gradients of these.
        again = grad.requires_grad
        return torch.autograd.grad(seeded([function(x)], [grad]), x, create_graph=again)[0]


def refuse_second_derivatives(operation: str) -> None:
    """Raise where a graph of gradients is wanted: what a gate keeps has no graph.

    The derivative of a rectifier is constant nearly everywhere, so only others come here.

    Raises:
        RuntimeError: If gradients are taken with ``create_graph=True``.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(
            f"The network takes a gradient of {operation} with create_graph=True while it runs, "
            "and the pullback would need second derivatives, which a recording does not have; "
            "give a network that returns its output without that, for instance by a wrapper."
        )


def shaped(temperature: float | Tensor, like: Tensor, channel_dim: int) -> float | Tensor:
    """The temperature, one per channel reshaped so that ``like`` can be divided by it."""
    if not isinstance(temperature, Tensor):
        return temperature
    # In half precision a small temperature times a small scale would be 0.
    temperature = temperature.to(like).clamp_min(torch.finfo(like.dtype).tiny)
    return temperature.view(-1, *[1] * (like.dim() - channel_dim - 1))


class _RectifierFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, gate: Gate) -> Tensor:
        ctx.gate, ctx.autocast = gate, autocast_around(z)
        if gate.in_place:
            ctx.mark_dirty(z)
        return gate.untouched()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        gate = ctx.gate
        z = gate.input.get(gate.settings.last)
        if gate.is_smooth:
            refuse_second_derivatives(gate.operation)
        with resumed(ctx.autocast):
            return gate.backward(z, grads[0]), None
