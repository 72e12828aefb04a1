"""The temperature strip: one target from the plain gradient to the linear network."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..drawing import pixels, words
from ..drawing.animation import written
from ..drawing.paper import new_figure, note, without_axes
from ..drawing.pixels import RGB
from ..drawing.words import describe, share_of
from ..engine.completeness import accounted, kind_of_value
from ..engine.model import Model
from ..engine.session import Session, TargetLike
from ..engine.softening import Softening, Units
from ..engine.target import Logit, Target
from . import evenness
from .declared import Walked, computed, drawn, viewed
from .images import image_name
from .kinds import OneOf, Rising, SomeOf, Whole
from .network_kinds import Aimed, Image, Network
from .result import Progress, Result, completed, entitle, partly, to_numpy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Shown = Literal["pullback", "difference", "perturbed"]
SHOWN: tuple[Shown, ...] = get_args(Shown)

UNITS: tuple[Units, ...] = ("relative", "absolute")
TEMPERATURES = tuple(float(f"{t:.2g}") for t in np.logspace(-1, 0.6, 9))
"""Relative temperatures from noise to near the linear network: 0.1, 0.16, 0.25, ... 4."""

LINEAR = Softening(temperature=1e12, units="absolute")
"""Every gate half open: ``sigmoid(z / T) = 1 / 2`` to the last bit of a float32, max-pooling
averages. Its length says nothing, a factor 1/2 for each gate; its direction is the linear
network's."""

COLOURS: dict[str, str] = {"relative": "#c2570c", "absolute": "#1f5fbf"}
LINES: dict[str, str] = {"relative": ".-", "absolute": ".--"}
MEANING: dict[str, str] = {
    "relative": "t times the scale of each channel",
    "absolute": "the same T in all channels",
}
WORDS: dict[str, str] = {
    "pullback": "pullback of",
    "difference": "difference after ascent towards",
    "perturbed": "photograph after ascent towards",
}
CURVES = ("outcome", "cosine")


@dataclass(frozen=True, eq=False)
class StripRequest(Walked):
    """What a temperature strip is asked for; see ``pw.temperature_strip``.

    Attributes:
        column: The temperature of a widget's large pictures, from 0, the plain gradient.
    """

    FUNCTION = "temperature_strip"
    WIDGET = "TemperatureStrip"
    VARIABLE = "strip"
    FINALLY = "strip.figure()"

    model: Model = field(metadata=computed(Network()))
    image: Any = field(metadata=computed(Image()))
    target: TargetLike = field(default=None, metadata=computed(Aimed(optional=True)))
    _: KW_ONLY
    temperatures: Any = field(default=None, metadata=computed(Rising(optional=True)))
    units: Any = field(default=UNITS, metadata=computed(SomeOf(UNITS)))
    shown: Shown = field(default="pullback", metadata=drawn(OneOf(SHOWN)))
    column: int = field(default=6, metadata=viewed(Whole(0)))


