"""Parts that open and shut at a title, with the mouse and with the keyboard."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import ipywidgets as w

from .binding import listen, quietly


class KeyboardAccordion(w.VBox):
    """Titles under each other, of which at most one is open.

    ipywidgets' own ``Accordion`` is not reached by the keyboard.
    """

    def __init__(self, parts: Mapping[str, w.Widget], width: int) -> None:
        """Make the folds, all shut.

        Args:
            parts: What each title opens.
            width: In CSS pixels.
        """
        self._parts: list[tuple[w.ToggleButton, w.Widget]] = []
        children: list[w.Widget] = []
        for title, content in parts.items():
            button = w.ToggleButton(description=title, layout=w.Layout(width=f"{width}px"))
            button.add_class("pullback-fold")
            content.add_class("pullback-folded")
            listen(button, functools.partial(self._pressed, title))
            self._parts.append((button, content))
            children += [button, content]
        super().__init__(children)
        self.unfold(None)

    def _pressed(self, title: str, opened: bool) -> None:
        self.unfold(title if opened else None)

    def unfold(self, title: str | None) -> None:
        """Open one part and shut all others; None shuts all."""
        for button, content in self._parts:
            opened = button.description == title
            with quietly():
                button.value = opened
            button.icon = "caret-down" if opened else "caret-right"
            button.tooltip = f"{button.description}, {'open' if opened else 'shut'}"
            content.layout.display = "" if opened else "none"
