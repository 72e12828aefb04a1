"""The record of answers, as checks write it and as it comes back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pullback_widgets.course import record
from pullback_widgets.course.record import Record, RecordError


def kept(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record with two answers."""
    path = tmp_path / record.FILE
    record.keep(path, "2.10", 0.25, True, "answer = 0.25")
    record.keep(path, "2.9", "Größe", False, "answer = 'Größe'")
    return path


def test_a_record_comes_back_as_it_was(path: Path) -> None:
    read = record.read(path)
    assert list(read.entries) == ["2.9", "2.10"]
    one = read.entries["2.10"]
    assert (one.right, one.code, one.value) == (True, "answer = 0.25", "0.25")
    assert one.time.endswith("+00:00") and len(one.hash) == 64
    assert read.entries["2.9"].value == "'Größe'"
    assert not read.changed()
    assert [one.name for one in path.parent.iterdir()] == [record.FILE]


def test_it_holds_nothing_but_answers_hashes_and_times(path: Path) -> None:
    content = kept(path)
    assert set(content) == {"kind", "format", "version", "id", "answers"}
    for answer in content["answers"].values():
        assert set(answer) == {"right", "code", "value", "time", "hash"}


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (np.float32(0.5), "0.5"),
        (True, "True"),
        (("relu1", 3), "('relu1', 3)"),
        ("x" * 100, f"'{'x' * 56}..."),
        (Path("/home/someone"), type(Path()).__name__),
        (lambda: 3, "function"),
        ({"name": "someone"}, "dict"),
    ],
)
def test_of_an_answer_a_number_or_a_word_is_kept(answer: Any, value: str) -> None:
    own = Record()
    own.add("1.1", answer, True, "")
    assert own.entries["1.1"].value == value


def test_a_right_answer_is_replaced_by_another_right_one_only() -> None:
    own = Record()
    own.add("1.1", 1, False, "a")
    own.add("1.1", 2, True, "b")
    first = own.entries["1.1"]
    own.add("1.1", 3, False, "c")
    own.add("1.1", 2, True, "b")
    assert own.entries["1.1"] is first
    own.add("1.1", 4, True, "d")
    assert own.entries["1.1"].value == "4"


@pytest.mark.parametrize(
    ("name", "value"), [("right", True), ("code", "mine"), ("value", "3"), ("time", "2020")]
)
def test_a_change_by_hand_is_noticed(path: Path, name: str, value: Any) -> None:
    content = kept(path)
    content["answers"]["2.9"][name] = value
    path.write_text(json.dumps(content))
    assert record.read(path).changed() == ["2.9"]


def test_an_answer_of_another_record_is_noticed(path: Path) -> None:
    other = Record()
    other.add("2.9", 3, True, "answer = 3")
    mine = record.read(path)
    mine.entries["2.9"] = other.entries["2.9"]
    mine.entries["2.11"] = dataclasses.replace(mine.entries["2.10"])
    assert mine.changed() == ["2.9", "2.11"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "no hand-in of this course"),
        (b'{"cells": []}', "no hand-in of this course"),
        (b" " * (record.LARGEST + 1), "larger than 5 MB"),
    ],
)
def test_what_is_no_record_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(RecordError, match=words):
        record.read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2, "version": "9.0"}, r"another version of the course, 9\.0"),
        ({"id": None}, "'id' or 'answers' is missing"),
        ({"answers": []}, "'id' or 'answers' is missing"),
        ({"answers": {"=1": {}}}, "the answer to '=1'"),
        ({"answers": {"1.1": 3}}, r"the answer to '1\.1'"),
        ({"answers": {"1.1": {"right": 1}}}, r"the answer to '1\.1'"),
    ],
)
def test_a_record_with_something_missing_is_told(
    path: Path, change: dict[str, Any], words: str
) -> None:
    path.write_text(json.dumps(kept(path) | change))
    with pytest.raises(RecordError, match=words):
        record.read(path)


def test_a_folder_and_a_missing_file_are_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(RecordError, match="cannot be read"):
            record.read(path)
