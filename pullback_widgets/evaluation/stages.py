"""The stages of a network, each with a factor of its own on the temperature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..engine.model import Model
from ..engine.session import Session
from ..engine.softening import Softening
from .interval import Interval

FACTORS = (0.5, 2.0)
"""What is tried of each stage beside 1."""


@dataclass(frozen=True)
class Trial:
    """A factor that was tried of a stage.

    Attributes:
        stage: The stage's number, from 0 in forward order.
        layers: The layers with gates in it.
        factor: On the temperature of these.
        mean: Of the metric, with its 95 % interval, on the half that chooses.
        kept: Whether it was better than what was best before.
    """

    stage: int
    layers: tuple[str, ...]
    factor: float
    mean: Interval
    kept: bool


def stages_of(model: Model) -> list[tuple[str, ...]]:
    """The layers in which gates run, those of one resolution together, in forward order.

    Gates that run in the network itself, in no layer of it, belong to none.
    """
    recording = Session(model, model.blank()).recording
    shapes = {layer.name: layer.shape for layer in recording.layers}
    found: dict[tuple[int, ...], dict[str, None]] = {}
    for gate in recording.rectifiers:
        shape = shapes.get(gate.key.path)
        if shape is not None:
            found.setdefault(tuple(shape[1:]), {})[gate.key.path] = None
    return [tuple(layers) for layers in found.values()]


def descend(
    softening: Softening,
    stages: list[tuple[str, ...]],
    best: Interval,
    sign: int,
    measured: Callable[[Softening], Interval],
) -> tuple[Softening, list[Trial]]:
    """Give each stage in turn, from the output back, the factor that is best with the others.

    One round of coordinate descent: two measurements for each stage.

    Args:
        softening: To begin with.
        stages: The layers of each.
        best: Its mean.
        sign: 1 where higher is better, -1 where lower is.
        measured: From a softening to its mean.

    Returns:
        The best softening, and all that was tried.
    """
    trials: list[Trial] = []
    for number in reversed(range(len(stages))):
        layers, start = stages[number], softening
        for factor in FACTORS:
            own = {name: factor * start.factors.get(name, 1.0) for name in layers}
            tried = start.with_factors({**start.factors, **own})
            mean = measured(tried)
            kept = sign * mean.value > sign * best.value
            if kept:  # of two that are better, the best
                softening, best = tried, mean
                trials = [
                    replace(one, kept=False) if one.stage == number else one for one in trials
                ]
            trials.append(Trial(number, layers, factor, mean, kept))
    return softening, trials
