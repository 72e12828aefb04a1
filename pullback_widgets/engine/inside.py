"""The modules of a network, faster than torch lists them: every forward pass needs them."""

from __future__ import annotations

from torch import nn


def named_modules_inside(module: nn.Module) -> dict[str, nn.Module]:
    """What ``module.named_modules()`` gives, in the same order and several times faster."""
    found: dict[str, nn.Module] = {}
    seen: set[int] = set()

    def visit(name: str, one: nn.Module) -> None:
        seen.add(id(one))
        found[name] = one
        for key, child in one._modules.items():
            if child is not None and id(child) not in seen:
                visit(f"{name}.{key}" if name else key, child)

    visit("", module)
    return found


def modules_inside(module: nn.Module) -> list[nn.Module]:
    """What ``module.modules()`` gives."""
    found: list[nn.Module] = []
    seen: set[int] = set()

    def visit(one: nn.Module) -> None:
        seen.add(id(one))
        found.append(one)
        for child in one._modules.values():
            if child is not None and id(child) not in seen:
                visit(child)

    visit(module)
    return found
