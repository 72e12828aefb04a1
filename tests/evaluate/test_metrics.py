"""Every metric where its answer is known in closed form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from networks import image, network, wrap
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.evaluation.batch import Batch
from pullback_widgets.evaluation.curves import Deletion, Insertion
from pullback_widgets.evaluation.faithfulness import (
    FaithfulnessCorrelation,
    FaithfulnessEstimate,
    MonotonicityCorrelation,
)
from pullback_widgets.evaluation.infidelity import (
    AccumulatingInfidelity,
    Infidelity,
    UnscaledAccumulatingInfidelity,
    UnscaledInfidelity,
)
from pullback_widgets.evaluation.methods import EdgeMap, Explainer, RandomMap, explainer
from pullback_widgets.evaluation.metric import Metric
from pullback_widgets.evaluation.metrics import METRICS
from pullback_widgets.evaluation.mosaic import Focus, Localisation, neighbours
from pullback_widgets.evaluation.sensitivity import (
    MaxSensitivity,
    Randomisation,
    RandomLogit,
    TargetSensitivity,
    other_classes,
    randomised,
)
from pullback_widgets.evaluation.statistics import ranks
from pullback_widgets.evaluation.wholes import Completeness, Confirmed, Counterfactual

HARD = pw.Softening.hard()

Scored = Callable[..., list[list[float]]]
Batched = Callable[..., Batch]


@dataclass(frozen=True)
class Times(Explainer):
    """Another method's map times a number."""

    inner: Explainer
    factor: float
    name: str = "times"

    def explain(self, session: pw.Session, targets: Any) -> Tensor:
        return self.factor * self.inner.explain(session, targets)

    def written(self) -> str:
        return f"{self.factor} {self.inner.written()}"


def times(factor: float, method: Any = HARD) -> Times:
    return Times(explainer(method), factor, name=f"times {factor}")


IMAGES = torch.stack([image(n) for n in range(3)])


@pytest.fixture
def batch(linear_model: pw.Model, batch_of: Batched) -> Batch:
    return batch_of(linear_model, IMAGES)


def test_a_linear_score_is_foretold(batch: Batch, scores_of: Scored) -> None:
    for metric in (Infidelity(), AccumulatingInfidelity(), UnscaledAccumulatingInfidelity()):
        assert np.allclose(scores_of(metric, batch, HARD), 0, atol=1e-12)
    found = scores_of(UnscaledInfidelity(), batch, HARD, times(2), times(-1), times(0))
    assert np.allclose(found, [[0, 1, 4, 1]] * 3, atol=1e-12)
    found = scores_of(Infidelity(), batch, times(2), times(-1), times(0))
    assert np.allclose(found, [[0, 0, 1]] * 3, atol=1e-12)


def test_infidelity_of_any_map_by_its_definition(batch: Batch, scores_of: Scored) -> None:
    metric = Infidelity(count=4)
    ((found,), *_) = scores_of(metric, batch, RandomMap())
    noise = RandomMap().explain(batch.session, batch.targets)[0]
    weights = batch.model.module[1].weight[batch.targets[0]].detach().view_as(noise)
    expected = []
    for patches in metric.patches(batch)[0]:
        changes = [patch.put(IMAGES[0]) - IMAGES[0] for patch in patches]
        a = np.array([float((noise * d).sum()) for d in changes])
        b = np.array([float((weights * d).sum()) for d in changes])
        best = (a @ b) / (a @ a)
        expected.append(((best * a - b) ** 2).sum() / (b @ b))
    assert found == pytest.approx(np.mean(expected), abs=1e-10)


def test_accumulating_infidelity_is_in_squares_of_logits(batch: Batch, scores_of: Scored) -> None:
    metric = UnscaledAccumulatingInfidelity(baseline="black")
    found = scores_of(metric, batch, times(0))
    for n, one in enumerate(IMAGES):
        weights = batch.model.module[1].weight[batch.targets[n]].detach().view_as(one)
        changed, squares = one.clone(), []
        for top in range(0, 8, 2):
            for left in range(0, 8, 2):
                changed[:, top : top + 2, left : left + 2] = one.min()
                squares.append(float((weights * (one - changed)).sum()) ** 2)
        assert found[n][0] == pytest.approx(np.mean(squares))


