"""Runs notebooks, each in a fresh kernel, then their solutions: ``notebooks.py [NOTEBOOK...]``.

Without names, all of notebooks/. The files themselves are left as they are, and what a notebook
writes goes into a folder that is removed. The solutions run in the notebook's kernel after its last
cell: right answers must be found right, wrong ones must get the intended words.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import limits
import nbformat
import storage
from kernel import Kernel
from nbformat import NotebookNode

from pullback_widgets.course import booklet

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

# Notebook 8 shows trained weights where it finds them, and random ones elsewhere.
WEIGHTS = NOTEBOOKS.parent.parent / "shared/weights/mobilevit_xxs_keras_flowers.safetensors"

# What the course promises on one core with 2 GB.
SECONDS, FIRST_PICTURE_SECONDS = 120, 10

# A widget computes after its cell has run, and shows what went wrong instead of raising it.
WIDGETS_ARE_DONE = """
import gc
from pullback_widgets.widgets.kit.live import ComputingWidget

for widget in [one for one in gc.get_objects() if isinstance(one, ComputingWidget)]:
    widget.wait()
    assert widget.result is not None and not widget.error, (widget, widget.error)
    print(type(widget).__name__, "is complete")
"""


@dataclass(frozen=True)
class Report:
    """What a run of a notebook found.

    Attributes:
        name: Of the file.
        seconds: Until all cells had run and all widgets were complete; the kernel had started.
        first_picture: Seconds until the first picture, or until the end where there is none.
        memory: The most that the kernel's process held, solutions included, in bytes; None where
            it cannot be measured.
        exercises: Their number.
        problems: What is wrong, a sentence each.
    """

    name: str
    seconds: float
    first_picture: float
    memory: int | None
    exercises: int
    problems: Sequence[str]

    def __str__(self) -> str:
        memory = f", {self.memory / 1e6:.0f} MB" if self.memory else ""
        return (
            f"{self.name}: {self.seconds:.1f} s, first picture after {self.first_picture:.1f} s"
            f"{memory}, {self.exercises} exercises"
        )

    def row(self) -> str:
        """A row of the table in notebooks/README.md."""
        memory = f"{self.memory / 1e6:.0f} MB" if self.memory else "not measured"
        return (
            f"| `{self.name}` | {self.exercises} | {self.first_picture:.0f} s | "
            f"{self.seconds:.0f} s | {memory} |"
        )


HEAD = """
| notebook | exercises | first picture | all cells | peak memory |
| --- | --- | --- | --- | --- |"""


def run(path: Path, pictures: bool = False) -> Report:
    """Run one notebook and its solutions.

    Args:
        path: Of the notebook.
        pictures: Whether to write the pictures of the cells that keep theirs into the file.

    Raises:
        RuntimeError: If a cell raises, or something was printed as a traceback.
    """
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    with tempfile.TemporaryDirectory() as folder, Kernel(Path(folder)) as kernel:
        start = time.perf_counter()
        outputs = {
            index: kernel.run(cell.source)
            for index, cell in enumerate(notebook.cells)
            if cell.cell_type == "code"
        }
        kernel.run(WIDGETS_ARE_DONE)
        seconds = time.perf_counter() - start
        # An exception in a thread raises in no cell; it is only printed.
        if "Traceback (most recent" in kernel.printed():
            raise RuntimeError(f"a traceback was printed:\n{kernel.printed()}")
        first_picture = kernel.first_picture or seconds
        problems = [
            f"exercise {cell.metadata.exercise} without an answer says: {said}"
            for index, cell in enumerate(notebook.cells)
            if "exercise" in cell.metadata.get("tags", [])
            and "Not answered yet" not in (said := verdict(outputs[index]))
        ]
        problems += check_answers(path, kernel)
        memory = kernel.peak_memory()
    if pictures:
        store(notebook, outputs, path)
    number = len(booklet.exercises(notebook))
    return Report(path.name, seconds, first_picture, memory, number, problems)


def check_answers(path: Path, kernel: Kernel) -> Iterator[str]:
    """Run the solutions of a notebook; what is wrong with them."""
    answers = booklet.answers(path)
    for number in booklet.exercises(booklet.read(path)):
        right = [one.wrong is None for one in answers if one.number == number]
        if right.count(True) != 1 or not right.count(False):
            yield (
                f"exercise {number} has {right.count(True)} right and {right.count(False)} wrong "
                "answers; expected one, and at least one"
            )
    for answer in answers:
        try:
            said = verdict(kernel.run(answer.code))
        except RuntimeError as error:
            said = str(error)
        start, words = ("✘ Not yet.", answer.wrong) if answer.wrong else ("✔ Right.", "")
        if not said.startswith(start) or words not in said:
            expected = f"{start} ... {words}" if words else start
            yield f"to an answer of {answer.number} the check says {said}; expected: {expected}"


def verdict(outputs: Sequence[NotebookNode]) -> str:
    """What the last line of a cell showed, in one line."""
    shown = [one.data.get("text/plain", "") for one in outputs if one.get("data")]
    return " ".join(shown[-1].split()) if shown else ""


def store(notebook: NotebookNode, outputs: dict[int, list[NotebookNode]], path: Path) -> None:
    """Write the pictures of a run into the notebook's file, where a cell keeps its own."""
    for index, cell in enumerate(notebook.cells):
        if storage.keeps(cell):
            stills = (storage.still(output) for output in outputs[index])
            cell.outputs = [one for one in stills if one is not None]
            print(f"{path.name}: {len(cell.outputs)} pictures in cell {index}", flush=True)
    nbformat.write(notebook, path)


def check_storage(paths: Sequence[Path]) -> int:
    """Print what of the files is not stored as it should be; the exit status."""
    found = [
        f"{path.name}: {problem}"
        for path in paths
        for problem in storage.problems(nbformat.read(path, as_version=4))
    ]
    if stripped := storage.stripped(paths):
        found.append(f"{stripped}\nnbstripout --keep-id NOTEBOOK... mends it")
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


def main() -> int:
    """Do what the command line says; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="only look at how they are stored")
    how.add_argument("--pictures", action="store_true", help="run and store the pictures to keep")
    how.add_argument("--table", action="store_true", help="run and print a table; fail if slow")
    how.add_argument("--limits", action="store_true", help="--table on one core, with 2 GB")
    given = parser.parse_args()
    paths: list[Path] = given.notebooks or [
        path
        for path in sorted(NOTEBOOKS.rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
    ]
    if given.check:
        return check_storage(paths)
    if given.limits:
        return limits.run([sys.executable, __file__, "--table", *map(str, paths)])
    if WEIGHTS.is_file():
        os.environ.setdefault("MOBILEVIT_WEIGHTS", str(WEIGHTS))
    # Two at once where no time is judged, each with one thread: torch's would wait for one another.
    at_once = 1 if given.table else min(2, os.cpu_count() or 1)
    if at_once > 1:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    reports, failed = [], False
    pool = ProcessPoolExecutor(at_once)
    running = {path: pool.submit(run, path, given.pictures) for path in paths}
    for path, one in running.items():
        try:
            report = one.result()
        except Exception as error:
            print(f"{path.name}: {error}", flush=True)
            failed = True
            continue
        print(report, *report.problems, sep="\n    ", flush=True)
        reports.append(report)
        failed |= bool(report.problems)
        if given.table:
            failed |= report.seconds > SECONDS or report.first_picture > FIRST_PICTURE_SECONDS
    if given.table:
        print(HEAD, *(report.row() for report in reports), sep="\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
