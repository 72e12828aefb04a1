"""A folder that keeps a figure's arrays, so that it goes on after it was stopped, or died."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..drawing import files
from ..drawing.reading import from_json, text_of

Shapes = Mapping[str, tuple[Any, tuple[int, ...]]]
"""The type and shape of each array."""

SETTINGS, STATE = "settings.json", "state.json"
PARTS = (".settings-", "settings.part")
"""How names begin that may be left of the first file where Python died."""


class OtherSettingsError(ValueError):
    """An atlas cannot go on, because it was begun with other settings."""


def opened(folder: Path, made_with: dict[str, Any]) -> Path:
    """A folder with these settings, made where there is none.

    Raises:
        ValueError: If it holds something else.
    """
    settings = folder / SETTINGS
    _check_links(folder)
    if settings.exists():
        try:
            there = from_json(text_of(settings))
        except ValueError as error:
            raise ValueError(
                f"{str(settings)!r} cannot be read, so it is not known whose atlas this is; give "
                "an empty or new folder."
            ) from error
        _check_same(there, made_with, f"The atlas in {str(folder)!r} was begun")
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if any(not path.name.startswith(PARTS) for path in folder.iterdir()):
        raise ValueError(f"The folder {str(folder)!r} holds other files; give an empty or new one.")
    files.save_json(settings, made_with)
    return folder


def arrays(folder: Path | None, shapes: Shapes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What was kept, mapped into memory, and the state that :func:`keep` noted last.

    Args:
        folder: Of :func:`opened`; None for arrays in memory.
        shapes: Of all arrays.

    Returns:
        The arrays and the state; zeros and an empty state, where anything is missing or damaged.
    """
    kept = None if folder is None else _kept(folder, shapes)
    return kept or ({name: _zeros(folder, name, *one) for name, one in shapes.items()}, {})


def keep(folder: Path, arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> None:
    """Write what has changed in the arrays, and then the state."""
    for values in arrays.values():
        if isinstance(values, np.memmap):
            values.flush()
    files.save_json(folder / STATE, state)


def _zeros(folder: Path | None, name: str, kind: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Zeros in memory, or in a file."""
    if folder is None:
        return np.zeros(shape, kind)
    path = folder / f"{name}.npy"
    with files.whole(path) as part, part.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": np.dtype(kind).str, "fortran_order": False, "shape": shape}
        )
        _fill(file, math.prod(shape) * np.dtype(kind).itemsize)
    return np.lib.format.open_memmap(path, "r+")


def _fill(file: BinaryIO, size: int) -> None:
    """Write zeros: where a file has holes, a disk without room for them ends Python later on."""
    block = bytes(min(size, 1_000_000))
    while size > 0:
        size -= file.write(block[:size])


def _kept(folder: Path, shapes: Shapes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """The arrays and the state of an atlas that was begun; None if anything is missing of it."""
    try:
        state = from_json(text_of(folder / STATE))
        arrays: dict[str, NDArray[Any]] = {}
        for name in shapes:
            path = folder / f"{name}.npy"
            # This raises for a file cut short, which "r+" would fill up.
            np.lib.format.open_memmap(path, "r")
            arrays[name] = np.lib.format.open_memmap(path, "r+")
    except (OSError, ValueError, EOFError, SyntaxError, MemoryError):  # not there, or damaged
        return None
    found = {name: (values.dtype, values.shape) for name, values in arrays.items()}
    whole = all(found[name] == (np.dtype(kind), shape) for name, (kind, shape) in shapes.items())
    return (arrays, state) if whole and isinstance(state, dict) and state else None


def _check_links(folder: Path) -> None:
    """Raise where a file is a link: what it leads to would be written over."""
    links = [path.name for path in folder.iterdir() if path.is_symlink()] if folder.is_dir() else []
    if links:
        raise ValueError(
            f"{links[0]!r} in the folder {str(folder)!r} is a link to another place; give an empty "
            "or new folder."
        )


def _check_same(there: Any, wanted: dict[str, Any], what: str) -> None:
    for name, value in wanted.items():
        old = there.get(name) if isinstance(there, dict) else None
        if old != value:
            short = all(len(str(one)) < 40 for one in (old, value))
            how = f"{name} {old} instead of {value}" if short else f"other {name}"
            raise OtherSettingsError(
                f"{what} with {how}; go back to that, or start a new one somewhere else."
            )
