"""Scales of the relative temperature against sums written out by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import (
    CLASSES,
    NETWORKS,
    Block,
    FunctionalBlock,
    Gate,
    InTurn,
    Residual,
    Watching,
    deviation,
    image,
    network,
    plain_gradient,
    seeded,
    soft_max_pool,
    soft_relu,
    wrap,
)
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

import pullback_widgets as pw

pytestmark = pytest.mark.usefixtures("device")

T = 0.7
RELATIVE = pw.Softening.relative(T)


class Parts(nn.Module):
    """Convolutions and batch norms that a body function wires together."""

    def __init__(self, body: Callable[["Parts", Tensor, Gate], Tensor]) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv3, self.bn3 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.identity = nn.Identity()
        self.body = body

    def read_out(self, y: Tensor) -> Tensor:
        y = y.flatten(1)
        weights = torch.outer(torch.arange(CLASSES) + 1.0, torch.arange(y.shape[1]) + 0.5)
        return y @ weights.double().cos().T.to(y)

    def forward(self, x: Tensor, relu: Gate = F.relu) -> Tensor:
        return self.read_out(self.body(self, x, relu))

    def gamma(self, number: int) -> Tensor:
        return getattr(self, f"bn{number}").weight.detach().abs()


Body = Callable[[Parts, Tensor, Gate], Tensor]


def first(net: Parts, x: Tensor) -> Tensor:
    return net.bn1(net.conv1(x))


def quadrature(*scales: Tensor) -> Tensor:
    return torch.stack(scales).square().sum(0).sqrt()


@dataclass
class Case:
    """A wiring, and the scale of the input of each of its ReLUs.

    `scales` gets the network and the calibrated deviations of the inputs of its ReLUs.
    """

    body: Body
    scales: Callable[[Parts, list[Tensor]], list[Tensor]]


def straight(net: Parts, x: Tensor, relu: Gate) -> Tensor:
    return relu(net.bn2(net.conv2(relu(first(net, x)))))


def without_norm(net: Parts, x: Tensor, relu: Gate) -> Tensor:
    return relu(net.conv2(relu(net.conv1(x))))


def residual(add: Callable[[Tensor, Tensor], Tensor]) -> Body:
    def body(net: Parts, x: Tensor, relu: Gate) -> Tensor:
        skip = relu(first(net, x))
        return relu(add(net.bn2(net.conv2(skip)), skip))

    return body


def residual_twice(net: Parts, x: Tensor, relu: Gate) -> Tensor:
    y = relu(first(net, x))
    y = relu(net.bn2(net.conv2(y)) + y)
    return relu(net.bn3(net.conv3(y)) + y)


def three_terms(net: Parts, x: Tensor, relu: Gate) -> Tensor:
    y = relu(first(net, x))
    return relu(net.bn2(net.conv2(y)) + net.bn3(net.conv3(y)) + y)


def concatenation(join: Callable[[list[Tensor]], Tensor]) -> Body:
    def body(net: Parts, x: Tensor, relu: Gate) -> Tensor:
        y = relu(first(net, x))
        return relu(join([y, net.bn2(net.conv2(y))]))

    return body


def through(*passing: Callable[[Parts, Tensor], Tensor]) -> Body:
    def body(net: Parts, x: Tensor, relu: Gate) -> Tensor:
        y = first(net, x)
        for step in passing:
            y = step(net, y)
        return relu(y)

    return body


def skip_through(step: Callable[[Parts, Tensor], Tensor]) -> Body:
    """The skip connection of a residual sum goes through `step` after its ReLU."""

    def body(net: Parts, x: Tensor, relu: Gate) -> Tensor:
        skip = step(net, relu(first(net, x)))
        return relu(net.bn2(net.conv2(skip)) + skip)

    return body


def sum_with_an_unknown(net: Parts, x: Tensor, relu: Gate) -> Tensor:
    y = relu(first(net, x))
    return relu(net.bn2(net.conv2(y)) + net.conv3(y))


def iadd(a: Tensor, b: Tensor) -> Tensor:
    a += b
    return a


def gammas(*numbers: tuple[int, ...]) -> Callable[[Parts, list[Tensor]], list[Tensor]]:
    """For every ReLU the batch norms whose scales add in quadrature."""
    return lambda net, measured: [quadrature(*(net.gamma(n) for n in some)) for some in numbers]


def measured_only(net: Parts, measured: list[Tensor]) -> list[Tensor]:
    return measured


def second_measured(net: Parts, measured: list[Tensor]) -> list[Tensor]:
    return [net.gamma(1), measured[1]]


def concatenated(net: Parts, measured: list[Tensor]) -> list[Tensor]:
    return [net.gamma(1), torch.cat([net.gamma(1), net.gamma(2)])]


CASES: dict[str, Case] = {
    "batch norm": Case(straight, gammas((1,), (2,))),
    "no batch norm: calibration": Case(without_norm, measured_only),
    "sum with an unknown: calibration": Case(sum_with_an_unknown, second_measured),
    "sum, operator": Case(residual(lambda a, b: a + b), gammas((1,), (1, 2))),
    "sum, operator, swapped": Case(residual(lambda a, b: b + a), gammas((1,), (1, 2))),
    "sum, torch.add": Case(residual(torch.add), gammas((1,), (1, 2))),
    "sum, Tensor.add": Case(residual(Tensor.add), gammas((1,), (1, 2))),
    "sum, in place": Case(residual(iadd), gammas((1,), (1, 2))),
    "sum, add_": Case(residual(Tensor.add_), gammas((1,), (1, 2))),
    "sum of sums": Case(residual_twice, gammas((1,), (1, 2), (1, 2, 3))),
    "sum of three": Case(three_terms, gammas((1,), (1, 2, 3))),
    "torch.cat": Case(concatenation(lambda parts: torch.cat(parts, 1)), concatenated),
    "torch.cat, named": Case(concatenation(lambda parts: torch.cat(parts, dim=1)), concatenated),
    "torch.cat, negative": Case(
        concatenation(lambda parts: torch.cat(parts, dim=-3)), concatenated
    ),
    "torch.concat": Case(concatenation(lambda parts: torch.concat(parts, dim=1)), concatenated),
    "torch.cat, tuple": Case(concatenation(lambda parts: torch.cat((*parts,), 1)), concatenated),
}
PASSING: dict[str, Callable[[Parts, Tensor], Tensor]] = {
    "average pool": lambda net, y: F.avg_pool2d(y, 2),
    "average pool, same size": lambda net, y: F.avg_pool2d(y, 3, stride=1, padding=1),
    "adaptive average pool": lambda net, y: F.adaptive_avg_pool2d(y, 4),
    "dropout": lambda net, y: net.drop(y),
    "functional dropout": lambda net, y: F.dropout(y, 0.5, training=False),
    "torch.dropout": lambda net, y: torch.dropout(y, 0.5, False),
    "functional dropout 2d": lambda net, y: F.dropout2d(y, 0.5, training=False),
    "identity": lambda net, y: net.identity(y),
    "ELU": lambda net, y: F.elu(y),
}
CASES |= {f"through {name}": Case(through(step), gammas((1,))) for name, step in PASSING.items()}
CASES |= {
    f"skip through {name}": Case(skip_through(step), gammas((1,), (1, 2)))
    for name, step in PASSING.items()
}


def expected_pullback(net: Parts, case: Case, picture: Tensor, calibration: Tensor) -> Tensor:
    watching = Watching()
    net(calibration, watching)
    scales = case.scales(net, watching.deviations)
    assert len(scales) == len(watching.deviations)
    return plain_gradient(lambda x: net(x, InTurn(T * s for s in scales))[:, 2], picture)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_temperature_follows_the_tensors(case: Case) -> None:
    net, picture, calibration = seeded(Parts(case.body)), image(1), image(2, batch=3)
    session = pw.Session(wrap(net, calibration), picture)
    assert torch.equal(session.logits, net(picture[None])[0])
    expected = expected_pullback(net, case, picture, calibration)
    torch.testing.assert_close(
        session.pullback(2, softening=RELATIVE), expected, rtol=0, atol=1e-11
    )


ACTIVATIONS: dict[str, tuple[Gate, float]] = {
    "LeakyReLU": (lambda z: F.leaky_relu(z, 0.2), 0.2),
    "in-place LeakyReLU": (lambda z: F.leaky_relu(z, 0.2, inplace=True), 0.2),
    "ReLU6": (F.relu6, 0.0),
    "in-place ReLU": (lambda z: z.relu_(), 0.0),
    "PReLU": (lambda z: F.prelu(z, torch.full_like(z[0, 0, 0, :1], 0.3)), 0.3),
}


@pytest.mark.parametrize(("activation", "slope"), ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_gated_activations_pass_the_scale_on(activation: Gate, slope: float) -> None:
    def body(net: Parts, x: Tensor, relu: Gate) -> Tensor:
        y = relu(first(net, x))
        return F.relu(net.bn2(net.conv2(y)) + y)

    def defined(x: Tensor) -> Tensor:
        z = first(net, x)
        value = activation(z.clone())
        gate = torch.sigmoid(z / (T * net.gamma(1).reshape(-1, 1, 1))).detach()
        y = value.detach() + (slope + (1 - slope) * gate) * (z - z.detach())
        both = quadrature(net.gamma(1), net.gamma(2))
        return net.read_out(soft_relu(net.bn2(net.conv2(y)) + y, T * both))[:, 2]

    net, picture = seeded(Parts(lambda net, x, _: body(net, x, activation))), image(1)
    p = pw.pullback(wrap(net), picture, 2, softening=RELATIVE)
    torch.testing.assert_close(p, plain_gradient(defined, picture), rtol=0, atol=1e-11)


def test_max_pool_takes_the_deviation_of_its_input_and_passes_the_scale_on() -> None:
    """T of the pool: the calibrated deviation of what enters it; T behind it: the batch norm's."""

    def pooled(net: Parts, x: Tensor, relu: Gate) -> Tensor:
        skip = F.max_pool2d(relu(first(net, x)), 2)
        return relu(net.bn2(net.conv2(skip)) + skip)

    net, picture, calibration = seeded(Parts(pooled)), image(1), image(2, batch=3)
    with torch.no_grad():
        net.bn1.bias.fill_(0.3)
    entering = deviation(first(net, calibration).clamp(min=0))

    def defined(x: Tensor) -> Tensor:
        y = soft_relu(first(net, x), T * net.gamma(1))
        skip = soft_max_pool(
            y,
            F.max_pool2d(y, 2),
            entering,
            False,
            kernel=(2, 2),
            stride=(2, 2),
            padding=(0, 0),
            dilation=(1, 1),
        )
        both = quadrature(net.gamma(1), net.gamma(2))
        return net.read_out(soft_relu(net.bn2(net.conv2(skip)) + skip, T * both))[:, 2]

    p = pw.pullback(wrap(net, calibration), picture, 2, softening=RELATIVE)
    torch.testing.assert_close(p, plain_gradient(defined, picture), rtol=0, atol=1e-11)


