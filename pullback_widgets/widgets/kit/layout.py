"""Rows of controls, their headings, and the style sheet of all widgets."""

from __future__ import annotations

import html
from pathlib import Path

import ipywidgets as w

STYLE = (Path(__file__).parent / "style.css").read_text("utf-8")


def style_sheet() -> w.HTML:
    """What gives the widgets in a page their looks; it takes no room."""
    return w.HTML(f"<style>{STYLE}</style>", layout=w.Layout(display="none"))


def heading(text: str) -> w.HTML:
    """A short title over a group of controls."""
    return w.HTML(f'<div class="pullback-heading">{html.escape(text)}</div>')


def row(*children: w.Widget) -> w.HBox:
    """Controls side by side; they wrap where there is no room."""
    return w.HBox(list(children), layout=w.Layout(align_items="center", flex_flow="row wrap"))
