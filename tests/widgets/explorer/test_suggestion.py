"""A temperature that photographs suggest, in the Explorer."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from explorers import Make, right
from networks import network, seeded, wrap
from torch import nn
from waiting import SECONDS
from widgets import Page, find, text_with

import pullback_widgets as pw
from pullback_widgets.engine.image import SAMPLES
from pullback_widgets.evaluation import tuning
from pullback_widgets.widgets.kit.upload import Upload


def said(explorer: pw.Explorer) -> str:
    """What is seen of it."""
    suggestion = explorer.suggestion
    return "" if suggestion.box.layout.display == "none" else str(suggestion._line.value)


def test_it_suggests_and_changes_nothing_until_it_is_taken(
    explorer: pw.Explorer, page: Page
) -> None:
    before = explorer.softening
    find(explorer, "Suggest").click()
    assert explorer.suggestion.wait(SECONDS)
    found = explorer.suggestion.tuning
    assert found is not None and found.sentence in said(explorer).replace("&#x27;", "'")
    assert f"on {len(SAMPLES) // 2} images" in said(explorer)
    assert explorer.softening == before and find(explorer, "Suggest").button_style == ""
    find(explorer, f"Take relative T = {found.temperature:g}").click()
    assert explorer.softening == found.softening
    right(explorer, page)


def test_the_photographs_of_ones_own_have_a_say(
    explorer: pw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def tune(model: Any, photographs: Any, **options: Any) -> Any:
        asked.append(list(photographs))
        raise ValueError("Enough.")

    monkeypatch.setattr(tuning, "tune_temperature", tune)
    own = [Upload(f"{n}.png", bytes([n])) for n in range(4)]
    suggestion = explorer.suggestion
    for count in (3, 4):
        monkeypatch.setattr(suggestion, "_own", lambda n=count: own[:n])
        suggestion.ask()
        assert suggestion.wait(SECONDS)
    assert asked == [list(SAMPLES), own]
    assert "Enough." in said(explorer) and explorer.error == ""
    assert text_with(explorer, "pullback-error") == ""


def test_a_press_while_it_tries_stops_it(
    explorer: pw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go = threading.Event(), threading.Event()

    def tune(*_: Any, progress: Any, **options: Any) -> Any:
        reached.set()
        assert go.wait(SECONDS)
        progress("half")
        raise AssertionError("It went on.")

    monkeypatch.setattr(tuning, "tune_temperature", tune)
    find(explorer, "Suggest").click()
    assert reached.wait(SECONDS)
    button = explorer.suggestion.button
    assert button.description == "Stop" and "trying temperatures" in said(explorer)
    button.click()
    go.set()
    assert explorer.suggestion.wait(SECONDS)
    assert button.description == "Suggest" and said(explorer) == ""


def test_another_network_forgets_it(explorer: pw.Explorer, page: Page) -> None:
    explorer.suggestion.ask()
    assert explorer.suggestion.wait(SECONDS) and explorer.suggestion.tuning is not None
    explorer.model = wrap(network("residual", seed=5))
    right(explorer, page)
    assert explorer.suggestion.tuning is None and said(explorer) == ""
    explorer.suggestion.take()  # of which nothing is left
    right(explorer, page)


def test_what_has_no_gates_gets_no_suggestion(explore: Make) -> None:
    explorer = explore(wrap(seeded(nn.Sequential(nn.Flatten(), nn.Linear(192, 6)))))
    assert explorer.suggestion.button.disabled