@pytest.mark.parametrize("in_place", [False, True])
def test_timms_fused_batch_norm_and_activation(in_place: bool) -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.norm = BatchNormAct2d(4, act_layer=nn.ReLU, inplace=in_place)
            self.head = nn.Linear(4, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.norm(self.conv(x)).mean((2, 3)))

    net, picture = seeded(Fused()), image(1)

    def defined(x: Tensor) -> Tensor:
        norm = net.norm
        z = F.batch_norm(
            net.conv(x), norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
        return net.head(soft_relu(z, T * norm.weight.detach().abs()).mean((2, 3)))[:, 2]

    session = pw.Session(wrap(net), picture)
    assert torch.equal(session.logits, net(picture[None])[0])
    p = session.pullback(2, softening=RELATIVE)
    torch.testing.assert_close(p, plain_gradient(defined, picture), rtol=0, atol=1e-11)


def test_batch_norm_of_features() -> None:
    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3 * 64, 5)
            self.bn = nn.BatchNorm1d(5)
            self.head = nn.Linear(5, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.relu(self.bn(self.linear(x.flatten(1)))))

    net, picture = seeded(Features()), image(1)

    def defined(x: Tensor) -> Tensor:
        z = net.bn(net.linear(x.flatten(1)))
        return net.head(soft_relu(z, T * net.bn.weight.detach().abs()))[:, 2]

    p = pw.pullback(wrap(net), picture, 2, softening=RELATIVE)
    torch.testing.assert_close(p, plain_gradient(defined, picture), rtol=0, atol=1e-11)


