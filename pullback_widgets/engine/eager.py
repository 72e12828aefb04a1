"""Compiled networks run eagerly here: a gate is seen only where Python makes the call."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

_lock = threading.Lock()
_running = 0
_stance: Any = None


@contextmanager
def eagerly() -> Iterator[None]:
    """While this lasts, what ``torch.compile`` made runs as its Python code does.

    torch has one stance for all threads. It is set by the first that comes and put back by the last
    that leaves, so that none finds another's.
    """
    global _running, _stance
    if not may_be_compiled():  # and it takes a second to import what would say it
        yield
        return
    with _lock:
        _running += 1
        if _running == 1:
            _stance = torch.compiler.set_stance("force_eager")
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if _running == 0:
                _stance.__exit__(None, None, None)


def uncompiled(module: nn.Module) -> nn.Module:
    """The module that ``torch.compile`` wrapped; any other as it is."""
    while is_compiled(module):
        module = module._orig_mod  # type: ignore[assignment]
    return module


def may_be_compiled() -> bool:
    """Whether anything can have been compiled so far."""
    return "torch._dynamo" in sys.modules


def is_compiled(module: nn.Module) -> bool:
    """Whether ``torch.compile`` wrapped a module into this one."""
    dynamo = sys.modules.get("torch._dynamo")
    return dynamo is not None and isinstance(module, dynamo.OptimizedModule)
