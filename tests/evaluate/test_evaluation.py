"""The result: intervals that cover, what is said, and files."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import image, network, wrap

import pullback_widgets as pw
from pullback_widgets.drawing.files import load_npz
from pullback_widgets.evaluation.evaluation import Evaluation, Parts
from pullback_widgets.evaluation.interval import intervals
from pullback_widgets.evaluation.metrics import METRICS

CONTROLS = ("random map", "guided backpropagation")


def made(scores: dict[str, Any], methods: tuple[str, ...], **options: Any) -> Evaluation:
    """A result of these numbers, (n, methods) for each metric."""
    count = len(next(iter(scores.values())))
    parts = Parts()
    for n in range(count):  # a batch each
        parts.add(
            {
                "names": [f"image {n}"],
                "targets": [0],
                "skipped": [],
                "problems": {},
                "scores": {name: [list(rows[n])] for name, rows in scores.items()},
            }
        )
    return Evaluation(
        methods=methods,
        metrics=tuple(METRICS[name] for name in scores),
        baseline="gradient",
        controls=tuple(one for one in methods if one in CONTROLS),
        settings={"seed": 0, "images": count},
        parts=parts,
        **options,
    )


def test_intervals_of_differences_cover() -> None:
    chance = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        image_by_image = chance.gamma(2.0, 1.0, (60, 1))  # what both methods share of an image
        own = chance.normal([0.3, 0.0], [1.0, 0.5], (60, 2))
        found = made({"infidelity": image_by_image + own}, ("a", "gradient"))
        against = found.difference("infidelity", "a")
        covered += against.low <= 0.3 <= against.high
    assert 0.91 <= covered / 200 <= 0.98


def test_one_pass_has_the_intervals_of_each() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3))
    for one, column in zip(intervals(rows), rows.T, strict=True):
        assert one == pytest.approx(pw.bootstrap(column))
    gone = rows.copy()
    gone[3:, 1] = np.nan
    gone[:, 2] = np.nan
    first, second, third = intervals(gone)
    assert first == pytest.approx(pw.bootstrap(rows[:, 0]))
    assert second.value == pytest.approx(rows[:3, 1].mean())
    assert np.isnan(third).all()
    with pytest.raises(ValueError, match="no observation"):
        intervals(rows[:0])


@pytest.fixture
def found() -> Evaluation:
    """A method that is better in one metric, worse in one, and no different in one."""
    chance = np.random.default_rng(0)
    noise = 0.1 * chance.normal(size=(3, 50, 4))
    methods = ("relative", "gradient", "random map", "guided backpropagation")
    return made(
        {
            "infidelity": noise[0] + [0.2, 0.6, 0.9, 0.2],  # lower is better
            "localisation": noise[1] + [0.2, 0.4, 0.25, 0.5],
            "deletion": noise[2] + [0.3, 0.3, 0.5, 0.3],
            "target_sensitivity": np.tile([0.1, 0.2, 1.0, 0.95], (50, 1)),
        },
        methods,
    )


def test_better_and_worse_go_by_direction_and_interval(found: Evaluation) -> None:
    verdicts = {name: found.verdict(name, "relative") for name in METRICS if name in
                ("infidelity", "localisation", "deletion")}  # fmt: skip
    assert verdicts == {"infidelity": "better", "localisation": "worse", "deletion": ""}
    assert found.verdict("infidelity", "gradient") == ""
    values = found.scores("infidelity")
    assert found.mean("infidelity", "relative") == pytest.approx(pw.bootstrap(values[:, 0]))
    paired = pw.bootstrap(values[:, 0] - values[:, 1])
    assert found.difference("infidelity", "relative") == pytest.approx(paired)


def test_what_is_said(found: Evaluation) -> None:
    assert found.sentence == (
        "n = 50; relative: better than gradient in 1 of 3 metrics, worse in 1; guided "
        "backpropagation: better than gradient in 2 of 3 metrics, worse in 0, and hardly depends "
        "on the target. Intervals are over images, of this network alone; no metric shows that "
        "what a person sees in a map is what the network uses."
    )
    assert [one.split(" hardly")[0] for one in found.warnings] == [
        "Random map",
        "Guided backpropagation",
    ]
    assert not found.ignores_target("relative")
    assert found.sentence in str(found) and "[" in str(found)
    assert repr(found) == "<Evaluation: 4 methods x 4 metrics on 50 images; complete>"


def test_a_method_that_ignores_its_target_is_called_so() -> None:
    model = wrap(network("chain"))
    found = pw.evaluate(
        model,
        [image(n) for n in range(3)],
        {"x itself": lambda inputs, target: inputs, "relative": pw.Softening.relative()},
        "infidelity",
    )
    assert any(one.startswith("X itself hardly depends on the target") for one in found.warnings)
    assert not found.ignores_target("relative")


def test_unknown_names_are_refused(found: Evaluation) -> None:
    with pytest.raises(ValueError, match="'focus' was not measured; choose from infidelity"):
        found.mean("focus", "relative")
    with pytest.raises(ValueError, match="'mine' was not measured; choose from relative"):
        found.difference("infidelity", "mine")


def test_the_table_with_pandas_and_without(
    found: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    pandas = pytest.importorskip("pandas")
    table = found.table()
    assert isinstance(table, pandas.DataFrame) and len(table) == 16
    monkeypatch.setitem(sys.modules, "pandas", None)
    columns = found.table()
    assert isinstance(columns, dict)
    assert columns["verdict"][0] == "better" and columns["n"] == [50] * 16
    assert columns["method"] == list(table["method"])


def test_files(found: Evaluation, tmp_path: Path) -> None:
    with found.save(tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["mean"]) == found.mean("infidelity", "relative").value
    recipe = json.loads(found.save(tmp_path / "a.json").read_text("utf-8"))
    assert recipe["sentence"] == found.sentence
    assert recipe["table"][0]["difference_low"] == found.difference("infidelity", "relative").low
    arrays, settings = load_npz(found.save(tmp_path / "a.npz"))
    assert np.array_equal(arrays["infidelity"], found.scores("infidelity"))
    assert arrays["methods"].tolist() == list(found.methods)
    assert settings == found.settings
    assert found.save(tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ValueError, match="ends in none of .csv"):
        found.save(tmp_path / "a.docx")


def test_no_number_is_no_number_anywhere(tmp_path: Path) -> None:
    scores = np.array([[0.2, 0.4, np.nan]] * 5)
    methods = ("relative", "gradient", "random map")
    found = made({"completeness": scores}, methods, complete=False)
    assert "random map  -" in found.text()
    assert found.warnings == ["Stopped after 5 of 5 images."]
    text = found.save(tmp_path / "a.json").read_text("utf-8")
    assert "NaN" not in text
    found.save(tmp_path / "a.pdf")


def test_the_figure_has_a_panel_for_each_metric(found: Evaluation) -> None:
    figure = found.figure()
    panels = [axes for axes in figure.axes if axes.axison]
    titles = [panel.get_title().replace("\n", " ") for panel in panels]
    assert titles[0] == "Infidelity lower is better" and len(panels) == 4
    dots = [line for line in panels[0].lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == [
        found.mean("infidelity", name).value for name in found.methods
    ]
