"""Buttons under a line of text: what may be meant by what was typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import ipywidgets as w

from .layout import note


class Offer(NamedTuple):
    """What a button offers.

    Attributes:
        label: What stands on it.
        tooltip: What it is, in full.
        value: What is taken by a click.
        group: What it belongs to; a group's name stands before its first button.
    """

    label: str
    tooltip: str
    value: int | str
    group: str = ""


class Offers:
    """A sentence, and under it buttons that wrap; what has no room is scrolled to.

    Attributes:
        box: All of it; the same widgets serve all offers, so that typing makes no new ones.
        sentence: What is read before the buttons, also by screen readers.
        shown: What the buttons offer.
    """

    def __init__(self, most: int, take: Callable[[Offer], None], height: int) -> None:
        """Make buttons, none of which is seen yet.

        Args:
            most: How many buttons.
            take: Called with the offer that was clicked.
            height: Of sentence and buttons, in CSS pixels.
        """
        self.most, self._take = most, take
        self.shown: list[Offer] = []
        self.sentence = w.HTML()
        self._groups = [w.HTML(layout=w.Layout(display="none")) for _ in range(most)]
        self._buttons = [w.Button(layout=w.Layout(display="none")) for _ in range(most)]
        children: list[w.Widget] = [self.sentence]
        for number, button in enumerate(self._buttons):
            button.on_click(lambda _, n=number: self._clicked(n))
            children += [self._groups[number], button]
        self.box = w.Box(children, layout=w.Layout(height=f"{height}px", display="none"))
        self.box.add_class("pullback-offers")

    @property
    def open(self) -> bool:
        """Whether it is seen."""
        return bool(self.box.layout.display != "none")

    def show(self, sentence: str, offers: Sequence[Offer]) -> None:
        """Say a sentence, in plain text, and offer these; no more than there are buttons."""
        self.shown = list(offers[: self.most])
        self.sentence.value = note(sentence, spoken=True)
        before = ""
        for number, (group, button) in enumerate(zip(self._groups, self._buttons, strict=True)):
            if number >= len(self.shown):
                button.layout.display = group.layout.display = "none"
                continue
            offer = self.shown[number]
            button.description, button.tooltip = offer.label, offer.tooltip
            button.layout.display = ""
            begins = offer.group != before
            group.value = note(offer.group) if begins else ""
            group.layout.display = "" if begins else "none"
            before = offer.group
        self.box.layout.display = ""

    def _clicked(self, number: int) -> None:
        if number < len(self.shown):  # else what was seen is no longer offered
            self._take(self.shown[number])

    def hide(self) -> None:
        """Give way to what else stands there."""
        self.box.layout.display = "none"


def on_enter(text: w.Text, react: Callable[[], None]) -> None:
    """Call ``react()`` when Enter is pressed in a line of text, also one that did not change."""

    def message(_: w.Text, content: object, buffers: object) -> None:
        if isinstance(content, dict) and content.get("event") == "submit":
            react()

    text.on_msg(message)
