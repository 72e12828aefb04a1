"""What a recording softened, and what it left alone: nothing nonlinear is passed over in silence.

It is read off autograd's graph after the forward pass, so it costs little before it is asked for.
Whatever is not known to be linear is named.
"""

from __future__ import annotations

import functools
import re
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction

from .caller import warn_caller
from .gate import Gate
from .held import Held
from .pool import Pool
from .recording import Recording
from .smooth import SMOOTH
from .softening import Softening
from .trace import LINEAR

# Autograd's names of what is linear in its input, without "Backward" and the number behind it.
_LINEAR_NAMES = """
    AccumulateGrad AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D Add Alias AsStrided
    AvgPool2D AvgPool3D BroadcastTensors Cat Chunk Clone Col2Im Complex Conj ConjPhysical
    ConstantPadNd Contiguous Copy CudnnBatchNorm Cumsum Detach Diagonal Expand FftC2C FftC2R FftR2C
    Flip FusedDropout Gather Im2Col Imag Index IndexSelect Mean MiopenBatchNorm Narrow
    NativeBatchNorm NativeDropout Neg Permute PixelShuffle PixelUnshuffle Real ReflectionPad1D
    ReflectionPad2D ReflectionPad3D Repeat ReplicationPad1D ReplicationPad2D ReplicationPad3D
    ReshapeAlias Roll Rsub Select Slice Split SplitWithSizes Squeeze Stack Sub Sum T ToCopy
    Transpose Tril Triu Unbind Unfold UnsafeSplit UnsafeView Unsqueeze UpsampleBicubic2D
    UpsampleBicubic2DAa UpsampleBilinear2D UpsampleBilinear2DAa UpsampleLinear1D UpsampleNearest1D
    UpsampleNearest2D UpsampleNearest3D UpsampleNearestExact2D UpsampleTrilinear3D View
    ViewAsComplex ViewAsReal
"""
_LINEAR = frozenset(_LINEAR_NAMES.split())
# Linear in each of two factors, whose places among the inputs these are: a product of two values
# that both come from the image is not. Autograd's names for the factors are behind them.
_FACTORS = {
    "Mul": {0: "self", 1: "other"},
    "Mm": {0: "self", 1: "mat2"},
    "Bmm": {0: "self", 1: "mat2"},
    "Mv": {0: "self", 1: "vec"},
    "Dot": {0: "self", 1: "tensor"},
    "Convolution": {0: "input", 1: "weight"},
    "Linear": {0: "input", 1: "weight"},
    "Addmm": {1: "mat1", 2: "mat2"},
    "Addmv": {1: "mat", 2: "vec"},
    "Addbmm": {1: "batch1", 2: "batch2"},
    "Baddbmm": {1: "batch1", 2: "batch2"},
    "Addcmul": {1: "tensor1", 2: "tensor2"},
}
# Linear in everything but the input at this place.
_DIVISOR = {"Div": 1, "Addcdiv": 2}

_SAME = {"hardtanh": "relu6"}  # which a hardtanh is wherever it is softened
_WORDS = {
    "Silu": "SiLU",
    "Gelu": "GELU",
    "Elu": "ELU",
    "NativeLayerNorm": "layer norm",
    "NativeGroupNorm": "group norm",
    "LinalgVectorNorm": "vector norm",
    "RreluWithNoise": "RReLU",
    "NotImplemented": "operation without a derivative",
}


@dataclass(frozen=True)
class Gated:
    """One gate that was softened.

    Attributes:
        operation: ``"relu"``, ``"relu6"``, ``"max_pool2d"``, ...
        layer: The layer that it runs in; empty where layers were not recorded.
        scale: Where its channels' scale comes from: ``"batch norm"``, ``"sum"`` or
            ``"calibration"``.
    """

    operation: str
    layer: str
    scale: str


