"""How much of a target's value its pullback accounts for, and what makes up the rest.

Autograd goes from the target back to the image, and at each operation the gradient of its output
times the output is the gradient of its inputs times the inputs, if it is linear. Where it is not,
something is left over. What is left over along the way adds up to the target's value less the
product of pullback and image, so that each part has its origin.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from .gate import Gate, Settings
from .held import Factor, Gradients, Held, Norm
from .pool import Pool
from .recording import Recording
from .report import Report, factors_of, graph_nodes, nonlinear
from .softening import Softening
from .target import Logit, Target
from .trace import LINEAR
from .values import Values

NOTHING = 0.005
"""Shares of the value below this are not worth a word."""
MINUS = "\N{MINUS SIGN}"
LARGEST = 10.0
"""Shares above this are no percentages: the value is nearly zero, and parts of it cancel."""


@dataclass(frozen=True)
class Completeness:
    """A target's value taken apart: ``value = picture + constants + residual``.

    Attributes:
        value: The target's value, ``z``.
        picture: ``<p, x>``, the product of pullback and image, summed over pixels.
        constants: What does not depend on the image as long as the network's gates, statistics and
            weights of attention stay what they are: biases, the mean of the preprocessing, the
            means that norms take off, units that are shut off at a constant such as 6.
        sources: The residual, by what makes it: operation -> its part. Gates that are softened, and
            operations that keep their own derivative. All of it is zero for
            ``Softening.held()`` where the report says that nothing keeps its own derivative.
        unknown: How many operations of each kind keep their own derivative inside of a function of
            torch, where their values are not seen; what they make is among the constants.
        what: What the value is, such as ``"logit"``.
    """

    value: float
    picture: float
    constants: float
    sources: Mapping[str, float] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)
    what: str = "value"

    @property
    def residual(self) -> float:
        """What neither the picture nor constants account for."""
        return sum(self.sources.values())

    @property
    def sentence(self) -> str:
        """All of it in one sentence, such as "The picture accounts for 62 % of the logit 8.1"."""
        share = _shares(self.value, self.picture, self.constants)
        hidden = "".join(f" and {number} {name}" for name, number in self.unknown.items())
        parts = [
            f"the picture accounts for {share(self.picture)} of the {self.what} {self.value:.3g}",
            f"constants{hidden} for {share(self.constants)}",
        ]
        if abs(self.residual) > NOTHING * abs(self.value):
            kind = max(self.sources, key=lambda name: abs(self.sources[name]))
            parts.append(
                f"what is softened or not linear, most of all {kind}, for {share(self.residual)}"
            )
        text = ", ".join(parts)
        return f"{text[0].upper()}{text[1:]}."


def _shares(value: float, *parts: float) -> Callable[[float], str]:
    """How parts of a value are written: in percent, where that is not more than confusing."""
    largest = max(map(abs, parts))
    in_percent = 0 < largest <= LARGEST * abs(value)

    def share(part: float) -> str:
        return percent(part / value) if in_percent else _signed(f"{part:.3g}")

    return share


def percent(share: float) -> str:
    """A share in words, such as ``62 %``."""
    return _signed(f"{100 * share:.0f} %".replace("-0 ", "0 "))


def _signed(number: str) -> str:
    return number.replace("-", MINUS)


def accounted(value: float, pullback: Tensor, image: Tensor) -> float:
    """Which share of a target's value its pullback accounts for, ``<p, x> / z``.

    Args:
        value: The target's value, ``z``.
        pullback: Its pullback at the image.
        image: The image, of the same shape.

    Returns:
        NaN where the value is 0 or no number, and nothing is a share of it.
    """
    known = value != 0 and math.isfinite(value)
    return _product(pullback, image) / value if known else math.nan


def kind_of_value(target: Target) -> str:
    """What a target's value is called: ``"logit"`` or ``"value"``."""
    return "logit" if isinstance(target, Logit) else "value"


def in_short(
    value: float, pullback: Tensor, image: Tensor, softening: Softening, report: Report, what: str
) -> str:
    """What a picture accounts for in a few words, from what is there already.

    Args:
        value: The target's value.
        pullback: Its pullback at the image.
        image: The image, of the same shape.
        softening: How it was made.
        report: What of the network is softened.
        what: What the value is: ``"logit"`` or ``"value"``.
    """
    picture = _product(pullback, image)
    share = _shares(value, picture, value - picture)
    rest = "constants"
    if not report.is_linear(softening):
        soft = softening.has_temperature and bool(report.gates)
        rest += " and softening" if soft else " and what is not linear"
    whole = what if share(picture).endswith("%") else f"{what} {value:.3g}"
    mine, others = share(picture), share(value - picture)
    if whole == what and mine.startswith(MINUS):
        return f"pullback takes {mine[1:]} off the {what}, {rest} account for {others}"
    accounts = f"pullback accounts for {mine} of the {whole}"
    if whole == what and others.startswith(MINUS):
        return f"{accounts}, {rest} take {others[1:]} off again"
    return f"{accounts}, {rest} for {others}"


