"""Gradient ascent along pullbacks, step by step against its formula."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from networks import CLASSES, SIZE, SOFTENINGS, image, network, plain_gradient, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw

pytestmark = pytest.mark.usefixtures("device")

HARD = pw.Softening.hard()


def formula(
    pullback: Callable[[Tensor], Tensor],
    start: Tensor,
    steps: int,
    step_size: float,
    radius: float | None,
) -> list[Tensor]:
    """Each step: x <- clip(start + ball(x + step p/|p| - start)), in this order."""
    x, path = start, []
    for _ in range(steps):
        p = pullback(x)
        x = x + step_size * p / p.norm()
        difference = x - start
        if radius is not None and difference.norm() > radius:
            difference = difference * radius / difference.norm()
        x = (start + difference).clamp(-1, 1)
        path.append(x)
    return path


SETTINGS: dict[str, dict[str, Any]] = {
    "ball and clip": {"steps": 6, "step_size": 3.0, "radius": 5.0},
    "ball": {"steps": 6, "step_size": 0.5, "radius": 0.9},
    "neither": {"steps": 3, "step_size": 0.01, "radius": 100.0},
    "no ball": {"steps": 5, "step_size": 3.0, "radius": None},
    "one step": {"steps": 1, "step_size": 1.0, "radius": 100.0},
    "small ball, large step": {"steps": 3, "step_size": 20.0, "radius": 0.25},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("name", ["residual", "chain"])
def test_hard_ascent_is_the_formula_on_plain_gradients(name: str, settings: dict[str, Any]) -> None:
    net, start = network(name), image(1) / 2
    expected = formula(
        lambda x: plain_gradient(lambda y: net(y)[:, 2], x),
        start,
        settings["steps"],
        settings["step_size"],
        settings["radius"],
    )
    found = list(pw.Session(wrap(net), start).ascend(2, HARD, **settings))
    assert len(found) == settings["steps"]
    for step, x in zip(found, expected, strict=True):
        torch.testing.assert_close(step.perturbed, x.cpu(), rtol=0, atol=1e-10)
        torch.testing.assert_close(step.difference, (x - start).cpu(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("softening", SOFTENINGS.values(), ids=SOFTENINGS)
@pytest.mark.parametrize(
    "target", [1, "espresso", pw.Channel("layer1", 2), pw.Unit("layer10.relu:2", 1, (2, 2))]
)
def test_soft_ascent_is_the_formula_on_pullbacks(softening: pw.Softening, target: Any) -> None:
    model, start = wrap(network("residual")), image(1)
    expected = formula(
        lambda x: pw.pullback(model, x, target, softening=softening), start, 4, 1.0, 2.5
    )
    found = pw.Session(model, start).ascend(target, softening, steps=4, step_size=1.0, radius=2.5)
    for step, x in zip(found, expected, strict=True):
        torch.testing.assert_close(step.perturbed, x.cpu(), rtol=0, atol=1e-9)


def test_the_settings_are_what_the_test_says() -> None:
    """Ball and clip really bind where the names above say so."""
    net, start = network("residual"), image(1) / 2

    def last(key: str) -> Any:
        *_, step = pw.Session(wrap(net), start).ascend(2, HARD, **SETTINGS[key])
        return step

    assert last("ball").difference.norm() == pytest.approx(0.9, rel=1e-9)
    assert last("ball").perturbed.abs().max() < 1
    assert last("no ball").perturbed.abs().max() == 1
    assert last("no ball").difference.norm() > 5
    assert last("ball and clip").difference.norm() < 5
    assert last("ball and clip").perturbed.abs().max() == 1
    assert last("neither").perturbed.abs().max() < 1


def test_the_defaults_are_five_steps_of_twenty_in_a_ball_of_a_hundred() -> None:
    net, start = network("residual"), image(1)
    session = pw.Session(wrap(net), start)
    explicit = session.ascend(2, pw.Softening.relative(0.85), steps=5, step_size=20.0, radius=100.0)
    found = list(session.ascend(2))
    assert len(found) == 5
    for a, b in zip(found, explicit, strict=True):
        assert torch.equal(a.perturbed, b.perturbed)


def test_steps_are_numbered_and_kept_apart() -> None:
    session = pw.Session(wrap(network("residual")), image(1) / 2)
    found = list(session.ascend(2, steps=4, step_size=0.5))
    assert [step.index for step in found] == [1, 2, 3, 4]
    assert len({id(step.perturbed) for step in found}) == 4
    norms = [float(step.difference.norm()) for step in found]
    assert norms == sorted(norms)
    assert norms[0] == pytest.approx(0.5, rel=1e-9)
    assert all(not step.perturbed.requires_grad for step in found)
    assert torch.equal(session.image, image(1).cpu() / 2)


@pytest.mark.parametrize("target", [2, pw.Difference(pw.Logit(2), pw.Logit(0))], ids=str)
def test_score_and_probability_belong_to_the_perturbed_image(target: Any) -> None:
    model = wrap(network("residual"))
    for step in pw.Session(model, image(1)).ascend(target, steps=3, step_size=1.0):
        after = pw.Session(model, step.perturbed)
        assert step.score == pytest.approx(after.score(target), rel=1e-9)
        if target == 2:
            probability = float(after.logits.softmax(0)[2])
            assert step.probability == pytest.approx(probability, rel=1e-6)


def test_ascent_raises_the_score() -> None:
    session = pw.Session(wrap(network("residual")), image(1))
    scores = [session.score(2), *(s.score for s in session.ascend(2, HARD, step_size=0.2))]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0]


def test_hidden_targets_have_a_score_and_no_probability() -> None:
    model, target = wrap(network("residual")), pw.Channel("layer1.bn1", 2)
    for step in pw.Session(model, image(1)).ascend(target, steps=2, step_size=1.0):
        assert step.probability is None
        assert step.score == pytest.approx(pw.Session(model, step.perturbed).score(target))


# Batches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("softening", [HARD, pw.Softening.relative(0.85)], ids=["hard", "soft"])
def test_images_of_a_batch_ascend_each_on_its_own(softening: pw.Softening) -> None:
    """Norms, balls and clips are per image; so are targets."""
    model, batch = wrap(network("residual")), image(1, batch=3)
    batch[1] /= 16
    targets = [2, 0, 5]
    settings: dict[str, Any] = {"steps": 3, "step_size": 2.0, "radius": 3.0}
    steps = list(pw.Session(model, batch).ascend(targets, softening, **settings))
    for i, target in enumerate(targets):
        alone = pw.Session(model, batch[i]).ascend(target, softening, **settings)
        for together, single in zip(steps, alone, strict=True):
            torch.testing.assert_close(together.perturbed[i], single.perturbed, rtol=0, atol=1e-9)
            assert float(together.score[i]) == pytest.approx(single.score, rel=1e-8)
            assert float(together.probability[i]) == pytest.approx(single.probability, rel=1e-8)


def test_own_class_is_fixed_at_the_start() -> None:
    """With no target the class to climb is the one of the start, not of every step."""
    model, batch = wrap(network("residual")), image(1, batch=4)
    session = pw.Session(model, batch)
    own = session.logits.argmax(1).tolist()
    for a, b in zip(session.ascend(steps=3), session.ascend(own, steps=3), strict=True):
        assert torch.equal(a.perturbed, b.perturbed)


# Zero gradients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("softening", SOFTENINGS.values(), ids=SOFTENINGS)
def test_a_zero_gradient_stays_where_it_is(batch: int | None, softening: pw.Softening) -> None:
    net, start = network("chain"), image(1, batch)
    with torch.no_grad():
        net.head.weight.zero_()
    for step in pw.Session(wrap(net), start).ascend(1, softening, steps=2):
        assert torch.equal(step.perturbed, start.cpu())
        assert torch.equal(step.difference, torch.zeros_like(step.difference))


def test_one_images_zero_gradient_does_not_disturb_the_others() -> None:
    """All ReLUs are closed on the second image, whose values are all below zero."""
    net: Any = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * SIZE**2, 3))
    seeded(net)
    with torch.no_grad():
        net[0].weight.abs_()
        net[0].bias.zero_()
    batch = torch.stack([image(1).abs(), -image(2).abs() - 1 / 256])
    *_, step = pw.Session(wrap(net), batch).ascend(1, HARD, steps=2, step_size=0.5)
    assert torch.equal(step.perturbed[1], batch[1].cpu())
    assert step.difference[0].norm() > 0.4
    assert step.perturbed.isfinite().all()


@pytest.mark.parametrize("tiny", [1e-120, 1e-200])
def test_tiny_gradients_still_take_a_whole_step(tiny: float) -> None:
    """Also where the squares in the norm are too small for the floating-point type."""
    net, start = network("chain"), image(1) / 4
    with torch.no_grad():
        net.head.weight.mul_(tiny)
    (step,) = pw.Session(wrap(net), start).ascend(1, HARD, steps=1, step_size=0.5)
    assert step.difference.norm() == pytest.approx(0.5, rel=1e-6)


# Stopping ----------------------------------------------------------------------------------------


class Counted(nn.Module):
    """A convolution that counts its calls."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, padding=1)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.conv(x)


