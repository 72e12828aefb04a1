"""The two buttons that start and stop a computation."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w

from .live import ComputingWidget


def run_buttons(
    widget: ComputingWidget,
    run: Callable[[], object],
    description: str = "Run",
    tooltip: str = "Compute the figure anew",
    stop_tooltip: str = "Stop; what is computed stays",
) -> tuple[w.Button, w.Button]:
    """A button that starts and one that stops.

    Args:
        widget: What is stopped; it shows what goes wrong.
        run: Called by the first button.
        description: Of the first button.
        tooltip: Likewise.
        stop_tooltip: Of the second button.
    """
    go = w.Button(
        description=description,
        icon="play",
        button_style="success",
        tooltip=tooltip,
        layout=w.Layout(width="84px"),
    )
    halt = w.Button(
        description="Stop", icon="stop", tooltip=stop_tooltip, layout=w.Layout(width="76px")
    )
    go.add_class("pullback-play")
    halt.add_class("pullback-stop")
    go.on_click(lambda _: widget.guard(run))
    halt.on_click(lambda _: widget.guard(widget.stop))
    return go, halt
