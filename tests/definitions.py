"""What a pullback of a random network is, from the definitions alone: slow, plain, float64.

Every value is followed with its channel axis and, where a batch norm gave it one, its scale. A soft
operation is a value that is equal to the network's own and has another derivative. Nothing here
imports the engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import random_networks as r
import torch
import torch.nn.functional as F
from networks import linearised, soft_max_pool
from torch import Tensor, nn

import pullback_widgets as pw

FLOOR = 1e-6


class Value(NamedTuple):
    """A value on the way: its numbers, where its channels are, and their scale if it is known."""

    x: Tensor
    axis: int = 1
    scale: Tensor | None = None


@dataclass
class How:
    """How gates are softened.

    Attributes:
        softening: None to measure deviations, on the calibration images.
        deviations: Of what entered each gate and pool, in their turn.
    """

    softening: pw.Softening | None
    deviations: list[Tensor] = field(default_factory=list)
    turn: int = 0

    def deviation(self, value: Value) -> Tensor:
        """The deviation of this gate's input over the calibration images."""
        if self.softening is None:
            others = [n for n in range(value.x.dim()) if n != value.axis]
            self.deviations.append(value.x.detach().std(others, correction=0).clamp_min(FLOOR))
        found = self.deviations[self.turn]
        self.turn += 1
        return found


def pulled(net: r.Drawn, x: Tensor, calibration: Tensor, k: int, how: pw.Softening) -> Tensor:
    """The pullback of logit ``k`` at an image (3, H, W)."""
    measured = How(None)
    logits(net, calibration, measured)
    x = x.clone().requires_grad_()
    score = logits(net, x[None], How(how, measured.deviations))[0, k]
    return torch.autograd.grad(score, x)[0]


def logits(net: r.Drawn, x: Tensor, how: How) -> Tensor:
    """The network's own logits, (N, K), with the derivatives of the definitions."""
    return net.head(_all(net.body, Value(net.stem(x)), how).x.mean((2, 3)))


def _all(steps: nn.Sequential, value: Value, how: How) -> Value:
    for step in steps:
        value = _DEFINED[type(step)](step, value, how)
    return value


# Operations --------------------------------------------------------------------------------------


def _phi(u: Tensor) -> Tensor:
    return (1 + torch.erf(u / math.sqrt(2))) / 2


def _clamped_mean(m: Tensor, s: Tensor) -> Tensor:
    """The mean of ``clamp(X, 0, 1)`` for normal X of mean m and deviation s."""
    low, high = -m / s, (1 - m) / s

    def density(u: Tensor) -> Tensor:
        return torch.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)

    inside = _phi(high) - _phi(low)
    return m * inside + s * (density(low) - density(high)) + 1 - _phi(high)


def _tanh_gate(z: Tensor) -> Tensor:
    return (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2


def _mish_gate(z: Tensor) -> Tensor:
    return torch.tanh(torch.log1p(torch.exp(z)))


OWN_GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": _phi,
    "gelu tanh": _tanh_gate,
    "silu": lambda z: 1 / (1 + torch.exp(-z)),
    "hardswish": lambda z: (z / 6 + 0.5).clamp(0, 1),
    "mish": _mish_gate,
}
EXPECTED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gelu": lambda z, s: _phi(z / (1 + s**2).sqrt()),
    "gelu tanh": lambda z, s: _tanh_gate(z / (1 + s**2).sqrt()),
    "silu": lambda z, s: 1 / (1 + torch.exp(-z / (1 + (s / 1.702) ** 2).sqrt())),
    "hardswish": lambda z, s: _clamped_mean(z / 6 + 0.5, s.expand_as(z) / 6),
    "mish": lambda z, s: _mish_gate((z + 0.3119) / (1 + (s / 1.258) ** 2).sqrt() - 0.3119),
}
LOWER_SLOPES = {"relu": 0.0, "relu6": 0.0, "leaky_relu": r.SLOPE, "prelu": r.SLOPE}


