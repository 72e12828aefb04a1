"""No more frames are sent than a page draws, and nobody waits for a page that is not there."""

from __future__ import annotations

import threading
import time

import ipywidgets as w
import pytest
from waiting import SECONDS
from widgets import Page, answer

from pullback_widgets.widgets.kit import pace as pace_module
from pullback_widgets.widgets.kit.pace import FORGOTTEN, LOSSLESS, LOSSY, MOST, SLOW, Pace


@pytest.fixture
def pace(page: Page) -> Pace:
    return Pace(w.HTML())


def listening(pace: Pace) -> None:
    pace.mark()
    answer(pace)


def test_a_few_frames_may_be_on_their_way(pace: Pace) -> None:
    listening(pace)
    for _ in range(MOST):
        assert pace.free
        pace.mark()
    assert not pace.free
    answer(pace)
    assert pace.free


def test_an_answer_is_one_for_all_before_it(pace: Pace) -> None:
    listening(pace)
    for _ in range(MOST):
        pace.mark()
    answer(pace)
    for _ in range(MOST):
        assert pace.free
        pace.mark()
    assert not pace.free


def test_the_slower_of_two_pages_is_not_waited_for(pace: Pace) -> None:
    listening(pace)
    pace.mark()
    drawn = pace._caption.placeholder
    answer(pace, drawn)
    for _ in range(MOST):
        pace.mark()
    answer(pace, drawn)
    assert not pace.free  # that one is known


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "999999"])
def test_what_is_no_number_of_a_frame_is_no_answer(pace: Pace, text: str) -> None:
    listening(pace)
    for _ in range(MOST):
        pace.mark()
    pace.answer.set_state({"value": text})
    assert not pace.free


def test_a_page_that_never_answered_is_not_waited_for(pace: Pace) -> None:
    for _ in range(3 * FORGOTTEN):
        pace.mark()
        assert pace.free
    assert len(pace._on_their_way) == FORGOTTEN


def test_a_page_that_is_gone_costs_its_patience_once(
    pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_module, "PATIENCE", 0.01)
    listening(pace)
    for _ in range(MOST):
        pace.mark()
    pace.wait()
    assert pace.free
    pace.mark()
    assert pace.free  # it is not listening any more
    answer(pace)
    for _ in range(MOST):
        pace.mark()
    assert not pace.free  # it is back


def test_python_that_waits_hears_no_answer(pace: Pace) -> None:
    listening(pace)
    for _ in range(MOST):
        pace.mark()
    waiter = threading.Thread(target=pace.wait)
    start = time.monotonic()
    waiter.start()
    with pace.unheard():
        waiter.join(SECONDS)
        assert pace.free
    assert time.monotonic() - start < SECONDS
    assert pace.free


def test_files_are_smaller_where_that_is_faster(
    pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: now[0])
    taken = {LOSSLESS: SLOW / 2, LOSSY: SLOW / 2}

    def kinds(n: int) -> list[str]:
        used = []
        for _ in range(n):
            used.append(pace.kind())
            pace.mark(used[-1])
            now[0] += taken[used[-1]]
            answer(pace)
        return used

    assert set(kinds(30)) == {LOSSLESS}  # a page on this machine
    taken[LOSSLESS] = 4 * SLOW  # a slow line
    assert kinds(60).count(LOSSY) > 45
    taken[LOSSY] = 8 * SLOW  # a slow decoder
    assert kinds(60).count(LOSSY) < 30


def test_the_answer_is_sent_to_nobody(pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(type(pace.answer), "_send", lambda *message: sent.append(message))
    listening(pace)
    assert pace.answer.value and not sent
