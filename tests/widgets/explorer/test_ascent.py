"""Ascents in the Explorer: played, stopped, dropped."""

import threading
from typing import Any

from explorers import Hold, busy, indices, right
from waiting import SECONDS
from widgets import Page, find, text_with

import pullback_widgets as pw


def test_play_shows_every_step(explorer: pw.Explorer, page: Page) -> None:
    explorer.choose(target="golf ball", steps=4, step_size=1.0)
    explorer.wait(SECONDS)
    seen, messages = indices(explorer), page.messages
    find(explorer, "pullback-play").click()
    frame = right(explorer, page)
    assert explorer.view == "perturbed"
    assert seen == [1, 2, 3, 4]
    assert page.messages >= messages + 4
    outcome = text_with(explorer, "pullback-outcome")
    assert "step 4" in outcome
    for probability in (frame.probability, frame.step.probability):
        assert f"{100 * probability:.1f} %" in outcome
    find(explorer, "pullback-play").click()
    right(explorer, page)
    assert seen == [1, 2, 3, 4, 1, 2, 3, 4]


def test_stop_keeps_what_was_reached(explorer: pw.Explorer, page: Page, hold: Hold) -> None:
    explorer.choose(target=1, steps=50, step_size=0.1)
    explorer.wait(SECONDS)
    seen = indices(explorer)
    third = threading.Event()
    explorer.observe(
        lambda change: third.set() if change["new"].step.index == 3 else None, "result"
    )
    explorer.observe(
        lambda change: find(explorer, "pullback-stop").click() if third.is_set() else None, "result"
    )
    explorer.play()
    assert explorer.wait(SECONDS)
    assert seen == [1, 2, 3]
    assert explorer.result.step.index == 3
    assert page.shows(explorer, explorer.result)
    assert not busy(explorer)
    explorer.unobserve_all("result")
    explorer.steps = 4
    assert right(explorer, page).step.index == 4


def test_stop_with_a_request_waiting_leaves_no_busy_mark(explorer: pw.Explorer, hold: Hold) -> None:
    with hold:
        explorer.temperature = 0.1
        hold.until_reached()
        explorer.temperature = 0.2
        explorer.stop()
    assert explorer.wait(SECONDS)
    assert not busy(explorer)


def test_a_change_during_an_ascent_drops_it(explorer: pw.Explorer, page: Page) -> None:
    seen = indices(explorer)
    third, changed = threading.Event(), threading.Event()

    def hold(change: Any) -> None:
        if len(seen) == 3:
            third.set()
            assert changed.wait(SECONDS)

    explorer.observe(hold, "result")
    explorer.choose(steps=500, step_size=0.01, view="difference")
    assert third.wait(SECONDS)
    explorer.choose(steps=2, temperature=0.2)
    changed.set()
    assert right(explorer, page).step.index == 2
    assert seen == [1, 2, 3, 1, 2]


def test_a_hidden_target_has_a_score_instead_of_a_probability(
    explorer: pw.Explorer, page: Page
) -> None:
    explorer.choose(layer="layer1", channel=1, steps=2, view="perturbed")
    frame = right(explorer, page)
    outcome = text_with(explorer, "pullback-outcome")
    assert "score" in outcome and f"{frame.step.score:.3g}" in outcome and "%" not in outcome
