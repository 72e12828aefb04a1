"""The lecturer's table of hand-ins."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pullback_widgets.command import command
from pullback_widgets.course.record import FILE, Record

Said = pytest.CaptureFixture[str]


def hand_in(path: Path, **answers: bool) -> Path:
    """A hand-in; its answers as ``e1_2=right``."""
    path.parent.mkdir(exist_ok=True)
    record = Record()
    for name, right in answers.items():
        record.add(name[1:].replace("_", "."), 3, right, "answer = 3")
    record.write(path)
    return path


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two hand-ins."""
    hand_in(tmp_path / "anna" / FILE, e1_10=True, e1_9=False)
    hand_in(tmp_path / "=bo_hand-in.json", e4_1=True)
    return tmp_path


def test_a_table_has_a_line_for_each_hand_in(folder: Path, capsys: Said) -> None:
    assert command.main(["collect", str(folder)]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[:3] == [
        "hand-in            right  1.9  1.10  4.1  remarks",
        "=bo_hand-in.json   1      .    .     x",
        "anna/hand-in.json  1      -    x     .",
    ]
    bo, anna = lines(folder / "hand-ins.csv")
    assert bo["hand-in"] == "'=bo_hand-in.json"  # no formula to a spreadsheet
    assert (anna["1.9"], anna["1.10"], anna["4.1"], anna["right"]) == ("not yet", "right", "", "1")
    assert anna["first"] <= anna["last"] and anna["first"].startswith("20")


def test_what_is_no_hand_in_is_named_and_left_out(folder: Path, capsys: Said) -> None:
    (folder / "a.json").write_text("{")
    (folder / "b.json").write_text('{"cells": []}')
    (folder / "c.pdf").write_bytes(b"%PDF\xff")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "hand-in.json").write_text("{")
    assert command.main(["collect", str(folder)]) == 0
    said = capsys.readouterr()
    assert [line.split(" is ")[0] for line in said.err.splitlines()] == [
        "left out: a.json",
        "left out: b.json",
        "left out: c.pdf",
    ]
    assert "b.json is JSON, but no hand-in" in said.err
    assert "2 hand-ins" in said.out


def test_changes_and_copies_are_remarked(folder: Path, capsys: Said) -> None:
    path = folder / "anna" / FILE
    (folder / "cleo.json").write_bytes(path.read_bytes())
    path.write_text(path.read_text("utf-8").replace('"right": false', '"right": true'), "utf-8")
    assert command.main(["collect", str(folder)]) == 0
    _, anna, cleo = lines(folder / "hand-ins.csv")
    assert (anna["1.9"], anna["right"]) == ("changed", "1")
    assert anna["remarks"] == "changed after the check: 1.9"
    assert cleo["remarks"] == "the record of anna/hand-in.json"
    assert "!" in capsys.readouterr().out.splitlines()[2].split()


def test_a_table_that_was_worked_in_is_put_aside(folder: Path, capsys: Said) -> None:
    table = folder / "hand-ins.csv"
    command.main(["collect", str(folder)])
    command.main(["collect", str(folder)])
    assert not (folder / "hand-ins.before-1.csv").exists()
    table.write_text("marks")
    assert command.main(["collect", str(folder)]) == 0
    assert (folder / "hand-ins.before-1.csv").read_text() == "marks"
    said = capsys.readouterr()
    assert "what was there is now hand-ins.before-1.csv" in said.out and not said.err
    assert command.main(["collect", str(folder), "--csv", str(folder / "b.csv")]) == 0
    assert len(lines(folder / "b.csv")) == 2


def test_without_a_hand_in_it_says_what_to_do(tmp_path: Path, capsys: Said) -> None:
    assert command.main(["collect", str(tmp_path / "none")]) == 1
    assert "There is no folder" in capsys.readouterr().err
    (tmp_path / "a.json").write_text(json.dumps({}))
    assert command.main(["collect", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "left out: a.json" in said and "students find hand-in.json beside" in said
    assert not (tmp_path / "hand-ins.csv").exists()


def test_a_table_that_cannot_be_written_is_told(folder: Path, capsys: Said) -> None:
    assert command.main(["collect", str(folder), "--csv", str(folder / "none" / "a.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err
