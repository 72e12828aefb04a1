"""All metrics by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .curves import Deletion, Insertion
from .faithfulness import FaithfulnessCorrelation, FaithfulnessEstimate, MonotonicityCorrelation
from .infidelity import (
    AccumulatingInfidelity,
    Infidelity,
    UnscaledAccumulatingInfidelity,
    UnscaledInfidelity,
)
from .metric import Metric
from .mosaic import Focus, Localisation
from .sensitivity import MaxSensitivity, Randomisation, RandomLogit, TargetSensitivity
from .wholes import Completeness, Confirmed, Counterfactual

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        one.name: one
        for one in (
            Infidelity(),
            UnscaledInfidelity(),
            AccumulatingInfidelity(),
            UnscaledAccumulatingInfidelity(),
            FaithfulnessCorrelation(),
            FaithfulnessEstimate(),
            MonotonicityCorrelation(),
            MaxSensitivity(),
            TargetSensitivity(),
            RandomLogit(),
            Localisation(),
            Focus(),
            Deletion(),
            Insertion(),
            Randomisation(),
            Completeness(),
            Counterfactual(),
            Confirmed(),
        )
    }
)
"""The metrics by name; see the class of each."""

DEFAULT = (
    "infidelity",
    "faithfulness_correlation",
    "localisation",
    "deletion",
    "counterfactual",
    "target_sensitivity",
)
"""What is measured unless metrics are named."""

TARGET = METRICS["target_sensitivity"]
"""Which always stands beside."""


def metrics(wanted: Any) -> tuple[Metric, ...]:
    """The metrics that are meant, the cosine to the next class among them.

    Args:
        wanted: A name or a metric, several of them, or None for :data:`DEFAULT`.

    Raises:
        ValueError: For an unknown name, or two of one name.
        TypeError: For what is no metric.
    """
    several = DEFAULT if wanted is None else wanted
    several = several if isinstance(several, list | tuple) else [several]
    found = [_metric(one) for one in several]
    if TARGET.name not in [one.name for one in found]:
        found.append(TARGET)
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(
            f"The metric {twice!r} is there twice; give one of them another name, such as "
            f'dataclasses.replace(metric, name="{twice} 2").'
        )
    return tuple(found)


def _metric(one: Any) -> Metric:
    if isinstance(one, Metric):
        return one
    if not isinstance(one, str):
        raise TypeError(f"A metric is {one!r}; expected a name such as {', '.join(DEFAULT[:2])}.")
    if one not in METRICS:
        raise ValueError(f"There is no metric {one!r}; choose from {', '.join(METRICS)}.")
    return METRICS[one]


def written(metric: Metric) -> dict[str, Any]:
    """A metric and its settings, in what JSON can hold."""
    values = {name: one for name, one in vars(metric).items() if not name.startswith("_")}
    return {
        "metric": type(metric).__name__,
        **{name: list(one) if isinstance(one, tuple) else one for name, one in values.items()},
    }
