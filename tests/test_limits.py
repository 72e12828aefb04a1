"""Each row of docs/limits.md: what it says happens, and its way out."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
import torch.nn.functional as F
from networks import image, plain_gradient, seeded, wrap
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import pullback_widgets as pw

PAGE = Path(__file__).resolve().parent.parent / "docs" / "limits.md"
CHANNELS = 8

Function = Callable[[Tensor], Tensor]
Test = TypeVar("Test", bound=Callable[..., None])

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated")

tested: list[str] = []
"""The rows that have a test, by the words that they begin with."""


def limit(beginning: str) -> Callable[[Test], Test]:
    """The test of the row whose context begins with these words."""
    tested.append(beginning)
    return lambda test: test


class Around(nn.Module):
    """A function between a convolution and a linear layer."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.head = nn.Linear(CHANNELS, 4)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.function(self.conv(x)).flatten(2).mean(2))
        return out


def around(function: Function) -> pw.Model:
    return wrap(seeded(Around(function)))


def report(function: Function) -> pw.Report:
    return pw.Session(around(function), image(1)).report


def operations(function: Function) -> list[str]:
    """Which gates are softened."""
    return [gate.operation for gate in report(function).gates]


def tokens(h: Tensor) -> Tensor:
    return h.flatten(2).transpose(1, 2)


def maps(t: Tensor) -> Tensor:
    return t.transpose(1, 2)


def close(one: Tensor, other: Tensor) -> bool:
    return float((one - other).norm()) <= 1e-9 * float(other.norm())


@limit("Activations that are no gates")
@pytest.mark.parametrize("name", ["elu", "selu", "softplus", "tanh", "sigmoid"])
def test_activations_that_are_no_gates(name: str) -> None:
    found = report(getattr(F, name))
    (kept,) = found.kept
    assert kept.lower() == {"selu": "elu"}.get(name, name) and not found.gates


@limit("Activations written by hand")
def test_activations_written_by_hand() -> None:
    assert report(lambda h: torch.where(h > 0, h, 0.0)).kept == {"where": 1}
    assert report(lambda h: torch.maximum(h, torch.zeros_like(h))).kept == {"maximum": 1}
    assert report(lambda h: h * (h > 0)).cut == {"gt": 1}
    assert operations(F.relu) == ["relu"]


@limit("Attention with a dropout that stays on")
def test_attention_with_dropout() -> None:
    def attention(share: float) -> Function:
        def function(h: Tensor) -> Tensor:
            query, key, value = (tokens(h) for _ in range(3))
            return maps(F.scaled_dot_product_attention(query, key, value, dropout_p=share))

        return function

    kept = report(attention(0.5)).kept
    assert kept["product"] == 2 and any("softmax" in name for name in kept)
    assert report(attention(0.0)).held == {"attention": 1}


class Clipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor) -> Tensor:
        ctx.save_for_backward(h)
        return h.clip(0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (h,) = ctx.saved_tensors
        return grads[0] * (h > 0)


@limit("Autograd functions of one's own")
def test_autograd_functions_of_ones_own() -> None:
    found = report(Clipped.apply)
    assert found.kept == {"Clipped of the network's own": 1} and not found.gates


@limit("Batch norm by the statistics of the batch")
def test_batch_norm_by_the_statistics_of_the_batch() -> None:
    norm = nn.BatchNorm2d(CHANNELS, track_running_stats=False).double()
    model = around(lambda h: norm(h))
    assert pw.Session(model, image(1)).report.held == {"norm by the image's own statistics": 1}
    alone = pw.pullback(model, image(1), 1)
    assert not close(pw.pullback(model, [image(1), image(2)], 1)[0], alone)


@limit("Batch norm before tokens, one image, on a CPU")
def test_batch_norm_before_tokens() -> None:
    norm = seeded(nn.BatchNorm2d(CHANNELS))
    shares = norm.weight / (norm.running_var + norm.eps).sqrt()
    bias = norm.bias - norm.running_mean * shares

    def written(h: Tensor) -> Tensor:
        return h * shares.view(-1, 1, 1) + bias.view(-1, 1, 1)

    def through(first: Function) -> nn.Module:
        weight = torch.linspace(0.5, 1.5, CHANNELS).double()
        return seeded(
            Around(lambda h: maps(F.layer_norm(tokens(first(h)), (CHANNELS,), weight).relu()))
        )

    net, hard = through(norm), pw.Softening.hard()
    right = plain_gradient(lambda x: through(written)(x)[:, 1], image(1))
    torchs = plain_gradient(lambda x: net(x)[:, 1], image(1))
    assert torch.equal(pw.pullback(wrap(net), image(1), 1, hard), torchs)
    assert close(pw.pullback(wrap(net), [image(1), image(1)], 1, hard)[0], right)
    if close(torchs, right):
        pytest.skip("this torch has no such fault")


@limit("Constants")
def test_constants() -> None:
    assert report(lambda h: h + F.relu(h).detach()).cut == {"detach": 1}
    assert report(lambda h: h * h.argmax(1, keepdim=True)).cut == {"argmax": 1}
    for function in (
        lambda h: h.detach(),
        torch.no_grad()(F.relu),
        lambda h: torch.as_tensor(h.detach().numpy() * 2),
    ):
        with pytest.raises(ValueError, match="does not depend on the image"):
            pw.pullback(around(function), image(1), 1)
    session = pw.Session(around(lambda h: h.detach()), image(1))
    assert bool(session.pullback(pw.Channel("conv", 1)).any())


@limit("Dropout that stays on")
def test_dropout_that_stays_on() -> None:
    model = around(F.dropout)
    session = pw.Session(model, image(1))
    assert torch.equal(session.pullback(1), session.pullback(1))
    assert not torch.equal(session.pullback(1), pw.pullback(model, image(1), 1))
    model = around(nn.Dropout())
    assert torch.equal(pw.pullback(model, image(1), 1), pw.pullback(model, image(1), 1))


@limit("Exported graphs")
def test_exported_graphs() -> None:
    module = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)))
    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    example = torch.zeros(2, 3, 8, 8).double()
    free = torch.export.export(module, (example,), dynamic_shapes=(batch,)).module()
    fixed = torch.export.export(module, (example[:1],)).module()
    session = pw.Session(wrap(free), image(1))
    assert torch.equal(session.pullback(1), pw.pullback(wrap(module), image(1), 1))
    assert not [one for one in session.layers if one.name in ("0", "1", "3")]
    with pytest.raises(ValueError, match="dynamic_shapes"):
        pw.pullback(wrap(fixed), image(1), 1)
    absolute = pw.Softening.paper_v3()
    expected = pw.pullback(wrap(module), image(1), 1, absolute)
    assert torch.equal(pw.pullback(wrap(fixed), image(1), 1, absolute), expected)


@limit("Checkpointing with")
def test_checkpointing() -> None:
    def again(reentrant: bool) -> pw.Model:
        return around(lambda h: checkpoint(F.relu, h, use_reentrant=reentrant))

    with pytest.raises(RuntimeError, match="use_reentrant=True"):
        pw.pullback(again(True), image(1), 1)
    expected = pw.pullback(around(F.relu), image(1), 1)
    assert torch.equal(pw.pullback(again(False), image(1), 1), expected)


@limit("Gradients inside the forward pass")
def test_gradients_inside_the_forward_pass() -> None:
    def slope_of(function: Function) -> Function:
        def slope(h: Tensor) -> Tensor:
            (found,) = torch.autograd.grad(function(h).square().sum(), h, create_graph=True)
            return found

        return slope

    hard = pw.Softening.hard()
    model = around(slope_of(F.relu))
    by_hand = pw.pullback(around(lambda h: 2 * F.relu(h)), image(1), 1, hard)
    assert close(pw.pullback(model, image(1), 1, hard), by_hand)
    with pytest.raises(RuntimeError, match="gradient of silu with create_graph=True.*wrapper"):
        pw.pullback(around(slope_of(F.silu)), image(1), 1)


@limit("Transformed functions")
def test_transformed_functions() -> None:
    report = pw.Session(around(torch.vmap(F.relu)), image(1)).report
    assert not report.gates and "relu" in report.kept


@limit("Weights made in inference mode")
def test_weights_made_in_inference_mode() -> None:
    with torch.inference_mode():
        model = around(F.relu)
    with pytest.raises(RuntimeError, match="copy.deepcopy"):
        pw.pullback(model, image(1), 1)
    found = pw.pullback(wrap(copy.deepcopy(model.module)), image(1), 1)
    assert torch.equal(found, pw.pullback(around(F.relu), image(1), 1))


