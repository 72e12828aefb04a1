"""The backward passes of activations against their definitions in plain torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import (
    CLASSES,
    NETWORKS,
    SIZE,
    Gate,
    Gated,
    gated,
    hard_curve,
    image,
    linearised,
    network,
    normal_curve,
    per_channel,
    plain_gradient,
    seeded,
    sigmoid_curve,
    wrap,
)
from torch import Tensor, nn

import pullback_widgets as pw

pytestmark = pytest.mark.usefixtures("device")

CHANNELS = 4


def ignoring(in_place: Callable[[Tensor], Any]) -> Gate:
    """Calls an in-place operation and goes on with its argument, not with its result."""

    def apply(z: Tensor) -> Tensor:
        in_place(z)
        return z

    return apply


RELU: dict[str, Callable[[], Gate]] = {
    "nn.ReLU": nn.ReLU,
    "nn.ReLU in place": lambda: nn.ReLU(inplace=True),
    "F.relu": lambda: F.relu,
    "F.relu in place": lambda: partial(F.relu, inplace=True),
    "F.relu_": lambda: F.relu_,
    "torch.relu": lambda: torch.relu,
    "torch.relu_": lambda: torch.relu_,
    "Tensor.relu": lambda: Tensor.relu,
    "Tensor.relu_": lambda: Tensor.relu_,
    "torch.clamp": lambda: partial(torch.clamp, min=0),
    "torch.clamp, float": lambda: partial(torch.clamp, min=0.0),
    "torch.clamp, positional": lambda: lambda z: torch.clamp(z, 0),
    "torch.clamp_": lambda: lambda z: torch.clamp_(z, min=0),
    "torch.clip_": lambda: lambda z: torch.clip_(z, min=0),
    "torch.clip": lambda: partial(torch.clip, min=0),
    "torch.clamp_min": lambda: lambda z: torch.clamp_min(z, 0),
    "torch.clamp_min_": lambda: lambda z: torch.clamp_min_(z, 0),
    "Tensor.clamp": lambda: lambda z: z.clamp(min=0),
    "Tensor.clamp, positional": lambda: lambda z: z.clamp(0),
    "Tensor.clamp_": lambda: lambda z: z.clamp_(min=0),
    "Tensor.clip": lambda: lambda z: z.clip(min=0),
    "Tensor.clip_": lambda: lambda z: z.clip_(min=0),
    "Tensor.clamp_min": lambda: lambda z: z.clamp_min(0),
    "Tensor.clamp_min_": lambda: lambda z: z.clamp_min_(0),
    "nn.ReLU in place, result ignored": lambda: ignoring(nn.ReLU(inplace=True).forward),
    "F.relu in place, result ignored": lambda: ignoring(partial(F.relu, inplace=True)),
    "Tensor.relu_, result ignored": lambda: ignoring(Tensor.relu_),
    "Tensor.clamp_, result ignored": lambda: ignoring(lambda z: z.clamp_(min=0)),
}
RELU6: dict[str, Callable[[], Gate]] = {
    "nn.ReLU6": nn.ReLU6,
    "nn.ReLU6 in place": lambda: nn.ReLU6(inplace=True),
    "F.relu6": lambda: F.relu6,
    "F.relu6 in place": lambda: partial(F.relu6, inplace=True),
    "nn.Hardtanh": lambda: nn.Hardtanh(0.0, 6.0),
    "F.hardtanh": lambda: partial(F.hardtanh, min_val=0, max_val=6),
    "F.hardtanh, positional": lambda: lambda z: F.hardtanh(z, 0.0, 6.0),
    "F.hardtanh in place": lambda: lambda z: F.hardtanh(z, 0.0, 6.0, inplace=True),
    "F.hardtanh_": lambda: lambda z: F.hardtanh_(z, 0.0, 6.0),
    "F.hardtanh_, result ignored": lambda: ignoring(lambda z: F.hardtanh_(z, 0.0, 6.0)),
}
LEAKY: dict[str, Callable[[], Gate]] = {
    "nn.LeakyReLU": lambda: nn.LeakyReLU(0.2),
    "nn.LeakyReLU in place": lambda: nn.LeakyReLU(0.2, inplace=True),
    "F.leaky_relu": lambda: partial(F.leaky_relu, negative_slope=0.2),
    "F.leaky_relu, positional": lambda: lambda z: F.leaky_relu(z, 0.2),
    "F.leaky_relu in place": lambda: lambda z: F.leaky_relu(z, 0.2, inplace=True),
    "F.leaky_relu_": lambda: lambda z: F.leaky_relu_(z, 0.2),
    "F.leaky_relu_, result ignored": lambda: ignoring(lambda z: F.leaky_relu_(z, 0.2)),
}
SLOPES = torch.tensor([0.1, -0.2, 0.4, 0.0], dtype=torch.float64)


def prelu(slopes: Tensor) -> nn.PReLU:
    module = nn.PReLU(len(slopes))
    module.weight = nn.Parameter(slopes.clone())
    return module


PRELU: dict[str, tuple[Callable[[], Gate], Tensor]] = {
    "nn.PReLU, one slope": (lambda: prelu(SLOPES[:1]), SLOPES[:1]),
    "nn.PReLU, a slope per channel": (lambda: prelu(SLOPES), SLOPES),
    "F.prelu": (lambda: lambda z: F.prelu(z, SLOPES.to(z)), SLOPES),
    "torch.prelu": (lambda: lambda z: torch.prelu(z, SLOPES.to(z)), SLOPES),
    "Tensor.prelu": (lambda: lambda z: z.prelu(SLOPES.to(z)), SLOPES),
}


@dataclass
class Form:
    """One way of writing an activation, and what it means."""

    make: Callable[[], Gate]
    value: Gate
    slope: Tensor | float
    """The derivative where the gate is closed."""
    upper: float = math.inf
    """With the hard gate the derivative is 0 from here on; a soft gate has no upper end."""


def _beside(slope: Tensor | float, z: Tensor) -> Tensor | float:
    return slope.to(z) if isinstance(slope, Tensor) else slope


def leaky(z: Tensor, slope: Tensor | float) -> Tensor:
    return torch.where(z > 0, z, _beside(slope, z) * z)


FORMS: dict[str, Form] = {
    **{name: Form(make, partial(torch.clamp, min=0), 0.0) for name, make in RELU.items()},
    **{name: Form(make, lambda z: z.clamp(0, 6), 0.0, 6.0) for name, make in RELU6.items()},
    **{name: Form(make, partial(leaky, slope=0.2), 0.2) for name, make in LEAKY.items()},
    **{
        name: Form(make, partial(leaky, slope=slopes.reshape(-1, 1, 1)), slopes.reshape(-1, 1, 1))
        for name, (make, slopes) in PRELU.items()
    },
}

Curve = Callable[[Tensor, Tensor | float], Tensor]


@dataclass
class Soft:
    """A softening, and the gate curve and temperatures that it stands for."""

    softening: pw.Softening
    curve: Curve
    temperature: Callable[[Gated], Tensor | float]

    def slope(self, form: Form, net: Gated, z: Tensor) -> Tensor:
        """The derivative of the activation as numerics.md defines it."""
        gate = self.curve(z, per_channel(self.temperature(net), z))
        if self.curve is hard_curve:
            gate = gate * (z < form.upper)
        own = _beside(form.slope, z)
        return own + (1 - own) * gate


SOFT: dict[str, Soft] = {
    "hard": Soft(pw.Softening.hard(), hard_curve, lambda net: 1.0),
    "sigmoid, absolute": Soft(pw.Softening.paper_v3(0.7), sigmoid_curve, lambda net: 0.7),
    "normal, absolute": Soft(pw.Softening.paper_v6(1.3), normal_curve, lambda net: 1.3),
    "sigmoid, relative": Soft(
        pw.Softening.relative(0.6), sigmoid_curve, lambda net: 0.6 * net.bn.weight.detach().abs()
    ),
}


def reference_pullback(net: Gated, activation: Gate, picture: Tensor, index: int) -> Tensor:
    twin = net.with_activation(activation)
    return plain_gradient(lambda x: twin(x)[:, index], picture)


# Activations -------------------------------------------------------------------------------------


@pytest.mark.parametrize("soft", SOFT.values(), ids=SOFT)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_activation_has_its_own_value_and_the_soft_slope(form: Form, soft: Soft) -> None:
    net, picture = gated(form.make(), CHANNELS), image(1)
    session = pw.Session(wrap(net), picture)
    assert torch.equal(session.logits, net(picture[None])[0])

    def defined(z: Tensor) -> Tensor:
        return linearised(form.value(z), z, soft.slope(form, net, z))

    expected = reference_pullback(net, defined, picture, 2)
    torch.testing.assert_close(
        session.pullback(2, softening=soft.softening), expected, rtol=0, atol=1e-12
    )


def test_the_inputs_reach_both_ends_of_every_gate() -> None:
    net = gated(nn.Identity(), CHANNELS)
    z = net.bn(net.conv(image(1)[None]))
    assert (z > 6).any()
    assert (z < 0).any()
    assert ((z > 0) & (z < 6)).any()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_hard_gate_equals_autograd_bit_for_bit(form: Form) -> None:
    net, picture = gated(form.make(), CHANNELS), image(2)
    p = pw.pullback(wrap(net), picture, 1, softening=pw.Softening.hard())
    assert torch.equal(p, plain_gradient(lambda x: net(x)[:, 1], picture))


def on_slice(relu: Gate) -> Gate:
    def apply(z: Tensor) -> Tensor:
        relu(z[:, 1:3])
        return z

    return apply


def on_reshaped_view(relu: Gate) -> Gate:
    def apply(z: Tensor) -> Tensor:
        relu(z.view(z.shape[0], -1))
        return z

    return apply


def first_use_of_the_base(relu: Gate) -> Gate:
    def apply(z: Tensor) -> Tensor:
        view = z[:, :, ::2]
        relu(z)
        return torch.cat([view, z[:, :, 1::2]], dim=2)

    return apply


IN_PLACE_VIEWS = {
    "slice": (on_slice, lambda soft, z: torch.cat([z[:, :1], soft(z[:, 1:3]), z[:, 3:]], 1)),
    "reshaped view": (on_reshaped_view, lambda soft, z: soft(z)),
    "base with an older view": (
        first_use_of_the_base,
        lambda soft, z: torch.cat([soft(z)[:, :, ::2], soft(z)[:, :, 1::2]], 2),
    ),
}
IN_PLACE: dict[str, Gate] = {
    "F.relu": partial(F.relu, inplace=True),
    "relu_": Tensor.relu_,
    "clamp_": lambda z: z.clamp_(min=0),
    "nn.ReLU": nn.ReLU(inplace=True),
}


@pytest.mark.parametrize("in_place", IN_PLACE.values(), ids=IN_PLACE)
@pytest.mark.parametrize("where", IN_PLACE_VIEWS)
@pytest.mark.parametrize("soft", [SOFT["hard"], SOFT["sigmoid, absolute"]], ids=["hard", "soft"])
def test_in_place_activation_of_a_view_changes_the_tensor_itself(
    where: str, in_place: Gate, soft: Soft
) -> None:
    form, meaning = IN_PLACE_VIEWS[where]
    net, picture = gated(form(in_place), CHANNELS), image(3)
    relu = FORMS["F.relu"]

    def defined(z: Tensor) -> Tensor:
        return linearised(z.clamp(min=0), z, soft.slope(relu, net, z))

    session = pw.Session(wrap(net), picture)
    assert torch.equal(session.logits, net(picture[None])[0])
    expected = reference_pullback(net, partial(meaning, defined), picture, 0)
    torch.testing.assert_close(
        session.pullback(0, softening=soft.softening), expected, rtol=0, atol=1e-12
    )


class OverwritesItsInput(nn.Module):
    """A network whose first act is to overwrite what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * SIZE * SIZE, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x.relu_()
        return self.head(x.flatten(1))