def activation(act: r.Activation, value: Value, how: How) -> Value:
    """An activation: its scale is passed on; its derivative is the softening's."""
    z, name = value.x, act.name
    out = act.module(z)
    if name not in LOWER_SLOPES and name not in OWN_GATES:
        return value._replace(x=out)
    deviation = how.deviation(value)
    one = how.softening
    if one is None or one.gate == "hard" or (name in OWN_GATES and one.smooth == "own"):
        return value._replace(x=out)
    if one.gate == "held" and name in LOWER_SLOPES:
        return value._replace(x=out)  # the gate of a ReLU is its derivative
    if one.gate == "held":
        return value._replace(x=linearised(out, z, OWN_GATES[name](z)))
    scale = deviation if value.scale is None else value.scale
    shape = [1] * z.dim()
    shape[value.axis] = -1
    t = one.temperature * (0.5 if name in OWN_GATES else 1.0)
    temperature = t * (scale.clamp_min(FLOOR).reshape(shape) if one.units == "relative" else 1)
    temperature = torch.as_tensor(temperature, dtype=z.dtype)
    if name in OWN_GATES:
        noise = temperature * (1.702 if one.gate == "sigmoid" else 1.0)
        slope = EXPECTED[name](z, noise)
    else:
        u = z / temperature
        gate = 1 / (1 + torch.exp(-u)) if one.gate == "sigmoid" else _phi(u)
        slope = LOWER_SLOPES[name] + (1 - LOWER_SLOPES[name]) * gate
    return value._replace(x=linearised(out, z, slope))


def max_pool(value: Value, how: How) -> Value:
    """Max-pooling: the scale is passed on, the gradient shared by a softmax."""
    deviation = how.deviation(value)
    one = how.softening
    own = F.max_pool2d(value.x, 3, 1, 1)
    if one is None or one.pool == "hard":
        return value._replace(x=own)
    absolute = one.temperature * one.pool_temperature
    temperature = absolute if one.units == "absolute" else one.pool_temperature * deviation
    soft = soft_max_pool(
        value.x,
        own,
        temperature,
        one.pool == "differentiated",
        kernel=(3, 3),
        stride=(1, 1),
        padding=(1, 1),
        dilation=(1, 1),
    )
    return value._replace(x=soft)


def norm(x: Tensor, axes: tuple[int, ...], eps: float, how: How) -> Tensor:
    """Standardised over some axes, by statistics that a softening may hold."""
    mean = x.mean(axes, keepdim=True)
    variance = ((x - mean) ** 2).mean(axes, keepdim=True)
    kind = "own" if how.softening is None else how.softening.norms
    if kind == "held":
        mean = mean.detach()
    if kind in ("held", "deviation held"):
        variance = variance.detach()
    return (x - mean) / (variance + eps).sqrt()


def product(value: Tensor, factor: Tensor, how: How) -> Tensor:
    """A value times a bounded factor."""
    held = how.softening is not None and how.softening.products == "held"
    return value * (factor.detach() if held else factor)


# Steps -------------------------------------------------------------------------------------------


def _conv(step: r.Conv, value: Value, how: How) -> Value:
    return activation(step.act, Value(step.conv(value.x)), how)


def _normed(step: r.Normed, value: Value, how: How) -> Value:
    h, bn = step.conv(value.x), step.norm
    assert bn.running_mean is not None and bn.running_var is not None
    h = (h - bn.running_mean[:, None, None]) / (bn.running_var[:, None, None] + bn.eps).sqrt()
    scale = None
    if bn.affine:
        h = h * bn.weight[:, None, None] + bn.bias[:, None, None]
        scale = bn.weight.detach().abs()
    return activation(step.act, Value(h, 1, scale), how)


def _bare(step: r.Bare, value: Value, how: How) -> Value:
    return activation(step.act, value, how)


def _pool(step: r.Pool, value: Value, how: How) -> Value:
    return max_pool(value, how)


def _mean(step: r.Mean, value: Value, how: How) -> Value:
    return value._replace(x=F.avg_pool2d(value.x, 3, 1, 1))


