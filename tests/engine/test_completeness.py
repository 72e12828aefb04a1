"""The parts of a target's value against definitions, and their origins."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from networks import image, seeded, wrap
from operations import HELD, UNCENTRED, Around
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.engine.completeness import in_short

S = pw.Softening
SOFTENINGS = {
    "hard": S.hard(),
    "held": S.held(),
    "v6": S.paper_v6(),
    "soft": S(0.5, "sigmoid", "absolute"),
    "products own": S(0.5, "sigmoid", "absolute", products="own", attention="own"),
}


def taken_apart(net: nn.Module, softening: pw.Softening, target: object = 1) -> pw.Completeness:
    found: pw.Completeness = pw.Session(wrap(net), image(3)).completeness(target, softening)  # type: ignore[arg-type]
    assert found.value == pytest.approx(
        found.picture + found.constants + found.residual, rel=1e-10, abs=1e-12
    )
    return found


def relu_network() -> nn.Module:
    return seeded(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(32, 4),
        )
    )


def test_of_a_relu_network_the_constants_are_what_its_biases_contribute() -> None:
    net = relu_network()
    # By hand: the gradient of the logit by each bias, times the bias; a batch norm's is that and
    # the mean that it takes off.
    norm = net[1]
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None
    shift = norm.bias - norm.running_mean * norm.weight / (norm.running_var + norm.eps).sqrt()
    biases = [net[0].bias, norm.bias, net[4].bias, net[7].bias]
    gradients = torch.autograd.grad(net(image(3)[None])[0, 1], biases)
    by_hand = sum(
        float((grad * value.detach()).sum())
        for grad, value in zip(gradients, [biases[0], shift, biases[2], biases[3]], strict=True)
    )
    for softening in (S.hard(), S.held()):
        found = taken_apart(net, softening)
        assert found.constants == pytest.approx(by_hand, rel=1e-9)
        assert found.residual == pytest.approx(0, abs=1e-10) and not found.unknown
        assert found.what == "logit"


@pytest.mark.parametrize("softening", SOFTENINGS)
@pytest.mark.parametrize("name", UNCENTRED)
def test_without_biases_nothing_is_constant(name: str, softening: str) -> None:
    found = taken_apart(seeded(Around(HELD[name][0])), SOFTENINGS[softening])
    assert not found.unknown
    if name == "Hardswish by hand" and softening != "held":
        return  # the 3 in relu6(z + 3) / 6 is a constant then
    assert found.constants == pytest.approx(0, abs=1e-10)
    if softening == "held":
        assert found.residual == pytest.approx(0, abs=1e-12)
    if softening == "hard":
        assert abs(found.residual) > 1e-5  # or these tests would say nothing


@pytest.mark.parametrize("name", HELD)
def test_held_leaves_no_residual(name: str) -> None:
    found = taken_apart(seeded(Around(HELD[name][0])), S.held())
    assert found.residual == pytest.approx(0, abs=1e-12)


def test_the_means_that_layer_norms_hold_are_constants() -> None:
    net = seeded(Around(lambda h: F.layer_norm(h, h.shape[1:])))
    with torch.no_grad():
        h = net.conv(image(3)[None])  # type: ignore[operator]
        off = -h.mean() / (h.var(correction=0) + 1e-5).sqrt()
        by_hand = float(net.head.weight[1].sum() * off)  # type: ignore[union-attr,index,operator]
    assert taken_apart(net, S.held()).constants == pytest.approx(by_hand, rel=1e-10)
    alone = taken_apart(net, S(0.5, norms="deviation held"))
    assert alone.constants == pytest.approx(0, abs=1e-12)
    assert alone.residual == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("ELU", F.elu),
        ("softplus", F.softplus),
        ("sigmoid", torch.sigmoid),
        ("tanh", torch.tanh),
        ("exp", torch.exp),
        ("pow", lambda h: h**2),
        ("product", lambda h: h * h.flip(1)),
        ("quotient", lambda h: h / h.abs().mean()),
        ("softmax", lambda h: h.softmax(1)),
    ],
)
def test_what_keeps_its_own_derivative_is_the_source_of_a_residual(
    name: str, operation: object
) -> None:
    net = seeded(Around(operation))  # type: ignore[arg-type]
    found = taken_apart(net, S.held())
    assert name in found.sources and not found.unknown
    assert found.constants == pytest.approx(0, abs=1e-10)


def test_values_hidden_in_a_function_of_torch_are_counted() -> None:
    found = taken_apart(seeded(Around(lambda h: F.normalize(h, dim=1))), S.held())
    assert found.unknown
    assert "vector norm" in found.sentence or "quotient" in found.sentence


def test_a_unit_that_is_shut_off_at_six_counts_as_the_constant() -> None:
    net = seeded(Around(F.relu6))
    with torch.no_grad():
        net.conv.weight *= 100  # type: ignore[union-attr,operator]
    full = net.conv(image(3)[None]) > 6  # type: ignore[operator]
    with torch.no_grad():
        by_hand = float((6 * full.double()).mean((2, 3)) @ net.head.weight[1])  # type: ignore[union-attr,index]
    found = taken_apart(net, S.held())
    assert found.constants == pytest.approx(by_hand, rel=1e-10)
    assert found.residual == pytest.approx(0, abs=1e-10)
    assert taken_apart(net, S(0.5, "sigmoid", "absolute")).sources.keys() == {"relu6"}


def test_hidden_targets_differences_and_what_is_in_place() -> None:
    net = relu_network()
    found = taken_apart(net, S.held(), pw.Channel("0", 2))
    assert found.what == "value"
    bias = float(net[0].bias[2])  # type: ignore[union-attr,index]
    assert found.constants == pytest.approx(bias, rel=1e-9)
    both = taken_apart(net, S.held(), pw.Logit(1) - 2)
    one, other = (taken_apart(net, S.held(), k) for k in (1, 2))
    assert both.picture == pytest.approx(one.picture - other.picture, rel=1e-9)
    assert both.constants == pytest.approx(one.constants - other.constants, rel=1e-9)


class Overwritten(nn.Module):
    """Its hidden layer is written to in place, behind an activation without a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 1, bias=False)
        self.head = nn.Linear(8, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = F.softplus(self.conv(x))
        h *= 2
        out = self.norm(h)
        out += h
        found: Tensor = self.head(out.mean((2, 3)))
        return found


def test_a_hidden_layer_that_the_network_overwrites() -> None:
    found = taken_apart(seeded(Overwritten()), S.held(), pw.Channel("norm", 3))
    assert not found.unknown and found.sources.keys() == {"softplus"}
    assert found.constants == pytest.approx(0, abs=1e-10)


def test_in_words() -> None:
    parts = pw.Completeness(8.0, 5.0, 2.0, {"gelu": 1.5, "softmax": -0.5}, {}, "logit")
    assert parts.residual == 1.0
    assert parts.sentence == (
        "The picture accounts for 62 % of the logit 8, constants for 25 %, what is softened or "
        "not linear, most of all gelu, for 12 %."
    )
    complete = pw.Completeness(8.0, 9.0, -1.0, {"gelu": 1e-9})
    assert complete.sentence == (
        "The picture accounts for 112 % of the value 8, constants for \N{MINUS SIGN}12 %."
    )
    near_zero = pw.Completeness(0.001, 5.0, -4.999)
    assert near_zero.sentence == (
        "The picture accounts for 5 of the value 0.001, constants for \N{MINUS SIGN}5."
    )
    assert "0 of the value 0" in pw.Completeness(0.0, 0.0, 0.0).sentence


def test_one_image_at_a_time() -> None:
    session = pw.Session(wrap(relu_network()), [image(1), image(2)])
    with pytest.raises(ValueError, match=r"has 2 images; expected one"):
        session.completeness(1)


def test_nothing_stays_behind_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    net = relu_network()
    session = pw.Session(wrap(net), image(3))
    wanted = session.pullback(1)

    def fail(value: Tensor) -> Tensor:
        raise RuntimeError("in the middle")

    class Raising(pw.Target):
        def terms(self) -> object:  # type: ignore[override]
            from pullback_widgets.engine.target import Term

            yield Term("logits", 1.0, fail)

    with pytest.raises(RuntimeError, match="in the middle"):
        session.completeness(Raising())
    assert torch.equal(session.pullback(1), wanted)


@pytest.mark.parametrize(
    ("net", "softening", "rest"),
    [
        (relu_network, S.hard(), "constants"),
        (relu_network, S.held(), "constants"),
        (relu_network, S.relative(), "constants and softening"),
        (lambda: seeded(Around(F.gelu)), S.hard(), "constants and what is not linear"),
        (lambda: seeded(Around(F.gelu)), S.held(), "constants"),
        (lambda: seeded(Around(HELD["RMS norm"][0])), S.hard(), "what is not linear"),
        (lambda: seeded(Around(HELD["RMS norm"][0])), S(0.5, norms="own"), "what is not linear"),
        (lambda: seeded(Around(F.elu)), S.held(), "constants and what is not linear"),
        (lambda: seeded(Around(F.elu)), S.relative(), "constants and what is not linear"),
    ],
)
def test_in_short(net: Callable[[], nn.Module], softening: pw.Softening, rest: str) -> None:
    session = pw.Session(wrap(net()), image(3))
    found = session.completeness(1, softening)
    words = in_short(
        found.value,
        session.pullback(1, softening),
        session.image,
        softening,
        session.report,
        "logit",
    )
    mine = round(100 * found.picture / found.value)
    assert re.search(rf"\b{rest} (for|take|account for) {abs(100 - mine)} %", words)
    assert f"pullback {'accounts for' if mine >= 0 else 'takes'} {abs(mine)} % o" in words


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (0.62, "accounts for 62 % of the logit, constants for 38 %"),
        (3.55, "accounts for 355 % of the logit, constants take 255 % off again"),
        (-0.5, "takes 50 % off the logit, constants account for 150 %"),
        (1.001, "accounts for 100 % of the logit, constants for 0 %"),
        (20.0, "accounts for 20 of the logit 1, constants for \N{MINUS SIGN}19"),
    ],
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_is_more_than_all_of_it(picture: float, words: str, sign: float) -> None:
    """A share that is negative says what that means."""
    pullback, x = torch.full((1, 1, 1), sign * picture), torch.ones(1, 1, 1)
    report = pw.Session(wrap(relu_network()), image(3)).report
    found = in_short(sign, pullback, x, S.held(), report, "logit")
    if sign > 0 or "%" in words:
        assert found == f"pullback {words}"
