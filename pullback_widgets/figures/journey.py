"""The depth journey: what the strongest channel of each stage sees, from edges to objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..checks import is_whole
from ..drawing import pixels, words
from ..drawing.paper import new_figure, note, without_axes, wrapped
from ..drawing.pixels import RGB
from ..drawing.words import accounts_for
from ..engine.completeness import accounted, kind_of_value
from ..engine.layer import Layer, unknown_layer
from ..engine.model import Model
from ..engine.session import Session
from ..engine.softening import Softening
from ..engine.target import LOGITS, Channel, Logit, Target
from . import evenness
from .declared import Walked, computed, viewed
from .images import image_name
from .kinds import Whole
from .network_kinds import DEFAULT, ChannelEach, Image, Layers, Network, Softened
from .result import Progress, Result, completed, entitle, partly, to_numpy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Shown = Literal["photograph", "activation", "pullback", "difference"]
SHOWN: tuple[Shown, ...] = get_args(Shown)

DARK = 0.25
"""Brightness of the photograph where a channel is silent."""

Channels = Mapping[str, int] | Sequence[int | None] | None
"""A channel for each layer, or for some of them by name; None for the strongest."""


@dataclass(frozen=True)
class Column:
    """A column: one channel of one layer.

    Attributes:
        layer: The layer; the logits with the shape (K,).
        channel: Index of the channel or class.
        strongest: All channels, strongest on the image first: by the standard deviation of
            their positive values over positions.
    """

    layer: Layer
    channel: int
    strongest: tuple[int, ...]

    @property
    def target(self) -> Target:
        """What is pulled back: the channel's mean, or the class."""
        if self.layer.name == LOGITS:
            return Logit(self.channel)
        return Channel(self.layer.name, self.channel)


@dataclass(frozen=True, eq=False)
class JourneyRequest(Walked):
    """What a depth journey is asked for; see ``pw.depth_journey``.

    Attributes:
        stage: The column that a widget's controls change, from 0.
    """

    FUNCTION = "depth_journey"
    WIDGET = "DepthJourney"
    VARIABLE = "journey"
    FINALLY = "journey.figure()"

    model: Model = field(metadata=computed(Network()))
    image: Any = field(metadata=computed(Image()))
    _: KW_ONLY
    layers: Any = field(default=None, metadata=computed(Layers(optional=True)))
    channels: Any = field(default=None, metadata=computed(ChannelEach(optional=True)))
    softening: Softening = field(default=DEFAULT, metadata=computed(Softened()))
    stage: int = field(default=0, metadata=viewed(Whole(0)))