def _grouped(step: r.Grouped, value: Value, how: How) -> Value:
    h = norm(value.x.unflatten(1, (step.groups, -1)), (2, 3, 4), step.norm.eps, how).flatten(1, 2)
    h = h * step.norm.weight[:, None, None] + step.norm.bias[:, None, None]
    return activation(step.act, Value(h), how)


def _excited(step: r.Excited, value: Value, how: How) -> Value:
    s = Value(step.squeeze(value.x.mean((2, 3))))
    s = step.excite(activation(step.act, s, how).x)
    s = (s / 6 + 0.5).clamp(0, 1) if step.hard else 1 / (1 + torch.exp(-s))
    return Value(product(value.x, s[:, :, None, None], how))


def _mixed(step: r.Mixed, value: Value, how: How) -> Value:
    last = value.x.permute(0, 2, 3, 1)
    t = norm(last, (3,), step.norm.eps, how) * step.norm.weight + step.norm.bias
    t = step.down(activation(step.act, Value(step.up(t), 3), how).x)
    return Value(value.x + t.permute(0, 3, 1, 2))


def _gated(step: r.Gated, value: Value, how: How) -> Value:
    both = step.both(value.x.permute(0, 2, 3, 1))
    half, gate = both[..., : r.WIDTH], both[..., r.WIDTH :]
    gate = activation(step.act, Value(gate, 3), how).x
    return Value(product(half, gate, how).permute(0, 3, 1, 2))


def _attended(step: r.Attended, value: Value, how: How) -> Value:
    t = value.x.flatten(2).mT
    q, k, v = step.qkv(t).split(r.WIDTH, -1)
    parts = []
    size = r.WIDTH // 2
    for first in range(0, r.WIDTH, size):
        own = slice(first, first + size)
        scores = q[..., own] @ k[..., own].mT / math.sqrt(size)
        held = how.softening is not None and how.softening.attention == "held"
        if held:
            assert how.softening is not None
            scores = scores.detach() / how.softening.attention_temperature
        weights = torch.exp(scores) / torch.exp(scores).sum(-1, keepdim=True)
        true = (q[..., own] @ k[..., own].mT / math.sqrt(size)).softmax(-1) @ v[..., own]
        soft = weights @ v[..., own]
        parts.append(true.detach() + soft - soft.detach())
    out = step.out(torch.cat(parts, -1)).mT.reshape(value.x.shape)
    return Value(value.x + out)


def _sum(first: Value, second: Value) -> Value:
    known = first.scale is not None and second.scale is not None
    scale = (first.scale**2 + second.scale**2).sqrt() if known else None  # type: ignore[operator]
    return Value(first.x + second.x, 1, scale)


def _residual(step: r.Residual, value: Value, how: How) -> Value:
    return _sum(value, _all(step.branch, value, how))


def _joined(step: r.Joined, value: Value, how: How) -> Value:
    branches = [_all(one, value, how) for one in step.branches]  # type: ignore[arg-type]
    scales = [one.scale for one in branches if one.scale is not None]
    scale = torch.cat(scales) if len(scales) == len(branches) else None
    both = Value(torch.cat([one.x for one in branches], 1), 1, scale)
    if step.activated_first:
        return Value(step.conv(activation(step.act, both, how).x))
    return activation(step.act, Value(step.conv(both.x)), how)


def _twice(step: r.Twice, value: Value, how: How) -> Value:
    return _normed(step.body, _normed(step.body, value, how), how)


_DEFINED: dict[type, Callable[..., Value]] = {
    r.Conv: _conv,
    r.Normed: _normed,
    r.Bare: _bare,
    r.Pool: _pool,
    r.Mean: _mean,
    r.Grouped: _grouped,
    r.Excited: _excited,
    r.Mixed: _mixed,
    r.Gated: _gated,
    r.Attended: _attended,
    r.Residual: _residual,
    r.Joined: _joined,
    r.Twice: _twice,
}
