"""The counterfactual grid, live: cells appear as they are computed, a click opens one."""

from __future__ import annotations

import functools
import html
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import ipywidgets as w
import traitlets as t

from ..drawing.pixels import photograph
from ..drawing.words import counted
from ..engine.image import SAMPLES
from ..engine.model import Model
from ..engine.session import with_indices
from ..engine.target import as_target
from ..figures import grid
from ..figures.grid import EXTRA, Grid, GridRequest, Shown
from ..figures.images import photographs
from .explorable import ExplorableFigure
from .kit.binding import bind, follow, listen, quietly
from .kit.boxes import names_box, steps_box
from .kit.layout import row
from .kit.sources import network_box, upload_button
from .kit.temperature import temperature_row
from .kit.tiles import TileBoard, margin, tile_beside
from .kit.traits import SofteningTraits

DEFAULT_IMAGES = ("coffee", "chelsea", "rocket", "motorcycle")


class CounterfactualGrid(SofteningTraits, ExplorableFigure):
    """Every image, pushed towards the classes of the others: the paper's figure 1.

    Attributes:
        model: The network; see ``Explorer``.
        images: The rows: a list of what ``Session`` takes, a mapping from names to such, a folder.
        targets: The columns: a list of classes or targets; None for each image's own top class.
        extra: The last column: one more target, or None.
        softening: How gates are softened in the backward pass.
        temperature: The softening's temperature; 0 is the plain gradient.
        units: ``"relative"`` or ``"absolute"`` temperature.
        steps: Steps of ascent.
        step_size: L2 length of a step, in image units.
        radius: L2 radius of the ascent, in image units; None for no limit.
        shown: ``"difference"`` or ``"perturbed"``.
        result: A ``Grid``, as far as it is computed.
    """

    TITLE = "Counterfactual grid"
    RESULT = Grid
    REQUEST = GridRequest

    def __init__(
        self,
        model: Any = "efficientnet_lite0",
        images: Any = DEFAULT_IMAGES,
        targets: Sequence[Any] | None = None,
        **choices: Any,
    ) -> None:
        """Make the grid and start computing; see the attributes for the arguments."""
        self._board = TileBoard()
        self._board.on_click = lambda row, column, x, y: self.guard(lambda: self.pick(row, column))
        self._drawn: tuple[Any, Any] = (None, None)
        self._known = photographs(list(SAMPLES))
        super().__init__(model=model, images=images, targets=targets, **choices)
        self.observe(lambda change: self._board.opened(None), "explorer")

    def pick(self, row: int, column: int) -> None:
        """Open a cell in an Explorer under the grid; column 0 is the photograph."""
        result = self.result
        if not isinstance(result, Grid):
            return
        self._board.mark(row, column)
        target = result.targets[column - 1] if column else None
        self.explore(
            model=result.model,
            image=result.sources[result.names[row]],
            target=target,
            softening=result.softening,
            steps=result.steps,
            step_size=result.step_size,
            radius=result.radius,
            view=self.shown if column else "pullback",
        )
        self._board.opened((row, column))

    def steps_of(self, request: GridRequest) -> Iterator[Grid]:
        return grid.compute(request)

    def show(self, result: Grid) -> None:
        labels = [_two_lines(label) for label in ["photograph", *result.labels]]
        if self._drawn[0] is not result:
            rows = [_short(name) for name in result.names]
            tile = tile_beside(len(labels), margin(rows))
            self._board.clear(rows, labels, tile=tile, captions=1)
            self._show_extra(result)
            self._drawn = result, None
            for row, image in enumerate(result.images):
                self._board.put(row, 0, photograph(image))
            self._steps = result.done * 0
        if self._drawn[1] != self.shown:
            self._drawn = result, self.shown
            self._steps = result.done * 0
        for row, column in zip(*(result.done > self._steps).nonzero(), strict=True):
            picture = result.picture(row, column, self.shown)
            caption = result.change(row, column)
            self._board.put(int(row), int(column) + 1, picture, caption)
        self._steps = result.done.copy()

    def screen(self) -> w.Widget:
        return self._board.box

    def controls(self) -> Sequence[w.Widget]:
        network = network_box(self)
        classes = names_box(
            self,
            "targets",
            parse=_parsed,
            write=_written,
            description="Classes",
            placeholder="own classes; or: espresso, 9",
            layout=w.Layout(width="430px"),
        )
        self._extra = names_box(
            self,
            "extra",
            parse=lambda text: next(iter(_parsed(text) or ()), None),
            write=lambda value: _written(None if value is None else [value]),
            description="and",
            placeholder="nothing else",
            layout=w.Layout(width="190px"),
            style={"description_width": "30px"},
        )
        shown = w.ToggleButtons(options=list(get_args(Shown)), style={"button_width": "96px"})
        bind(self, "shown", shown)
        upload = upload_button(self, self._add, description="Add photographs")
        return [
            row(network, upload),
            self._rows_box(),
            row(classes, self._extra),
            row(temperature_row(self), steps_box(self)),
            shown,
        ]

    def _rows_box(self) -> w.HBox:
        """A button for each sample and each photograph that ever was a row."""
        box = row()
        box.layout.max_height = "96px"  # folders have many
        box.add_class("pullback-rows")
        buttons: dict[str, w.ToggleButton] = {}

        def show(images: Any) -> None:
            given = photographs(images)
            self._known |= given
            for name in self._known:
                if name not in buttons:
                    buttons[name] = button = w.ToggleButton(description=_short(name), tooltip=name)
                    button.layout.width, button.layout.height = "auto", "26px"
                    listen(button, functools.partial(self._switch, name))
                buttons[name].value = name in given
            box.children = [w.Label("Rows", layout=w.Layout(width="42px")), *buttons.values()]

        follow(self, "images", show)
        return box

    def _switch(self, name: str, on: bool) -> None:
        rows = {**photographs(self.images), name: self._known[name]}
        if not on:
            del rows[name]
        self.attempt("images", rows)

    def _show_extra(self, result: Grid) -> None:
        """The default is no column where the network has no such class."""
        if self.extra == EXTRA:
            known = any(label.startswith(EXTRA) for label in result.labels)
            with quietly():
                self._extra.value = EXTRA if known else ""

    def _add(self, name: str, content: bytes) -> None:
        self.assign(images={**photographs(self.images), name: content})

    def caption(self, result: Grid) -> str:
        what = (
            "What each photograph gained (mid-grey: nothing)"
            if self.shown == "difference"
            else "Each photograph"
        )
        return (
            f"{what} after {counted(result.steps, 'step')} of ascent towards the class of the "
            f"column, in {html.escape(result.model.name)}; under it the class's probability before "
            "and after. Click a cell to explore it."
        )

    @t.validate("targets", "extra")
    def _check_targets(self, proposal: Any) -> Any:
        value = proposal["value"]
        for target in value if isinstance(value, list) else [value]:
            if target not in (None, EXTRA) and isinstance(self.model, Model):
                with_indices(as_target(target), self.model)
        return value


def _two_lines(label: str) -> str:
    return label.replace(" (class ", "\nclass ").removesuffix(")")


def _short(name: str, most: int = 16) -> str:
    """A name that leaves room for pictures."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _parsed(text: str) -> list[int | str] | None:
    """Classes from a line of text; none at all is the default."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    return [int(word) if word.isdecimal() else word for word in words] or None


def _written(targets: Any) -> str:
    return ", ".join(str(one) if isinstance(one, int | str) else "..." for one in targets or ())