@pytest.mark.parametrize("affine", [False, True])
def test_a_batch_norm_of_equal_weights_says_nothing_about_scales(affine: bool) -> None:
    net, calibration = seeded(Parts(lambda net, x, relu: relu(first(net, x)))), image(2, batch=3)
    net.bn1 = seeded(nn.BatchNorm2d(4, affine=affine))
    if affine:
        nn.init.constant_(net.bn1.weight, 0.7)
    picture = image(1)
    with torch.no_grad():
        measured = first(net, calibration).std((0, 2, 3), correction=0)
    expected = plain_gradient(lambda x: net(x, InTurn([T * measured]))[:, 2], picture)
    p = pw.pullback(wrap(net, calibration), picture, 2, softening=RELATIVE)
    torch.testing.assert_close(p, expected, rtol=0, atol=1e-11)


# Calibration -------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [without_norm, sum_with_an_unknown], ids=["no norm", "sum"])
def test_calibration_measures_the_calibration_images_not_the_current_one(body: Body) -> None:
    net, calibration = seeded(Parts(body)), image(2, batch=3)
    faint, strong = image(1) / 64, image(1)
    for picture in (faint, strong):
        case = Case(body, measured_only if body is without_norm else second_measured)
        expected = expected_pullback(net, case, picture, calibration)
        p = pw.pullback(wrap(net, calibration), picture, 2, softening=RELATIVE)
        torch.testing.assert_close(p, expected, rtol=0, atol=1e-11)


