"""The networks that come by name; each family of them is a source in a file of its own.

Importing this file imports neither torchvision nor timm, so the list is there at once; they are
imported when the first of their networks is loaded.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

import torch

from ..engine.device import get_device
from ..engine.model import Model
from .download import Progress
from .embedded import Embedded
from .source import Entry, Source
from .timm_source import Timm
from .torchvision_source import Torchvision

SOURCES: tuple[Source, ...] = (Embedded(), Torchvision(), Timm())
"""Every family of networks, in the order of lists: a new one is added here."""

CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {entry.name: entry for source in SOURCES for entry in source.entries}
)
"""The networks by name, the default first, then the three of the paper."""


def listed_names() -> list[str]:
    """The networks to choose from: those of :data:`CATALOGUE`, and others that are here."""
    return [name for source in SOURCES for name in source.names()]


def entry_label(name: str) -> str:
    """A network that comes by name, and what it takes to have it, for lists.

    Raises:
        ValueError: If no family has such a name.
    """
    return _source(name).label(name)


def entry(name: str) -> Entry:
    """The network of this name.

    Args:
        name: A name of :data:`CATALOGUE`, or ``timm/`` and timm's name of a pretrained network;
            without a tag it gets the tag of timm's default weights.

    Raises:
        ValueError: If there is no such network; it lists the nearest.
    """
    return _source(name).entry(name)


def _source(name: str) -> Source:
    for source in SOURCES:
        if source.knows(name):
            return source
    near = difflib.get_close_matches(str(name).lower(), CATALOGUE)
    hint = f"nearest: {', '.join(near)}; " if near else ""
    others = "".join(
        f", and those of {source.prefix.rstrip('/')} as {source.prefix}NAME"
        for source in SOURCES
        if source.prefix
    )
    raise ValueError(
        f"The catalogue has no network {name!r}; {hint}all: {', '.join(CATALOGUE)}{others}. "
        "A network of your own goes through pw.Model."
    )


def is_cached(name: str) -> bool:
    """Whether :func:`load_model` has nothing to download for this name.

    Args:
        name: As for :func:`load_model`.

    Raises:
        ValueError: If there is no such network.
    """
    source = _source(name)
    return source.is_cached(source.entry(name))


def load_model(
    name: str,
    progress: Progress | None = None,
    device: str | torch.device | None = None,
) -> Model:
    """Load a network with its trained weights, downloading them if need be.

    torchvision's weights go through its own loader into torch's own cache
    (``torch.hub.get_dir()``), timm's into the cache of the Hugging Face hub (``HF_HOME``).

    Args:
        name: A name of :data:`CATALOGUE`, or one of timm's such as ``timm/resnet18.a1_in1k``;
            without the tag, ``timm/resnet18``, it is timm's default weights.
        progress: Called during a download with the bytes done and the bytes in total, a few times
            a second, from another thread; last with (total, total), and never after the return. Not
            called where nothing is downloaded.
        device: Where the network runs; by default ``get_device()``.

    Returns:
        The network in evaluation mode, its parameters without gradient, with its normalisation,
        size and class names. timm's networks that were not trained on ImageNet's classes have no
        class names.

    Raises:
        ValueError: If there is no such network, or torch cannot use the device.
        DownloadError: If the weights cannot be downloaded, stored or read.
    """
    source = _source(name)
    found = source.entry(name)
    network = source.load(found, progress)
    model = Model(
        network.module.eval().requires_grad_(False),
        mean=network.mean,
        std=network.std,
        size=network.size,
        categories=network.categories,
        name=found.name.removeprefix(source.prefix),
        device=get_device() if device is None else device,
    )
    model.catalogue_name = found.name
    return model
