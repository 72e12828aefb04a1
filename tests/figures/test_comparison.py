"""The comparison against the engine and captum called directly."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compute import comparison_steps
from networks import CATEGORIES, SIZE, Counting, image, network, wrap
from PIL import Image
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.drawing.files import load_npz
from pullback_widgets.figures.comparison import Column, Comparison, columns_of
from pullback_widgets.methods.captum_methods import attribute

SOFT = [pw.Softening.relative(0.5), pw.Softening.paper_v3(0.4)]
METHODS = ["gradient", "smoothgrad", "grad_cam"]
SAMPLES = 3


def named(name: str, **options: Any) -> pw.Model:
    model = wrap(network(name))
    wanted: dict[str, Any] = {"categories": CATEGORIES, "name": name, "size": SIZE, **options}
    calibration = image(seed=99, batch=3, size=wanted["size"])
    return pw.Model(model.module, model.mean, model.std, calibration=calibration, **wanted)


@pytest.fixture
def models() -> list[pw.Model]:
    return [named("residual"), named("dense")]


def test_every_cell_is_its_method_called_directly(models: list[pw.Model]) -> None:
    picture = image(1)
    shares: list[float] = []
    found = pw.compare(
        models,
        picture,
        "spoon",
        softenings=SOFT,
        methods=[*METHODS, "smooth_pullback"],
        samples=SAMPLES,
        noise=0.2,
        seed=4,
        progress=shares.append,
    )
    assert found.columns == [
        *(Column("pullback", one) for one in SOFT),
        *map(Column, METHODS),
        *(Column("smooth_pullback", one) for one in SOFT),
    ]
    assert found.done.all() and found.done.shape == (2, 7) and not found.problems
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    for model, row in zip(models, found.rows, strict=True):
        session = pw.Session(model, picture)
        assert torch.equal(row.image, session.image)
        assert row.score == session.score("spoon")
        assert row.probability == float(session.logits.softmax(0)[5])
        assert row.session is None  # no activations are kept
        for column, values in zip(found.columns, row.maps, strict=True):
            expected = attribute(
                column.method,
                session,
                "spoon",
                column.softening,
                noise=0.2,
                seed=4,
                samples=SAMPLES if "smooth" in column.method else None,
            )
            torch.testing.assert_close(values.double(), expected, rtol=1e-5, atol=1e-7)


def test_one_network_and_the_defaults() -> None:
    found = pw.compare(named("chain"), image(2), methods=[])
    assert found.columns == [Column("pullback", pw.Softening.relative(0.85))]
    top = pw.Session(named("chain"), image(2)).predictions(1)[0].index
    assert found.rows[0].target == pw.Logit(top)


# What the target is in each network ---------------------------------------------------------------


def test_no_target_is_the_first_networks_top_class(models: list[pw.Model]) -> None:
    tops = [pw.Session(model, image(3)).predictions(1)[0].index for model in models]
    assert tops[0] != tops[1]
    found = pw.compare(models, image(3), methods=[])
    assert [row.target for row in found.rows] == [pw.Logit(tops[0])] * 2


def test_classes_go_by_name() -> None:
    """A class index is the first network's; the other has the same names in another order."""
    models = [named("residual"), named("chain", categories=CATEGORIES[::-1])]
    for target in (2, "Tabby cat", pw.Logit("tabby cat")):
        found = pw.compare(models, image(3), target, methods=[])
        assert [row.target for row in found.rows] == [pw.Logit(2), pw.Logit(3)]
    found = pw.compare(models, image(3), pw.Difference(1, "spoon"), methods=[])
    second = found.rows[1].target
    assert isinstance(second, pw.Difference)
    assert (second.first, second.second) == (pw.Logit(4), pw.Logit(0))


def test_a_part_of_another_class_s_name_is_not_the_class() -> None:
    models = [
        named("residual", categories=["Ant", "bee", "cat", "dog", "eel", "fly"]),
        named("chain", categories=["elephant", "gnu", "hen", "ibis", "jay", "koi"]),
        named("dense", categories=["elephant", "ANT", "hen", "ibis", "jay", "koi"]),
    ]
    found = pw.compare(models, image(3), 0, methods=[])
    assert [row.target for row in found.rows] == [pw.Logit(0), None, pw.Logit(1)]
    assert "No class of chain is called 'Ant', as class 0 of residual is" in found.rows[1].problem
    assert found.done[:, 0].tolist() == [True, False, True]


