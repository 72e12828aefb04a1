"""Gradient checkpointing: what would be computed again is kept, so that gates stand where they are.

Torch computes a checkpointed part again in the backward pass, when no recorder sees its calls. The
hooks by which it leaves values away are overruled for each call.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from .gate import Kept

REENTRANT = (
    "The network recomputes parts of its forward pass by torch.utils.checkpoint with "
    "use_reentrant=True, through which torch gives no gradient of an image; call it with "
    "use_reentrant=False, or switch checkpointing off, for instance by "
    "set_grad_checkpointing(False)."
)


_hooks = torch._C._autograd._top_saved_tensors_default_hooks


def is_checkpointed() -> bool:
    """Whether the call that comes is in a part that torch would compute again."""
    hooks = _hooks(True)
    return hooks is not None and hooks[0].__module__ == "torch.utils.checkpoint"


def kept_values() -> AbstractContextManager[Any]:
    """While this lasts, autograd keeps the values that it needs."""
    return saved_tensors_hooks(Kept, _value)


def _value(kept: Kept) -> Tensor:
    return kept.get(last=False)
