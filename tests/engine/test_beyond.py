"""Beyond ReLU: smooth activations, norms, attention and products against their definitions.

The definitions are written here as functions whose constants are detached, so that autograd's own
derivative of them is what the engine must give.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import image, seeded, wrap
from operations import (
    CHANNELS,
    HEADS,
    HELD,
    UNCENTRED,
    WEIGHT,
    Around,
    Function,
    attended,
    constant,
    heads,
    joined,
    maps,
    normal,
    tokens,
)
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.engine.smooth import SMOOTH

S = pw.Softening


def gradient(function: Function, x: Tensor, k: int = 1) -> Tensor:
    x = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(function(x[None])[0, k], x)
    return found


def close(first: Tensor, second: Tensor, share: float = 1e-10) -> bool:
    return float((first - second).abs().max()) <= share * float(second.abs().max())


@pytest.mark.parametrize("name", HELD)
def test_held_is_the_derivative_with_detached_constants(name: str) -> None:
    own, detached = HELD[name]
    net = seeded(Around(own))
    session = pw.Session(wrap(net), image(3))
    assert torch.equal(session.logits, net(image(3)[None])[0].detach())
    assert torch.equal(session.pullback(1, S.hard()), gradient(net, image(3)))
    p = session.pullback(1, S.held())
    assert close(p, gradient(lambda x: net(x, detached), image(3)))
    assert not close(p, session.pullback(1, S.hard()), 1e-3)


@pytest.mark.parametrize("name", UNCENTRED)
def test_held_is_complete_without_biases(name: str) -> None:
    session = pw.Session(wrap(seeded(Around(HELD[name][0]))), image(3))
    p = session.pullback(1, S.held())
    assert float((p * image(3)).sum()) == pytest.approx(float(session.logits[1]), rel=1e-10)


@pytest.mark.parametrize("name", HELD)
@pytest.mark.parametrize("units", ["absolute", "relative"])
def test_cold_is_held(name: str, units: str) -> None:
    session = pw.Session(wrap(seeded(Around(HELD[name][0]))), image(3))
    cold = S(1e-9).with_units(units)
    assert close(session.pullback(1, cold), session.pullback(1, S.held()), 1e-7)


# Hardswish by hand is written with a ReLU6, which version 3 softens.
@pytest.mark.parametrize("name", sorted(set(HELD) - {"Hardswish by hand"}))
def test_version_3_softens_none_of_these(name: str) -> None:
    session = pw.Session(wrap(seeded(Around(HELD[name][0]))), image(3))
    assert torch.equal(session.pullback(1, S.paper_v3()), session.pullback(1, S.hard()))


def test_the_mean_of_a_layer_norm_may_keep_its_derivative() -> None:
    net = seeded(Around(HELD["layer norm of tokens"][0]))
    session = pw.Session(wrap(net), image(3))

    def definition(h: Tensor) -> Tensor:
        t = tokens(h)
        deviation = constant((t.var(2, correction=0, keepdim=True) + 1e-5).sqrt())
        return maps((t - t.mean(2, keepdim=True)) / deviation * WEIGHT + WEIGHT)

    p = session.pullback(1, S(0.5, norms="deviation held"))
    assert close(p, gradient(lambda x: net(x, definition), image(3)))
    own = session.pullback(1, S(0.5, norms="own"))
    assert close(own, session.pullback(1, S.hard()))


@pytest.mark.parametrize("name", ["attention", "attention by hand", "attention by einsum"])
def test_attention_at_another_temperature(name: str) -> None:
    net = seeded(Around(HELD[name][0]))
    of = heads if name == "attention" else (lambda t: t)
    back = joined if name == "attention" else (lambda t: t)

    def definition(h: Tensor) -> Tensor:
        t = of(tokens(h))
        return maps(back(attended(t, t, t, 2.0)))

    p = pw.pullback(wrap(net), image(3), 1, S(0.5, attention_temperature=2.0))
    assert close(p, gradient(lambda x: net(x, definition), image(3)))
    own = pw.pullback(wrap(net), image(3), 1, S(0.5, attention="own"))
    assert close(own, gradient(net, image(3)))


class Biased(nn.Module):
    """Attention whose logits have a bias added: a parameter, or computed from the image."""

    def __init__(self, computed: bool) -> None:
        super().__init__()
        self.computed = computed
        self.bias = nn.Parameter(torch.zeros(64, 64))
        self.other = nn.Linear(CHANNELS, 64)

    def forward(self, h: Tensor) -> Tensor:
        query, key, value = (tokens(h)[:, None] for _ in range(3))
        bias = self.bias + self.other(tokens(h))[:, None] if self.computed else self.bias
        return maps(F.scaled_dot_product_attention(query, key, value, attn_mask=bias)[:, 0])


@pytest.mark.parametrize("computed", [False, True])
def test_the_bias_of_attention_keeps_its_gradient_where_attention_does(computed: bool) -> None:
    net = seeded(Around(Biased(computed)))
    session = pw.Session(wrap(net), image(3))
    assert torch.equal(session.pullback(1, S.hard()), gradient(net, image(3)))
    bias = net.operation.bias.detach()

    def definition(h: Tensor) -> Tensor:
        t = tokens(h)
        added = bias + net.operation.other(t) if computed else bias
        return maps(constant((t @ t.mT / math.sqrt(CHANNELS) + added).softmax(-1)) @ t)

    held = session.pullback(1, S.held())
    assert close(held, gradient(lambda x: net(x, definition), image(3)))
    assert session.report.held == {"attention": 1} and not session.report.kept


@pytest.mark.parametrize("weights", [False, True])
def test_a_computed_mask_of_multihead_attention_keeps_its_gradient(weights: bool) -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(CHANNELS, HEADS, bias=False, batch_first=True).double()
    other = nn.Linear(CHANNELS, 64).double()

    def whole(h: Tensor) -> Tensor:
        t = tokens(h)
        return maps(attention(t, t, t, need_weights=weights, attn_mask=other(t)[0])[0])

    def definition(h: Tensor) -> Tensor:
        q, k, v = (heads(tokens(h) @ part.T) for part in attention.in_proj_weight.chunk(3))
        logits = q @ k.mT / math.sqrt(q.shape[-1]) + other(tokens(h))
        return maps(attention.out_proj(joined(constant(logits.softmax(-1)) @ v)))

    net = seeded(Around(whole))
    session = pw.Session(wrap(net), image(3))
    assert close(session.pullback(1, S.hard()), gradient(net, image(3)), 1e-14)
    assert close(session.pullback(1, S.held()), gradient(lambda x: net(x, definition), image(3)))


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("same", [False, True])
def test_multihead_attention_is_what_its_parts_are(weights: bool, same: bool) -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(CHANNELS, HEADS, bias=False, batch_first=True).double()

    def whole(h: Tensor) -> Tensor:
        t = tokens(h)
        other = t if same else t * 1
        return maps(attention(t, other, other, need_weights=weights)[0])

    def definition(h: Tensor) -> Tensor:
        q, k, v = (tokens(h) @ part.T for part in attention.in_proj_weight.chunk(3))
        return maps(attention.out_proj(joined(attended(heads(q), heads(k), heads(v)))))

    net = seeded(Around(whole))
    session = pw.Session(wrap(net), image(3))
    assert torch.equal(session.pullback(1, S.hard()), gradient(net, image(3)))
    held = session.pullback(1, S.held())
    assert close(held, gradient(lambda x: net(x, definition), image(3)))
    assert session.report.held == {"attention": 1} and not session.report.kept


# Soft gates --------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("form", SMOOTH)
def test_an_expected_gate_is_the_mean_under_noise(form: str, noise: float) -> None:
    z = torch.linspace(-8, 8, 161).double()
    steps = torch.linspace(-6, 6, 2001).double()
    density = torch.exp(-steps.square() / 2)
    gate = SMOOTH[form].own(z[:, None] + noise * steps)
    mean = (gate * density).sum(1) / density.sum()
    exact = {"gelu": 1e-6, "hardswish": 1e-4}.get(form, 0.03)
    assert float((SMOOTH[form].expected(z, noise) - mean).abs().max()) < exact


@pytest.mark.parametrize("form", SMOOTH)
def test_a_gate_times_its_input_is_the_activation(form: str) -> None:
    functions: dict[str, Function] = {
        "gelu": F.gelu,
        "gelu tanh": lambda z: F.gelu(z, approximate="tanh"),
        "silu": F.silu,
        "hardswish": F.hardswish,
        "mish": F.mish,
    }
    z = torch.linspace(-8, 8, 161).double()
    assert torch.allclose(z * SMOOTH[form].own(z), functions[form](z), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("gate", "noise"), [("sigmoid", 1.702), ("normal", 1.0)])
def test_smooth_gates_in_a_network(gate: Any, noise: float) -> None:
    net = seeded(Around(F.gelu))
    soft = S(0.7, gate, "absolute", kinds={"gelu": 2.0})
    s = noise * 0.7 * 2.0
    expected = gradient(
        lambda x: net(x, lambda h: h * constant(normal(h / math.sqrt(1 + s * s)))), image(3)
    )
    assert close(pw.pullback(wrap(net), image(3), 1, soft), expected)


# Channels ----------------------------------------------------------------------------------------


class Twin(nn.Module):
    """A small ConvNeXt-like network, with 1 x 1 convolutions or with linear layers on tokens."""

    def __init__(self, last: bool, activation: Function) -> None:
        super().__init__()
        self.last, self.activation = last, activation
        self.stem = nn.Conv2d(3, 6, 2, 2)
        self.up, self.down = nn.Linear(6, 10), nn.Linear(10, 6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        if self.last:
            t = h.permute(0, 2, 3, 1)
            h = (t + self.down(self.activation(self.up(t)))).permute(0, 3, 1, 2)
        else:
            up, down = (one.weight[:, :, None, None] for one in (self.up, self.down))
            h = h + F.conv2d(self.activation(F.conv2d(h, up, self.up.bias)), down, self.down.bias)
        return self.head(h.mean((2, 3)))


SOFT = {
    "relative": S.relative(0.85),
    "absolute": S(0.5, units="absolute"),
    "version 3": S.paper_v3(),
    "version 6": S.paper_v6(),
    "held": S.held(),
}


@pytest.mark.parametrize("activation", [F.relu, F.gelu, F.silu])
@pytest.mark.parametrize("name", SOFT)
def test_convolutions_and_linear_layers_are_twins(activation: Function, name: str) -> None:
    first, last = (wrap(seeded(Twin(last, activation))) for last in (False, True))
    p = pw.pullback(first, image(3), 1, SOFT[name])
    assert close(pw.pullback(last, image(3), 1, SOFT[name]), p)


def test_a_channel_of_tokens_is_one_of_the_weights() -> None:
    net = seeded(Twin(True, F.gelu))
    session = pw.Session(wrap(net), image(3))
    layer = next(one for one in session.layers if one.name == "up")
    assert layer.shape == (10, 4, 4)
    twin = net.up(net.stem(image(3)[None]).permute(0, 2, 3, 1))[0, ..., 7]
    assert torch.equal(session.activations("up")[7], twin.detach())
    unit = pw.Unit("up", 7, (1, 2))
    assert session.score(unit) == float(twin[1, 2].detach())
    seen = gradient(lambda x: net.up(net.stem(x).permute(0, 2, 3, 1))[:, 1, 2], image(3), k=7)
    assert torch.equal(session.pullback(unit, S.hard()), seen)


# The authors' own outputs ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def build(shared: Path) -> Callable[[str], nn.Module]:
    """Makes the networks of the reference outputs."""
    spec = importlib.util.spec_from_file_location(
        "reference_networks", shared / "reference" / "beyond" / "networks.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Callable[[str], nn.Module] = module.build
    return made


@pytest.mark.parametrize("name", ["convnext", "vit", "efficientnet", "pvt"])
@pytest.mark.parametrize(
    ("temperatures", "softening"),
    [
        ("defaults", S.paper_v6()),
        ("other", S.paper_v6(gelu=0.5, silu=0.7, attention=2.0)),
    ],
)
def test_version_6_is_the_authors(
    build: Callable[[str], nn.Module],
    shared: Path,
    name: str,
    temperatures: str,
    softening: pw.Softening,
) -> None:
    with np.load(shared / "reference" / "beyond" / f"v6-{name}-{temperatures}.npz") as reference:
        expected = {key: torch.from_numpy(reference[key]) for key in reference.files}
    session = pw.Session(pw.Model(build(name), size=64), expected["input"][0])
    k = int(expected["target"])
    assert close(session.logits, expected["logits"][0], 1e-5)
    # The gradient of the PVT is not the same to more digits in the authors' own two runs.
    assert close(session.pullback(k, S.hard()), expected["gradient"][0], 2e-5)
    assert close(session.pullback(k, softening), expected["pullback"][0], 1e-5)
    assert not close(session.pullback(k, S.hard()), expected["pullback"][0], 0.1)
