"""Numbers that users give: each check once, each with one sentence of error.

numpy's numbers are as good as Python's own, which is what every check returns: code and recipes
can hold these. A bool is no number.
"""

from __future__ import annotations

import math
import numbers
from typing import Any, TypeGuard


def is_whole(value: object) -> TypeGuard[int]:
    """Whether this is a whole number, Python's or numpy's, and no bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether this is a real number, Python's or numpy's, and no bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def whole(name: str, value: Any, least: int = 1, most: int | None = None, hint: str = "") -> int:
    """A whole number from ``least`` to ``most``; None for no upper limit.

    Args:
        name: What the user knows the value by.
        value: What was given.
        least: The smallest number allowed.
        most: The largest one.
        hint: Ends the sentence, for instance ``", such as 224"``.

    Raises:
        ValueError: If it is no whole number, or out of range.
    """
    if not is_whole(value) or value < least or (most is not None and value > most):
        end = "up" if most is None else f"to {most}"
        raise ValueError(f"{name} is {value!r}; expected a whole number from {least} {end}{hint}.")
    return int(value)


def positive(name: str, value: Any, hint: str = "") -> float:
    """A finite number above 0; the arguments are those of :func:`whole`.

    Raises:
        ValueError: If it is anything else.
    """
    number = _finite(value)
    if number is None or number <= 0:
        raise ValueError(f"{name} is {value!r}; expected a finite number above 0{hint}.")
    return number


def not_negative(name: str, value: Any, hint: str = "") -> float:
    """A finite number from 0 up; the arguments are those of :func:`whole`.

    Raises:
        ValueError: If it is anything else.
    """
    number = _finite(value)
    if number is None or number < 0:
        raise ValueError(f"{name} is {value!r}; expected a finite number from 0 up{hint}.")
    return number


def place(name: str, value: Any) -> tuple[float, float]:
    """A place in the plane: any two finite numbers in a row, those of a tensor included.

    Raises:
        ValueError: If it is anything else.
    """
    try:
        x, y = (_finite(one.item() if hasattr(one, "item") else one) for one in value)
    except (TypeError, ValueError, RuntimeError):  # no row, not of two, or a row of rows
        x = y = None
    if x is None or y is None:
        raise ValueError(f"{name} is {value!r}; expected two finite numbers.")
    return x, y


def _finite(value: Any) -> float | None:
    """The number as Python's own; None if it is none, or not finite."""
    if not is_number(value):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond the largest float
        return None
    return number if math.isfinite(number) else None
