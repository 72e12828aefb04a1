"""Layers among hundreds: by stage, and by what someone types."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from .layer import Layer

OTHERS = ""
"""The stage of layers that stand alone at the top of a network."""


def stages(names: Iterable[str]) -> dict[str, str]:
    """The stage of every layer: its dotted name up to the first part with a number.

    ``blocks.4.2.bn2.act`` is of ``blocks.4``, ``layer1.0.relu`` of ``layer1``. A stage of one layer
    is none: that layer is of what its name begins with, or of :data:`OTHERS`.
    """
    found = {name: _numbered(name) for name in names}
    alone = {stage for stage, count in Counter(found.values()).items() if count == 1}
    for name, stage in found.items():
        if stage in alone:
            found[name] = name.partition(".")[0]
    alone = {stage for stage, count in Counter(found.values()).items() if count == 1}
    return {name: OTHERS if stage in alone else stage for name, stage in found.items()}


def search(text: str, layers: Sequence[Layer]) -> list[Layer]:
    """The layers that have all words of a text, in forward order; else those spelt nearly so.

    A word may stand in a layer's name, be the beginning of its kind, or its size, such as
    ``14x14``. A layer of exactly this name comes first.
    """
    words = text.casefold().split()
    fits = [layer for layer in layers if all(_has(layer, word) for word in words)]
    if not fits:
        by_name = {layer.name.casefold(): layer for layer in layers}
        near = difflib.get_close_matches(text.strip().casefold(), by_name, n=8)
        return [by_name[name] for name in near]
    return sorted(fits, key=lambda layer: [layer.name.casefold()] != words)


def _has(layer: Layer, word: str) -> bool:
    return (
        word in layer.name.casefold()
        or layer.kind.casefold().startswith(word)
        or word in layer.size
    )


def _numbered(name: str) -> str:
    parts = name.partition(":")[0].split(".")
    for end, part in enumerate(parts, start=1):
        if re.search(r"\d", part):
            return ".".join(parts[:end])
    return parts[0]
