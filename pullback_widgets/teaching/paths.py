"""Path stability: how early a network decides which gates are open, and what follows from it.

A unit's *activation state* for an input is 1[z > 0]. Satkiewicz (arXiv 2507.22832, section on
implications) conjectures that states become stable early in training, the more so the larger |z|
is in the final network, and that the mean state over training looks like the soft gate. Then the
gradient through the mean states, which is that of a kernel machine, is near the pullback.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import code
from ..figures.result import Progress, Result, to_numpy
from ..gate import Gate, GateKey
from ..model import Direct, Model
from ..recording import Recording
from ..softening import Softening
from ..target import LOGITS, Logit, Target
from .interval import Interval, interval_of, mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEMPERATURES = tuple(float(t) for t in np.round(np.geomspace(0.01, 5.0, 25), 4))
"""Relative temperatures at which pullbacks are compared."""

FITTED = np.geomspace(0.005, 20.0, 73)
"""Relative temperatures at which the fit of the sigmoid is tried; the best lies between them."""

UNITS_PER_LAYER = 500
"""So many units of a layer, chosen by chance, are followed at every checkpoint."""

BINS = 20


@dataclass(eq=False, repr=False)
class Paths(Result):
    """Activation states of L layers over C checkpoints, for N inputs.

    The last checkpoint is the final network; what is said of stability compares the others with it.
    Followed units are all of a layer, or ``UNITS_PER_LAYER`` of them. Relative z are in units of
    each channel's scale, as relative temperatures are. Intervals of what is said of states are over
    channels, since units of a channel share their weights: over inputs, chance in the weights would
    look like an effect. Intervals of cosines are over inputs.

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
        cosines: Between the pullback and the gradient through the mean states, (N, K).
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
    made_by: str = ""
    """The line of Python that computes it."""
    chosen: dict[str, Any] = field(default_factory=dict)
    """What was chosen for the training, in what JSON can hold."""
    progress: float = 1.0

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
            rows.append(_by_channel(np.stack(sums, axis=1), channels))
        return interval_of(np.concatenate(rows), _difference)

    @property
    def gain(self) -> Interval | None:
        """Cosine of the pullback at the fitted temperature less that of the plain gradient."""
        if self.fitted_cosines is None or self.plain_cosines is None:
            return None
        return mean_interval(self.fitted_cosines - self.plain_cosines)

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
        layers, points = (code.counted(len(self.layers), "layer"), len(self.names))
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
        from .. import __version__

        return {
            "layers": self.layers,
            "checkpoints": self.names,
            "training": self.chosen,
            "findings": self.findings(),
            "pullback_widgets": __version__,
            "torch": torch.__version__,
        }

    def code(self) -> str:
        made = self.made_by or "pw.record_paths(..., ...)  # your training loop, your inputs"
        return code.script(f"paths = {made}", "paths.findings()")

    def figure(self) -> Figure:
        from ..paper import Paper

        figure = Paper(figsize=(10, 6.4), dpi=150, layout="constrained")
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
        fitted = 1 / (1 + np.exp(-np.clip(z / self.temperature.value, -50, 50)))
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
        curve = [mean_interval(column) for column in self.cosines.T]
        axes.fill_between(
            self.temperatures, [c.low for c in curve], [c.high for c in curve], alpha=0.2,
            color="#e8710a", linewidth=0,
        )  # fmt: skip
        axes.plot(self.temperatures, [c.value for c in curve], color="#e8710a", label="pullback")
        plain = mean_interval(self.plain_cosines)
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


def record_paths(
    training_loop: Iterable[Any] | Callable[[], Iterable[Any]],
    inputs: Any,
    *,
    network: nn.Module | Model | None = None,
    target: int | None = None,
    temperatures: Sequence[float] = TEMPERATURES,
    progress: Progress | None = None,
) -> Paths:
    """Follow the activation states of a network through its own training.

    Args:
        training_loop: What trains: an iterator, or a function without arguments that returns one,
            that yields the network whenever a checkpoint shall be taken, first best before the
            first step. If it trains on after the last one, its end is a checkpoint too. It may
            yield state dicts instead, saved checkpoints for instance; then ``network`` says whose.
        inputs: What the states are measured on, a tensor (N, ...) as the network takes it; images
            (N, 3, H, W) in [-1, 1] for a ``pw.Model``. 50 to 500 that were not trained on are
            usual; all pass at once.
        network: The network that state dicts belong to; a copy is filled.
        target: The class whose gradients are compared; by default each input's own top class.
        temperatures: Relative temperatures of the pullbacks.
        progress: Called with the share that is done once training is over.

    Returns:
        The report; ``findings()`` says what came out, ``figure()`` draws it.

    Raises:
        TypeError: If the loop is none, or yields something else.
        ValueError: If there are fewer than two checkpoints, no ReLU, other gates than before, or
            numbers that are not finite.
    """
    recorder = PathRecorder(inputs, target=target, temperatures=temperatures)
    shell = None if network is None else _copied(network)
    for number, state in enumerate(_iterated(training_loop)):
        recorder.add(_network_of(state, shell), str(number))
    recorder.catch_up()
    paths = recorder.states()
    for share in recorder.pullbacks(paths):
        if progress is not None:
            progress(share)
    return paths