class Staged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.early, self.relu = Counted(3, 4), nn.ReLU()
        self.late, self.head = Counted(4, 4), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.late(self.relu(self.early(x))).mean((2, 3)))


def calibrated(net: Staged) -> pw.Session:
    """A session whose one-time calibration is done; the counters start from zero."""
    session = pw.Session(wrap(net), image(1))
    session.pullback(0)
    net.early.calls = net.late.calls = 0
    return session


@pytest.mark.parametrize("target", [pw.Channel("early", 1), pw.Unit("relu", 1, (2, 2))], ids=str)
@pytest.mark.parametrize("softening", [HARD, pw.Softening.relative(0.85)], ids=["hard", "soft"])
def test_an_ascent_on_a_hidden_layer_stops_the_forward_there(
    target: Any, softening: pw.Softening
) -> None:
    net = seeded(Staged())
    session = calibrated(net)
    assert len(list(session.ascend(target, softening, steps=3))) == 3
    assert net.late.calls == 0
    assert net.early.calls <= 4


def test_an_ascent_on_a_class_runs_one_forward_per_step() -> None:
    net = seeded(Staged())
    session = calibrated(net)
    list(session.ascend(1, steps=3))
    assert net.late.calls <= 4


def test_an_ascent_on_a_difference_runs_to_the_later_layer() -> None:
    net = seeded(Staged())
    session = calibrated(net)
    target = pw.Difference(pw.Channel("early", 1), pw.Unit("relu", 0, (0, 0)))
    list(session.ascend(target, steps=2))
    assert net.late.calls == 0
    list(session.ascend(pw.Difference(pw.Channel("early", 1), pw.Channel("late", 0)), steps=2))
    assert net.late.calls >= 2


