"""Gates along a path: what is left of a gradient after k of them, hard or soft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import checks
from ..drawing import expression, words
from ..drawing.paper import new_figure
from ..engine.gate import gate_values
from ..engine.softening import Softening
from ..figures.result import Result
from ..version import __version__
from .weights import checked_seed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PATHS = 2000
"""So many random paths are drawn."""

LONGEST = 64
"""Gates of a path at most."""

HARD, SOFT = "#0b67c2", "#e8710a"
SMALLEST = 1e-12
"""Products are shown down to here."""


@dataclass(eq=False, repr=False)
class GatePaths(Result):
    """P paths of k gates each, with pre-activations drawn from a histogram.

    The gradient that passes a path is a product of one number per gate: 0 or 1 if the gates are
    hard, ``g(z / T)`` if they are soft.

    Attributes:
        values: The pre-activations that are drawn from, (M,).
        softening: The gate and its temperature, in the units of ``values``.
        z: Pre-activations along the paths, (P, k).
        hard: ``1[z > 0]``, likewise.
        soft: ``g(z / T)``, likewise; the plain gradient's own where the softening is hard.
        shown: The path that is drawn alone.
        given: What the caller gave as values, None for the standard normal distribution.
    """

    values: NDArray[np.float64]
    softening: Softening
    z: NDArray[np.float64]
    hard: NDArray[np.float64]
    soft: NDArray[np.float64]
    shown: int = 0
    given: Any = None
    progress: float = 1.0

    @property
    def length(self) -> int:
        """k, the number of gates of a path."""
        return int(self.z.shape[1])

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

    def settings(self) -> dict[str, Any]:
        return {
            "temperature": self.softening.temperature,
            "gate": self.softening.gate,
            "length": self.length,
            "pullback_widgets": __version__,
        }

    def code(self) -> str:
        soft = self.softening
        gate = "sigmoid" if soft.is_hard else soft.gate  # at T = 0 both are the hard gate
        values = "" if self.given is None else "values=..., "
        shown = f", shown={self.shown}" if self.shown else ""
        return expression.script(
            f"paths = pw.gate_paths({values}temperature={soft.temperature}, gate={gate!r}, "
            f"length={self.length}{shown})",
            "paths.soft.prod(axis=1)",
        )

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
    gate: str = "sigmoid",
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
    if checks.whole("length", length) > LONGEST:
        raise ValueError(f"length is {length}; expected 1 to {LONGEST} gates.")
    if gate not in ("sigmoid", "normal"):
        raise ValueError(f"gate is {gate!r}; expected 'sigmoid' or 'normal'.")
    shown = checks.whole("shown", shown, least=0, most=PATHS - 1)
    known: Any = gate
    softening = Softening.hard() if temperature == 0 else Softening(temperature, known, "absolute")
    pool = checked_values(values)
    z = np.random.default_rng(checked_seed(seed)).choice(pool, (PATHS, LONGEST))[:, :length]
    soft = gate_values(softening, torch.from_numpy(z)).numpy()
    return GatePaths(pool, softening, z, (z > 0).astype(float), soft, shown, values)


def checked_values(values: Any) -> NDArray[np.float64]:
    """Pre-activations as one row of numbers; standard normal ones for None.

    Raises:
        TypeError: If they are no numbers.
        ValueError: If there are none, or some are not finite.
    """
    if values is None:
        return np.random.default_rng(0).standard_normal(10_000)
    try:
        pool = torch.as_tensor(values, dtype=torch.float64).detach().cpu().numpy().ravel()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"The pre-activations are {type(values).__name__}; expected a tensor or array of "
            "numbers, such as session.activations(layer)."
        ) from error
    if not len(pool) or not np.isfinite(pool).all():
        raise ValueError(
            f"There are {len(pool)} pre-activations, {int((~np.isfinite(pool)).sum())} of them not "
            "finite; give finite numbers, such as session.activations(layer)."
        )
    return pool
