"""A network whose gates are soft for a while, for explainers that know nothing of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from .axes import FIRST
from .eager import eagerly
from .gate import Settings
from .model import Model
from .recording import Recorder, scale_lookup
from .softening import Softening
from .trace import Trace, layer_hooks


@contextmanager
def softened(model: Model | nn.Module, softening: Softening | None = None) -> Iterator[nn.Module]:
    """Soften every gradient of a network that is run inside.

    Whatever takes gradients, an explainer of captum or Quantus or a loop of one's own, gets
    pullbacks for gradients; forward passes stay as they are. The gradient may be taken outside, of
    what ran inside. Other threads, and copies that are made of the network, are not softened.

    Args:
        model: The network. A ``pw.Model`` also says which images calibrate relative temperatures;
            its preprocessing is not applied.
        softening: ``Softening.relative(0.85)`` by default.

    Yields:
        The network's module.

    Raises:
        TypeError: Where the network is called, if its first argument is no floating-point tensor
            (N, C, H, W).
    """
    model = Model.of(model)
    softening = Softening.checked(softening)
    thread = threading.get_ident()
    running: list[ExitStack] = []

    def before(child: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        elsewhere = child is not model.module or threading.get_ident() != thread
        if elsewhere or not torch.is_grad_enabled():
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
        settings = Settings(softening, scale_lookup(model, x.shape[-2], x.shape[-1]))
        with ExitStack() as stack:
            if softening.factors:
                stack.enter_context(layer_hooks(model.module, trace, set()))
            stack.enter_context(Recorder(trace, settings, None, seen))
            running.append(stack.pop_all())
        return (seen, *args[1:])

    def after(child: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if running and child is model.module and threading.get_ident() == thread:
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
        while running:  # an interrupt ends a forward pass without its hooks
            running.pop().close()


def _named(x: object) -> str:
    if isinstance(x, Tensor):
        return f"a tensor of shape {tuple(x.shape)} and type {x.dtype}"
    return "no positional argument" if x is None else f"a {type(x).__name__}"