@limit("Weights on the device")
def test_weights_without_values() -> None:
    with torch.device("meta"):
        module = Around(F.relu)
    with pytest.raises(ValueError, match="load them first"):
        pw.pullback(wrap(module), image(1), 1)


@limit("Heads of attention that stand in the batch")
@pytest.mark.parametrize("shape", [(8, -1, 1), (1, 2, 4, -1, 1)])
def test_heads_in_the_batch(shape: tuple[int, ...]) -> None:
    def attention(h: Tensor) -> Tensor:
        q = h.flatten(2).mT.unflatten(2, (CHANNELS, 1)).transpose(1, 2)
        folded = q.reshape(shape)
        weights = torch.softmax(folded @ folded.transpose(-2, -1), -1)
        out: Tensor = (weights @ folded).reshape(q.shape).squeeze(-1).view_as(h)
        return out

    assert report(attention).held["attention"] == 1
    assert not any(one.is_heads for one in pw.layers(around(attention)))

    def way_out(h: Tensor) -> Tensor:
        q = h.flatten(2).mT.unflatten(2, (CHANNELS, 1)).transpose(1, 2)
        return F.scaled_dot_product_attention(q, q, q).squeeze(-1).view_as(h)

    (heads,) = [one for one in pw.layers(around(way_out)) if one.is_heads]
    assert heads.shape == (CHANNELS, 64)


@limit("Heads of attention that sum up tokens")
def test_heads_of_summed_up_tokens() -> None:
    """The image is of 8 x 8 pixels, a head of two features."""

    def attention(h: Tensor) -> Tensor:
        q = tokens(h).unflatten(2, (4, 2)).transpose(1, 2)
        summed = torch.softmax(q, 2).mT @ q
        return maps((q @ summed).transpose(1, 2).flatten(2)).view_as(h)

    assert report(attention).held["attention"] == 1
    (heads,) = [one for one in pw.layers(around(attention)) if one.is_heads]
    assert heads.shape == (4, 2) and heads.tokens is None
    session = pw.Session(around(attention), image(1))
    assert bool(session.pullback(pw.Unit(heads.name, 0, (1,)), pw.Softening.held()).any())
    with pytest.raises(ValueError, match="whose grid is"):
        session.pullback(pw.Unit(heads.name, 0, (2, 3)))


@limit("In-place changes out of sight")
def test_in_place_changes_out_of_sight() -> None:
    def shift(h: Tensor) -> Tensor:
        return h.add_(1.0)

    scripted = torch.jit.script(shift)

    def function(change: Callable[[Tensor], Tensor]) -> Function:
        def activated(h: Tensor) -> Tensor:
            y = F.silu(h)
            change(h)
            return y

        return activated

    with pytest.raises(RuntimeError, match="overwritten in place"):
        pw.pullback(around(function(scripted)), image(1), 1)
    expected = pw.pullback(around(F.silu), image(1), 1)
    assert torch.equal(pw.pullback(around(function(lambda h: h + 1)), image(1), 1), expected)


@limit("Max-pooling in other words")
def test_max_pooling_in_other_words() -> None:
    assert report(lambda h: F.adaptive_max_pool2d(h, 2)).kept == {"adaptive max pool2d": 1}
    assert report(lambda h: h.amax((2, 3), keepdim=True)).kept == {"amax": 1}
    assert report(lambda h: h.flatten(2).topk(3).values).kept == {"topk": 1}
    assert operations(lambda h: F.max_pool2d(h, 4)) == ["max_pool2d"]


@limit("Norms written by hand")
def test_norms_written_by_hand() -> None:
    def written(t: Tensor) -> Tensor:
        return (t - t.mean(2, keepdim=True)) / (t.var(2, keepdim=True) + 1e-5).sqrt()

    assert report(lambda h: maps(written(tokens(h)))).kept == {"var": 1, "sqrt": 1, "quotient": 1}
    assert "vector norm" in report(F.normalize).kept
    found = report(lambda h: maps(F.layer_norm(tokens(h), (CHANNELS,))))
    assert found.held == {"layer norm": 1} and not found.kept


@limit("Products of two values of the image")
def test_products_of_which_no_factor_is_bounded() -> None:
    assert report(lambda h: h * h).kept == {"product": 1}
    assert report(lambda h: maps(tokens(h)) @ tokens(h)).kept == {"product": 1}


