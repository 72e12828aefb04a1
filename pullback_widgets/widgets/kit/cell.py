"""The cell of a notebook that a widget came from: run again, it closes what it replaces.

ipywidgets keeps every widget until it is closed, and a figure keeps its network's recording: a cell
that is run twenty times would leave nineteen figures that nobody sees.
"""

from __future__ import annotations

import gc
import re
import sys
import time
from types import CellType, FrameType, GeneratorType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

import ipywidgets as w
from ipywidgets.widgets.widget import _instances

from .turn import give_memory_back

HISTORY = re.compile(r"_{1,3}|_\d+")
"""Names under which IPython itself keeps what cells returned."""

OURS = ("pullback_widgets", "IPython", "ipykernel", "traitlets")
"""Whose objects refer to a widget for no longer than it is there."""

LOOKS = 5
"""How often one looks: a thread that computes may refer to its widget for a moment."""

_places: WeakKeyDictionary[w.Widget, dict[str, str]] = WeakKeyDictionary()
"""Widget -> the cells that made or show it, and in which of their runs."""


def here(widget: w.Widget) -> None:
    """The cell that runs now makes or shows a widget; nothing happens where none runs."""
    shell = _shell()
    place = None if shell is None else _place(shell)
    if place is None:
        return
    cell, run = place
    if any(isinstance(one, w.Output) and one.msg_id for one in list(_instances.values())):
        cell = ""  # shown in a widget, and that perhaps by another cell
    if _ran not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _ran)
    _places.setdefault(widget, {})[cell] = run


def _ran(_: object) -> None:
    """Close what a cell showed before it ran again, unless something else holds it."""
    shell = _shell()
    place = None if shell is None else _place(shell)
    if place is None:
        return
    (cell, run), closed = place, False
    for reference in _places.keyrefs():  # a list of widgets would hold them
        widget = reference()
        cells = {} if widget is None else _places[widget]
        if widget is not None and cells.get(cell, run) != run:
            del cells[cell]
            if not cells and not _is_held(widget, shell):
                widget.close()
                _forget(widget, shell)
                closed = True
    if closed:
        widget = None
        gc.collect()  # a closed widget is a circle, and large
        give_memory_back()


def _place(shell: Any) -> tuple[str, str] | None:
    """The cell that runs, and its run; None in a control's callback, or for a program."""
    parent = shell.get_parent()
    header, cell = parent.get("header", {}), parent.get("metadata", {}).get("cellId")
    if cell is None or header.get("msg_type") != "execute_request":
        return None
    return cell, header["msg_id"]


def _shell() -> Any:
    """IPython, if it runs the cells of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if hasattr(shell, "get_parent") else None


def _is_held(widget: Any, shell: Any) -> bool:
    """Whether something else than the widget's own parts refers to it, and goes on to."""
    for _ in range(LOOKS):
        if not _is_referred_to(widget, shell):
            return False
        if hasattr(widget, "wait"):
            widget.wait(0.2)
        time.sleep(0.02)
    gc.collect()  # what IPython knew of the run before may be a circle that nobody has
    return _is_referred_to(widget, shell)


def _is_referred_to(widget: w.Widget, shell: Any) -> bool:
    """Whether a variable, a list or anything else than the widget's own parts refers to it."""
    variables = shell.user_ns
    names = [name for name in list(variables) if variables[name] is widget]
    if not all(HISTORY.fullmatch(name) for name in names):
        return True
    known: tuple[Any, ...] = (variables, shell.user_ns_hidden, variables.get("_oh"), _instances)
    return not all(
        any(one is other for other in known) or _is_part(one) for one in gc.get_referrers(widget)
    )


def _forget(widget: w.Widget, shell: Any) -> None:
    """Take a closed widget out of IPython's history, so that its memory is free."""
    outputs = shell.user_ns.get("_oh", {})
    for kept in (shell.user_ns, shell.user_ns_hidden, outputs):
        for name in [name for name in list(kept) if kept[name] is widget]:
            del kept[name]


def _is_part(one: Any) -> bool:
    """Whether an object that refers to a widget is a part of it, or of what runs it."""
    if isinstance(one, MethodType | CellType | FrameType | GeneratorType) or _is_ours(one):
        return True
    # Until Python 3.10 it is the attributes' dictionary that refers to it.
    return isinstance(one, dict) and any(
        _is_ours(owner) and getattr(owner, "__dict__", None) is one
        for owner in gc.get_referrers(one)
    )


def _is_ours(one: Any) -> bool:
    return type(one).__module__.partition(".")[0] in OURS
