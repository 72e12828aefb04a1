"""The runner of notebooks behind ``make notebooks`` and ``make lint``."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

RUNNER = Path(__file__).resolve().parent.parent / ".ci" / "notebooks.py"

# A stand-in for pw.check: the runner only reads what a cell shows.
CHECK = """
class Verdict(str):
    __repr__ = str.__str__

def check(answer):
    if answer is ...:
        return Verdict("✘ Not yet. Not answered yet")
    return Verdict("✔ Right." if answer == 3 else "✘ Not yet. Count again.")
"""

# A thread that draws after its cell has ended, as live widgets do.
LATE_PICTURE = """
import threading
from IPython.display import display
from pullback_widgets.widgets.kit.live import ComputingWidget

class Late(ComputingWidget):
    result = 1

    def wait(self):
        thread.join()

late = Late()
def draw():
    handle.update({"text/plain": "late", "image/png": picture}, raw=True)
handle = display({"text/plain": "soon"}, raw=True, display_id=True)
thread = threading.Thread(target=draw)
thread.start()
"""


def png(side: int) -> str:
    """A picture of noise, base64."""
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def write(path: Path, *cells: nbformat.NotebookNode) -> Path:
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def exercise(source: str, number: str = "2.1") -> nbformat.NotebookNode:
    return new_code_cell(source, metadata={"tags": ["exercise"], "exercise": number})


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, RUNNER, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def solutions(folder: Path, text: str) -> None:
    (folder / "solutions").mkdir()
    (folder / "solutions" / "two.py").write_text(text, "utf-8")


def test_a_notebook_and_its_solutions_pass(tmp_path: Path) -> None:
    path = write(tmp_path / "two.ipynb", new_code_cell(CHECK), exercise("check(...)"))
    solutions(tmp_path, '# %% 2.1\ncheck(3)\n# %% 2.1 wrong "again"\ncheck(4)')
    done = run(path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "two.ipynb: " in done.stdout and "1 exercises" in done.stdout


def test_what_is_wrong_with_answers_is_told(tmp_path: Path) -> None:
    path = write(
        tmp_path / "two.ipynb",
        new_code_cell(CHECK),
        exercise("check(5)"),
        exercise("check(...)", "2.2"),
    )
    solutions(
        tmp_path, '# %% 2.1\ncheck(4)\n# %% 2.1 wrong "more"\ncheck(4)\n# %% 2.2\nno_such_name'
    )
    done = run(path)
    assert done.returncode == 1
    assert "exercise 2.1 without an answer says: ✘ Not yet. Count again." in done.stdout
    assert "exercise 2.2 has 1 right and 0 wrong answers" in done.stdout
    assert "check says ✘ Not yet. Count again.; expected: ✔ Right." in done.stdout
    assert "check says ✘ Not yet. Count again.; expected: ✘ Not yet. ... more" in done.stdout
    assert "NameError: name 'no_such_name' is not defined; expected" in done.stdout


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import threading; threading.Thread(target=lambda: 1 / 0).start()", "ZeroDivisionError"),
        ("import os; os._exit(1)", "the kernel died"),
    ],
)
def test_a_cell_a_thread_or_a_kernel_that_fails_is_told(
    tmp_path: Path, source: str, message: str
) -> None:
    done = run(write(tmp_path / "a.ipynb", new_code_cell(source)))
    assert done.returncode == 1
    assert "a.ipynb: " in done.stdout and message in done.stdout


def test_only_pictures_to_keep_are_stored_and_small(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.ipynb",
        new_code_cell(f"picture = {png(600)!r}\nprint(1)\n2"),
        new_code_cell(LATE_PICTURE, metadata={"tags": ["keep_output"]}),
    )
    done = run("--pictures", path)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = nbformat.read(path, 4).cells
    (output,) = second.outputs
    assert not first.outputs and set(output.data) == {"text/plain", "image/png"}
    assert output.data["text/plain"] == "late"
    data = base64.b64decode(output.data["image/png"])
    assert len(data) <= 300_000 and Image.open(io.BytesIO(data)).width > 300
    assert run("--check", path).returncode == 0


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (new_code_cell("1", outputs=[new_output("stream", text="1")]), "cell 0 has an output"),
        (new_code_cell("1", execution_count=3), "would have stripped"),
        (
            new_code_cell(
                "1",
                metadata={"tags": ["keep_output"]},
                outputs=[new_output("display_data", {"text/html": "<b>1</b>"})],
            ),
            "keeps text/html; expected image/png",
        ),
        (
            new_code_cell(
                "1",
                metadata={"tags": ["keep_output"]},
                outputs=[new_output("display_data", {"image/png": png(600)})],
            ),
            "bytes; at most 300000",
        ),
    ],
)
def test_what_should_not_be_stored_is_found(
    tmp_path: Path, cell: nbformat.NotebookNode, message: str
) -> None:
    done = run("--check", write(tmp_path / "a.ipynb", cell))
    assert done.returncode == 1
    assert message in done.stdout


def test_the_state_of_widgets_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ipynb", new_code_cell("1"))
    notebook = nbformat.read(path, 4)
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    nbformat.write(notebook, path)
    done = run("--check", path)
    assert done.returncode == 1 and "state of widgets" in done.stdout
