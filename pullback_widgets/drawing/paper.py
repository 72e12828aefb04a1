"""Figures for print: empty ones, pictures side by side, and what is written in them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .pixels import RGB

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def new_figure(**options: Any) -> Figure:
    """An empty figure that a notebook shows; for the options see matplotlib's ``Figure``."""
    from .notebook_figure import NotebookFigure  # matplotlib, which takes a while to import

    return NotebookFigure(**options)


def side_by_side(pictures: Mapping[str, RGB], title: str = "") -> Figure:
    """A matplotlib figure with the pictures side by side, each under its name."""
    side, size, width = 3.2, 9, 3.2 * len(pictures)
    names = [wrapped(name, side, size) for name in pictures]
    title = wrapped(title, width, size)
    lines = max(name.count("\n") for name in names) + title.count("\n") + 2
    height = side + 0.18 * lines
    result = new_figure(figsize=(width, height), dpi=150, layout="constrained")
    for axes, name, picture in zip(
        np.atleast_1d(result.subplots(1, len(pictures))), names, pictures.values(), strict=True
    ):
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(name, fontsize=size)
        axes.set_axis_off()
    if title:
        result.suptitle(title, fontsize=size)
    result.draw_without_rendering()  # the layout leaves room for all titles the second time
    return result


def wrapped(text: str, inches: float, size: float, most: int = 7) -> str:
    """A text for a figure, each of its lines in at most so many; a cut one ends in "…".

    Args:
        text: One line or several.
        inches: How wide it may become.
        size: Of the letters, in points; capitals and digits are 0.65 times as wide.
        most: Lines that each of its lines may become.
    """
    width = int(inches * 72 / (0.65 * size))
    found = []
    for line in text.split("\n"):
        lines = textwrap.wrap(line, width) or [""]
        # Not max_lines: it leaves nothing of a file name in one long word.
        if len(lines) > most:
            lines[most - 1 :] = [f"{lines[most - 1][: width - 1]}…"]
        found += lines
    return "\n".join(found)


def without_axes(axes: Any) -> None:
    """Leave nothing of axes but what is drawn in them."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def note(axes: Axes, text: str) -> None:
    """Write why a tile is empty into it."""
    axes.set_box_aspect(1)
    axes.patch.set_visible(False)
    axes.text(0.5, 0.5, wrapped(text, 1, 4.5), ha="center", va="center", fontsize=4.5)
