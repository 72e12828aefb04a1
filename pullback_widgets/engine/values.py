"""What the calls of a forward pass returned, found again by their place in autograd's graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from .gate import Kept
from .held import Factor
from .trace import Trace


class Values(TorchFunctionMode):
    """Keeps what the network's calls return; entered behind the recorder, it sees soft gates."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._trace = trace
        self._kept: dict[tuple[Any, int], Kept] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in tree_leaves(out):
            if isinstance(one, Tensor) and one.grad_fn is not None:
                self._kept[one.grad_fn, one.output_nr] = self._trace.keep_for_backward(one)
        return out

    def at(self, node: Any, number: int) -> Tensor | None:
        """What a node of the graph returned; None if no call of the network's own returned it."""
        if getattr(node, "variable", None) is not None:
            leaf: Tensor = node.variable
            return leaf.detach()
        kept = self._kept.get((node, number))
        if kept is None:
            # A factor of a product is the value itself.
            inside = isinstance(getattr(node, "held", None), Factor)
            return self.at(*node.next_functions[0]) if inside else None
        try:
            return kept.get(last=False)
        except RuntimeError:  # overwritten unseen
            return None