def completeness(recording: Recording, target: Target, softening: Softening) -> Completeness:
    """Take a target's value apart.

    Args:
        recording: A forward pass of one image, with its ``values`` if anything on the way keeps its
            own derivative.
        target: What is pulled back, class names resolved.
        softening: How.
    """
    ends = [recording.value(term.layer) for term in target.terms()]
    sources: dict[str, float] = {}
    unknown: Counter[str] = Counter()

    def follow(node: Any, name: str, left_over: Callable[..., float | None]) -> RemovableHandle:
        def add(inputs: Gradients, outputs: Gradients) -> None:
            with torch.no_grad():
                part = left_over(inputs, outputs)
            if part is None:
                unknown[name] += 1
            elif part:
                sources[name] = sources.get(name, 0.0) + part

        handle: RemovableHandle = node.register_hook(add)
        return handle

    handles = [
        follow(node, *found)
        for node, varying in graph_nodes(ends, recording.x, softening)
        if (found := _left_over(node, varying, recording.values)) is not None
    ]
    try:
        pulled = recording.pull([target], softening)
    finally:
        for handle in handles:
            handle.remove()
    value = float(recording.scores([target])[0])
    picture = _product(pulled, recording.x.detach())
    constants = value - picture - sum(sources.values())
    what = kind_of_value(target)
    return Completeness(value, picture, constants, sources, dict(unknown), what)


def _left_over(
    node: Any, varying: list[bool], values: Values | None
) -> tuple[str, Callable[..., float | None]] | None:
    """What an operation is called that leaves something over, and how much it does."""
    gate = getattr(node, "gate", None) or getattr(node, "pool", None)
    operation = getattr(node, "held", None)
    if isinstance(gate, Gate | Pool):
        return gate.operation, functools.partial(_of_gate, gate)
    if isinstance(operation, Factor):
        return None  # the product itself is a node of its own
    if isinstance(operation, Held):
        wanted = [before is not None for before, _ in node.next_functions]
        return operation.kind, functools.partial(_of_held, operation, wanted)
    if type(node).__name__ == "CopySlices":
        if LINEAR in node.metadata:
            return None
        return "in-place change of a part", lambda inputs, outputs: None
    name = nonlinear(node, varying)
    if name is None:
        return None
    return name, functools.partial(_of_product if name == "product" else _of_own, node, values)


def _of_gate(gate: Gate | Pool, inputs: Gradients, outputs: Gradients) -> float:
    """The network's own gate, held, leaves nothing, or constants; the rest is what differs."""
    passed, grad = inputs[0], outputs[0]
    if grad is None or passed is None:
        return 0.0
    assert gate.input is not None
    x = gate.input.get(last=False)
    with _holding(gate.settings):
        exact = gate.backward(x, grad)
    return _product(exact, x) - _product(passed, x)


def _of_held(
    operation: Held, wanted: list[bool], inputs: Gradients, outputs: Gradients
) -> float | None:
    values = [one.get(last=False) for one in operation.inputs]
    if isinstance(operation, Norm) and len(values) > 1:
        return None  # its weights are computed from the image, too: a product
    with _holding(operation.settings):
        exact = operation.backward(values, outputs, wanted)
    return sum(
        _product(held, value) - _product(passed, value)
        for value, held, passed in zip(values, exact, inputs, strict=True)
    )


def _of_own(
    node: Any, values: Values | None, inputs: Gradients, outputs: Gradients
) -> float | None:
    """The gradient of its outputs times these, less that of its inputs times those."""
    total = 0.0
    befores = [(before, number, -1) for before, number in node.next_functions]
    afters = [(node, number, 1) for number in range(len(outputs))]
    for (at, number, sign), grad in zip([*befores, *afters], [*inputs, *outputs], strict=True):
        if grad is not None:
            value = None if values is None else values.at(at, number)
            if value is None:
                return None
            total += sign * _product(grad, value)
    return total


def _of_product(
    node: Any, values: Values | None, inputs: Gradients, outputs: Gradients
) -> float | None:
    """Either factor times its gradient is the product times its own, and one of them is too much.

    One factor is enough; autograd has it where a function of torch hides the other values.
    """
    factors = factors_of(node)
    for place, saved in factors.items():
        (before, number), grad = node.next_functions[place], inputs[place]
        if grad is not None:
            value = None if values is None else values.at(before, number)
            if value is None:
                value = getattr(node, saved, None)
            if value is not None:
                return -_product(grad, value.detach())
    return None


@contextmanager
def _holding(settings: Settings) -> Iterator[None]:
    """With the network's own gates held; of norms, the deviation alone if it is so anyway."""
    softening, held = settings.softening, Softening.held()
    if softening.norms == "deviation held":
        held = replace(held, norms=softening.norms)
    settings.softening = held
    try:
        yield
    finally:
        settings.softening = softening


def _product(grad: Tensor | None, value: Tensor) -> float:
    return 0.0 if grad is None else float((grad * value).sum(dtype=_wide(value)))


def _wide(value: Tensor) -> torch.dtype:
    return torch.float32 if value.device.type == "mps" else torch.float64
