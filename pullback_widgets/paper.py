"""The figures that functions return: matplotlib's own, and a notebook shows them."""

from __future__ import annotations

from matplotlib.figure import Figure

from .export import figure_png


class Paper(Figure):
    """A figure that a notebook shows as a PNG, whether or not pyplot is set up there."""

    def _repr_png_(self) -> bytes:
        return figure_png(self)