@dataclass(eq=False, repr=False)
class Strip(Result):
    """U units of temperature, K columns: the plain gradient, rising temperatures, the linear limit.

    What is not computed yet is zero, and NaN where it is numbers.

    Attributes:
        request: What was asked for; ``model``, ``units``, ``steps``, ``step_size``, ``radius`` and
            ``shown`` read as attributes of the strip.
        image: What the network saw, (3, H, W) in [-1, 1].
        target: What is pulled back, class names resolved.
        temperatures: For each unit the K - 2 temperatures between the two ends.
        places: Rows and columns over which the target is a mean; None if it is none.
        score: The target's value on the image, a logit of classes.
        before: The same as the class's probability, 0 to 1, or the score of a
            hidden target.
        pullbacks: (U, K, 3, H, W).
        differences: Image after ascent minus image, (U, K, 3, H, W).
        cosine: Of the pullback and the plain gradient, (U, K), -1 to 1.
        outcome: As ``before``, after the ascent, (U, K).
        pulled: Whether the pullback is there, (U, K).
        done: Steps of ascent that are walked, (U, K).
    """

    ENDINGS = (*Result.ENDINGS, ".gif")

    request: StripRequest
    image: Tensor
    target: Target
    temperatures: dict[Units, tuple[float, ...]]
    places: evenness.Grid | None = None
    score: float = math.nan
    before: float = math.nan
    pullbacks: Tensor = field(init=False, repr=False)
    differences: Tensor = field(init=False, repr=False)
    cosine: NDArray[np.float64] = field(init=False, repr=False)
    outcome: NDArray[np.float64] = field(init=False, repr=False)
    pulled: NDArray[np.bool_] = field(init=False, repr=False)
    done: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = len(self.units), 2 + len(self.temperatures[self.units[0]])
        self.pullbacks = torch.zeros(*shape, *self.image.shape, dtype=self.image.dtype)
        self.differences = torch.zeros(*shape, *self.image.shape, dtype=self.image.dtype)
        self.cosine = np.full(shape, np.nan)
        self.outcome = np.full(shape, np.nan)
        self.pulled = np.zeros(shape, np.bool_)
        self.done = np.zeros(shape, np.int64)

    @property
    def source(self) -> Any:
        """The image as it was given."""
        return self.request.image

    @property
    def name(self) -> str:
        """Of the image."""
        return image_name(self.source) or "a photograph"

    @property
    def perturbed(self) -> Tensor:
        """The images after ascent, (U, K, 3, H, W) in [-1, 1]."""
        return self.image + self.differences

    @property
    def measure(self) -> str:
        """What ``before`` and ``outcome`` are: ``"probability"`` or ``"score"``."""
        known = isinstance(self.target, Logit) and self.model.probability != "none"
        return "probability" if known else "score"

    @property
    def shares(self) -> NDArray[np.float64]:
        """For each pullback, (U, K); see ``Result.shares``."""
        rows, columns = self.pulled.shape
        return np.array(
            [[self.share(row, column) for column in range(columns)] for row in range(rows)]
        )

    def share(self, row: int, column: int) -> float:
        """Which share of the target's value one pullback accounts for."""
        if not self.pulled[row, column]:
            return math.nan
        return accounted(self.score, self.pullbacks[row, column], self.image)

    def even(self, column: int) -> str:
        """Why a pullback of a temperature is the same everywhere; see ``evenness.even``."""
        found = (evenness.even(one[column], self.places) for one in self.pullbacks)
        return next(filter(None, found), "")

    @property
    def kind(self) -> str:
        """What ``score`` is called: ``"logit"`` or ``"value"``."""
        return kind_of_value(self.target)

    def softening(self, row: int, column: int) -> Softening:
        """Of one tile."""
        unit = self.units[row]
        inner = self.temperatures[unit]
        if column in (0, len(inner) + 1):
            return Softening.hard() if column == 0 else LINEAR
        return Softening(temperature=inner[column - 1], units=unit)

    def label(self, row: int, column: int) -> str:
        """The temperature of one tile in a word."""
        letter = "t" if self.units[row] == "relative" else "T"
        if column in (0, self.done.shape[1] - 1):
            return "gradient" if column == 0 else "linear" if self.softens else f"{letter} = inf"
        return f"{letter} = {self.softening(row, column).temperature:g}"

    def result(self, row: int, column: int) -> str:
        """The target's value after a tile's ascent, empty before there is one."""
        return self._in_words(self.outcome[row, column]) if self.done[row, column] else ""

    def change(self, row: int, column: int) -> str:
        """What becomes of the target in a tile's ascent, as ``3 % → 98 %``."""
        after = self.result(row, column)
        return f"{self._in_words(self.before)} → {after}" if after else ""

    def _in_words(self, value: float) -> str:
        return f"{100 * value:.0f} %" if self.measure == "probability" else f"{value:.3g}"

    def picture(self, row: int, column: int, shown: str) -> RGB:
        """A tile as (H, W, 3) bytes; every map has its own scale.

        Args:
            row: The unit.
            column: The temperature.
            shown: ``"pullback"``, ``"difference"`` or ``"perturbed"``.
        """
        if shown == "pullback":
            return pixels.signed_map(self.pullbacks[row, column])
        difference = self.differences[row, column]
        if shown == "difference":
            return pixels.signed_map(difference)
        return pixels.photograph(self.image + difference)

    def frames(self) -> list[RGB]:
        """The film through the temperatures: pullbacks over differences, a column for each unit."""
        return [self.frame(column) for column in range(self.done.shape[1])]

    def frame(self, column: int) -> RGB:
        """One picture of the film, the temperatures written under its pullbacks."""
        parts = [
            np.concatenate(
                [
                    self.picture(row, column, "pullback"),
                    written(self._caption(row, column), self.image.shape[-1]),
                    self.picture(row, column, "difference"),
                ]
            )
            for row in range(len(self.units))
        ]
        return np.concatenate(parts, axis=1)

    def _caption(self, row: int, column: int) -> str:
        words = [self.label(row, column)]
        if 0 < column < self.done.shape[1] - 1:
            words.insert(0, self.units[row])
        if result := self.result(row, column):
            words.append(f"({result})")
        return " ".join(words)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "image": to_numpy(self.image),
            "temperatures": np.array(
                [[0.0, *self.temperatures[unit], math.inf] for unit in self.units]
            ),
            "pullbacks": to_numpy(self.pullbacks),
            "differences": to_numpy(self.differences),
            "cosine": self.cosine,
            "score": np.array(self.score),
            "shares": self.shares,
            "before": np.array(self.before),
            "outcome": self.outcome,
            "pulled": self.pulled,
            "done": self.done,
        }

    @property
    def asked(self) -> StripRequest:
        rows = set(self.temperatures.values())
        # Rows differ only by default.
        temperatures = rows.pop() if len(rows) == 1 else None
        return dataclasses.replace(self.request, target=self.target, temperatures=temperatures)

    def named(self) -> dict[str, Any]:
        return {
            "image": self.name,
            "target": describe(self.target, self.model),
            "measure": self.measure,
            "temperatures": {unit: list(self.temperatures[unit]) for unit in self.units},
        }

    def summary(self) -> str:
        what = describe(self.target, self.model)
        columns = words.counted(self.done.shape[1], "temperature")
        return f"{what}, {self.model.name} on {self.name}, {columns}, {' and '.join(self.units)}"

    def figure(self, shown: Shown | None = None) -> Figure:
        """The film strip for print, and under its columns the two curves.

        Args:
            shown: What the tiles show; by default the attribute.
        """
        shown = shown or self.shown
        by_ascent = shown != "pullback"
        rows, columns = self.done.shape
        heights = [1.0] * rows + [0.95, 0.95]
        width = 0.98 * (columns + 1) + 0.85
        figure = new_figure(figsize=(width, 1), dpi=100)
        what = f"{WORDS[shown]} {describe(self.target, self.model)}"
        how = "from the plain gradient to the linear network"
        if not self.softens:
            how = "the plain gradient at all temperatures"
        title = f"{what}, {how}, {self.model.name} on {self.name}"
        if not by_ascent:
            title += f"\nbelow each how much of the {self.kind} it accounts for"
        text = entitle(figure, title, self)
        above = 0.51 + 0.13 * text.get_text().count("\n")  # the title and the first row's name
        between = 0.32 if by_ascent else 0.44  # room for a line more
        height = (0.96 + between) * len(heights) - 0.06 + above
        figure.set_figheight(height)
        text.set_y(1 - 0.14 / height)
        cells = figure.add_gridspec(
            len(heights),
            columns + 1,
            height_ratios=heights,
            left=0.6 / width,
            right=1 - 0.25 / width,
            top=1 - above / height,
            bottom=0.2 / height,
            wspace=SPACE,
            hspace=between,
        )

        def show(row: int, column: int, tile: RGB | None, label: str) -> Axes:
            axes = figure.add_subplot(cells[row, column])
            if tile is not None:
                axes.imshow(tile, interpolation="nearest")
            axes.set_xlabel(label, fontsize=7, labelpad=2)
            without_axes(axes)
            return axes

        show(0, 0, pixels.photograph(self.image), "photograph")
        for row, unit in enumerate(self.units):
            for column in range(columns):
                done, label = int(self.done[row, column]), self.label(row, column)
                if done if by_ascent else self.pulled[row, column]:
                    tile = self.picture(row, column, shown)
                    share = share_of(self.share(row, column), self.kind)
                    below = partly(done, self.steps) if by_ascent else f"\n{share}"
                    axes = show(row, column + 1, tile, f"{label}{below}")
                else:
                    axes = show(row, column + 1, None, label)
                    note(axes, "not computed")
                if column == 0:
                    axes.set_title(
                        f"{unit} temperature, {MEANING[unit]}",
                        fontsize=7,
                        color=COLOURS[unit],
                        loc="left",
                        pad=3,
                    )
        for number, curve in enumerate(CURVES):
            axes = figure.add_subplot(cells[rows + number, 1:])
            self.draw_curve(axes, curve, SPACE)
            axes.set_ylabel(self.curve_title(curve), fontsize=7)
        return figure

    def curve_title(self, curve: str) -> str:
        """What a curve shows, in two lines."""
        if curve == "cosine":
            return "cosine to\nthe gradient"
        return f"{self.measure}\nafter {words.counted(self.steps, 'step')}"

    def draw_curve(self, axes: Axes, curve: str, space: float, size: float = 6) -> None:
        """One point under the middle of each tile.

        Args:
            axes: As wide as the tiles.
            curve: ``"outcome"`` or ``"cosine"``.
            space: Between two tiles, as a share of a tile.
            size: Of its text, in points.
        """
        columns = self.done.shape[1]
        walked = np.where(self.done == self.steps, self.outcome, np.nan)
        values = walked if curve == "outcome" else self.cosine
        for row, unit in enumerate(self.units):
            axes.plot(values[row], LINES[unit], color=COLOURS[unit], label=unit, lw=1.2, ms=4)
        if curve == "outcome":
            axes.axhline(self.before, color="#6b6b6b", ls=":", lw=1, label="before the ascent")
            axes.legend(fontsize=size, frameon=False, ncols=3)
        # Half a tile beyond the first and last middle, in steps of a tile and a gap.
        half = 0.5 / (1 + space)
        axes.set_xlim(-half, columns - 1 + half)
        axes.set_xticks([])
        if curve == "cosine" or self.measure == "probability":
            axes.set_ylim(-0.08, 1.08)
            axes.set_yticks([0, 0.5, 1])
        axes.tick_params(labelsize=size, length=2)
        axes.grid(axis="y", lw=0.3)
        axes.spines[["top", "right", "bottom"]].set_visible(False)


