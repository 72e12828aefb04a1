"""The course as files: notebooks, their exercises, and the solutions that are kept apart.

A notebook marks the cell of an exercise with the tag ``exercise`` and its number in the metadata.
``solutions/NAME.py`` holds the answers to ``NAME.ipynb``, right ones and typical wrong ones::

    # %% 2.1
    answer = 3
    pw.check("2.1", answer)

    # %% 2.1 wrong "count the kinks"
    answer = 4
    pw.check("2.1", answer)

The words are those that the check must say of the wrong answer.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK = re.compile(r'# %% (\d+\.\d+)(?: wrong "(.+)")?')

HEADING = re.compile(r"^#+ Exercise (\d+\.\d+):? *(.*)$", re.MULTILINE)

Notebook = dict[str, Any]
"""A notebook as JSON has it, in nbformat 4."""


@dataclass(frozen=True)
class Answer:
    """An answer to an exercise.

    Attributes:
        number: Of the exercise, such as ``"2.1"``.
        code: What stands in the exercise's cell.
        wrong: Words that the check must say of it; None for the right answer.
    """

    number: str
    code: str
    wrong: str | None = None


def folder() -> Path:
    """Where the notebooks are: in the package, or beside it in a copy of the repository.

    Raises:
        FileNotFoundError: If they are in neither place.
    """
    package = Path(__file__).resolve().parent.parent
    for place in (package / "notebooks", package.parent / "notebooks"):
        if (place / "explore.ipynb").is_file():
            return place
    raise FileNotFoundError(
        f"The notebooks are neither in {package} nor beside it, as they are in every complete "
        "installation; install anew: pip install --force-reinstall --no-deps pullback_widgets"
    )


def read(path: Path) -> Notebook:
    """A notebook from its file."""
    notebook: Notebook = json.loads(path.read_text("utf-8"))
    return notebook


def text_of(notebook: Notebook) -> str:
    """A notebook as the text of a file, in the layout that Jupyter writes."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def exercises(notebook: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The cells that are exercises, by number, as they stand in the notebook.

    Raises:
        ValueError: For a tagged cell without a number, or a number used twice.
    """
    cells: dict[str, dict[str, Any]] = {}
    for cell in notebook["cells"]:
        if "exercise" not in cell["metadata"].get("tags", []):
            continue
        number = cell["metadata"].get("exercise")
        if not isinstance(number, str) or number in cells:
            raise ValueError(
                f"An exercise cell has the number {number!r}; expected one that no other cell has, "
                'in the cell\'s metadata: "exercise": "1.2".'
            )
        cells[number] = cell
    return cells


def titles(folder: Path) -> dict[str, str]:
    """The titles of the exercises of all notebooks in a folder, by number.

    They stand in headings such as ``### Exercise 2.1: Nearby``; an exercise without one has none.
    A notebook that cannot be read is left out.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.ipynb")):
        try:
            notebook = read(path)
            asked = exercises(notebook)
            text = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        headed = dict(HEADING.findall(text))
        found |= {number: headed.get(number, "") for number in asked}
    return found


def answers(notebook: Path) -> list[Answer]:
    """All answers to the exercises of a notebook; none where it has no file of solutions.

    Raises:
        ValueError: For a section that is not marked as described above.
    """
    path = notebook.parent / "solutions" / f"{notebook.stem}.py"
    return parse(path.read_text("utf-8"), path.name) if path.is_file() else []


def parse(text: str, name: str) -> list[Answer]:
    """The answers in the text of a file of solutions; what stands over the first mark is left out.

    Args:
        text: Of the file.
        name: Of the file, for the message.

    Raises:
        ValueError: For a mark that is none of the two kinds.
    """
    found: list[tuple[str, str | None, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# %%"):
            mark = MARK.fullmatch(line.rstrip())
            if mark is None:
                raise ValueError(
                    f"Line {number} of {name} is {line!r}; expected '# %% 2.1' over a right "
                    "answer, or '# %% 2.1 wrong \"words of the check\"' over a wrong one."
                )
            found.append((mark[1], mark[2], []))
        elif found:
            found[-1][2].append(line)
    return [Answer(number, "\n".join(lines).strip(), wrong) for number, wrong, lines in found]


def solved(notebook: Notebook, given: Sequence[Answer]) -> Notebook:
    """A copy of a notebook with the right answers in the cells of its exercises."""
    notebook = copy.deepcopy(notebook)
    right = {answer.number: answer.code for answer in given if answer.wrong is None}
    for number, cell in exercises(notebook).items():
        if number in right:
            cell["source"] = right[number].splitlines(keepends=True)
    return notebook
