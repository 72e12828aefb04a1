"""A line of text for a layer among hundreds: search, stages, and one step back or on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as w

from ...engine.layer import Layer
from ...engine.layer_search import OTHERS, search, stages
from ...engine.target import LOGITS
from .binding import SPOKEN_LABEL, listen, quietly
from .layout import note, row
from .offers import Offer, Offers, on_enter
from .whole_box import BoundedWholeBox

MOST = 24
"""How many layers are offered at once."""

KEYS = "(arrow {} in the number box)"


class LayerField:
    """Where a layer is typed; what fits is offered, stage by stage.

    Whoever shows the field gives its parts a place.

    Attributes:
        text: The line of text.
        steps: The layer before, a list of all, and the layer after, as buttons.
        number: Its number from the image on; the arrow keys step from layer to layer.
        about: The number, and what the layer is.
        offers: The suggestions.
    """

    def __init__(self, choose: Callable[[Any], None], width: int) -> None:
        """Make the field of a network that is not known yet.

        Args:
            choose: Called with the name of a layer, or a number that is none, which it refuses.
            width: Of the line of text, in CSS pixels.
        """
        self._choose = choose
        self._layers: list[Layer] = []
        self._stages: dict[str, str] = {}
        self._chosen = ""
        self.text = w.Text(
            description="Layer",
            placeholder="a name, a kind or a size",
            layout=w.Layout(width=f"{width}px"),
            style={"description_width": "52px"},
        )
        self.previous = w.Button(
            description="◀ Previous",
            tooltip=f"The layer before this one, towards the image {KEYS.format('down')}",
        )
        self.all = w.Button(description="All layers", tooltip="List the network's stages")
        self.next = w.Button(
            description="Next ▶",
            tooltip=f"The layer after this one, towards the logits {KEYS.format('up')}",
        )
        for button in (self.previous, self.all, self.next):
            button.layout.width, button.layout.flex = "auto", "1 1 auto"
        self.steps = row(self.previous, self.all, self.next)
        self.number = BoundedWholeBox(
            min=1,
            max=1,
            description="Number of the layer",
            tooltip="The number of the layer; arrows up and down go to the next and the previous",
            layout=w.Layout(width="64px"),
        )
        self.number.add_class(SPOKEN_LABEL)
        self._what = w.HTML()
        self.about = row(self.number, self._what)
        self.offers = Offers(MOST, self._take)
        listen(self.text, self._typed)
        on_enter(self.text, self._entered)
        listen(self.number, self._numbered)
        self.previous.on_click(lambda _: self._step(-1))
        self.next.on_click(lambda _: self._step(1))
        self.all.on_click(lambda _: self._list())
        self._rest()

    @property
    def names(self) -> list[str]:
        """The layers in forward order; the logits are the last, where there are any."""
        return [layer.name for layer in self._layers]

    def know(self, layers: Sequence[Layer], classes: int = 0) -> None:
        """Take suggestions from these layers from now on; of classes, the logits are the last."""
        logits = [Layer(LOGITS, f"{classes} classes", (classes,))] if classes else []
        self._layers = [*layers, *logits]
        self._stages = stages(self.names)
        self._describe()

    def show(self, chosen: str) -> None:
        """Show what is chosen; a text that is being typed stays if that is what it was before."""
        with self.offers.changing:
            if chosen != self._chosen:
                self._chosen = chosen
                self._rest()

    def _rest(self) -> None:
        with quietly():
            self.text.value = self._chosen
        self.offers.hide()
        self._describe()

    def _describe(self) -> None:
        names = self.names
        place = names.index(self._chosen) if self._chosen in names else None
        self.previous.disabled = place in (None, 0)
        self.next.disabled = place in (None, len(names) - 1)
        self.number.layout.visibility = "hidden" if place is None else "inherit"
        text = ""
        if place is not None:
            with quietly():
                self.number.max, self.number.value = len(names), place + 1
            layer = self._layers[place]
            what = layer.kind if layer.name == LOGITS else f"{layer.kind}, {layer.size}"
            text = f"of {len(names)} · {what}"
        self._what.value = note(text)

    def _step(self, by: int) -> None:
        names = self.names
        place = names.index(self._chosen) + by if self._chosen in names else -1
        if 0 <= place < len(names):
            self._pick(names[place])

    def _numbered(self, number: float) -> None:
        names = self.names
        if number in range(1, len(names) + 1):
            self._pick(names[int(number) - 1])
        else:
            self._choose(number)  # which is refused, with the reason
            self._describe()

    def _pick(self, name: str) -> None:
        self._chosen = name
        self._rest()
        self._choose(name)

    def _take(self, offer: Offer) -> None:
        name = str(offer.value)
        if name in self.names:
            self._pick(name)
        else:
            self.text.value = name  # a stage; one of its layers comes next
        self.text.focus()  # the button that had it is no more

    def _list(self) -> None:
        """Open the list of stages, or shut it; a search that is open gives way to it."""
        if self.offers.open and not self.text.value:
            self._rest()
        else:
            with quietly():
                self.text.value = ""
            self.offers.show(*self._answer(""))
        self.text.focus()

    def _typed(self, text: str) -> None:
        with self.offers.changing:
            if text.strip() == self._chosen:
                self.offers.hide()
                return
            takes = self.offers.show(*self._answer(text.strip()))
        if takes is not None:
            self._take(takes)

    def _entered(self) -> None:
        takes = self.offers.enter()
        if takes is not None:
            self._take(takes)
        elif not self.text.value.strip():
            self._rest()

    # What is answered to a text: a sentence, offers, and which of them Enter takes.

    def _answer(self, text: str) -> tuple[str, list[Offer], Offer | None]:
        if not self._layers:
            return "The network's layers are not known yet.", [], None
        if not text:
            sentence = "Stages, with the number of their layers; or type a part of a name:"
            return sentence, self._groups(self._stages), None
        found = search(text, self._layers)
        offers = [self._offer(layer) for layer in found]
        exact = bool(found) and found[0].name.casefold() == text.casefold()
        takes = offers[0] if exact or len(offers) == 1 else None
        begin = text.removesuffix(".") + "."
        inside = [name for name in self.names if name.startswith(begin)]
        if len(inside) > MOST:
            parts = self._groups({name: _part(name, begin) for name in inside})
            itself = [offer._replace(label=text, group="") for offer in offers[:exact]]
            return f"Parts of {begin.removesuffix('.')}:", [*itself, *parts], takes
        if not offers:
            classes = " Classes are chosen at the logits." if LOGITS in self.names else ""
            lists = 'is in no layer of this network; "All layers" lists them.'
            return f'"{text}" {lists}{classes}', [], None
        if takes is not None:
            return "Choose one; Enter takes the first:", offers, takes
        more = f"; the first {MOST}, type more of the name" if len(offers) > MOST else ""
        return f'{len(offers)} layers for "{text}"{more}:', offers, None

    def _offer(self, layer: Layer) -> Offer:
        stage = self._stages[layer.name]
        short = layer.name.removeprefix(f"{stage}.") if stage != OTHERS else layer.name
        about = f"{layer.name}, {layer.kind}" + ("" if layer.name == LOGITS else f", {layer.size}")
        return Offer(short, about, layer.name, stage)

    def _groups(self, groups: Mapping[str, str]) -> list[Offer]:
        """Layer -> group: an offer for each group, and for each layer that has none to itself."""
        counts = Counter(groups.values())
        offers: dict[str, Offer] = {}
        for layer in self._layers:
            group = groups.get(layer.name, OTHERS)
            many = counts[group]
            if layer.name in groups and (group == OTHERS or many == 1):
                offers[layer.name] = Offer(layer.name, self._offer(layer).tooltip, layer.name)
            elif many:
                offers[group] = Offer(f"{group} · {many}", f"{many} layers of {group}", f"{group}.")
        return list(offers.values())


def _part(name: str, begin: str) -> str:
    """The next part of a dotted name, with all before it."""
    return begin + name.removeprefix(begin).partition(".")[0]