@limit("Recurrent layers")
def test_recurrent_layers() -> None:
    lstm = nn.LSTM(CHANNELS, CHANNELS, batch_first=True).double()
    assert {"sigmoid", "tanh", "product"} == set(report(lambda h: maps(lstm(tokens(h))[0])).kept)


@limit("ReLU6 above 6")
def test_relu6_above_6() -> None:
    cold = pw.Softening(1e-9, units="absolute")
    for factor, is_gradient in ((1.0, True), (1000.0, False)):
        net = seeded(Around(lambda h, factor=factor: F.relu6(factor * h)))
        gradient = plain_gradient(lambda x, net=net: net(x)[:, 1], image(1))
        assert close(pw.pullback(wrap(net), image(1), 1, cold), gradient) == is_gradient
        assert close(pw.pullback(wrap(net), image(1), 1, pw.Softening.held()), gradient)


@limit("Scripted modules")
def test_scripted_modules() -> None:
    def activated(h: Tensor) -> Tensor:
        return torch.relu(h)

    with pytest.raises(TypeError, match="TorchScript"):
        pw.Model(torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())))
    found = report(torch.jit.script(activated))
    assert found.kept == {"relu": 1} and not found.gates


class Pair(nn.Module):
    """A network that compares two images."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = (nn.Conv2d(3, 4, 8) for _ in range(2))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return F.relu(self.one(x) + self.other(y)).flatten(1)


class Joined(nn.Module):
    """The same for the six channels of both."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair

    def forward(self, both: Tensor) -> Tensor:
        out: Tensor = self.pair(both[:, :3], both[:, 3:])
        return out


@limit("Several images as inputs")
def test_several_images_as_inputs() -> None:
    pair, held = seeded(Pair()), pw.Softening.held()
    first = pw.Model(pair, 0.5, 0.5, 8, inputs=lambda x: (image(2).expand_as(x),))
    both = pw.Model(Joined(pair), (0.5,) * 6, (0.5,) * 6, 8)
    p = pw.pullback(both, torch.cat([image(1), image(2)]), 0, held)
    assert bool(p[3:].any()) and close(pw.pullback(first, image(1), 0, held), p[:3])


@limit("Threads of one's own")
def test_threads_of_ones_own() -> None:
    def function(h: Tensor) -> Tensor:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(F.relu, h).result()

    found = report(function)
    assert found.kept == {"relu": 1} and not found.gates


@limit("Transformer layers of torch")
def test_transformer_layers_of_torch() -> None:
    layer = nn.TransformerEncoderLayer(CHANNELS, 2, 16, batch_first=True).double().eval()
    net = seeded(Around(lambda h: maps(layer(tokens(h)))))
    for weight in (*net.parameters(), *layer.parameters()):
        weight.requires_grad_(False)
    logits = pw.Session(wrap(net), image(1)).logits
    assert close(logits, net(image(1)[None])[0])
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        assert torch.equal(logits, net(image(1)[None])[0])
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


@limit("Values of exactly 0 before a gate")
def test_values_of_exactly_0_before_a_gate() -> None:
    model = around(lambda h: F.relu(h - h.detach()))
    linear = pw.pullback(around(lambda h: h), image(1), 1)
    for temperature in (1e-6, 1.0):
        soft = pw.Softening(temperature, units="absolute")
        assert close(pw.pullback(model, image(1), 1, soft), linear / 2)
    assert not pw.pullback(model, image(1), 1, pw.Softening.held()).any()


class Forking(nn.Module):
    """Another way for bright images than for dark ones."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Around(lambda h: h)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(F.relu(x) if (x > 0.99).any() else x)
        return out


@limit("Ways through the network that depend on the image")
def test_ways_that_depend_on_the_image() -> None:
    shown = image(1)
    shown[0, 0, 0] = 1
    model = wrap(seeded(Forking()))
    with pytest.raises(RuntimeError, match="did not run on the calibration images"):
        pw.pullback(model, shown, 1)
    assert bool(pw.pullback(model, shown, 1, pw.Softening(0.5, units="absolute")).any())
    same = wrap(seeded(Forking()), calibration=shown[None])
    assert bool(pw.pullback(same, shown, 1).any())


def test_each_row_has_a_test_and_they_are_in_order() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)[2:]
    assert rows == sorted(rows, key=str.lower)
    assert len(rows) == len(tested)
    for beginning in tested:
        assert sum(row.startswith(beginning) for row in rows) == 1, beginning
