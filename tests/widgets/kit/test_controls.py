"""The controls that ipywidgets and ipycanvas lack: canvases with names, folds, a temperature."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as w
import pytest
import traitlets as t

from pullback_widgets.widgets.kit.accordion import KeyboardAccordion
from pullback_widgets.widgets.kit.canvas import Canvas, sharp_canvas
from pullback_widgets.widgets.kit.layout import SCRIPT, dress, presentation, style_sheet
from pullback_widgets.widgets.kit.live import ComputingWidget
from pullback_widgets.widgets.kit.temperature import STOPS, temperature_controls


def test_a_canvas_lets_go_of_the_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = Canvas(width=10, height=10)
    sent: list[Any] = []
    monkeypatch.setattr(canvas, "send", lambda content, buffers=None: sent.append(content))
    key = {"shift_key": False, "ctrl_key": False, "meta_key": False}
    canvas._handle_frontend_event(canvas, {"event": "key_down", "key": "Tab", **key}, [])
    assert sent == [{"do": "blur"}]


def test_the_page_is_told_which_canvases_listen() -> None:
    still, clicked, dragged = (Canvas(width=1, height=1) for _ in range(3))
    still.on_client_ready(print)
    clicked.on_mouse_up(print)
    dragged.on_mouse_down(print)
    dragged.on_mouse_move(print)
    classes = [set(one._dom_classes) for one in (still, clicked, dragged)]
    assert classes == [set(), {"pullback-listens"}, {"pullback-listens", "pullback-follows"}]


def test_the_script_comes_with_the_style_sheet() -> None:
    assert style_sheet().value.startswith(f'<style onload="{html.escape(SCRIPT)}">')


def test_a_presentation_enlarges_widgets_that_are_there_and_that_come() -> None:
    before, after, last = (w.VBox() for _ in range(3))

    def large() -> list[bool]:
        classes = [one._dom_classes for one in (before, after, last)]
        return ["pullback-presentation" in one for one in classes]

    dress(before)
    presentation()
    dress(after)
    assert large() == [True, True, False]
    presentation()
    assert before._dom_classes.count("pullback-presentation") == 1
    presentation(False)
    dress(last)
    assert large() == [False] * 3
    assert ".pullback-presentation {" in style_sheet().value


def test_a_canvas_says_a_caption_without_its_markup() -> None:
    canvas = sharp_canvas((30, 20), "mine")
    canvas.say("<b>pullback</b> of <b>cats &amp; dogs</b>")
    assert canvas.tooltip == "pullback of cats & dogs"
    assert (canvas.width, canvas.height, canvas.layout.width) == (60, 40, "30px")


def test_one_fold_is_open_at_a_time() -> None:
    parts = {name: w.HTML(name) for name in ("one", "two", "three")}
    folds = KeyboardAccordion(parts, width=100)
    buttons = {one.description: one for one in folds.children if isinstance(one, w.ToggleButton)}

    def seen() -> list[str]:
        assert [name for name, one in buttons.items() if one.value] == [
            name for name, one in buttons.items() if one.tooltip == f"{name}, open"
        ]
        return [name for name, part in parts.items() if part.layout.display != "none"]

    assert seen() == []
    buttons["two"].value = True
    assert seen() == ["two"]
    buttons["three"].value = True
    assert seen() == ["three"]
    buttons["three"].value = False
    assert seen() == []


class Warm(ComputingWidget):
    temperature = t.Float(0.0)

    @t.validate("temperature")
    def _check(self, proposal: Any) -> Any:
        if proposal["value"] < 0:
            raise ValueError("It is cold; expected a number from 0 up.")
        return proposal["value"]


def test_a_temperature_by_slider_and_by_number() -> None:
    warm = Warm()
    slider, number = temperature_controls(warm)
    assert (slider.value, number.value) == (0, 0)
    slider.value = STOPS.index(0.85)
    assert warm.temperature == number.value == 0.85
    number.value = 0.301  # between two stops
    assert warm.temperature == 0.301 and STOPS[slider.value] == 0.3
    number.value = -1
    assert warm.temperature == number.value == 0.301 and "cold" in warm.error
    warm.temperature = 0.0
    assert (slider.value, number.value) == (0, 0)
