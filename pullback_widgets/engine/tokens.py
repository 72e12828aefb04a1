"""Tokens: which of them are patches of the image, and what the others are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from torch import nn

PREFIX = 16
"""So many tokens at most stand before the patches."""

# What the parameters are called that the tokens before the patches start from, in the order in
# which networks have them.
_NAMES = (("cls", "class token"), ("class", "class token"), ("dist", "distillation token"))


class Tokens(NamedTuple):
    """A layer's tokens: some of their own, then the patches of the image, row by row.

    Attributes:
        prefix: What the tokens before the patches are called, such as ``"class token"``.
        grid: Rows and columns of patches.
    """

    prefix: tuple[str, ...]
    grid: tuple[int, int]

    def patch(self, index: int) -> tuple[int, int] | None:
        """Row and column of a token's patch; None for a token that is none."""
        at = index - len(self.prefix)
        return None if at < 0 else divmod(at, self.grid[1])

    def number(self, patch: tuple[int, int]) -> int:
        """The token of a patch at (row, column)."""
        return len(self.prefix) + patch[0] * self.grid[1] + patch[1]

    def name(self, index: int) -> str:
        """``"class token"``, or ``"patch (3, 7)"``."""
        patch = self.patch(index)
        return self.prefix[index] if patch is None else f"patch {patch}"


def recognised(
    count: int, maps: Iterable[tuple[int, int]], names: Callable[[], list[str]]
) -> Tokens | None:
    """The tokens of a layer that has so many, if they are the patches of one of the maps.

    Args:
        count: How many tokens.
        maps: Rows and columns of the maps before the layer.
        names: Gives what the network's other tokens are called.
    """
    others = {map_: count - map_[0] * map_[1] for map_ in maps}
    fitting = [map_ for map_, more in others.items() if 0 <= more <= PREFIX]
    if not fitting:
        return None
    nearest = min(fitting, key=others.__getitem__)
    return Tokens(_prefix(others[nearest], names()), nearest)


def own_tokens(module: nn.Module) -> list[str]:
    """What a network's tokens in front of the patches are called, by its parameters."""
    found: list[str] = []
    for path, _ in module.named_parameters():
        last = path.rpartition(".")[2]
        for part, name in _NAMES:
            if last.startswith(part) and ("token" in last or "embed" in last):
                found += [name] * (name not in found)
        if "reg" in last and "token" in last:
            found += ["register token"] * ("register token" not in found)
    order = ["class token", "distillation token", "register token"]
    return sorted(found, key=order.index)


def _prefix(count: int, names: list[str]) -> tuple[str, ...]:
    """Names of so many tokens: one for each name, and as many registers as are left."""
    single = [name for name in names if name != "register token"]
    rest = count - len(single)
    if rest < 0 or (rest > 0 and "register token" not in names):
        return tuple(f"token {n}, no patch" for n in range(count))
    return (*single, *(f"register token {n + 1}" for n in range(rest)))
