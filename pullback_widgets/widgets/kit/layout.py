"""Rows of controls, their headings, the style sheet and the script of all widgets."""

from __future__ import annotations

import html
import re
from pathlib import Path
from weakref import WeakSet

import ipywidgets as w

STYLE = (Path(__file__).parent / "style.css").read_text("utf-8")

SCRIPT = (Path(__file__).parent / "page.js").read_text("utf-8")
"""All JavaScript that is ours: it gives wheels, fingers and keys back to the page.

HTML that is put into a page runs no ``<script>``, but what it has for an element that is loaded,
such as a style sheet. Where a page forbids that, pictures do not scroll and JupyterLab's shortcuts
act on controls; all else is as it is.
"""


def style_sheet() -> w.HTML:
    """What gives the widgets in a page their looks and their manners; it takes no room."""
    page = f'<style onload="{html.escape(SCRIPT)}">{STYLE}</style>'
    return w.HTML(page, layout=w.Layout(display="none"))


PRESENTATION = "pullback-presentation"
_dressed: WeakSet[w.DOMWidget] = WeakSet()
_presents = False


def dress(widget: w.DOMWidget) -> None:
    """Let the style sheet act on a widget, at the size of the moment."""
    widget.add_class("pullback-explorer")
    _dressed.add(widget)
    if _presents:
        widget.add_class(PRESENTATION)


def presentation(on: bool = True) -> None:
    """Make all widgets of this notebook larger, for a projector.

    Those that are on the screen change at once, and those that come are made so.

    Args:
        on: False for the usual size.
    """
    global _presents
    _presents = on
    for widget in _dressed:
        (widget.add_class if on else widget.remove_class)(PRESENTATION)


HIDDEN = "<style>.pullback-still.pullback-still { display: none }</style>"
"""HTML of what stands unseen in a page."""


def still(png: str, words: str) -> str:
    """HTML of a picture that is seen in place of a figure where nothing computes it, only there.

    Such are the pages that nbconvert makes, whose outputs are no widgets of JupyterLab. (Voila
    makes its pages in the same way, and they are alive.)

    Args:
        png: The picture in base64.
        words: What a screen reader says of it.
    """
    dead = "body:not([data-voila]) .jp-OutputArea:not(.lm-Widget)"
    return (
        f"{HIDDEN}<style>{dead} .pullback-still {{ display: block }} "
        f"{dead} .pullback-explorer {{ display: none }}</style>"
        f'<img alt="{html.escape(words)}" src="data:image/png;base64,{png}">'
    )


def plain(text: str) -> str:
    """The text of a line of HTML."""
    return html.unescape(re.sub(r"<[^>]*>", "", text))


def heading(text: str) -> w.HTML:
    """A short title over a group of controls."""
    return w.HTML(f'<div class="pullback-heading">{html.escape(text)}</div>')


def note(text: str, spoken: bool = False) -> str:
    """HTML of a small line of plain text; ``spoken``: screen readers read out what it becomes."""
    status = ' role="status"' if spoken else ""
    return f'<div class="pullback-note"{status}>{html.escape(text)}</div>'


def row(*children: w.Widget) -> w.HBox:
    """Controls side by side; they wrap where there is no room."""
    return w.HBox(list(children), layout=w.Layout(align_items="center", flex_flow="row wrap"))
