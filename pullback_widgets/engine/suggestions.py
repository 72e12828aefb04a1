"""What of a list of names a text may mean: everyday words, words of a name, nearest spellings."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

LEAST = 0.7
"""How alike the spellings of two words must be, by ``difflib``, for one to be offered."""

SHORT = 3
"""Fewer letters than these say nothing about the middle of a word."""


def folded(text: str) -> str:
    """A text without what does not tell names apart: upper case and spaces around it."""
    return " ".join(text.casefold().split())


def exact(text: str, names: Sequence[str]) -> list[int]:
    """The names that a text is: as a whole, or one of the synonyms between their commas.

    Upper and lower case are the same, unless they tell two names apart, as ``cardigan``, a
    garment, and ``Cardigan``, a dog. Several names come back where several are written alike.
    """
    found = [i for i, name in enumerate(names) if name == text.strip()]
    return found or list(_written(names).get(folded(text), ()))


def suggestions(text: str, names: Sequence[str], limit: int = 8) -> list[int]:
    """The names that a text may mean, likeliest first.

    Those that it is, those that an everyday word stands for, those in which its words are, those
    that begin with it; and where there is none, nearest spellings. A phrase of which there is
    nothing is taken apart: "black cab" is a cab first.

    Args:
        text: What someone typed.
        names: Names of classes; each may be several synonyms with commas between them.
        limit: How many come back at most.

    Returns:
        Indices of the names.
    """
    wanted = folded(text)
    if not wanted:
        return []
    whole = exact(text, names)
    close = [*whole, *_meant(wanted, names), *_with_words(wanted, names), *_begun(wanted, names)]
    if not close:
        words = wanted.split()
        near = [*_meant(words[-1], names), *_with_words(words[-1], names)] if words[1:] else []
        near += _spelt(wanted, names, limit)
        for word in reversed(words) if words[1:] else ():
            near += [*_meant(word, names), *_with_words(word, names)]
            near += _begun(word, names) if len(word) >= SHORT else ()
        close = near
    return list(dict.fromkeys(close))[:limit]


class Group(NamedTuple):
    """Everyday words, and the classes that they mean."""

    words: tuple[str, ...]
    classes: tuple[str, ...]


@functools.cache
def everyday() -> tuple[Group, ...]:
    """The groups of ``everyday.txt``."""
    text = (Path(__file__).parent / "everyday.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    groups = []
    for line in lines:
        words, _, classes = line.partition(": ")
        groups.append(Group(tuple(words.split(", ")), tuple(classes.split("; "))))
    return tuple(groups)


@functools.cache
def _groups() -> Mapping[str, Group]:
    return {word: group for group in everyday() for word in group.words}


@functools.lru_cache(maxsize=8)
def _all_folded(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(folded(name) for name in names)


@functools.lru_cache(maxsize=8)
def _by_synonym(names: tuple[str, ...]) -> Mapping[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        for one in dict.fromkeys(map(folded, (name, *name.split(",")))):
            found.setdefault(one, []).append(i)
    return {name: tuple(indices) for name, indices in found.items()}


def _written(names: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """The names and their synonyms, folded -> where they are."""
    return _by_synonym(tuple(names))


def _meant(wanted: str, names: Sequence[str]) -> Iterator[int]:
    """The names that an everyday word stands for, and those that are another word for it."""
    group = next((_groups()[form] for form in _forms(wanted) if form in _groups()), None)
    written = _written(names)
    for name in () if group is None else (*group.classes, *group.words):
        yield from written.get(folded(name), ())


def _with_words(wanted: str, names: Sequence[str]) -> Iterator[int]:
    """The names that have all the words, or have them in the plural or singular."""
    words = [set(_forms(word)) for word in re.findall(r"\w+", wanted)]
    yield from _where(
        lambda name: bool(words) and all(form & set(_words(name)) for form in words), names
    )


def _begun(wanted: str, names: Sequence[str]) -> Iterator[int]:
    """The names that begin with it; a word of which does; in the middle of which it stands."""
    yield from _where(lambda name: name.startswith(wanted), names)
    yield from _where(lambda name: any(one.startswith(wanted) for one in _tails(name)), names)
    if len(wanted) >= SHORT:
        yield from _where(lambda name: wanted in name, names)


def _spelt(wanted: str, names: Sequence[str], limit: int) -> Iterator[int]:
    """The names that are spelt nearly so, and those of everyday words that are."""
    written, groups = _written(names), _groups()
    for near in difflib.get_close_matches(wanted, {*written, *groups}, limit, LEAST):
        yield from written.get(near) or _meant(near, names)


def _forms(word: str) -> Iterator[str]:
    """A word, and what it may be the plural of, or the singular."""
    yield word
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            yield word.removesuffix(ending) + instead
    yield f"{word}s"


def _words(name: str) -> Iterable[str]:
    return re.findall(r"\w+", name)


def _tails(name: str) -> list[str]:
    """What is left of a name from each of its words on."""
    return [name[one.start() :] for one in re.finditer(r"\w+", name)]


def _where(fits: Callable[[str], bool], names: Sequence[str]) -> Iterator[int]:
    yield from (i for i, name in enumerate(_all_folded(tuple(names))) if fits(name))
