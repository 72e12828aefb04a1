"""Buttons under a line of text: what may be meant by what was typed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
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

    They get their place by :func:`in_place_of`.

    Attributes:
        changing: Is held while it opens or closes, and what it stands over with it.
        box: All of it. Buttons are made when they are first needed, and serve all later offers.
        sentence: What is read before the buttons, also by screen readers.
        shown: What the buttons offer.
    """

    def __init__(self, most: int, take: Callable[[Offer], None]) -> None:
        """Offer nothing yet.

        Args:
            most: How many buttons at most.
            take: Called with the offer that was clicked.
        """
        self.most, self._take = most, take
        # A text is answered while what it was about is computed, by two threads.
        self.changing = threading.RLock()
        self.shown: list[Offer] = []
        self._takes: Offer | None = None
        self._entered_early = False
        self.sentence = w.HTML()
        self._buttons: list[w.Button] = []
        self._groups: dict[int, w.HTML] = {}
        self.box = w.Box([self.sentence], layout=w.Layout(display="none"))
        self.box.add_class("pullback-offers")

    @property
    def open(self) -> bool:
        """Whether it is seen."""
        return bool(self.box.layout.display != "none")

    def show(
        self, sentence: str, offers: Sequence[Offer], takes: Offer | None = None
    ) -> Offer | None:
        """Say a sentence, in plain text, and offer these; no more than there are buttons.

        Args:
            sentence: What is read first.
            offers: What is offered.
            takes: Which of them Enter takes, if any.

        Returns:
            What is to be taken at once, because Enter came before this answer.
        """
        with self.changing:
            self._show(sentence, list(offers[: self.most]))
            early, self._entered_early = self._entered_early, False
            self._takes = takes
            return takes if early else None

    def enter(self) -> Offer | None:
        """Enter was pressed: what that takes; if nothing yet, the next answer hears of it.

        Enter overtakes the last letters where the page still waits for an answer to others, and
        where two threads of a kernel serve one page.
        """
        with self.changing:
            self._entered_early = self._takes is None
            return self._takes

    def _show(self, sentence: str, offers: list[Offer]) -> None:
        self.shown = offers
        self.sentence.value = note(sentence, spoken=True)
        before, begins = "", {}
        for number, offer in enumerate(self.shown):
            if offer.group != before:
                begins[number] = before = offer.group
        self._make(len(self.shown), begins)
        for number, group in self._groups.items():
            group.value = note(begins.get(number, ""))
            group.layout.display = "" if begins.get(number) else "none"
        for number, button in enumerate(self._buttons):
            if number < len(self.shown):
                button.description, button.tooltip, *_ = self.shown[number]
            button.layout.display = "" if number < len(self.shown) else "none"
        self.box.layout.display = ""

    def _make(self, buttons: int, groups: Iterable[int]) -> None:
        """The buttons and the names of groups that are not there yet."""
        before = len(self._buttons), len(self._groups)
        for number in range(len(self._buttons), buttons):
            button = w.Button()
            button.on_click(lambda _, n=number: self._clicked(n))
            self._buttons.append(button)
        for number in groups:
            if number not in self._groups:
                self._groups[number] = w.HTML()
        if before != (len(self._buttons), len(self._groups)):
            children: list[w.Widget] = [self.sentence]
            for number, button in enumerate(self._buttons):
                children += [self._groups[number]] if number in self._groups else []
                children.append(button)
            self.box.children = children

    def _clicked(self, number: int) -> None:
        if number < len(self.shown):  # else what was seen is no longer offered
            self._take(self.shown[number])

    def hide(self) -> None:
        """Give way to what else stands there; Enter takes nothing any more."""
        with self.changing:
            self._takes, self._entered_early = None, False
            self.box.layout.display = "none"


def in_place_of(offers: Offers, *rest: w.Widget) -> w.Box:
    """Controls, one under the other, whose place the offers take while they are open.

    The controls stay there unseen and keep their height, which narrow windows make larger: nothing
    under them moves.
    """
    controls = w.VBox(list(rest))

    def give_way(_: object) -> None:
        with offers.changing:
            controls.layout.visibility = "hidden" if offers.open else "inherit"

    offers.box.layout.observe(give_way, "display")
    place = w.Box([controls, offers.box])
    place.add_class("pullback-place")
    return place


def on_enter(text: w.Text, react: Callable[[], None]) -> None:
    """Call ``react()`` when Enter is pressed in a line of text, also one that did not change."""

    def message(_: w.Text, content: object, buffers: object) -> None:
        if isinstance(content, dict) and content.get("event") == "submit":
            react()

    text.on_msg(message)
