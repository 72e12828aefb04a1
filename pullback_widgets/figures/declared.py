"""What a figure is asked for: one declaration, from which all that must agree derives.

A figure declares a :class:`Request`, a frozen dataclass whose fields say what they may be.
From it derive the widget's traits and their checks, the lines of Python that compute the figure,
the settings in its files, and its recipe. Beside it stand the public function, written out for
editors and the documentation (``tests/figures/test_declared.py`` demands that it has the same
parameters), and ``compute``, from a request to the result after each step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from ..drawing import expression
from .kinds import Kind, Positive, Whole

Role = Literal["computed", "drawn", "viewed"]
"""Whether the result depends on a choice, or only how it is drawn, or what of it a widget shows."""


@dataclass(frozen=True)
class Choice:
    """One field of a request.

    Attributes:
        kind: What it may be.
        role: ``"computed"``; ``"drawn"``, which a change does not compute anew; or ``"viewed"``,
            which only widgets have.
        trait: What widgets call it.
        default: ``dataclasses.MISSING`` where it must be given.
        later: Whether recipes have it only where it is not the default, since older ones lack it.
    """

    kind: Kind
    role: Role
    trait: str
    default: Any
    later: bool = False


def computed(kind: Kind, trait: str = "", later: bool = False) -> dict[str, Any]:
    """The metadata of a field on which the result depends.

    Args:
        kind: What it may be.
        trait: What widgets call it, if not the same.
        later: Whether older recipes lack it.
    """
    return {"kind": kind, "role": "computed", "trait": trait, "later": later}


def drawn(kind: Kind, trait: str = "") -> dict[str, Any]:
    """The metadata of a field on which only the drawing depends; see :func:`computed`."""
    return {"kind": kind, "role": "drawn", "trait": trait}


def viewed(kind: Kind, later: bool = False) -> dict[str, Any]:
    """The metadata of a field that only widgets have: what of the result one looks at."""
    return {"kind": kind, "role": "viewed", "trait": "", "later": later}


_choices: dict[type, Mapping[str, Choice]] = {}


def choices(request: type[Request]) -> Mapping[str, Choice]:
    """The choices of a kind of request by name, those that are given by position first."""
    if request not in _choices:
        fields = [one for one in dataclasses.fields(request) if "kind" in one.metadata]
        _choices[request] = {
            one.name: Choice(
                one.metadata["kind"],
                one.metadata["role"],
                one.metadata["trait"] or one.name,
                one.default,
                one.metadata.get("later", False),
            )
            for one in sorted(fields, key=lambda one: bool(one.kw_only))
        }
    return _choices[request]


@dataclass(frozen=True, eq=False)
class Request:
    """What a figure is asked for; its values are checked.

    Attributes:
        FUNCTION: The public function that answers it.
        WIDGET: The public widget that shows it.
        VARIABLE: What the lines of Python call the figure.
        FINALLY: The last of these lines.
    """

    FUNCTION: ClassVar[str]
    WIDGET: ClassVar[str]
    VARIABLE: ClassVar[str] = "figure"
    FINALLY: ClassVar[str] = "figure.figure()"

    def __post_init__(self) -> None:
        for name, one in choices(type(self)).items():
            object.__setattr__(self, name, checked(name, one, getattr(self, name)))

    def code(self, last: str = "") -> str:
        """The lines of Python that compute the figure; the last one by default shows it.

        What cannot be written down, a network of one's own or an image without a file, is left as
        ``...`` with a comment.
        """
        lines: list[str] = []
        arguments: list[str] = []
        for name, one in choices(type(self)).items():
            value = getattr(self, name)
            if one.role == "viewed" or (value is None and one.default is None):
                continue
            if one.role == "drawn" and value == one.default:
                continue
            text = "None" if value is None else one.kind.code(value)
            if one.kind.variable:
                lines.append(f"{name} = {text}")
                text = name
            first = one.kind.variable and "=" not in "".join(arguments)
            arguments.append(text if first else f"{name}={text}")
        call = expression.call(f"{self.VARIABLE} = pw.{self.FUNCTION}", arguments)
        return expression.script(*lines, *call, last or self.FINALLY)

    def settings(self) -> dict[str, Any]:
        """What was chosen, in few words that JSON can hold; networks are said elsewhere."""
        return {
            name: None if getattr(self, name) is None else one.kind.setting(getattr(self, name))
            for name, one in choices(type(self)).items()
            if one.role != "viewed" and name != "model"
        }


def checked(name: str, one: Choice, value: Any) -> Any:
    """A value of a choice, checked.

    Raises:
        ValueError: If it makes no sense.
        TypeError: If it is something else.
    """
    return None if value is None and one.kind.optional else one.kind.check(name, value)


@dataclass(frozen=True, eq=False, kw_only=True)
class Walked(Request):
    """A request with an ascent.

    Attributes:
        steps: Steps of ascent, 1 or more.
        step_size: L2 length of a step, in image units.
        radius: L2 radius of the ascent, in image units; None for no limit.
    """

    steps: int = field(default=5, metadata=computed(Whole(1)))
    step_size: float = field(default=20.0, metadata=computed(Positive()))
    radius: float | None = field(default=100.0, metadata=computed(Positive(optional=True)))

    @property
    def walk(self) -> dict[str, Any]:
        """The arguments of ``Session.ascend`` that say how to walk."""
        return {"steps": self.steps, "step_size": self.step_size, "radius": self.radius}
