"""Which part of the networks a run tests."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence

VARIABLE = "PULLBACK_WIDGETS_SHARD"
"""``3/11``: the third of eleven parts; ``all``: all of them."""

PARTS = 11
"""So many that a part has about forty networks."""


def of_today() -> str:
    """The part of a day: another one each day, and all of them in as many days as there are parts.

    Whoever tests on the same day tests the same networks.
    """
    return f"{datetime.date.today().toordinal() % PARTS + 1}/{PARTS}"


def chosen() -> str:
    """The part that the environment names, or that of today."""
    return os.environ.get(VARIABLE) or of_today()


def part_of(names: Sequence[str], part: str) -> list[str]:
    """The names of a part.

    Raises:
        ValueError: If there is no such part.
    """
    if part == "all":
        return list(names)
    turn, _, parts = part.partition("/")
    if not (turn.isdecimal() and parts.isdecimal() and 1 <= int(turn) <= int(parts)):
        raise ValueError(f"{VARIABLE} is {part!r}; expected 'all', or a part such as 3/{PARTS}.")
    return list(names[int(turn) - 1 :: int(parts)])
