"""What is said of a network: which gates are softened, and what keeps its own derivative."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import SIZE, image, network, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.engine.report import Gated, Report, report_of

Function = Callable[[Tensor], Tensor]


class Around(nn.Module):
    """A function between a convolution and a linear layer."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        out = self.function(self.conv(x))
        return self.head(out if out.dim() == 2 else out.flatten(2).mean(2))


def of(function: Function) -> Report:
    return pw.report(wrap(seeded(Around(function))))


class Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.tanh()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


class View(Tanh):
    """Called like one of autograd's own linear functions."""


def part_in_place(h: Tensor) -> Tensor:
    h = h.clone()
    h[:, :4].exp_()
    return h


def tokens(h: Tensor) -> Tensor:
    return h.flatten(2).transpose(1, 2)


def attention(h: Tensor) -> Tensor:
    t = tokens(h)
    return ((t @ t.transpose(1, 2)).softmax(2) @ t).transpose(1, 2)


KEPT: dict[str, tuple[Function, dict[str, int]]] = {
    "ELU": (F.elu, {"ELU": 1}),
    "two gates of one rank": (
        lambda h: h.sigmoid() * (2 * h).sigmoid(),
        {"sigmoid": 2, "product": 1},
    ),
    "adaptive max": (lambda h: F.adaptive_max_pool2d(h, 1), {"adaptive max pool2d": 1}),
    "maximum": (lambda h: torch.maximum(h, 0.1 * h), {"maximum": 1}),
    "clamp": (lambda h: h.clamp(-1, 1), {"clamp": 1}),
    "where": (lambda h: torch.where(h.detach() > 0, h, 0.0), {"where": 1}),
    "abs": (torch.abs, {"abs": 1}),
    "square": (lambda h: h * h, {"product": 1}),
    "quotient": (lambda h: h / (1 + h.sum()), {"quotient": 1}),
    "lerp": (lambda h: torch.lerp(h, 2 * h, h), {"product": 1}),
    "addcmul": (lambda h: torch.addcmul(h, h, h), {"product": 1}),
    "own function": (Tanh.apply, {"Tanh of the network's own": 1}),
    "own function of a misleading name": (View.apply, {"View of the network's own": 1}),
    "change of a part": (part_in_place, {"in-place change of a part": 1}),
}

HELD: dict[str, tuple[Function, dict[str, int]]] = {
    "squeeze and excitation": (
        lambda h: h * h.mean((2, 3), keepdim=True).sigmoid(),
        {"product": 1},
    ),
    "gated unit": (lambda h: F.glu(h, 1).repeat(1, 2, 1, 1), {"product": 1}),
    "attention by hand": (attention, {"attention": 1}),
    "attention": (
        lambda h: F.scaled_dot_product_attention(tokens(h), tokens(h), tokens(h)).transpose(1, 2),
        {"attention": 1},
    ),
    "layer norm": (lambda h: F.layer_norm(h, h.shape[1:]), {"layer norm": 1}),
    "group norm": (lambda h: F.group_norm(h, 2), {"group norm": 1}),
    "instance norm": (F.instance_norm, {"instance norm": 1}),
}

CUT: dict[str, tuple[Function, dict[str, int]]] = {
    "ReLU by hand": (lambda h: h * (h > 0), {"gt": 1}),
    "gate without gradient": (lambda h: h * h.mean().sigmoid().detach(), {"detach": 1}),
    "strongest place": (
        lambda h: h.flatten(2).gather(2, h.flatten(2).argmax(2, keepdim=True)),
        {"argmax": 1},
    ),
    "sorted places": (
        lambda h: h.flatten(2).gather(2, h.detach().flatten(2).sort(2)[1][..., :3]),
        {"detach": 1},
    ),
    "a number read out": (lambda h: h * h.mean().item(), {"value read out": 1}),
    "a decision": (lambda h: h if h.mean() > 0 else -h, {"gt": 1}),
    "data": (lambda h: h * h.data, {"value read out": 1}),
    "no gradient": (lambda h: torch.no_grad()(F.silu)(h), {"silu under torch.no_grad": 1}),
}

