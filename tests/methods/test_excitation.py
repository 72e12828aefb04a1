from typing import Any

import numpy as np
import pytest
import torch
from networks import CATEGORIES, CLASSES, SOFTENINGS, image, network, seeded
from states import state_of
from torch import Tensor, nn

import pullback_widgets as pw

captum: Any = pytest.importorskip("captum.attr")
metrics: Any = pytest.importorskip("captum.metrics")

HARD = pw.Softening.hard()
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def inputs(seed: int = 0, batch: int = 3) -> Tensor:
    """A batch as captum users have it: normalised, mostly beyond [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(batch, 3, 8, 8, generator=generator, dtype=torch.float64)


def model_of(net: nn.Module) -> pw.Model:
    options: dict[str, Any] = {"size": 8, "calibration": image(99, batch=3)}
    return pw.Model(net, MEAN, STD, categories=CATEGORIES, **options)


def images_of(x: Tensor) -> Tensor:
    mean, std = (torch.tensor(v, dtype=x.dtype).view(3, 1, 1) for v in (MEAN, STD))
    return (x * std + mean) * 2 - 1


def saliency(net: nn.Module, x: Tensor, target: Any) -> Tensor:
    return captum.Saliency(net).attribute(x.clone().requires_grad_(), target, abs=False)


@pytest.mark.parametrize("name", ["chain", "residual", "dense", "mobile", "mixed"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["module", "model"])
@pytest.mark.parametrize(
    "target",
    [2, [0, 5, 2], torch.tensor([0, 5, 2]), torch.tensor(4), torch.tensor([4])],
    ids=["int", "list", "tensor", "scalar", "one"],
)
def test_hard_gates_give_captums_saliency_bit_for_bit(
    name: str, wrapped: bool, target: Any
) -> None:
    net, x = network(name), inputs()
    found = pw.ExcitationPullback(model_of(net) if wrapped else net).attribute(
        x, target=target, softening=HARD
    )
    assert torch.equal(found, saliency(net, x, target))


@pytest.mark.parametrize("softening", SOFTENINGS.values(), ids=SOFTENINGS)
@pytest.mark.parametrize("name", ["chain", "residual"])
def test_it_is_the_pullback_in_the_networks_own_space(name: str, softening: pw.Softening) -> None:
    model = model_of(network(name))
    pictures = image(5, batch=2)
    target: list[Any] = [1, pw.Channel(model_layer(name), 2)]
    found = pw.ExcitationPullback(model).attribute(model.normalise(pictures), target, softening)
    # The network sees ((x + 1) / 2 - mean) / std.
    expected = pw.Session(model, pictures).pullback(target, softening)
    scale = 2 * torch.tensor(STD, dtype=torch.float64).view(3, 1, 1)
    torch.testing.assert_close(found, expected * scale, rtol=1e-9, atol=1e-12)


def model_layer(name: str) -> str:
    return {"chain": "conv2", "residual": "layer1.bn2"}[name]


def test_the_default_is_relative_and_the_scales_are_the_models_own() -> None:
    model, x = model_of(network("chain")), inputs()  # no batch norm: calibrated
    found = pw.ExcitationPullback(model).attribute(x, 1)
    again = pw.ExcitationPullback(model).attribute(x, 1, pw.Softening.relative(0.85))
    assert torch.equal(found, again)
    other = pw.Model(model.module, MEAN, STD, size=8, calibration=image(98, batch=3) / 2)
    assert not torch.equal(pw.ExcitationPullback(other).attribute(x, 1), found)


def test_targets_of_our_own() -> None:
    net, x = network("residual"), inputs(batch=2)
    attribution = pw.ExcitationPullback(model_of(net))
    names = attribution.attribute(x, ["golf ball", "espresso"])
    assert torch.equal(names, attribution.attribute(x, [0, 4]))
    top = net(x).argmax(1)
    assert torch.equal(attribution.attribute(x), attribution.attribute(x, top))
    assert torch.equal(
        attribution.attribute(x, pw.Difference(1, 3), HARD),
        attribution.attribute(x, pw.Logit(1) - pw.Logit(3), HARD),
    )
    assert torch.equal(attribution.attribute(x, np.array([1, 3])), attribution.attribute(x, [1, 3]))


@pytest.mark.parametrize("softening", [HARD, pw.Softening.relative(0.85)])
def test_steps_are_the_ascent_of_the_session(softening: pw.Softening) -> None:
    model = model_of(network("residual"))
    pictures = image(6, batch=2)
    options: dict[str, Any] = {"steps": 3, "step_size": 2.0, "radius": 5.0}
    x = model.normalise(pictures)
    found = pw.ExcitationPullback(model).attribute(x, [1, 2], softening, **options)
    *_, last = pw.Session(model, pictures).ascend([1, 2], softening, **options)
    torch.testing.assert_close(images_of(x + found), last.perturbed, rtol=1e-6, atol=1e-8)
    assert last.difference.abs().max() > 0.1


def test_no_steps_is_the_pullback() -> None:
    attribution, x = pw.ExcitationPullback(network("residual")), inputs()
    assert torch.equal(attribution.attribute(x, 1, steps=0), attribution.attribute(x, 1))


def test_inputs_beyond_photographs_can_ascend() -> None:
    model, x = model_of(network("residual")), inputs()
    found = pw.ExcitationPullback(model).attribute(x, 1, steps=2, step_size=1.0)
    assert found.shape == x.shape and found.abs().max() > 0
    assert images_of(x).abs().max() > 1
    start = images_of(x).clamp(-1, 1)
    scale = 2 * torch.tensor(STD, dtype=torch.float64).view(3, 1, 1)
    assert (start + found * scale).abs().max() <= 1 + 1e-9


def test_shape_type_and_device_are_the_inputs() -> None:
    attribution = pw.ExcitationPullback(network("residual"))  # in float64
    x = inputs().float().requires_grad_()
    found = attribution.attribute(x, 1)
    assert found.dtype == torch.float32 and found.shape == x.shape
    assert not found.requires_grad and x.grad is None and x.requires_grad
    (inside,) = attribution.attribute((x,), 1)
    assert torch.equal(inside, found)


@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
def test_noise_tunnel(kind: str) -> None:
    net, x = network("residual"), inputs()
    options: dict[str, Any] = {"nt_type": kind, "nt_samples": 5, "nt_samples_batch_size": 2}
    options |= {"stdevs": 0.3, "target": [1, 3, 3]}
    torch.manual_seed(0)
    tunnel = captum.NoiseTunnel(pw.ExcitationPullback(net))
    found = tunnel.attribute(x, **options, softening=HARD)
    torch.manual_seed(0)
    expected = captum.NoiseTunnel(captum.Saliency(net)).attribute(x, **options, abs=False)
    torch.testing.assert_close(found, expected)
    soft = tunnel.attribute(x, **options, softening=pw.Softening.relative(0.85))
    assert not torch.allclose(soft, expected)


def test_captums_infidelity() -> None:
    """A pullback with hard gates predicts what a tiny change does to the logit."""
    net, x = network("residual"), inputs()

    def perturb(x: Tensor) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(1)
        change = 1e-6 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return change, x - change

    def infidelity(attribution: Tensor) -> Tensor:
        return metrics.infidelity(net, perturb, x, attribution, target=2, n_perturb_samples=4)

    exact = infidelity(pw.ExcitationPullback(net).attribute(x, 2, HARD))
    assert exact.max() < 1e-6 * infidelity(torch.zeros_like(x)).min()


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already")
def test_captums_sensitivity() -> None:
    net, x = network("residual"), inputs()

    def sensitivity(explain: Any, **options: Any) -> Tensor:
        torch.manual_seed(0)
        return metrics.sensitivity_max(
            explain,
            x.requires_grad_(),
            perturb_radius=0.1,
            n_perturb_samples=4,
            target=[1, 3, 5],
            **options,
        )

    explain = pw.ExcitationPullback(net).attribute
    hard = sensitivity(explain, softening=HARD)
    torch.testing.assert_close(
        hard, sensitivity(captum.Saliency(net).attribute, abs=False), rtol=1e-9, atol=1e-12
    )
    assert not torch.allclose(sensitivity(explain), hard)


class Overwriting(nn.Module):
    """A network that overwrites its input, then trains as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network("residual")

    def forward(self, x: Tensor) -> Tensor:
        x *= 2
        return self.body(x)