def test_network_that_overwrites_its_input_leaves_the_image_alone() -> None:
    net, picture = seeded(OverwritesItsInput()), image(4)
    session = pw.Session(wrap(net), picture)
    assert torch.equal(picture, image(4))
    assert torch.equal(session.image, image(4).cpu())
    p = session.pullback(3, softening=pw.Softening.paper_v3(0.5))
    expected = net.head.weight[3].reshape(picture.shape) * sigmoid_curve(picture, 0.5)
    torch.testing.assert_close(p, expected.detach(), rtol=0, atol=1e-12)


OTHERS: dict[str, Gate] = {
    "elu": F.elu,
    "softplus": F.softplus,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "hardtanh(-1, 1)": F.hardtanh,
    "clamp(min=0.5)": partial(torch.clamp, min=0.5),
    "clamp(max=0)": partial(torch.clamp, max=0),
    "clamp(-1, 1)": lambda z: z.clamp(-1, 1),
    "abs": torch.abs,
    "softmax": partial(torch.softmax, dim=1),
    "average pooling": partial(F.avg_pool2d, kernel_size=3, stride=1, padding=1),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("soft", SOFT.values(), ids=SOFT)
def test_everything_else_keeps_its_own_derivative(other: Gate, soft: Soft) -> None:
    net, picture = gated(other, CHANNELS), image(5)
    p = pw.pullback(wrap(net), picture, 1, softening=soft.softening)
    assert torch.equal(p, plain_gradient(lambda x: net(x)[:, 1], picture))


@pytest.mark.parametrize("huge", [1e9, 1e300])
def test_infinite_temperature_gives_half_the_linear_network_per_gate(huge: float) -> None:
    """Invariant of the definition: T -> infinity opens every gate half."""
    net, picture = network("functional"), image(6)
    net.maxpool = nn.Identity()
    linear = network("functional")
    linear.maxpool = nn.Identity()

    # The linear network halves what passes each gate; a block has one gate in the branch and
    # one after the sum.
    def halved(x: Tensor) -> Tensor:
        x = linear.bn(linear.conv(x)) / 2
        for block in (linear.layer1, linear.layer10):
            x = (block.bn2(block.conv2(block.bn1(block.conv1(x)) / 2)) + x) / 2
        return linear.head(linear.pool(x).flatten(1))[:, 4]

    expected = plain_gradient(halved, picture)
    for softening in (pw.Softening.paper_v3(huge), pw.Softening.paper_v6(huge)):
        p = pw.pullback(wrap(net), picture, 4, softening=softening)
        torch.testing.assert_close(p, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("temperature", [1e-300, 1e-30, 1e30, 1e300])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("preset", ["paper_v3", "paper_v6", "relative"])
def test_extreme_temperatures_stay_finite(name: str, preset: str, temperature: float) -> None:
    softening = getattr(pw.Softening, preset)(temperature)
    assert pw.pullback(wrap(network(name)), image(7), 0, softening=softening).isfinite().all()
