"""Path stability: how early a network decides which gates are open, and what follows from it.

A unit's *activation state* for an input is 1[z > 0]. Satkiewicz (arXiv 2507.22832, section on
implications) conjectures that states become stable early in training, the more so the larger |z|
is in the final network, and that the mean state over training looks like the soft gate. Then the
gradient through the mean states, which is that of a kernel machine, is near the pullback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..drawing import expression, words
from ..drawing.paper import new_figure
from ..engine.model import Model
from ..evaluation.interval import Interval, bootstrap
from ..figures.declared import Request
from ..figures.provenance import provenance
from ..figures.result import Result
from .fit import FITTED, by_channel, difference, soft_gate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEMPERATURES = tuple(float(t) for t in np.round(np.geomspace(0.01, 5.0, 25), 4))
"""Relative temperatures at which pullbacks are compared."""

BINS = 20


@dataclass(eq=False, repr=False)
class Paths(Result):
    """Activation states of L layers over C checkpoints, for N inputs.

    The last checkpoint is the final network; what is said of stability compares the others with it.
    Followed units are all of a layer, or ``recorder.UNITS_PER_LAYER`` of them. Relative z are in
    units of each channel's scale, as relative temperatures are. Intervals of what is said of states
    are over channels, since units of a channel share their weights: over inputs, chance in the
    weights would look like an effect. Intervals of cosines are over inputs.

    Attributes:
        layers: Names of the layers whose ReLUs are followed.
        names: Of the checkpoints.
        agreement: Share of states that equal the final one, (L, C); the last column is 1.
        z: Pre-activations of the final network, for each layer (N, U), relative.
        channels: Of each layer: the channels of its followed units, (U,).
        scales: Of each layer: the mean scale of its channels.
        stability: Share of the earlier checkpoints whose state equals the final one, likewise.
        mean_state: Mean of 1[z > 0] over the earlier checkpoints, likewise. In the final one, z
            tells the state by definition.
        temperature: The one at which sigmoid(z / T) is nearest to the mean states of all layers,
            by least squares.
        layer_temperature: The same for each layer alone.
        errors: Mean squared distance of the mean states from the fitted sigmoid, from 1[z > 0],
            from 1/2, and from their own mean over units of the same z, which no function of z goes
            below.
        hard_excess: How much further the hard gate is from the mean states than the sigmoid.
        half_excess: How much further 1/2 is, a gate that knows nothing of z.
        temperatures: Relative temperatures of the pullbacks, (K,).
        cosines: Between the pullback and the gradient through these mean states, (N, K).
        plain_cosines: Between the plain gradient and it, (N,).
        fitted_cosines: Between the pullback at the fitted temperature and it, (N,).
        curve: Of each checkpoint, what the training said of it: loss and accuracy, (C, 2); NaN
            where it said nothing.
    """

    layers: list[str]
    names: list[str]
    agreement: NDArray[np.float64]
    z: list[NDArray[np.float32]]
    channels: list[NDArray[np.int64]]
    scales: list[float]
    stability: list[NDArray[np.float32]]
    mean_state: list[NDArray[np.float32]]
    temperature: Interval
    layer_temperature: list[Interval]
    errors: dict[str, float]
    hard_excess: Interval
    half_excess: Interval
    temperatures: tuple[float, ...] = TEMPERATURES
    cosines: NDArray[np.float64] | None = None
    plain_cosines: NDArray[np.float64] | None = None
    fitted_cosines: NDArray[np.float64] | None = None
    curve: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    model: Model | None = None
    """The final network, where it was trained here."""
    request: Any = None
    """What the training was asked for, a ``StabilityRequest``; None for one of the user's own."""
    progress: float = 1.0

    @property
    def chosen(self) -> dict[str, Any]:
        """What was chosen for the training, in what JSON can hold."""
        return {} if self.request is None else dict(self.request.settings())

    def networks(self) -> Sequence[Model]:
        return []  # the network is what came out, and no choice

    # What the hypothesis says, and what came out.

    @property
    def margin_effect(self) -> Interval:
        """Stability of the units with the largest quarter of ``|z|`` less that of the smallest.

        Quarters are of each layer; the interval is over channels.
        """
        rows = []
        for z, stability, channels in zip(self.z, self.stability, self.channels, strict=True):
            size = np.abs(z)
            low, high = np.quantile(size, [0.25, 0.75])
            large, small = size >= high, size <= low
            sums = [
                part.sum(axis=0) for part in (stability * large, large, stability * small, small)
            ]
            rows.append(by_channel(np.stack(sums, axis=1), channels))
        return bootstrap(np.concatenate(rows), difference)

    @property
    def gain(self) -> Interval | None:
        """Cosine of the pullback at the fitted temperature less that of the plain gradient."""
        if self.fitted_cosines is None or self.plain_cosines is None:
            return None
        return bootstrap(self.fitted_cosines - self.plain_cosines)

    def findings(self) -> list[tuple[str, str]]:
        """Each part of the hypothesis: whether this run supports it, and the figures.

        Returns:
            ``("supported" | "not supported" | "undecided", sentence)`` pairs.
        """
        effect, fit = self.margin_effect, self.errors
        nearness = min(self.hard_excess, self.half_excess, key=lambda excess: excess.low)
        found = [
            (
                _verdict(effect),
                "States are the more stable the larger |z|: the quarter of units with the largest "
                f"|z| agrees with the final network {100 * effect.value:+.1f} percentage points "
                f"more often than the quarter with the smallest (95 % interval "
                f"{100 * effect.low:+.1f} to {100 * effect.high:+.1f}).",
            ),
            (
                _verdict(nearness),
                f"The mean state looks like a soft gate: sigmoid(z / T) is nearest to it at T = "
                f"{self.temperature.value:.2g} channel scales{self._limit} (95 % interval "
                f"{self.temperature.low:.2g} to {self.temperature.high:.2g}); mean squared "
                f"distance {fit['sigmoid']:.4f}, the hard gate's {fit['step']:.4f}, that of 1/2 "
                f"for every z {fit['half']:.4f}, and {fit['best']:.4f} of any function of z.",
            ),
        ]
        gain = self.gain
        if gain is not None and self.plain_cosines is not None:
            found.append(
                (
                    _verdict(gain),
                    "The pullback is nearer to the gradient through the mean states than the plain "
                    f"gradient is: cosine {self.plain_cosines.mean() + gain.value:.3f} at the "
                    f"fitted T, against {self.plain_cosines.mean():.3f}; difference "
                    f"{gain.value:+.3f} (95 % interval {gain.low:+.3f} to {gain.high:+.3f}).",
                )
            )
        return found

    @property
    def _limit(self) -> str:
        """Whether the fitted temperature is one that no other was tried beyond, in words."""
        if self.temperature.value >= FITTED[-2]:
            return ", about the largest tried,"
        return ", about the smallest tried," if self.temperature.value <= FITTED[1] else ""

    # Curves.

    def stability_curve(self, layer: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Mean ``|z|`` and mean stability in bins of as many units each."""
        return _binned(np.abs(self.z[layer]), self.stability[layer])

    def state_curve(self, layer: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Mean z and mean state in bins of as many units each."""
        return _binned(self.z[layer], self.mean_state[layer])

    # A result.

    def summary(self) -> str:
        layers, points = (words.counted(len(self.layers), "layer"), len(self.names))
        return f"path stability of {layers} over {points} checkpoints"

    def arrays(self) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {
            "agreement": self.agreement,
            "temperatures": np.array(self.temperatures),
            "curve": self.curve,
        }
        for layer, name in enumerate(self.layers):
            for what in ("z", "channels", "stability", "mean_state"):
                found[f"{what}_{name}"] = getattr(self, what)[layer]
        for what in ("cosines", "plain_cosines", "fitted_cosines"):
            if getattr(self, what) is not None:
                found[what] = getattr(self, what)
        return found

    def settings(self) -> dict[str, Any]:
        return {
            "layers": self.layers,
            "checkpoints": self.names,
            "training": self.chosen,
            "findings": self.findings(),
            **provenance(),
        }

    def recipe(self, request: Request | None = None) -> dict[str, Any]:
        if self.request is None:
            raise ValueError(
                "The report is of a training of your own, which no recipe can hold; save it as "
                ".npz, and keep your training loop."
            )
        return super().recipe(request)

    def code(self) -> str:
        if self.request is not None:
            return super().code()
        made = "pw.record_paths(..., ...)  # your training loop, your inputs"
        return expression.script(f"paths = {made}", "paths.findings()")

    def figure(self) -> Figure:
        figure = new_figure(figsize=(10, 6.4), dpi=150, layout="constrained")
        self.draw(figure)
        return figure

    def draw(self, figure: Figure) -> None:
        """Draw the four curves into an empty figure."""
        top, bottom = figure.subplots(2, 2)
        self._draw_agreement(top[0])
        self._draw_stability(top[1])
        self._draw_states(bottom[0])
        self._draw_cosines(bottom[1])
        for axes in (*top, *bottom):
            axes.spines[["top", "right"]].set_visible(False)

    def _look(self, layer: int) -> dict[str, Any]:
        """Colour and dashes of a layer: told apart by either; of many layers, dark to bright."""
        count = len(self.layers)
        if count > len(_COLOURS):
            from matplotlib import colormaps

            return {"color": colormaps["viridis"](0.95 * layer / (count - 1)), "linewidth": 1.2}
        return {"color": _COLOURS[layer], "linestyle": _DASHES[layer], "linewidth": 1.8}

    def _draw_agreement(self, axes: Axes) -> None:
        places = np.arange(len(self.names))
        for layer, name in enumerate(self.layers):
            label = name if layer in _labelled(len(self.layers)) else None
            axes.plot(places, self.agreement[layer], label=label, **self._look(layer))
        axes.axhline(0.5, **_GUIDE)
        axes.annotate("chance: 0.5", (places[-1], 0.5), ha="right", va="bottom", fontsize=8)
        axes.set(
            title="Gates that stand as in the final network",
            xlabel=f"checkpoint ({self.names[0]} to {self.names[-1]})",
            ylabel="share",
            ylim=(min(0.45, float(self.agreement.min()) - 0.02), 1.02),
        )
        axes.legend(fontsize=8, frameon=False)

    def _draw_stability(self, axes: Axes) -> None:
        curves = [self.stability_curve(layer) for layer in range(len(self.layers))]
        for layer, curve in enumerate(curves):
            axes.plot(*curve, **self._look(layer))
        axes.axhline(0.5, **_GUIDE)
        axes.set(
            title="The clearer the final z, the more stable",
            xlabel="|z| of the final network, in channel scales",
            ylabel="share of earlier checkpoints",
            ylim=(min(0.45, *(float(stable.min()) - 0.02 for _, stable in curves)), 1.02),
        )

    def _draw_states(self, axes: Axes) -> None:
        for layer in range(len(self.layers)):
            axes.plot(*self.state_curve(layer), **self._look(layer))
        reach = max(float(np.quantile(np.abs(z), 0.95)) for z in self.z)
        z = np.linspace(-reach, reach, 201)
        fitted = soft_gate(z, self.temperature.value)
        axes.plot(z, fitted, color="#e8710a", linewidth=3, alpha=0.6)
        axes.annotate(
            f"sigmoid(z / T)\nT = {self.temperature}",
            (0.03, 0.95),
            xycoords="axes fraction",
            va="top",
            fontsize=8,
            color="#b35900",
        )
        axes.set(
            title="How often a gate was open in training",
            xlabel="z of the final network, in channel scales",
            ylabel="mean state",
            xlim=(-reach, reach),
            ylim=(-0.02, 1.02),
        )

    def _draw_cosines(self, axes: Axes) -> None:
        axes.set(
            title="Nearness to the gradient through the mean states",
            xlabel="relative temperature",
            ylabel="cosine",
            xscale="log",
        )
        if self.cosines is None or self.plain_cosines is None:
            axes.text(0.5, 0.5, "after the last checkpoint", ha="center", transform=axes.transAxes)
            return
        curve = [bootstrap(column) for column in self.cosines.T]
        axes.fill_between(
            self.temperatures, [c.low for c in curve], [c.high for c in curve], alpha=0.2,
            color="#e8710a", linewidth=0,
        )  # fmt: skip
        axes.plot(self.temperatures, [c.value for c in curve], color="#e8710a", label="pullback")
        plain = bootstrap(self.plain_cosines)
        axes.axhspan(plain.low, plain.high, alpha=0.2, color="#0b67c2", linewidth=0)
        axes.axhline(plain.value, color="#0b67c2", linestyle="--", label="plain gradient")
        axes.axvline(self.temperature.value, **_GUIDE)
        axes.annotate(
            "fitted T", (self.temperature.value, 0.02), xycoords=("data", "axes fraction"),
            fontsize=8, ha="right", rotation=90,
        )  # fmt: skip
        axes.legend(fontsize=8, frameon=False)


_GUIDE: dict[str, Any] = {"color": "#8a8a8a", "linewidth": 1, "linestyle": ":"}
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9")  # Okabe and Ito's
_DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))


def _labelled(layers: int) -> set[int]:
    """The layers that a legend has room for, first and last among them."""
    room = min(layers, len(_COLOURS))
    return {round(n * (layers - 1) / max(room - 1, 1)) for n in range(room)}


def _binned(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    parts = np.array_split(np.argsort(x, axis=None), min(BINS, x.size))
    flat_x, flat_y = x.ravel(), y.ravel()
    return np.array([flat_x[p].mean() for p in parts]), np.array([flat_y[p].mean() for p in parts])


def _verdict(effect: Interval) -> str:
    """What an interval says of a difference that should be positive."""
    if effect.low > 0:
        return "supported"
    return "not supported" if effect.high < 0 else "undecided"
