"""What a choice may be: how it is checked, and how Python and JSON write it.

Here are plain values; what speaks of networks, neurons and images is in ``network_kinds``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import checks
from .folder import SETTINGS


class Kind:
    """Any value that JSON holds as it is.

    Attributes:
        optional: Whether None is a value.
        variable: Whether lines of Python give it a name of its own.
    """

    variable = False

    def __init__(self, *, optional: bool = False) -> None:
        self.optional = optional

    def check(self, name: str, value: Any) -> Any:
        """The value as it is kept.

        Args:
            name: Of the choice, for the error.
            value: What was given; never None where None is a value.

        Raises:
            ValueError: If it makes no sense.
            TypeError: If it is something else.
        """
        return value

    def opened(self, value: Any) -> Any:
        """What a widget takes a value for, which may be more than a function allows."""
        return value

    def verify(self, value: Any) -> None:
        """Look at what takes longer to look at, such as files; raises as :meth:`check`."""

    def code(self, value: Any) -> str:
        """The value as an expression; ``...`` where Python cannot write it."""
        return repr(value)

    def setting(self, value: Any) -> Any:
        """The value in few words, for the settings of a file."""
        return self.write(value, None)

    def write(self, value: Any, size: int | None) -> Any:
        """The value as JSON holds it in a recipe.

        Args:
            value: Never None.
            size: Of the network's input in pixels: images without a file are stored so large; None
                for no pixels.
        """
        return list(value) if isinstance(value, tuple) else value

    def read(self, written: Any, notes: list[str]) -> Any:
        """The value again; what is not as it was is added to the notes."""
        return tuple(written) if isinstance(written, list) else written


class Whole(Kind):
    """A whole number; without a least one, any."""

    def __init__(
        self, least: int | None = None, most: int | None = None, *, optional: bool = False
    ) -> None:
        super().__init__(optional=optional)
        self.least, self.most = least, most

    def check(self, name: str, value: Any) -> int:
        if self.least is not None:
            return checks.whole(name, value, self.least, self.most)
        if not checks.is_whole(value):
            raise ValueError(f"{name} is {value!r}; expected a whole number.")
        return int(value)


class Positive(Kind):
    """A finite number above 0."""

    def check(self, name: str, value: Any) -> float:
        return checks.positive(name, value)


class Between(Kind):
    """A number with a least and a largest value; what lies beyond is taken to the end."""

    def __init__(self, least: float, largest: float) -> None:
        super().__init__()
        self.least, self.largest = least, largest

    def check(self, name: str, value: Any) -> float:
        if not checks.is_number(value) or value != value:
            raise ValueError(
                f"{name} is {value!r}; expected a number, {self.least:g} to {self.largest:g}."
            )
        return min(max(float(value), self.least), self.largest)


class Share(Between):
    """A share, 0 to 1."""

    def __init__(self) -> None:
        super().__init__(0.0, 1.0)


class OneOf(Kind):
    """One of several words."""

    def __init__(self, options: Sequence[str]) -> None:
        super().__init__()
        self.options = tuple(options)

    def check(self, name: str, value: Any) -> str:
        if value not in self.options:
            raise ValueError(
                f"{name} is {value!r}; expected one of {', '.join(map(repr, self.options))}."
            )
        return str(value)


class Words(Kind):
    """A text."""

    def check(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{name} is {value!r}; expected a text.")
        return value


class Number(Kind):
    """A number in a range."""

    def __init__(self, least: float, most: float) -> None:
        super().__init__()
        self.least, self.most = least, most

    def check(self, name: str, value: Any) -> float:
        if not checks.is_number(value) or not self.least <= value <= self.most:
            raise ValueError(f"{name} is {value!r}; expected {self.least:g} to {self.most:g}.")
        return float(value)


class Rising(Kind):
    """Rising finite numbers above 0."""

    def check(self, name: str, value: Any) -> tuple[float, ...]:
        listed = isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1
        given: tuple[Any, ...] = tuple(value) if listed else ()
        good = all(checks.is_number(t) and 0 < float(t) < math.inf for t in given)
        if not given or not good or list(given) != sorted(set(given)):
            raise ValueError(
                f"{name} is {value!r}; expected rising finite numbers above 0, such as [0.1, 1.0, "
                "10.0]: the two ends, plain gradient and linear network, come by themselves."
            )
        return tuple(float(t) for t in given)

    def code(self, value: Any) -> str:
        return repr(list(value))


class SomeOf(Kind):
    """One or several of some words, each once; one is as good as a list of one."""

    def __init__(self, options: Sequence[str]) -> None:
        super().__init__()
        self.options = tuple(options)

    def check(self, name: str, value: Any) -> tuple[str, ...]:
        listed: Any = [value] if isinstance(value, str) else value
        chosen = tuple(listed) if isinstance(listed, list | tuple) else ()
        unknown = [one for one in chosen if one not in self.options]
        if not chosen or unknown or len(set(chosen)) < len(chosen):
            words = ", ".join(f'"{one}"' for one in self.options)
            raise ValueError(
                f"{name} is {value!r}; expected {words}, or both in the order of rows."
            )
        return chosen


class Folder(Kind):
    """A folder on this machine."""

    def check(self, name: str, value: Any) -> Path:
        if not isinstance(value, str | Path):
            raise TypeError(f"{name} is {value!r}; expected the path of a folder, or None.")
        return Path(value)

    def code(self, value: Any) -> str:
        return repr(str(value))

    def write(self, value: Any, size: int | None) -> str:
        return str(value)

    def read(self, written: Any, notes: list[str]) -> Path | None:
        """The folder, if one was begun there: a recipe, which may be anyone's, makes none."""
        path = Path(written)
        if (path / SETTINGS).is_file():
            return path
        notes.append(f"The folder {path} is not here; nothing is kept on disk.")
        return None


class Place(Kind):
    """A place in a picture: (x, y), both from 0 to 1, from the upper left."""

    def check(self, name: str, value: Any) -> tuple[float, float]:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise TypeError(f"{name} is {value!r}; expected (x, y), both from 0 to 1.")
        x, y = map(float, value)
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError(f"{name} is {(x, y)}; expected (x, y), both from 0 to 1.")
        return x, y
