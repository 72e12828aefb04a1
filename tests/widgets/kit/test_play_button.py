"""The film: a button that walks a slider."""

from __future__ import annotations

import ipywidgets as w

from pullback_widgets.widgets.kit.play_button import PlayButton


def film(value: int, seconds: float = 0.0) -> tuple[w.IntSlider, PlayButton, list[int]]:
    slider = w.IntSlider(value, min=1, max=4)
    seen: list[int] = []
    slider.observe(lambda change: seen.append(change["new"]), "value")
    return slider, PlayButton(slider, seconds), seen


def test_it_shows_every_step_to_the_end() -> None:
    _, one, seen = film(2)
    one.play().join(60)
    assert seen == [3, 4] and one.box.description == "Film"


def test_from_the_end_it_starts_anew() -> None:
    _, one, seen = film(4)
    one.play().join(60)
    assert seen == [1, 2, 3, 4]


def test_the_button_halts_it() -> None:
    slider, one, _ = film(1, seconds=3600)
    one.box.click()
    assert one.box.description == "Halt"
    one.box.click()
    assert one.box.description == "Film" and slider.value == 1
    thread = one.play()
    one.stop()
    thread.join(60)
    assert not thread.is_alive() and slider.value == 1


def test_a_closed_slider_is_left_alone() -> None:
    slider, one, seen = film(1)
    slider.close()
    one.play().join(60)
    assert seen == []
