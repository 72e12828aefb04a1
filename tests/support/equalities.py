"""What holds of every network that is supported."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from families import SINGLE, TWO_IMAGES
from torch import Tensor
from zoo import picture, without_constants

import pullback_widgets as pw

NEARLY_HELD = pw.Softening(1e-30, "sigmoid", "absolute", "detached", 1.0)
"""So cold that every gate is open or closed; what is exactly at the threshold is half open."""

HOMOGENEOUS = replace(pw.Softening.held(), norms="deviation held")
"""Held, but for the means of norms.

As constants they would contribute to the logit what no gradient gives back. With their own
derivative a norm is linear and without a constant, and so is the network once its biases are zero.
"""
FAINT = 2.0**-20
"""Of a picture so faint that nothing exceeds 6, where a ReLU6 would be the constant 6."""


@dataclass
class Measured:
    """How far a network is from what must hold, as shares of what is compared; 0 is exact.

    Attributes:
        network: Its name.
        report: What the package says of it.
        finite: Whether the pullback is finite and not zero.
        logits: Of the session, from those of the bare network.
        hard: Of the pullback through hard gates, from autograd's gradient.
        cold: Of the soft pullback at T -> 0, from the held one.
        gradient: Of the held pullback from the gradient; None where something else than ReLU and
            max-pooling is not linear.
        incomplete: The residual of completeness; None where something keeps its own derivative.
    """

    network: str
    report: pw.Report
    finite: bool
    logits: float
    hard: float
    cold: float
    gradient: float | None
    incomplete: float | None

    def problems(self) -> list[str]:
        """What does not hold, in words; nothing where all is well."""
        limits = {
            "logits": 0.0,
            # Not 0: where an operation that torch composes of several, such as an RMS norm, and a
            # residual connection read one value, its gradients are added up in another order.
            "hard": 1e-14,
            "cold": 1e-9,
            "gradient": 1e-9,
            "incomplete": 1e-5 if self.network in SINGLE else 1e-8,
        }
        values = {name: getattr(self, name) for name in limits}
        far = [
            f"{name}: {value:.1e}"
            for name, value in values.items()
            # Written so that what is no number is a problem, too.
            if value is not None and not value <= limits[name]
        ]
        return far if self.finite else [*far, "not finite, or zero"]


def measured(model: pw.Model) -> Measured:
    """Look at a network; afterwards its constants are zero."""
    x = picture(model.size)
    variable = x.clone().requires_grad_()
    wanted = model.logits(model.module(variable[None]), 1)[0]
    target, value = largest(wanted)
    (plain,) = torch.autograd.grad(value, variable)
    session = pw.Session(model, x)
    report = session.report
    logits = distance(session.logits, wanted.detach())
    soft = session.pullback(target)
    finite = bool(torch.isfinite(soft).all()) and bool(soft.any())
    hard = distance(session.pullback(target, pw.Softening.hard()), plain)
    held = session.pullback(target, pw.Softening.held())
    cold = distance(session.pullback(target, NEARLY_HELD), held)
    # Of a network without smooth activations, products and norms of the image.
    only_hard = not report.held and not any(
        gate.operation in ("gelu", "silu", "hardswish", "mish") for gate in report.gates
    )
    gradient = distance(held, plain) if only_hard else None
    incomplete = None if report.kept else residual(model, x * FAINT)
    return Measured(model.name, report, finite, logits, hard, cold, gradient, incomplete)


def residual(model: pw.Model, x: Tensor) -> float:
    """The share of the target that the held map does not explain, in a network without constants.

    Without constants the target is ``<pullback, x>`` and nothing else.
    """
    without_constants(model.module)
    images = [x, x.flip(-1)] if model.name in TWO_IMAGES else [x]
    session = pw.Session(model, images)
    target, value = largest(session.logits[0])
    explained = (session.pullback(target, HOMOGENEOUS)[0] * x).sum()
    return float((value - explained).abs() / value.abs())


def largest(logits: Tensor) -> tuple[pw.Target, Tensor]:
    """The logit, or the channel of a map, that is largest, and its value; small ones may be 0."""
    means = logits.flatten(1).mean(1) if logits.dim() > 1 else logits
    index = int(means.argmax())
    target = pw.Logit(index) if logits.dim() == 1 else pw.Channel("logits", index)
    return target, means[index]


def distance(one: Tensor, other: Tensor) -> float:
    """The length of the difference, as a share of the length of the other; 0 if all bits agree."""
    return float((one - other).norm() / other.norm().clamp_min(torch.finfo(other.dtype).tiny))
