"""Quantus's numbers on the same arrays and the same perturbations."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.evaluation.batch import Batch
from pullback_widgets.evaluation.curves import Deletion
from pullback_widgets.evaluation.faithfulness import (
    FaithfulnessCorrelation,
    FaithfulnessEstimate,
    MonotonicityCorrelation,
)
from pullback_widgets.evaluation.infidelity import UnscaledAccumulatingInfidelity
from pullback_widgets.evaluation.methods import Pullback
from pullback_widgets.evaluation.mosaic import share
from pullback_widgets.evaluation.sensitivity import MaxSensitivity, RandomLogit

quantus: Any = pytest.importorskip("quantus")

TOLERANCE = {"rel": 1e-6, "abs": 1e-6}
SIDE, IMAGES, CLASSES = 8, 3, 2
METHOD = Pullback("relative", pw.Softening.relative())


class Double(nn.Module):
    """A small network in float64, whose input Quantus makes float32.

    Its images are multiples of 1/256, so that nothing of them is lost.
    """

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * SIDE**2, CLASSES)
        ).double()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.inner(x.double())
        return found


@pytest.fixture
def batch(batch_of: Callable[..., Batch]) -> Batch:
    """Grey images, of which pixels are Quantus's features."""
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randint(-200, 201, (IMAGES, 1, SIDE, SIDE), generator=generator)
    module = Double().eval()
    calibration = 2 * torch.rand(4, 1, SIDE, SIDE, generator=generator).double() - 1
    model = pw.Model(module, mean=0.5, std=0.5, size=SIDE, calibration=calibration)
    return batch_of(model, numbers.double() / 256)


def theirs(metric: Any, batch: Batch, **options: Any) -> list[float]:
    """What Quantus says of the maps of a batch."""
    maps = batch.maps(METHOD)
    assert maps is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = metric(
            model=batch.model.module,
            x_batch=batch.x.numpy(),
            y_batch=np.array(batch.targets),
            a_batch=maps.numpy(),
            channel_first=True,
            softmax=False,
            device="cpu",
            **options,
        )
    return [float(one) for one in found]


def ours(metric: Any, batch: Batch) -> list[float]:
    return [row[0] for row in metric.scores(batch, [METHOD]).tolist()]


def explained(batch: Batch) -> Callable[..., Any]:
    """Our maps as Quantus asks for them."""

    def explain(model: Any, inputs: Any, targets: Any, **_: Any) -> Any:
        x = torch.as_tensor(np.asarray(inputs)).double()
        session = pw.Session(batch.model, x, range=(-1, 1))
        return METHOD.explain(session, [int(one) for one in targets]).numpy()

    return explain


OPTIONS = {"disable_warnings": True, "display_progressbar": False, "return_aggregate": False}


def test_accumulating_infidelity_with_black(batch: Batch) -> None:
    metric = quantus.Infidelity(
        perturb_patch_sizes=[2], n_perturb_samples=1, perturb_baseline="black", **OPTIONS
    )
    own = UnscaledAccumulatingInfidelity(side=4, baseline="black")
    assert ours(own, batch) == pytest.approx(theirs(metric, batch), **TOLERANCE)


def test_accumulating_infidelity_with_the_same_numbers(batch: Batch) -> None:
    own = UnscaledAccumulatingInfidelity(side=4, samples=2)
    numbers = [batch.chance(n, "accumulating 4").uniform(-1, 1, 2 * 16) for n in range(IMAGES)]
    step = iter(range(2 * 16))

    def fill(arr: Any, indices: Any, **_: Any) -> Any:
        changed, k = arr.copy(), next(step)
        for row, index, of in zip(changed, indices, numbers, strict=True):
            row[index] = of[k]
        return changed

    metric = quantus.Infidelity(
        perturb_patch_sizes=[2], n_perturb_samples=2, perturb_func=fill, **OPTIONS
    )
    assert ours(own, batch) == pytest.approx(theirs(metric, batch), **TOLERANCE)


