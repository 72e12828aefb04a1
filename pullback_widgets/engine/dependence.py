"""Whether a target depends on the image: a pullback of zeros is never given without a word."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .caller import warn_caller
from .recording import Recording
from .target import LOGITS, Target


def tell_independent(recording: Recording, targets: Sequence[Target], pulled: Tensor) -> None:
    """Say where pullbacks are zero because no gradient leads from their target to the image.

    Of a hidden layer it is a warning, since networks have constant layers by design; a network
    whose output is cut off has nothing to pull back at all.

    Args:
        recording: The forward pass.
        targets: One for each image.
        pulled: Their pullbacks, (N, C, H, W).

    Raises:
        ValueError: If such a target reads the network's output.
    """
    # First the graph, which is looked through once: for a value the device would be waited for.
    for target, one_pulled in zip(targets, pulled, strict=True):
        layers = list(dict.fromkeys(term.layer for term in target.terms()))
        if any(_depends(recording, layer) for layer in layers) or bool(one_pulled.any()):
            continue
        cuts = " and ".join(f"{number} {name}" for name, number in recording.cut.items())
        by = f"was cut by {cuts}" if cuts else "was never there"
        if LOGITS in layers:
            raise ValueError(
                f"The output of {recording.model.name} does not depend on the image: the gradient "
                f"{by}; run the network without what cuts it, such as torch.no_grad and detach, "
                "or choose a layer before it."
            )
        named = " and ".join(map(repr, layers))
        warn_caller(
            f"{recording.model.name}: layer {named} does not depend on the image, the gradient "
            f"{by}, so its pullback is zero; choose a layer before that, or run the network "
            "without torch.no_grad and detach."
        )
        return


_known: weakref.WeakKeyDictionary[Recording, dict[str, bool]] = weakref.WeakKeyDictionary()
"""Of each recording: which of its layers depend on the image."""


def _depends(recording: Recording, layer: str) -> bool:
    known = _known.setdefault(recording, {})
    if layer not in known:
        known[layer] = depends(recording.value(layer), recording.x)
    return known[layer]


def depends(value: Tensor, x: Tensor) -> bool:
    """Whether autograd's graph leads from a value to the image."""
    if value is x:
        return True
    waiting: list[Any] = [value.grad_fn]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if getattr(node, "variable", None) is x:
            return True
        waiting += [one for one, _ in node.next_functions]
    return False