@dataclass(frozen=True)
class Report:
    """What happened to a network's nonlinearities.

    Attributes:
        gates: Those that are softened in the backward pass, in forward order.
        kept: How many of each kind keep their own derivative, the most frequent first.
        cut: Likewise, how many make values that no gradient passes through, such as comparisons
            and ``detach``.
        held: How many of each kind are linear because a part of them is held constant: the
            statistics of norms, the weights of attention, the bounded factor of products.
    """

    gates: tuple[Gated, ...]
    kept: Mapping[str, int]
    cut: Mapping[str, int]
    held: Mapping[str, int] = field(default_factory=dict)

    def count(self, scale: str) -> int:
        """How many gates have their scale from there."""
        return sum(gate.scale == scale for gate in self.gates)

    def is_linear(self, softening: Softening) -> bool:
        """Whether a softening makes the network a linear map and constants, with no rest."""
        if self.kept:
            return False
        if softening.is_hard:
            smooth = {form.partition(" ")[0] for form in SMOOTH}
            return not self.held and all(one.operation not in smooth for one in self.gates)
        if softening.norms == "deviation held":
            softening = replace(softening, norms="held")
        return softening == Softening.held()

    @property
    def sentence(self) -> str:
        """All of it in one or two short sentences."""
        if not self.gates:
            return " ".join(filter(None, [self._constants, self.exceptions]))
        origins = [
            f"{self.count(scale)} {words}"
            for scale, words in (
                ("batch norm", "scaled by batch norm"),
                ("sum", "by a sum of these"),
                ("calibration", "calibrated"),
            )
            if self.count(scale)
        ]
        many = "s" * (len(self.gates) != 1)
        text = f"{len(self.gates)} gate{many} softened ({', '.join(origins)})."
        return " ".join(filter(None, [text, self._constants, self.exceptions]))

    @property
    def _constants(self) -> str:
        return f"Held constant: {_listed(self.held)}." if self.held else ""

    @property
    def exceptions(self) -> str:
        """What was not softened, in a sentence; empty if everything nonlinear was."""
        parts = []
        if not self.gates:
            parts.append(
                "no gate was softened: no activation or max-pooling was seen that could be"
            )
        if self.kept:
            one = sum(self.kept.values()) == 1
            parts.append(
                f"{_listed(self.kept)} keep{'s' * one} {'its' if one else 'their'} own derivative"
            )
        if self.cut:
            parts.append(f"no gradient passes through {_listed(self.cut)}")
        text = "; ".join(parts)
        return f"{text[0].upper()}{text[1:]}." if text else ""


def _listed(counts: Mapping[str, int]) -> str:
    kinds = [f"{number} {name}" for name, number in counts.items()]
    return " and ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))


def report_of(recording: Recording, softening: Softening | None = None) -> Report:
    """What a recording's backward pass does, from the output back to the image.

    Args:
        recording: The forward pass.
        softening: ``Softening.relative(0.85)`` by default.
    """
    softening = Softening.checked(softening)
    passed: dict[int, Gate | Pool] = {}
    kept: Counter[str] = Counter()
    held: Counter[str] = Counter()
    slices = 0
    for node, varying in graph_nodes(recording.ends, recording.x, softening):
        gate = getattr(node, "gate", None) or getattr(node, "pool", None)
        operation = getattr(node, "held", None)
        if isinstance(gate, Gate | Pool):
            passed[gate.key.turn] = gate
        elif isinstance(operation, Held):
            holds = operation.holds(softening)
            if holds or operation.kind != "product":  # the product itself is a node of its own
                (held if holds else kept)[operation.kind] += 1
        elif type(node).__name__ == "CopySlices":
            slices += LINEAR not in node.metadata
        elif (name := nonlinear(node, varying)) is not None:
            kept[name] += 1
    # What changes a part of a tensor in place is hidden from here; it may be a gate of ours.
    hidden = [gate for gate in recording.gates if gate.key.turn not in passed and _in_place(gate)]
    passed.update((gate.key.turn, gate) for gate in hidden[:slices])
    if slices > len(hidden):
        kept["in-place change of a part"] = slices - len(hidden)
    gates = []
    for _, gate in sorted(passed.items()):
        name = _SAME.get(gate.operation, gate.operation)
        if softens(gate, softening):
            gates.append(Gated(name, gate.key.path, _origin(gate)))
        else:
            kept[_WORDS.get(name.capitalize(), name)] += 1
    cut = Counter({name: n for name, n in recording.cut.items() if name not in kept})
    counts = (dict(one.most_common()) for one in (kept, cut, held))
    return Report(tuple(gates), *counts)


