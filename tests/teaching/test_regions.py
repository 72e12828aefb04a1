"""Linear regions, and the pullback as their blend, against definitions in float64."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.teaching.regions import _edges
from pullback_widgets.teaching.toy import (
    SHAPES,
    Points,
    ToyTraining,
    checked_points,
    toy_network,
    toy_points,
)

PROBE = (0.31, -0.22)


def network(width: int = 4, depth: int = 2, seed: int = 0) -> nn.Sequential:
    return toy_network(width, depth, seed).double()


def linears(net: nn.Sequential) -> list[nn.Linear]:
    return [layer for layer in net if isinstance(layer, nn.Linear)]


def pre_activations(net: nn.Sequential, x: Tensor) -> list[Tensor]:
    """What enters each ReLU."""
    found = []
    for layer in net:
        if isinstance(layer, nn.ReLU):
            found.append(x.detach())
        x = layer(x)
    return found


def through(net: nn.Sequential, gates: list[Tensor]) -> Tensor:
    """The product of weights and gates, from the score back to the input."""
    *hidden, last = linears(net)
    row = last.weight[0]
    for layer, gate in zip(reversed(hidden), reversed(gates), strict=True):
        row = (row * gate) @ layer.weight
    return row.detach()


def patterns(sizes: list[int]) -> list[list[Tensor]]:
    """All gate patterns of layers with so many units."""
    bits = itertools.product((0.0, 1.0), repeat=sum(sizes))
    return [list(torch.tensor(one).double().split(sizes)) for one in bits]


@pytest.mark.parametrize(("width", "depth"), [(5, 1), (4, 2), (3, 3)])
@pytest.mark.parametrize("temperature", [0.05, 0.7])
def test_the_pullback_is_the_mean_gradient_over_all_patterns(
    width: int, depth: int, temperature: float
) -> None:
    net = network(width, depth)
    z = pre_activations(net, torch.tensor(PROBE, dtype=torch.float64))
    mean, total, own = torch.zeros(2).double(), 0.0, {}
    for pattern in patterns([width] * depth):
        chance = 1.0
        for opened, values in zip(pattern, z, strict=True):
            share = torch.sigmoid(values / temperature)
            chance *= float(torch.where(opened > 0, share, 1 - share).prod())
        mean += chance * through(net, pattern)
        total += chance
        own[tuple(torch.cat(pattern).tolist())] = chance
    regions = pw.linear_regions(net, temperature=temperature, probe=PROBE)
    assert total == pytest.approx(1)
    assert np.allclose(regions.pullback, mean, rtol=0, atol=1e-12)
    # The weight of a region is the probability of its pattern.
    for number, place in enumerate(regions.centres):
        opened = torch.cat(pre_activations(net, torch.tensor(place))) > 0
        expected = own[tuple(opened.double().tolist())]
        assert regions.weight[number] == pytest.approx(expected, rel=1e-9)


def test_the_score_is_affine_in_a_region() -> None:
    net = network(6, 2, seed=1)
    regions = pw.linear_regions(net, probe=PROBE)
    x = torch.tensor(PROBE, dtype=torch.float64)
    for step in (1e-3, 1e-4):
        d = step * torch.tensor([0.6, -0.8]).double()
        before, after = net(torch.stack([x, x + d]))[:, 0].tolist()
        assert after - before == pytest.approx(float(d @ torch.tensor(regions.gradient)), abs=1e-14)
    assert np.allclose(regions.gradient, through(net, [(z > 0).double() for z in
                       pre_activations(net, x)]), rtol=0, atol=1e-14)  # fmt: skip


def test_the_probe_is_not_rounded() -> None:
    """In float64 0.1 is another number than in float32."""
    net = network(6, 2, seed=1)
    x = torch.tensor((0.1, -0.7), dtype=torch.float64)
    assert pw.linear_regions(net, probe=(0.1, -0.7)).value == net(x[None]).item()


def test_a_leaky_gate_lets_its_slope_through() -> None:
    net = network(4, 1)
    net.relu1 = nn.LeakyReLU(0.2)
    regions = pw.linear_regions(net, temperature=0.3, probe=PROBE)
    z = net.linear1(torch.tensor(PROBE, dtype=torch.float64)).detach()
    gate = 0.2 + 0.8 * torch.sigmoid(z / 0.3)
    assert np.allclose(regions.pullback, through(net, [gate]), rtol=0, atol=1e-12)
    gate = 0.2 + 0.8 * (z > 0).double()
    assert np.allclose(regions.gradient, through(net, [gate]), rtol=0, atol=1e-12)


def test_one_hidden_unit_makes_two_regions() -> None:
    net = network(1, 1)
    with torch.no_grad():
        net.linear1.weight.copy_(torch.tensor([[1.0, 0.0]]))
        net.linear1.bias.zero_()
        net.score.weight.fill_(3.0)
        net.score.bias.fill_(-0.5)
    regions = pw.linear_regions(net, probe=(0.5, 0.9), temperature=0.2)
    assert regions.count == 2
    right = regions.region[:, -1]
    assert (right == right[0]).all() and regions.region[0, 0] != right[0]
    assert regions.gradient.tolist() == [3.0, 0.0]
    assert regions.value == pytest.approx(1.0)
    share = 1 / (1 + np.exp(-0.5 / 0.2))
    assert regions.pullback == pytest.approx([3 * share, 0])
    assert regions.weight[right[0]] == pytest.approx(share)
    assert regions.weight.sum() == pytest.approx(1)
    assert regions.here == right[0]
    # The line between them lies in the middle of the map, and nowhere else.
    columns = np.flatnonzero(_edges(regions.region).any(axis=0))
    assert columns.tolist() == [regions.region.shape[1] // 2 - 1]
    # Far from the line, on its own side.
    x = regions.centres[right[0], 0]
    assert 0.2 < x < 1.4


def test_the_map_is_the_network_on_a_grid() -> None:
    net = network()
    regions = pw.linear_regions(net, side=9, extent=2.0)
    assert regions.score.shape == (9, 9)
    corners = torch.tensor([[-2.0, 2.0], [2.0, 2.0], [-2.0, -2.0], [2.0, -2.0]]).double()
    expected = net(corners)[:, 0].detach().numpy()
    assert regions.score[[0, 0, -1, -1], [0, -1, 0, -1]] == pytest.approx(expected, abs=1e-6)


def test_two_logits_are_their_difference() -> None:
    one, two = network(), network()
    with torch.no_grad():
        two.score = nn.Linear(4, 2).double()
        two.score.weight.copy_(torch.cat([torch.zeros(1, 4), one.score.weight]))
        two.score.bias.copy_(torch.cat([torch.zeros(1), one.score.bias]))
    first, second = (pw.linear_regions(net, probe=PROBE) for net in (one, two))
    assert np.allclose(first.score, second.score)
    assert np.allclose(first.pullback, second.pullback)


def test_zero_temperature_is_the_gradient() -> None:
    regions = pw.linear_regions(network(), temperature=0, probe=PROBE)
    assert np.array_equal(regions.pullback, regions.gradient)
    assert regions.weight[regions.here] == 1 and regions.weight.sum() == 1


def test_the_network_is_left_alone() -> None:
    net = network().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    pw.linear_regions(net)
    assert net.training and all(p.grad is None and p.requires_grad for p in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"probe": (0.0,)}, "expected two finite numbers"),
        ({"probe": (0.0, float("nan"))}, "expected two finite numbers"),
        ({"extent": 0}, "expected a finite number above 0"),
        ({"extent": float("inf")}, "expected a finite number above 0"),
        ({"extent": "wide"}, "expected a finite number above 0"),
        ({"probe": None}, "expected two finite numbers"),
        ({"probe": "ab"}, "expected two finite numbers"),
        ({"points": 3}, "expected a name"),
        ({"side": 0}, "side is 0"),
        ({"temperature": -1}, "temperature"),
    ],
)
def test_choices_that_make_no_sense(choices: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pw.linear_regions(network(), **choices)


def test_networks_without_regions() -> None:
    with pytest.raises(ValueError, match="no ReLU"):
        pw.linear_regions(nn.Linear(2, 1))
    with pytest.raises(ValueError, match=r"expected one score \(N, 1\)"):
        pw.linear_regions(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    with pytest.raises(ValueError, match=r"does not take points, a tensor \(N, 2\): mat1"):
        pw.linear_regions(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1)))


class Clamped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0, 6).sum(1, keepdim=True)


@pytest.mark.parametrize(
    "bounded", [nn.Sequential(nn.Linear(2, 3), nn.ReLU6(), nn.Linear(3, 1)), Clamped()]
)
def test_a_gate_with_two_bounds_is_refused(bounded: nn.Module) -> None:
    with pytest.raises(ValueError, match="with an upper bound, .* take a ReLU"):
        pw.linear_regions(bounded)


@pytest.mark.parametrize("slopes", [1, 4])
def test_slopes_that_are_learnt_are_none(slopes: int) -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.PReLU(slopes), nn.Linear(4, 1))
    assert pw.linear_regions(net).count > 1


def test_weights_of_a_large_network_are_seen() -> None:
    """With 192 gates in doubt every pattern is improbable, but not equally."""
    regions = pw.linear_regions(toy_network(64, 3), temperature=5.0)
    assert 0 < regions.weight.max() < 1e-12
    picture = regions.picture("blend").astype(int)
    colourful = picture.max(axis=-1) - picture.min(axis=-1) > 60
    assert colourful.any()
    *_, heaviness = regions.arrows("blend")
    assert heaviness.max() == 1


def test_the_code_computes_the_same() -> None:
    net = toy_network(6, 2)
    regions = pw.linear_regions(net, temperature=0.4, probe=(1 / 3, -0.1), extent=2.0)
    names: dict[str, Any] = {"net": net}
    exec(regions.code().replace("network = ...", "network = net"), names)
    for name, array in regions.arrays().items():
        assert np.array_equal(names["regions"].arrays()[name], array)


def test_a_map_is_kept(tmp_path: Path) -> None:
    regions = pw.linear_regions(network().float(), points=toy_points())
    with pytest.raises(ValueError, match=r"No recipe can hold a network of your own; .*\.npz"):
        regions.save(tmp_path / "map.json")
    for ending in set(regions.ENDINGS) - {".json"}:
        assert regions.save(tmp_path / f"map{ending}").stat().st_size > 1000
    for shown in ("gradient", "pullback", "blend"):
        assert regions.picture(shown).shape == (*regions.score.shape, 3)
    assert not np.array_equal(regions.picture("gradient"), regions.picture("blend"))


# The toy network and its points.


@pytest.mark.parametrize("name", SHAPES)
def test_points_can_be_learnt(name: str) -> None:
    points = toy_points(name)
    assert points.places.abs().max() < 1.5
    assert points.labels.bincount().tolist() == [20, 20]
    training = ToyTraining(toy_network(16, 2, seed=3))
    training.go(points, 600)
    assert training.loss < 0.05


def test_a_seed_decides() -> None:
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    first, again, other = (toy_network(4, 2, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(2), expected)  # the user's random numbers
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)
    assert torch.equal(toy_points("moons").places, toy_points("moons").places)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ("stars", "no points 'stars'; choose from: moons, ring, corners"),
        (3, "expected a name"),
        ((torch.zeros(3, 3), torch.zeros(3)), "expected finite numbers"),
        ((torch.zeros(3, 2), torch.zeros(2)), "expected finite numbers"),
        ((torch.full((3, 2), torch.nan), torch.zeros(3)), "expected finite numbers"),
        ((torch.zeros(3, 2), torch.tensor([0, 1, 2])), "neither 0 nor 1"),
        ((torch.zeros(3, 2), torch.tensor([0, 1, 0.5])), "neither 0 nor 1"),
        (("ab", "cd"), "expected a name"),
    ],
)
def test_what_is_no_points(points: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked_points(points)


def test_points_of_ones_own() -> None:
    given = checked_points(([[0, 1], [1, 0.5]], [True, False]))
    assert isinstance(given, Points)
    assert given.labels.tolist() == [1, 0]