SPACE = 0.04
"""Between two tiles of a figure, as a share of a tile."""


def temperature_strip(
    model: Model | nn.Module,
    image: Any,
    target: TargetLike = None,
    *,
    temperatures: Sequence[float] | None = None,
    units: Sequence[Units] = UNITS,
    steps: int = 5,
    step_size: float = 20.0,
    radius: float | None = 100.0,
    shown: Shown = "pullback",
    progress: Progress | None = None,
) -> Strip:
    """Pull one target back, and walk towards it, at every temperature.

    Args:
        model: A ``Model``, or a bare module with ImageNet preprocessing at 224 px.
        image: What ``Session`` takes, one image.
        target: What is pulled back; None for the image's own top class.
        temperatures: Rising numbers above 0 between the two ends, the same in all ``units``. By
            default nine from 0.1 to 4 where they are relative; where they are absolute, these
            times the median scale of all channels of the network, so that the columns compare.
        units: One or both of ``"relative"`` and ``"absolute"``, a row for each.
        steps: Steps of ascent, 1 or more.
        step_size: L2 length of a step in image units, above 0.
        radius: L2 radius around the image, above 0; None for no limit.
        shown: What the figure's tiles show: ``"pullback"``, ``"difference"`` or ``"perturbed"``.
        progress: Called with the share that is done, 0 to 1.

    Returns:
        The strip.

    Raises:
        ImageError: If the image cannot be read.
        ValueError: For numbers out of range, unknown units, layers or classes.
    """
    request = StripRequest(
        Model.of(model),
        image,
        target,
        temperatures=temperatures,
        units=units,
        steps=steps,
        step_size=step_size,
        radius=radius,
        shown=shown,
    )
    return completed(compute(request), progress)