@dataclass(eq=False, repr=False)
class Journey(Result):
    """S stages of a network on one image; the last is the class.

    What is not computed yet is zero, and NaN where it is numbers.

    Attributes:
        request: What was asked for; ``model``, ``softening``, ``steps``, ``step_size`` and
            ``radius`` read as attributes of the journey.
        image: What the network saw, (3, H, W) in [-1, 1].
        stages: The S columns.
        maps: The channels' values on the image, S arrays (h, w); (1, 1) for the class.
        scores: The channels' means, or the class's logit, (S,).
        before: The channels' means, or the class's probability, (S,).
        pullbacks: (S, 3, H, W).
        differences: Image after ascent minus image, (S, 3, H, W).
        after: As ``before``, after the ascent, (S,).
        pulled: Whether the pullback is there, (S,).
        done: Steps of ascent that are walked, (S,).
    """

    request: JourneyRequest
    image: Tensor
    stages: list[Column]
    maps: list[Tensor]
    pullbacks: Tensor = field(init=False, repr=False)
    differences: Tensor = field(init=False, repr=False)
    scores: NDArray[np.float64] = field(init=False, repr=False)
    before: NDArray[np.float64] = field(init=False, repr=False)
    after: NDArray[np.float64] = field(init=False, repr=False)
    pulled: NDArray[np.bool_] = field(init=False, repr=False)
    done: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        count = len(self.stages)
        self.pullbacks = torch.zeros(count, *self.image.shape, dtype=self.image.dtype)
        self.differences = torch.zeros(count, *self.image.shape, dtype=self.image.dtype)
        self.scores = np.full(count, np.nan)
        self.before = np.full(count, np.nan)
        self.after = np.full(count, np.nan)
        self.pulled = np.zeros(count, np.bool_)
        self.done = np.zeros(count, np.int64)

    def take_over(self, earlier: Journey) -> None:
        """Copy the stages that another journey has walked to their end with the same settings."""
        same = ("model", "softening", "steps", "step_size", "radius")
        if any(getattr(self, name) != getattr(earlier, name) for name in same):
            return
        if not torch.equal(self.image, earlier.image):
            return
        for n, stage in enumerate(self.stages):
            if stage in earlier.stages:
                old = earlier.stages.index(stage)
                if earlier.done[old] == earlier.steps:
                    self.pullbacks[n] = earlier.pullbacks[old]
                    self.differences[n] = earlier.differences[old]
                    self.after[n] = earlier.after[old]
                    self.pulled[n], self.done[n] = True, earlier.steps

    @property
    def source(self) -> Any:
        """The image as it was given."""
        return self.request.image

    @property
    def name(self) -> str:
        """Of the image."""
        return image_name(self.source) or "a photograph"

    @property
    def shares(self) -> NDArray[np.float64]:
        """For each pullback, (S,); see ``Result.shares``."""
        return np.array([self.share(stage) for stage in range(len(self.stages))])

    def share(self, stage: int) -> float:
        """Which share of a stage's value its pullback accounts for."""
        if not self.pulled[stage]:
            return float("nan")
        return accounted(float(self.scores[stage]), self.pullbacks[stage], self.image)

    def even(self, stage: int) -> str:
        """Why a stage's pullback is the same everywhere; see ``evenness.even``."""
        one = self.stages[stage]
        return evenness.even(self.pullbacks[stage], evenness.places(one.target, [one.layer]))

    def label(self, stage: int) -> str:
        """A column's title: layer, channel, size, in three lines."""
        one = self.stages[stage]
        if one.layer.name == LOGITS:
            return f"{LOGITS}\n{self.model.label(one.channel)}\n{one.layer.size} classes"
        return f"{one.layer.name}\nchannel {one.channel}\n{one.layer.size}"

    def change(self, stage: int) -> str:
        """What became of a stage's target, as ``0.31 → 2.4``; empty before there is a step."""
        before, after = self.before[stage], self.after[stage]
        if np.isnan(after):
            return ""
        if self.stages[stage].layer.name == LOGITS:
            return f"{100 * before:.0f} % → {100 * after:.0f} %"
        return f"{before:.3g} → {after:.3g}"

    def picture(self, stage: int, shown: str) -> RGB:
        """A tile as (H, W, 3) bytes; an activation map as (h, w, 3), dark where it is not positive.

        Args:
            stage: The column.
            shown: ``"photograph"`` (spot-lit where the channel is active), ``"activation"``,
                ``"pullback"`` or ``"difference"``.
        """
        if shown == "photograph":
            one_number = self.maps[stage].numel() == 1
            return pixels.photograph(
                self.image if one_number else spotlit(self.image, self.maps[stage])
            )
        if shown == "activation":
            return pixels.heat(self.maps[stage].clamp_min(0))
        values = self.pullbacks if shown == "pullback" else self.differences
        return pixels.signed_map(values[stage])

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "image": to_numpy(self.image),
            **{f"map_{n}": to_numpy(values) for n, values in enumerate(self.maps)},
            "pullbacks": to_numpy(self.pullbacks),
            "differences": to_numpy(self.differences),
            "scores": self.scores,
            "shares": self.shares,
            "before": self.before,
            "after": self.after,
            "pulled": self.pulled,
            "done": self.done,
        }

    @property
    def asked(self) -> JourneyRequest:
        layers = [stage.layer.name for stage in self.stages]
        channels = [stage.channel for stage in self.stages]
        return dataclasses.replace(self.request, layers=layers, channels=channels)

    def named(self) -> dict[str, Any]:
        return {"image": self.name}

    def summary(self) -> str:
        stages, how = words.counted(len(self.stages), "stage"), self.how(self.softening)
        return f"{stages} of {self.model.name} on {self.name}, {how}"

    def figure(self) -> Figure:
        """The journey for print: a column for each stage, from the input to the class."""
        count = len(self.stages)
        figure = new_figure(figsize=(1.55 * count + 0.4, 7.5), dpi=100, layout="constrained")
        axes = figure.subplots(len(SHOWN), count, squeeze=False)
        rows = ("photograph", "activation", "pullback", f"{self.steps}-step difference")
        there = {"pullback": self.pulled, "difference": self.done}
        height, width = self.image.shape[1:]
        for row, shown in enumerate(SHOWN):
            for column in range(count):
                cell = axes[row, column]
                without_axes(cell)
                if shown in there and not there[shown][column]:
                    note(cell, "not computed")
                    continue
                if shown == "activation" and self.maps[column].numel() == 1:
                    cell.text(0.5, 0.5, "one number,\nno map", ha="center", va="center", fontsize=7)
                    continue
                cell.imshow(
                    self.picture(column, shown),
                    interpolation="nearest",
                    extent=(0, width, height, 0),
                )
            axes[row, 0].set_ylabel(rows[row], fontsize=8)
        for column in range(count):
            kind = kind_of_value(self.stages[column].target)
            account = accounts_for(self.share(column), kind)
            axes[SHOWN.index("pullback"), column].set_xlabel(account, fontsize=6.5)
            title = wrapped(self.label(column), 1.45, 6.5, most=2)
            axes[0, column].set_title(title, fontsize=6.5)
            done = int(self.done[column])
            label = f"{self.change(column)}{partly(done, self.steps)}" if done else ""
            axes[-1, column].set_xlabel(label, fontsize=6.5)
        how = self.how(self.softening)
        entitle(figure, f"{self.model.name} on {self.name}, {how}", self, size=9)
        return figure