def test_stopping_between_steps_stops_the_work() -> None:
    net = seeded(Staged())
    session = calibrated(net)
    ascent: Any = session.ascend(1, steps=1000, step_size=0.1)
    next(ascent)
    next(ascent)
    ascent.close()
    assert net.late.calls <= 4
    with pytest.raises(StopIteration):
        next(ascent)
    assert torch.equal(session.pullback(1), pw.Session(wrap(net), image(1)).pullback(1))


def test_ascents_of_one_session_may_interleave_with_each_other_and_with_pullbacks() -> None:
    session = pw.Session(wrap(network("residual")), image(1))
    alone = [[s.perturbed for s in session.ascend(k, steps=3)] for k in (1, 4)]
    p = session.pullback(3, softening=HARD)
    for a, b, x, y in zip(
        session.ascend(1, steps=3), session.ascend(4, steps=3), *alone, strict=True
    ):
        assert torch.equal(session.pullback(3, softening=HARD), p)
        assert torch.equal(a.perturbed, x)
        assert torch.equal(b.perturbed, y)


# Bad arguments -----------------------------------------------------------------------------------

BAD: dict[str, dict[str, Any]] = {
    "negative steps": {"steps": -1},
    "half a step": {"steps": 2.5},
    "steps as text": {"steps": "5"},
    "NaN step": {"step_size": math.nan},
    "infinite step": {"step_size": math.inf},
    "step as text": {"step_size": "20"},
    "NaN radius": {"radius": math.nan},
    "negative radius": {"radius": -1.0},
    "radius as text": {"radius": "100"},
    "softening as a number": {"softening": 0.85},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_arguments_are_refused(bad: dict[str, Any]) -> None:
    session = pw.Session(wrap(network("chain")), image(1))
    with pytest.raises((ValueError, TypeError)):
        list(session.ascend(1, **bad))


@pytest.mark.parametrize("number", [np.int64(2), np.float32(2), Fraction(2), 2])
def test_all_kinds_of_numbers_are_the_same_step(number: Any) -> None:
    session = pw.Session(wrap(network("chain")), image(1))
    (expected,) = session.ascend(1, steps=1, step_size=2.0, radius=2.0)
    (found,) = session.ascend(1, steps=np.int64(1), step_size=number, radius=number)  # type: ignore[arg-type]
    assert torch.equal(found.perturbed, expected.perturbed)
