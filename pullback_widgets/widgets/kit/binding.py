"""Controls and choices kept equal.

A control never computes anything. What it sets may be refused; then the widget says why and the
control goes back to what holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ipywidgets as w

from .live import ComputingWidget

SPOKEN_LABEL = "pullback-spoken-label"
"""CSS class of a control whose description is for screen readers only: it stands beside already."""

_quiet = threading.local()


@contextmanager
def quietly() -> Iterator[None]:
    """Set controls without them setting choices in turn (in this thread)."""
    before = getattr(_quiet, "on", False)
    _quiet.on = True
    try:
        yield
    finally:
        _quiet.on = before


def listen(control: w.Widget, react: Callable[[Any], None], name: str = "value") -> None:
    """Call ``react(new value)`` when the user changes a control, not when we do."""

    def changed(change: Any) -> None:
        if not getattr(_quiet, "on", False):
            react(change["new"])

    control.observe(changed, name)


def follow(widget: ComputingWidget, trait: str, show: Callable[[Any], None]) -> None:
    """Keep a control showing a choice, without its setting the choice in turn."""

    def quiet_show(value: Any) -> None:
        with quietly():
            show(value)

    widget.follow(trait, quiet_show)


def bind(widget: ComputingWidget, trait: str, control: w.Widget) -> None:
    """Keep a control's value and a trait of the widget equal."""
    listen(control, lambda value: widget.attempt(trait, value))
    follow(widget, trait, lambda value: setattr(control, "value", value))
