import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import (
    CLASSES,
    SIZE,
    Block,
    Chain,
    Residual,
    image,
    network,
    seeded,
    wrap,
)
from states import state_of
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.methods.captum_methods import METHODS, attribute

captum: Any = pytest.importorskip("captum.attr")

BY_CAPTUM = [name for name, method in METHODS.items() if not method.softened]
HARD = pw.Softening.hard()


class Normalised(nn.Module):
    """A network behind its preprocessing, for captum called directly."""

    def __init__(self, module: nn.Module, model: pw.Model) -> None:
        super().__init__()
        self.module = module
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.module(self.model.normalise(x))


def directly(name: str, net: nn.Module, layer: nn.Module, x: Tensor, target: Any) -> Tensor:
    """A method as captum's own documentation calls it."""
    x = x.clone().requires_grad_()
    if name == "gradient":
        return captum.Saliency(net).attribute(x, target, abs=False)
    if name == "input_x_gradient":
        return captum.InputXGradient(net).attribute(x, target)
    if name == "integrated_gradients":
        return captum.IntegratedGradients(net).attribute(x, target=target, n_steps=6)
    if name == "smoothgrad":
        pieces = []
        for n in range(len(x)):
            one = x[n : n + 1]
            deviation = 0.15 * float((one.max() - one.min()).detach())
            torch.manual_seed(0)
            tunnel = captum.NoiseTunnel(captum.Saliency(net))
            options = {"nt_samples": 6, "nt_samples_batch_size": 4, "stdevs": deviation}
            goal = target if isinstance(target, int) or target is None else target[n]
            pieces.append(tunnel.attribute(one, target=goal, abs=False, **options))
        return torch.cat(pieces)
    if name == "guided_backprop":
        return captum.GuidedBackprop(net).attribute(x, target)
    if name == "grad_cam":
        small = captum.LayerGradCam(net, layer).attribute(x, target, relu_attributions=True)
        return F.interpolate(small, x.shape[2:], mode="bilinear").expand_as(x)
    assert name == "guided_grad_cam"
    camera = captum.GuidedGradCam(net, layer)
    return camera.attribute(x, target, interpolate_mode="bilinear")


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected.detach(), rtol=1e-9, atol=1e-12)
    assert expected.abs().max() > 0


def samples_of(name: str) -> int | None:
    return 6 if METHODS[name].samples else None


def model_of(module: nn.Module) -> pw.Model:
    """A model whose normalisation is no identity."""
    return pw.Model(
        module, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), size=SIZE, calibration=image(9, 3)
    )


@pytest.mark.filterwarnings("ignore:Setting backward hooks")
@pytest.mark.parametrize("name", BY_CAPTUM)
def test_every_method_is_captums_own(name: str) -> None:
    net = network("residual")  # its in-place ReLUs run twice a block
    model, x = model_of(net), image(1, batch=3)
    found = attribute(name, pw.Session(model, x), [1, 4, 4], samples=samples_of(name))
    layer = net.layer10  # the last with positions
    assert_close(found, directly(name, Normalised(net, model), layer, x, [1, 4, 4]))


