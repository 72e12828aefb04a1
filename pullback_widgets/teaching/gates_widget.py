"""The gate playground, live: drag the temperature and the number of gates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import ipywidgets as w
import numpy as np
import traitlets as t
from matplotlib.figure import Figure

from ..drawing import chart
from ..drawing.words import counted
from ..widgets.kit.binding import SPOKEN_LABEL, bind
from ..widgets.kit.figure_widget import FigureWidget
from ..widgets.kit.layout import row
from ..widgets.kit.temperature import temperature_controls
from ..widgets.kit.whole_box import BoundedWholeBox
from .gates import LONGEST, PATHS, GatePaths, GatePathsRequest, compute


class GatePlayground(FigureWidget):
    """Hard and soft gates, and what is left of a gradient after a path of them.

    Attributes:
        values: Pre-activations to draw from, of any shape; None for standard normal ones.
        temperature: Of the soft gates, in the units of the values; 0 is the hard gate.
        gate: ``"sigmoid"`` or ``"normal"``.
        length: Gates of a path, 1 to 64.
        seed: Of the paths.
        path: Number of the path that is shown alone, from 0.
        result: A ``GatePaths``.
    """

    TITLE = "Gate playground"
    RESULT = GatePaths
    REQUEST = GatePathsRequest
    TAKES_TIME = False

    @t.default("temperature")
    def _default_temperature(self) -> float:
        return 0.85

    def compute(self, request: GatePathsRequest) -> Iterator[GatePaths]:
        return compute(request)

    def screen(self) -> w.Widget:
        self._chart = w.HTML(layout=w.Layout(min_height="260px"))
        return self._chart

    def show(self, result: GatePaths) -> None:
        figure = Figure(figsize=(9.6, 3.3), layout="constrained")
        result.draw(figure)
        said = f"Three charts of {result.summary()}; the text under them says what they show."
        self._chart.value = chart.svg(figure, said)

    def controls(self) -> Sequence[w.Widget]:
        temperature, number = temperature_controls(self, description="Temperature")
        length = w.IntSlider(min=1, max=LONGEST, readout=False, description="Gates")
        count = BoundedWholeBox(
            min=1, max=LONGEST, description="Gates", layout=w.Layout(width="64px")
        )
        count.add_class(SPOKEN_LABEL)
        path = BoundedWholeBox(min=0, max=PATHS - 1, description="Path")
        gate = w.ToggleButtons(
            options=["sigmoid", "normal"],
            tooltip="Shape of the soft gate",
            style={"button_width": "80px"},
        )
        for control, name in (
            (length, "length"), (count, "length"), (path, "path"), (gate, "gate"),
        ):  # fmt: skip
            bind(self, name, control)
        for control, width in ((temperature, "320px"), (length, "320px"), (path, "140px")):
            control.style.description_width = "initial"
            control.layout.width = width
        return [row(temperature, number, gate), row(length, count, path)]

    def caption(self, result: GatePaths) -> str:
        passed = result.passed()
        still = int(result.hard.prod(axis=1).sum())
        gates = counted(result.length, "gate")
        if result.softening.is_hard:
            return f"Of {PATHS} paths of {gates}, hard gates leave {still} open, the others closed."
        return (
            f"Of {PATHS} paths of {gates}, hard gates leave <b>{still}</b> open "
            f"({100 * result.open_share:.2g} %) and nothing of the others. Soft gates at T = "
            f"{result.softening.temperature:.3g} leave something of every path: half of them keep "
            f"more than <b>{np.median(passed):.2g}</b>. A soft path counts the more the "
            "further all its pre-activations are above zero."
        )