def depth_journey(
    model: Model | nn.Module,
    image: Any,
    *,
    layers: Sequence[str] | None = None,
    channels: Channels = None,
    softening: Softening | None = None,
    steps: int = 5,
    step_size: float = 20.0,
    radius: float | None = 100.0,
    progress: Progress | None = None,
) -> Journey:
    """Pull one channel of each stage back, and walk towards it.

    Args:
        model: A ``Model``, or a bare module with ImageNet preprocessing at 224 px.
        image: What ``Session`` takes, one image.
        layers: The stages, dotted names or ``"logits"``, a list or one; by default the last layer
            of each resolution that enters a rectifier, and the logits.
        channels: One for each layer, or a mapping from some layers to channels; the others, and
            None, take the channel whose positive values vary most over positions, the logits the
            top class.
        softening: ``Softening.relative(0.85)`` by default.
        steps: Steps of ascent, 1 or more.
        step_size: L2 length of a step in image units, above 0.
        radius: L2 radius around the image, above 0; None for no limit.
        progress: Called with the share that is done, 0 to 1.

    Returns:
        The journey.

    Raises:
        ImageError: If the image cannot be read.
        ValueError: For unknown layers, channels or numbers out of range.
    """
    request = JourneyRequest(
        Model.of(model),
        image,
        layers=layers,
        channels=channels,
        softening=Softening.checked(softening),
        steps=steps,
        step_size=step_size,
        radius=radius,
    )
    return completed(compute(request), progress)


def compute(request: JourneyRequest, earlier: Journey | None = None) -> Iterator[Journey]:
    """The journey after each pullback, then after each step.

    Stages that are walked in an ``earlier`` journey are taken over where nothing changed.
    """
    session = Session(request.model, request.model.image(request.image), range=(-1, 1))
    names = session.stages() if request.layers is None else request.layers
    stages, maps = [], []
    for name, channel in zip(names, one_each(request.channels, names), strict=True):
        stage, values = _stage(session, name, channel)
        stages.append(stage)
        maps.append(values)
    journey = Journey(request, session.image, stages, maps)
    if earlier is not None:
        journey.take_over(earlier)
    return _fill(journey, session)


