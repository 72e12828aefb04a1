"""Results into files: figures for print, arrays with their settings."""

from __future__ import annotations

import contextlib
import csv
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .reading import DamagedError, arrays_in, from_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PRINT_DPI = 300
PART = ".part"
"""In the name of what is not complete yet."""

SETTINGS = "settings"
"""Name under which an NPZ file holds its settings, as JSON."""


def checked_path(path: str | Path, endings: Sequence[str]) -> Path:
    """The path, its ending in lower case among those that can be written.

    Raises:
        ValueError: If it is not.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in endings:
        raise ValueError(
            f"The file name {path.name!r} ends in none of {', '.join(endings)}; the ending says "
            f'what is written, for instance "result{endings[0]}".'
        )
    return path.with_suffix(path.suffix.lower())


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write a file, which stands under its own name only once it is complete.

    What fails on the way, as on a full disk, leaves what was there before.

    Raises:
        OSError: If it cannot be written.
    """
    path = path.resolve()  # a link stays one
    # The ending says what is written, so it stays at the end.
    part = path.with_name(f".{path.stem[:80]}-{secrets.token_hex(4)}{PART}{path.suffix}")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def save_figure(path: Path, *figures: Figure) -> Path:
    """Write matplotlib figures for print; more than one, as pages, into a PDF only."""
    import matplotlib
    from matplotlib.backends.backend_pdf import PdfPages

    # Fonts that publishers take (the default, Type 3, many refuse); text in an SVG stays text.
    options: dict[str, Any] = {"dpi": PRINT_DPI, "bbox_inches": "tight"}
    fonts: Any = {"pdf.fonttype": 42, "svg.fonttype": "none"}
    with whole(path) as part, matplotlib.rc_context(fonts):
        if path.suffix == ".pdf":
            with PdfPages(part) as pages:
                for figure in figures:
                    pages.savefig(figure, **options)
        else:
            figures[0].savefig(part, **options)
    return path


def save_npz(path: Path, arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]) -> Path:
    """Write arrays, compressed, and the settings that made them; ``load_npz`` reads both back."""
    contents: dict[str, Any] = {SETTINGS: np.array(as_json(settings)), **arrays}
    # To a path numpy would add .npz where its ending is .NPZ.
    with whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **contents)
    return path


def as_json(settings: Mapping[str, Any], indent: int | None = None) -> str:
    """Settings as JSON; numpy's numbers, as users give them, become Python's."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(
            f"A setting is {value!r} ({type(value).__name__}), which JSON cannot hold; give "
            "numbers, text, or lists of these."
        )

    return json.dumps(settings, indent=indent, default=plain)


def save_json(path: Path, settings: Mapping[str, Any]) -> Path:
    """Write settings as JSON, to be read by people too."""
    path = path.expanduser()
    text = as_json(settings, indent=1)
    with whole(path) as part:
        part.write_text(text, "utf-8")
    return path


def save_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write lines, all with the keys of the first, under a line of their names."""
    with whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def load_npz(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the settings of a file that ``save_npz`` wrote.

    Raises:
        ValueError: If it is no such file, or damaged.
        OSError: If it cannot be read.
    """
    try:
        arrays = arrays_in(Path(path).expanduser())
        if SETTINGS not in arrays:
            raise DamagedError("it has no settings")
        settings = from_json(str(arrays.pop(SETTINGS)))
        if not isinstance(settings, dict):
            raise DamagedError("its settings are none")
        return arrays, settings
    except DamagedError as error:
        raise ValueError(
            f"{str(path)!r} is no NPZ file of this package: {error}; give one that save wrote."
        ) from error
