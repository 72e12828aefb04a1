"""The modules of a network, faster than torch lists them: every forward pass needs them."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn


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


def tensors_inside(module: nn.Module) -> Iterator[Tensor]:
    """The parameters and buffers of a network; one that several modules share comes for each."""
    for one in modules_inside(module):
        # TorchScript keeps its tensors elsewhere.
        plain = "_parameters" in vars(one) and "_buffers" in vars(one)
        parameters = one._parameters.values() if plain else one.parameters(recurse=False)
        buffers = one._buffers.values() if plain else one.buffers(recurse=False)
        for tensors in (parameters, buffers):
            yield from (tensor for tensor in tensors if tensor is not None)
