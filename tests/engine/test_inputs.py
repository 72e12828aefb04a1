"""Networks that take more than an image, and parameters of several types."""

from typing import Any

import numpy as np
import pytest
import torch
from networks import SIZE, image, plain_gradient, seeded
from torch import Tensor, nn

import pullback_widgets as pw

HARD = pw.Softening.hard()


class WithMetadata(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor, metadata: Tensor) -> Tensor:
        features = torch.relu(self.conv(x)).mean((2, 3))
        return self.head(torch.cat([features, metadata], 1))


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, first: Tensor, *, second: Tensor) -> Tensor:
        return torch.relu(self.conv(first) * self.conv(second)).mean((2, 3))


METADATA = torch.tensor([[0.5, -2.0]], dtype=torch.float64)


def model_of(module: nn.Module, inputs: Any = None) -> pw.Model:
    calibration = image(seed=99, batch=3)
    return pw.Model(
        seeded(module), 0.5, 0.5, SIZE, calibration=calibration, inputs=inputs, name="net"
    )


@pytest.mark.parametrize(
    "inputs",
    [
        lambda x: (METADATA.expand(len(x), -1),),
        lambda x: {"metadata": METADATA.expand(len(x), -1)},
    ],
    ids=["in order", "by keyword"],
)
def test_further_inputs_come_with_every_forward_pass(inputs: Any) -> None:
    model = model_of(WithMetadata(), inputs)
    expected = plain_gradient(lambda x: model.module(x, METADATA)[:, 1], image(1))
    session = pw.Session(model, image(1))
    assert torch.equal(session.pullback(1, HARD), expected)
    assert torch.equal(pw.pullback(model, image(1), 1), session.pullback(1))
    assert pw.layers(model) and pw.report(model).gates
    batch = pw.pullback(model, image(1, batch=3), 1, HARD)
    for picture, pulled in zip(image(1, batch=3), batch, strict=True):
        torch.testing.assert_close(pw.pullback(model, picture, 1, HARD), pulled)
    assert torch.equal(pw.attribute("gradient", session, 1), expected)
    assert pw.attribute("integrated_gradients", session, 1).any()
    x = image(1, batch=2)
    torch.testing.assert_close(
        pw.ExcitationPullback(model).attribute(x, 1, HARD),
        torch.stack([plain_gradient(lambda x: model.module(x, METADATA)[:, 1], one) for one in x]),
    )
    (step,) = session.ascend(1, steps=1)
    assert step.score == pytest.approx(pw.Session(model, step.perturbed).score(1))
    strip = pw.temperature_strip(model, image(1), 1, steps=1)
    assert np.isfinite(strip.outcome).all()


def test_further_inputs_may_come_from_the_images() -> None:
    model = model_of(Pair(), lambda x: {"second": x.flip(-1)})
    expected = plain_gradient(lambda x: model.module(x, second=x.flip(-1))[:, 1], image(1))
    torch.testing.assert_close(pw.pullback(model, image(1), 1, HARD), expected)


@pytest.mark.parametrize("call", [pw.layers, pw.report, lambda m: pw.pullback(m, image(1), 1)])
def test_a_missing_input_is_named(call: Any) -> None:
    with pytest.raises(
        TypeError, match="forward of WithMetadata was given the images alone .*'metadata'.*inputs="
    ):
        call(model_of(WithMetadata()))


def test_other_arguments_than_the_networks_are_named() -> None:
    model = model_of(WithMetadata(), lambda x: {"meta": METADATA})
    with pytest.raises(TypeError, match="the images and 1 more .*meta"):
        pw.pullback(model, image(1), 1)


def test_a_type_error_of_the_networks_own_is_left_as_it_is() -> None:
    class Wrong(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return x + "text"

    with pytest.raises(TypeError, match="unsupported operand|add"):
        pw.layers(pw.Model(Wrong(), size=SIZE))


def test_what_is_no_collection_of_arguments_is_refused() -> None:
    model = model_of(WithMetadata(), lambda x: METADATA)
    with pytest.raises(TypeError, match="inputs=....  ?returned Tensor; expected a tuple"):
        pw.pullback(model, image(1), 1)
    with pytest.raises(TypeError, match="inputs is Tensor; expected a function"):
        model_of(WithMetadata(), METADATA)


# Types and devices --------------------------------------------------------------------------------


class Mixed(nn.Module):
    """A float32 parameter first; half as wide behind it."""

    def __init__(self, casts: bool) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()).bfloat16()
        self.casts = casts

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.bfloat16() if self.casts else x) * self.scale


@pytest.mark.parametrize(("casts", "dtype"), [(True, torch.float32), (False, torch.bfloat16)])
def test_images_have_the_type_of_what_they_meet(casts: bool, dtype: torch.dtype) -> None:
    module = Mixed(casts).eval()
    model = pw.Model(module, 0.5, 0.5, SIZE)
    picture = image(1).to(dtype)
    assert model.dtype == dtype and model.device.type == "cpu"
    session = pw.Session(model, picture)
    assert session.image.dtype == dtype
    expected = plain_gradient(lambda x: module(x)[:, 7], picture)
    assert torch.equal(session.pullback(7, HARD), expected)


def test_a_parameter_of_another_type_behind_does_not_matter() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    module.register_parameter("extra", nn.Parameter(torch.ones(1, dtype=torch.float64)))
    assert pw.Model(module, size=SIZE).dtype == torch.float32


def test_a_network_that_shows_nothing_has_the_type_of_its_first_parameter() -> None:
    class Shy(Mixed):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("nothing runs")

    assert pw.Model(Shy(True).double(), size=SIZE).dtype == torch.float64
    assert pw.Model(Shy(True), size=SIZE).dtype == torch.float32
