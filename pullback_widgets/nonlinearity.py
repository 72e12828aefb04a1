"""What a recording softened, and what it left alone: nothing nonlinear is passed over in silence.

It is read off autograd's graph after the forward pass, so it costs nothing before it is asked for.
Whatever is not known to be linear is named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .gate import Gate, Pool

if TYPE_CHECKING:
    from .recording import Recording

# Autograd's names of what is linear in its input, without "Backward" and the number behind it.
_LINEAR_NAMES = """
    AccumulateGrad Add AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D Alias AsStrided
    AvgPool2D AvgPool3D BroadcastTensors Cat Chunk Clone Col2Im ConstantPadNd Contiguous Copy Cumsum
    CudnnBatchNorm Detach Diagonal Expand Flip FusedDropout Gather Im2Col Index IndexSelect Mean
    MiopenBatchNorm NativeBatchNorm NativeDropout Narrow Neg Permute PixelShuffle PixelUnshuffle
    ReflectionPad1D ReflectionPad2D ReflectionPad3D Repeat ReplicationPad1D ReplicationPad2D
    ReplicationPad3D ReshapeAlias Roll Rsub Select Slice Split SplitWithSizes Squeeze Stack Sub Sum
    T ToCopy Transpose Tril Triu Unbind Unfold UnsafeSplit UnsafeView Unsqueeze UpsampleBicubic2D
    UpsampleBicubic2DAa UpsampleBilinear2D UpsampleBilinear2DAa UpsampleLinear1D UpsampleNearest1D
    UpsampleNearest2D UpsampleNearest3D UpsampleNearestExact2D UpsampleTrilinear3D View
"""
_LINEAR = frozenset(_LINEAR_NAMES.split())
# Linear in each factor: a product of two values that both come from the image is not.
_PRODUCT_NAMES = "Mul Mm Bmm Mv Dot Addmm Addmv Addbmm Baddbmm Addcmul Convolution Lerp Linear"
_PRODUCTS = frozenset(_PRODUCT_NAMES.split())
# Linear in the numerator.
_QUOTIENTS = frozenset(["Div", "Addcdiv"])

_SAME = {"hardtanh": "relu6"}  # which a hardtanh is wherever it is softened
_WORDS = {
    "Silu": "SiLU",
    "Gelu": "GELU",
    "Elu": "ELU",
    "NativeLayerNorm": "layer norm",
    "NativeGroupNorm": "group norm",
    "LinalgVectorNorm": "vector norm",
    "RreluWithNoise": "RReLU",
    "CopySlices": "in-place change of a view",
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
    """

    gates: tuple[Gated, ...]
    kept: Mapping[str, int]

    def count(self, scale: str) -> int:
        """How many gates have their scale from there."""
        return sum(gate.scale == scale for gate in self.gates)

    @property
    def sentence(self) -> str:
        """All of it in one or two short sentences."""
        if not self.gates:
            text = "No gate was softened: the network has no ReLU or max-pooling that can be seen"
        else:
            origins = [
                f"{self.count(scale)} {words}"
                for scale, words in (
                    ("batch norm", "scaled by batch norm"),
                    ("sum", "by a sum of these"),
                    ("calibration", "calibrated"),
                )
                if self.count(scale)
            ]
            many = len(self.gates) != 1
            text = f"{len(self.gates)} gate{'s' * many} softened ({', '.join(origins)})"
        if not self.kept:
            return f"{text}."
        kinds = [f"{number} {name}" for name, number in self.kept.items()]
        listed = " and ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
        one = sum(self.kept.values()) == 1
        return f"{text}; {listed} keep{'s' * one} {'its' if one else 'their'} own derivative."


def report_of(recording: Recording) -> Report:
    """What a recording's backward pass softens, from the logits back to the image."""
    end = recording.logits
    gates: dict[int, Gated] = {}
    kept: Counter[str] = Counter()
    for node, varying in _nodes(end, recording.x):
        gate = getattr(node, "gate", None) or getattr(node, "pool", None)
        if isinstance(gate, Gate | Pool):
            operation = _SAME.get(gate.operation, gate.operation)
            gates[gate.key.turn] = Gated(operation, gate.key.path, _origin(gate))
        elif (name := _nonlinear(node, varying)) is not None:
            kept[name] += 1
    return Report(tuple(gates[turn] for turn in sorted(gates)), dict(kept.most_common()))


def _nodes(end: Tensor | None, x: Tensor) -> Iterable[tuple[Any, list[bool]]]:
    """Autograd's nodes between the image and the end, and which inputs of each vary with it."""
    if end is None or end.grad_fn is None:
        return
    varies: dict[Any, bool] = {}
    waiting: list[tuple[Any, bool]] = [(end.grad_fn, False)]
    while waiting:
        node, seen = waiting.pop()
        if node in varies:
            continue
        inputs = [one for one, _ in node.next_functions if one is not None]
        if not seen:
            waiting.append((node, True))
            waiting += [(one, False) for one in inputs if one not in varies]
            continue
        varying = [one is not None and varies[one] for one, _ in node.next_functions]
        varies[node] = any(varying) or getattr(node, "variable", None) is x
        if any(varying):
            yield node, varying


def _nonlinear(node: Any, varying: list[bool]) -> str | None:
    """What a node is called if it is not linear in what comes from the image."""
    kind = re.sub(r"Backward\d*$", "", type(node).__name__)
    if kind in _PRODUCTS:
        return "product" if sum(varying) > 1 else None
    if kind in _QUOTIENTS:
        return "quotient" if any(varying[1:]) else None
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
