"""Own exercises, what a check in a notebook keeps, and which exercises are done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import pullback_widgets as pw
from pullback_widgets.course import exercise as exercises
from pullback_widgets.course import record


@pytest.fixture
def own() -> Iterator[None]:
    """Two exercises of someone's own."""

    @pw.exercise("9.1", hints=["It is odd.", "It is 3."], praise="Three it is.")
    def three(answer: Any) -> str | None:
        if answer == 5:
            return "Not answered yet: five is a dummy."
        return None if answer == 3 else "Count again."

    @pw.exercise("9.2")
    def anything(answer: Any) -> str | None:
        return None

    yield
    for number in ("9.1", "9.2"):
        del exercises._exercises[number]


@pytest.fixture
def running(own: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Checks an answer as a cell of a notebook in an empty folder does."""
    monkeypatch.chdir(tmp_path)
    message: dict[str, Any] = {}
    shell = SimpleNamespace(get_parent=lambda: message)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))

    def run(number: str, answer: Any) -> Any:
        message["content"] = {"code": f"answer = {answer}"}
        return pw.check(number, answer)

    return run


def notebook(path: Path, *numbers: str) -> None:
    cells = [new_markdown_cell("### Exercise 9.1: How <many>?\nCount.")]
    for number in numbers:
        metadata = {"tags": ["exercise"], "exercise": number}
        cells.append(new_code_cell("answer = ...", metadata=metadata))
    nbformat.write(new_notebook(cells=cells), path)


def test_an_exercise_of_ones_own_is_checked_like_the_courses(own: None) -> None:
    assert pw.check("9.1", 3).text == "Three it is."
    assert pw.check("9.1", 4).text == "Count again."
    assert [pw.hint("9.1").text for _ in range(3)] == ["It is odd.", "It is 3.", "It is 3."]
    assert "There are none" in pw.hint("9.2").text
    assert pw.check("9.2", 4)


@pytest.mark.parametrize(
    ("number", "words"), [("9", "expected notebook and exercise"), ("1.9", 'from "9.1" on')]
)
def test_a_number_that_is_none_or_taken_is_refused(number: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pw.exercise(number)(lambda answer: None)
    with pytest.raises(ValueError, match="once the file with its check is imported"):
        pw.check("9.7", 3)


def test_a_check_in_a_notebook_keeps_the_answer(running: Callable[..., Any]) -> None:
    running("9.1", 4)
    running("9.2", 7)
    entries = record.read(Path(record.FILE)).entries
    assert {number: (one.right, one.code) for number, one in entries.items()} == {
        "9.1": (False, "answer = 4"),
        "9.2": (True, "answer = 7"),
    }


def test_what_is_no_answer_is_not_kept(running: Callable[..., Any]) -> None:
    running("9.1", ...)
    running("9.1", 5)
    assert not Path(record.FILE).exists()


def test_elsewhere_nothing_is_kept(
    running: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("SERVER_SOFTWARE", "voila/0.5")
        running("9.1", 3)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    running("9.1", 3)
    monkeypatch.delitem(sys.modules, "IPython")
    running("9.1", 3)
    assert not Path(record.FILE).exists()


def test_a_check_goes_on_where_nothing_can_be_kept(running: Callable[..., Any]) -> None:
    Path(record.FILE).write_text("mine")
    with pytest.warns(UserWarning, match=r"not kept: hand-in\.json is no JSON"):
        assert running("9.1", 3)
    assert Path(record.FILE).read_text() == "mine"
    assert "hand-in.json is no JSON" in pw.progress().note


def test_progress_has_a_line_for_each_exercise_of_the_folder(running: Callable[..., Any]) -> None:
    notebook(Path("a.ipynb"), "9.10", "9.1")
    notebook(Path("b.ipynb"), "9.2")
    Path("c.ipynb").write_text("no notebook")
    assert pw.progress().lines == ["0 of 3 done", "○ 9.1 How <many>?", "○ 9.2", "○ 9.10"]
    assert "begins the file hand-in.json" in pw.progress().note
    running("9.1", 3)
    running("9.2", 7)
    running("9.1", 4)
    now = pw.progress()
    assert now.lines == ["2 of 3 done", "✔ 9.1 How <many>?", "✔ 9.2", "○ 9.10"]
    assert repr(now).splitlines() == [*now.lines, now.note]
    assert "<div>✔ 9.1 How &lt;many&gt;?</div>" in now._repr_html_()


def test_progress_says_what_was_changed_by_hand(running: Callable[..., Any]) -> None:
    running("9.1", 4)
    path = Path(record.FILE)
    path.write_text(path.read_text("utf-8").replace('"right": false', '"right": true'), "utf-8")
    assert "Changed by hand: 9.1" in pw.progress().note


def test_where_there_are_no_notebooks_progress_is_that_of_the_course(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = pw.progress().lines
    assert "○ 1.1 How soon is it another picture?" in lines
    assert len(lines) == 31
    assert all(len(line.split(maxsplit=2)) == 3 for line in lines), "each has a title"


def test_printed_words_are_not_broken() -> None:
    verdict = pw.check("1.1", -3.5)
    assert all(len(line) <= 88 for line in str(verdict).splitlines())
    assert " ".join(repr(verdict).split()) == f"{verdict.title} {verdict.text}"
    assert all(len(line) <= 88 for line in repr(pw.hint("6.2")).splitlines())
