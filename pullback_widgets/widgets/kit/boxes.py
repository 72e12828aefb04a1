"""Lines of text and numbers that figures of networks have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w

from .binding import bind, follow, listen
from .class_field import ClassField
from .live import ComputingWidget
from .whole_box import BoundedWholeBox


def names_box(
    view: ComputingWidget,
    trait: str,
    *,
    parse: Callable[[str], Any],
    write: Callable[[Any], str],
    **options: Any,
) -> w.Text:
    """A line of text for a choice that is a list or a name."""
    box = w.Text(continuous_update=False, **options)
    listen(box, lambda text: view.attempt(trait, parse(text)))
    follow(view, trait, lambda value: setattr(box, "value", write(value)))
    return box


def steps_box(view: ComputingWidget) -> BoundedWholeBox:
    """The number of steps of ascent."""
    box = BoundedWholeBox(min=1, max=100, description="Steps", continuous_update=False)
    box.layout.width, box.style.description_width = "130px", "44px"
    bind(view, "steps", box)
    return box


def class_field(view: ComputingWidget) -> ClassField:
    """A line of text for the view's ``target``, a class; none is the image's top class."""
    field = ClassField(lambda target: view.attempt("target", target), 340, "top class")
    follow(view, "target", field.show)
    return field
