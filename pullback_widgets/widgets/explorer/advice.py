"""The line under the pictures: what can be done, what is under the mouse, what a click offers."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets as w

from ...engine.target import LOGITS, Unit
from ...figures.evenness import even, places
from ...figures.network_kinds import DEFAULT
from ...figures.snapshot import Snapshot
from .screen import Cell, Place

TOO_SOFT = 4 * DEFAULT.temperature
"""At a higher relative temperature a gate at one standard deviation passes 43 to 57 percent."""


class Advice:
    """A line of text, and a button where something is offered.

    Attributes:
        box: Both.
    """

    def __init__(self, take: Callable[[str, tuple[int, int]], None]) -> None:
        """Make it.

        Args:
            take: Called with a layer and (row, column) in it when what is offered is taken.
        """
        self._take = take
        self._words = w.HTML()
        self._offer = w.Button(layout=w.Layout(width="auto", display="none"))
        self._offer.add_class("pullback-plain")
        self._offer.on_click(lambda _: self._taken())
        self._offered: tuple[str, tuple[int, int]] | None = None
        self._invitation = ""
        self._away = True
        self.box = w.HBox([self._words, self._offer], layout=w.Layout(overflow="visible"))
        self.box.add_class("pullback-advice")

    def show(self, frame: Snapshot) -> None:
        """Invite to what can be done now; what was offered of another picture is gone."""
        self._invitation = invitation(frame)
        if self._offered is not None and frame.request.layer != LOGITS:
            self._withdraw()
        if self._offered is None:
            self._say(self._invitation)

    def hover(self, words: str) -> None:
        """Say what is under the mouse; nothing for what was said before.

        An offer stays while the mouse goes to its button, until it is back on a picture.
        """
        back, self._away = self._away and bool(words), not words
        if back and self._offered is not None:
            self._withdraw()
        if self._offered is None:
            self._say(words or self._invitation)

    def offer(self, frame: Snapshot, place: Place) -> None:
        """Offer the last layer that has places, at this one."""
        layer = next((one for one in reversed(frame.layers) if one.grid is not None), None)
        grid = None if layer is None else layer.grid
        if layer is None or grid is None:
            self._say("A class has no place on the photograph, and no layer of this network has.")
            return
        cell = cell_at(place, grid)
        self._offered, self._away = (layer.name, cell), False  # the click was on the picture
        self._offer.description = f"{layer.name}, row {cell[0]}, column {cell[1]}"
        self._offer.tooltip = "Show what the channel that is largest here looks for"
        self._offer.layout.display = ""
        self._say("A class has no place. Ask the last layer that has:")

    def _taken(self) -> None:
        offered = self._offered
        self._withdraw()
        if offered is not None:
            self._take(*offered)

    def _withdraw(self) -> None:
        self._offered = None
        self._offer.layout.display = "none"
        self._say(self._invitation)

    def _say(self, words: str) -> None:
        self._words.value = f'<div class="pullback-note">{html.escape(words)}</div>'


def invitation(frame: Snapshot) -> str:
    """What can be done with the pictures as they are."""
    grid = frame.view.layer.grid
    words = even(frame.pullback, places(frame.target, [frame.view.layer]))
    if words:
        return f"This is {words}: click a place for one of them."
    softening = frame.request.softening
    if frame.softens and not softening.has_temperature:
        return (
            f"Drag the temperature to the right, to about {DEFAULT.temperature:g}: the gates "
            "become soft, and the picture clears."
        )
    if frame.softens and softening.units == "relative" and softening.temperature > TOO_SOFT:
        return (
            "So soft a gate passes half of everything, wanted or not. The picture is clearest near "
            f"{DEFAULT.temperature:g}."
        )
    asked = ""
    if frame.request.layer == LOGITS:
        asked = "Click a place to ask what a layer sees there; "
    elif grid is not None:
        asked = "Click a place to ask for the channel there; "
    wipe = "drag the handle to lay the photograph over the picture."
    if frame.second is not None:
        wipe = "drag the handle to lay the left picture over the right one."
    return asked + wipe if asked else wipe.capitalize()


def under(frame: Snapshot, view: str, place: Place) -> str:
    """What is at a place of a view: the pixel, its value, and the unit's there.

    Args:
        frame: What is on the screen.
        view: Which of its views the mouse is on.
        place: Across and down, 0 to 1.
    """
    signed = view not in ("photograph", "perturbed")
    values = frame.signed(view) if signed else frame.tensor(view)
    row, column = cell_at(place, (values.shape[1], values.shape[2]))
    numbers = values[:, row, column].tolist()
    words = f"row {row}, column {column}: {', '.join(f'{one:.3g}' for one in numbers)}"
    if signed:
        words += f" · {strength(max(map(abs, numbers)) / frame.strength(view))}"
    channel, grid = getattr(frame.target, "channel", None), frame.view.layer.grid
    if channel is None or grid is None or frame.view.layer.name != frame.request.layer:
        return words
    cell, tokens = cell_at(place, grid), frame.view.layer.tokens
    position: tuple[int, ...] = cell if tokens is None else (tokens.number(cell),)
    value = frame.view.activation(channel, position)
    return words if value is None else f"{words} · channel {channel} is {value:.3g} here"


def strength(share: float) -> str:
    """How strongly a pixel is shown; its value may be larger than colours can show.

    Args:
        share: Of the value at full strength.
    """
    if share > 1:
        return f"{share:.3g} times full strength, which is all the picture can show"
    return f"{100 * share:.0f} % of full strength"


def cell_at(place: Place, grid: tuple[int, int]) -> tuple[int, int]:
    """Row and column of the cell at a place."""
    (x, y), (rows, columns) = place, grid
    return min(int(y * rows), rows - 1), min(int(x * columns), columns - 1)


def cell_of(frame: Snapshot) -> Cell | None:
    """Where the chosen unit's cell lies on the picture: left, top, width, height as shares."""
    layer, target = frame.view.layer, frame.target
    grid = layer.grid
    if not isinstance(target, Unit) or target.position is None or grid is None:
        return None
    place: tuple[int, ...] | None = target.position
    if layer.tokens is not None:
        place = layer.tokens.patch(target.position[0])
    if place is None:  # a token of the whole image
        return None
    (y, x), (rows, columns) = place, grid
    return x / columns, y / rows, 1 / columns, 1 / rows
