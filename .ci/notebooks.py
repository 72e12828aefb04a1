"""Runs notebooks top to bottom, each in a fresh kernel: ``notebooks.py [NOTEBOOK...]``.

Without names, all of notebooks/. The files themselves are left as they are, and what a notebook
writes goes into a folder that is removed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
SECONDS_PER_CELL = 600

# A widget computes after its cell has run, and shows what went wrong instead of raising it.
WIDGETS_ARE_DONE = """
import gc
from pullback_widgets.live import Live

for widget in [one for one in gc.get_objects() if isinstance(one, Live)]:
    widget.wait()
    assert widget.result is not None and not widget.error, (widget, widget.error)
    print(type(widget).__name__, "is complete")
"""


def run(path: Path) -> None:
    """Runs one notebook; raises nbclient's CellExecutionError for a cell that raises."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    notebook.cells.append(nbformat.v4.new_code_cell(WIDGETS_ARE_DONE))
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=SECONDS_PER_CELL, resources=resources).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            # An exception in a thread raises in no cell; it is only printed.
            if output.output_type == "stream" and "Traceback (most recent" in output.text:
                raise RuntimeError(f"{path.name} printed a traceback:\n{output.text}")


def main() -> None:
    """Runs the notebooks named on the command line, or all of them."""
    for path in [Path(name) for name in sys.argv[1:]] or sorted(NOTEBOOKS.rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        start = time.perf_counter()
        run(path)
        print(f"{path.name}: {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
