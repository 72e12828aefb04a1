"""No more frames are sent than a page draws, and nobody waits for a page that is not there."""

from __future__ import annotations

import threading
import time

import pytest
from waiting import SECONDS
from widgets import Page, answer

from pullback_widgets.widgets.kit import pace as pace_module
from pullback_widgets.widgets.kit.pace import LOSSLESS, LOSSY, MOST, NUMBERS, SLOW, Pace


@pytest.fixture
def pace(page: Page) -> Pace:
    return Pace()


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
    pace.mark()
    first = pace.pixel.fill_style
    pace.mark()
    answer(pace, first)
    assert pace.free
    for _ in range(MOST - 2):
        pace.mark()
        assert pace.free
    pace.mark()
    assert not pace.free


def test_the_slower_of_two_pages_is_not_waited_for(pace: Pace) -> None:
    listening(pace)
    pace.mark()
    drawn = pace.pixel.fill_style
    answer(pace, drawn)
    for _ in range(MOST):
        pace.mark()
    answer(pace, drawn)
    assert not pace.free  # that one is known


@pytest.mark.parametrize("noise", [-20, 0, 20])
def test_every_number_is_a_colour_of_its_own(pace: Pace, noise: int) -> None:
    listening(pace)
    colours = set()
    for _ in range(NUMBERS):
        for _ in range(MOST - len(pace._on_their_way)):
            pace.mark()
        assert not pace.free
        colours.add(pace.pixel.fill_style)
        answer(pace, noise=noise)
        assert not pace._on_their_way
        pace.mark()
    assert len(colours) == NUMBERS // MOST  # one of each few


def test_a_page_that_never_answered_is_not_waited_for(pace: Pace) -> None:
    for _ in range(3 * NUMBERS):
        pace.mark()
        assert pace.free


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


def test_the_pixel_is_sent_to_nobody(pace: Pace) -> None:
    listening(pace)
    assert pace.pixel.image_data and pace.pixel.get_state()["image_data"] is None
