"""Which tensors are bounded factors: sigmoids, softmax weights, activated values.

A product of two values of the image is linear in one of them once the other is a constant. The
bounded one is: it opens and shuts, as a gate does.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .versions import version_of

ACTIVATED, BOUNDED = 1, 2
"""How much a value is a gate; of two factors the one with more of it is the constant."""

_SOFTMAX = {F.softmax, torch.softmax, torch.special.softmax, Tensor.softmax}
_BOUNDED = {
    *(F.sigmoid, torch.sigmoid, torch.sigmoid_, Tensor.sigmoid, Tensor.sigmoid_),
    *(torch.special.expit, F.hardsigmoid),
}
_ACTIVATED = {
    *(F.tanh, torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_),
    *(torch.erf, torch.special.erf, Tensor.erf),
}
_RESHAPING = {
    *(torch.reshape, torch.flatten, torch.unflatten, torch.unsqueeze, torch.squeeze),
    *(torch.permute, torch.transpose, torch.chunk, torch.split, torch.unbind, torch.clone),
    *(torch.repeat_interleave, torch.tile, torch.dropout, F.dropout, F.interpolate),
    *(getattr(Tensor, name).__get__ for name in ("T", "H", "mT", "mH")),
    *(
        getattr(space, name)
        for space in (torch, Tensor)
        for name in (
            *("t", "adjoint", "swapaxes", "swapdims", "movedim", "moveaxis", "select", "narrow"),
            *("ravel", "unsafe_chunk", "unsafe_split", "tensor_split"),
        )
    ),
    *(Tensor.view_as, Tensor.reshape_as, Tensor.double, Tensor.bfloat16, torch.Tensor.tile),
    *(Tensor.view, Tensor.reshape, Tensor.flatten, Tensor.unflatten, Tensor.unsqueeze),
    *(Tensor.squeeze, Tensor.permute, Tensor.transpose, Tensor.expand, Tensor.expand_as),
    *(Tensor.contiguous, Tensor.clone, Tensor.to, Tensor.float, Tensor.half, Tensor.type),
    *(Tensor.type_as, Tensor.chunk, Tensor.split, Tensor.unbind, Tensor.__getitem__),
    *(Tensor.repeat, Tensor.repeat_interleave),
}
_WITH_CONSTANTS = {
    *(torch.add, torch.sub, torch.mul, torch.div, Tensor.add, Tensor.sub, Tensor.mul, Tensor.div),
    *(Tensor.__add__, Tensor.__radd__, Tensor.__sub__, Tensor.__rsub__),
    *(Tensor.__mul__, Tensor.__rmul__, Tensor.__truediv__),
}
PRODUCTS = {
    *(torch.mul, torch.multiply, Tensor.mul, Tensor.mul_, Tensor.multiply, Tensor.multiply_),
    *(Tensor.__mul__, Tensor.__rmul__, Tensor.__imul__),
}
IN_PLACE = {Tensor.mul_, Tensor.multiply_, Tensor.__imul__}
MATRIX_PRODUCTS = {
    *(torch.matmul, torch.bmm, Tensor.matmul, Tensor.bmm, Tensor.__matmul__, Tensor.__rmatmul__),
    torch.einsum,
}


def concerns_factors(func: Callable[..., Any]) -> bool:
    """Whether :meth:`Factors.follow` has anything to do with what ``func`` returns."""
    return func in _MAKING or func in _RESHAPING or func in _WITH_CONSTANTS


_MAKING = _SOFTMAX | _BOUNDED | _ACTIVATED


class Mark(NamedTuple):
    """What is known of a factor."""

    rank: int
    softmax: bool = False


class Factors:
    """The bounded factors of the running forward pass. Tensors are held weakly."""

    def __init__(self, image: Tensor) -> None:
        self._known: dict[int, tuple[weakref.ref[Tensor], int, Mark]] = {}
        self._image = image
        self._graph = image.requires_grad
        self._varies: dict[Any, bool] = {}

    def get(self, tensor: Any) -> Mark | None:
        """What is known of a tensor; None if it is no factor, or was overwritten since."""
        entry = self._known.get(id(tensor))
        found = None if entry is None else entry[0]()
        if entry is None or found is None or found is not tensor or entry[1] != version_of(found):
            return None
        return entry[2]

    def put(self, tensor: Tensor, mark: Mark) -> None:
        """Note a factor."""
        self._known[id(tensor)] = (weakref.ref(tensor), version_of(tensor), mark)

    def follow(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], out: Any
    ) -> None:
        """Note whether ``out = func(*args, **kwargs)`` is a factor."""
        if not self._graph and not self._known and func not in _SOFTMAX:
            return  # without gradients only attention is looked for
        if func in _MAKING:
            self.put(out, Mark(ACTIVATED if func in _ACTIVATED else BOUNDED, func in _SOFTMAX))
            return
        if func in _RESHAPING:
            args = args[:1]  # whatever else there is only says how, as in expand_as
        marks = [mark for one in args if isinstance(one, Tensor) and (mark := self.get(one))]
        if len(marks) != 1:
            return
        others = [one for one in args if isinstance(one, Tensor) and self.get(one) is None]
        if func in _WITH_CONSTANTS and any(one.requires_grad for one in others):
            return
        for one in out if isinstance(out, (list, tuple)) else [out]:
            if isinstance(one, Tensor):
                self.put(one, marks[0])

    def constant_of(self, first: Any, second: Any) -> int | None:
        """Which of two factors is the constant: 0, 1, or None for a product that is none of ours.

        Both must come from the image; a weight does not.
        """
        marks = [self.get(one) if isinstance(one, Tensor) else None for one in (first, second)]
        ranks = [0 if mark is None else mark.rank for mark in marks]
        if ranks[0] == ranks[1] or not (self.varies(first) and self.varies(second)):
            return None
        return 0 if ranks[0] > ranks[1] else 1

    def varies(self, tensor: Any) -> bool:
        """Whether a value comes from the image, by its graph; without one, all but weights do."""
        if not self._graph:
            return isinstance(tensor, Tensor) and not isinstance(tensor, nn.Parameter)
        if not isinstance(tensor, Tensor) or not tensor.requires_grad:
            return False
        if tensor.grad_fn is None:
            return tensor is self._image
        known = self._varies
        if tensor.grad_fn in known:
            return known[tensor.grad_fn]
        # Down to the first node that leads to the image: all on the way to it do.
        way: list[tuple[Any, Iterator[Any]]] = [(tensor.grad_fn, _inputs(tensor.grad_fn))]
        while way:
            node, inputs = way[-1]
            one = next(inputs, None)
            if one is None:
                known[node] = False
                way.pop()
            elif one not in known and getattr(one, "variable", None) is not self._image:
                way.append((one, _inputs(one)))
            elif known.get(one, True):
                known.update((passed, True) for passed, _ in way)
                return True
        return False


def _inputs(node: Any) -> Iterator[Any]:
    """What a node of autograd's graph has its inputs from."""
    return (one for one, _ in node.next_functions if one is not None)