def test_other_calibration_images_give_other_temperatures() -> None:
    net, picture = seeded(Parts(without_norm)), image(1)
    strong, faint = image(2, batch=3), image(2, batch=3) / 8
    p = [pw.pullback(wrap(net, c), picture, 2, softening=RELATIVE) for c in (strong, faint)]
    assert (p[0] - p[1]).abs().max() > 1e-3 * p[0].abs().max()


def test_calibration_leaves_absolute_temperatures_alone() -> None:
    net, picture = seeded(Parts(without_norm)), image(1)
    p = [
        pw.pullback(wrap(net, c), picture, 2, softening=pw.Softening.paper_v3(0.4))
        for c in (image(2, batch=3), image(2, batch=3) / 8)
    ]
    assert torch.equal(p[0], p[1])


def test_a_network_without_batch_norm_calibrates_on_the_packages_photographs() -> None:
    net = seeded(Parts(without_norm))
    model = pw.Model(net, mean=(0.5,) * 3, std=(0.5,) * 3, size=8)
    p = [pw.pullback(model, image(1), 2, softening=s) for s in (RELATIVE, pw.Softening.hard())]
    assert p[0].isfinite().all()
    assert not torch.allclose(p[0], p[1])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_equals_its_images_one_by_one(name: str) -> None:
    """Invariant 7, for the softening that looks at statistics."""
    net, batch = network(name), image(3, batch=3)
    batch[1] /= 64
    together = pw.Session(wrap(net), batch).pullback(1, softening=RELATIVE)
    for picture, p in zip(batch, together, strict=True):
        alone = pw.pullback(wrap(net), picture, 1, softening=RELATIVE)
        torch.testing.assert_close(p, alone, rtol=0, atol=1e-12)


# Floors ------------------------------------------------------------------------------------------


def test_a_batch_norm_with_gamma_zero_stays_finite() -> None:
    net, picture = seeded(Parts(residual(torch.add))), image(1)
    with torch.no_grad():
        net.bn1.weight[0] = 0
        net.bn1.bias[0] = 0
        net.bn2.weight.zero_()
        net.bn2.bias.zero_()
    p = pw.pullback(wrap(net), picture, 2, softening=RELATIVE)
    assert p.isfinite().all()
    assert p.abs().max() > 0


