"""The temperature strip: one target from the plain gradient to the linear network."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..drawing import expression, pixels, words
from ..drawing.paper import new_figure, note, without_axes
from ..drawing.pixels import RGB
from ..drawing.words import describe
from ..engine.ascent import checked_walk
from ..engine.image import to_tensor
from ..engine.model import Model
from ..engine.session import Session, TargetLike
from ..engine.softening import Softening, Units
from ..engine.target import Logit, Target
from .images import image_name
from .provenance import provenance
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


@dataclass(eq=False, repr=False)
class Strip(Result):
    """U units of temperature, K columns: the plain gradient, rising temperatures, the linear limit.

    What is not computed yet is zero, and NaN where it is numbers.

    Attributes:
        model: The network.
        source: The image as it was given.
        image: What the network saw, (3, H, W) in [-1, 1].
        target: What is pulled back, class names resolved.
        units: U of ``"relative"``, ``"absolute"``.
        temperatures: For each unit the K - 2 temperatures between the two ends.
        steps: Steps of ascent.
        step_size: L2 length of a step, in image units.
        radius: L2 radius of the ascent, in image units; None for no limit.
        shown: What the figure's tiles show: ``"pullback"``, ``"difference"`` or ``"perturbed"``.
        pullbacks: (U, K, 3, H, W).
        differences: Image after ascent minus image, (U, K, 3, H, W).
        cosine: Of the pullback and the plain gradient, (U, K), -1 to 1.
        before: The target's value on the image: the class's probability, 0 to 1, or the score of a
            hidden target.
        outcome: Likewise after the ascent, (U, K).
        pulled: Whether the pullback is there, (U, K).
        done: Steps of ascent that are walked, (U, K).
    """

    ENDINGS = (*Result.ENDINGS, ".gif")

    model: Model
    source: Any
    image: Tensor
    target: Target
    units: tuple[Units, ...]
    temperatures: dict[Units, tuple[float, ...]]
    steps: int = 5
    step_size: float = 20.0
    radius: float | None = 100.0
    shown: Shown = "pullback"
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
        return "probability" if isinstance(self.target, Logit) else "score"

    def softening(self, row: int, column: int) -> Softening:
        """Of one tile."""
        unit = self.units[row]
        inner = self.temperatures[unit]
        if column in (0, len(inner) + 1):
            return Softening.hard() if column == 0 else LINEAR
        return Softening(temperature=inner[column - 1], units=unit)

    def label(self, row: int, column: int) -> str:
        """The temperature of one tile in a word."""
        if column in (0, self.done.shape[1] - 1):
            return "gradient" if column == 0 else "linear"
        letter = "t" if self.units[row] == "relative" else "T"
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
                    _written(self._caption(row, column), self.image.shape[-1]),
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
            "before": np.array(self.before),
            "outcome": self.outcome,
            "pulled": self.pulled,
            "done": self.done,
        }

    def settings(self) -> dict[str, Any]:
        return {
            **provenance(self.model),
            "image": self.name,
            "target": describe(self.target, self.model),
            "measure": self.measure,
            "temperatures": {unit: list(self.temperatures[unit]) for unit in self.units},
            "steps": self.steps,
            "step_size": self.step_size,
            "radius": self.radius,
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
        title = f"{what}, from the plain gradient to the linear network, {self.model.name} on"
        text = entitle(figure, f"{title} {self.name}", self)
        above = 0.51 + 0.13 * text.get_text().count("\n")  # the title and the first row's name
        height = 1.28 * len(heights) - 0.06 + above
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
            hspace=0.32,
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
                    part = partly(done, self.steps) if by_ascent else ""
                    axes = show(row, column + 1, tile, f"{label}{part}")
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

    def code(self) -> str:
        rows = set(self.temperatures.values())
        # Rows differ only by default.
        temperatures = list(rows.pop()) if len(rows) == 1 else None
        return expression.script(
            f"model = {expression.of_model(self.model)}",
            f"image = {expression.of_image(self.source)}",
            "strip = pw.temperature_strip(",
            f"    model, image, {expression.of_target(self.target)},",
            f"    temperatures={temperatures}, units={self.units},",
            f"    steps={self.steps}, step_size={self.step_size}, radius={self.radius},",
            ")",
            "strip.figure()",
        )


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
        progress: Called with the share that is done, 0 to 1.

    Returns:
        The strip.

    Raises:
        ImageError: If the image cannot be read.
        ValueError: For numbers out of range, unknown units, layers or classes.
    """
    return completed(
        sweep(
            model,
            image,
            target,
            temperatures=temperatures,
            units=units,
            steps=steps,
            step_size=step_size,
            radius=radius,
        ),
        progress,
    )


