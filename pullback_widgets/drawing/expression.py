"""Models, images, targets and softenings as Python writes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

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

ALWAYS = ("temperature", "gate", "units", "pool", "pool_temperature", "factors")
"""What is written of every softening that is no preset."""


def script(*body: str) -> str:
    """Lines of Python under the imports that they need."""
    imports = ["import pullback_widgets as pw"]
    if any("torch.tensor(" in line for line in body):  # of a Direction
        imports.append("import torch")
    return "\n".join([*imports, "", *body])


def call(function: str, arguments: Sequence[str], width: int = 92) -> list[str]:
    """The lines of a call, as many arguments in each as have room."""
    lines = [f"{function}("]
    for argument in arguments:
        longer = f"{lines[-1]} {argument}," if len(lines) > 1 else ""
        if longer and len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(f"    {argument},")
    return [*lines, ")"]


def of_model(model: Model) -> str:
    """A network as an expression; ``...`` with a comment for one's own."""
    name = model.catalogue_name
    return "...  # your pw.Model" if name is None else f'pw.load_model("{name}")'


def of_image(image: object) -> str:
    """An image as an expression; ``...`` for one without a name or a file."""
    return repr(str(image)) if isinstance(image, str | Path) else "..."


def of_images(images: Iterable[object]) -> str:
    """A list of images as an expression."""
    return f"[{', '.join(map(of_image, images))}]"


def of_softening(softening: Softening) -> str:
    """A softening as the shortest expression that makes it."""
    for name in ("hard", "held"):
        if softening == getattr(Softening, name)():
            return f"pw.Softening.{name}()"
    for name in ("relative", "paper_v3", "paper_v6") if softening.temperature > 0 else ():
        if softening == getattr(Softening, name)(softening.temperature):
            return f"pw.Softening.{name}({softening.temperature!r})"
    values = {}
    for one in dataclasses.fields(softening):
        value = getattr(softening, one.name)
        value = dict(value) if isinstance(value, Mapping) else value
        if one.name in ALWAYS or value != getattr(Softening(), one.name):
            values[one.name] = value
    return f"pw.Softening({', '.join(f'{name}={value!r}' for name, value in values.items())})"


def of_target(target: Target) -> str:
    """A target as an expression."""
    if isinstance(target, Logit):
        return repr(target.label)
    if isinstance(target, Channel | Unit | Rivals):
        return f"pw.{target!r}"
    if isinstance(target, Region | Direction):
        values = [f"{target.layer!r}"]
        for one in dataclasses.fields(target)[1:]:
            value = getattr(target, one.name)
            if isinstance(value, torch.Tensor):
                value = f"torch.tensor({value.tolist()}, dtype={value.dtype})"
                values.append(f"{one.name}={value}")
            elif value != one.default:
                values.append(f"{one.name}={value!r}")
        return f"pw.{type(target).__name__}({', '.join(values)})"
    if isinstance(target, Difference):
        first, second = as_target(target.first), as_target(target.second)
        return f"pw.Difference({of_target(first)}, {of_target(second)})"
    return "..."
