"""A temperature from data."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import image, network, wrap

import pullback_widgets as pw
from pullback_widgets.drawing.files import load_npz
from pullback_widgets.evaluation.evaluation import Evaluation
from pullback_widgets.evaluation.progress import Progress
from pullback_widgets.evaluation.tuning import TEMPERATURES, Tuning

IMAGES = [image(n) for n in range(8)]
TRIED = (0.2, 0.5, 1.0, 3.0)


@pytest.fixture(scope="module")
def model() -> pw.Model:
    return wrap(network("residual"))


@pytest.fixture(scope="module")
def tuned(model: pw.Model) -> Tuning:
    return pw.tune_temperature(model, IMAGES, temperatures=TRIED, batch_size=2)


def alone(model: pw.Model, images: list[torch.Tensor], softenings: dict[str, Any]) -> Evaluation:
    return pw.evaluate(model, images, softenings, "infidelity", batch_size=2)


def test_one_half_chooses_and_the_other_judges(tuned: Tuning, model: pw.Model) -> None:
    softenings = {f"{one}": pw.Softening.relative(one) for one in TRIED}
    first = alone(model, IMAGES[::2], softenings)
    means = {name: first.mean("infidelity", name) for name in softenings}
    best = min(means, key=lambda name: means[name].value)
    assert tuned.temperature == float(best)
    assert tuned.softening == pw.Softening.relative(float(best))
    assert [one.temperature for one in tuned.curve] == list(TRIED)
    for one, mean in zip(tuned.curve, means.values(), strict=True):
        assert one.mean == pytest.approx(mean)
    second = alone(model, IMAGES[1::2], {"chosen": tuned.softening})
    assert tuned.value == pytest.approx(second.mean("infidelity", "chosen"))
    assert tuned.difference == pytest.approx(second.difference("infidelity", "chosen"))
    assert tuned.chosen_on.n == tuned.judged_on.n == 4


def test_the_best_goes_by_the_direction_of_the_metric(model: pw.Model) -> None:
    for name, sign in (("insertion", 1), ("deletion", -1)):
        tuned = pw.tune_temperature(model, IMAGES, name, temperatures=TRIED)
        means = [sign * one.mean.value for one in tuned.curve]
        assert tuned.temperature == TRIED[int(np.argmax(means))]


def test_other_softenings_and_iterables(model: pw.Model) -> None:
    given = pw.Softening.paper_v6(0.6)
    tuned = pw.tune_temperature(model, iter(IMAGES), softening=given, temperatures=(0.3, 0.9))
    assert tuned.softening == given.with_temperature(tuned.temperature)
    assert tuned.given == given
    assert tuned.at_the_end
    assert "the end of what was tried" in tuned.sentence


def test_what_is_said(tuned: Tuning) -> None:
    assert tuned.sentence.startswith(
        f"Infidelity chooses the temperature {tuned.temperature:.3g} on 4 images"
    )
    assert f"On 4 others it is {tuned.value.value:.3g} [" in tuned.sentence
    assert tuned.sentence.endswith("Another metric may choose another.")
    assert tuned.temperature in tuned.flat
    assert repr(tuned) == f"<Tuning: temperature {tuned.temperature:.3g} by infidelity>"


def test_progress_goes_over_both_halves(model: pw.Model) -> None:
    seen: list[Progress] = []
    pw.tune_temperature(model, IMAGES, temperatures=TRIED, batch_size=2, progress=seen.append)
    assert [one.done for one in seen] == [2, 4, 6, 8]
    assert {one.total for one in seen} == {8}

    def enough(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pw.tune_temperature(model, IMAGES, temperatures=TRIED, batch_size=2, progress=enough)


def test_files_and_figure(tuned: Tuning, tmp_path: Path) -> None:
    with tuned.save(tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["temperature"]) for row in rows] == list(TRIED)
    recipe = json.loads(tuned.save(tmp_path / "a.json").read_text("utf-8"))
    assert recipe["softening"] == f"pw.Softening.relative({tuned.temperature})"
    arrays, _ = load_npz(tuned.save(tmp_path / "a.npz"))
    assert arrays["chosen_infidelity"].shape == (4, 5)
    assert tuned.save(tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    (axes,) = tuned.figure().axes
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": IMAGES[:1]}, "There is 1 image; expected two or more"),
        ({"temperatures": [1.0]}, "There is 1 temperature to choose from"),
        ({"temperatures": [1.0, -1.0]}, "temperature is -1.0; expected a finite number above 0"),
        ({"metric": "no such"}, "There is no metric 'no such'"),
        ({"softening": pw.Softening.hard()}, "has no temperature; start from"),
    ],
)
def test_what_makes_no_sense_is_refused(
    model: pw.Model, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pw.tune_temperature(model, options.pop("images", IMAGES), **options)


def test_the_usual_temperatures_are_log_spaced() -> None:
    steps = np.diff(np.log(TEMPERATURES))
    assert np.allclose(steps, steps[0], atol=0.01)
