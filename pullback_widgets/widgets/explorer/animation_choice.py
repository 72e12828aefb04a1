"""What an animation runs over."""

from __future__ import annotations

import ipywidgets as w

from ..kit.binding import bind
from .choices import ExplorerChoices
from .gate_curve import WIDTH


def animation_choice(explorer: ExplorerChoices) -> w.Dropdown:
    """The choice between the ascent and the temperature."""
    box = w.Dropdown(
        options=[("over the ascent", "ascent"), ("over the temperature", "temperature")],
        description="Animation",
        layout=w.Layout(width=f"{WIDTH - 50}px"),
    )
    box.style.description_width = "66px"
    bind(explorer, "over", box)
    return box
