"""The settings: presets, validation, immutability."""

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback_widgets as pw

WITH_TEMPERATURE: dict[str, Callable[[Any], pw.Softening]] = {
    "paper_v3": pw.Softening.paper_v3,
    "paper_v6": pw.Softening.paper_v6,
    "relative": pw.Softening.relative,
}


@pytest.mark.parametrize(
    ("name", "default"), [("paper_v3", 0.3), ("paper_v6", 0.6), ("relative", 0.85)]
)
def test_presets_have_the_papers_and_our_defaults(name: str, default: float) -> None:
    preset = WITH_TEMPERATURE[name]
    assert getattr(pw.Softening, name)().temperature == default
    assert getattr(pw.Softening, name)() == preset(default)


@pytest.mark.parametrize("name", WITH_TEMPERATURE)
def test_temperature_is_kept(name: str) -> None:
    assert WITH_TEMPERATURE[name](0.125).temperature == 0.125


def test_presets_differ() -> None:
    presets = [pw.Softening.hard(), *(make(0.5) for make in WITH_TEMPERATURE.values())]
    assert all(a != b for i, a in enumerate(presets) for b in presets[:i])


@pytest.mark.parametrize("name", WITH_TEMPERATURE)
@pytest.mark.parametrize("bad", [0, 0.0, -0.3, math.inf, -math.inf, math.nan])
def test_temperature_must_be_finite_and_positive(name: str, bad: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        WITH_TEMPERATURE[name](bad)
    with pytest.raises(ValueError, match="temperature"):
        WITH_TEMPERATURE[name](0.5).with_temperature(bad)


@pytest.mark.parametrize("bad", ["hot", None, [0.5]])
def test_temperature_must_be_a_number(bad: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        pw.Softening.relative(bad)  # type: ignore[arg-type]


def test_settings_are_frozen() -> None:
    softening = pw.Softening.relative(0.5)
    assert dataclasses.is_dataclass(softening)
    with pytest.raises(dataclasses.FrozenInstanceError):
        softening.temperature = 0.6  # type: ignore[misc]


@pytest.mark.parametrize("name", WITH_TEMPERATURE)
def test_with_temperature_changes_a_copy_and_nothing_else(name: str) -> None:
    softening = WITH_TEMPERATURE[name](0.5).with_factors({"layer1": 2.0})
    warmer = softening.with_temperature(0.75)
    assert softening.temperature == 0.5
    assert warmer == WITH_TEMPERATURE[name](0.75).with_factors({"layer1": 2.0})


def test_with_factors_copies_what_it_is_given() -> None:
    plain = pw.Softening.relative(0.5)
    factors = {"layer1": 2.0}
    softening = plain.with_factors(factors)
    assert softening != plain
    assert plain == pw.Softening.relative(0.5)
    factors["layer1"] = 3.0
    assert softening == plain.with_factors({"layer1": 2.0})
    assert softening != plain.with_factors({"layer1": 3.0})


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_factors_must_be_finite_and_positive(bad: float) -> None:
    with pytest.raises(ValueError, match="factor"):
        pw.Softening.relative(0.5).with_factors({"layer1": bad})


def test_settings_need_no_torch() -> None:
    code = (
        "import sys, pullback_widgets as pw; pw.Softening.relative(0.5).with_factors({'a': 2.0}); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
def test_numpys_numbers_become_pythons(kind: Callable[[float], Any]) -> None:
    softening = pw.Softening(kind(2), pool_temperature=kind(3), factors={"layer1": kind(4)})
    assert softening == pw.Softening(2.0, pool_temperature=3.0, factors={"layer1": 4.0})
    for value in (softening.temperature, softening.pool_temperature, *softening.factors.values()):
        assert type(value) is float
    assert type(softening.with_temperature(kind(5)).temperature) is float
    with pytest.raises(ValueError, match="temperature"):
        pw.Softening.relative(kind(-1))
