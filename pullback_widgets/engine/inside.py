"""The modules of a network, faster than torch lists them: every forward pass needs them."""

from __future__ import annotations

from torch import nn


def named_modules_inside(module: nn.Module) -> dict[str, nn.Module]:
    """What ``module.named_modules()`` gives, in the same order and several times faster."""
    found: dict[str, nn.Module] = {}
    seen: set[int] = set()
    waiting = [("", module)]
    while waiting:
        name, one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        found[name] = one
        prefix = f"{name}." if name else ""
        children = [
            (prefix + key, child) for key, child in one._modules.items() if child is not None
        ]
        waiting += reversed(children)
    return found


def modules_inside(module: nn.Module) -> list[nn.Module]:
    """What ``module.modules()`` gives."""
    return list(named_modules_inside(module).values())