def even(linear_of: Callable[[Tensor], pw.Model], weights: Tensor) -> tuple[pw.Model, Tensor]:
    """A linear network, and an image that is 0.5 but for one value, which does not count."""
    weights = weights.clone()
    weights[:, 0, 0, 0] = 0
    one = torch.full_like(weights[0], 0.5)
    one[0, 0, 0] = -0.5
    return linear_of(weights), one[None]


def test_attributions_that_are_the_drops_correlate(
    linear_of: Callable[[Tensor], pw.Model], weights: Tensor, batch_of: Batched, scores_of: Scored
) -> None:
    batch = batch_of(*even(linear_of, weights))
    for metric in (FaithfulnessCorrelation(runs=20), FaithfulnessEstimate(groups=12)):
        ((own, minus, none),) = scores_of(metric, batch, HARD, times(-1), times(0))
        assert own == pytest.approx(1)
        assert minus == pytest.approx(-1)
        assert math.isnan(none)


def test_sizes_that_grow_with_uncertainty_are_monotone(
    linear_of: Callable[[Tensor], pw.Model], batch_of: Batched, scores_of: Scored
) -> None:
    grown = 10.0 ** (12 * torch.arange(192, dtype=torch.double) / 192).view(1, 3, 8, 8)
    batch = batch_of(linear_of(grown), torch.full((1, 3, 8, 8), 0.5).double())
    found = scores_of(MonotonicityCorrelation(), batch, HARD, times(-3))
    assert np.allclose(found, 1)
    assert np.allclose(scores_of(MonotonicityCorrelation(), batch, Inverse()), -1)


@dataclass(frozen=True)
class Inverse(Explainer):
    """One over the gradient."""

    name: str = "inverse"

    def explain(self, session: pw.Session, targets: Any) -> Tensor:
        return 1 / session.pullback(list(targets), HARD)


def test_the_gradient_of_a_linear_network_does_not_move(batch: Batch, scores_of: Scored) -> None:
    metric = MaxSensitivity(samples=3)
    found = scores_of(metric, batch, HARD, lambda inputs, target: inputs)
    assert np.allclose(np.array(found)[:, 0], 0)
    for n, one in enumerate(IMAGES):
        moved = ((one + metric.noise(batch, n)).clamp(-1, 1) - one).flatten(1).norm(dim=1)
        assert found[n][1] == pytest.approx(float(moved.max() / one.norm()))


def test_angles_between_targets(batch: Batch, weights: Tensor, scores_of: Scored) -> None:
    flat = weights.flatten(1)
    unit = flat / flat.norm(dim=1, keepdim=True)
    found = scores_of(TargetSensitivity(), batch, HARD, times(3), RandomMap(), EdgeMap())
    for row, logits in zip(found, batch.logits, strict=True):
        first, second, _ = logits.argsort(descending=True).tolist()
        cosine = float(unit[first] @ unit[second])
        assert row == pytest.approx([cosine, cosine, 1, 1])
    found = scores_of(RandomLogit(), batch, HARD, RandomMap())
    for row, target, other in zip(found, batch.targets, other_classes(batch), strict=True):
        assert other != target
        expected = np.corrcoef(flat[target], flat[other])[0, 1]
        assert row == pytest.approx([expected, 1])


def area(curve: np.ndarray) -> float:
    """Under a curve of nine points, by trapezoids."""
    return float(sum((a + b) / 2 / 8 for a, b in itertools.pairwise(curve)))


