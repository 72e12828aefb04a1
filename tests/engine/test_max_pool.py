"""The backward pass of max-pools against its definition in plain torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import (
    CLASSES,
    deviation,
    image,
    plain_gradient,
    seeded,
    soft_max_pool,
    wrap,
)
from torch import Tensor, nn

import pullback_widgets as pw

pytestmark = pytest.mark.usefixtures("device")


class Pooled(nn.Module):
    """Convolution, one max-pool in 1, 2 or 3 dimensions, fixed linear read-out."""

    def __init__(self, dims: int, pool: Callable[[Tensor], Tensor], shift: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.dims, self.pool, self.shift = dims, pool, shift

    def before(self, x: Tensor) -> Tensor:
        y = self.conv(x) + self.shift
        return {1: y.flatten(2), 2: y, 3: y.unflatten(1, (2, 3))}[self.dims]

    def read_out(self, y: Tensor) -> Tensor:
        y = y.flatten(1)
        weights = torch.outer(torch.arange(CLASSES) + 1.0, torch.arange(y.shape[1]) + 0.5)
        return y @ weights.double().cos().T.to(y)

    def forward(self, x: Tensor) -> Tensor:
        return self.read_out(self.pool(self.before(x)))


FUNCTIONS = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
TORCH_FUNCTIONS = {1: torch.max_pool1d, 2: torch.max_pool2d, 3: torch.max_pool3d}
WITH_INDICES = {
    1: F.max_pool1d_with_indices,
    2: F.max_pool2d_with_indices,
    3: F.max_pool3d_with_indices,
}
MODULES = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


@dataclass
class Geometry:
    """Arguments of a pool in the dimensions it is given for."""

    kernel: Sequence[int]
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    ceil_mode: bool = False

    @property
    def dims(self) -> int:
        return len(self.kernel)

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "stride": tuple(self.stride),
            "padding": tuple(self.padding),
            "dilation": tuple(self.dilation),
            "ceil_mode": self.ceil_mode,
        }

    def soft(self, x: Tensor, temperature: Tensor | float, differentiated: bool) -> Tensor:
        value = FUNCTIONS[self.dims](x, tuple(self.kernel), **self.arguments)
        return soft_max_pool(
            x,
            value,
            temperature,
            differentiated,
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )


def same(dims: int, k: int, s: int, p: int, d: int, ceil: bool = False) -> Geometry:
    """The same numbers in every dimension; the 3-wide depth of 3d takes a kernel of 2."""
    if dims == 3:
        return Geometry([2, k, k], [1, s, s], [0, p, p], [1, d, d], ceil)
    return Geometry([k] * dims, [s] * dims, [p] * dims, [d] * dims, ceil)


NUMBERS = {
    "2, stride 2": (2, 2, 0, 1, False),
    "3, stride 2, padding 1": (3, 2, 1, 1, False),
    "3, stride 1, padding 1": (3, 1, 1, 1, False),
    "3, stride 2, ceil": (3, 2, 0, 1, True),
    "3, stride 2, padding 1, ceil": (3, 2, 1, 1, True),
    "2, stride 3, gaps": (2, 3, 0, 1, False),
    "2, stride 3, ceil": (2, 3, 0, 1, True),
    "3, stride 1, dilation 2": (3, 1, 0, 2, False),
    "2, stride 2, padding 1, dilation 3, ceil": (2, 2, 1, 3, True),
    "1, stride 2": (1, 2, 0, 1, False),
    "5, stride 3, padding 2": (5, 3, 2, 1, False),
}
GEOMETRIES: dict[str, Geometry] = {
    f"{dims}d {name}": same(dims, *numbers)
    for dims in (1, 2, 3)
    for name, numbers in NUMBERS.items()
} | {
    "2d uneven": Geometry([2, 3], [3, 1], [1, 0], [1, 2]),
    "2d uneven, ceil": Geometry([3, 2], [2, 3], [0, 1], [1, 2], True),
    "3d uneven": Geometry([3, 2, 3], [1, 3, 2], [1, 0, 1], [1, 1, 2], True),
    "3d over depth": Geometry([3, 1, 1], [1, 1, 1], [1, 0, 0], [1, 1, 1]),
}
POOL_FORMS = {
    "differentiated": (pw.Softening.paper_v3(0.4), 0.4, True),
    "detached": (pw.Softening.paper_v6(0.8), 0.4, False),
}


def pool_function(geometry: Geometry) -> Callable[[Tensor], Tensor]:
    return partial(
        FUNCTIONS[geometry.dims], kernel_size=tuple(geometry.kernel), **geometry.arguments
    )


@pytest.mark.parametrize("form", POOL_FORMS)
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("shift", [0.0, -5.0], ids=["centred", "negative"])
def test_max_pool_is_softmax_pooling_backward(geometry: Geometry, form: str, shift: float) -> None:
    """All-negative inputs show whether padding takes part: a padded zero would win there."""
    softening, temperature, differentiated = POOL_FORMS[form]
    net = seeded(Pooled(geometry.dims, pool_function(geometry), shift))
    picture = image(1)
    session = pw.Session(wrap(net), picture)
    assert torch.equal(session.logits, net(picture[None])[0])

    def defined(x: Tensor) -> Tensor:
        return net.read_out(geometry.soft(net.before(x), temperature, differentiated))[:, 2]

    expected = plain_gradient(defined, picture)
    p = session.pullback(2, softening=softening)
    torch.testing.assert_close(p, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_hard_max_pool_equals_autograd_bit_for_bit(geometry: Geometry) -> None:
    net, picture = seeded(Pooled(geometry.dims, pool_function(geometry))), image(2)
    p = pw.pullback(wrap(net), picture, 1, softening=pw.Softening.hard())
    assert torch.equal(p, plain_gradient(lambda x: net(x)[:, 1], picture))


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("preset", ["paper_v3", "paper_v6"])
def test_cold_max_pool_tends_to_the_hard_one(geometry: Geometry, preset: str) -> None:
    net, picture = seeded(Pooled(geometry.dims, pool_function(geometry))), image(2)
    cold = getattr(pw.Softening, preset)(1e-8)
    expected = plain_gradient(lambda x: net(x)[:, 1], picture)
    p = pw.pullback(wrap(net), picture, 1, softening=cold)
    torch.testing.assert_close(p, expected, rtol=0, atol=1e-6)


POOL_SPELLINGS: dict[str, Callable[[int, Geometry], Callable[[Tensor], Tensor]]] = {
    "nn": lambda n, g: MODULES[n](tuple(g.kernel), **g.arguments),
    "nn, indices": lambda n, g: (lambda module: lambda x: module(x)[0])(
        MODULES[n](tuple(g.kernel), return_indices=True, **g.arguments)
    ),
    "F, indices": lambda n, g: (
        lambda x: FUNCTIONS[n](x, tuple(g.kernel), return_indices=True, **g.arguments)[0]
    ),
    "F.with_indices": lambda n, g: lambda x: WITH_INDICES[n](x, tuple(g.kernel), **g.arguments)[0],
    "torch": lambda n, g: lambda x: TORCH_FUNCTIONS[n](x, tuple(g.kernel), **g.arguments),
    "positional": lambda n, g: (
        lambda x: FUNCTIONS[n](
            x,
            tuple(g.kernel),
            tuple(g.stride),
            tuple(g.padding),
            tuple(g.dilation),
            g.ceil_mode,
        )
    ),
}


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("spelling", POOL_SPELLINGS)
@pytest.mark.parametrize("form", POOL_FORMS)
def test_every_spelling_of_a_pool_is_softened_alike(dims: int, spelling: str, form: str) -> None:
    geometry = same(dims, 3, 2, 1, 1, ceil=True)
    softening, temperature, differentiated = POOL_FORMS[form]
    net = seeded(Pooled(dims, POOL_SPELLINGS[spelling](dims, geometry)))
    picture = image(3)

    def defined(x: Tensor) -> Tensor:
        return net.read_out(geometry.soft(net.before(x), temperature, differentiated))[:, 0]

    p = pw.pullback(wrap(net), picture, 0, softening=softening)
    torch.testing.assert_close(p, plain_gradient(defined, picture), rtol=0, atol=1e-11)


@pytest.mark.parametrize("form", POOL_FORMS)
def test_pool_stride_defaults_to_the_kernel(form: str) -> None:
    softening, temperature, differentiated = POOL_FORMS[form]
    geometry = Geometry([3, 3], [3, 3], [0, 0], [1, 1])
    net, picture = seeded(Pooled(2, lambda x: F.max_pool2d(x, 3))), image(3)

    def defined(x: Tensor) -> Tensor:
        return net.read_out(geometry.soft(net.before(x), temperature, differentiated))[:, 0]

    p = pw.pullback(wrap(net), picture, 0, softening=softening)
    torch.testing.assert_close(p, plain_gradient(defined, picture), rtol=0, atol=1e-11)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_pool_indices_are_the_plain_ones(dims: int) -> None:
    seen: list[Tensor] = []

    def pool(x: Tensor) -> Tensor:
        y, indices = FUNCTIONS[dims](x, 2, stride=2, return_indices=True)
        seen.append(indices)
        return y

    net, picture = seeded(Pooled(dims, pool)), image(4)
    pw.Session(wrap(net), picture)
    net(picture[None])
    assert seen[0].dtype == torch.int64
    assert torch.equal(seen[0], seen[-1])


@pytest.mark.parametrize("form", POOL_FORMS)
def test_unbatched_and_channels_last_inputs_of_a_pool(form: str) -> None:
    softening, temperature, differentiated = POOL_FORMS[form]
    geometry = same(2, 3, 2, 1, 1)
    plain = pool_function(geometry)
    picture = image(5)
    pools: list[Callable[[Tensor], Tensor]] = [
        lambda x: plain(x.flatten(0, 1)).unflatten(0, x.shape[:2]),
        lambda x: plain(x.contiguous(memory_format=torch.channels_last)),
        lambda x: plain(x.transpose(2, 3)).transpose(2, 3),
    ]
    for pool in pools:
        net = seeded(Pooled(2, pool))

        def defined(x: Tensor, net: Any = net) -> Tensor:
            return net.read_out(geometry.soft(net.before(x), temperature, differentiated))[:, 0]

        p = pw.pullback(wrap(net), picture, 0, softening=softening)
        torch.testing.assert_close(p, plain_gradient(defined, picture), rtol=0, atol=1e-11)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_ties_share_alike_when_soft_and_as_autograd_does_when_hard(dims: int) -> None:
    geometry = same(dims, 2, 2, 0, 1)
    net = seeded(Pooled(dims, pool_function(geometry)))
    with torch.no_grad():
        net.conv.weight[:, :, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
    flat = torch.full_like(image(), 0.25)
    hard = pw.pullback(wrap(net), flat, 0, softening=pw.Softening.hard())
    assert torch.equal(hard, plain_gradient(lambda x: net(x)[:, 0], flat))

    for softening, temperature, differentiated in POOL_FORMS.values():

        def defined(x: Tensor, t: float = temperature, d: bool = differentiated) -> Tensor:
            return net.read_out(geometry.soft(net.before(x), t, d))[:, 0]

        p = pw.pullback(wrap(net), flat, 0, softening=softening)
        torch.testing.assert_close(p, plain_gradient(defined, flat), rtol=0, atol=1e-12)


def test_relative_pool_temperature_is_one_deviation_of_its_input_whatever_t_is() -> None:
    geometry = same(2, 3, 2, 1, 1)
    net, picture, calibration = seeded(Pooled(2, pool_function(geometry))), image(6), image(7, 3)

    def defined(x: Tensor) -> Tensor:
        scale = deviation(net.before(calibration))
        return net.read_out(geometry.soft(net.before(x), scale, differentiated=False))[:, 5]

    expected = plain_gradient(defined, picture)
    session = pw.Session(wrap(net, calibration), picture)
    for t in (0.1, 0.85, 3.0):
        p = session.pullback(5, softening=pw.Softening.relative(t))
        torch.testing.assert_close(p, expected, rtol=0, atol=1e-11)
