"""What stands beside the picture: the photograph, or something of now that stays there."""

from __future__ import annotations

from typing import Any

import ipywidgets as w

from ...figures.beside import NEURON
from ..kit.binding import follow, listen
from .choices import ExplorerChoices

PHOTOGRAPH = "the photograph"

KEPT = {
    "this temperature": ("softening", ("softening", "temperature", "units")),
    "this neuron": ("target", NEURON),
    "this network": ("model", ("model",)),
    "this photograph": ("image", ("image",)),
}
"""What can stay -> the choice that is taken, and all that say the same."""

OWN = "as chosen in Python"


def beside_box(explorer: ExplorerChoices) -> w.Dropdown:
    """A list of what can stay beside the picture while the rest is changed."""
    box = w.Dropdown(description="Beside")
    box.tooltip = "What stays left of the picture, while you change it on the right"

    def show(beside: Any) -> None:
        name = _name(beside)
        options = {PHOTOGRAPH: PHOTOGRAPH, **{f"{one}, kept there": one for one in KEPT}}
        box.options = list({**options, **({OWN: OWN} if name == OWN else {})}.items())
        box.value = name

    def keep(name: str) -> None:
        if name == PHOTOGRAPH:
            explorer.attempt("beside", None)
        elif name != OWN and name != _name(explorer.beside):
            choice, _ = KEPT[name]
            frame = explorer.known
            value = frame.target if choice == "target" and frame else getattr(explorer, choice)
            explorer.attempt("beside", {choice: value})

    listen(box, keep)
    follow(explorer, "beside", show)
    return box


def _name(beside: Any) -> str:
    """What stays, in the words of the list."""
    if beside is None:
        return PHOTOGRAPH
    return next((name for name, (_, said) in KEPT.items() if beside.keys() <= {*said}), OWN)