def test_faithfulness_correlation_over_the_same_groups(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = FaithfulnessCorrelation(runs=10, share=1 / 4)
    groups = own.groups(batch)
    drawn = (groups[n][run] for run in range(10) for n in range(IMAGES))
    monkeypatch.setattr(np.random, "choice", lambda *_, **__: next(drawn))
    metric = quantus.FaithfulnessCorrelation(
        nr_runs=10, subset_size=16, perturb_baseline="black", **OPTIONS
    )
    assert theirs(metric, batch) == pytest.approx(ours(own, batch), **TOLERANCE)
    assert next(drawn, None) is None


def test_faithfulness_estimate(batch: Batch) -> None:
    metric = quantus.FaithfulnessEstimate(features_in_step=4, perturb_baseline="black", **OPTIONS)
    assert ours(FaithfulnessEstimate(groups=16), batch) == pytest.approx(
        theirs(metric, batch), **TOLERANCE
    )


def test_monotonicity_correlation_with_the_same_numbers(batch: Batch) -> None:
    own = MonotonicityCorrelation(groups=16, samples=3)
    numbers = [own.fillings(batch, n, 16).ravel() for n in range(IMAGES)]
    step = iter(range(16 * 3))

    def fill(arr: Any, indices: Any, **_: Any) -> Any:
        changed, k = arr.copy(), next(step)
        for row, index, of in zip(changed, indices, numbers, strict=True):
            row[index] = of[k]
        return changed

    metric = quantus.MonotonicityCorrelation(
        nr_samples=3, features_in_step=4, perturb_func=fill, **OPTIONS
    )
    assert theirs(metric, batch) == pytest.approx(ours(own, batch), **TOLERANCE)


def test_max_sensitivity_under_the_same_noise(batch: Batch) -> None:
    own = MaxSensitivity(samples=4)
    noise = [own.noise(batch, n).numpy() for n in range(IMAGES)]
    steps: Iterator[int] = iter(range(4))

    def move(arr: Any, indices: Any, **_: Any) -> Any:
        step = next(steps)
        return arr + np.stack([one[step].ravel() for one in noise])

    metric = quantus.MaxSensitivity(nr_samples=4, perturb_func=move, **OPTIONS)
    found = theirs(metric, batch, explain_func=explained(batch))
    assert found == pytest.approx(ours(own, batch), **TOLERANCE)


def test_random_logit_of_two_classes(batch: Batch) -> None:
    metric = quantus.RandomLogit(
        num_classes=CLASSES,
        normalise=False,
        similarity_func=quantus.similarity_func.correlation_pearson,
        **OPTIONS,
    )
    found = theirs(metric, batch, explain_func=explained(batch))
    assert found == pytest.approx(ours(RandomLogit(), batch), **TOLERANCE)


def test_focus_of_the_same_maps(batch: Batch) -> None:
    maps = batch.maps(METHOD)
    assert maps is not None
    tiles = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 0, 1]])
    half = SIDE // 2
    inside = torch.tensor(tiles).view(-1, 2, 2).bool()
    inside = inside.repeat_interleave(half, 1).repeat_interleave(half, 2)
    metric = quantus.Focus(normalise=False, **OPTIONS)
    found = theirs(metric, batch, custom_batch=tiles)
    assert found == pytest.approx(share(maps, inside).tolist(), **TOLERANCE)


def test_deletion_is_pixel_flipping_to_grey(batch: Batch) -> None:
    model = batch.model
    model.probability = "none"
    curve = Deletion(steps=16).curve(batch, METHOD)
    maps = batch.maps(METHOD)
    assert curve is not None and maps is not None
    metric = quantus.PixelFlipping(features_in_step=4, perturb_baseline=0.0, **OPTIONS)
    order = METHOD.as_contribution(maps, batch.session)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = metric(
            model=model.module, x_batch=batch.x.numpy(), y_batch=np.array(batch.targets),
            a_batch=order.numpy(), channel_first=True, softmax=False, device="cpu",
        )  # fmt: skip
    assert curve[:, 0] == pytest.approx(batch.scores, **TOLERANCE)
    assert np.allclose(curve[:, 1:], np.array(found), rtol=1e-6, atol=1e-6)
