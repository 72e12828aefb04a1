"""The controls for a temperature: a slider, and the number itself."""

from __future__ import annotations

import math
from typing import Any

import ipywidgets as w

from ...drawing import words
from ...engine.softening import Softening
from .binding import SPOKEN_LABEL, bind, follow, listen
from .layout import row
from .live import ComputingWidget


def _temperatures() -> list[float]:
    """Log-spaced stops from 0.01 to 100, with the values that people ask for among them."""
    stops = [float(f"{10 ** (exponent / 25 - 2):.2g}") for exponent in range(101)]
    for wanted in (0.3, 0.5, 0.6, 0.7, 0.85):
        nearest = min(range(len(stops)), key=lambda i: abs(math.log(stops[i] / wanted)))
        stops[nearest] = wanted
    return stops


STOPS = [0.0, *_temperatures()]
"""What the positions of the temperature slider mean; far left is the plain gradient, T -> 0."""


def nearest_stop(temperature: float) -> int:
    """The slider's position for a temperature above 0."""
    return min(range(1, len(STOPS)), key=lambda i: abs(math.log(STOPS[i] / temperature)))


UNITS = [("relative to channel scale", "relative"), ("absolute", "absolute")]
"""What lists call the units of the temperature."""

OFF = "Off: no gate is softened here, so a temperature changes nothing."


def off_unless_softened(widget: ComputingWidget, *controls: w.Widget) -> w.HTML:
    """A sentence that stands beside the controls of the temperature where they have no effect.

    Args:
        widget: A figure of networks.
        *controls: Are disabled there; a text is hidden.
    """
    reason = w.HTML(f'<div class="pullback-note">{OFF}</div>')

    def show(softens: bool) -> None:
        reason.layout.display = "none" if softens else ""
        for control in controls:
            if isinstance(control, w.HTML):
                control.layout.display = "" if softens else "none"
            else:
                control.disabled = not softens

    follow(widget, "_softens", show)
    return reason


def temperature_controls(
    widget: ComputingWidget, **options: Any
) -> tuple[w.IntSlider, w.FloatText]:
    """A slider and a box, both for the widget's ``temperature``.

    The box takes numbers between the slider's stops. It is also what a screen reader names:
    ipywidgets gives no name to the handle of a slider.

    Args:
        widget: Has a choice ``temperature``, where 0 is the plain gradient.
        **options: Of the slider.
    """
    slider = w.IntSlider(
        min=0,
        max=len(STOPS) - 1,
        readout=False,
        tooltip="Temperature of the gates; far left is the plain gradient",
        **options,
    )
    slider.add_class("pullback-temperature")
    number = w.FloatText(step=0.05, description="Temperature", layout=w.Layout(width="80px"))
    number.add_class(SPOKEN_LABEL)
    listen(slider, lambda position: widget.attempt("temperature", STOPS[position]))
    bind(widget, "temperature", number)
    follow(
        widget,
        "temperature",
        lambda value: setattr(slider, "value", nearest_stop(value) if value else 0),
    )
    return slider, number


def temperature_row(view: ComputingWidget) -> w.HBox:
    """The temperature, what the softening is called, and the temperature's units."""
    slider, number = temperature_controls(
        view,
        description="Temperature",
        style={"description_width": "86px"},
        layout=w.Layout(width="300px"),
    )
    name = w.HTML(layout=w.Layout(margin="0 0 0 8px"))
    units = w.Dropdown(
        options=UNITS,
        description="Units of the temperature",
        layout=w.Layout(width="190px"),
    )
    units.add_class(SPOKEN_LABEL)

    def show(softening: Softening) -> None:
        family = words.in_words(softening).partition("T = ")[0].strip(" ,")
        shown = "" if family == softening.units else family
        name.value = f'<span class="pullback-number">{shown}</span>'

    listen(units, lambda value: view.attempt("units", value))
    follow(view, "softening", show)
    follow(view, "units", lambda value: setattr(units, "value", value))
    off = off_unless_softened(view, slider, number, name, units)
    return row(slider, number, name, units, off)
