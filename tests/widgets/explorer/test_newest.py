"""Only the newest choice counts, however it meets the thread that computes."""

import threading
from typing import Any

import pytest
from explorers import Hold, busy, right
from networks import network, wrap
from waiting import SECONDS, until
from widgets import Page, find

import pullback_widgets as pw
from pullback_widgets.drawing.pixels import RGB
from pullback_widgets.figures.snapshot import Snapshot
from pullback_widgets.networks import loaded
from pullback_widgets.widgets.explorer.screen import WipeCanvas
from pullback_widgets.widgets.kit.temperature import STOPS


def test_a_slider_that_is_dragged_leaves_out_what_it_passed(
    explorer: pw.Explorer, page: Page, hold: Hold
) -> None:
    shown: list[float] = []
    explorer.observe(
        lambda change: shown.append(change["new"].request.softening.temperature), "result"
    )
    slider = find(explorer, "pullback-temperature")
    with hold:
        slider.value = 5
        hold.until_reached()
        for position in range(6, 60):
            slider.value = position
        until(lambda: busy(explorer))  # said only of what takes a while
    right(explorer, page)
    assert shown == [STOPS[5], STOPS[59]]


@pytest.mark.usefixtures("at_once")
def test_the_busy_mark_goes_however_fast_the_picture_comes(
    explorer: pw.Explorer, page: Page
) -> None:
    explorer.temperature = 0.3
    right(explorer, page)


def test_a_newer_frame_is_not_drawn_over_by_an_older_one(
    explorer: pw.Explorer, page: Page, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The colours change while a frame is on its way, which arrives in between."""
    show = WipeCanvas.show

    def meanwhile(screen: WipeCanvas, *pictures: Any, **options: Any) -> None:
        hold.go.set()
        explorer.wait(1.0)
        show(screen, *pictures, **options)

    with hold:
        explorer.temperature = 0.1
        hold.until_reached()
        monkeypatch.setattr(WipeCanvas, "show", meanwhile)
        explorer.colour = "diverging"
    right(explorer, page)


def test_colours_chosen_while_a_frame_is_drawn_are_the_last(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing, chosen = threading.Event(), threading.Event()
    paint = Snapshot.picture

    def slow(frame: Snapshot, view: str, colour: str = "rgb") -> RGB:
        painted = paint(frame, view, colour)
        if threading.current_thread() is not threading.main_thread():
            drawing.set()
            chosen.wait(2.0)
        return painted

    monkeypatch.setattr(Snapshot, "picture", slow)
    explorer.temperature = 0.1
    assert drawing.wait(SECONDS)
    explorer.colour = "diverging"
    chosen.set()
    right(explorer, page)


@pytest.mark.usefixtures("no_network_yet")
def test_a_choice_at_the_moment_a_network_arrives_is_not_lost(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, chosen = threading.Event(), threading.Event()
    other = wrap(network("residual", seed=3))
    monkeypatch.setattr(loaded, "load_model", lambda name, progress=None: other)

    def meanwhile(change: Any) -> None:
        if change["new"] is other:
            arrived.set()
            chosen.wait(2.0)

    explorer.observe(meanwhile, "model")
    explorer.model = "resnet18"
    assert arrived.wait(SECONDS)
    explorer.temperature = 0.3
    chosen.set()
    right(explorer, page)
    assert explorer.softening == explorer.result.request.softening == pw.Softening.relative(0.3)


def test_cells_run_while_a_picture_is_computed(explorer: pw.Explorer, hold: Hold) -> None:
    with hold:
        explorer.temperature = 0.1
        hold.until_reached()
        assert explorer.temperature == 0.1
        assert not explorer.wait(0.01)
    assert explorer.wait(SECONDS)
