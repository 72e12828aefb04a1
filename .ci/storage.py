"""How notebooks are stored: without outputs, but for the pictures that make sense on GitHub.

A cell that is tagged ``keep_output`` keeps its ``image/png``; nothing else is kept.
"""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image

PICTURE_BYTES = 300_000
MIME = {"image/png", "text/plain"}


def keeps(cell: NotebookNode) -> bool:
    """Whether a cell's picture is stored."""
    return cell.cell_type == "code" and "keep_output" in cell.metadata.get("tags", [])


def still(output: NotebookNode) -> NotebookNode | None:
    """An output as it is stored: its picture, small enough, and its words; None without one."""
    data = output.get("data", {})
    if "image/png" not in data:
        return None
    kept = {"image/png": _small(data["image/png"])}
    if "text/plain" in data:
        kept["text/plain"] = data["text/plain"]
    return new_output("display_data", kept, metadata=output.get("metadata", {}))


def problems(notebook: NotebookNode) -> Iterator[str]:
    """What of a notebook is not stored as it should be; nbstripout sees to the rest."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            size = len(base64.b64decode(data.get("image/png", "")))
            if not keeps(cell):
                yield f"cell {index} has an output; tag it keep_output, or clear it"
            elif "image/png" not in data or set(data) - MIME or output.get("execution_count"):
                yield (
                    f"cell {index} keeps {', '.join(data) or output.output_type}; expected "
                    "image/png, with or without text/plain, and no number of execution"
                )
            elif size > PICTURE_BYTES:
                yield f"cell {index} keeps a picture of {size} bytes; at most {PICTURE_BYTES}"
    if "widgets" in notebook.metadata:
        yield "the state of widgets is stored"


def stripped(paths: Sequence[Path]) -> str:
    """What nbstripout has to say against files, empty if nothing."""
    command = [sys.executable, "-m", "nbstripout", "--verify", "--keep-id", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip() if done.returncode else ""


def _small(png: str) -> str:
    """A picture as base64, of fewer colours, and then smaller, until it is not too large."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    data = base64.b64decode(png)
    while len(data) > PICTURE_BYTES:
        file = io.BytesIO()
        picture.quantize(256).save(file, "PNG", optimize=True)
        data = file.getvalue()
        picture = picture.resize(
            (round(0.8 * picture.width), round(0.8 * picture.height)), Image.Resampling.LANCZOS
        )
    return base64.b64encode(data).decode("ascii")
