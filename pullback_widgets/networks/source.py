"""What a source of networks by name is: one file for each family of networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn

from ..engine.model import IMAGENET_MEAN, IMAGENET_STD
from .download import Progress


@dataclass(frozen=True)
class Entry:
    """A network that comes by name.

    Attributes:
        name: What ``load_model`` takes.
        title: What people call it.
        source: Where the weights come from, in words.
        size: Bytes to download; 0 if the weights are installed with the package, or if only their
            server knows.
        weights: torchvision's name of the weights, empty for others'.
        file: The file's name in torch's cache, empty for others'.
        classes: How many classes the network tells apart.
    """

    name: str
    title: str
    source: str
    size: int = 0
    weights: str = ""
    file: str = ""
    classes: int = 1000


@dataclass(frozen=True)
class Pretrained:
    """A network with its trained weights, and how it was trained to see images.

    Attributes:
        module: The network.
        categories: The names of its classes; None if they have none.
        mean: Of each colour channel, of images in [0, 1]; as of ``Model``.
        std: Of each colour channel, likewise.
        size: The side of its images, in pixels.
    """

    module: nn.Module
    categories: list[str] | None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    size: int = 224


class Source(ABC):
    """A family of networks by name, and where its weights come from.

    A family has either ``entries``, which the catalogue lists, or a ``prefix`` of its own and more
    networks than can be listed; then it says in :meth:`names` which are here, and makes their
    entries in :meth:`entry`. Nothing but :meth:`entry`, :meth:`is_cached` and :meth:`load` may
    import what is slow to import, and :meth:`load` alone may ask a server.
    """

    entries: tuple[Entry, ...] = ()
    """The networks that the catalogue lists."""

    prefix = ""
    """What the names of the family begin with, such as ``timm/``; empty if it has ``entries``."""

    def names(self) -> list[str]:
        """The networks to choose from in a list."""
        return [entry.name for entry in self.entries]

    def knows(self, name: str) -> bool:
        """Whether a name belongs to this family; with a ``prefix`` it may still have no network."""
        return str(name).startswith(self.prefix) if self.prefix else name in self.names()

    def entry(self, name: str) -> Entry:
        """The network of this name.

        Raises:
            ValueError: If the family has no such network.
        """
        return next(entry for entry in self.entries if entry.name == name)

    @abstractmethod
    def label(self, name: str) -> str:
        """What lists call a network, with what it takes to have it."""

    @abstractmethod
    def is_cached(self, entry: Entry) -> bool:
        """Whether the weights are here."""

    @abstractmethod
    def load(self, entry: Entry, progress: Progress | None) -> Pretrained:
        """Build a network with its weights, downloading them if need be.

        Args:
            entry: Of :meth:`entry`.
            progress: As of ``load_model``.

        Raises:
            DownloadError: If the weights cannot be downloaded, stored or read.
        """