@pytest.mark.filterwarnings("ignore:Setting backward hooks")
@pytest.mark.parametrize("name", BY_CAPTUM)
def test_hidden_targets(name: str) -> None:
    """A channel of a convolution, which an in-place ReLU overwrites right after."""
    net = seeded(Chain())
    model, x = wrap(net), image(2)

    class Front(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return net.conv2(net.pool(self.relu(net.conv1(x))))[:, 1].mean((1, 2))

    session = pw.Session(model, x)
    found = attribute(name, session, pw.Channel("conv2", 1), samples=samples_of(name))
    # The last layer with positions before it is the pool.
    assert_close(found[None], directly(name, Front(), net.pool, x[None], None))


def test_any_target() -> None:
    session = pw.Session(wrap(network("residual")), image(3))
    vector = torch.arange(4.0)
    targets: list[pw.Target] = [
        pw.Difference(1, 3),
        pw.Unit("layer1.conv1", 2, (1, 2)),
        pw.Direction("layer10", vector),
        pw.Channel("layer10.relu:2", 1, "max"),
        pw.Logit(2) - pw.Channel("layer1.bn2", 0),
    ]
    for target in targets:
        expected = session.pullback(target, HARD)
        torch.testing.assert_close(attribute("gradient", session, target), expected)


def test_functional_relus_are_guided_like_modules() -> None:
    twins = [network("residual"), network("functional")]
    x = image(4, batch=2)
    first, second = (attribute("guided_backprop", pw.Session(wrap(net), x), 2) for net in twins)
    assert_close(second, first)
    plain = attribute("gradient", pw.Session(wrap(twins[1]), x), 2)
    assert (plain - second).abs().max() > 1e-3 * plain.abs().max()


class Written(nn.Module):
    """A ReLU6 written in one of many ways."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.activation = activation
        self.head = nn.Linear(4 * 6 * 6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.activation(4 * self.conv(x)).flatten(1))


@pytest.mark.parametrize(
    "activation",
    [F.relu6, nn.ReLU6(inplace=True), lambda z: z.clamp_(0, 6), lambda z: F.hardtanh(z, 0, 6)],
    ids=["function", "in place", "clamp", "hardtanh"],
)
def test_relu6_is_guided(activation: Callable[[Tensor], Tensor]) -> None:
    net, x = seeded(Written(activation)), image(5)
    found = attribute("guided_backprop", pw.Session(wrap(net), x), 1)
    z = 4 * net.conv(x[None])
    gradient = net.head.weight[1].view_as(z)
    guided = gradient * ((z > 0) & (z < 6) & (gradient > 0))
    assert_close(found, F.conv_transpose2d(4 * guided, net.conv.weight)[0])


def test_a_network_without_relus_cannot_be_guided() -> None:
    net = seeded(Written(F.silu))
    session = pw.Session(wrap(net), image(5))
    assert attribute("gradient", session, 1).abs().max() > 0
    for name in ("guided_backprop", "guided_grad_cam"):
        with pytest.raises(ValueError, match="no ReLU ran in Written"):
            attribute(name, session, 1)


def test_pullback_is_the_sessions() -> None:
    session = pw.Session(wrap(network("chain")), image(6, batch=2))
    soft = pw.Softening.relative(0.5)
    expected = session.pullback([0, 3], soft)
    assert torch.equal(attribute("pullback", session, [0, 3], soft), expected)


def test_smooth_pullback_is_the_mean_over_noisy_copies() -> None:
    model, x = wrap(network("mobile")), image(7, batch=2)
    soft = pw.Softening.relative(0.6)
    options: dict[str, Any] = {"samples": 5, "noise": 0.1, "seed": 3}
    found = attribute("smooth_pullback", pw.Session(model, x), [0, 3], soft, **options, batch=2)
    for n, target in enumerate([0, 3]):
        generator = torch.Generator().manual_seed(3)
        deviation = 0.1 * float(x[n].max() - x[n].min())
        expected = torch.zeros_like(x[n])
        for _ in range(5):
            copy = x[n] + torch.randn(1, 3, SIZE, SIZE, generator=generator)[0] * deviation
            expected += pullback_of(model, copy, target, soft) / 5
        assert_close(found[n], expected)


def pullback_of(model: pw.Model, x: Tensor, target: int, softening: pw.Softening) -> Tensor:
    from pullback_widgets.engine.recording import Recording

    return Recording(model, x[None]).pull([pw.Logit(target)], softening)[0]


def test_smooth_pullback_with_hard_gates_is_smoothgrad() -> None:
    session = pw.Session(wrap(network("residual")), image(8, batch=2))
    options: dict[str, Any] = {"samples": 6, "noise": 0.2, "seed": 5, "batch": 4}
    smooth = attribute("smooth_pullback", session, 1, HARD, **options)
    assert_close(smooth, attribute("smoothgrad", session, 1, **options))


@pytest.mark.parametrize("name", ["smoothgrad", "smooth_pullback"])
def test_the_noise_is_seeded(name: str) -> None:
    session = pw.Session(wrap(network("residual")), image(8))
    state = torch.get_rng_state()
    first = attribute(name, session, 1, samples=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.randn(3)
    assert torch.equal(attribute(name, session, 1, samples=3), first)
    assert not torch.equal(attribute(name, session, 1, samples=3, seed=1), first)


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_is_its_images_one_by_one(name: str) -> None:
    model, x = wrap(network("dense")), image(10, batch=3)
    samples = samples_of(name)
    together = attribute(name, pw.Session(model, x), [0, 4, 5], samples=samples)
    for n, target in enumerate([0, 4, 5]):
        alone = attribute(name, pw.Session(model, x[n]), target, samples=samples)
        assert alone.shape == x[n].shape
        assert_close(together[n], alone)


class Hooked(nn.Module):
    """Parameters to be trained, a gradient on one, a hook of the user's, training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Residual(Block)
        self.seen: list[int] = []
        self.net.relu.register_forward_hook(self.note)

    def note(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self.seen.append(len(output))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


@pytest.mark.parametrize("name", METHODS)
def test_the_model_is_untouched(name: str) -> None:
    net = seeded(Hooked()).train()
    first = next(net.parameters())
    first.grad = torch.ones_like(first)
    session = pw.Session(wrap(net), image(11, batch=2))
    before, _ = state_of(net), net.seen.clear()
    attribute(name, session, 2, HARD, samples=samples_of(name), batch=2)
    passes = list(net.seen)
    net.seen.clear()
    assert state_of(net) == before
    if not METHODS[name].samples:
        # Once for each forward pass: the pullback needs none, guided Grad-CAM two.
        assert passes == {"pullback": [], "guided_grad_cam": [2, 2]}.get(name, [2])


@pytest.mark.parametrize("name", BY_CAPTUM)
def test_the_model_is_untouched_after_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = seeded(Hooked()).train()
    session = pw.Session(wrap(net), image(11))

    def fail(module: nn.Module, args: Any) -> None:
        raise ValueError("the user's own")

    handle = net.net.head.register_forward_pre_hook(fail)
    before, _ = state_of(net), net.seen.clear()
    with pytest.raises(ValueError, match="the user's own"):
        attribute(name, session, 2, samples=samples_of(name))
    net.seen.clear()
    assert state_of(net) == before
    handle.remove()


def test_the_layer_of_grad_cam() -> None:
    net = network("residual")
    session = pw.Session(wrap(net), image(12))
    chosen = attribute("grad_cam", session, 2, layer="layer1.relu")
    second = attribute("grad_cam", session, 2, layer="layer1.relu:2")
    assert not torch.equal(chosen, second)
    plain = Normalised(net, wrap(net))
    expected = directly("grad_cam", plain, net.layer1, session.image[None], 2)
    assert_close(second[None], expected)  # the second call ends the block
    assert torch.equal(chosen[0], chosen[2]) and chosen.min() >= 0


def test_grad_cam_needs_a_layer_with_positions_before_the_target() -> None:
    session = pw.Session(wrap(network("residual")), image(12))
    with pytest.raises(ValueError, match="needs a layer with positions"):
        attribute("grad_cam", session, pw.Channel("conv", 0))
    with pytest.raises(ValueError, match="does not depend on the layer 'layer10'"):
        attribute("grad_cam", session, pw.Channel("layer1", 0), layer="layer10")
    with pytest.raises(ValueError, match="There is no layer 'layer3'"):
        attribute("grad_cam", session, 1, layer="layer3")


def test_without_captum(monkeypatch: pytest.MonkeyPatch) -> None:
    session = pw.Session(wrap(network("chain")), image(13))

    def gone(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", gone)
    with pytest.raises(ImportError, match=r"pip install .pullback_widgets\[methods\]"):
        attribute("grad_cam", session, 1)
    assert attribute("smooth_pullback", session, 1, samples=2).abs().max() > 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("saliency", {}, "There is no method 'saliency'; choose from pullback"),
        ("smoothgrad", {"samples": 0}, "samples is 0"),
        ("smoothgrad", {"noise": -1.0}, "noise is -1.0"),
        ("integrated_gradients", {"batch": 1.5}, "batch is 1.5"),
        ("gradient", {"target": CLASSES}, "out of range"),
    ],
)
def test_what_makes_no_sense(name: str, options: dict[str, Any], message: str) -> None:
    session = pw.Session(wrap(network("chain")), image(13))
    with pytest.raises(ValueError, match=message):
        attribute(name, session, **options)
