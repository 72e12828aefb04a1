"""The checks of notebook 3; its solutions, run by .ci/notebooks.py, try more answers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.course import embedded
from pullback_widgets.teaching.data import load_data
from pullback_widgets.teaching.training import small_network


def said(number: str, answer: Any) -> str:
    """What the check says of a wrong answer; empty for a right one."""
    verdict = pw.check(number, answer)
    return "" if verdict else verdict.text


# 3.1: the backward rule


def function(
    rule: Callable[[Tensor, Tensor, Any], Any] = lambda grad, z, t: grad * torch.sigmoid(z / t),
    forward: Callable[[Tensor], Tensor] = torch.relu,
) -> type[torch.autograd.Function]:
    """A function with a gate of one's own."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Tensor, temperature: Any) -> Tensor:
            ctx.save_for_backward(z)
            ctx.temperature = temperature
            return forward(z)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Any:
            (z,) = ctx.saved_tensors
            return rule(grad, z, ctx.temperature), None

    return Function


def gate(z: Tensor, t: Any) -> Tensor:
    return torch.sigmoid(z / t)


def test_the_rule_is_right() -> None:
    assert said("3.1", function()) == ""
    assert said("3.1", function(forward=lambda z: z.clamp(min=0))) == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (function(lambda grad, z, t: grad * (z > 0)), "still the hard one"),
        (function(lambda grad, z, t: gate(z, t)), "multiply it by grad"),
        (function(lambda grad, z, t: grad * (z > 0) * gate(z, t)), "two gates"),
        (function(lambda grad, z, t: grad * gate(z.relu(), t)), "sees the output"),
        (function(lambda grad, z, t: grad * gate(z, 1)), "temperature is not used"),
        (function(lambda grad, z, t: grad * torch.sigmoid(z * t)), "divide it by T"),
        (function(lambda grad, z, t: grad * gate(-z, t)), "sign is wrong"),
        (
            function(lambda grad, z, t: grad * gate(z, t) * (1 - gate(z, t)) / t),
            "derivative of the sigmoid",
        ),
        (function(lambda grad, z, t: 3 * grad), "it is grad * sigmoid(z / T)"),
        (function(lambda grad, z, t: None), "gradient of z is None"),
        (function(forward=lambda z: z * torch.sigmoid(z)), "not ReLU's to the last bit"),
        (function(lambda grad, z, t: grad * gate(z, float(t))), "one temperature for each channel"),
        (
            function(lambda grad, z, t: grad * gate(z, torch.as_tensor(t).mean())),
            "other ones than sigmoid",
        ),
        (nn.ReLU, "The answer is a class that begins with"),
        (3, "and this is int"),
    ],
)
def test_a_wrong_rule_is_told_what_is_wrong(answer: Any, words: str) -> None:
    assert words in said("3.1", answer)


def test_arguments_and_gradients_that_do_not_fit() -> None:
    class NoTemperature(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Tensor) -> Tensor:
            return z.relu()

    class OneGradient(function()):  # type: ignore[misc]  # made by a function
        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad

    assert "forward takes ctx, z and temperature" in said("3.1", NoTemperature)
    assert "one gradient for each argument" in said("3.1", OneGradient)


def test_what_is_kept_outside_of_ctx_is_noticed() -> None:
    kept: dict[str, Any] = {}

    class Shared(function()):  # type: ignore[misc]  # made by a function
        @staticmethod
        def forward(ctx: Any, z: Tensor, temperature: Any) -> Tensor:
            ctx.save_for_backward(z)
            kept["temperature"] = temperature
            return z.relu()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Any:
            (z,) = ctx.saved_tensors
            return grad * gate(z, kept["temperature"]), None

    assert "keep z and the temperature in ctx" in said("3.1", Shared)


# 3.2: pooling


def shares(window: Tensor, t: float) -> Tensor:
    return torch.softmax(window.flatten() / t, 0).view(2, 2)


def differentiated(window: Tensor, grad: float, t: float) -> Tensor:
    x = window.clone().requires_grad_()
    (shares(x, t) * x).sum().backward()
    assert x.grad is not None
    return grad * x.grad


def naive(window: Tensor, grad: float, t: float) -> Tensor:
    weights = (window / t).exp()
    return grad * weights / weights.sum()


