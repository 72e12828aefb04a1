"""A layer: one call of one module, by dotted name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class Layer(NamedTuple):
    """One call of a module in the forward pass.

    Attributes:
        name: Dotted module name; the second call of the same module is ``name:2``, and so on.
        kind: Class name of the module.
        shape: Shape of one image's activation, without the batch: ``(C, H, W)``, ``(C,)``...
    """

    name: str
    kind: str
    shape: tuple[int, ...]

    @property
    def size(self) -> str:
        """The shape in words, such as ``672x14x14``."""
        return "x".join(map(str, self.shape))

    def __str__(self) -> str:
        return f"{self.name}  {self.kind}  {self.size}"


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
