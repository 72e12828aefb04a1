"""Paths of gates against hand computation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import pullback_widgets as pw
from pullback_widgets.teaching.gates import PATHS, GatePaths


def test_gates_and_products_by_hand() -> None:
    paths = pw.gate_paths(torch.tensor([[-1.0, 2.0]]), temperature=0.5, length=3)
    assert paths.z.shape == (PATHS, 3)
    assert set(np.unique(paths.z)) == {-1.0, 2.0}
    soft = {-1.0: 1 / (1 + math.exp(2)), 2.0: 1 / (1 + math.exp(-4))}
    for row in range(5):
        expected = math.prod(soft[z] for z in paths.z[row].tolist())
        assert paths.passed()[row] == pytest.approx(expected)
        assert paths.hard[row].prod() == float((paths.z[row] > 0).all())


def test_the_normal_gate() -> None:
    paths = pw.gate_paths([0.6], temperature=0.3, gate="normal", length=1)
    assert paths.soft[0, 0] == pytest.approx(0.5 * (1 + math.erf(2 / math.sqrt(2))))


def test_zero_temperature_is_the_hard_gate() -> None:
    paths = pw.gate_paths(temperature=0, length=4)
    assert np.array_equal(paths.soft, paths.hard)


@pytest.mark.parametrize("length", [1, 3, 6])
def test_half_of_the_paths_close_at_every_gate(length: int) -> None:
    share = pw.gate_paths(length=length).open_share
    spread = math.sqrt(0.5**length * (1 - 0.5**length) / PATHS)
    assert share == pytest.approx(0.5**length, abs=4 * spread + 0.01)


def test_a_longer_path_begins_like_the_shorter_one() -> None:
    short, long = pw.gate_paths(length=3), pw.gate_paths(length=9)
    assert np.array_equal(short.z, long.z[:, :3])


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"length": 0}, "length is 0"),
        ({"length": 65}, "expected 1 to 64 gates"),
        ({"gate": "step"}, "expected 'sigmoid' or 'normal'"),
        ({"temperature": -1.0}, "temperature"),
        ({"shown": 1.5}, "shown is 1.5; expected a whole"),
        ({"shown": "a"}, "shown is 'a'; expected a whole"),
        ({"seed": -1}, "seed is -1; expected a whole"),
        ({"shown": PATHS}, "expected a whole number from 0 to"),
        ({"values": []}, "There are 0 pre-activations"),
        ({"values": [1.0, math.inf]}, "1 of them not finite"),
    ],
)
def test_choices_that_make_no_sense(choices: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pw.gate_paths(**choices)


@pytest.mark.parametrize("values", ["words", ["a"], [1 + 2j], object()])
def test_values_that_are_no_numbers(values: Any) -> None:
    with pytest.raises(TypeError, match="expected a tensor or array of numbers"):
        pw.gate_paths(values)


@pytest.mark.parametrize("temperature", [0, 1e-300, 0.85, 1e300])
@pytest.mark.parametrize("size", [0.0, 5e-324, 1.0, 1.7e308])
def test_values_of_any_size_are_drawn(size: float, temperature: float) -> None:
    paths = pw.gate_paths(np.array([-size, size]), temperature=temperature)
    paths.draw(figure := Figure(figsize=(10, 3.4)))
    assert len(figure.axes) == 3
    assert np.isfinite(paths.soft).all()


@pytest.mark.parametrize("temperature", [0, 0.5])
def test_paths_are_kept(tmp_path: Path, temperature: float) -> None:
    paths = pw.gate_paths(length=2, temperature=temperature)
    for ending in paths.ENDINGS:
        least = 100 if ending == ".json" else 1000
        assert paths.save(tmp_path / f"gates{ending}").stat().st_size > least
    names: dict[str, Any] = {}
    exec(paths.code(), names)
    assert np.array_equal(names["paths"].soft, paths.soft)


def test_the_code_draws_the_same_path() -> None:
    paths = pw.gate_paths(shown=7, length=3)
    names: dict[str, object] = {}
    exec(paths.code(), names)
    again = names["paths"]
    assert isinstance(again, GatePaths) and again.shown == 7
    np.testing.assert_array_equal(again.soft, paths.soft)
