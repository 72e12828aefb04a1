"""A line of text for a class: what is typed is answered by clickable suggestions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import ipywidgets as w

from ...engine.category import several, unnamed
from ...engine.suggestions import exact, suggestions
from .binding import listen, quietly
from .offers import Offer, Offers, on_enter

MOST = 8
"""How many classes are offered at once."""


class ClassField:
    """Where a class is typed: an index, a name, two with a comma between; the rest is offered.

    Nothing but a whole name is taken by itself, and what was typed stays until something is chosen.
    While classes are offered they stand in the place of something else, so that nothing moves.

    Attributes:
        box: All of it.
        text: The line of text.
        offers: The suggestions.
    """

    def __init__(
        self, choose: Callable[[int | str], None], resting: w.Widget, width: int, height: int
    ) -> None:
        """Make the field of a network that is not known yet.

        Args:
            choose: Called with a class index, or with two names and a comma between them.
            resting: What stands under the line while nothing is offered.
            width: In CSS pixels.
            height: Likewise, of what is under the line.
        """
        self._choose, self._resting = choose, resting
        self._names: Sequence[str] | None = None
        self._classes = 0
        self._chosen = ""
        self._takes: Offer | None = None
        self._late = False
        self.text = w.Text(
            description="Class",
            placeholder="a thing such as dog, or a number",
            layout=w.Layout(width=f"{width}px"),
            style={"description_width": "52px"},
        )
        self.offers = Offers(MOST, self._take, height)
        self.box = w.VBox([self.text, self.offers.box, resting])
        listen(self.text, self._typed)
        on_enter(self.text, self._entered)

    def know(self, names: Sequence[str] | None, classes: int) -> None:
        """Take suggestions from this network's classes from now on."""
        self._names, self._classes = names, classes

    def show(self, chosen: str) -> None:
        """Show what is chosen; a text that is being typed stays if that is what it was before."""
        if chosen != self._chosen:
            self._chosen = chosen
            self._rest()

    def written(self, index: int) -> str:
        """A class as the line shows it; with its number where its name is not its own."""
        if self._names is None or index >= len(self._names):
            return unnamed(index)
        name = self._names[index]
        return name if exact(name, self._names) == [index] else f"{name} · {index}"

    def _rest(self) -> None:
        with quietly():
            self.text.value = self._chosen
        self._takes = None
        self.offers.hide()
        self._resting.layout.display = ""

    def _typed(self, text: str) -> None:
        late, self._late = self._late, False
        if text.strip() in ("", self._chosen):
            self._takes = None
            self.offers.hide()
            self._resting.layout.display = ""
            return
        sentence, offers, self._takes = self._answer(text.strip())
        self.offers.show(sentence, offers)
        self._resting.layout.display = "none"
        if late and self._takes is not None:
            self._take(self._takes)

    def _entered(self) -> None:
        if not self.text.value.strip():
            self._rest()
        elif self._takes is not None:
            self._take(self._takes)
        else:
            # Enter overtakes the last letters where the page still waits for an answer to others.
            self._late = True

    def _take(self, offer: Offer) -> None:
        if isinstance(offer.value, str) and not self._complete(offer.value):
            self.text.value = offer.value  # one of two classes; the other one comes next
        else:
            label = offer.value if isinstance(offer.value, str) else self.written(offer.value)
            self._chosen = label
            self._rest()
            self._choose(offer.value)
        self.text.focus()  # the button that had it is no more

    def _complete(self, text: str) -> bool:
        return len(several(text, self._names)) == 2

    # What is answered to a text: a sentence, offers, and which of them Enter takes.

    def _answer(self, text: str) -> tuple[str, list[Offer], Offer | None]:
        range_ = f"0 to {self._classes - 1}"
        first, part, second = self._parts(text)
        if "," in second or ("," in part and first):
            return "Two classes at most: the first minus the second.", [], None
        index = self._index(part)
        if index is not None:
            whole = fits = [index] if index < self._classes else []
            if not fits:
                return f"There is no class {index}; choose a number from {range_}.", [], None
        elif self._names is None:
            return f"This network has no class names; give a number from {range_}.", [], None
        else:
            named = self._names[: self._classes]
            whole, fits = exact(part, named), suggestions(part, named, MOST)
        offers = [self._offer(first, one, second) for one in fits]
        takes = offers[0] if len(whole) == 1 else None
        if not offers:
            sentence = f"is like no class of this network; try another word, or {range_}."
        elif len(whole) > 1:
            sentence = f"is the name of {len(whole)} classes; choose one:"
        elif not whole:
            choose = "choose one" if len(offers) > 1 else "a click takes"
            sentence = f"is no class of this network; {choose}:"
        else:
            return "Choose one; Enter takes the first:", offers, takes
        return f'"{part}" {sentence}', offers, takes

    def _offer(self, first: str, index: int, second: str) -> Offer:
        written = self.written(index)
        if not first and not second:
            return Offer(written, f"{written}, class {index}", index)
        pair = ", ".join(one for one in (first, self.term(index), second) if one)
        if second:
            return Offer(written, f"{written}, class {index}, minus {second}", pair)
        return Offer(f"minus {written}", f"{pair}: the first minus the second", pair)

    def term(self, index: int) -> str:
        """A class as one of two with a comma between them."""
        written = self.written(index)
        alone = self._names is not None and "," not in written and " · " not in written
        return written if alone else str(index)

    def _parts(self, text: str) -> tuple[str, str, str]:
        """What stands before the class that is asked for, that class, and what stands behind it."""
        first, comma, second = (one.strip() for one in text.partition(","))
        if self._names is None or not comma or exact(text, self._names):
            return "", text, ""
        if not second:
            return "", first, ""
        known = first.isdecimal() and int(first) < self._classes
        if known or len(exact(first, self._names)) == 1:
            return first, second, ""
        return "", first, second

    def _index(self, text: str) -> int | None:
        """A number alone, or behind a name that is not its own."""
        found = re.fullmatch(r"(?:.* · )?([0-9]{1,9})", text)
        return None if found is None else int(found[1])
