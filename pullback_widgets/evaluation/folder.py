"""A folder with one file for each batch, so that a run goes on where it was cut off."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..drawing import files

SETTINGS = "settings.json"


def opened(folder: str | Path, settings: Mapping[str, Any]) -> Path:
    """A folder of these settings, made where there is none.

    Raises:
        ValueError: If it holds something else.
    """
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / SETTINGS
    wanted = json.loads(files.as_json(settings))
    if kept.exists():
        there = _read(kept)
        if there != wanted:
            other = [
                name
                for name in {**wanted, **(there or {})}
                if (there or {}).get(name) != wanted.get(name)
            ]
            raise ValueError(
                f"The run in {str(folder)!r} was begun with another {other[0]}; go back to that, "
                "or name a new folder."
            )
        return folder
    if any(files.PART not in one.name for one in folder.iterdir()):
        raise ValueError(f"The folder {str(folder)!r} holds other files; give an empty or new one.")
    write(kept, wanted)
    return folder


def batch(folder: Path | None, number: int) -> dict[str, Any] | None:
    """What was kept of a batch; None where nothing whole was."""
    return None if folder is None else _read(_path(folder, number))


def keep(folder: Path | None, number: int, content: Mapping[str, Any]) -> None:
    """Write a batch."""
    if folder is not None:
        write(_path(folder, number), content)


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON so that the file is whole or not there, whenever the machine stops."""
    with files.whole(path) as part, part.open("w", encoding="utf-8") as file:
        file.write(files.as_json(content, indent=1))
        file.flush()
        os.fsync(file.fileno())


def _path(folder: Path, number: int) -> Path:
    return folder / f"batch-{number:06d}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # not there, or cut short by something else than us
        return None
    return content if isinstance(content, dict) else None
