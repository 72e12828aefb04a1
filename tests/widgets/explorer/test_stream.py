"""What travels to the page for a change, and when."""

from typing import Any

import ipywidgets as w
import pytest
from explorers import Make, right
from waiting import SECONDS, until
from widgets import Page, answer, find

import pullback_widgets as pw
from pullback_widgets.widgets.kit import pace as pace_module
from pullback_widgets.widgets.kit.pace import LOSSLESS, LOSSY, MOST, SLOW


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a busy machine takes, an answer is waited for."""
    monkeypatch.setattr(pace_module, "PATIENCE", SECONDS)


def at_rest(explorer: pw.Explorer) -> None:
    """Waits until nothing moves any more, and everything is said."""
    assert explorer.wait(SECONDS)
    until(lambda: not any(one._thread for one in (explorer._still, explorer._rest, explorer._slow)))


def test_three_messages_a_frame(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture, what is drawn, and what is said; and each control that a change moves."""
    explorer.temperature = 0.1
    at_rest(explorer)
    sent: list[str] = []
    send = w.Widget._send

    def spy(widget: w.Widget, message: Any, buffers: Any = None) -> None:
        sent.append(type(widget).__name__)
        send(widget, message, buffers)

    drawn = page.messages
    monkeypatch.setattr(w.Widget, "_send", spy)
    explorer.temperature = 0.2
    explorer.temperature = 0.3
    at_rest(explorer)
    frames = page.messages - drawn
    monkeypatch.undo()
    assert 1 <= frames <= 4  # the frames, the history
    assert sent.count("Image") <= 2 and sent.count("Lines") <= 2
    assert sent.count("FloatText") == sent.count("IntSlider") == 2
    # When it rests: its name for who does not see it, and the history, once.
    rest = [one for one in sent if one not in ("Image", "Lines", "FloatText", "IntSlider")]
    assert len(rest) <= 12


@pytest.mark.usefixtures("patient")
def test_what_comes_back_from_the_page_sets_the_pace(explore: Make, page: Page) -> None:
    explorer = explore()
    pace = explorer._pace
    pace.mark()
    answer(pace)
    # Two frames without an answer, and no thread that waits for the widget.
    for _ in range(MOST):
        pace.mark()
    shown: list[float] = []
    explorer.observe(
        lambda change: shown.append(change["new"].request.softening.temperature), "result"
    )
    slider = find(explorer, "pullback-temperature")
    for position in range(20, 40):
        slider.value = position
    assert not shown  # one request waits, all others are forgotten
    answer(pace)
    until(lambda: shown)
    assert explorer.wait(SECONDS)
    assert shown == [explorer.temperature]


def test_what_moves_may_lose_and_what_rests_has_all(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer._pace._seconds = {LOSSLESS: 4 * SLOW, LOSSY: SLOW}
    monkeypatch.setattr(type(explorer), "_moves", property(lambda one: one._worker.busy))
    page.formats.clear()
    explorer.temperature = 0.1
    assert explorer.wait(SECONDS)
    assert page.formats == {LOSSY}
    until(lambda: LOSSLESS in page.formats)
    monkeypatch.undo()
    at_rest(explorer)
    right(explorer, page)