def softens(gate: Gate | Pool, softening: Softening) -> bool:
    """Whether a softening has another gate for a call than the operation's own derivative.

    Of rectifiers and max-poolings every softening is taken to have one; so that the report of a
    network says what it would, plain gradient or not.
    """
    if isinstance(gate, Pool) or not gate.is_smooth:
        return True
    return gate.has_own_gate(softening)


_told: weakref.WeakSet[nn.Module] = weakref.WeakSet()
"""The networks whose users know what is not softened."""


def shown(module: nn.Module) -> None:
    """Say that whoever uses a network sees its report, so that no warning is needed."""
    _told.add(module)


def is_known(module: nn.Module) -> bool:
    """Whether the network's user knows what is not softened."""
    return module in _told


def tell(recording: Recording, softening: Softening) -> None:
    """Warn of what a pullback will not soften, once for each network."""
    known = softening.is_hard or is_known(recording.model.module)
    if known or not recording.ends:
        return
    shown(recording.model.module)
    text = report_of(recording, softening).exceptions
    if text:
        name = recording.model.name
        message = f"{name}: {text} pw.report tells more."
        warn_caller(message)


def _in_place(gate: Gate | Pool) -> bool:
    return isinstance(gate, Gate) and gate.in_place


def graph_nodes(
    ends: Iterable[Tensor], x: Tensor, softening: Softening
) -> Iterable[tuple[Any, list[bool]]]:
    """Autograd's nodes between the image and the end, and which inputs of each vary with it.

    What is held constant does not vary, and nothing behind it is looked at.
    """

    def edges(node: Any) -> list[Any]:
        held = getattr(node, "held", None)
        constant = (
            held.constant_inputs() if isinstance(held, Held) and held.holds(softening) else ()
        )
        return [
            None if place in constant else one for place, (one, _) in enumerate(node.next_functions)
        ]

    varies: dict[Any, bool] = {}
    waiting: list[tuple[Any, list[Any] | None]] = [
        (end.grad_fn, None) for end in ends if end.grad_fn is not None
    ]
    while waiting:
        node, inputs = waiting.pop()
        if node in varies:
            continue
        if inputs is None:
            inputs = edges(node)
            unknown = [one for one in inputs if one is not None and one not in varies]
            if unknown:
                waiting.append((node, inputs))
                waiting += [(one, None) for one in unknown]
                continue
        varying = [one is not None and varies[one] for one in inputs]
        varies[node] = any(varying) or getattr(node, "variable", None) is x
        if any(varying) or isinstance(getattr(node, "held", None), Held):
            yield node, varying


@functools.cache
def _kind(name: str) -> str:
    """The name of a class of autograd's nodes without "Backward" and the number behind it."""
    return re.sub(r"Backward\d*$", "", name)


def factors_of(node: Any) -> dict[int, str]:
    """Places of a product's two factors among its inputs, and where autograd has their values."""
    places = _FACTORS.get(_kind(type(node).__name__), {})
    return {place: f"_saved_{name}" for place, name in places.items()}


def nonlinear(node: Any, varying: list[bool]) -> str | None:
    """What a node is called if it is not linear in what comes from the image."""
    kind = _kind(type(node).__name__)
    if kind == "CheckpointFunction":
        return "part that is computed again (use_reentrant=True)"
    if kind == "BackwardHookFunction":  # of register_full_backward_hook
        return None
    if isinstance(node, BackwardCFunction):
        return f"{kind} of the network's own"
    if kind in _FACTORS:
        factors = [place < len(varying) and varying[place] for place in _FACTORS[kind]]
        return "product" if all(factors) else None
    if kind in _DIVISOR:
        return "quotient" if varying[_DIVISOR[kind] :] == [True] else None
    if kind == "Lerp":
        return "product" if varying[2:] == [True] and any(varying[:2]) else None
    if kind.endswith("BatchNorm") and getattr(node, "_saved_training", False):
        return "norm by the image's own statistics"
    if kind in _LINEAR:
        return None
    if kind.startswith("ScaledDotProduct"):
        return "attention"
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.strip("_")).lower()
    return _WORDS.get(kind, words)


def _origin(gate: Gate | Pool) -> str:
    scale = getattr(gate, "scale", None)
    return "calibration" if scale is None else str(scale.origin)
