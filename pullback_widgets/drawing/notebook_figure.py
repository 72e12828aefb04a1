"""The figures that functions return: matplotlib's own, and a notebook shows them."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

SCREEN_DPI = 100


class NotebookFigure(Figure):
    """A figure that a notebook shows as a PNG, whether or not pyplot is set up there."""

    def _repr_png_(self) -> bytes:
        return figure_png(self)


def figure_png(figure: Figure) -> bytes:
    """A matplotlib figure as a PNG file, for the screen."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=SCREEN_DPI)
    return file.getvalue()
