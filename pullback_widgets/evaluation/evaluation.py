"""What was measured: a table with intervals, a figure, files, and a sentence."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..drawing import files
from ..drawing.paper import new_figure, wrapped
from ..drawing.words import counted
from .batch import Scores
from .interval import Interval, intervals
from .metric import Metric
from .metrics import TARGET

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IGNORES = 0.9
"""Maps of two classes with a cosine above this, in the mean, are taken to be one map."""

ENDINGS = (".csv", ".json", ".npz", ".pdf", ".png", ".svg")


@dataclass(eq=False)
class Parts:
    """The results of batches, one after the other.

    Attributes:
        names: Of the images.
        targets: The class of each.
        skipped: Images that could not be read.
        problems: Why a control has no numbers, by its name.
    """

    names: list[str] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    _scores: dict[str, list[Scores]] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        """How many images were read or skipped."""
        return len(self.names) + len(self.skipped)

    def add(self, content: Mapping[str, Any]) -> None:
        """Take over what ``plan.measured`` returned."""
        self.names += content["names"]
        self.targets += content["targets"]
        self.skipped += content["skipped"]
        self.problems.update(content["problems"])
        for name, rows in content["scores"].items():
            self._scores.setdefault(name, []).append(np.array(rows, float))  # None becomes NaN

    def scores(self, metric: str) -> Scores:
        """The numbers of a metric, (n, methods)."""
        return np.concatenate(self._scores[metric])


@dataclass(eq=False, repr=False)
class Evaluation:
    """M methods by metrics on n images.

    Attributes:
        methods: Their names, the controls last.
        metrics: The metrics.
        baseline: The method that the others are compared with.
        controls: Those of the methods that stand beside.
        settings: All that the numbers depend on, with versions and the hash of the weights.
        parts: Names, targets, and what was left out.
        complete: Whether all images were measured.
        rate: Images a second, of those that were measured now.
    """

    methods: tuple[str, ...]
    metrics: tuple[Metric, ...]
    baseline: str
    controls: tuple[str, ...]
    settings: dict[str, Any]
    parts: Parts
    complete: bool = True
    rate: float = 0.0

    @property
    def n(self) -> int:
        """How many images were measured."""
        return len(self.parts.names)

    def scores(self, metric: str) -> Scores:
        """A metric's number of each image and method, (n, M); NaN where there is none."""
        return self.parts.scores(self._metric(metric).name)

    def mean(self, metric: str, method: str) -> Interval:
        """A method's mean over the images, with its 95 % interval."""
        return self._cells[self._metric(metric).name, self._method(method)][0]

    def difference(self, metric: str, method: str) -> Interval:
        """The mean of a method minus the baseline, image by image, with its 95 % interval."""
        return self._cells[self._metric(metric).name, self._method(method)][1]

    def counted(self, metric: str, method: str) -> int:
        """How many images have a number of a method."""
        return int((~np.isnan(self.scores(metric)[:, self._method(method)])).sum())

    def verdict(self, metric: str, method: str) -> str:
        """``"better"`` or ``"worse"`` than the baseline, where the interval excludes zero."""
        found = self.difference(metric, method)
        if method == self.baseline or not (found.low > 0 or found.high < 0):
            return ""
        better = (found.value > 0) == (self._metric(metric).better == "higher")
        return "better" if better else "worse"

    @functools.cached_property
    def _cells(self) -> dict[tuple[str, int], tuple[Interval, Interval]]:
        """Mean and difference of each metric and method, by one bootstrap for all."""
        column = self.methods.index(self.baseline)
        blocks = []
        for metric in self.metrics:
            values = self.parts.scores(metric.name)
            blocks += [values, values - values[:, [column]]]
        found, count = intervals(np.concatenate(blocks, axis=1)), len(self.methods)
        return {
            (metric.name, n): (found[2 * m * count + n], found[(2 * m + 1) * count + n])
            for m, metric in enumerate(self.metrics)
            for n in range(count)
        }

    def _metric(self, name: str) -> Metric:
        for one in self.metrics:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in self.metrics)
        raise ValueError(f"The metric {name!r} was not measured; choose from {names}.")

    def _method(self, name: str) -> int:
        if name not in self.methods:
            raise ValueError(
                f"The method {name!r} was not measured; choose from {', '.join(self.methods)}."
            )
        return self.methods.index(name)

    # What is said ---------------------------------------------------------------------------------

    def ignores_target(self, method: str) -> bool:
        """Whether a method's map is hardly another one for another class."""
        known = any(one.name == TARGET.name for one in self.metrics)
        return known and self.mean(TARGET.name, method).value > IGNORES

    @property
    def warnings(self) -> list[str]:
        """What to know before the table is believed, a sentence each."""
        found = [
            f"{_upper(method)} hardly depends on the target: the maps of two classes have the "
            f"cosine {self.mean(TARGET.name, method).value:.2f}."
            for method in self.methods
            if self.ignores_target(method)
        ]
        found += [f"{_upper(name)} is left out: {why}" for name, why in self.parts.problems.items()]
        if self.parts.skipped:
            named = ", ".join(self.parts.skipped[:3]) + (
                ", …" if len(self.parts.skipped) > 3 else ""
            )
            found.append(f"Not read: {counted(len(self.parts.skipped), 'image')} ({named}).")
        if not self.complete:
            of = self.settings.get("images")
            found.append(f"Stopped after {self.parts.seen} of {of or 'so many'} images.")
        return found

    @property
    def sentence(self) -> str:
        """What the table shows and what it does not, in words."""
        said = [f"n = {self.n}"]
        asked = [one for one in self.methods if one not in self.controls and one != self.baseline]
        said += [self._against(one) for one in asked]
        fooled = [
            one for one in self.methods if self.ignores_target(one) and self._won(one, "better")
        ]
        said += [f"{self._against(one)}, and hardly depends on the target" for one in fooled]
        return (
            f"{'; '.join(dict.fromkeys(said))}. Intervals are over images, of this network alone; "
            "no metric shows that what a person sees in a map is what the network uses."
        )

    def _against(self, method: str) -> str:
        better, worse = (len(self._won(method, verdict)) for verdict in ("better", "worse"))
        total = len([one for one in self.metrics if one.name != TARGET.name])
        return (
            f"{method}: better than {self.baseline} in {better} of {counted(total, 'metric')}, "
            f"worse in {worse}"
        )

    def _won(self, method: str, verdict: str) -> list[str]:
        return [
            one.name
            for one in self.metrics
            if one.name != TARGET.name and self.verdict(one.name, method) == verdict
        ]

    def rows(self) -> list[dict[str, Any]]:
        """A line for each metric and method: means, differences, their intervals, n."""
        return [
            {
                "metric": metric.name,
                "better": metric.better,
                "method": method,
                "control": method in self.controls,
                "mean": mean.value,
                "low": mean.low,
                "high": mean.high,
                "difference": difference.value,
                "difference_low": difference.low,
                "difference_high": difference.high,
                "verdict": self.verdict(metric.name, method),
                "n": self.counted(metric.name, method),
                "seed": self.settings.get("seed"),
            }
            for metric in self.metrics
            for method in self.methods
            for mean in [self.mean(metric.name, method)]
            for difference in [self.difference(metric.name, method)]
        ]

    def table(self) -> Any:
        """The lines of :meth:`rows`: a pandas DataFrame, or a dict of columns without pandas."""
        rows = self.rows()
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        try:
            import pandas as pd
        except ModuleNotFoundError:
            return columns
        return pd.DataFrame(columns)

    def text(self) -> str:
        """The table for a terminal: means, and differences to the baseline with intervals."""
        lines = []
        width = max(map(len, self.methods))
        for metric in self.metrics:
            lines.append(f"{metric.name} ({metric.better} is better)")
            for method in self.methods:
                lines.append(f"  {method:{width}}  {self._cell(metric.name, method)}".rstrip())
        return "\n".join([*lines, "", self.sentence, *self.warnings])

    def _cell(self, metric: str, method: str) -> str:
        mean, against = self.mean(metric, method), self.difference(metric, method)
        if math.isnan(mean.value):
            return "-"
        said = f"{mean.value:<9.3g} [{mean.low:.3g}, {mean.high:.3g}]"
        if method == self.baseline or math.isnan(against.value):
            return said
        change = f"{against.value:+.3g} [{against.low:+.3g}, {against.high:+.3g}]"
        return f"{said:32}  {change}  {self.verdict(metric, method)}"

    def __repr__(self) -> str:
        size = f"{counted(len(self.methods), 'method')} x {counted(len(self.metrics), 'metric')}"
        state = "complete" if self.complete else "stopped"
        return f"<Evaluation: {size} on {counted(self.n, 'image')}; {state}>"

    def __str__(self) -> str:
        return self.text()

    # What is kept ---------------------------------------------------------------------------------

    def figure(self) -> Figure:
        """Means as dots and intervals as bars, a panel for each metric, for print."""
        across = min(3, len(self.metrics))
        down = -(-len(self.metrics) // across)
        height = 0.7 + 0.22 * len(self.methods)
        figure = new_figure(figsize=(1.6 + 2.1 * across, height * down + 0.6), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False, sharey=True)
        for panel in panels.flat[len(self.metrics) :]:
            panel.set_axis_off()
        for metric, panel in zip(self.metrics, panels.flat, strict=False):
            self._draw(panel, metric)
        title = f"Means over {counted(self.n, 'image')} with 95 % intervals, (c) for controls"
        title += "" if self.complete else "; stopped"
        figure.suptitle(wrapped(title, figure.get_figwidth(), 8), fontsize=8)
        return figure

    def _draw(self, panel: Any, metric: Metric) -> None:
        places = np.arange(len(self.methods))
        for place, method in zip(places, self.methods, strict=True):
            mean = self.mean(metric.name, method)
            colour = "tab:gray" if method in self.controls else "tab:blue"
            if not math.isnan(mean.value):
                panel.plot([mean.low, mean.high], [place, place], color=colour, linewidth=1.5)
                panel.plot([mean.value], [place], "o", color=colour, markersize=4)
        baseline = self.mean(metric.name, self.baseline).value
        if not math.isnan(baseline):
            panel.axvline(baseline, color="black", linewidth=0.5, linestyle=":")
        names = [f"{one} (c)" if one in self.controls else one for one in self.methods]
        panel.set_yticks(places, names, fontsize=7)
        panel.set_ylim(len(places) - 0.5, -0.5)
        panel.tick_params(axis="x", labelsize=6)
        title = f"{metric.title}\n{metric.better} is better"
        panel.set_title(wrapped(title, 2.1, 7), fontsize=7)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every number, by metric, with the images' names and targets."""
        found: dict[str, NDArray[Any]] = {
            one.name: self.parts.scores(one.name) for one in self.metrics
        }
        return {
            **found,
            "methods": np.array(self.methods),
            "names": np.array(self.parts.names),
            "targets": np.array(self.parts.targets),
        }

    def recipe(self) -> dict[str, Any]:
        """Settings, the table and what is said of it, in what JSON can hold."""
        rows = [
            {name: None if value != value else value for name, value in row.items()}
            for row in self.rows()
        ]
        return {
            "settings": self.settings,
            "n": self.n,
            "complete": self.complete,
            "sentence": self.sentence,
            "warnings": self.warnings,
            "table": rows,
        }

    def save(self, path: str | Path) -> Path:
        """Write it to a file; the ending says how.

        Args:
            path: ``.csv``: the table; ``.json``: the table, the settings that made it, and what is
                said of it; ``.npz``: every number of every image, with the settings; ``.pdf``,
                ``.png``, ``.svg``: the figure.

        Raises:
            ValueError: For another ending.
        """
        path = files.checked_path(path, ENDINGS)
        if path.suffix == ".csv":
            return files.save_csv(path, self.rows())
        if path.suffix == ".json":
            return files.save_json(path, self.recipe())
        if path.suffix == ".npz":
            return files.save_npz(path, self.arrays(), self.settings)
        return files.save_figure(path, self.figure())


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
