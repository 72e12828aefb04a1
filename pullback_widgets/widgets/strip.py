"""The temperature strip, live: a film strip, its curves, and the film itself."""

from __future__ import annotations

import html
import io
from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as w
import numpy as np
import traitlets as t

from ..drawing.pixels import RGB, photograph
from ..drawing.words import accounts_for, counted, describe
from ..engine.model import Model
from ..engine.session import with_indices
from ..engine.target import as_target
from ..figures import strip
from ..figures.strip import COLOURS, CURVES, MEANING, SHOWN, WORDS, Strip, StripRequest
from .explorable import ExplorableFigure
from .kit.binding import SPOKEN_LABEL, bind, follow, listen, quietly
from .kit.boxes import class_field, steps_box
from .kit.layout import row
from .kit.offers import in_place_of
from .kit.play_button import PlayButton
from .kit.sources import image_box, network_box, upload_button
from .kit.tiles import GAP, TileBoard, tile_beside

LABELS, LARGE = 88, 224
FRAME_SECONDS = 0.6
CURVE_DPI = 200
CURVE_FONT = 8
"""In points: on the board, which shows two pixels as one, 11 CSS pixels."""


class TemperatureStrip(ExplorableFigure):
    """One target from the plain gradient to the linear network.

    Attributes:
        model: The network; see ``Explorer``.
        image: What ``Session`` takes.
        target: A class or target; None for the image's top class.
        temperatures: Rising numbers between the two ends, for both rows; None for the default of
            each.
        units: ``"relative"``, ``"absolute"`` or both, a row for each.
        steps: Steps of ascent.
        step_size: L2 length of a step, in image units.
        radius: L2 radius of the ascent, in image units; None for no limit.
        shown: ``"pullback"``, ``"difference"`` or ``"perturbed"``.
        column: The temperature of the large pictures, from 0, the plain gradient; 6 is t = 1.
        result: A ``Strip``, as far as it is computed.
    """

    TITLE = "Temperature strip"
    RESULT = Strip
    REQUEST = StripRequest

    def __init__(
        self,
        model: Any = "efficientnet_lite0",
        image: Any = "coffee",
        target: Any = None,
        **choices: Any,
    ) -> None:
        """Make the strip and start computing; see the attributes for the arguments."""
        self._board, self._film = TileBoard(), TileBoard(LARGE)
        self._board.on_click = lambda row, column, x, y: self.guard(lambda: self.pick(row, column))
        self._film.on_click = lambda row, number, x, y: self.guard(
            lambda: self.pick(number - 1, self.column)
        )
        self._drawn: tuple[Any, Any] = (None, None)
        self._film_steps: Any = None
        super().__init__(model=model, image=image, target=target, **choices)
        self.observe(lambda change: self._board.opened(None), "explorer")

    def pick(self, row: int, column: int) -> None:
        """Open a tile in an Explorer under the strip; a curve, or row -1, chooses a column only."""
        result = self.result
        if not isinstance(result, Strip):
            return
        self.assign(column=column)
        if not 0 <= row < len(result.units):
            return
        self.explore(
            model=result.model,
            image=result.source,
            target=result.target,
            softening=result.softening(row, column),
            steps=result.steps,
            step_size=result.step_size,
            radius=result.radius,
            view=self.shown,
        )
        self._board.opened((row, column))

    def steps_of(self, request: StripRequest) -> Iterator[Strip]:
        return strip.compute(request)

    def show(self, result: Strip) -> None:
        columns = result.done.shape[1]
        if self._drawn[0] is not result:
            self._film_steps = None
            self._class.know(result.model.categories, result.model.classes or 0)
            column = min(self.column, columns - 1)
            with quietly():
                self._slider.max = columns - 1
                self._chosen_column.options = [
                    (_temperature(result, number), number) for number in range(columns)
                ]
                self._show_column(column)
            self._restore({"column": column})
        if self._drawn != (result, self.shown):
            self._drawn = result, self.shown
            rows = [*result.units, *(result.curve_title(curve) for curve in CURVES)]
            tile = tile_beside(columns, LABELS)
            self._board.clear(rows, [""] * columns, tile=tile, left=LABELS, captions=2)
            self._steps = np.full(result.done.shape, -1)
            self._points = (-1, -1)
        # A tile changes with each step; without any it has a pullback at best.
        reached = result.pulled + result.done - 1
        for unit, column in np.argwhere(reached > self._steps).tolist():
            if self.shown == "pullback" or result.done[unit, column]:
                caption = f"{result.label(unit, column)}\n{result.result(unit, column)}"
                self._board.put(unit, column, result.picture(unit, column, self.shown), caption)
        self._steps = reached
        self._board.mark(0, self.column, len(result.units))
        self._show_curves(result)
        self._show_film(result)

    def _show_curves(self, result: Strip) -> None:
        """A curve anew when a column more is walked, or all pullbacks are there."""
        walked = (result.done == result.steps).all(axis=0)
        points = int(walked.sum()), int(result.pulled.all())
        for number, curve in enumerate(CURVES):
            if points[number] != self._points[number]:
                picture = _curve(result, curve, self._board)
                below, span = len(result.units) + number, result.done.shape[1]
                self._board.put(below, 0, picture, caption=None, span=span)
        self._points = points

    def _show_film(self, result: Strip) -> None:
        """The photograph, and the chosen temperature of every row."""
        steps = self.column, self.shown, *self._steps[:, self.column]
        if steps == self._film_steps:
            return
        labels = ["photograph\n \n "] + [
            f"{unit}: {result.label(number, self.column)}\n{result.change(number, self.column)} "
            f"\n{self._account(result, number)} "
            for number, unit in enumerate(result.units)
        ]
        if self._film_steps is None:
            self._film.clear([""], labels)
            self._film.put(0, 0, photograph(result.image))
        else:
            self._film.label([""], labels)
        self._film_steps = steps
        for number in range(len(result.units)):
            self._film.put(0, number + 1, result.picture(number, self.column, self.shown))

    def _account(self, result: Strip, row: int) -> str:
        """What the large pullback of a row accounts for; nothing of other pictures."""
        pullback = self.shown == "pullback"
        return accounts_for(result.share(row, self.column), result.kind) if pullback else ""

    def screen(self) -> w.Widget:
        self._slider = w.IntSlider(
            min=0,
            max=1,
            readout=False,
            description="Temperature",
            style={"description_width": "96px"},
            layout=w.Layout(width="420px"),
        )
        self._slider.add_class("pullback-film")
        self._chosen_column = w.Dropdown(
            description="Temperature of the large pictures", layout=w.Layout(width="170px")
        )
        self._chosen_column.add_class(SPOKEN_LABEL)
        for control in (self._slider, self._chosen_column):
            listen(control, lambda column: self.attempt("column", column))
        follow(self, "column", self._show_column)
        self._unseen.append(self._film.chooser)  # only the upper board's tiles are chosen
        film = row(PlayButton(self._slider, FRAME_SECONDS).box, self._slider, self._chosen_column)
        return w.VBox([self._board.box, film, self._film.box, self._film.words])

    def _show_column(self, column: int) -> None:
        """In both controls, once it is known how many columns there are."""
        if column < len(self._chosen_column.options):
            self._slider.value = self._chosen_column.value = column

    def controls(self) -> Sequence[w.Widget]:
        self._class = class_field(self)
        shown = w.ToggleButtons(options=list(SHOWN), style={"button_width": "96px"})
        bind(self, "shown", shown)
        sources = row(network_box(self), image_box(self), upload_button(self))
        return [
            self._class.text,
            in_place_of(self._class.offers, sources, row(steps_box(self), shown)),
        ]

    def caption(self, result: Strip) -> str:
        rows = "; ".join(
            f'<span style="color:{COLOURS[unit]}">■</span> <b>{unit}</b>: {MEANING[unit]}'
            for unit in result.units
        )
        target = html.escape(describe(result.target, result.model))
        even = result.even(min(self.column, result.done.shape[1] - 1))
        if even:
            even = f" The outlined column has {even}: open it and click a place for one of them."
        at = "by the plain gradient at all temperatures, for no gate is softened"
        if result.softens:
            at = f"at rising temperatures ({rows})"
        return (
            f"The {WORDS[self.shown]} <b>{target}</b> {at}. Under each tile its temperature and "
            f"the target's {result.measure} after {counted(result.steps, 'step')} of ascent; "
            "dotted: before. The outlined column is the one below; click a tile to explore "
            f"it.{even}"
        )

    @t.validate("target")
    def _check_target(self, proposal: Any) -> Any:
        target = proposal["value"]
        if target is not None and isinstance(self.model, Model):
            with_indices(as_target(target), self.model)
        return target

    @t.validate("column")
    def _check_column(self, proposal: Any) -> int:
        column: int = proposal["value"]
        last = None if self.result is None else self.result.done.shape[1] - 1
        if last is not None and column > last:
            raise ValueError(f"column is {column}; choose 0 to {last}.")
        return column


