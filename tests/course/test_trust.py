import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import pullback_widgets as pw


def said(number: str, answer: Any) -> str:
    """What the check says of a wrong answer; empty for a right one."""
    verdict = pw.check(number, answer)
    return "" if verdict else verdict.text


# 7.1: linear in the target


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((9e-7, 0.58), ""),
        ((0.58, 9e-7), "The two are swapped"),
        ((0.9, 0.58), "not p_A alone"),
        ((9e-7, 8e-7), "should be about a half"),
        ((9e-7, 0.02), "divide by the norm"),
        ((9e-7, 3.1), "subtract both maps"),
        ((9e-7, -0.58), "cannot be negative"),
        ((float("nan"), 0.58), "cannot be negative"),
        (("a", "b"), "cannot be checked"),
    ],
)
def test_linear_in_the_target(answer: Any, words: str) -> None:
    wrong = said("7.1", answer)
    assert words in wrong and bool(words) == bool(wrong)


def test_the_residuals_are_those_of_the_network() -> None:
    pytest.importorskip("captum")
    from pullback_widgets.methods.captum_methods import attribute

    session = pw.Session(pw.load_model("efficientnet_lite0"), "chelsea")
    cat, ball = "Egyptian cat", "golf ball"

    def residual(method: str) -> float:
        first, second, both = (
            attribute(method, session, target) for target in (cat, ball, pw.Difference(cat, ball))
        )
        return float((both - (first - second)).norm() / both.norm())

    assert said("7.1", (residual("pullback"), residual("guided_backprop"))) == ""


# 7.2: random weights in a part of a copy


def randomise(part: nn.Module) -> None:
    with torch.no_grad():
        for weight in part.parameters():
            weight.copy_(weight.mean() + weight.std() * torch.randn(weight.shape))


def with_random(module: nn.Module, name: str) -> nn.Module:
    result = copy.deepcopy(module)
    randomise(result.get_submodule(name))
    return result


def in_place(module: nn.Module, name: str) -> nn.Module:
    randomise(module.get_submodule(name))
    return module


def shallow(module: nn.Module, name: str) -> nn.Module:
    result = copy.copy(module)
    randomise(result.get_submodule(name))
    return result


def everything(module: nn.Module, name: str) -> nn.Module:
    result = copy.deepcopy(module)
    randomise(result)
    return result


def zero(module: nn.Module, name: str) -> nn.Module:
    result = copy.deepcopy(module)
    nn.init.zeros_(result.get_submodule(name).get_parameter("weight"))
    return result


def test_a_random_part_of_a_copy() -> None:
    assert said("7.2", with_random) == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (in_place, "has changed; copy it first"),
        (shallow, "copy.copy shares the weights"),
        (everything, "Other parts than the one named"),
        (zero, "are not random, or far smaller"),
        (lambda module, name: module, "the network that was given; return a copy"),
        (lambda module, name: copy.deepcopy(module), "still has its trained weights"),
        (lambda module, name: with_random(module, name).get_submodule(name), "the whole copy"),
        (lambda module, name: None, "It returns NoneType"),
        (nn.Linear(1, 1), "cannot be checked"),
        (3, "Expected the function"),
    ],
)
def test_a_random_part_gone_wrong(answer: Any, words: str) -> None:
    assert words in said("7.2", answer)


# 7.3: the bootstrap


def interval(
    differences: NDArray[Any], ends: tuple[float, float] = (2.5, 97.5), draws: int = 10_000
) -> NDArray[Any]:
    chosen = np.random.default_rng(5).choice(differences, size=(draws, len(differences)))
    return np.percentile(chosen.mean(axis=1), ends)


@pytest.mark.parametrize("draws", [2_000, 10_000])
def test_an_interval_by_the_bootstrap(draws: int) -> None:
    assert said("7.3", lambda differences: interval(differences, draws=draws)) == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda one: np.percentile(one, [2.5, 97.5]), "percentiles of the differences themselves"),
        (lambda one: one.mean() + 1.96 * one.std() * np.array([-1, 1]), "by the root of n"),
        (lambda one: interval(one, (5, 95)), "a 90 % interval"),
        (lambda one: interval(one, (16, 84)), "a 68 % interval"),
        (lambda one: (one.mean(), one.mean()), "draw with replacement"),
        (lambda one: interval(one)[::-1], "return the lower one first"),
        (lambda one: one.mean(), "It returns 1 numbers"),
        (lambda one: interval(one[:4]), "and should return about"),
        (np.zeros(8), "Expected the function"),
    ],
)
def test_an_interval_gone_wrong(answer: Any, words: str) -> None:
    assert words in said("7.3", answer)


# 7.4: an impostor


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ([-0.2, -0.3, -0.1, -0.4, 0.02, -0.1, -0.2, -0.05], ""),
        ([0.2, 0.3, 0.1, 0.4, -0.02, 0.1, 0.2, 0.05], "try the negative"),
        ([-0.2, 0.3, -0.1, 0.1, 0.02, -0.1, -0.2, 0.05], "does not leave out zero"),
        ([0.0] * 8, "the random order itself"),
        ([-0.2, float("nan")], "does your heat hold NaN"),
        (-0.2, "one for each photograph"),
        ([[0.1, 0.2], [0.3, 0.4]], "one for each photograph"),
    ],
)
def test_an_impostor(differences: Any, words: str) -> None:
    wrong = said("7.4", differences)
    assert words in wrong and bool(words) == bool(wrong)


@pytest.mark.parametrize("number", ["7.2", "7.3"])
def test_a_function_that_returns_dots_is_no_wrong_answer(number: str) -> None:
    verdict = pw.check(number, lambda *_: ...)
    assert verdict.right is None and "Not answered yet" in verdict.text