@pytest.mark.parametrize("pool", [False, True], ids=["gate", "pool"])
def test_a_channel_that_never_varies_stays_finite(pool: bool) -> None:
    def body(net: Parts, x: Tensor, relu: Gate) -> Tensor:
        y = net.conv1(x)
        return relu(F.max_pool2d(y, 2) if pool else y)

    net, picture = seeded(Parts(body)), image(1)
    with torch.no_grad():
        net.conv1.weight[:2] = 0
        net.get_parameter("conv1.bias")[0] = 0
    session = pw.Session(wrap(net), picture)
    for t in (1e-30, 0.85, 1e30):
        assert session.pullback(2, softening=pw.Softening.relative(t)).isfinite().all()


def test_a_calibration_of_flat_images_stays_finite() -> None:
    net, flat = network("chain"), torch.zeros_like(image(batch=2))
    assert pw.pullback(wrap(net, flat), image(1), 0, softening=RELATIVE).isfinite().all()


# Factors -----------------------------------------------------------------------------------------


def factor_reference(net: Residual, factors: dict[str, float], x: Tensor, scale: Any) -> Tensor:
    def gate(z: Tensor, layer: str, temperature: Tensor) -> Tensor:
        return soft_relu(z, temperature * factors.get(layer, 1.0))

    g = net.bn.weight.detach().abs()
    x = gate(net.bn(net.conv(x)), "relu", scale(g))
    for name in ("layer1", "layer10"):
        block = getattr(net, name)
        g1, g2 = block.bn1.weight.detach().abs(), block.bn2.weight.detach().abs()
        out = gate(block.bn1(block.conv1(x)), name, scale(g1))
        g = quadrature(g, g2)
        x = gate(block.bn2(block.conv2(out)) + x, name, scale(g))
    return net.head(net.pool(x).flatten(1))[:, 2]


@pytest.mark.parametrize("block", [Block, FunctionalBlock])
@pytest.mark.parametrize(
    "factors",
    [{"layer1": 3.0}, {"layer10": 0.2}, {"relu": 2.0}, {"layer1": 3.0, "layer10": 0.2}],
    ids=str,
)
@pytest.mark.parametrize("relative", [True, False])
def test_factors_multiply_the_temperature_below_a_layer(
    block: type[Block], factors: dict[str, float], relative: bool
) -> None:
    """The prefix ends at a dot: a factor for layer1 leaves layer10 alone."""
    net, picture = Residual(block), image(1)
    net.maxpool = nn.Identity()  # type: ignore[assignment]
    seeded(net)

    def scale(s: Tensor) -> Tensor:
        return T * s if relative else torch.full_like(s, T)

    softening = RELATIVE if relative else pw.Softening.paper_v3(T)
    p = pw.pullback(wrap(net), picture, 2, softening=softening.with_factors(factors))
    expected = plain_gradient(lambda x: factor_reference(net, factors, x, scale), picture)
    torch.testing.assert_close(p, expected, rtol=0, atol=1e-11)


def test_a_factor_reaches_single_activations_by_their_full_name() -> None:
    net, picture = network("chain"), image(1)
    net.pool = nn.Identity()
    net.conv2, net.head = nn.Conv2d(5, 6, 3, stride=2), nn.Linear(6 * 9, CLASSES)
    seeded(net)
    softening = pw.Softening.paper_v3(T).with_factors({"relu2": 2.5})

    def defined(x: Tensor) -> Tensor:
        y = soft_relu(net.conv1(x), T)
        return net.head(soft_relu(net.conv2(y), 2.5 * T).flatten(1))[:, 2]

    p = pw.pullback(wrap(net), picture, 2, softening=softening)
    torch.testing.assert_close(p, plain_gradient(defined, picture), rtol=0, atol=1e-11)


def test_a_factor_of_one_changes_nothing() -> None:
    net, picture = network("residual"), image(1)
    session = pw.Session(wrap(net), picture)
    plain = session.pullback(2, softening=RELATIVE)
    assert torch.equal(session.pullback(2, softening=RELATIVE.with_factors({"layer1": 1.0})), plain)