class PathRecorder:
    """Takes checkpoints one by one, and reports on them at any time."""

    def __init__(
        self,
        inputs: Any,
        *,
        target: int | None = None,
        temperatures: Sequence[float] = TEMPERATURES,
    ) -> None:
        """See :func:`record_paths`."""
        self._inputs = _checked_inputs(inputs)
        self._target = target
        self._temperatures = tuple(map(float, temperatures))
        for one in self._temperatures:
            Softening.relative(one)  # raises with the reason
        self._names: list[str] = []
        self._curve: list[tuple[float, float]] = []
        self._keys: list[GateKey] = []
        self._units: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._states: list[list[NDArray[np.uint8]]] = []
        self._last: tuple[Model, Recording] | None = None
        self._weights: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._names)

    def add(
        self,
        network: nn.Module | Model,
        name: str,
        curve: tuple[float, float] = (float("nan"), float("nan")),
    ) -> None:
        """Take a checkpoint: the states of all gates, for all inputs.

        Args:
            network: As it is now; it is not changed.
            name: Of the checkpoint.
            curve: Loss and accuracy, where they are known.

        Raises:
            ValueError: If there is no ReLU, there were others before, pre-activations are not
                finite, or the network has no such target.
        """
        model = network if isinstance(network, Model) else _direct(network, self._inputs)
        recording = Recording(model, self._inputs)
        gates = recording.rectifiers
        keys = [gate.key for gate in gates]
        if not keys:
            raise ValueError(
                f"The network {model.name} has no ReLU that could be followed; "
                "pw.report(model) lists what its nonlinearities are."
            )
        if self._names and keys != self._keys:
            raise ValueError(
                f"Checkpoint {name} has {len(keys)} gates in other places than the "
                f"{len(self._keys)} of the first one; record checkpoints of one and the same "
                "network."
            )
        for gate in gates:
            _check_value(_value(gate), gate, len(self._inputs), name)
        if not self._names:
            recording.scores(self._targets(recording))  # raises now, and not after the training
            self._begin(gates)
        for layer, gate in enumerate(gates):
            opened = _value(gate) > 0
            self._sums[layer] += opened
            followed = opened.flatten(1)[:, self._units[layer]]
            self._states[layer].append(np.packbits(to_numpy(followed), axis=1))
        self._names.append(name)
        self._curve.append(curve)
        self._last, self._weights = (model, recording), _versions(model)

    def catch_up(self) -> None:
        """Take one more checkpoint if the last network has been trained on since."""
        if self._last is not None and _versions(self._last[0]) != self._weights:
            self.add(self._last[0], f"{len(self._names)}, the end")

    def _begin(self, gates: Sequence[Gate]) -> None:
        chance = torch.Generator().manual_seed(0)
        for gate in gates:
            z = _value(gate)
            units = z[0].numel()
            self._keys.append(gate.key)
            chosen = torch.randperm(units, generator=chance)[:UNITS_PER_LAYER].sort().values
            self._units.append(chosen.to(z.device))
            self._sums.append(torch.zeros(z.shape, dtype=torch.int32, device=z.device))
            self._states.append([])

    def pullbacks(self, paths: Paths) -> Iterator[float]:
        """Fill in the cosines of a report on all checkpoints.

        Yields:
            The share that is done.
        """
        assert self._last is not None
        _, recording = self._last
        targets, count = self._targets(recording), len(self._names)
        means = {
            key.turn: s.double() / count for key, s in zip(self._keys, self._sums, strict=True)
        }
        mean = recording.pull(targets, Softening.hard(), states=means).flatten(1).double()

        def cosine(softening: Softening) -> NDArray[np.float64]:
            pulled = recording.pull(targets, softening).flatten(1).double()
            return to_numpy(F.cosine_similarity(pulled, mean, dim=1))

        cosines = np.empty((len(self._inputs), len(self._temperatures)))
        for number, temperature in enumerate(self._temperatures):
            cosines[:, number] = cosine(Softening.relative(temperature))
            yield (number + 1) / len(self._temperatures)
        paths.plain_cosines = cosine(Softening.hard())
        paths.fitted_cosines = cosine(Softening.relative(paths.temperature.value))
        paths.cosines = cosines

    def states(self) -> Paths:
        """The report without cosines; the last checkpoint is taken as the final network.

        Raises:
            ValueError: If there are fewer than two checkpoints.
        """
        if len(self._names) < 2 or self._last is None:
            raise ValueError(
                f"There are {len(self._names)} checkpoints; expected at least two. Let the "
                "training loop yield the network before the first step and after each epoch."
            )
        _, recording = self._last
        all_z, all_channels, all_scales, stability, mean_state = [], [], [], [], []
        agreement = np.ones((len(self._keys), len(self._names)))
        for layer, gate in enumerate(recording.rectifiers):
            z, scale, units = _value(gate), gate.channel_scale(), self._units[layer]
            relative = z / scale.clamp_min(torch.finfo(z.dtype).tiny).view(-1, *[1] * (z.dim() - 2))
            states = np.stack(
                [np.unpackbits(one, axis=1, count=len(units)) for one in self._states[layer]]
            )
            equal = states == states[-1]
            agreement[layer] = equal.mean(axis=(1, 2))
            all_z.append(to_numpy(relative.flatten(1)[:, units]).astype(np.float32))
            all_channels.append(to_numpy(units // z[0, 0].numel()))
            all_scales.append(float(scale.mean()))
            stability.append(equal[:-1].mean(axis=0, dtype=np.float32))
            mean_state.append(states[:-1].mean(axis=0, dtype=np.float32))
        losses = [
            _by_channel(_losses(z, state), channels)
            for z, state, channels in zip(all_z, mean_state, all_channels, strict=True)
        ]
        temperature = _fit(np.concatenate(losses))
        flat_z, flat_state = np.concatenate(all_z, 1), np.concatenate(mean_state, 1)
        distances = {
            "sigmoid": np.square(_sigmoid(flat_z / temperature.value) - flat_state),
            "step": np.square((flat_z > 0) - flat_state),
            "half": np.square(0.5 - flat_state),
        }
        # Channels of all layers, numbered one after the other.
        starts = np.cumsum([0, *(1 + channels.max() for channels in all_channels[:-1])])
        channels = np.concatenate([a + b for a, b in zip(starts, all_channels, strict=True)])

        def excess(name: str) -> Interval:
            further = (distances[name] - distances["sigmoid"]).mean(axis=0)
            rows = np.stack([further, np.ones(len(further))], axis=1)
            return interval_of(_by_channel(rows, channels), lambda sums: sums[:, 0] / sums[:, 1])

        return Paths(
            layers=_layer_names(self._keys),
            names=list(self._names),
            agreement=agreement,
            z=all_z,
            channels=all_channels,
            scales=all_scales,
            stability=stability,
            mean_state=mean_state,
            temperature=temperature,
            layer_temperature=[_fit(one) for one in losses],
            errors={
                **{name: float(one.mean()) for name, one in distances.items()},
                "best": _spread(flat_z, flat_state),
            },
            hard_excess=excess("step"),
            half_excess=excess("half"),
            temperatures=self._temperatures,
            curve=np.array(self._curve),
        )

    def _targets(self, recording: Recording) -> list[Target]:
        if self._target is not None:
            return [Logit(self._target)] * len(self._inputs)
        return [Logit(index) for index in recording.value(LOGITS).argmax(1).tolist()]


def _value(gate: Gate) -> Tensor:
    """What entered a rectifier."""
    assert gate.input is not None
    return gate.input.get(last=False)


def _by_channel(values: NDArray[Any], channels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums over the units of each channel: from (U, K) to a row for each channel there is."""
    _, groups = np.unique(channels, return_inverse=True)
    sums = np.zeros((int(groups.max()) + 1, *values.shape[1:]))
    np.add.at(sums, groups, values)
    return sums


def _difference(sums: NDArray[Any]) -> NDArray[Any]:
    """The mean of some values less that of others, from the sums and counts of either, (R, 4)."""
    counts = np.maximum(sums[:, 1::2], np.finfo(float).tiny)  # none in an odd sample of channels
    means = sums[:, ::2] / counts
    return np.asarray(means[:, 0] - means[:, 1])


def _losses(z: NDArray[Any], state: NDArray[Any]) -> NDArray[np.float64]:
    """Mean squared error of the gate at every temperature of FITTED, (U, len(FITTED))."""
    result = np.empty((z.shape[1], len(FITTED)))
    for number, temperature in enumerate(FITTED):
        result[:, number] = np.square(_sigmoid(z / np.float32(temperature)) - state).mean(axis=0)
    return result


def _fit(losses: NDArray[np.float64]) -> Interval:
    """The temperature of least loss, with its interval over the rows."""
    return interval_of(losses, _best)


def _best(losses: NDArray[Any]) -> NDArray[Any]:
    """The temperatures of least loss, each by a parabola through the three lowest points."""
    losses = np.atleast_2d(losses)
    middle = np.clip(losses.argmin(axis=1), 1, len(FITTED) - 2)
    left, centre, right = (losses[np.arange(len(losses)), middle + k] for k in (-1, 0, 1))
    bend = left - 2 * centre + right
    shift = 0.5 * (left - right) / np.where(bend > 0, bend, np.inf)
    step = np.log(FITTED[1] / FITTED[0])
    return FITTED[middle] * np.exp(np.clip(shift, -1, 1) * step)


def _sigmoid(u: NDArray[Any]) -> NDArray[Any]:
    return 1 / (1 + np.exp(-np.clip(u, -50, 50)))


def _binned(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    parts = np.array_split(np.argsort(x, axis=None), min(BINS, x.size))
    flat_x, flat_y = x.ravel(), y.ravel()
    return np.array([flat_x[p].mean() for p in parts]), np.array([flat_y[p].mean() for p in parts])


def _spread(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Variance of y among values of about the same x: in up to 400 bins of at least 20 values."""
    parts = np.array_split(np.argsort(x, axis=None), min(max(x.size // 20, 1), 400))
    flat = y.ravel()
    return float(np.average([flat[p].var() for p in parts], weights=[len(p) for p in parts]))


def _verdict(effect: Interval) -> str:
    """What an interval says of a difference that should be positive."""
    if effect.low > 0:
        return "supported"
    return "not supported" if effect.high < 0 else "undecided"


def _checked_inputs(inputs: Any) -> Tensor:
    """A batch of inputs."""
    try:
        batch = torch.as_tensor(inputs)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"The inputs are {type(inputs).__name__}; expected a tensor (N, ...) as the network "
            "takes it."
        ) from error
    if batch.dim() < 2 or len(batch) < 2:
        raise ValueError(
            f"The inputs have shape {tuple(batch.shape)}; expected a batch (N, ...) of at least "
            "two, as the network takes them."
        )
    if not torch.isfinite(batch).all():
        raise ValueError("Some inputs are not finite; take out those with NaN or infinity.")
    return batch


def _check_value(z: Tensor, gate: Gate, count: int, name: str) -> None:
    """Refuse what could not be followed."""
    where = f"gate {gate.key.turn} ({gate.key.path or 'of the forward itself'})"
    if z.dim() < 2 or len(z) != count:
        raise ValueError(
            f"What enters {where} has shape {tuple(z.shape)} for {count} inputs; expected one row "
            "for each input, (N, ...)."
        )
    if not torch.isfinite(z).all():
        raise ValueError(
            f"In checkpoint {name}, pre-activations of {where} are not finite: the training "
            "diverged; choose a smaller learning rate."
        )


def _layer_names(keys: Sequence[GateKey]) -> list[str]:
    """The layers in which gates run; those that share a layer are told apart by their turn."""
    paths = [key.path for key in keys]
    return [
        key.path
        if key.path and paths.count(key.path) == 1
        else f"{key.path} gate {key.turn}".strip()
        for key in keys
    ]


def _versions(model: Model) -> list[tuple[int, int]]:
    """Changes whenever weights do: every write to a tensor counts its version up."""
    tensors = itertools.chain(model.module.parameters(), model.module.buffers())
    return [(id(one), one._version) for one in tensors]


def _direct(network: nn.Module, inputs: Tensor) -> Model:
    return Direct(network, calibration=inputs)


def _copied(network: nn.Module | Model) -> nn.Module | Model:
    copied = copy.copy(network) if isinstance(network, Model) else copy.deepcopy(network)
    if isinstance(copied, Model):
        copied.module = copy.deepcopy(copied.module)
    return copied


def _iterated(training_loop: Any) -> Iterator[Any]:
    """The checkpoints that a loop yields."""
    network = isinstance(training_loop, nn.Module)  # which may be iterable and is callable
    call = callable(training_loop) and not network
    loop = training_loop() if call else training_loop
    if network or not isinstance(loop, Iterable):
        what = "returned" if call else "is"
        raise TypeError(
            f"The training loop {what} {type(loop).__name__}; expected an iterator of checkpoints, "
            "such as a function that trains and says `yield network` after each epoch."
        )
    return iter(loop)


def _network_of(state: Any, shell: nn.Module | Model | None) -> nn.Module | Model:
    """The network of a checkpoint."""
    if isinstance(state, nn.Module | Model):
        return state
    if isinstance(state, dict) and shell is not None:
        (shell.module if isinstance(shell, Model) else shell).load_state_dict(state)
        return shell
    expected = "the network, or a state dict of it (then give network=...)"
    raise TypeError(f"The training loop yielded {type(state).__name__}; expected {expected}.")
