"""Networks whose answers are known, and batches in front of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from networks import image
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.evaluation.batch import Batch, Neighbour
from pullback_widgets.evaluation.methods import Explainer, explainer
from pullback_widgets.evaluation.metric import Metric

SIDE = 8


def plain(module: nn.Module, **options: Any) -> pw.Model:
    """A model that sees images as they are, (x + 1) / 2 - 0.5 over 0.5."""
    return pw.Model(module.eval(), mean=(0.5,) * 3, std=(0.5,) * 3, size=SIDE, **options)


def linear(weights: Tensor) -> nn.Module:
    """A network ``z = W x`` of weights (K, 3, H, W), in float64."""
    layer = nn.Linear(weights[0].numel(), len(weights), bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(weights.flatten(1))
    return nn.Sequential(nn.Flatten(), layer)


@pytest.fixture
def model_of() -> Callable[..., pw.Model]:
    return plain


@pytest.fixture
def weights() -> Tensor:
    """Of a linear network with three classes, (3, 3, H, W)."""
    return torch.stack([image(seed) for seed in (11, 12, 13)])


@pytest.fixture
def linear_model(weights: Tensor) -> pw.Model:
    return plain(linear(weights))


@pytest.fixture
def linear_of() -> Callable[[Tensor], pw.Model]:
    return lambda weights: plain(linear(weights))


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    def make(
        model: pw.Model,
        images: Tensor,
        targets: Sequence[int] | None = None,
        neighbours: Sequence[Neighbour] = (),
        **options: Any,
    ) -> Batch:
        session = pw.Session(model, images, range=(-1, 1))
        top = session.recording.class_logits().argmax(1).tolist()
        return Batch(session, list(targets or top), neighbours=neighbours, at_once=3, **options)

    return make


@pytest.fixture
def scores_of() -> Callable[..., list[list[float]]]:
    """A metric's numbers of some methods, (N, M)."""

    def scores(metric: Metric, batch: Batch, *methods: Any) -> list[list[float]]:
        several: list[Explainer] = [
            one if isinstance(one, Explainer) else explainer(one, f"{n}")
            for n, one in enumerate(methods)
        ]
        found: list[list[float]] = metric.scores(batch, several).tolist()
        return found

    return scores