def strength(values: Tensor) -> Tensor:
    """How strongly each channel of a layer answers to one place of the image and not to another.

    The standard deviation of its positive part over positions: the channels with the highest mean
    are on everywhere, for most photographs the same ones, and tell little of any. Where there is
    only one position, the positive part itself.

    Args:
        values: (C, ...).

    Returns:
        (C,), 0 or more.
    """
    positive = values.clamp_min(0).reshape(len(values), -1)
    return positive.std(1, correction=0) if positive.shape[1] > 1 else positive[:, 0]


def spotlit(image: Tensor, values: Tensor) -> Tensor:
    """The image, dark where a map is not positive.

    Args:
        image: (3, H, W) in [-1, 1].
        values: The map, (h, w).

    Returns:
        (3, H, W) in [-1, 1]: full brightness where the map has its maximum.
    """
    light = values.clamp_min(0)
    light = light / light.max().clamp_min(torch.finfo(light.dtype).tiny)
    light = F.interpolate(light[None, None], image.shape[1:], mode="bilinear")[0]
    return (image + 1) * (DARK + (1 - DARK) * light) - 1


def _fill(journey: Journey, session: Session) -> Iterator[Journey]:
    for n, stage in enumerate(journey.stages):
        journey.scores[n] = session.score(stage.target)
        journey.before[n] = session.value(stage.target)
    new = [n for n in range(len(journey.stages)) if not journey.done[n]]
    total, reached = max(1, len(new) * (1 + journey.steps)), 0
    journey.progress = 0.0 if new else 1.0
    yield journey
    for n in new:
        target = journey.stages[n].target
        journey.pullbacks[n] = session.pullback(target, journey.softening).cpu()
        journey.pulled[n] = True
        reached += 1
        journey.progress = reached / total
        yield journey
    for n in new:
        walk = journey.request.walk
        for step in session.ascend(journey.stages[n].target, journey.softening, **walk):
            journey.differences[n] = step.difference
            journey.after[n] = step.score if step.probability is None else step.probability
            journey.done[n] = step.index
            reached += 1
            journey.progress = reached / total
            yield journey


def _stage(session: Session, name: str, channel: int | None) -> tuple[Column, Tensor]:
    """A column, and its channel's values on the image as a map."""
    if name == LOGITS:
        values = session.recording.class_logits()[0].detach().cpu()
        layer = Layer(LOGITS, "", tuple(values.shape))
    else:
        known = {one.name: one for one in session.layers}
        if name not in known:
            raise unknown_layer(name, [*known, LOGITS])
        layer = known[name]
        values = session.activations(name).cpu()
    how_strong = values if name == LOGITS else strength(values)
    strongest = tuple(how_strong.argsort(descending=True, stable=True).tolist())
    chosen = strongest[0] if channel is None else channel
    if not is_whole(chosen) or not 0 <= chosen < len(values):
        raise ValueError(
            f"Channel {chosen!r} is not in layer {name!r}, which has {len(values)}; "
            f"choose a whole number from 0 to {len(values) - 1}."
        )
    one = values[chosen]
    plane = one.reshape(-1, one.shape[-1]) if one.dim() > 1 else one.reshape(1, -1)
    return Column(layer, int(chosen), strongest), plane


def one_each(channels: Channels, names: Sequence[str]) -> list[int | None]:
    """A channel for each layer, None for the strongest.

    Raises:
        ValueError: If there are more or fewer channels than layers, or one of another layer.
    """
    if channels is None:
        return [None] * len(names)
    if isinstance(channels, Mapping):
        unknown = [name for name in channels if name not in names]
        if unknown:
            raise ValueError(
                f"channels names {unknown[0]!r}, which is none of the stages "
                f"{', '.join(names)}; name it in layers too."
            )
        return [channels.get(name) for name in names]
    if len(channels) != len(names):
        raise ValueError(
            f"There are {len(channels)} channels for {len(names)} layers ({', '.join(names)}); "
            "give one for each, None for the strongest."
        )
    return list(channels)
