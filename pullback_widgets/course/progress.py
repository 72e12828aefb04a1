"""Which exercises are done."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import booklet, record
from .exercise import SIGNS


@dataclass(frozen=True)
class Progress:
    """What a notebook shows as a line for each exercise.

    Attributes:
        titles: Of the exercises, by number.
        right: What the checks said of them; None for those without an answer.
        note: About the file.
    """

    titles: Mapping[str, str]
    right: Mapping[str, bool | None]
    note: str

    @property
    def lines(self) -> list[str]:
        """How many are done, then each of them."""
        done = sum(right is True for right in self.right.values())
        return [
            f"{done} of {len(self.right)} done",
            *(
                f"{SIGNS[self.right[number]]} {number} {self.titles.get(number, '')}".rstrip()
                for number in record.ordered(self.right)
            ),
        ]

    def __repr__(self) -> str:
        return "\n".join([*self.lines, self.note])

    def _repr_html_(self) -> str:
        first, *others = map(html.escape, self.lines)
        listed = "".join(f"<div>{line}</div>" for line in others)
        return f"<b>{first}</b>{listed}<small>{html.escape(self.note)}</small>"


def progress() -> Progress:
    """Which exercises of the notebooks in this folder are done.

    What checks say in a notebook is kept in the file ``hand-in.json`` beside it: answers, hashes
    and times, no name. It is also what a student hands in; ``pullback-widgets collect`` makes a
    table of such files.

    Returns:
        What a notebook shows as a line for each exercise.
    """
    titles = booklet.titles(Path()) or booklet.titles(booklet.folder())
    path = Path(record.FILE)
    right: dict[str, bool | None] = dict.fromkeys(titles)
    if not path.exists():
        return Progress(titles, right, f"A check in a notebook begins the file {path}.")
    try:
        kept = record.read(path)
    except record.RecordError as error:
        note = f"{path} {error}; give it another name, and run the checks again."
        return Progress(titles, right, note)
    right |= {number: entry.right for number, entry in kept.entries.items()}
    note = f"Hand in the file {path}: it holds the code of these answers, and when they were given."
    if changed := kept.changed():
        note += f" Changed by hand: {', '.join(changed)}; run their checks again."
    return Progress(titles, right, note)
