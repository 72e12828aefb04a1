"""An exercise: a number, hints, and a check that tells what is wrong with an answer."""

from __future__ import annotations

import html
import importlib
import re
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..widgets.kit.voila import in_voila
from . import record
from .surroundings import cell

NOTEBOOKS = {
    1: "see",
    2: "regions",
    3: "gates",
    4: "counterfactuals",
    5: "paths",
    6: "features",
    7: "trust",
    8: "network",
}
"""Number of a notebook -> the file of this folder that has its exercises."""

Checker = Callable[[Any], "str | None"]
"""From an answer to what is wrong with it, in one sentence; None for a right one. A function that
returns nothing yet is no wrong answer: its sentence begins with ``NOT_ANSWERED``."""

NOT_ANSWERED = "Not answered yet"

SIGNS = {True: "✔", False: "✘", None: "○"}
"""Of what is right, wrong, and not answered: they differ as well as the colours."""

COLUMNS = 88
"""How long a printed line is at most: JupyterLab breaks longer ones inside of words."""


@dataclass
class Exercise:
    """One exercise of a notebook.

    Attributes:
        number: Of the notebook and in it, such as ``"2.1"``.
        checker: What looks at an answer.
        hints: From the gentlest on.
        praise: What a right answer shows, in one sentence.
    """

    number: str
    checker: Checker
    hints: Sequence[str]
    praise: str
    _given: int = field(default=0, repr=False)

    def check(self, answer: Any) -> Verdict:
        """Look at an answer; a tuple with a part that is missing is none."""
        parts = answer if isinstance(answer, tuple) else (answer,)
        if any(part is None or part is ... for part in parts):
            return Verdict(None, _to_do())
        try:
            wrong = self.checker(answer)
        except Exception as error:
            problem = " ".join(str(error).split())
            wrong = (
                f"The answer is {_short(answer)}, which cannot be checked "
                f"({type(error).__name__}: {problem}); give what the exercise asks for."
            )
        if wrong is None:
            return Verdict(True, self.praise)
        return Verdict(None if wrong.startswith(NOT_ANSWERED) else False, wrong)

    def hint(self) -> Note:
        """The next hint; the last one again when there is no other."""
        if not self.hints:
            return Note("No hints", f"There are none to {self.number}.", "#0b67c2")
        turn = min(self._given, len(self.hints) - 1)
        self._given += 1
        return Note(f"Hint {turn + 1} of {len(self.hints)}", self.hints[turn], "#0b67c2")


@dataclass(frozen=True)
class Note:
    """A sentence that a notebook shows in a frame.

    Attributes:
        title: A word or two.
        text: What is said.
        colour: Of the frame; the title says the same without it.
    """

    title: str
    text: str
    colour: str

    def __repr__(self) -> str:
        return textwrap.fill(f"{self.title}: {self.text}", COLUMNS)

    def _repr_html_(self) -> str:
        return (
            f'<div style="border-left: 4px solid {self.colour}; padding: 4px 10px; '
            f'max-width: 720px"><b>{html.escape(self.title)}</b> {html.escape(self.text)}</div>'
        )


class Verdict(Note):
    """What a check says of an answer.

    Attributes:
        right: Whether the answer is right; None while there is none.
    """

    right: bool | None

    def __init__(self, right: bool | None, text: str) -> None:
        word, colour = {
            True: ("Right.", "#1a7f37"),
            False: ("Not yet.", "#b35900"),
            None: ("To do.", "#767676"),
        }[right]
        super().__init__(f"{SIGNS[right]} {word}", text, colour)
        object.__setattr__(self, "right", right)

    def __bool__(self) -> bool:
        return bool(self.right)

    def __repr__(self) -> str:
        return textwrap.fill(f"{self.title} {self.text}", COLUMNS)


_exercises: dict[str, Exercise] = {}


def exercise(
    number: str, *, hints: Sequence[str] = (), praise: str = ""
) -> Callable[[Checker], Checker]:
    """Make the decorated function the check of an exercise.

    It is called with an answer and returns what is wrong with it, in one sentence, or None for a
    right one. An exception in it is no error: it becomes such a sentence.

    Args:
        number: Of the notebook and in it, such as ``"9.1"``. Those of the course's own notebooks,
            1 to 8, are taken.
        hints: From the gentlest on.
        praise: What a right answer shows, in one sentence.

    Raises:
        ValueError: For a number that is none, or is taken.
    """
    if not re.fullmatch(r"\d+\.\d+", number):
        raise ValueError(
            f"The number of the exercise is {number!r}; expected notebook and exercise, such as "
            '"9.1".'
        )

    def register(checker: Checker) -> Checker:
        ours = checker.__module__.startswith(f"{__package__}.")
        if int(number.partition(".")[0]) in NOTEBOOKS and not ours:
            raise ValueError(
                f"The exercise {number} would be one of the course's own notebooks, 1 to "
                f'{max(NOTEBOOKS)}; take a number from "{max(NOTEBOOKS) + 1}.1" on.'
            )
        _exercises[number] = Exercise(number, checker, hints, praise)
        return checker

    return register


def find(number: str) -> Exercise:
    """The exercise with this number.

    Raises:
        ValueError: If there is none; it lists those of the notebook.
    """
    chapter = str(number).partition(".")[0]
    file = NOTEBOOKS.get(int(chapter)) if chapter.isdecimal() else None
    if file is not None:
        importlib.import_module(f".{file}", __package__)
    if number not in _exercises:
        there = [one for one in _exercises if one.startswith(f"{chapter}.")]
        listed = ", ".join(there) or 'notebook and exercise, such as "1.2"'
        raise ValueError(
            f"There is no exercise {number!r}; expected {listed}. One of your own is there once "
            "the file with its check is imported."
        )
    return _exercises[number]


def check(number: str, answer: Any) -> Verdict:
    """Check the answer to an exercise, and keep it in the record; see :func:`progress`.

    Args:
        number: Such as ``"2.1"``: the first exercise of notebook 2.
        answer: What the exercise asks for.

    Returns:
        What a notebook shows as a framed sentence; true for a right answer.

    Raises:
        ValueError: For an exercise that does not exist.
    """
    verdict = find(number).check(answer)
    code = cell()
    if code is not None and verdict.right is not None:
        try:
            record.keep(Path(record.FILE), number, answer, verdict.right, code)
        except (OSError, record.RecordError) as error:
            what = error.strerror if isinstance(error, OSError) else error
            warnings.warn(f"This answer is not kept: {record.FILE} {what}", stacklevel=2)
    return verdict


def hint(number: str) -> Note:
    """The next hint to an exercise of the course; each call gives one that tells more.

    Args:
        number: Such as ``"2.1"``.

    Raises:
        ValueError: For an exercise that does not exist.
    """
    return find(number).hint()


def _to_do() -> str:
    if in_voila():
        return "A question to play with; in the notebook itself your answer is checked."
    return "Not answered yet: replace the three dots, then run the cell."


def _short(answer: Any) -> str:
    text = " ".join(repr(answer).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
