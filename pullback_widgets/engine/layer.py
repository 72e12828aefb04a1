"""A layer: one call of one module, by dotted name."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch import nn

from .tokens import Tokens, own_tokens, recognised

HEADS = "heads"
"""Behind the name of a module: the heads of the attention in it, as channels."""


class Layer(NamedTuple):
    """One call of a module in the forward pass.

    Attributes:
        name: Dotted module name; the second call of the same module is ``name:2``, and so on. The
            heads of attention are ``name:heads``; those of a second one in the module
            ``name:heads:2``.
        kind: Class name of the module; ``"Heads"`` for heads of attention.
        shape: Shape of one image's activation, without the batch: ``(C, H, W)``, ``(C,)``...
        windows: Whether the network cut the image into windows, so that places in the shape are
            (window, place in it), and no places of the image.
        tokens: Of a layer (C, L) whose tokens are patches of the image: which.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    windows: bool = False
    tokens: Tokens | None = None

    @property
    def is_heads(self) -> bool:
        """Whether the channels are heads of attention."""
        return is_heads(self.name)

    @property
    def size(self) -> str:
        """The shape in words, such as ``672x14x14``."""
        return "x".join(map(str, self.shape))

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of the places on the photograph; None if there are none."""
        if self.tokens is not None:
            return self.tokens.grid
        grid = self.shape[1:]
        return None if self.windows or len(grid) != 2 or max(grid) < 2 else (grid[0], grid[1])

    def __str__(self) -> str:
        return f"{self.name}  {self.kind}  {self.size}"


def is_heads(name: str) -> bool:
    """Whether a layer's name is one of heads of attention."""
    return HEADS in name.split(":")[1:]


def with_tokens(
    layers: Iterable[Layer], image: tuple[int, int], module: nn.Module
) -> Iterator[Layer]:
    """The layers of a network in forward order, those of tokens with what these are.

    Tokens are recognised by their number: that of the places of a map before them, and no more than
    a few others, which stand in front in the networks that have such.

    Args:
        layers: In forward order.
        image: Height and width; maps have the same proportions.
        module: The network, whose parameters tell what the tokens in front are called.
    """
    names = functools.cache(lambda: own_tokens(module))
    maps: dict[tuple[int, int], None] = {}
    counts: set[int] = set()
    for layer in layers:
        grid = layer.shape[1:]
        if not layer.windows and len(grid) == 2 and min(grid) > 1:
            if abs(grid[0] * image[1] - grid[1] * image[0]) <= max(image):
                maps[grid[0], grid[1]] = None
        elif not layer.windows and len(grid) == 1 and (grid[0] in counts or not layer.is_heads):
            # Heads of attention whose sums are matrices of features, as CoaT's are, have no tokens.
            counts.add(grid[0])
            layer = layer._replace(tokens=recognised(grid[0], maps, names))
        yield layer


def unknown_layer(name: str, known: Iterable[str]) -> ValueError:
    """The error for a layer that the network does not have, with the nearest names."""
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=5, cutoff=0.3)
    near += [other for other in known if str(name) and str(name) in other and other not in near]
    hint = f"{'nearest' if near else 'it has'}: {', '.join((near or known)[:6])}"
    if not near and len(known) > 6:
        hint += f" and {len(known) - 6} more"
    return ValueError(
        f"There is no layer {name!r} in this network; {hint}. "
        "pw.layers(model) lists all of them in forward order."
    )