def test_curves_of_a_linear_score(
    weights: Tensor,
    model_of: Callable[..., pw.Model],
    linear_model: pw.Model,
    batch_of: Batched,
    scores_of: Scored,
) -> None:
    model = model_of(linear_model.module, probability="none")  # logits, which are linear
    batch = batch_of(model, IMAGES)
    deleted = scores_of(Deletion(steps=8), batch, HARD, times(5), times(-1))
    inserted = scores_of(Insertion(steps=8), batch, HARD, times(5), times(-1))
    for n, one in enumerate(IMAGES):
        shares = (weights[batch.targets[n]] * one).sum(0).flatten().numpy()
        fallen = np.concatenate([[0], np.sort(shares)[::-1].reshape(8, 8).sum(1).cumsum()])
        risen = np.concatenate([[0], np.sort(shares).reshape(8, 8).sum(1).cumsum()])
        total = shares.sum()
        down, up = (area(total - one) for one in (fallen, risen))
        assert deleted[n] == pytest.approx([down, down, up])
        down, up = (area(one) for one in (risen, fallen))
        assert inserted[n] == pytest.approx([up, up, down])


def test_random_weights_of_a_linear_network(batch: Batch, scores_of: Scored) -> None:
    before = batch.model.module[1].weight.clone()
    found = scores_of(Randomisation(stages=2), batch, HARD, RandomMap(), EdgeMap())
    assert torch.equal(batch.model.module[1].weight, before)
    twin = next(randomised(batch.model, 1, 0)).module[1].weight
    assert not torch.equal(twin, before)
    assert torch.equal(twin.flatten().sort().values, before.flatten().sort().values)
    for row, target in zip(found, batch.targets, strict=True):
        cosine = torch.cosine_similarity(before[target], twin[target], dim=0)
        assert row == pytest.approx([float(cosine.detach()), 1, 1])


def test_weights_are_random_from_the_top() -> None:
    model = wrap(network("chain"))
    names = [name for name, _ in model.module.named_parameters()]
    changed = [
        {
            name.partition(".")[0]
            for name, one in twin.module.named_parameters()
            if not torch.equal(one, model.module.get_parameter(name))
        }
        for twin in randomised(model, 3, 0)
    ]
    assert changed == [{"head"}, {"head", "conv2"}, {"head", "conv2", "conv1"}]
    assert len(names) == 6


def test_what_adds_up_is_complete(batch: Batch, scores_of: Scored) -> None:
    found = scores_of(Completeness(), batch, HARD, times(2), "input_x_gradient", EdgeMap())
    assert np.allclose(np.array(found)[:, :3], [0, 1, 0], atol=1e-12)
    assert np.isnan(np.array(found)[:, 3]).all()


def test_counterfactuals_of_a_linear_network(
    linear_of: Callable[[Tensor], pw.Model], weights: Tensor, batch_of: Batched, scores_of: Scored
) -> None:
    model = linear_of(weights)
    batch = batch_of(model, 0.1 * IMAGES, second=linear_of(0.5 * weights))
    scale = math.sqrt(192 / (3 * 224 * 224))
    metric = Counterfactual(steps=3, step_size=0.5 / scale, radius=1.2 / scale)
    found = scores_of(metric, batch, HARD, times(7), RandomMap(), EdgeMap())
    confirmed = scores_of(
        Confirmed(steps=3, step_size=0.5 / scale, radius=1.2 / scale, least=0), batch, HARD
    )
    for n, other in enumerate(other_classes(batch)):
        before, along = 0.1 * IMAGES[n], weights[other] / weights[other].norm()
        after = before + 1.2 * along  # three steps of a half, and the ball is 1.2
        assert float(after.abs().max()) < 1
        logits = (weights.flatten(1) @ torch.stack([after, before]).flatten(1).T).T
        p, q = (logits * factor for factor in (1, 0.5))
        p, q = p.softmax(1)[:, other], q.softmax(1)[:, other]
        assert found[n][:2] == pytest.approx([float(p[0])] * 2)
        assert found[n][2] < found[n][0]
        assert math.isnan(found[n][3])
        assert confirmed[n] == pytest.approx([float((q[0] - q[1]) / (p[0] - p[1]))])