def test_without_names_the_index_must_mean_the_same() -> None:
    small = pw.Model(nn.Sequential(network("chain"), nn.Linear(6, 4).double()), size=SIZE)
    models = [named("residual"), named("dense", categories=None), small]
    found = pw.compare(models, image(3), 1, methods=[])
    assert [row.target for row in found.rows] == [pw.Logit(1), pw.Logit(1), None]
    assert "has 6 classes, and Sequential has 4" in found.rows[2].problem
    assert found.done[:, 0].tolist() == [True, True, False] and found.progress == 1


def test_a_network_without_the_class_leaves_its_row_empty() -> None:
    other = named("chain", categories=["a", "b", "c", "d", "e", "f"])
    found = pw.compare([other, named("residual")], image(3), "espresso", methods=["gradient"])
    assert "No class of chain is called 'espresso'" in found.rows[0].problem
    assert found.done.tolist() == [[False, False], [True, True]]
    assert found.rows[0].image.shape == (3, SIZE, SIZE)  # it ran


def test_a_hidden_target(models: list[pw.Model]) -> None:
    target = pw.Channel("layer1", 1)
    found = pw.compare(models, image(3), target, methods=["grad_cam"])
    assert found.done.tolist() == [[True, True], [False, False]]
    assert np.isnan(found.rows[0].probability)
    assert "There is no layer 'layer1'" in found.rows[1].problem


# What cannot be done ------------------------------------------------------------------------------