def _temperature(result: Strip, column: int) -> str:
    """The temperatures of a column, one for each row."""
    labels = [result.label(row, column) for row in range(len(result.units))]
    return " · ".join(dict.fromkeys(labels))


def _curve(result: Strip, curve: str, board: TileBoard) -> RGB:
    """A curve as wide as the board's tiles, every point under the middle of its own."""
    from matplotlib.figure import Figure
    from PIL import Image

    width, height = board.size(result.done.shape[1], tall=True)
    figure = Figure(figsize=(2 * width / CURVE_DPI, 2 * height / CURVE_DPI), dpi=CURVE_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    result.draw_curve(axes, curve, GAP / board.tile)
    axes.tick_params(axis="y", direction="in", pad=-4, labelsize=CURVE_FONT, length=2)
    axes.locator_params(axis="y", nbins=3)
    low, high = axes.get_ylim()  # numbers at the edges have room
    axes.set_ylim(low - 0.04 * (high - low), high + 0.04 * (high - low))
    axes.set_axisbelow(False)  # numbers over lines, on a ground of their own
    for label in axes.get_yticklabels():
        label.set_horizontalalignment("left")
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
    legend = axes.get_legend()
    if legend is not None:
        legend.set_bbox_to_anchor((0.04, 0, 0.96, 1), axes.transAxes)  # right of the numbers
        for text in legend.get_texts():
            text.set_fontsize(CURVE_FONT)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("RGB"))
