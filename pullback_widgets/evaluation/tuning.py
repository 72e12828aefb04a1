"""A temperature that data choose: on one half of the photographs, and judged on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from .. import checks
from ..drawing import expression, files
from ..drawing.paper import new_figure, wrapped
from ..drawing.words import counted
from ..engine.model import Model
from ..engine.softening import Softening
from .evaluate import measure
from .evaluation import ENDINGS, Evaluation
from .images import opened
from .interval import Interval, intervals
from .methods import GRADIENT, Explainer, Pullback, explainer
from .metric import Metric
from .metrics import metrics as chosen_metrics
from .progress import Progress, Report
from .stages import FACTORS, Trial, descend, stages_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPERATURES = tuple(float(f"{one:.3g}") for one in np.geomspace(0.1, 4, 11))
"""Log-spaced, from nearly hard gates to nearly open ones, for relative temperatures."""

CHOSEN, ONE, GIVEN = "chosen", "one temperature", "as given"
"""What is judged, beside the plain gradient."""


@dataclass(frozen=True)
class Point:
    """A temperature and what it is worth on the half that chooses.

    Attributes:
        temperature: The number.
        mean: Of the metric over the images, with its 95 % interval.
        difference: The mean difference to the plain gradient, likewise.
    """

    temperature: float
    mean: Interval
    difference: Interval


@dataclass(eq=False, repr=False)
class Tuning:
    """A temperature chosen on one half of the images, and its value on the other.

    Attributes:
        softening: The softening at the temperature that was chosen.
        metric: What chose.
        curve: All temperatures that were tried, in order, on the half that chooses.
        chosen_on: The numbers of that half.
        judged_on: Those of the other half: the choice, its temperature alone, the softening as it
            was given, and the plain gradient.
        given: The softening with the temperature that it came with.
        trials: The factors of stages that were tried, if they were asked for, in order.
    """

    softening: Softening
    metric: Metric
    curve: tuple[Point, ...]
    chosen_on: Evaluation
    judged_on: Evaluation
    given: Softening
    trials: tuple[Trial, ...] = ()

    @property
    def temperature(self) -> float:
        """The temperature that was chosen."""
        return self.softening.temperature

    @property
    def value(self) -> Interval:
        """The metric at this temperature on the half that had no say."""
        return self.judged_on.mean(self.metric.name, CHOSEN)

    @property
    def difference(self) -> Interval:
        """Its difference to the plain gradient there."""
        return self.judged_on.difference(self.metric.name, CHOSEN)

    @property
    def at_the_end(self) -> bool:
        """Whether the best is the first or last that was tried, so that a better may lie beyond."""
        return self.temperature in (self.curve[0].temperature, self.curve[-1].temperature)

    @property
    def flat(self) -> list[float]:
        """The temperatures that the half that chooses cannot tell from the best one."""
        scores = self.chosen_on.scores(self.metric.name)
        columns = [self.chosen_on.methods.index(_name(one.temperature)) for one in self.curve]
        best = self.chosen_on.methods.index(_name(self.temperature))
        against = intervals(scores[:, columns] - scores[:, [best]])
        return [
            point.temperature
            for point, one in zip(self.curve, against, strict=True)
            if one.low <= 0 <= one.high
        ]

    @property
    def sentence(self) -> str:
        """What was chosen, what it is worth, and what that does not show."""
        near = [f"{one:.3g}" for one in self.flat]
        said = [
            f"{self.metric.title} chooses the temperature {self.temperature:.3g} on "
            f"{self.chosen_on.n} images",
        ]
        if len(near) > 1:
            said.append(f"which cannot tell it from those from {near[0]} to {near[-1]}")
        if self.at_the_end:
            said.append("the end of what was tried, so that a better one may lie beyond")
        against = self.difference
        return (
            f"{', '.join(said)}.{self._of_stages()} On {self.judged_on.n} others it is "
            f"{self.value.value:.3g} [{self.value.low:.3g}, {self.value.high:.3g}], "
            f"{against.value:+.3g} [{against.low:+.3g}, {against.high:+.3g}] against the plain "
            "gradient. Another metric may choose another."
        )

    def _of_stages(self) -> str:
        if not self.trials:
            return ""
        kept = [one for one in self.trials if one.kept]
        stages = len({one.stage for one in self.trials})
        if not kept:
            return f" None of {stages} stages is better with a factor of its own."
        words = ", ".join(f"{one.factor:g} for stage {one.stage + 1}" for one in reversed(kept))
        name = self.metric.name
        with_them, without = (self.judged_on.mean(name, one).value for one in (CHOSEN, ONE))
        return (
            f" Of {stages} stages it takes the factors {words}; with one temperature for all it "
            f"is {without:.3g} in place of {with_them:.3g} on the others."
        )

    def __repr__(self) -> str:
        return f"<Tuning: temperature {self.temperature:.3g} by {self.metric.name}>"

    def __str__(self) -> str:
        return self.sentence

    def rows(self) -> list[dict[str, float | str]]:
        """The curve, a line for each temperature."""
        return [
            {
                "metric": self.metric.name,
                "temperature": one.temperature,
                "mean": one.mean.value,
                "low": one.mean.low,
                "high": one.mean.high,
                "difference": one.difference.value,
                "difference_low": one.difference.low,
                "difference_high": one.difference.high,
                "n": self.chosen_on.n,
            }
            for one in self.curve
        ]

    def figure(self) -> Figure:
        """The curve with its intervals, the choice, and its value on the other half, for print."""
        figure = new_figure(figsize=(4.2, 3.0), layout="constrained")
        axes = figure.subplots()
        x = [one.temperature for one in self.curve]
        axes.set_xscale("log")
        axes.fill_between(
            x, [one.mean.low for one in self.curve], [one.mean.high for one in self.curve],
            alpha=0.25, linewidth=0,
        )  # fmt: skip
        axes.plot(x, [one.mean.value for one in self.curve], ".-", label=f"n = {self.chosen_on.n}")
        value = self.value
        axes.errorbar(
            [self.temperature], [value.value],
            yerr=[[max(value.value - value.low, 0)], [max(value.high - value.value, 0)]],
            fmt="o", color="black", markersize=4, capsize=2,
            label=f"chosen, on {self.judged_on.n} others",
        )  # fmt: skip
        gradient = self.chosen_on.mean(self.metric.name, GRADIENT).value
        axes.axhline(gradient, color="black", linewidth=0.5, linestyle=":", label="plain gradient")
        axes.set_xlabel("temperature", fontsize=8)
        axes.set_ylabel(f"{self.metric.title} ({self.metric.better} is better)", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=6)
        title = f"Temperature {self.temperature:.3g} for {self.chosen_on.settings['network']}"
        axes.set_title(wrapped(title, 4.0, 8), fontsize=8)
        return figure

    def save(self, path: str | Path) -> Path:
        """Write it to a file; the ending says how.

        Args:
            path: ``.csv``: the curve; ``.json``: curve, choice, settings and the sentence;
                ``.npz``: every number of both halves; ``.pdf``, ``.png``, ``.svg``: the figure.

        Raises:
            ValueError: For another ending.
        """
        path = files.checked_path(path, ENDINGS)
        if path.suffix == ".csv":
            return files.save_csv(path, self.rows())
        if path.suffix == ".json":
            return files.save_json(path, self.recipe())
        if path.suffix == ".npz":
            halves = {"chosen": self.chosen_on, "judged": self.judged_on}
            arrays = {
                f"{half}_{name}": values
                for half, one in halves.items()
                for name, values in one.arrays().items()
            }
            return files.save_npz(path, arrays, self.recipe())
        return files.save_figure(path, self.figure())

    def recipe(self) -> dict[str, Any]:
        """What was chosen and how, in what JSON can hold."""
        return {
            "temperature": self.temperature,
            "softening": expression.of_softening(self.softening),
            "metric": self.metric.name,
            "sentence": self.sentence,
            "n_chosen_on": self.chosen_on.n,
            "n_judged_on": self.judged_on.n,
            "value": _plain(self.value),
            "difference": _plain(self.difference),
            "curve": [
                {name: None if one != one else one for name, one in row.items()}
                for row in self.rows()
            ],
            "trials": [
                {**vars(one), "layers": list(one.layers), "mean": _plain(one.mean)}
                for one in self.trials
            ],
            "settings": self.chosen_on.settings,
        }


def _name(temperature: float) -> str:
    return f"T = {temperature!r}"


def _plain(interval: Interval) -> list[float]:
    return [interval.value, interval.low, interval.high]


def tune_temperature(
    model: Model | nn.Module,
    images: Any,
    metric: Any = "infidelity",
    *,
    temperatures: Sequence[float] = TEMPERATURES,
    softening: Softening | None = None,
    stages: bool = False,
    targets: str | int = "top",
    seed: int = 0,
    limit: int | None = None,
    batch_size: int | None = None,
    client: Any = None,
    progress: Report | None = None,
) -> Tuning:
    """Choose a temperature by a metric on one half of the images, and judge it on the other.

    Every second image chooses: the temperature with the best mean. What the others say of it is not
    made better by the choice. The network stays as it was.

    Args:
        model: A ``Model``, or a bare module with ImageNet preprocessing at 224 px.
        images: As for ``pw.evaluate``, at least two; an iterable is taken as a list.
        metric: A name of ``pw.METRICS``, or a metric.
        temperatures: What is tried, numbers above 0; by default eleven from 0.1 to 4, log-spaced,
            which suit relative temperatures.
        softening: What gets the temperatures; ``Softening.relative()`` by default.
        stages: Whether each stage, the layers of one resolution, then gets a factor of its own: one
            round of coordinate descent from the output back, two measurements a stage.
        targets: As for ``pw.evaluate``.
        seed: Of all chance.
        limit: At most so many images, spread over all of them.
        batch_size: Images that are recorded at once; by default as many as pay off.
        client: A ``dask.distributed.Client``.
        progress: Called with a ``Progress`` over all measurements after each batch; an exception
            that it raises ends the search.

    Returns:
        The choice, with the curve and its value on the other half.

    Raises:
        ValueError: For fewer than two images or temperatures, gates without a temperature, or where
            the metric has no number.
        TypeError: If the metric or the images are none.
    """
    model, softening = Model.of(model), Softening.checked(softening)
    several = sorted({checks.positive("temperature", one) for one in temperatures})
    if len(several) < 2:
        raise ValueError(
            f"There is {len(several)} temperature to choose from; give two or more, or leave "
            "temperatures out."
        )
    photographs = opened(images)
    if photographs.count is None:  # whose halves would have to be gone through at once
        photographs = opened(list(photographs))
    photographs = photographs.limited(limit)
    count = photographs.count or 0
    if count < 2:
        raise ValueError(
            f"There is {count} image; expected two or more, of which one half chooses and the "
            "other judges."
        )
    wanted = chosen_metrics(metric)[:1]
    gradient = explainer(Softening.hard())
    parts = stages_of(model) if stages else []
    if stages and len(parts) < 2:
        raise ValueError(
            f"{model.name} has {counted(len(parts), 'stage')} with gates; expected two or more, so "
            "leave stages out: one factor is a temperature."
        )
    done = 0
    total = count + len(FACTORS) * len(parts) * ((count + 1) // 2)

    def measured(first: int, methods: Sequence[Explainer]) -> Evaluation:
        nonlocal done
        half = photographs.part(first, 2)

        def report(one: Progress) -> None:
            if progress is not None:
                progress(Progress(done + one.done, total, one.fresh, one.seconds))

        found = measure(
            model, half, methods, wanted, targets, baseline=GRADIENT, seed=seed,
            batch_size=batch_size, client=client, progress=report,
        )  # fmt: skip
        if not found.complete:
            raise KeyboardInterrupt
        done += half.count or 0
        return found

    tried = [Pullback(_name(one), softening.with_temperature(one)) for one in several]
    chosen_on = measured(0, [*tried, gradient])
    curve = tuple(
        Point(
            temperature,
            chosen_on.mean(wanted[0].name, one.name),
            chosen_on.difference(wanted[0].name, one.name),
        )
        for temperature, one in zip(several, tried, strict=True)
    )
    known = [one for one in curve if one.mean.value == one.mean.value]
    if not known:
        raise ValueError(
            f"{wanted[0].name} has no number for any of these images; choose another metric."
        )
    sign = 1 if wanted[0].better == "higher" else -1
    best = max(known, key=lambda one: sign * one.mean.value)
    single = softening.with_temperature(best.temperature)

    def worth(tried: Softening) -> Interval:
        return measured(0, [Pullback(CHOSEN, tried), gradient]).mean(wanted[0].name, CHOSEN)

    chosen, trials = descend(single, parts, best.mean, sign, worth)
    judges = [
        Pullback(CHOSEN, chosen), Pullback(ONE, single), Pullback(GIVEN, softening), gradient,
    ]  # fmt: skip
    judged_on = measured(1, judges)
    return Tuning(chosen, wanted[0], curve, chosen_on, judged_on, softening, tuple(trials))