LINEAR: dict[str, Function] = {
    "nothing": lambda h: h,
    "padding": lambda h: F.pad(h, (1, 1, 1, 1), "reflect"),
    "resizing": lambda h: F.interpolate(h, scale_factor=2.0, mode="bilinear"),
    "average": lambda h: F.avg_pool2d(h, 2),
    "weights": lambda h: h * torch.linspace(-1, 1, 8).double().sigmoid().view(8, 1, 1),
    "matrix": lambda h: torch.einsum("nchw,cd->ndhw", h, torch.eye(8).double()),
    "added to a product": lambda h: torch.addcmul(h, h, torch.ones(1).double()),
    "added to a matrix product": lambda h: torch.baddbmm(
        tokens(h), tokens(h), torch.eye(8)[None].double()
    ).transpose(1, 2),
    "lerp": lambda h: torch.lerp(h, 2 * h, 0.3),
    "divided": lambda h: h / torch.full((1,), 2.0).double(),
    "zeros": lambda h: h + torch.zeros_like(h),
    "shapes": lambda h: h.view(len(h), h.shape[1], -1) if h.is_floating_point() else h,
    "concatenation": lambda h: torch.cat([h[:, 4:], h[:, :4]], 1),
    "transposed convolution": lambda h: F.conv_transpose2d(h, torch.ones(8, 8, 2, 2).double()),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_not_linear_is_named(name: str) -> None:
    function, kept = KEPT[name]
    assert of(function).kept == kept


@pytest.mark.parametrize("name", HELD)
def test_what_is_held_constant_is_named(name: str) -> None:
    function, held = HELD[name]
    report = of(function)
    assert report.held == held and not report.kept and not report.cut


@pytest.mark.parametrize("function", [F.gelu, F.silu, F.hardswish, F.mish])
def test_smooth_activations_are_gates(function: Function) -> None:
    (gate,) = of(function).gates
    assert gate.operation == function.__name__ and not of(function).kept


def test_a_report_of_another_softening() -> None:
    session = pw.Session(wrap(seeded(Around(lambda h: attention(F.gelu(h))))), image())
    kept = report_of(session.recording, pw.Softening.paper_v3()).kept
    assert kept == {"attention": 1, "product": 1, "softmax": 1, "GELU": 1}


@pytest.mark.parametrize("name", CUT)
def test_what_no_gradient_passes_through_is_named(name: str) -> None:
    function, cut = CUT[name]
    assert of(function).cut == cut


@pytest.mark.parametrize("name", LINEAR)
def test_what_is_linear_is_not_named(name: str) -> None:
    report = of(LINEAR[name])
    assert report == Report((), {}, {})


def test_gates_are_listed_with_their_layer_and_where_their_scale_is_from() -> None:
    report = pw.report(wrap(network("residual")))
    assert report.gates[:5] == (
        Gated("relu", "relu", "batch norm"),
        Gated("max_pool2d", "maxpool", "calibration"),
        Gated("relu", "layer1.relu", "batch norm"),
        Gated("relu", "layer1.relu:2", "sum"),
        Gated("relu", "layer10.relu", "batch norm"),
    )
    assert report.count("batch norm") == 3 and not report.kept and not report.cut
    assert report.exceptions == ""
    assert report.sentence == (
        "6 gates softened (3 scaled by batch norm, 2 by a sum of these, 1 calibrated)."
    )


def test_a_gate_on_a_part_of_a_tensor_is_found() -> None:
    def halved(h: Tensor) -> Tensor:
        h = h.clone()
        h[:, :4].relu_()
        return h

    report = of(halved)
    assert report == Report((Gated("relu", "", "calibration"),), {}, {})


def test_gates_beside_the_way_to_the_logits_do_not_count() -> None:
    def aside(h: Tensor) -> Tensor:
        F.relu(h).sum()
        return F.relu(h)

    assert len(of(aside).gates) == 1


def test_sentences() -> None:
    gate = Gated("relu", "", "calibration")
    assert Report((gate,), {"sigmoid": 1}, {}).sentence == (
        "1 gate softened (1 calibrated). 1 sigmoid keeps its own derivative."
    )
    assert Report((), {"GELU": 12, "layer norm": 25, "attention": 1}, {"gt": 1}).sentence == (
        "No gate was softened: no activation or max-pooling was seen that could be; 12 GELU, "
        "25 layer norm and 1 attention keep their own derivative; no gradient passes through 1 gt."
    )


# A warning, where nobody looks at a report -------------------------------------------------------


def warned(action: Callable[[], object]) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return caught


ACTIONS: dict[str, Callable[[pw.Model], object]] = {
    "pullback": lambda model: pw.pullback(model, image(), 1),
    "session": lambda model: pw.Session(model, image()).pullback(1),
    "ascent": lambda model: list(pw.Session(model, image()).ascend(1, steps=1)),
    "grid": lambda model: pw.counterfactual_grid(model, image(), [1], extra=None, steps=1),
    "atlas": lambda model: pw.layer_atlas(model, "conv", image(), channels=[0]),
    "captum's way": lambda model: pw.ExcitationPullback(model).attribute(image()[None], 1),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_what_is_not_softened_is_said_once_for_each_network(name: str) -> None:
    model = wrap(seeded(Around(F.elu)))
    first = warned(lambda: ACTIONS[name](model))
    assert [str(one.message) for one in first] == [
        f"{model.name}: No gate was softened: no activation or max-pooling was seen that could "
        "be; 1 ELU keeps its own derivative. pw.report tells more."
    ]
    assert first[0].filename == __file__
    assert not warned(lambda: ACTIONS[name](model))
    assert not warned(lambda: pw.Session(model, image()).pullback(2))


def test_nothing_is_said_where_all_is_softened_or_nothing_should_be() -> None:
    assert not warned(lambda: pw.pullback(wrap(network("residual")), image(), 1))
    model = wrap(seeded(Around(F.elu)))
    assert not warned(lambda: pw.pullback(model, image(), 1, pw.Softening.hard()))


def test_the_report_of_a_network_that_returns_no_logits() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
            h = F.gelu(self.conv(x)).flatten(1)
            return [{"boxes": one[:4].view(1, 4), "scores": one[4:5]} for one in h]

    report = pw.Session(wrap(seeded(Detector())), image()).report
    assert [gate.operation for gate in report.gates] == ["gelu"] and not report.kept


def test_a_report_keeps_no_forward_pass_alive() -> None:
    module = network("residual")
    session = pw.Session(wrap(module), image(size=SIZE))
    report = session.report
    kept = weakref.ref(session.recording)
    del session
    gc.collect()
    assert kept() is None and report.gates


def test_fourier_transforms_and_complex_numbers_are_linear() -> None:
    class Fourier(nn.Module):
        """A filter in the spectrum, with a CReLU there."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)
            self.filter = nn.Parameter(torch.rand(4, SIZE, SIZE // 2 + 1, 2, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            y = torch.fft.rfft2(torch.relu(self.conv(x)), norm="ortho")
            y = y * torch.view_as_complex(self.filter)
            y = torch.complex(torch.relu(y.real), torch.relu(y.imag)).conj()
            y = torch.fft.ifft(torch.fft.fft(y, dim=1), dim=1)
            out: Tensor = self.head(torch.fft.irfft2(y, s=x.shape[-2:]).mean((2, 3)))
            return out

    report = pw.report(wrap(seeded(Fourier())))
    assert len(report.gates) == 3 and not report.kept and not report.cut


def test_the_modulus_of_a_complex_number_is_not_linear() -> None:
    class Modulus(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(torch.fft.rfft2(x).abs()).mean((2, 3))

    assert pw.report(wrap(Modulus())).kept == {"abs": 1}


def test_hooks_for_gradients_are_no_nonlinearity() -> None:
    net = seeded(Around(torch.relu))
    expected = pw.report(wrap(net))
    net.conv.register_full_backward_hook(lambda module, given, wanted: None)
    assert pw.report(wrap(net)) == expected
