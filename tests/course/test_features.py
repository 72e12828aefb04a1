"""The checks of notebook 6; its solutions, run by .ci/notebooks.py, try more answers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import fusion

import pullback_widgets as pw
from pullback_widgets.course import features
from pullback_widgets.teaching.data import load_data
from pullback_widgets.teaching.training import small_network, train


def said(number: str, answer: Any) -> str:
    """What the check says of a wrong answer; empty for a right one."""
    verdict = pw.check(number, answer)
    return "" if verdict else verdict.text


@pytest.fixture(scope="module")
def normed() -> nn.Module:
    """Trained so long that its batch norms are no identities."""
    digits = load_data("digits")
    network = small_network(digits.side, 10, seed=0)
    for _ in train(network, digits, epochs=3):
        pass
    return network


def fold(network: nn.Module) -> nn.Module:
    """Without its norms, in place."""
    for number, kind in ((1, "conv"), (2, "conv"), (3, "conv"), (4, "linear")):
        layer, norm = f"{kind}{number}", f"norm{number}"
        fused = getattr(fusion, f"fuse_{kind}_bn_eval")(
            network.get_submodule(layer), network.get_submodule(norm)
        )
        setattr(network, layer, fused)
        setattr(network, norm, nn.Identity())
    return network.eval()


# 6.1: a network without its batch norms


def test_a_folded_network_is_right(normed: nn.Module) -> None:
    before = copy.deepcopy(normed.state_dict())
    assert said("6.1", (normed, fold(copy.deepcopy(normed)))) == ""
    assert all(torch.equal(before[name], value) for name, value in normed.state_dict().items())


def test_training_mode_does_not_matter(normed: nn.Module) -> None:
    network = copy.deepcopy(normed).train()
    assert said("6.1", (network, fold(copy.deepcopy(normed)).train())) == ""
    assert network.training


@pytest.mark.parametrize("variant", features._MISTAKES)
def test_each_mistake_in_folding_is_named(normed: nn.Module, variant: str) -> None:
    wrong = features._folded_by(normed, variant)
    assert said("6.1", (normed, wrong)) == features._MISTAKES[variant]


def test_networks_that_are_no_pair(normed: nn.Module) -> None:
    folded = fold(copy.deepcopy(normed))
    assert "the other way round" in said("6.1", (folded, normed))
    assert "has been changed" in said("6.1", (folded, folded))
    assert "the same object" in said("6.1", (normed, normed))
    assert "still has 4 batch norms (norm1" in said("6.1", (normed, copy.deepcopy(normed)))
    assert "one of them is str" in said("6.1", (normed, "folded"))
    other = fold(small_network(8, 10, seed=1).eval())
    assert "one layer at a time" in said("6.1", (normed, other))


def test_weights_that_were_changed_for_both_are_noticed(normed: nn.Module) -> None:
    network = copy.deepcopy(normed)
    parts = dict(network.named_children())
    with torch.no_grad():
        parts["conv1"].get_parameter("weight").mul_(2)  # folded in place
    names = [name for name in parts if not name.startswith("norm")]
    assert "run the cell that trains again" in said(
        "6.1", (network, nn.Sequential(*(parts[name] for name in names)))
    )


# 6.2: stable and empty


def test_gates_that_are_all_half_open_are_stable(normed: nn.Module) -> None:
    assert said("6.2", (normed, 100)) == ""
    assert said("6.2", (normed, torch.tensor(100.0))) == ""


@pytest.mark.parametrize(
    ("t", "words"),
    [
        (0.1, "make the gates softer"),
        (-1, "above 0"),
        (float("inf"), "above 0"),
        ("soft", "Expected the pair"),
        (torch.ones(3), "Expected the pair"),
    ],
)
def test_a_temperature_that_is_not_stable(normed: nn.Module, t: Any, words: str) -> None:
    assert words in said("6.2", (normed, t))


def test_stable_and_right_is_not_what_is_asked_for() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))  # its own gradient explains all
    assert "it still explains 1.00, no less than the plain gradient's 1.00" in said(
        "6.2", (network, 1.0)
    )


def test_the_network_comes_first(normed: nn.Module) -> None:
    assert "Expected the pair" in said("6.2", (1.0, normed))
    assert "Expected the pair" in said("6.3", (0.9, normed))


# 6.3: a probe that sees gates


def test_the_probe_that_sees_gates(normed: nn.Module) -> None:
    right = features._probe(normed, "relu4", lambda z: z > 0)
    assert 0.5 < right < 1
    assert said("6.3", (normed, right)) == ""
    assert said("6.3", (normed, right - 0.01)) == "", "as of another classifier"
    assert "are they 1.0 and 0.0" in said("6.3", (normed, right - 0.1))


@pytest.mark.parametrize("other", features._OTHER_PROBES, ids=lambda other: other[-1][-30:])
def test_other_features_are_recognised(normed: nn.Module, other: Any) -> None:
    layer, change, count, words = other
    share = features._probe(normed, layer, change, count)
    assert share != features._probe(normed, "relu4", lambda z: z > 0)
    assert words in said("6.3", (normed, share))


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (343, "divide by the number of digits"),
        (-0.1, "divide by the number of digits"),
        ("95 %", "Expected the pair"),
    ],
)
def test_a_share_that_is_none(normed: nn.Module, share: Any, words: str) -> None:
    assert words in said("6.3", (normed, share))
