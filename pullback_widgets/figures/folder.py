"""A folder that keeps a figure's arrays, so that it goes on after it was stopped, or died."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..drawing import files

Shapes = Mapping[str, tuple[Any, tuple[int, ...]]]
"""The type and shape of each array."""

SETTINGS, STATE = "settings.json", "state.json"
SETTINGS_PART = "settings.part"


class OtherSettingsError(ValueError):
    """An atlas cannot go on, because it was begun with other settings."""


def opened(folder: Path, made_with: dict[str, Any]) -> Path:
    """A folder with these settings, made where there is none.

    Raises:
        ValueError: If it holds something else.
    """
    settings = folder / SETTINGS
    if settings.exists():
        try:
            there = json.loads(settings.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{str(settings)!r} cannot be read, so it is not known whose atlas this is; give "
                "an empty or new folder."
            ) from error
        _check_same(there, made_with, f"The atlas in {str(folder)!r} was begun")
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if any(path.name != SETTINGS_PART for path in folder.iterdir()):
        raise ValueError(f"The folder {str(folder)!r} holds other files; give an empty or new one.")
    _write(settings, made_with)
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
    _write(folder / STATE, state)


def _zeros(folder: Path | None, name: str, kind: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Zeros in memory, or in a file."""
    if folder is None:
        return np.zeros(shape, kind)
    return np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, shape)


def _kept(folder: Path, shapes: Shapes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """The arrays and the state of an atlas that was begun; None if anything is missing of it."""
    try:
        state = json.loads((folder / STATE).read_text("utf-8"))
        arrays: dict[str, NDArray[Any]] = {}
        for name in shapes:
            path = folder / f"{name}.npy"
            np.load(path, mmap_mode="r")  # raises for a file cut short, which "r+" would fill up
            arrays[name] = np.load(path, mmap_mode="r+")
    except (OSError, ValueError, EOFError):  # not there, or cut short
        return None
    found = {name: (values.dtype, values.shape) for name, values in arrays.items()}
    whole = all(found[name] == (np.dtype(kind), shape) for name, (kind, shape) in shapes.items())
    return (arrays, state) if whole and isinstance(state, dict) and state else None


def _check_same(there: Any, wanted: dict[str, Any], what: str) -> None:
    for name, value in wanted.items():
        old = there.get(name) if isinstance(there, dict) else None
        if old != value:
            short = all(len(str(one)) < 40 for one in (old, value))
            how = f"{name} {old} instead of {value}" if short else f"other {name}"
            raise OtherSettingsError(
                f"{what} with {how}; go back to that, or start a new one somewhere else."
            )


def _write(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON so that the file is always whole."""
    whole = path.with_suffix(".part")
    whole.write_text(files.as_json(values, indent=1), "utf-8")
    whole.replace(path)
