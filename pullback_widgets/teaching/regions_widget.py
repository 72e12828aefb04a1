"""The region map, live: points that one can drag, and a toy network that learns them at once."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import ipywidgets as w
import numpy as np
import torch
import traitlets as t
from numpy.typing import NDArray

from .. import checks
from ..drawing.words import counted
from ..figures.declared import Request, computed, viewed
from ..figures.kinds import OneOf, Whole
from ..figures.result import completed
from ..widgets.kit.binding import bind, follow, listen, quietly
from ..widgets.kit.canvas import Canvas, draw, sharp_canvas
from ..widgets.kit.figure_widget import FigureWidget
from ..widgets.kit.layout import row
from ..widgets.kit.temperature import temperature_controls
from ..widgets.kit.whole_box import BoundedWholeBox
from . import regions
from .kinds import Count, Place, PlanePoints, Seed, Temperature
from .regions import SHOWN, Regions, RegionsRequest, Shown
from .toy import EXTENT, SHAPES, Points, ToyTraining, checked_points, toy_network
from .weights import LARGEST_SEED

SHOWN_SIDE = 480
"""Side of the map in CSS pixels; the canvas has twice as many."""

REACH = 0.09
"""How far from a point, in units of the plane, a press still takes it."""

STEPS = 15
"""Steps of training between two pictures."""

STEPS_AFTER_CHANGE = 600
"""Steps of training after points have moved or the network is new."""

PROBE = -1
"""What ``held`` is when the cross is held, and no point."""

COLOURS = ("#1f4e9c", "#b35900")
ARROW, GRADIENT, PULLBACK = (20, 20, 26), (11, 103, 194), (179, 0, 154)

_ARROWS = {
    "gradient": "Arrows: the gradient, longer where it is larger.",
    "pullback": "Arrows: the pullback, longer where it is larger.",
    "blend": "Regions are coloured by their weight at the cross; there the blue arrow is the "
    "gradient, the purple one the pullback.",
}


@dataclass(frozen=True, eq=False)
class RegionMapRequest(Request):
    """What a map is told; see :class:`RegionMap`."""

    FUNCTION = "linear_regions"  # of the network that it trains
    WIDGET = "RegionMap"

    points: Any = field(default="moons", metadata=computed(PlanePoints(reach=EXTENT)))
    width: int = field(default=8, metadata=computed(Count(64)))
    depth: int = field(default=2, metadata=computed(Count(6)))
    seed: int = field(default=3, metadata=computed(Seed()))
    temperature: float = field(default=0.2, metadata=computed(Temperature()))
    probe: tuple[float, float] = field(default=(0.2, -0.1), metadata=computed(Place()))
    shown: Shown = field(default="gradient", metadata=viewed(OneOf(SHOWN)))
    held: int = field(default=PROBE, metadata=viewed(Whole(PROBE)))


class RegionMap(FigureWidget):
    """A ReLU network of two inputs on a canvas: its linear regions, gradients and pullbacks.

    Drag a point and the network learns on; press anywhere else and the cross moves there. A recipe
    holds the points as they are and trains on them from the seed's weights: what the network learnt
    before they were moved is not in it.

    Attributes:
        points: A name (``"moons"``, ``"ring"``, ``"corners"``), or a pair of places (N, 2), from
            -1.5 to 1.5, and labels (N,) of 0 and 1.
        width: Units of each hidden layer, 1 to 64.
        depth: Hidden layers, 1 to 6.
        seed: Of the weights.
        temperature: Of the soft gates, absolute; 0 is the plain gradient.
        probe: The place of the cross, two numbers.
        shown: What the arrows are: ``"gradient"``, ``"pullback"``, or ``"blend"``, where regions
            are coloured by their weight in the pullback at the cross.
        held: Number of the point that the position boxes move, or -1 for the cross.
        result: A ``Regions``; ``result.network`` is the network.
    """

    TITLE = "Linear regions of a small network"
    RESULT = Regions
    REQUEST = RegionMapRequest

    points: Any
    probe: tuple[float, float]
    held: int

    def __init__(self, points: Any = "moons", **choices: Any) -> None:
        """Make the map and start training; see the attributes for the arguments."""
        self._canvas = sharp_canvas(
            (SHOWN_SIDE, SHOWN_SIDE), "pullback-regions", height="auto", max_width="100%"
        )
        self._canvas.say("Map of linear regions; the text below says what it shows")
        self._source = Canvas(width=1, height=1)
        self._pressed = False
        self._training: ToyTraining | None = None
        self._made_from: Any = None
        self._learnt: Points | None = None
        self._left = 0
        self._canvas.on_mouse_down(lambda x, y: self.guard(lambda: self._press(x, y)))
        self._canvas.on_mouse_move(lambda x, y: self.guard(lambda: self._move(x, y)))
        self._canvas.on_mouse_up(lambda x, y: self._release())
        self._canvas.on_mouse_out(lambda x, y: self._release())
        for canvas in (self._source, self._canvas):
            canvas.on_client_ready(self._redraw)
        super().__init__(points=points, **choices)

    def run(self) -> None:
        """Train a new network from the seed's weights."""
        self._made_from = None
        super().run()

    # The computation.

    def compute(self, request: RegionMapRequest) -> Iterator[Regions]:
        _compute_alone()
        points = checked_points(request.points)
        shape = {name: getattr(request, name) for name in ("width", "depth", "seed")}
        if self._training is None or self._made_from != shape:
            self._training = ToyTraining(toy_network(**shape))
            self._made_from, self._learnt = shape, None
        if self._learnt is None or not all(map(torch.equal, self._learnt, points)):
            self._learnt, self._left = points, STEPS_AFTER_CHANGE
        training = self._training
        asked = RegionsRequest(
            training.network,
            temperature=request.temperature,
            probe=request.probe,
            points=request.points,
            shown=request.shown,
        )
        training.go(points, STEPS if self._left else 0)
        while True:
            self._left = max(0, self._left - STEPS)
            result = completed(regions.compute(asked))
            result.loss = training.loss
            result.progress = 1 - self._left / STEPS_AFTER_CHANGE
            yield result
            if not self._left:
                return
            training.go(points, STEPS)

    # What is seen.

    def screen(self) -> w.Widget:
        self._unseen.append(self._source)
        return self._canvas

    def show(self, result: Regions) -> None:
        draw(lambda: self._paint(result))

    def _redraw(self) -> None:
        if self.result is not None:
            self.show(self.result)

    def _paint(self, result: Regions) -> None:
        canvas, size = self._canvas, 2 * SHOWN_SIDE
        picture = result.picture()
        self._source.show(picture)
        canvas.image_smoothing_enabled = False
        canvas.draw_image(self._source, 0, 0, size, size)
        self._paint_arrows(result)
        self._paint_points(result)
        x, y = self._on_canvas(*result.probe)
        for colour, width in (("white", 8), ("black", 4)):
            canvas.stroke_style, canvas.line_width = colour, width
            canvas.stroke_line(x - 16, y, x + 16, y)
            canvas.stroke_line(x, y - 16, x, y + 16)
        if result.shown == "blend":
            span = result.extent / 6
            longest = max(np.linalg.norm(result.gradient), np.linalg.norm(result.pullback)) or 1.0
            for vector, ink in ((result.gradient, GRADIENT), (result.pullback, PULLBACK)):
                arrow = vector[None] / longest * 2 * span
                self._draw_arrows(result.probe[None], arrow, ink, np.ones(1), 6)

    def _paint_arrows(self, result: Regions) -> None:
        places, vectors, weights = result.arrows()
        spacing = 2 * result.extent / math.sqrt(len(result.places))
        self._draw_arrows(places, vectors * spacing, ARROW, np.maximum(weights, 0.25), 3)

    def _draw_arrows(
        self,
        places: NDArray[Any],
        vectors: NDArray[Any],
        colour: tuple[int, int, int],
        alpha: NDArray[Any],
        width: float,
    ) -> None:
        """Draw arrows, (A, 2) in the plane, by two commands: by four each it would take longest."""
        down = np.array([1.0, -1.0])
        along = vectors * down * SHOWN_SIDE / EXTENT
        length = np.linalg.norm(along, axis=1)
        seen = length >= 1
        if not seen.any():
            return
        starts = SHOWN_SIDE * (1 + places[seen] * down / EXTENT)
        along, length, alpha = along[seen], length[seen, None], alpha[seen]
        tips = starts + along
        heads = along / length * np.minimum(5.0 * width, 0.5 * length)
        sides = np.stack([-heads[:, 1], heads[:, 0]], axis=1) * 0.45
        canvas, colours = self._canvas, np.full((len(tips), 3), colour)
        canvas.line_width = width
        canvas.stroke_styled_line_segments(
            np.stack([starts, tips - 0.7 * heads], axis=1), colours, alpha
        )
        canvas.fill_styled_polygons(
            np.stack([tips, tips - heads + sides, tips - heads - sides], axis=1), colours, alpha
        )

    def _paint_points(self, result: Regions) -> None:
        if result.points is None:
            return
        canvas = self._canvas
        places = [self._on_canvas(*place) for place in result.points.places.tolist()]
        canvas.stroke_style, canvas.line_width = "white", 3
        for label, colour in enumerate(COLOURS):
            canvas.fill_style = colour
            for (x, y), one in zip(places, result.points.labels.tolist(), strict=True):
                if one != label:
                    continue
                if label == 0:
                    canvas.fill_circle(x, y, 9)
                    canvas.stroke_circle(x, y, 9)
                else:
                    canvas.fill_rect(x - 8, y - 8, 16, 16)
                    canvas.stroke_rect(x - 8, y - 8, 16, 16)
        if 0 <= self.held < len(places):
            canvas.stroke_style, canvas.line_width = "black", 3
            canvas.stroke_circle(*places[self.held], 17)

    def _on_canvas(self, x: float, y: float) -> tuple[float, float]:
        return SHOWN_SIDE * (1 + x / EXTENT), SHOWN_SIDE * (1 - y / EXTENT)

    def controls(self) -> Sequence[w.Widget]:
        points = w.Dropdown(description="Points")
        own: list[Any] = []

        def show_points(value: Any) -> None:
            if not isinstance(value, str):
                own[:] = [value]
            points.options = [*SHAPES, *(["(moved)"] if own else [])]
            points.value = value if isinstance(value, str) else "(moved)"

        listen(points, lambda name: self.attempt("points", own[0] if name == "(moved)" else name))
        follow(self, "points", show_points)
        width = BoundedWholeBox(min=1, max=64, description="Width")
        depth = BoundedWholeBox(min=1, max=6, description="Depth")
        seed = BoundedWholeBox(min=0, max=LARGEST_SEED, description="Seed")
        temperature, number = temperature_controls(self, description="Temperature")
        shown = w.ToggleButtons(
            options=list(SHOWN), tooltip="What the arrows are", style={"button_width": "96px"}
        )
        for control, name in (
            (width, "width"), (depth, "depth"), (seed, "seed"), (shown, "shown"),
        ):  # fmt: skip
            bind(self, name, control)
        for box, size in (
            (points, "160px"), (width, "110px"), (depth, "110px"), (seed, "110px"),
            (temperature, "300px"),
        ):  # fmt: skip
            box.style.description_width, box.layout.width = "initial", size
        return [
            row(points, width, depth, seed),
            row(temperature, number, shown),
            self._position_row(),
        ]

    def _position_row(self) -> w.HBox:
        """Move the cross or a point by numbers: what dragging does, for the keyboard."""
        held = BoundedWholeBox(min=PROBE, max=10_000, description="Move (-1: cross)")
        sides = [
            w.BoundedFloatText(min=-EXTENT, max=EXTENT, step=0.05, description=name)
            for name in ("x", "y")
        ]
        for box, size in ((held, "180px"), (sides[0], "110px"), (sides[1], "110px")):
            box.style.description_width, box.layout.width = "initial", size
        bind(self, "held", held)

        def show(_: object) -> None:
            for box, value in zip(sides, self._held_place(), strict=True):
                box.value = round(min(max(value, -EXTENT), EXTENT), 3)

        def move(_: object) -> None:
            x, y = (box.value for box in sides)
            self.guard(lambda: self.move(self.held, x, y))
            with quietly():
                show(None)

        for box in sides:
            listen(box, move)
        for name in ("points", "probe", "held"):
            follow(self, name, show)
        return row(held, *sides)

    def caption(self, result: Regions) -> str:
        x, y = result.probe
        chance = 1 / (1 + math.exp(-min(max(result.value, -50), 50)))
        lines = [
            f"<b>{counted(result.count, 'linear region')}</b> on the map (thin lines); thick line: "
            f"where the score is 0. {_ARROWS[result.shown]} Drag the points, press elsewhere to "
            "move the cross.",
            f"At the cross ({x:.2f}, {y:.2f}): score {result.value:.2f}, orange squares with "
            f"probability {100 * chance:.0f} %. Gradient {_pair(result.gradient)}, the same all "
            f"over its region; {_pullback_words(result)}",
        ]
        return "<br>".join(lines)

    # Dragging.

    def move(self, number: int, x: float, y: float) -> None:
        """Move a point, or the cross for -1; places outside the map are taken to its border.

        Raises:
            ValueError: If there is no such point, or the place is not finite.
        """
        x, y = checks.place("the new place", (x, y))
        x, y = (min(max(one, -EXTENT), EXTENT) for one in (x, y))
        if number == PROBE:
            self.assign(probe=(x, y))
            return
        places, labels = checked_points(self.points)
        if not 0 <= number < len(labels):
            raise ValueError(f"There is no point {number}; choose 0 to {len(labels) - 1}.")
        places = places.clone()
        places[number] = torch.tensor([x, y])
        self.assign(points=Points(places, labels))

    def _held_place(self) -> tuple[float, float]:
        places = checked_points(self.points).places
        x, y = self.probe if not 0 <= self.held < len(places) else places[self.held].tolist()
        return float(x), float(y)

    def _press(self, x: float, y: float) -> None:
        place = self._in_plane(x, y)
        distances = (checked_points(self.points).places - torch.tensor(place)).norm(dim=1)
        near = int(distances.argmin())
        self.held = near if float(distances[near]) < REACH else PROBE
        self._pressed = True
        if self.held == PROBE:
            self.move(PROBE, *place)

    def _move(self, x: float, y: float) -> None:
        if self._pressed:
            self.move(self.held, *self._in_plane(x, y))

    def _release(self) -> None:
        self._pressed = False

    def _in_plane(self, x: float, y: float) -> tuple[float, float]:
        return (x / SHOWN_SIDE - 1) * EXTENT, (1 - y / SHOWN_SIDE) * EXTENT

    # Choices that hold together.

    def _settlers(self) -> dict[str, Callable[[Any], None]]:
        return {"points": self._settle_held}

    def _settle_held(self, _: object) -> None:
        if self.held >= len(checked_points(self.points).labels):
            self.held = PROBE  # that point is gone

    # Checking.

    @t.validate("held")
    def _check_held(self, proposal: Any) -> int:
        held, last = proposal["value"], len(checked_points(self.points).labels) - 1
        if held > last:
            raise ValueError(
                f"held is {held}; expected -1 (the cross) or a point from 0 to {last}."
            )
        return int(held)


def _compute_alone() -> None:
    """Let torch compute in this thread alone, in no other; all others stay as they are.

    For so small a network more threads gain nothing, and while one drags they wait for each other
    in the very cores in which the browser draws: with two cores that costs two pictures of three.
    """
    before = torch.get_num_threads()
    if before == 1:
        return
    torch.set_num_threads(1)
    # Torch sets it for the calling thread and for all that will start; the latter is put back.
    restore = threading.Thread(target=torch.set_num_threads, args=(before,))
    restore.start()
    restore.join()


def _pair(vector: Any) -> str:
    return f"({vector[0]:.2f}, {vector[1]:.2f})"


def _pullback_words(result: Regions) -> str:
    """What the pullback at the cross is made of."""
    if result.softening.is_hard:
        return "with T = 0 the pullback is the gradient."
    own = 0.0 if result.here < 0 else float(result.weight[result.here])
    total = float(result.weight.sum())
    return (
        f"pullback at T = {result.softening.temperature:.3g}: <b>{_pair(result.pullback)}</b>, a "
        f"blend: {100 * own:.0f} % this region's gradient, {100 * (total - own):.0f} % that of "
        f"other regions on the map, {100 * (1 - total):.0f} % that of gate patterns which no point "
        "of the map has."
    )