def compute(request: StripRequest) -> Iterator[Strip]:
    """The strip after each pullback, then after each step."""
    model, units, given = request.model, request.units, request.temperatures
    session = Session(model, model.image(request.image), range=(-1, 1))
    target = session.resolve(request.target)[0]
    before = session.value(target)  # an unknown layer raises here, not at a step
    scale = typical_scale(session) if given is None and "absolute" in units else 1.0
    columns: dict[Units, tuple[float, ...]] = {
        unit: given or _default(scale if unit == "absolute" else 1.0) for unit in units
    }
    score = session.score(target)
    grid = evenness.places(target, session.layers)
    return _fill(Strip(request, session.image, target, columns, grid, score, before), session)


def _fill(strip: Strip, session: Session) -> Iterator[Strip]:
    yield strip
    rows, columns = strip.done.shape
    # The two ends know no units: computed once, shown in every row.
    tiles = [
        (row, column)
        for column in range(columns)
        for row in range(rows)
        if row == 0 or 0 < column < columns - 1
    ]
    total = len(tiles) * (1 + strip.steps)
    plain = None
    for number, (row, column) in enumerate(tiles, start=1):
        pullback = session.pullback(strip.target, strip.softening(row, column)).cpu()
        plain = pullback if plain is None else plain
        for shown in _rows(row, column, strip):
            strip.pullbacks[shown, column] = pullback
            strip.cosine[shown, column] = cosine(pullback, plain)
            strip.pulled[shown, column] = True
        strip.progress = number / total
        yield strip
    for number, (row, column) in enumerate(tiles):
        walk = strip.request.walk
        for step in session.ascend(strip.target, strip.softening(row, column), **walk):
            after = step.score if step.probability is None else step.probability
            for shown in _rows(row, column, strip):
                strip.differences[shown, column] = step.difference
                strip.outcome[shown, column] = after
                strip.done[shown, column] = step.index
            strip.progress = (len(tiles) + number * strip.steps + step.index) / total
            yield strip


def _rows(row: int, column: int, strip: Strip) -> Sequence[int]:
    """The rows that a tile fills."""
    rows, columns = strip.done.shape
    return range(rows) if column in (0, columns - 1) else (row,)


def typical_scale(session: Session) -> float:
    """The median scale of all channels that enter a gate; 1 where no gate can be seen."""
    recording = session.recording
    known = [recording.gate_scale(layer.name) for layer in session.layers]
    # Several layers may be named for one gate.
    scales = list({id(scale): scale.flatten() for scale in known if scale is not None}.values())
    return float(torch.cat(scales).median()) if scales else 1.0


def cosine(first: Tensor, second: Tensor) -> float:
    """Of the angle between two images, -1 to 1."""
    return float(torch.cosine_similarity(first.double().flatten(), second.double().flatten(), 0))


def _default(scale: float) -> tuple[float, ...]:
    return tuple(float(f"{t * scale:.2g}") for t in TEMPERATURES)
