"""The path-stability lab, live: a training that can be watched, stopped and repeated."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as w
import traitlets as t
from matplotlib.figure import Figure

from ..drawing import chart
from ..drawing.words import counted
from ..widgets.kit.binding import bind, follow, listen
from ..widgets.kit.figure_widget import FigureWidget
from ..widgets.kit.layout import row
from ..widgets.kit.whole_box import BoundedWholeBox
from .data import SOURCES
from .kinds import Count
from .paths import Paths
from .stability import StabilityRequest, compute
from .weights import LARGEST_SEED

OWN = "(your own)"

MOST_EPOCHS = 1000
"""So many epochs are as long as one looks at."""


class PathStabilityLab(FigureWidget):
    """Trains a small ReLU network on real images and shows how stable its gates were.

    Attributes:
        data: ``"digits"``, ``"mnist"``, or a pair of images and labels.
        batch_norm: Whether a batch norm stands before each ReLU.
        epochs: Of the training.
        learning_rate: Of stochastic gradient descent.
        seed: Of the weights and of the images' order.
        result: A ``Paths``, as far as it is computed; ``result.model`` is the trained network.
    """

    TITLE = "Path stability: when does a network decide which gates are open?"
    RESULT = Paths
    REQUEST = StabilityRequest

    def __init__(self, data: Any = "digits", **choices: Any) -> None:
        """Make the lab and start training; see the attributes for the arguments."""
        self._drawn: tuple[Any, bool] = (None, False)
        super().__init__(data=data, **choices)

    def compute(self, request: StabilityRequest) -> Iterator[Paths]:
        return compute(request)

    def screen(self) -> w.Widget:
        self._chart = w.HTML(layout=w.Layout(min_height="420px"))
        return self._chart

    def show(self, result: Paths) -> None:
        now = result, result.cosines is not None
        if self._drawn == now:
            return
        self._drawn = now
        figure = Figure(figsize=(9.6, 6.2), layout="constrained")
        result.draw(figure)
        said = f"Four curves of the {result.summary()}; the text under them says what they show."
        self._chart.value = chart.svg(figure, said)

    def controls(self) -> Sequence[w.Widget]:
        norm = w.Checkbox(description="batch norm", indent=False, layout=w.Layout(width="120px"))
        bind(self, "batch_norm", norm)
        numbers = []
        for name, words, box in (
            ("epochs", "Epochs", BoundedWholeBox(min=1, max=MOST_EPOCHS)),
            ("learning_rate", "Learning rate", w.FloatText(step=0.01)),
            ("seed", "Seed", BoundedWholeBox(min=0, max=LARGEST_SEED)),
        ):
            box.description, box.continuous_update = words, False
            box.style.description_width = "initial"
            box.layout.width = f"{len(words) * 7 + 96}px"
            bind(self, name, box)
            numbers.append(box)
        return [row(self._data_box(), norm, *numbers)]

    def _data_box(self) -> w.Dropdown:
        here = [(f"{name}: {one.title}", name) for name, one in SOURCES.items() if one.is_here]
        box = w.Dropdown(options=here, description="Data", style={"description_width": "initial"})
        own: list[Any] = []

        def show(data: Any) -> None:
            if not isinstance(data, str):
                own[:] = [data]
            box.options = here + [(OWN, OWN) for _ in own]
            box.value = data if isinstance(data, str) else OWN

        listen(box, lambda name: self.attempt("data", own[0] if name == OWN else name))
        follow(self, "data", show)
        return box

    def caption(self, result: Paths) -> str:
        loss, accuracy = result.curve[-1]
        lines = [
            f"After {counted(len(result.names) - 1, 'epoch')}: loss {loss:.3g}, "
            f"{100 * accuracy:.1f} % of the test images right. Curves are of "
            f"{len(result.z[0])} test images."
        ]
        lines += [f"<b>{verdict}</b>: {html.escape(text)}" for verdict, text in result.findings()]
        return "<br>".join(lines)

    # Checking.

    @t.validate("epochs")
    def _check_epochs(self, proposal: Any) -> int:
        return Count(MOST_EPOCHS).check("epochs", proposal["value"])
