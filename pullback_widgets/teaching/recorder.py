"""Takes checkpoints of a training, and makes the report on path stability."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..engine.gate import Gate, GateKey
from ..engine.model import Direct, Model
from ..engine.recording import Recording
from ..engine.report import tell
from ..engine.softening import Softening
from ..engine.target import Logit, Target
from ..evaluation.interval import Interval, bootstrap
from ..figures.result import Progress, to_numpy
from .fit import by_channel, fit, losses, soft_gate, spread
from .paths import TEMPERATURES, Paths

UNITS_PER_LAYER = 500
"""So many units of a layer, chosen by chance, are followed at every checkpoint."""


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
        model = network if isinstance(network, Model) else Direct(network, calibration=self._inputs)
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
            _check_value(gate.pre_activation(), gate, len(self._inputs), name)
        if not self._names:
            recording.scores(self._targets(recording))  # raises now, and not after the training
            self._begin(gates)
        for layer, gate in enumerate(gates):
            opened = gate.pre_activation() > 0
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
            z = gate.pre_activation()
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
        targets, earlier = self._targets(recording), len(self._names) - 1
        means = {
            gate.key.turn: (opened - (gate.pre_activation() > 0).int()).double() / earlier
            for gate, opened in zip(recording.rectifiers, self._sums, strict=True)
        }
        mean = recording.pull(targets, Softening.hard(), states=means).flatten(1).double()

        def cosine(softening: Softening) -> NDArray[np.float64]:
            tell(recording, softening)
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
            z, scale, units = gate.pre_activation(), gate.channel_scale(), self._units[layer]
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
        by_temperature = [
            by_channel(losses(z, state), channels)
            for z, state, channels in zip(all_z, mean_state, all_channels, strict=True)
        ]
        temperature = fit(np.concatenate(by_temperature))
        flat_z, flat_state = np.concatenate(all_z, 1), np.concatenate(mean_state, 1)
        distances = {
            "sigmoid": np.square(soft_gate(flat_z, temperature.value) - flat_state),
            "step": np.square((flat_z > 0) - flat_state),
            "half": np.square(0.5 - flat_state),
        }
        # Channels of all layers, numbered one after the other.
        starts = np.cumsum([0, *(1 + channels.max() for channels in all_channels[:-1])])
        channels = np.concatenate([a + b for a, b in zip(starts, all_channels, strict=True)])

        def excess(name: str) -> Interval:
            further = (distances[name] - distances["sigmoid"]).mean(axis=0)
            rows = np.stack([further, np.ones(len(further))], axis=1)
            return bootstrap(by_channel(rows, channels), lambda sums: sums[:, 0] / sums[:, 1])

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
            layer_temperature=[fit(one) for one in by_temperature],
            errors={
                **{name: float(one.mean()) for name, one in distances.items()},
                "best": spread(flat_z, flat_state),
            },
            hard_excess=excess("step"),
            half_excess=excess("half"),
            temperatures=self._temperatures,
            curve=np.array(self._curve),
        )

    def _targets(self, recording: Recording) -> list[Target]:
        if self._target is not None:
            return [Logit(self._target)] * len(self._inputs)
        return [Logit(index) for index in recording.class_logits().argmax(1).tolist()]


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
