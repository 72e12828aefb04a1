"""Random small networks against the definitions, written down a second time and slowly."""

from __future__ import annotations

import os

import pytest
import torch
from definitions import How, logits, pulled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import CLASSES, image, plain_gradient, wrap
from random_networks import PLANS, STEPS, Step, built
from torch import Tensor

import pullback_widgets as pw

NETWORKS = int(os.environ.get("PULLBACK_WIDGETS_NETWORKS", "50"))
"""How many; CONTRIBUTING says how 2,000 are tried."""

CLOSE = 1e-8
"""Of the largest value: the orders of sums differ."""

SOFTENINGS = st.builds(
    pw.Softening,
    temperature=st.sampled_from([0.85, 0.3, 0.05, 2.0, 30.0]),
    gate=st.sampled_from(["sigmoid", "normal"]),
    units=st.sampled_from(["relative", "absolute"]),
    pool=st.sampled_from(["detached", "differentiated", "hard"]),
    pool_temperature=st.sampled_from([0.5, 1.0]),
    smooth=st.sampled_from(["expected", "own"]),
    norms=st.sampled_from(["held", "deviation held", "own"]),
    attention=st.sampled_from(["held", "own"]),
    attention_temperature=st.sampled_from([1.0, 2.0]),
    products=st.sampled_from(["held", "own"]),
)

SEEDED = settings(
    max_examples=NETWORKS,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def close(first: Tensor, second: Tensor) -> bool:
    """Whether two pullbacks are equal but for rounding."""
    most = float(second.abs().max())
    return float((first - second).abs().max()) <= CLOSE * max(most, 1e-12)


def check(plan: tuple[Step, ...], seed: int, softening: pw.Softening, k: int) -> None:
    """All that must hold of a network."""
    net, x, calibration = built(plan, seed), image(seed + 1), image(99, batch=3)
    own = net(x[None])[0].detach()
    session = pw.Session(wrap(net, calibration), x)
    assert torch.equal(session.logits, own)
    hard = session.pullback(k, pw.Softening.hard())
    assert torch.equal(hard, plain_gradient(lambda one: net(one)[:, k], x))
    assert torch.allclose(logits(net, x[None], How(None))[0], own, rtol=1e-9, atol=1e-9)
    found = session.pullback(k, softening)
    other = "absolute" if softening.units == "relative" else "relative"
    for one in (softening, softening.with_units(other), pw.Softening.held()):
        assert close(session.pullback(k, one), pulled(net, x, calibration, k, one)), one
    assert torch.equal(found, session.pullback(k, softening))  # the same again, after others


@SEEDED
@given(PLANS, st.integers(0, 1000), SOFTENINGS, st.integers(0, CLASSES - 1))
@pytest.mark.filterwarnings("ignore")
def test_random_networks_are_as_the_definitions_say(
    plan: tuple[Step, ...], seed: int, softening: pw.Softening, k: int
) -> None:
    check(plan, seed, softening, k)


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("form", ["module", "functional", "in place", "other words"])
@pytest.mark.filterwarnings("ignore")
def test_each_step_alone(kind: str, form: str) -> None:
    normed = (Step("normed", form, "relu"),)
    for inner in ((normed, (Step("normed"),)), ((*normed, Step("conv", form, "silu")), normed)):
        for activation in ("relu", "gelu", "mish"):
            plan = (Step("normed"), Step(kind, form, activation, inner), Step("bare"))
            check(plan, 3, pw.Softening.relative(0.85), 2)