def test_ascents_take_their_own_steps(batch: Batch, scores_of: Scored) -> None:
    metric = Counterfactual()
    found = scores_of(metric, batch, HARD, {"softening": HARD, "steps": 5}, {"steps": 1})
    own, same, shorter = np.array(found).T
    assert np.allclose(own, same)
    assert (shorter < own).all()


# A detector of patches ----------------------------------------------------------------------------


class Colours(nn.Module):
    """Three classes, each the amount of one colour."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x).sum((2, 3))


def patches(count: int) -> tuple[Tensor, list[int]]:
    """Grey images with a square of one colour somewhere, and their classes."""
    chance = np.random.default_rng(0)
    images = torch.zeros(count, 3, 16, 16, dtype=torch.double)
    classes = [n % 3 for n in range(count)]
    for one, colour in zip(images, classes, strict=True):
        top, left = chance.integers(2, 10, 2)
        one[colour, top : top + 4, left : left + 4] = 0.8
    return images, classes


def test_a_detector_is_where_its_patch_is(
    model_of: Callable[..., pw.Model], batch_of: Batched, scores_of: Scored
) -> None:
    model = model_of(Colours())
    images, classes = patches(120)
    others = neighbours(model, list(zip(images, classes, strict=True)), 8)
    batch = batch_of(model, images, neighbours=others)
    assert batch.targets == classes
    found = np.array(scores_of(Localisation(), batch, HARD, RandomMap(), times(3)))
    assert np.allclose(found[:, 0], 1)
    assert np.allclose(found[:, 2], 1)
    assert found[:, 1].mean() == pytest.approx(1 / 4, abs=0.03)
    found = np.array(scores_of(Focus(), batch, HARD, RandomMap()))
    assert np.allclose(found[:, 0], 1)
    assert found[:, 1].mean() == pytest.approx(1 / 2, abs=0.01)


def test_a_mosaic_has_others_of_other_classes(
    model_of: Callable[..., pw.Model], batch_of: Batched, scores_of: Scored
) -> None:
    model = model_of(Colours())
    images, classes = patches(6)
    others = neighbours(model, list(zip(images, classes, strict=True)), 8)
    batch = batch_of(model, images, neighbours=others)
    mosaic, inside = Localisation().mosaic(batch, 1) or (None, None)
    assert mosaic is not None and inside is not None
    assert int(inside.sum()) == 64
    assert float(mosaic[1].masked_fill(inside, 0).abs().max()) == 0
    alone = batch_of(model, images[:2], neighbours=others[:1])
    assert np.isnan(scores_of(Localisation(), alone, HARD)).all()


# All of them --------------------------------------------------------------------------------------

UNITS = {"infidelity_unscaled", "infidelity_accumulating_unscaled", "completeness"}
"""Of these alone the size of a map counts."""


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_the_size_of_a_map_counts_only_where_it_shall(
    metric: Metric, batch_of: Batched, scores_of: Scored
) -> None:
    model = wrap(network("residual"))
    images = torch.stack([image(n) for n in range(4)])
    others = neighbours(model, [(one, None) for one in images], 4)
    batch = batch_of(model, images[:2], neighbours=others, second=model)
    softening = pw.Softening.relative()
    found = np.array(scores_of(metric, batch, softening, times(4, softening)))
    same = np.allclose(found[:, 0], found[:, 1], rtol=1e-6, atol=1e-9, equal_nan=True)
    assert same == (metric.name not in UNITS)


def test_every_metric_says_what_it_is() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.better in ("lower", "higher")
        assert metric.title and metric.source
        assert (type(metric).__doc__ or "").count("\n\n") >= 1


def test_equal_values_share_their_rank() -> None:
    assert ranks(np.array([[3.0, 1.0, 3.0, 2.0]])).tolist() == [[3.5, 1, 3.5, 2]]
