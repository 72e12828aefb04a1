"""Calls of exported graphs, under the names that Python has for them.

``torch.export`` writes a network as calls of ``torch.ops.aten``. Torch makes its own functions from
the same declarations, so each has the arguments of its namesake.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._ops import OpOverload, OpOverloadPacket

_OTHER_NAMES: dict[str, Callable[..., Any]] = {
    "max_pool2d_with_indices": F.max_pool2d_with_indices,
    "max_pool3d_with_indices": F.max_pool3d_with_indices,
}


@functools.cache
def namesake(func: Callable[..., Any]) -> Callable[..., Any]:
    """The function of torch that an operator of ``torch.ops.aten`` is; anything else itself."""
    if isinstance(func, OpOverload):
        qualified = func._schema.name
    elif isinstance(func, OpOverloadPacket):
        qualified = func._qualified_op_name
    else:
        return func
    library, _, name = qualified.rpartition("::")
    if library != "aten":
        return func
    for space in (torch, torch._C._nn, Tensor):
        found = getattr(space, name, None)
        if callable(found):
            return _OTHER_NAMES.get(name, found)
    return func
