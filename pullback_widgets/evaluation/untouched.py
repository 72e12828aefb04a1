"""A network that is as it was afterwards, whatever an explainer does to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..engine.inside import modules_inside
from ..engine.model import Model

_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)
"""Where torch keeps a module's hooks."""


@contextmanager
def untouched(model: Model) -> Iterator[None]:
    """Evaluation mode inside; hooks, flags, gradients and buffers put back afterwards.

    Explainers of others leave hooks and gradients behind where they are interrupted or fail.
    Parameters are not copied: no explainer writes to them.
    """
    modules = modules_inside(model.module)
    hooks = [
        (kept, kept.copy())
        for module in modules
        for name in _HOOKS
        if (kept := vars(module).get(name)) is not None
    ]
    parameters: list[tuple[Any, bool, Any]] = [
        (one, one.requires_grad, one.grad) for one in model.module.parameters()
    ]
    try:
        for parameter, _, _ in parameters:
            parameter.grad = None  # what is there would be added to
        with model.evaluating():
            yield
    finally:
        for kept, before in hooks:
            kept.clear()
            kept.update(before)
        for parameter, needed, grad in parameters:
            if parameter.requires_grad != needed:
                parameter.requires_grad_(needed)
            parameter.grad = grad
