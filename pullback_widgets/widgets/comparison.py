"""The comparison, live: one temperature, one place and one zoom for all networks and methods."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import ipywidgets as w
import numpy as np
import traitlets as t
from PIL import Image, ImageDraw

from ..drawing.pixels import RGB, photograph
from ..drawing.words import accounts_for
from ..engine.model import Model
from ..engine.softening import Softening
from ..figures import comparison
from ..figures.comparison import Column, Comparison, ComparisonRequest, Row, columns_of
from ..figures.network_kinds import Network
from ..methods.captum_methods import METHODS
from ..networks.catalogue import CATALOGUE, entry_label, is_cached, listed_names
from .explorable import ExplorableFigure
from .kit.binding import bind, follow, listen
from .kit.boxes import class_field
from .kit.figure_widget import FigureWidget
from .kit.layout import row
from .kit.offers import in_place_of
from .kit.sources import image_box, upload_button
from .kit.temperature import temperature_row
from .kit.tiles import TileBoard, tile_beside
from .kit.traits import SofteningTraits

LEFT, LARGEST = 150, 136
MAX_ZOOM = 8
CROSS = "#ffd84d"

Cell = tuple[int, int]
"""Row and column on the board; column 0 is the photograph."""


class Compare(SofteningTraits, ExplorableFigure):
    """The same image and target in several networks, by several softenings and methods.

    Attributes:
        models: The rows: ``Model``s, modules, or names of ``pw.CATALOGUE``.
        model: The first of them, whose classes ``target`` means.
        image: One image, as ``Session`` takes it.
        target: A class or target; None for the first network's top class. See ``pw.compare``.
        softenings: One column with the pullback for each.
        temperature: Of all of them at once; 0 is the plain gradient.
        softening: The first of them.
        units: ``"relative"`` or ``"absolute"`` temperature, of the first of them.
        methods: Further columns, names of ``pw.METHODS``.
        samples: For the methods that average; None for each one's own number.
        position: The place that is marked in all tiles, (x, y), 0 to 1 from the upper left.
        zoom: How much of it all tiles show: 1 for everything, up to 8 around the position.
        result: A ``Comparison``, as far as it is computed.
    """

    TITLE = "Comparison"
    RESULT = Comparison
    REQUEST = ComparisonRequest
    DERIVED: ClassVar[Mapping[str, str]] = {
        "model": "models",
        "softening": "softenings",
        "units": "softenings",
        "temperature": "softenings",
    }

    model = t.Any(None, allow_none=True)
    softening = t.Instance(Softening, Softening.relative().__reduce__()[1])

    def __init__(
        self,
        models: Any = None,
        image: Any = "coffee",
        target: Any = None,
        **choices: Any,
    ) -> None:
        """Make the comparison and start computing; see the attributes for the arguments.

        By default the networks that need no download are compared.
        """
        self._board = TileBoard()
        self._board.on_click = lambda row, column, x, y: self.guard(
            lambda: self.place(row, column, x, y)
        )
        self._board.on_choose = lambda row, column: self.guard(lambda: self.outline(row, column))
        self._cell: Cell = (0, 1)
        self._drawn: dict[Cell, Any] = {}
        self._layout: Any = None
        self._anew = False
        self._families: list[Softening] = []
        if models is None:
            models = [name for name in CATALOGUE if is_cached(name)]
        super().__init__(models=models, image=image, target=target, **choices)
        self.observe(lambda change: self._board.opened(None), "explorer")

    # What a click does.

    def place(self, row: int, column: int, x: float, y: float) -> None:
        """Choose a tile, and the place in it, (x, y) from 0 to 1, for all tiles."""
        left, top, side = self._window()
        self.assign(position=(left + x * side, top + y * side))
        self.outline(row, column)

    def outline(self, row: int, column: int) -> None:
        """Choose a tile; the place stays."""
        self._cell = (row, column)
        self._board.mark(row, column)

    def pick(self, row: int, column: int) -> None:
        """Open a tile in an Explorer under the board; column 0 is the photograph."""
        result = self.result
        if not isinstance(result, Comparison):
            return
        found = result.rows[row]
        if found.model is None:
            raise ValueError(f"{found.name} cannot be opened: {found.problem}")
        softening = result.columns[max(column - 1, 0)].softening
        self._cell = (row, column)
        self._board.mark(row, column)
        self.explore(
            model=found.model,
            image=result.source,
            target=found.target,
            softening=softening or Softening.hard(),
            view="pullback" if column else "photograph",
        )
        self._board.opened((row, column))

    def run(self) -> None:
        self._anew = True
        super().run()

    def close(self) -> None:
        super().close()
        if self.result is not None:
            self.result.release()

    # The computation.

    def compute(self, request: ComparisonRequest) -> Iterator[Comparison]:
        # Networks are loaded row by row: one that cannot be had leaves its row empty.
        last, self._anew = None if self._anew else self.result, False
        columns = [Column("pullback", softening) for softening in request.softenings]
        columns += columns_of(request.softenings, request.methods)[len(set(columns)) :]
        return comparison.compute(request, columns, last=last, load=self._sessions.model)

    def _failed(self, request: ComparisonRequest, error: BaseException) -> None:
        FigureWidget._failed(self, request, error)

    # What is seen.

    def show(self, result: Comparison) -> None:
        rows = [_row_label(one) for one in result.rows]
        columns = ["Photograph", *result.titles]
        layout = len(rows), len(columns), result.source, repr(result.target)
        if layout != self._layout:
            self._layout = layout
            self._drawn.clear()
            tile = tile_beside(len(columns), LEFT, largest=LARGEST)
            self._board.clear(rows, columns, tile=tile, left=LEFT, captions=2)
            self._cell = min(self._cell[0], len(rows) - 1), min(self._cell[1], len(columns) - 1)
            self._board.mark(*self._cell)
        self._board.label(rows, columns)
        first = result.rows[0].model
        if first is not None:
            self._class.know(first.categories, first.classes or 0)
        for number, found in enumerate(result.rows):
            if found.image.numel():
                self._put((number, 0), (id(found.model),), photograph(found.image), "")
            if found.problem:
                start = int(found.image.numel() > 0)
                self._write((number, start), found.problem, span=len(columns) - start)
            for column, one in enumerate(result.columns):
                if result.done[number, column]:
                    # Until a new map is there, the one before stays: nothing flickers.
                    key = (id(found.model), repr(found.target), one, result.samples)
                    value = f"{result.value(number, column, *self.position):+.2g}"
                    value += f"\n{accounts_for(result.share(number, column))}"
                    self._put((number, column + 1), key, result, value)
        for (number, column), reason in result.problems.items():
            self._write((number, column + 1), reason)

    def _write(self, cell: Cell, reason: str, span: int = 1) -> None:
        """Say why cells are empty, if they do not say so already."""
        if self._drawn.get(cell) == reason:
            return
        row, column = cell
        for covered in range(column, column + span):
            self._drawn.pop((row, covered), None)
        self._drawn[cell] = reason
        self._board.put(row, column, reason, span=span)

    def _put(self, cell: Cell, key: Any, shown: Any, caption: str) -> None:
        """Draw a tile, if it is not as wanted already."""
        key = (key, self.position, self.zoom)
        if self._drawn.get(cell) == key:
            return
        self._drawn[cell] = key
        row, column = cell
        whole = shown.picture(row, column - 1) if isinstance(shown, Comparison) else shown
        self._board.put(row, column, self._tile(whole), caption)

    def _tile(self, whole: RGB) -> RGB:
        """The window of a picture in a tile's own pixels, with a cross at the position."""
        window = left, top, share = self._window()
        height, width = whole.shape[:2]
        side = 2 * self._board.tile
        box = (left * width, top * height, (left + share) * width, (top + share) * height)
        larger = side > share * max(width, height)
        how = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
        image = Image.fromarray(whole).resize((side, side), how, box=box)
        pen = ImageDraw.Draw(image)
        x, y = (
            (at - start) / share * side for at, start in zip(self.position, window, strict=False)
        )
        for colour, thickness in (("black", 6), (CROSS, 3)):
            for gap, length in ((7, 26), (-7, -26)):  # the place itself stays free
                pen.line((x + gap, y, x + length, y), colour, thickness)
                pen.line((x, y + gap, x, y + length), colour, thickness)
        return np.asarray(image)

    def _window(self) -> tuple[float, float, float]:
        """Left, top and side of what the tiles show, as shares of the image."""
        side = 1 / self.zoom
        left, top = (min(max(at - side / 2, 0.0), 1 - side) for at in self.position)
        return left, top, side

    def screen(self) -> w.Widget:
        return self._board.box

    def controls(self) -> Sequence[w.Widget]:
        temperature = temperature_row(self)
        self._unseen.append(temperature)
        # A comparison may show both units, so there is no one choice of them.
        slider, number, words, _, off = temperature.children
        zoom = w.BoundedFloatText(
            min=1,
            max=MAX_ZOOM,
            step=0.5,
            description="Zoom",
            style={"description_width": "44px"},
            layout=w.Layout(width="110px"),
        )
        bind(self, "zoom", zoom)
        self._class = class_field(self)
        explore = w.Button(
            description="Explore",
            icon="search",
            tooltip="Open the outlined tile in an Explorer",
            layout=w.Layout(width="100px"),
        )
        explore.on_click(lambda _: self.guard(lambda: self.pick(*self._cell)))
        under = [
            self._switches("models", "Networks", self._networks()),
            self._switches(
                "methods",
                "Methods",
                {one.title: name for name, one in METHODS.items() if name != "pullback"},
            ),
            row(slider, number, words, off, zoom, *self._place_boxes(), explore),
        ]
        return [
            row(image_box(self), upload_button(self), self._class.text),
            in_place_of(self._class.offers, *under),
        ]

    def _place_boxes(self) -> list[w.BoundedFloatText]:
        """The cross by numbers."""
        boxes = [
            w.BoundedFloatText(
                min=0, max=100, step=1, description=name, layout=w.Layout(width=width)
            )
            for name, width in (("Cross, % from left", "180px"), ("and top", "120px"))
        ]

        def move(_: float) -> None:
            self.attempt("position", tuple(box.value / 100 for box in boxes))

        def show(position: tuple[float, float]) -> None:
            for box, share in zip(boxes, position, strict=True):
                box.value = round(100 * share, 1)

        for box in boxes:
            box.style.description_width = "initial"
            listen(box, move)
        follow(self, "position", show)
        return boxes

    def _networks(self) -> dict[str, Any]:
        """The catalogue's networks, and those that were given, by what they are called."""
        given = [
            one.catalogue_name or one if isinstance(one, Model) else one for one in self.models
        ]
        named = [one for one in given if isinstance(one, str)]
        names = dict.fromkeys([*listed_names(), *named])
        own = {one.name: one for one in given if isinstance(one, Model)}
        return {entry_label(name): name for name in names} | own

    def _switches(self, trait: str, title: str, options: dict[str, Any]) -> w.Widget:
        """A button for each element that a list may have."""
        buttons = {}
        for label, value in options.items():
            button = w.ToggleButton(description=label, layout=w.Layout(width="auto", height="26px"))
            listen(button, functools.partial(self._switch, trait, value))
            buttons[label] = button

        def show(chosen: Any) -> None:
            for label, value in options.items():
                buttons[label].value = any(_is(one, value) for one in chosen)

        follow(self, trait, show)
        return row(w.Label(title, layout=w.Layout(width="72px")), *buttons.values())

    def _switch(self, trait: str, value: Any, on: bool) -> None:
        others = [one for one in getattr(self, trait) if not _is(one, value)]
        self.attempt(trait, [*others, value] if on else others)

    def caption(self, result: Comparison) -> str:
        x, y = self.position
        problems = [f"{found.name}: {found.problem}" for found in result.rows if found.problem]
        problems += [
            f"{result.rows[number].name}, {METHODS[result.columns[column].method].title}: {reason}"
            for (number, column), reason in sorted(result.problems.items())
        ]
        even = "".join(
            f" {html.escape(found.name)} has {words}: open it and click a place for one of them."
            for number, found in enumerate(result.rows)
            if (words := result.even(number))
        )
        missing = "".join(
            f'<br><span class="pullback-plain">{html.escape(one)}</span>'
            for one in dict.fromkeys(problems)
        )
        return (
            "What speaks for the target: signed maps are mid-grey at zero and scaled each by "
            "itself, Grad-CAM is bright where it is high. Under each map its value at the cross, "
            f"{100 * x:.0f} % from the left and {100 * y:.0f} % from the top (mean of the three "
            "colours), and of pullbacks and the gradient how much of the target's value they "
            "account for; constants and softening make up the rest. Click anywhere to move the "
            f"cross and outline a tile.{even}{missing}"
        )

    # Settling: the networks with the first one, all softenings with one temperature.

    def _settlers(self) -> Any:
        return {
            **super()._settlers(),
            "models": self._settle_models,
            "model": self._settle_model,
            "softenings": self._settle_softenings,
        }

    def _settle_models(self, change: Any) -> None:
        self.assign(model=self.models[0])

    def _settle_model(self, change: Any) -> None:
        self.assign(models=[self.model, *self.models[1:]])

    def _settle_softenings(self, change: Any) -> None:
        self._families = list(self.softenings)
        self.assign(softening=self.softenings[0])
        super()._settle_softening(change)

    def _settle_softening(self, change: Any) -> None:
        super()._settle_softening(change)
        self.assign(softenings=(self.softening, *self.softenings[1:]))
        self._families = list(self.softenings)

    def _settle_temperature(self, change: Any) -> None:
        super()._settle_temperature(change)
        others = [_at(family, self.temperature) for family in self._families[1:]]
        self.assign(softenings=(self.softening, *others))

    @t.validate("model")
    def _check_model(self, proposal: Any) -> Model | str:
        return Network().check("model", proposal["value"])

    @t.validate("softenings")
    def _check_softenings(self, proposal: Any) -> tuple[Softening, ...]:
        softenings: tuple[Softening, ...] = proposal["value"]
        if not softenings:
            raise ValueError("There are no softenings; give at least one.")
        return softenings

    @t.validate("methods")
    def _check_methods(self, proposal: Any) -> tuple[str, ...]:
        # Always in the same order.
        return tuple(name for name in METHODS if name in proposal["value"])


def _is(one: Any, value: Any) -> bool:
    """Whether an element of a list is the one that a button stands for."""
    return bool(one == value) or getattr(one, "catalogue_name", None) == value


def _at(family: Softening, temperature: float) -> Softening:
    """A softening at another temperature; 0 is the plain gradient, which has none."""
    if not family.has_temperature:
        return family
    if temperature == 0:
        return Softening.hard()
    return family.with_temperature(temperature)


def _row_label(found: Row) -> str:
    """The network, the target and its value, short enough for the margin."""
    longest = LEFT // 7 - 1
    lines = re.sub(r" \(class (\d+)\)", r", class \1", found.label).split("\n")
    return "\n".join(one if len(one) <= longest else f"{one[: longest - 1]}…" for one in lines)
