"""First weights from a seed: torch's own, without its generator."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import nn

from pullback_widgets.teaching.toy import toy_network, toy_points
from pullback_widgets.teaching.training import small_network
from pullback_widgets.teaching.weights import LARGEST_SEED, seeded


def build() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1, bias=False),
        nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


def same(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(value, states[1][name]) for name, value in states[0].items()
    )


@pytest.mark.parametrize("seed", [0, 7, LARGEST_SEED])
def test_weights_are_those_of_torch(seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = build()
    network = seeded(build, seed)
    assert same(network, expected)
    assert all(one.device.type == "cpu" and one.requires_grad for one in network.parameters())
    assert not same(network, seeded(build, 3))


@pytest.mark.parametrize("make", [toy_network, lambda: small_network(8, 10)])
def test_torchs_generator_is_never_touched(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even for a moment: another thread may draw from it at that moment."""
    before, seen = torch.get_rng_state(), []
    for kind in (nn.Linear, nn.Conv2d):
        real = kind.reset_parameters

        def reset(layer: Any, real: Any = real) -> None:
            real(layer)
            seen.append(torch.get_rng_state())

        monkeypatch.setattr(kind, "reset_parameters", reset)
    make()
    assert seen and all(torch.equal(state, before) for state in seen)
    assert torch.equal(torch.get_rng_state(), before)


def test_networks_that_are_made_at_once_are_their_seeds() -> None:
    made: dict[int, list[nn.Module]] = {}

    def make(seed: int) -> None:
        made[seed] = [seeded(build, seed) for _ in range(20)]

    threads = [threading.Thread(target=make, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, networks in made.items():
        assert all(same(network, seeded(build, seed)) for network in networks)


def test_a_network_made_in_inference_mode_can_learn() -> None:
    with torch.inference_mode():
        network = toy_network()
    network(torch.zeros(1, 2)).sum().backward()
    assert all(one.grad is not None for one in network.parameters())


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, 10**30, 1.5, "a", None, True])
def test_what_is_no_seed(seed: Any) -> None:
    for make in (
        lambda: toy_network(seed=seed),
        lambda: small_network(8, 10, seed=seed),
        lambda: toy_points(seed=seed),
    ):
        with pytest.raises(ValueError, match=f"seed is {seed!r}; expected a whole number from 0"):
            make()
