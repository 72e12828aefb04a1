"""A network whose gates are soft for a while, for explainers that know nothing of it."""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from .axes import FIRST
from .eager import eagerly, uncompiled
from .gate import Settings
from .model import Model
from .recorder import Recorder
from .recording import scale_lookup
from .softening import Softening
from .trace import Trace, layer_hooks


@contextmanager
def softened(model: Model | nn.Module, softening: Softening | None = None) -> Iterator[nn.Module]:
    """Soften every gradient of a network that is run inside.

    Whatever takes gradients, an explainer of captum or Quantus or a loop of one's own, gets
    pullbacks for gradients; forward passes stay as they are. The gradient may be taken outside, of
    what ran inside. Copies that ``copy`` makes of the network inside, also as a part of something
    else, are softened as well, with scales of their own. Pickled copies and other threads are not.

    Args:
        model: The network. A ``pw.Model`` also says which images calibrate relative temperatures;
            its preprocessing is not applied.
        softening: ``Softening.relative(0.85)`` by default.

    Yields:
        The network's module.

    Raises:
        TypeError: Where the network is called, if its first argument is no floating-point tensor
            (N, C, H, W). Where it is copied, if it is a graph of ``torch.fx``, whose copy is built
            anew and would not be softened.
    """
    model = Model.of(model)
    softening = Softening.checked(softening)
    thread = threading.get_ident()
    running: list[ExitStack] = []
    mark = _Mark(uncompiled(model.module))  # copies of what wraps it lose marks of their own

    def before(child: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if threading.get_ident() != thread or not mark.is_on(child) or not torch.is_grad_enabled():
            return None
        x = args[0] if args else None
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.dim() < 2:
            raise TypeError(
                f"Inside pw.softened the network was called with {_named(x)}; expected the batch "
                "of images, a floating-point tensor (N, C, H, W), as its first positional argument."
            )
        # What comes from the image is known by the graph, also where only a layer's gradient is
        # taken.
        seen = x if x.requires_grad else x.detach().requires_grad_()
        trace = Trace(images=len(x))
        trace.axes.put(seen, FIRST)
        scale = scale_lookup(mark.model_of(child, model), x.shape[-2], x.shape[-1])
        settings = Settings(softening, scale)
        with ExitStack() as stack:
            if softening.factors:
                stack.enter_context(layer_hooks(child, trace, set()))
            stack.enter_context(Recorder(trace, settings, None, seen))
            running.append(stack.pop_all())
        return (seen, *args[1:])

    def after(child: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if running and threading.get_ident() == thread and mark.is_on(child):
            running.pop().close()

    handles = [
        register_module_forward_pre_hook(before),  # type: ignore[arg-type]  # it may give arguments
        register_module_forward_hook(after, always_call=True),
    ]
    try:
        with eagerly():
            yield model.module
    finally:
        for handle in handles:
            handle.remove()
        mark.take_off()
        while running:  # an interrupt ends a forward pass without its hooks
            running.pop().close()


class _Mark:
    """An attribute by which a network and its copies are known, since copies take it along."""

    def __init__(self, module: nn.Module) -> None:
        self.name = f"_softened_{id(self)}"
        self.original = weakref.ref(module)
        self.graph = isinstance(module, fx.GraphModule)
        self.seen: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self.latest: Model | None = None  # copies come and go, so only one is held
        vars(module)[self.name] = self
        self.seen.add(module)

    def is_on(self, module: nn.Module) -> bool:
        return vars(module).get(self.name) is self

    def model_of(self, module: nn.Module, original: Model) -> Model:
        """The model that knows the scales of a module: a copy's weights may have changed."""
        if module is self.original():
            return original
        if self.latest is None or self.latest.module is not module:
            self.seen.add(module)
            self.latest = copy.copy(original)
            self.latest.__setstate__({"module": module, "_met": None})
        return self.latest

    def take_off(self) -> None:
        self.latest = None
        for module in self.seen:
            vars(module).pop(self.name, None)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Mark:
        if self.graph:
            raise TypeError(
                "Inside pw.softened a graph of torch.fx was copied, and the copy would not be "
                "softened; copy it before, and give pw.softened the copy."
            )
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()  # elsewhere it means nothing


def _named(x: object) -> str:
    if isinstance(x, Tensor):
        return f"a tensor of shape {tuple(x.shape)} and type {x.dtype}"
    return "no positional argument" if x is None else f"a {type(x).__name__}"
