"""Results into files: figures for print, arrays with their settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PRINT_DPI = 300
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


def save_figure(path: Path, *figures: Figure) -> Path:
    """Write matplotlib figures for print; more than one, as pages, into a PDF only."""
    import matplotlib
    from matplotlib.backends.backend_pdf import PdfPages

    # Fonts that publishers take (the default, Type 3, many refuse); text in an SVG stays text.
    options: dict[str, Any] = {"dpi": PRINT_DPI, "bbox_inches": "tight"}
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none"}):
        if path.suffix == ".pdf":
            with PdfPages(path) as pages:
                for figure in figures:
                    pages.savefig(figure, **options)
        else:
            figures[0].savefig(path, **options)
    return path


def save_npz(path: Path, arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]) -> Path:
    """Write arrays, compressed, and the settings that made them; ``load_npz`` reads both back."""
    contents: dict[str, Any] = {SETTINGS: np.array(as_json(settings)), **arrays}
    with path.open("wb") as file:  # to a path numpy would add .npz where its ending is .NPZ
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
    path.write_text(as_json(settings, indent=1), "utf-8")
    return path


def load_npz(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the settings of a file that ``save_npz`` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != SETTINGS}
        return arrays, json.loads(str(file[SETTINGS]))