def test_nothing_is_changed() -> None:
    net, x = seeded(Overwriting()).train(), inputs()
    net.body.conv.weight.grad = torch.ones_like(net.body.conv.weight)
    before, kept = state_of(net), x.clone()
    found = pw.ExcitationPullback(net).attribute(x, 2, HARD)
    assert state_of(net) == before
    assert torch.equal(x, kept)
    assert torch.equal(found, 2 * saliency(net.eval().body, 2 * x, 2))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"inputs": np.zeros((1, 3, 8, 8))}, TypeError, "inputs are ndarray"),
        ({"inputs": inputs()[0]}, ValueError, "x.unsqueeze"),
        ({"inputs": inputs().long()}, ValueError, "torch.int64"),
        ({"inputs": (inputs(), inputs())}, ValueError, "2 input tensors"),
        ({"target": CLASSES}, ValueError, "out of range"),
        ({"target": [1, 2]}, ValueError, "2 targets for 3 images"),
        ({"target": torch.tensor(1.5)}, TypeError, "target is 1.5"),
        ({"steps": -1}, ValueError, "steps is -1"),
        ({"steps": True}, ValueError, "steps is True"),
        ({"steps": 2, "step_size": 0.0}, ValueError, "step_size is 0.0"),
        ({"softening": 0.3}, TypeError, "softening is 0.3"),
    ],
)
def test_what_makes_no_sense(wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pw.ExcitationPullback(network("residual")).attribute(
            **{"inputs": inputs(), "target": 1, **wrong}
        )
