"""The record of answers: one file beside the notebooks, and what a student hands in.

It holds what the checks were given, and no name, path or machine. Each answer has a hash over
itself and the record's number, which is drawn by chance: so a change by hand is noticed, and an
answer that was put in from another record. There is no secret in it. Whoever reads this file can
make any record, so it is worth as much as a list that is passed around in class.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..version import __version__
from .answer import as_number

FILE = "hand-in.json"

KIND = "pullback_widgets hand-in"

FORMAT = 1

LARGEST = 5_000_000
"""Bytes; the answers to the whole course are a hundredth of that."""


class RecordError(ValueError):
    """Why a file is no record, in a sentence about it without its name."""


@dataclass(frozen=True)
class Entry:
    """An answer as it was checked.

    Attributes:
        right: What the check said.
        code: Of the cell.
        value: The answer itself if it is a number or a word, otherwise of which type it is.
        time: When, in UTC, as ISO 8601 has it.
        hash: Over all of these, the exercise's number and the record's.
    """

    right: bool
    code: str
    value: str
    time: str
    hash: str


@dataclass
class Record:
    """All answers of a student.

    Attributes:
        id: Drawn by chance when the record began.
        entries: By the exercise's number.
        version: Of the package that wrote it last.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    entries: dict[str, Entry] = field(default_factory=dict)
    version: str = __version__

    def add(self, number: str, answer: Any, right: bool, code: str) -> None:
        """Keep an answer, in place of an older one unless that was right and this one is not."""
        value, old = _short(answer), self.entries.get(number)
        if old is not None and old.right and (not right or (old.code, old.value) == (code, value)):
            return
        time = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.entries[number] = Entry(
            right, code, value, time, self._hash(number, right, code, value, time)
        )

    def changed(self) -> list[str]:
        """The exercises whose entry is not as a check wrote it into this record."""
        return [
            number
            for number, one in self.entries.items()
            if one.hash != self._hash(number, one.right, one.code, one.value, one.time)
        ]

    def write(self, path: Path) -> None:
        """Put it into a file, all or nothing.

        Raises:
            OSError: If that cannot be written.
        """
        content = {
            "kind": KIND,
            "format": FORMAT,
            "version": __version__,
            "id": self.id,
            "answers": {number: asdict(self.entries[number]) for number in ordered(self.entries)},
        }
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
        new.replace(path)

    def _hash(self, number: str, *parts: object) -> str:
        text = json.dumps([self.id, number, *parts])
        return hashlib.sha256(text.encode()).hexdigest()


def read(path: Path) -> Record:
    """The record in a file.

    Raises:
        RecordError: If there is none in it.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise RecordError(f"is larger than {LARGEST // 1_000_000} MB, which no hand-in is")
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror or error})") from error
    except RecordError:
        raise
    except (ValueError, RecursionError) as error:
        raise RecordError(f"is no JSON ({error})") from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise RecordError("is JSON, but no hand-in of this course")
    if content.get("format") != FORMAT:
        raise RecordError(
            f"is of another version of the course, {content.get('version')}; this is {__version__}"
        )
    answers = content.get("answers")
    if not isinstance(answers, dict) or not isinstance(content.get("id"), str):
        raise RecordError("is incomplete: 'id' or 'answers' is missing")
    entries = {number: _entry(number, one) for number, one in answers.items()}
    return Record(content["id"], entries, str(content.get("version")))


def keep(path: Path, number: str, answer: Any, right: bool, code: str) -> None:
    """Put an answer into the record in a file, which begins with it where there is none.

    Raises:
        OSError: If the file cannot be written.
        RecordError: If there is something else in it.
    """
    record = read(path) if path.exists() else Record()
    record.add(number, answer, right, code)
    record.write(path)


def ordered(numbers: Mapping[str, Any] | set[str]) -> list[str]:
    """Numbers of exercises as they follow each other: 2.9 before 2.10."""
    return sorted(numbers, key=lambda number: [int(part) for part in number.split(".")])


def _entry(number: str, content: Any) -> Entry:
    texts = ("code", "value", "time", "hash")
    if (
        not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", number)
        or not isinstance(content, dict)
        or not isinstance(content.get("right"), bool)
        or not all(isinstance(content.get(text), str) for text in texts)
    ):
        raise RecordError(f"is incomplete: the answer to {number!r} is not as a check writes it")
    return Entry(content["right"], *(content[text] for text in texts))


def _short(answer: Any) -> str:
    try:
        number = as_number(answer)
    except Exception:  # someone's own class, whose item() wants more
        number = None
    if number is not None:
        return f"{number:.6g}"
    if isinstance(answer, bool | str):
        text = repr(answer)
        return text if len(text) <= 60 else f"{text[:57]}..."
    if isinstance(answer, tuple | list) and len(answer) <= 10:
        return f"({', '.join(map(_short, answer))})"
    return type(answer).__name__
