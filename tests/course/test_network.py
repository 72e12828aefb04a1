import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pullback_widgets as pw


def said(number: str, answer: Any) -> str:
    """What the check says of a wrong answer; empty for a right one."""
    verdict = pw.check(number, answer)
    return "" if verdict else verdict.text


# 8.1: preprocessing


def test_the_three_probabilities() -> None:
    assert said("8.1", (0.9569, 0.8426, 0.0002)) == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((0.843, 0.957, 0.0002), "first two are swapped"),
        ((95.7, 84.3, 0.02), "take the softmax"),
        ((8.1, 6.0, -0.3), "take the softmax"),
        ((0.38, 0.843, 0.0002), "is it the network `trained`"),
        ((0.957, 0.957, 0.0002), "The second probability equals the first"),
        ((0.957, 0.768, 0.0002), "ImageNet's mean and std it is 0.843, and you have 0.768"),
        ((0.957, 0.843, 0.768), "must be 1/255 and not 255"),
        ((0.957, 0.843), "which cannot be checked"),
    ],
)
def test_wrong_probabilities(answer: tuple[float, ...], words: str) -> None:
    assert words in said("8.1", answer)


def test_the_probabilities_are_those_of_the_network() -> None:
    installed = pw.load_model("efficientnet_lite0")

    def espresso(**normalisation: Any) -> float:
        model = pw.Model(installed.module, categories=installed.categories, **normalisation)
        logits = pw.Session(model, "coffee").logits
        return float(logits.softmax(0)[model.class_index("espresso")])

    half, bytes_ = (0.5, 0.5, 0.5), (1 / 255, 1 / 255, 1 / 255)
    found = espresso(mean=half, std=half), espresso(), espresso(mean=(0, 0, 0), std=bytes_)
    assert said("8.1", found) == ""


# 8.2: what is held constant


def report_of(name: str) -> pw.Report:
    timm = pytest.importorskip("timm")
    return pw.report(pw.Model(timm.create_model(name, pretrained=False), size=64))


def test_what_is_held_in_a_network_with_silu() -> None:
    report = report_of("efficientnet_b0")
    assert said("8.2", report.held) == ""
    assert "its attribute `held`" in said("8.2", report)
    assert "its attribute `held`" in said("8.2", report.sentence)
    assert "what IS softened" in said("8.2", report.gates)
    assert "`kept` or `cut` instead" in said("8.2", report.cut)
    assert "Expected a mapping" in said("8.2", 81)


def test_what_is_held_in_other_networks() -> None:
    assert "is it another network with" in said("8.2", report_of("mobilenetv3_small_100").held)
    assert "Held are layer norm, attention" in said("8.2", {"layer norm": 25, "attention": 12})


# 8.3: functions and modules


class Net(nn.Module):
    """One convolution, pooling and a head; its ReLU is given."""

    def __init__(self, relu: Callable[[Tensor], Tensor], seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 5)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.max_pool2d(self.relu(self.conv(x)), 2).mean((2, 3)))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.relu(x))


def test_functions_and_modules() -> None:
    net, twin = Net(F.relu), Net(nn.ReLU())
    assert said("8.3", (net, twin)) == ""
    assert "other way round" in said("8.3", (twin, net))
    assert "same object" in said("8.3", (net, net))
    assert "no nn.ReLU" in said("8.3", (net, Net(F.relu)))
    assert "did you load the weights" in said("8.3", (net, Net(nn.ReLU(), seed=1)))
    assert "two gates" in said("8.3", (net, Net(Twice())))
    assert "did you call the class" in said("8.3", (net, Net))


def test_the_two_networks_are_left_as_they_are() -> None:
    net, twin = Net(F.relu), Net(nn.ReLU())
    net.train()
    twin.eval()
    before = copy.deepcopy(net.state_dict())
    pw.check("8.3", (net, twin))
    assert net.training and not twin.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


# 8.4: a function that notices every change


def tensors(module: nn.Module) -> list[Any]:
    return [one.tolist() for one in [*module.parameters(), *module.buffers()]]


def grads(module: nn.Module) -> list[bool]:
    return [one.requires_grad for one in module.parameters()]


def modes(module: nn.Module) -> list[bool]:
    return [part.training for part in module.modules()]


def hooks(module: nn.Module) -> list[int]:
    return [len(part._forward_hooks) for part in module.modules()]


def looking_at(*looks: Callable[[nn.Module], Any]) -> Callable[[nn.Module], Any]:
    return lambda module: [look(module) for look in looks]


def test_a_state_that_notices_everything() -> None:
    assert said("8.4", looking_at(tensors, grads, modes, hooks)) == ""


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (lambda module: ..., "Not answered yet"),
        (lambda module: [id(one) for one in module.parameters()], "a copy"),
        (lambda module: list(module.parameters()), "a copy"),
        (lambda module: [one.clone() for one in module.parameters()], "no single truth value"),
        (lambda module: object(), "Two looks at the same"),
        (lambda module: [one.tolist() for one in module.parameters()], "look at buffers"),
        (looking_at(tensors, modes, hooks), "no longer requires a gradient"),
        (looking_at(tensors, grads, hooks), "went into training mode"),
        (looking_at(tensors, grads, hooks, lambda module: module.training), "one part"),
        (looking_at(tensors, grads, modes), "a forward hook on the whole network"),
        (
            looking_at(tensors, grads, modes, lambda module: len(module._forward_hooks)),
            "a forward hook on one part",
        ),
        (3, "Expected the function"),
    ],
)
def test_a_state_that_misses_something(state: Any, words: str) -> None:
    assert words in said("8.4", state)


def test_a_state_that_sees_a_change_where_there_is_none() -> None:
    calls = iter(range(1000))
    asked: list[nn.Module] = []

    def state(module: nn.Module) -> Any:
        # The eighth network is the one that is pulled back; until then all is well.
        if not any(module is one for one in asked):
            asked.append(module)
        restless = next(calls) if len(asked) > 8 else 0
        return [looking_at(tensors, grads, modes, hooks)(module), restless]

    assert "pullback changed the network" in said("8.4", state)
