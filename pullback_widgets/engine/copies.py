"""Deep copies of networks, those that keep results of a forward pass included."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn


def copied(module: nn.Module, memo: dict[int, Any] | None = None) -> nn.Module:
    """A deep copy of a network.

    torch refuses to copy a tensor in the middle of a graph, such as a feature that a network keeps
    for later, or a weight that is computed from others before each forward pass; the copy has its
    value, without the graph.

    Args:
        module: The network.
        memo: What ``copy.deepcopy`` has copied already.

    Raises:
        TypeError: If something else in it cannot be copied.
    """
    memo = {} if memo is None else memo
    for child in module.modules():
        for value in _tensors(vars(child)):
            if not value.is_leaf:
                memo.setdefault(id(value), value.detach().clone())
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise TypeError(
            f"The network {type(module).__name__} cannot be copied ({type(error).__name__}: "
            f"{reason}); build it anew where it shall run, and give it without device."
        ) from error


def _tensors(value: Any, depth: int = 2) -> Iterator[Tensor]:
    """Tensors in attributes, and in collections there."""
    if isinstance(value, Tensor):
        yield value
    elif depth and isinstance(value, Mapping):
        for one in value.values():
            yield from _tensors(one, depth - 1)
    elif depth and isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one, depth - 1)
