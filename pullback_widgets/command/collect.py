"""The lecturer's table: a line for each hand-in."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..course import record
from ..course.record import Record, RecordError

TABLE = "hand-ins.csv"
"""The table's file in the folder, unless another one is named."""


def records(folder: Path) -> tuple[dict[str, Record], dict[str, str]]:
    """The hand-ins in a folder and the folders in it, and why the other files are none.

    What is hidden is left out, and older tables are, too.

    Returns:
        Both by the file's place in the folder.
    """
    found, skipped = {}, {}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if not path.is_file() or place.match("hand-ins*.csv"):
            continue
        if any(part.startswith((".", "__")) for part in place.parts):
            continue
        name = "".join(sign if sign.isprintable() else "?" for sign in place.as_posix())
        try:
            found[name] = record.read(path)
        except RecordError as error:
            skipped[name] = str(error)
    return found, skipped


def remarks(found: Mapping[str, Record]) -> dict[str, str]:
    """What a lecturer should look at, by hand-in; empty where there is nothing."""
    first: dict[str, str] = {}
    said = {}
    for name, one in found.items():
        words = []
        if changed := one.changed():
            words.append(f"changed after the check: {', '.join(record.ordered(set(changed)))}")
        if one.entries and first.setdefault(one.id, name) != name:
            words.append(f"the record of {first[one.id]}")
        said[name] = "; ".join(words)
    return said


def table(found: Mapping[str, Record]) -> list[list[str]]:
    """A line of titles, then one for each hand-in; a column for each exercise with an answer."""
    numbers = record.ordered({number for one in found.values() for number in one.entries})
    said = remarks(found)
    lines = [["hand-in", "right", *numbers, "first", "last", "remarks"]]
    for name, one in found.items():
        changed = set(one.changed())
        states = dict.fromkeys(numbers, "")
        states |= {
            number: "changed" if number in changed else "right" if entry.right else "not yet"
            for number, entry in one.entries.items()
        }
        times = sorted(entry.time for entry in one.entries.values()) or [""]
        right = str([*states.values()].count("right"))
        lines.append([name, right, *states.values(), times[0], times[-1], said[name]])
    return lines


SHORT = {"right": "x", "not yet": "-", "changed": "!", "": "."}

LEGEND = "x right, - not yet right, ! changed after the check, . no answer"


def as_text(lines: Sequence[Sequence[str]]) -> str:
    """A table for the terminal, without times."""
    titles, *others = ([*line[:-3], line[-1]] for line in lines)
    shown = [
        titles,
        *([*line[:2], *(SHORT[cell] for cell in line[2:-1]), line[-1]] for line in others),
    ]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    rows = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in shown
    ]
    return "\n".join([*rows, "", LEGEND])


def as_csv(lines: Sequence[Sequence[str]]) -> bytes:
    """A table for a spreadsheet, with the mark by which Excel knows UTF-8."""
    file = io.StringIO(newline="")
    # A spreadsheet would compute what begins like a formula, and names are what students like.
    csv.writer(file).writerows(
        [f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell for cell in line]
        for line in lines
    )
    return file.getvalue().encode("utf-8-sig")