def test_a_gradient_is_shared() -> None:
    assert said("3.2", lambda window, grad, t: grad * shares(window, t)) == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda window, grad, t: ..., "Not answered yet"),
        (lambda window, grad, t: shares(window, t), "multiply them by grad"),
        (lambda window, grad, t: grad * (window == window.max()), "max-pooling's own rule"),
        (lambda window, grad, t: grad * torch.softmax(window / t, 0), "Each column"),
        (lambda window, grad, t: grad * torch.softmax(window / t, 1), "Each row"),
        (lambda window, grad, t: grad * shares(window, 1), "temperature is not used"),
        (lambda window, grad, t: grad * shares(window, 1 / t), "multiplied by T"),
        (lambda window, grad, t: grad * (window / t).exp(), "do not add up to 1"),
        (differentiated, "weights are constants"),
        (lambda window, grad, t: grad * shares(-window, t), "sign is wrong"),
        (lambda window, grad, t: grad * shares(window, t).flatten(), "returns shape (4,)"),
        (lambda window, grad, t: (grad * shares(window, t)).tolist(), "returns list"),
        (lambda window, grad, t: 5 * grad * shares(window, t), "check the formula"),
        (naive, "exp() overflows"),
        (0.5, "Expected the function"),
    ],
)
def test_a_wrong_share_is_told_what_is_wrong(answer: Any, words: str) -> None:
    assert words in said("3.2", answer)


# 3.3: soft in both directions


class Rectifier(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.forward = function  # type: ignore[method-assign]


def espresso(function: Callable[[Tensor], Tensor]) -> float:
    """The probability of espresso for the coffee, with another activation."""
    session = embedded.session("coffee")
    network = copy.deepcopy(session.model.module).eval()
    for name, part in list(network.named_modules()):
        if isinstance(part, nn.ReLU6):
            owner, _, last = name.rpartition(".")
            setattr(network.get_submodule(owner), last, Rectifier(function))
    with torch.no_grad():
        probabilities = network(session.image[None])[0].softmax(0)
    return float(probabilities[session.model.class_index("espresso")])


def softplus(z: Tensor) -> Tensor:
    return 0.3 * nn.functional.softplus(z / 0.3)


def test_the_probability_is_that_of_the_network() -> None:
    assert said("3.3", espresso(lambda z: softplus(z).clamp(max=6))) == ""


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (softplus, "not cut off at 6"),
        (lambda z: (z * torch.sigmoid(z / 0.3)).clamp(max=6), "a SiLU"),
        (torch.relu, "a plain ReLU"),
        (lambda z: z.clamp(0, 6), "nothing was replaced"),
        (lambda z: nn.functional.softplus(z).clamp(max=6), "lost everything"),
        (lambda z: nn.functional.softplus(z / 0.3).clamp(max=6), "lost everything"),
    ],
)
def test_other_activations_are_recognised(function: Callable[[Tensor], Tensor], words: str) -> None:
    assert words in said("3.3", espresso(function))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("3 %", "A probability is a number"),
        (True, "A probability is a number"),
        (torch.zeros(1000), "A probability is a number"),
        (3.14, "per cent"),
        (3.58, "take the softmax"),
        (0.5, "is every ReLU6 replaced"),
    ],
)
def test_numbers_that_are_no_such_probability(answer: Any, words: str) -> None:
    assert words in said("3.3", answer)


# 3.4: the limit


def test_the_factor_is_that_of_the_small_network() -> None:
    digits = load_data("digits")
    net = small_network(digits.side, 10, seed=1)
    net.eval()
    linear = copy.deepcopy(net)
    for name, part in net.named_children():
        if isinstance(part, nn.ReLU):
            setattr(linear, name, nn.Identity())
    image = digits.test_images[0]
    everywhere = pw.Softening(1e6, units="absolute")
    pulled = pw.pullback(digits.as_model(net), image, 8, everywhere)
    linear_gradient = pw.pullback(digits.as_model(linear), image, 8, pw.Softening.hard())
    factor = pulled.norm() / linear_gradient.norm()
    assert said("3.4", factor) == ""
    assert said("3.4", float(factor)) == ""
    assert "is the inverse" in said("3.4", 1 / factor)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("1/16", "A factor is a number"),
        (0.5, "more than one"),
        (1.0, "every gate is open"),
        (0.125, "3 gates on each path"),
        (0.5**5, "5 gates on each path"),
        (0.07, "no power of one half"),
        (float("nan"), "no power of one half"),
    ],
)
def test_a_wrong_factor_is_told_what_is_wrong(answer: Any, words: str) -> None:
    assert words in said("3.4", answer)
