"""The photographs that are measured on: read one by one, never all at once."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import checks
from ..engine.image import ImageError
from ..engine.model import Model
from ..figures.images import IMAGE_ENDINGS, image_name, is_folder
from .methods import key


@dataclass(frozen=True)
class Item:
    """A photograph before it is read.

    Attributes:
        number: Its place among those that were given, from 0.
        name: The file's path in its folder, the sample's name, or ``image 7``.
        source: What ``Session`` takes.
        label: Its class, an index or a name; None where none is known.
    """

    number: int
    name: str
    source: Any
    label: int | str | None = None


class Images:
    """Photographs in order, each an :class:`Item`.

    Attributes:
        count: How many there are; None of an iterable, which is gone through once.
        in_folder: Whether they are the files of a folder, of which those that cannot be read are
            left out.
        listed: Whether they are a list, so that their names are known without reading.
    """

    def __init__(
        self, source: Any, count: int | None, *, in_folder: bool = False, listed: bool = False
    ) -> None:
        self._source = source
        self.count = count
        self.in_folder = in_folder
        self.listed = listed or in_folder

    def __iter__(self) -> Iterator[Item]:
        if self.count is None:
            for number, given in enumerate(self._source):
                yield _item(number, given)
        else:
            for number in range(self.count):
                yield self[number]

    def __getitem__(self, number: int) -> Item:
        given = self._source[number]
        return given if isinstance(given, Item) else _item(number, given)

    def some(self, most: int, seed: int) -> list[Item]:
        """Up to ``most`` of them, chosen by chance but the same whatever their order.

        Of an iterable it is the first ones, which stay in it.
        """
        if self.count is None:
            first = list(itertools.islice(self._source, most))
            self._source = itertools.chain(first, self._source)
            return [_item(number, given) for number, given in enumerate(first)]
        if self.count <= most:
            return [self[number] for number in range(self.count)]
        numbers = sorted(range(self.count), key=lambda n: _rank(self._known_name(n), seed))
        return [self[number] for number in numbers[:most]]

    def part(self, first: int, step: int) -> Images:
        """Every ``step``-th of them, from number ``first`` on."""
        if self.count is None:
            return Images(itertools.islice(self._source, first, None, step), None)
        return self._chosen(range(first, self.count, step))

    def limited(self, most: int | None) -> Images:
        """At most so many, spread over all of them: neighbours are often alike."""
        if most is None or (self.count is not None and self.count <= most):
            return self
        most = checks.whole("limit", most)
        if self.count is None:
            return Images(itertools.islice(self._source, most), None)
        return self._chosen([n * self.count // most for n in range(most)])

    def _chosen(self, numbers: Sequence[int]) -> Images:
        source = _Chosen(self, numbers)
        return Images(source, len(numbers), in_folder=self.in_folder, listed=self.listed)

    def _known_name(self, number: int) -> str:
        """A name that takes no reading: of a tensor its values, of a data set the number."""
        source = self._source
        if isinstance(source, _Chosen):
            return source.images._known_name(source.numbers[number])
        given = source[number] if isinstance(source, list) else None
        if not isinstance(given, Item):
            return str(number)
        return str(key(given.source)) if isinstance(given.source, Tensor) else given.name


@dataclass(frozen=True)
class _Chosen:
    """Some of other images, by number."""

    images: Images
    numbers: Sequence[int]

    def __getitem__(self, place: int) -> Item:
        return self.images[self.numbers[place]]


def opened(images: Any) -> Images:
    """What was given as photographs.

    Args:
        images: A folder, whose folders, if it has any, are classes; a list of what ``Session``
            takes, or of pairs of that and a class; a tensor (N, C, H, W); a data set of
            torchvision's or Hugging Face's kind, with ``len`` and numbers; an iterable of images or
            pairs.

    Raises:
        ValueError: If there are none.
        TypeError: If it is nothing of this.
    """
    if isinstance(images, Images):
        return images
    if is_folder(images):
        return _folder(Path(images).expanduser())
    if isinstance(images, str | Path) or (isinstance(images, Tensor) and images.dim() == 3):
        images = [images]
    if isinstance(images, Mapping):
        images = [Item(n, str(name), one) for n, (name, one) in enumerate(images.items())]
    if isinstance(images, Tensor | list | tuple):
        items = [one if isinstance(one, Item) else _item(n, one) for n, one in enumerate(images)]
        return Images(_some(items), len(items), listed=True)
    if hasattr(images, "__len__") and hasattr(images, "__getitem__"):
        return Images(images, len(_some(images)))
    if isinstance(images, Iterable):
        return Images(iter(images), None)
    raise TypeError(
        f"The images are {type(images).__name__}; expected a folder, a list, a data set, or an "
        "iterable of images or of pairs of image and class."
    )


def _some(images: Any) -> Any:
    if not len(images):
        raise ValueError("There are no images; give a list of photographs or a folder with some.")
    return images


def _folder(folder: Path) -> Images:
    """The photographs of a folder and of the folders in it, which are their classes."""
    found = []
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in files:
            path = Path(place, name)
            if path.suffix.lower() in IMAGE_ENDINGS and not name.startswith("."):
                found.append(path.relative_to(folder))
    if not found:
        raise ValueError(f"There is no photograph in {str(folder)!r}; name a folder with some.")
    found.sort()
    items = [
        Item(n, path.as_posix(), folder / path, path.parts[0] if len(path.parts) > 1 else None)
        for n, path in enumerate(found)
    ]
    return Images(items, len(items), in_folder=True)


def _item(number: int, given: Any) -> Item:
    source, label = _pair(given)
    return Item(number, image_name(source) or f"image {number + 1}", source, label)


def _pair(given: Any) -> tuple[Any, int | str | None]:
    """An image and its class, in any of the usual forms."""
    if isinstance(given, Mapping):
        if "image" not in given:
            raise ValueError(
                f"An element of the data set has {', '.join(map(str, given))}; expected one called "
                "image, and label for its class."
            )
        return given["image"], _label(given.get("label"))
    if isinstance(given, list | tuple) and len(given) == 2:
        return given[0], _label(given[1])
    return given, None


def _label(label: Any) -> int | str | None:
    if label is None or isinstance(label, str):
        return label
    value = label.item() if hasattr(label, "item") else label
    if not checks.is_whole(value):
        raise ValueError(f"A class is {label!r}; expected an index, a name, or None.")
    return int(value)


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def classes_of(images: Images, model: Model, outputs: int) -> dict[str, int]:
    """The class index of each label that is a text, such as the name of a folder.

    Names of classes are looked up. Otherwise, as in torchvision, the folders in alphabetical order
    are the classes, if there are as many as the network has.

    Args:
        images: Of a folder or a list; of an iterable each label is looked up when it comes.
        model: The network.
        outputs: How many classes it has.

    Raises:
        ValueError: If they are neither.
    """
    if images.count is None or not images.in_folder:
        return {}
    labels = sorted({one.label for one in images if isinstance(one.label, str)})
    try:
        return {label: model.class_index(label) for label in labels}
    except ValueError as error:
        if len(labels) == outputs:
            return {label: n for n, label in enumerate(labels)}
        raise ValueError(
            f"There are {len(labels)} folders, and {model.name} has {outputs} classes; name the "
            f"folders after classes ({error}), give a folder for every class, or choose "
            'targets="top".'
        ) from error


def read(items: Sequence[Item], model: Model, *, skip: bool) -> tuple[list[Item], list[Tensor]]:
    """Those that can be read, and their pixels, each (C, H, W) in [-1, 1] on the CPU.

    Raises:
        ImageError: If one cannot be read, unless it is to be skipped.
    """
    good, pixels = [], []
    for item in items:
        try:
            pixels.append(model.image(item.source).cpu())
            good.append(item)
        except ImageError as error:
            if not skip:
                raise ImageError(f"{item.name}: {error}") from error
    return good, pixels
