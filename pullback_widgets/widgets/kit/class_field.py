"""A line of text for a class: what is typed is answered by clickable suggestions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import ipywidgets as w

from ... import checks
from ...engine.category import several, unnamed
from ...engine.session import TargetLike
from ...engine.suggestions import exact, suggestions
from ...engine.target import Difference, Logit
from .binding import listen, quietly
from .offers import Offer, Offers, on_enter

MOST = 8
"""How many classes are offered at once."""

PLACEHOLDER = "a thing such as dog, or a number"


class ClassField:
    """Where a class is typed: an index, a name, two with a comma between; the rest is offered.

    Nothing but a whole name is taken by itself, and what was typed stays until something is chosen.
    Whoever shows the field gives its parts a place.

    Attributes:
        text: The line of text.
        offers: The suggestions.
    """

    def __init__(
        self, choose: Callable[[int | str | None], None], width: int, empty: str = ""
    ) -> None:
        """Make the field of a network that is not known yet.

        Args:
            choose: Called with a class index, with two names and a comma between them, or with
                None for no class at all.
            width: Of the line of text, in CSS pixels.
            empty: What no class at all means; if that means nothing, none can be chosen.
        """
        self._choose = choose
        self._none = Offer(empty, f"Choose no class: {empty}", "") if empty else None
        self._names: Sequence[str] | None = None
        self._classes = 0
        self._target: TargetLike = None
        self._chosen = ""
        self.text = w.Text(
            description="Class",
            placeholder=f"{empty}; or a thing such as dog" if empty else PLACEHOLDER,
            layout=w.Layout(width=f"{width}px"),
            style={"description_width": "52px"},
        )
        self.offers = Offers(MOST, self._take)
        listen(self.text, self._typed)
        on_enter(self.text, self._entered)

    def know(self, names: Sequence[str] | None, classes: int) -> None:
        """Take suggestions from this network's classes from now on."""
        self._names, self._classes = names, classes
        self.show(self._target)

    def show(self, target: TargetLike) -> None:
        """Show what is chosen; a text that is being typed stays if that is what it was before."""
        chosen = self._in_words(target)
        with self.offers.changing:
            self._target = target
            if chosen != self._chosen:
                self._chosen = chosen
                self._rest()

    def _in_words(self, target: TargetLike) -> str:
        """A class, or two, as the line has them; nothing of what is none."""
        if isinstance(target, Difference):
            both = [one.label for one in (target.first, target.second) if isinstance(one, Logit)]
            terms = [one if isinstance(one, str) else self._term(one) for one in both]
            return ", ".join(terms) if len(terms) == 2 else ""
        label = target.label if isinstance(target, Logit) else target
        if isinstance(label, str):
            return label
        return self._written(int(label)) if checks.is_whole(label) else ""

    def _written(self, index: int) -> str:
        """A class as the line shows it; with its number where its name is not its own."""
        if self._names is None or index >= len(self._names):
            return unnamed(index)
        name = self._names[index]
        return name if exact(name, self._names) == [index] else f"{name} · {index}"

    def _rest(self) -> None:
        with quietly():
            self.text.value = self._chosen
        self.offers.hide()

    def _typed(self, text: str) -> None:
        with self.offers.changing:
            if text.strip() == self._chosen or not (text.strip() or self._none):
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

    def _take(self, offer: Offer) -> None:
        if offer.value == self._chosen:
            self._rest()
        elif offer.value and isinstance(offer.value, str) and not self._complete(offer.value):
            self.text.value = offer.value  # one of two classes; the other one comes next
        else:
            self._target = None if offer is self._none else offer.value
            self._chosen = self._in_words(self._target)
            self._rest()
            self._choose(self._target)
        self.text.focus()  # the button that had it is no more

    def _complete(self, text: str) -> bool:
        return len(several(text, self._names)) == 2

    # What is answered to a text: a sentence, offers, and which of them Enter takes.

    def _answer(self, text: str) -> tuple[str, list[Offer], Offer | None]:
        if not text and self._none is not None:
            before = Offer(self._chosen, f"Keep {self._chosen}", self._chosen)
            return "Choose one; Enter takes the first:", [self._none, before], self._none
        if not self._classes:
            return "The network's classes are not known yet.", [], None
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
        written = self._written(index)
        if not first and not second:
            return Offer(written, f"{written}, class {index}", index)
        pair = ", ".join(one for one in (first, self._term(index), second) if one)
        if second:
            return Offer(written, f"{written}, class {index}, minus {second}", pair)
        return Offer(f"minus {written}", f"{pair}: the first minus the second", pair)

    def _term(self, index: int) -> str:
        """A class as one of two with a comma between them."""
        written = self._written(index)
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
