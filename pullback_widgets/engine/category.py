"""The names of classes: in whatever form they come, and the class that a name means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import checks
from .suggestions import exact, suggestions

MOST = 1_000_000
"""A larger index in a mapping of names is no class."""

OFFERED = 3
"""How many names an error lists."""


def unnamed(index: int) -> str:
    """What a class without a name is called."""
    return f"class {index}"


def names_of(categories: Any) -> tuple[str, ...] | None:
    """The names in the order of the classes.

    Args:
        categories: A list of K names; a mapping from index to name, whose indices may be text, as
            JSON has them, and have gaps; a mapping from name to index; or None. Of several names
            for one class, as in ``imagenet_class_index.json``, the last one counts.

    Raises:
        ValueError: If a mapping is neither of the two.
        TypeError: If it is a text, or no collection.
    """
    if categories is None:
        return None
    if isinstance(categories, str | bytes) or not isinstance(categories, Iterable):
        raise TypeError(
            f"categories is {type(categories).__name__}; expected a list of class names, or a "
            "mapping from index to name."
        )
    if not isinstance(categories, Mapping):
        return tuple(_name(one) for one in categories)
    by_index = _by_index(categories)
    return tuple(by_index.get(n, unnamed(n)) for n in range(max(by_index, default=-1) + 1))


def looked_up(name: str, names: Sequence[str] | None, network: str) -> int:
    """The class with this name.

    Raises:
        ValueError: If no class is called so, or several are; it says what may be meant.
    """
    if names is None:
        raise ValueError(
            f"The network {network} has no class names, so {name!r} cannot be looked up; "
            "give the class index, or pass categories=[...] to pw.Model."
        )
    fits = exact(name, names)
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise ValueError(
            f"{name!r} is the name of {len(fits)} classes of {network}: "
            f"{_listed(fits[:OFFERED], names, 'and')}; give the index."
        )
    offers = suggestions(name, names, OFFERED)
    meant = f"did you mean {_listed(offers, names, 'or')}? Give" if offers else "give"
    raise ValueError(
        f"No class of {network} is called {name!r}; {meant} the whole name of a class, or its "
        "index."
    )


def several(text: str, names: Sequence[str] | None) -> list[int | str]:
    """A text taken apart at its commas, where each part is a class and the whole text is none.

    Returns:
        For ``"tabby, 574"`` a name and an index; for anything else the text itself.

    Raises:
        ValueError: For more than two classes.
    """
    parts = [part.strip() for part in text.split(",")]
    if names is None or len(parts) == 1 or exact(text, names):
        return [text]
    if not all(part.isdecimal() or exact(part, names) for part in parts):
        return [text]
    if len(parts) > 2:
        raise ValueError(
            f"{text!r} are {len(parts)} classes; give one, or two with a comma between them for "
            "their difference."
        )
    return [int(part) if part.isdecimal() else part for part in parts]


def _listed(indices: Sequence[int], names: Sequence[str], conjunction: str) -> str:
    *others, last = (f"{names[i]} ({i})" for i in indices)
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def _by_index(categories: Mapping[Any, Any]) -> dict[int, str]:
    indices = {key: _index(key) for key in categories}
    if all(index is not None for index in indices.values()):
        found = {
            index: _name(categories[key]) for key, index in indices.items() if index is not None
        }
    else:
        turned = {key: _index(value) for key, value in categories.items()}
        found = {index: str(key) for key, index in turned.items() if index is not None}
        if None in turned.values() or len(found) != len(categories):
            key = next(key for key, index in indices.items() if index is None)
            raise ValueError(
                f"The keys of categories are not all class indices (one is {key!r}); expected a "
                "mapping from index to name, such as {0: 'cat', 1: 'dog'}, or a list of names."
            )
    if len(found) != len(categories):
        raise ValueError(
            f"categories has {len(categories)} names for {len(found)} class indices; expected one "
            "name for each index."
        )
    return found


def _index(key: Any) -> int | None:
    """A whole number, or text that is one."""
    if isinstance(key, str) and key.strip().isdecimal():
        key = int(key)
    return int(key) if checks.is_whole(key) and 0 <= key < MOST else None


def _name(one: Any) -> str:
    if isinstance(one, list | tuple) and one:
        one = one[-1]
    return str(one)
