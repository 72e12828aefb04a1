"""What the numbers say, in the Explorer: asked by a button, forgotten with the picture."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import ipywidgets as w
import pytest
from explorers import Make, right
from waiting import SECONDS
from widgets import Page, find, text_with

import pullback_widgets as pw
from pullback_widgets.evaluation import questions
from pullback_widgets.evaluation.questions import Answer, Picture
from pullback_widgets.widgets.explorer import numbers_panel
from pullback_widgets.widgets.explorer.numbers_panel import NumbersPanel


def lines(panel: NumbersPanel) -> list[str]:
    """What is seen under the buttons."""
    return [one.value for one in panel._lines.values() if one.layout.display != "none"]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """One question, in the midst of whose answer it waits: where it is, and the sign to go on."""
    reached, go = threading.Event(), threading.Event()

    def slow(picture: Picture) -> Iterator[float | Answer]:
        """Waits."""
        yield 0.5
        reached.set()
        go.wait(SECONDS)
        yield 0.75
        yield Answer("Late.", {})

    monkeypatch.setattr(
        numbers_panel, "QUESTIONS", MappingProxyType({"slow": ("Is it slow?", slow)})
    )
    yield reached, go
    go.set()


def test_every_question_is_answered_under_its_button(explorer: pw.Explorer, page: Page) -> None:
    panel = explorer.numbers
    for name, (question, _) in questions.QUESTIONS.items():
        before = len(lines(panel))
        button = find(explorer, question)
        assert isinstance(button, w.Button) and not button.disabled and button.tooltip
        button.click()
        assert panel.wait(SECONDS)
        assert panel.answers[name].sentence and len(lines(panel)) == before + 1
    assert panel._progress.layout.visibility == "hidden"
    right(explorer, page)


def test_another_picture_forgets_the_answers(explorer: pw.Explorer) -> None:
    panel = explorer.numbers
    panel.ask("target")
    assert panel.wait(SECONDS) and lines(panel)
    explorer.view = "overlay"  # of the same pullback
    assert explorer.wait(SECONDS) and lines(panel)
    explorer.temperature = 0.3
    assert explorer.wait(SECONDS) and not lines(panel) and not panel.answers


def test_an_answer_to_the_picture_before_is_not_shown(explore: Make, held: Any) -> None:
    reached, go = held
    explorer = explore()
    panel = explorer.numbers
    panel.ask("slow")
    assert reached.wait(SECONDS)
    assert panel._progress.layout.visibility == "visible" and panel._bar.value == 0.5
    explorer.temperature = 0.3
    assert explorer.wait(SECONDS)
    go.set()
    assert panel.wait(SECONDS) and not lines(panel) and not panel.answers
    assert panel._progress.layout.visibility == "hidden"


def test_it_can_be_stopped_and_asked_again(explore: Make, held: Any) -> None:
    reached, go = held
    explorer = explore()
    panel = explorer.numbers
    panel.ask("slow")
    assert reached.wait(SECONDS)
    panel._stop.click()
    go.set()
    assert panel.wait(SECONDS) and not lines(panel)
    panel.ask("slow")
    assert panel.wait(SECONDS) and "Late." in lines(panel)[0]


def test_what_cannot_be_asked_is_said_there(explore: Make) -> None:
    explorer = explore()
    explorer.target = pw.Direction("logits", explorer.result.logits.double())
    assert explorer.wait(SECONDS) and explorer.error == ""
    explorer.numbers.ask("target")
    assert explorer.numbers.wait(SECONDS)
    assert "There is nothing next to" in lines(explorer.numbers)[0]
    assert text_with(explorer, "pullback-error") == "" and not explorer.numbers.answers


def test_a_closed_explorer_answers_nothing(explore: Make) -> None:
    panel = explore().numbers
    panel.close()
    assert panel.wait(SECONDS)
    with pytest.raises(KeyError):
        panel.ask("colour")