def sweep(
    model: Model | nn.Module,
    image: Any,
    target: TargetLike = None,
    *,
    temperatures: Sequence[float] | None = None,
    units: Sequence[Units] = UNITS,
    steps: int = 5,
    step_size: float = 20.0,
    radius: float | None = 100.0,
) -> Iterator[Strip]:
    """The strip after each pullback, then after each step; see :func:`temperature_strip`."""
    model = model if isinstance(model, Model) else Model(model)
    chosen = _checked_units(units)
    given = None if temperatures is None else checked_temperatures(temperatures)
    steps, step_size, radius = checked_walk(steps, step_size, radius)
    session = Session(model, to_tensor(image, model.size))
    wanted = session.resolve(target)[0]
    before = session.value(wanted)  # an unknown layer raises here, not at a step
    scale = typical_scale(session) if given is None and "absolute" in chosen else 1.0
    columns: dict[Units, tuple[float, ...]] = {
        unit: given or _default(scale if unit == "absolute" else 1.0) for unit in chosen
    }
    strip = Strip(
        model,
        image,
        session.image,
        wanted,
        chosen,
        columns,
        steps,
        step_size,
        radius,
        before=before,
    )
    return _fill(strip, session)


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
        for step in session.ascend(
            strip.target,
            strip.softening(row, column),
            steps=strip.steps,
            step_size=strip.step_size,
            radius=strip.radius,
        ):
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


def _checked_units(units: Sequence[Units]) -> tuple[Units, ...]:
    listed: Any = [units] if isinstance(units, str) else units
    chosen: tuple[Units, ...] = tuple(listed) if isinstance(listed, list | tuple) else ()
    unknown = [unit for unit in chosen if unit not in UNITS]
    if not chosen or unknown or len(set(chosen)) < len(chosen):
        raise ValueError(
            f'units is {units!r}; expected "relative", "absolute", or both in the order of rows.'
        )
    return chosen


def checked_temperatures(temperatures: Sequence[float]) -> tuple[float, ...]:
    """The temperatures between the two ends.

    Raises:
        ValueError: Unless they are finite, above 0 and rising.
    """
    listed = isinstance(temperatures, list | tuple) or getattr(temperatures, "ndim", 0) == 1
    given = tuple(temperatures) if listed else ()
    good = all(
        isinstance(t, numbers.Real) and not isinstance(t, bool) and 0 < t < math.inf for t in given
    )
    if not given or not good or list(given) != sorted(set(given)):
        raise ValueError(
            f"temperatures is {temperatures!r}; expected rising finite numbers above 0, such as "
            "[0.1, 1.0, 10.0]: the two ends, plain gradient and linear network, come by themselves."
        )
    return tuple(float(t) for t in given)


def _written(text: str, width: int) -> RGB:
    """A line of text on white, (H, ``width``, 3) bytes."""
    from PIL import Image, ImageDraw, ImageFont

    size = max(8, width // 14)
    line = Image.new("RGB", (width, round(1.6 * size)), "white")
    draw = ImageDraw.Draw(line)
    draw.text((width / 2, 0.8 * size), text, "#202020", ImageFont.load_default(size), anchor="mm")
    return np.asarray(line)
