"""Targets, softenings and numbers in a few words."""

from __future__ import annotations

from ..engine.completeness import LARGEST, percent
from ..engine.model import Model
from ..engine.softening import Softening
from ..engine.target import (
    Channel,
    Difference,
    Direction,
    Logit,
    Region,
    Rivals,
    Target,
    Unit,
    as_target,
)
from ..engine.tokens import Tokens


def describe(target: Target, model: Model, tokens: Tokens | None = None) -> str:
    """A target in a few words; ``tokens`` are those of its layer."""
    if isinstance(target, Logit):
        index = target.label if isinstance(target.label, int) else model.class_index(target.label)
        name = model.label(index)
        return name if name == f"class {index}" else f"{name} (class {index})"
    if isinstance(target, Rivals):
        return f"{describe(Logit(target.label), model)} against its {target.count} strongest rivals"
    if isinstance(target, Region):
        part = "masked" if target.box is None else f"in the box {target.box}"
        return f"{target.layer}, channel {target.channel}, {part}"
    if isinstance(target, Unit):
        place = "" if target.position is None else f" at {_place(target.position, tokens)}"
        return f"{target.layer}, channel {target.channel}{place}"
    if isinstance(target, Channel):
        return f"{target.layer}, channel {target.channel}, {target.reduce}"
    if isinstance(target, Direction):
        return f"{target.layer}, {target.name}"
    if isinstance(target, Difference):
        first, second = as_target(target.first), as_target(target.second)
        return f"{describe(first, model)} minus {describe(second, model)}"
    return type(target).__name__


def _place(position: tuple[int, ...], tokens: Tokens | None) -> str:
    if tokens is None or len(position) != 1:
        return str(position)
    return f"the {tokens.name(position[0])}"


def counted(number: int, noun: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def accounts_for(share: float, of: str = "") -> str:
    """What a picture accounts for, as ``accounts for 62 % of the logit``.

    Args:
        share: Of the target's value; see ``Result.shares``.
        of: What the value is called; left out where it is empty.

    Returns:
        Nothing where there is no share, or the value is so near zero that one says nothing.
    """
    if not abs(share) <= LARGEST:
        return ""
    return f"accounts for {percent(share)}" + (f" of the {of}" if of else "")


def share_of(share: float, of: str) -> str:
    """The same where there is no room, as ``62 % of logit``."""
    return f"{percent(share)} of {of}" if accounts_for(share) else ""


def in_words(softening: Softening) -> str:
    """A softening in a few words."""
    if softening.is_hard:
        return "plain gradient"
    if softening == Softening.held():
        return "held gates"
    t = f"{softening.temperature:.3g}"
    for name, words in (("paper_v3", "paper v3"), ("paper_v6", "paper v6")):
        if softening == getattr(Softening, name)(softening.temperature):
            return f"{words}, T = {t}"
    return f"{softening.units} T = {t}"
