"""Buffers that a forward pass writes to: it writes to copies, and the buffers stay as they are.

Counters, running statistics and caches change whenever a network runs, in whatever mode. Values put
back *into* a buffer would spoil graphs that refer to it, so the buffers themselves are put aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def copies_of_buffers(modules: Iterable[nn.Module]) -> Iterator[None]:
    """While this lasts, modules have copies of their buffers; then what they had before.

    Buffers that the forward pass makes, replaces or removes are put back, too. A buffer that
    several modules share has one copy.
    """
    # TorchScript keeps its buffers elsewhere.
    modules = [module for module in modules if "_buffers" in vars(module)]
    kept = {id(module): dict(module._buffers) for module in modules if module._buffers}
    copies: dict[int, Tensor] = {}
    try:
        with torch.no_grad():
            for module in modules:
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        if id(buffer) not in copies:
                            copies[id(buffer)] = buffer.clone()
                        module._buffers[name] = copies[id(buffer)]
        yield
    finally:
        for module in modules:
            before = kept.get(id(module), {})
            if not before and not module._buffers:
                continue
            made = [name for name in module._buffers if name not in before]
            module._non_persistent_buffers_set.difference_update(made)
            module._buffers.clear()
            module._buffers.update(before)
