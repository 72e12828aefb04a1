"""Inputs that autograd keeps though no gradient by the image reads them: a shape is enough.

A convolution and a batch norm by running statistics keep their input for gradients by their
weights, also where none is asked for (pytorch #133566). A recording asks for gradients by the image
alone, which need the weights and the shape of the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .gate import Settings

_FUNCTIONS = {F.conv1d, F.conv2d, F.conv3d, F.batch_norm}
_hooks = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
"""What says whether the network has hooks of its own; a torch without it keeps all inputs."""


def may_leave_unread(func: Callable[..., Any]) -> bool:
    """Whether some call of ``func`` keeps an input that a gradient by the image does not read."""
    return func in _FUNCTIONS


def forget_input(out: Tensor, image: Tensor, settings: Settings) -> None:
    """Let autograd keep only the shape of the input that a convolution or batch norm had.

    Nothing is done where a weight comes from the image, since its gradient reads the input, or
    where the network says itself how values are kept.

    Args:
        out: What the call returned.
        image: What gradients are taken by.
        settings: Where is read whether such a gradient is taken.
    """
    node: Any = out.grad_fn
    saved = getattr(node, "_raw_saved_input", None)
    if saved is None or _hooks is None or _hooks(True) is not None:
        return
    for weight, _ in node.next_functions[1:]:
        if weight is not None and getattr(weight, "variable", image) is image:
            return
    saved.register_hooks(_Shape, lambda shape: shape.tensor(settings.pulling))


class _Shape:
    """The shape of a tensor."""

    __slots__ = ("device", "dtype", "size", "stride")

    def __init__(self, tensor: Tensor) -> None:
        self.size, self.stride = tensor.shape, tensor.stride()
        self.dtype, self.device = tensor.dtype, tensor.device

    def tensor(self, unread: bool) -> Tensor:
        """A tensor of this shape; where its values may be read, they are not numbers."""
        empty = torch.empty_strided(self.size, self.stride, dtype=self.dtype, device=self.device)
        return empty if unread else empty.fill_(torch.nan)