def test_without_captum_the_other_columns_are_there(
    models: list[pw.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = importlib.import_module

    def gone(name: str, package: str | None = None) -> Any:
        if name.startswith("captum"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return original(name, package)

    monkeypatch.setattr(importlib, "import_module", gone)
    found = pw.compare(models, image(3), 1, methods=["gradient"])
    assert found.done.tolist() == [[True, False], [True, False]]
    assert set(found.problems) == {(0, 1), (1, 1)}
    assert "pip install" in found.problems[0, 1]
    assert found.progress == 1


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("out of order")


def test_a_network_that_raises_or_cannot_be_had_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(model: pw.Model | str) -> pw.Model:
        if isinstance(model, str):
            raise pw.DownloadError("no connection")
        return model

    broken = pw.Model(Broken(), size=SIZE)
    *_, found = comparison_steps(
        ["resnet50", broken, named("chain")], image(3), 1, columns_of(None, []), load=load
    )
    assert [row.problem for row in found.rows] == ["no connection", "out of order", ""]
    assert found.rows[0].name == "resnet50"
    assert found.done[:, 0].tolist() == [False, False, True]
    found.figure()
    found.settings()


def test_if_no_network_can_do_anything_it_is_an_error() -> None:
    with pytest.raises(ValueError, match="No network can be compared: out of order"):
        pw.compare(pw.Model(Broken(), size=SIZE), image(3))
    with pytest.raises(ValueError, match="No class of chain is called 'zebra'"):
        pw.compare(named("chain"), image(3), "zebra")


def test_a_map_that_is_not_finite_is_refused() -> None:
    class Huge(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.mean((2, 3))
            return torch.cat([y, y.abs().add(1e-30).sqrt() * 0 + (y * 0).sqrt()], 1)

    found = pw.compare(pw.Model(Huge(), size=SIZE), image(3), pw.Logit(4), methods=[])
    assert "NaN or infinite" in found.problems[0, 0] and not found.done.any()


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"models": []}, ValueError, "There are no networks"),
        ({"models": ["resnet49"]}, ValueError, "resnet49"),
        ({"models": [3]}, TypeError, "expected a torch.nn.Module"),
        ({"image": "no such file.png"}, pw.ImageError, "There is no file"),
        ({"target": 1.5}, TypeError, "The target is 1.5"),
        ({"methods": ["lime"]}, ValueError, "There is no method 'lime'"),
        ({"softenings": [0.3]}, TypeError, "softening is 0.3"),
        ({"softenings": [], "methods": []}, ValueError, "nothing to compare"),
    ],
)
def test_arguments_are_checked_before_anything_is_computed(
    wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    net = Counting(network("chain"))
    arguments: dict[str, Any] = {"models": [wrap(net)], "image": image(3), **wrong}
    with pytest.raises(error, match=message):
        pw.compare(**arguments)
    assert net.passes == 0


# Filling up ---------------------------------------------------------------------------------------


def test_pullbacks_come_first_and_a_consumer_that_stops_keeps_what_is_there(
    models: list[pw.Model],
) -> None:
    steps = comparison_steps(models, image(4), 1, columns_of(SOFT, ["gradient"]))
    seen: list[list[list[bool]]] = []
    for result in steps:
        seen.append(result.done.tolist())
        if result.progress >= 5 / 6:
            break
    assert seen[-1] == [[True, True, True], [True, True, False]]
    assert seen[-2] == [[True, True, False], [True, True, False]]
    assert result.rows[1].maps[2].abs().max() == 0
    assert result.progress == 5 / 6


def last_of(steps: Iterator[Comparison]) -> Comparison:
    *_, result = steps
    return result


def test_a_new_temperature_runs_no_network_and_recomputes_pullbacks_only() -> None:
    net = Counting(network("mobile"))  # batch norm everywhere: nothing to calibrate
    model, picture = wrap(net), image(5)
    columns = columns_of(SOFT[0], ["gradient"])
    first = last_of(comparison_steps([model], picture, 1, columns))
    net.batches.clear()
    warmer = columns_of(pw.Softening.relative(2.0), ["gradient"])
    second = last_of(comparison_steps([model], picture, 1, warmer, last=first))
    assert net.passes == 0
    assert torch.equal(second.rows[0].maps[1], first.rows[0].maps[1])
    expected = pw.pullback(model, picture, 1, pw.Softening.relative(2.0))
    torch.testing.assert_close(second.rows[0].maps[0].double(), expected, rtol=1e-5, atol=1e-7)
    net.batches.clear()
    other = last_of(comparison_steps([model], picture, 2, warmer, last=second))
    assert net.passes == 1  # captum's gradient of another target
    assert not torch.equal(other.rows[0].maps[1], second.rows[0].maps[1])
    last_of(comparison_steps([model], image(5), 2, warmer, last=other))
    assert net.passes == 3  # another image: recorded anew
    last_of(comparison_steps([model], picture, 2, warmer, seed=1, last=other))
    assert net.passes == 5  # other options


def test_a_comparison_cut_short_loses_no_forward_pass() -> None:
    nets = [Counting(network("mobile")), Counting(network("residual"))]
    models, picture = [wrap(net) for net in nets], image(5)
    last = last_of(comparison_steps(models, picture, 1, columns_of(SOFT[0], ["gradient"])))
    for net in nets:
        net.batches.clear()
    for temperature in (0.3, 0.4, 0.5):  # a slider that is dragged
        columns = columns_of(pw.Softening.relative(temperature), ["gradient"])
        last = next(comparison_steps(models, picture, 1, columns, last=last))
    assert [net.passes for net in nets] == [0, 0]
    assert last.done.tolist() == [[False, True], [False, True]]
    last_of(comparison_steps(models, picture, 1, columns, last=last))
    assert [net.passes for net in nets] == [0, 0]


def test_a_network_that_could_not_be_had_is_not_asked_for_again() -> None:
    asked: list[object] = []

    def load(model: pw.Model | str) -> pw.Model:
        asked.append(model)
        if isinstance(model, str):
            raise pw.DownloadError("no connection")
        return model

    models = ["resnet50", named("chain")]
    first = last_of(comparison_steps(models, image(3), 1, columns_of(None, []), load=load))
    asked.clear()
    second = last_of(
        comparison_steps(models, first.source, 1, columns_of(SOFT, []), last=first, load=load)
    )
    assert not asked and second.rows[0].problem == "no connection"
    assert second.done.tolist() == [[False, False], [True, True]]


def test_the_model_is_untouched(models: list[pw.Model]) -> None:
    before = [{k: v.clone() for k, v in m.module.state_dict().items()} for m in models]
    pw.compare(models, image(6), 1, samples=2)
    for model, state in zip(models, before, strict=True):
        assert all(torch.equal(v, state[k]) for k, v in model.module.state_dict().items())
        assert all(p.grad is None and p.requires_grad for p in model.module.parameters())


# What comes out -----------------------------------------------------------------------------------


@pytest.fixture
def comparison(models: list[pw.Model]) -> Comparison:
    smaller = named("mobile", categories=["x", "y", "z", "u", "v", "w"])
    return pw.compare(
        [*models, smaller], "coffee", "espresso", softenings=SOFT, methods=METHODS, samples=2
    )


def test_networks_of_different_sizes_see_the_same_photograph() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network("residual")

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

    models = [named("residual"), pw.Model(Pooled(), size=20, categories=CATEGORIES)]
    found = pw.compare(models, "chelsea", 1, methods=["gradient"])
    assert [tuple(row.maps.shape) for row in found.rows] == [(2, 3, 8, 8), (2, 3, 20, 20)]
    found.figure()


def test_values_and_pictures(comparison: Comparison) -> None:
    maps = comparison.rows[0].maps
    assert comparison.value(0, 1, 0.99, 0.0) == float(maps[1, :, 0, 7].mean())
    assert comparison.value(0, 1, 0.0, 1.0) == float(maps[1, :, 7, 0].mean())
    signed = comparison.picture(0, 2)
    assert signed.shape == (SIZE, SIZE, 3)
    assert comparison.columns[4].method == "grad_cam"
    maps[4] = torch.linspace(0, 1, SIZE)
    heat = comparison.picture(0, 4).astype(int)
    assert (heat[..., 0] - heat[..., 2]).std() > 20  # coloured, unlike three equal channels


def test_the_figure_says_what_is_what(comparison: Comparison) -> None:
    figure = comparison.figure()
    titles = [axes.get_title() for axes in figure.axes[:6]]
    assert titles[:3] == [
        "Photograph",
        "Excitation pullback\nrelative T = 0.5",
        "Excitation pullback\npaper v3, T = 0.4",
    ]
    assert titles[3:] == ["Gradient", "SmoothGrad", "Grad-CAM"]
    labels = [axes.get_ylabel() for axes in figure.axes[::6]]
    assert labels[0].startswith("residual\nespresso (class 4)\n") and labels[0].endswith(" %")
    assert labels[2] == "mobile"
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert len(texts) == 1 and "'espresso'" in texts[0]
    assert len(figure.axes[0].images) == len(figure.axes[5].images) == 1


def test_files(comparison: Comparison, tmp_path: Path) -> None:
    arrays, settings = load_npz(comparison.save(tmp_path / "all.npz"))
    assert np.array_equal(arrays["maps_1"], comparison.rows[1].maps.numpy())
    assert np.array_equal(arrays["done"], comparison.done)
    assert arrays["image_2"].shape == (3, SIZE, SIZE)
    assert settings["image"] == "Coffee cup"
    assert [one["network"] for one in settings["networks"]] == ["residual", "dense", "mobile"]
    assert settings["networks"][0]["target"] == "espresso (class 4)"
    assert "'espresso'" in settings["networks"][2]["problem"]
    assert settings["columns"][1] == {
        "method": "pullback",
        "softening": "pw.Softening.paper_v3(0.4)",
    }
    assert settings["networks"][1]["calibration"] == settings["calibration"] is not None
    assert json.dumps(settings)
    with Image.open(comparison.save(tmp_path / "all.png")) as picture:
        assert min(picture.size) > 600
    with pytest.raises(ValueError, match="ends in none of"):
        comparison.save(tmp_path / "all.gif")


def test_code_computes_the_same() -> None:
    model = named("residual")
    found = pw.compare(
        [model, "efficientnet_lite0"],
        image(7),
        pw.Difference(1, 2),
        softenings=SOFT,
        methods=["gradient", "smooth_pullback"],
        samples=SAMPLES,
        seed=2,
    )
    written = found.code()
    assert written.count("...") == 2 and '"efficientnet_lite0"' in written.replace("'", '"')
    assert "# your networks" in written and "# your image" in written
    namespace: dict[str, Any] = {"model": model, "picture": image(7)}
    runnable = written.replace("..., 'eff", "model, 'eff").replace("image = ...", "image = picture")
    exec(runnable, namespace)
    again: Comparison = namespace["comparison"]
    assert again.columns == found.columns
    assert torch.equal(again.rows[0].maps, found.rows[0].maps)
