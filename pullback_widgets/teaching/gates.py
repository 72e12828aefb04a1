"""Gates along a path: what is left of a gradient after k of them, hard or soft."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ..drawing import words
from ..drawing.paper import new_figure
from ..engine.gate import gate_values
from ..engine.softening import Softening
from ..figures.declared import Request, computed, drawn
from ..figures.kinds import Whole
from ..figures.result import Result, completed
from .kinds import Count, PreActivations, Seed, Shape, Temperature, checked_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PATHS = 2000
"""So many random paths are drawn."""

LONGEST = 64
"""Gates of a path at most."""

Gate = Literal["sigmoid", "normal"]

HARD, SOFT = "#0b67c2", "#e8710a"
SMALLEST = 1e-12
"""Products are shown down to here."""


@dataclass(frozen=True, eq=False)
class GatePathsRequest(Request):
    """What paths of gates are asked for; see ``pw.gate_paths``."""

    FUNCTION = "gate_paths"
    WIDGET = "GatePlayground"
    VARIABLE = "paths"
    FINALLY = "paths.soft.prod(axis=1)"

    values: Any = field(default=None, metadata=computed(PreActivations(optional=True)))
    _: KW_ONLY
    temperature: float = field(default=1.0, metadata=computed(Temperature()))
    gate: Gate = field(default="sigmoid", metadata=computed(Shape()))
    length: int = field(default=8, metadata=computed(Count(LONGEST, "gates")))
    seed: int = field(default=0, metadata=computed(Seed()))
    shown: int = field(default=0, metadata=drawn(Whole(0, PATHS - 1), trait="path"))


@dataclass(eq=False, repr=False)
class GatePaths(Result):
    """P paths of k gates each, with pre-activations drawn from a histogram.

    The gradient that passes a path is a product of one number per gate: 0 or 1 if the gates are
    hard, ``g(z / T)`` if they are soft.

    Attributes:
        request: What was asked for; ``length``, the k gates of a path, ``seed`` and ``shown``, the
            path that is drawn alone, read as attributes of the paths.
        values: The pre-activations that are drawn from, (M,).
        softening: The gate and its temperature, in the units of ``values``.
        z: Pre-activations along the paths, (P, k).
        hard: ``1[z > 0]``, likewise.
        soft: ``g(z / T)``, likewise; the plain gradient's own where the softening is hard.
    """

    request: GatePathsRequest
    values: NDArray[np.float64]
    softening: Softening
    z: NDArray[np.float64]
    hard: NDArray[np.float64]
    soft: NDArray[np.float64]
    progress: float = 1.0

    @property
    def open_share(self) -> float:
        """Share of paths that hard gates leave open."""
        return float(self.hard.prod(axis=1).mean())

    def passed(self) -> NDArray[np.float64]:
        """What passes each path of soft gates, (P,): products, 0 to 1."""
        return self.soft.prod(axis=1)

    def summary(self) -> str:
        return f"{len(self.z)} paths of {words.counted(self.length, 'gate')}"

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in ("values", "z", "hard", "soft")}

    def figure(self) -> Figure:
        figure = new_figure(figsize=(10, 3.4), dpi=150, layout="constrained")
        self.draw(figure)
        return figure

    def draw(self, figure: Figure) -> None:
        """Draw the gates, one path and all paths into an empty figure."""
        gates, one, every = figure.subplots(1, 3)
        self._draw_gates(gates)
        self._draw_path(one)
        self._draw_products(every)
        for axes in (gates, one, every):
            axes.spines[["top", "right"]].set_visible(False)

    def _draw_gates(self, axes: Axes) -> None:
        reach = float(np.clip(np.quantile(np.abs(self.values), 0.995) or 1.0, 1e-99, 1e99))
        counts, edges = np.histogram(self.values, bins=41, range=(-reach, reach))
        bars = counts / max(int(counts.max()), 1)
        axes.bar(edges[:-1], bars, np.diff(edges), align="edge", color="#8fa3bf", alpha=0.5)
        z = np.linspace(-reach, reach, 401)
        axes.plot(z, z > 0, color=HARD, linestyle="--", label="hard gate")
        if not self.softening.is_hard:
            soft = gate_values(self.softening, torch.from_numpy(z)).numpy()
            axes.plot(z, soft, color=SOFT, linewidth=2, label="soft gate")
        axes.set(
            title="One gate: what passes, over z",
            xlabel="pre-activation z (bars: how often)",
            ylabel="share of the gradient",
            ylim=(-0.03, 1.12),
        )
        axes.legend(fontsize=8, frameon=False, loc="upper left")

    def _draw_path(self, axes: Axes) -> None:
        places = np.arange(1, self.length + 1)
        soft, hard = self.soft[self.shown], self.hard[self.shown]
        axes.bar(places, soft, 0.7, color=SOFT, alpha=0.35, label="each gate")
        axes.step(places, np.cumprod(soft), where="mid", color=SOFT, linewidth=2, label="product")
        axes.step(
            places, np.cumprod(hard), where="mid", color=HARD, linestyle="--", label="hard product"
        )
        axes.set(
            title=f"Path {self.shown + 1}: gate by gate",
            xlabel="gate",
            ylim=(-0.03, 1.12),
            xlim=(0.4, self.length + 0.6),
        )
        axes.legend(fontsize=8, frameon=False, loc="upper right")

    def _draw_products(self, axes: Axes) -> None:
        places = np.arange(1, self.length + 1)
        products = np.maximum(np.cumprod(self.soft, axis=1), SMALLEST)
        low, middle, high = np.quantile(products, [0.1, 0.5, 0.9], axis=0)
        axes.fill_between(places, low, high, color=SOFT, alpha=0.25, linewidth=0)
        axes.plot(places, middle, color=SOFT, linewidth=2, label="soft: median (band 10-90 %)")
        share = np.maximum(np.cumprod(self.hard, axis=1).mean(axis=0), SMALLEST)
        still = np.cumprod(self.hard, axis=1).any(axis=0)
        axes.plot(
            places[still], share[still], color=HARD, linestyle="--", label="hard: share still open"
        )
        axes.set(
            title=f"{len(self.z)} random paths",
            xlabel="gates passed",
            yscale="log",
            ylim=(max(min(low.min(), share[still].min(initial=1.0)), SMALLEST) / 2, 2),
            xlim=(0.4, self.length + 0.6),
        )
        axes.legend(fontsize=8, frameon=False, loc="lower left")


def gate_paths(
    values: Any = None,
    *,
    temperature: float = 1.0,
    gate: Gate = "sigmoid",
    length: int = 8,
    seed: int = 0,
    shown: int = 0,
) -> GatePaths:
    """Draw random paths of gates, and what passes them.

    Args:
        values: Pre-activations to draw from, a tensor or array of any shape (for instance
            ``session.activations("layer1.0.conv1")``); 10,000 standard normal numbers by default.
        temperature: Of the soft gates, in the units of the values; 0 is the hard gate.
        gate: ``"sigmoid"`` or ``"normal"``.
        length: Gates of a path, 1 to 64.
        seed: Of the paths.
        shown: Number of the path that is drawn alone, from 0.

    Returns:
        The gates of ``PATHS`` paths; the gates of a path are drawn independently.

    Raises:
        TypeError: If the values are no numbers.
        ValueError: For a choice that makes no sense, or values that are not finite.
    """
    request = GatePathsRequest(
        values, temperature=temperature, gate=gate, length=length, seed=seed, shown=shown
    )
    return completed(compute(request))


def compute(request: GatePathsRequest) -> Iterator[GatePaths]:
    """All paths at once."""
    temperature = request.temperature
    hard = temperature == 0
    softening = Softening.hard() if hard else Softening(temperature, request.gate, "absolute")
    pool = checked_values(request.values)
    chance = np.random.default_rng(request.seed)
    z = chance.choice(pool, (PATHS, LONGEST))[:, : request.length]
    soft = gate_values(softening, torch.from_numpy(z)).numpy()
    yield GatePaths(request, pool, softening, z, (z > 0).astype(float), soft)
