"""An exercise: a number, hints, and a check that tells what is wrong with an answer."""

from __future__ import annotations

import html
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

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
        return f"{self.title}: {self.text}"

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
        # The sign differs as well as the colour.
        title, colour = {
            True: ("✔ Right.", "#1a7f37"),
            False: ("✘ Not yet.", "#b35900"),
            None: ("○ To do.", "#767676"),
        }[right]
        super().__init__(title, text, colour)
        object.__setattr__(self, "right", right)

    def __bool__(self) -> bool:
        return bool(self.right)

    def __repr__(self) -> str:
        return f"{self.title} {self.text}"


_exercises: dict[str, Exercise] = {}


def exercise(number: str, *, hints: Sequence[str], praise: str) -> Callable[[Checker], Checker]:
    """Make the decorated function the check of an exercise; see :class:`Exercise`."""

    def register(checker: Checker) -> Checker:
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
        raise ValueError(f"There is no exercise {number!r}; expected {listed}.")
    return _exercises[number]


def check(number: str, answer: Any) -> Verdict:
    """Check the answer to an exercise of the course.

    Args:
        number: Such as ``"2.1"``: the first exercise of notebook 2.
        answer: What the exercise asks for.

    Returns:
        What a notebook shows as a framed sentence; true for a right answer.

    Raises:
        ValueError: For an exercise that does not exist.
    """
    return find(number).check(answer)


def hint(number: str) -> Note:
    """The next hint to an exercise of the course; each call gives one that tells more.

    Args:
        number: Such as ``"2.1"``.

    Raises:
        ValueError: For an exercise that does not exist.
    """
    return find(number).hint()


def _to_do() -> str:
    # Voila shows a notebook without its cells, and says in their kernel that it does.
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        return "A question to play with; in the notebook itself your answer is checked."
    return "Not answered yet: replace the three dots, then run the cell."


def _short(answer: Any) -> str:
    text = " ".join(repr(answer).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
