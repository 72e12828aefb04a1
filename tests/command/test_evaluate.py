"""``pullback-widgets evaluate``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from networks import image, network, wrap
from PIL import Image

import pullback_widgets as pw
from pullback_widgets.command import command
from pullback_widgets.command.evaluate import method
from pullback_widgets.evaluation import paper
from pullback_widgets.networks import catalogue

Said = pytest.CaptureFixture[str]


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the shape of ImageNet's, and a small network in the place of all others."""
    folder = tmp_path / "photographs"
    for n in range(6):
        (folder / f"n0{n}").mkdir(parents=True)
        pixels = (255 * (image(n).permute(1, 2, 0) + 1) / 2).byte().numpy()
        Image.fromarray(pixels).save(folder / f"n0{n}" / "photograph.png")
    model = wrap(network("chain"))
    monkeypatch.setattr(catalogue, "load_model", lambda name: model)
    return folder


def said(*arguments: Any, status: int = 0) -> None:
    assert command.main(["evaluate", "resnet50", *map(str, arguments)]) == status


def test_a_table_with_progress_and_files(photographs: Path, tmp_path: Path, capsys: Said) -> None:
    said(
        photographs, "--method", "relative=0.5", "--method", "hard@3", "--metric", "infidelity",
        "--metric", "focus", "--limit", 4, "--keep", tmp_path / "run", "--save", tmp_path / "a.csv",
        "--batch-size", 2,
    )  # fmt: skip
    out, err = capsys.readouterr()
    assert "\r2 of 4 images" in err and "\r4 of 4 images" in err
    assert "infidelity (lower is better)" in out and "guided Grad-CAM" in out
    assert "n = 4; relative=0.5: better than gradient in " in out
    assert f"{tmp_path / 'a.csv'}: written" in out
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert {row["method"] for row in csv.DictReader(file)} >= {"relative=0.5", "hard@3"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "settings.json", "batch-000000.json", "batch-000001.json",
    }  # fmt: skip


def test_the_paper_s_table_stands_beside(photographs: Path, capsys: Said) -> None:
    said(photographs, "--paper")
    out = capsys.readouterr().out
    for numbers in paper.NUMBERS.values():
        assert set(numbers) == {*paper.METHODS, "guided Grad-CAM"}
    lines = [line.split() for line in out.splitlines() if line.startswith("  soft pullback")]
    assert [line[-1] for line in lines[-3:]] == ["5.99", "0.389", "0.748"]
    assert "1,000 ImageNet images" in out and "Here the network is Chain, another one." in out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relative", pw.Softening.relative()),
        ("paper_v3=0.2", pw.Softening.paper_v3(0.2)),
        ("held", pw.Softening.held()),
        ("relative=0.7@5", {"softening": pw.Softening.relative(0.7), "steps": 5}),
        ("smoothgrad", "smoothgrad"),
    ],
)
def test_methods_by_name(text: str, expected: object) -> None:
    assert method(text) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "relative=warm"], "The temperature of relative is 'warm'; expected a number"),
        (["--method", "hard=1"], "The temperature of hard is '1'; expected none"),
        (["--method", "relative@some"], "has 'some' steps of ascent"),
        (["--method", "no such"], "There is no method 'no such'"),
        (["--metric", "no such"], "There is no metric 'no such'"),
        (["--paper", "--metric", "focus"], "--paper has its own methods and metrics"),
        (["--save", "a.docx"], "ends in none of .csv"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    photographs: Path, capsys: Said, arguments: list[str], message: str
) -> None:
    said(photographs, *arguments, status=1)
    err = capsys.readouterr().err
    assert message in err and err.startswith("pullback-widgets: ")


def test_no_folder_and_no_scheduler(photographs: Path, tmp_path: Path, capsys: Said) -> None:
    said(tmp_path / "nowhere", status=1)
    assert "There is no folder" in capsys.readouterr().err
    pytest.importorskip("distributed")
    said(photographs, "--scheduler", "nonsense://127.0.0.1:1", status=1)
    assert "No Dask scheduler answers at nonsense://" in capsys.readouterr().err
