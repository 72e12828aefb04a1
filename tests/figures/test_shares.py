"""What each figure says of how much a pullback accounts for."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import image, network, seeded, wrap
from torch import nn

import pullback_widgets as pw
from pullback_widgets.drawing.files import load_npz
from pullback_widgets.drawing.words import accounts_for, share_of
from pullback_widgets.engine.completeness import accounted
from pullback_widgets.figures.result import Result
from pullback_widgets.figures.sessions import Sessions
from pullback_widgets.figures.snapshot import SnapshotRequest
from pullback_widgets.figures.strip import LINEAR

S = pw.Softening
WALK: dict[str, Any] = {"steps": 1, "step_size": 0.5, "radius": 2.0}


@pytest.fixture(scope="module")
def model() -> pw.Model:
    return wrap(network("residual"))


def share(model: pw.Model, target: Any, softening: pw.Softening) -> float:
    parts = pw.Session(model, image()).completeness(target, softening)
    return parts.picture / parts.value


def labels(result: Result) -> list[str]:
    return [axes.get_xlabel() for axes in result.figure().axes]


def taken_away(result: Result, tmp_path: Path) -> None:
    """The shares are in the NPZ file and in the recipe."""
    arrays, _ = load_npz(result.save(tmp_path / "a.npz"))
    assert np.array_equal(arrays["shares"], result.shares, equal_nan=True)
    recipe = json.loads(result.save(tmp_path / "a.json").read_text("utf-8"))
    written = np.array(recipe["shares"], dtype=float)
    assert np.array_equal(written, result.shares, equal_nan=True)


def test_a_strip(model: pw.Model, tmp_path: Path) -> None:
    target = pw.Channel("layer10.relu", 1)
    strip = pw.temperature_strip(model, image(), target, temperatures=[0.5, 2.0], **WALK)
    softenings = [S.hard(), S(0.5), S(2.0), LINEAR]
    wanted = [share(model, target, one) for one in softenings]
    assert strip.shares[0] == pytest.approx(wanted)
    assert strip.shares.shape == (2, 4) and strip.kind == "value"
    assert strip.score == pw.Session(model, image()).score(target)
    assert f"t = 0.5\n{share_of(wanted[1], 'value')}" in labels(strip)
    assert "how much of the value it accounts for" in strip.figure().get_suptitle()
    strip.shown = "perturbed"
    assert "accounts" not in strip.figure().get_suptitle()
    assert not any("%" in label for label in labels(strip))
    taken_away(strip, tmp_path)
    strip.pulled[1, 2] = False
    assert np.isnan(strip.shares).sum() == 1


def test_a_journey(model: pw.Model, tmp_path: Path) -> None:
    journey = pw.depth_journey(model, image(), **WALK)
    wanted = [share(model, stage.target, S.relative()) for stage in journey.stages]
    assert journey.shares == pytest.approx(wanted)
    found = [label for label in labels(journey) if label.startswith("accounts")]
    kinds = ["value", "value", "logit"]
    assert found == [
        text for pair in zip(wanted, kinds, strict=True) if (text := accounts_for(*pair))
    ]
    taken_away(journey, tmp_path)
    journey.pulled[0] = False
    assert math.isnan(journey.shares[0])


def test_a_comparison(model: pw.Model, tmp_path: Path) -> None:
    comparison = pw.compare(
        model, image(), 2, softenings=S.held(), methods=["gradient", "smoothgrad"], samples=2
    )
    wanted = [share(model, 2, S.held()), share(model, 2, S.hard()), math.nan]
    assert comparison.shares[0] == pytest.approx(wanted, nan_ok=True)
    texts = [accounts_for(one, "logit") for one in wanted]
    assert labels(comparison) == ["", *texts] and texts[0] and not texts[2]
    taken_away(comparison, tmp_path)


def test_a_snapshot(model: pw.Model, tmp_path: Path) -> None:
    request = SnapshotRequest(model, image(), target=pw.Logit(1), softening=S.held())
    (found,) = Sessions().frames(request)
    assert float(found.shares) == pytest.approx(share(model, 1, S.held()))
    taken_away(found, tmp_path)


def test_a_recipe_opens_again(model: pw.Model, tmp_path: Path) -> None:
    strip = pw.temperature_strip(model, image(), 1, temperatures=[0.5], **WALK)
    again = pw.open_recipe(strip.save(tmp_path / "a.json"), model=model)
    again.wait()
    assert again.result.shares == pytest.approx(strip.shares, nan_ok=True)
    again.close()


def test_a_value_of_zero_has_no_shares(tmp_path: Path) -> None:
    module = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 6)))
    with torch.no_grad():
        module[3].weight[1] = module[3].bias[1] = 0.0
        module[3].weight[1, 0], module[0].bias[0] = 1.0, 0.0
        module[0].weight[0] = 0.0
    strip = pw.temperature_strip(wrap(module), image(), 1, temperatures=[0.5], **WALK)
    assert strip.score == 0 and np.isnan(strip.shares).all()
    assert not any("%" in label for label in labels(strip))
    taken_away(strip, tmp_path)


def test_words() -> None:
    assert accounts_for(0.617, "logit") == "accounts for 62 % of the logit"
    assert accounts_for(-0.5) == "accounts for \N{MINUS SIGN}50 %"
    assert accounts_for(-0.001) == "accounts for 0 %"
    assert accounts_for(math.nan, "logit") == accounts_for(11, "logit") == ""
    assert share_of(-0.5, "value") == "\N{MINUS SIGN}50 % of value"
    assert share_of(11, "value") == share_of(math.nan, "value") == ""
    assert math.isnan(accounted(math.nan, torch.ones(2), torch.ones(2)))
    assert accounted(4.0, torch.ones(2), torch.ones(2)) == 0.5
