"""Figures are shown by a notebook that has not imported pyplot."""

from __future__ import annotations

import subprocess
import sys

from pullback_widgets.drawing.notebook_figure import NotebookFigure

# In a process of its own: pyplot teaches IPython to show every figure, for good.
SHOW = """
import sys
from IPython.core.formatters import DisplayFormatter
import numpy as np
from pullback_widgets.drawing.paper import side_by_side
data, _ = DisplayFormatter().format(side_by_side({"one": np.zeros((4, 4, 3), np.uint8)}))
assert "matplotlib.pyplot" not in sys.modules
print(data["image/png"][:4] if isinstance(data["image/png"], bytes) else data["image/png"][:6])
"""


def test_a_figure_is_a_png() -> None:
    png = NotebookFigure()._repr_png_()
    assert png.startswith(b"\x89PNG")


def test_ipython_shows_it_without_pyplot() -> None:
    shown = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "PNG" in shown.stdout or "iVBOR" in shown.stdout
