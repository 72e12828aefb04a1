"""The images that a figure is given: a list, a mapping or a folder, and their names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..engine.image import SAMPLES

IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


def is_folder(images: Any) -> bool:
    """Whether images are given as the path of a folder."""
    return isinstance(images, str | Path) and Path(images).expanduser().is_dir()


class FolderFile(str):
    """The path of a photograph in a folder that is gone through, one after the other."""

    __slots__ = ()


def first_file(folder: str | Path) -> FolderFile:
    """The first photograph of a folder, in the order of their names.

    Raises:
        ValueError: If there is none.
    """
    return FolderFile(next(iter(photographs(folder).values())))


def photographs(images: Any) -> dict[str, Any]:
    """Images by name, a number added to a name that comes again.

    Args:
        images: A mapping, a folder, a list, or a single image.

    Raises:
        ValueError: If there are none.
    """
    if is_folder(images):
        files = Path(images).expanduser().iterdir()
        images = sorted(path for path in files if path.suffix.lower() in IMAGE_ENDINGS)
    if isinstance(images, Tensor) and images.dim() == 4:
        images = list(images)
    if not isinstance(images, Mapping | list | tuple):
        images = [images]
    if not images:
        raise ValueError("There are no images; give a list of photographs or a folder with some.")
    names = _unique(image_names(images))
    return dict(zip(names, images.values() if isinstance(images, Mapping) else images, strict=True))


def _unique(names: Sequence[str]) -> Iterator[str]:
    """The names, with the next free number after one that comes again."""
    taken = set(names)
    numbers: dict[str, Iterator[int]] = {}
    for name in names:
        if name not in numbers:
            numbers[name] = itertools.count(2)
            yield name
            continue
        numbered = (f"{name} ({number})" for number in numbers[name])
        free = next(one for one in numbered if one not in taken)
        taken.add(free)
        yield free


def image_names(images: Sequence[Any] | Mapping[str, Any]) -> list[str]:
    """A short name for each image: the mapping's own, the sample's, the file's, or its number."""
    if isinstance(images, Mapping):
        return [str(name) for name in images]
    return [image_name(image) or f"image {n}" for n, image in enumerate(images, start=1)]


def image_name(image: Any) -> str:
    """The sample's or the file's name; empty for images without one."""
    if isinstance(image, str) and image in SAMPLES:
        return SAMPLES[image].title
    # Pillow's name for the file that an image was opened from.
    file = image if isinstance(image, str | Path) else getattr(image, "filename", "")
    return Path(file).stem if isinstance(file, str | Path) else ""
