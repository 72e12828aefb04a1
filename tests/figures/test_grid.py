"""The counterfactual grid against the engine called directly."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compute import grid_steps
from networks import CATEGORIES, SIZE, Counting, Crowded, image, network, wrap
from PIL import Image

import pullback_widgets as pw
from pullback_widgets.drawing.files import load_npz
from pullback_widgets.figures import grid as grid_module
from pullback_widgets.figures.grid import Grid

WALK: Mapping[str, Any] = {"steps": 3, "step_size": 1.5, "radius": 4.0}
IMAGES = {f"photo {n}": image(seed=n) for n in range(3)}


@pytest.fixture
def model() -> pw.Model:
    return wrap(network("chain"))


@pytest.mark.parametrize("batch_size", [1, 2, 4, 32])
def test_every_cell_is_the_engine_s_ascent(model: pw.Model, batch_size: int) -> None:
    targets: list[Any] = ["spoon", pw.Logit(0), 3]
    grid = pw.counterfactual_grid(model, IMAGES, targets, batch_size=batch_size, **WALK)
    assert grid.differences.shape == (3, 3, 3, SIZE, SIZE)
    assert np.all(grid.done == 3) and grid.progress == 1.0
    for row, picture in enumerate(IMAGES.values()):
        session = pw.Session(model, picture)
        probabilities = session.logits.softmax(0)
        for column, target in enumerate(targets):
            *_, last = session.ascend(target, **WALK)
            torch.testing.assert_close(
                grid.differences[row, column].double(), last.difference, atol=1e-6, rtol=0
            )
            torch.testing.assert_close(
                grid.perturbed[row, column].double(), last.perturbed, atol=1e-6, rtol=0
            )
            assert grid.after[row, column] == pytest.approx(last.probability)
            index = session.resolve(target)[0].label
            assert grid.before[row, column] == pytest.approx(float(probabilities[index]))


def test_the_columns_are_the_images_own_classes_once_each_and_the_extra_one(
    model: pw.Model,
) -> None:
    own = [pw.Session(model, picture).predictions(1)[0].index for picture in IMAGES.values()]
    twice = {**IMAGES, "again": IMAGES["photo 0"]}
    grid = pw.counterfactual_grid(model, twice, extra="tabby cat", **WALK)
    assert grid.targets == [*map(pw.Logit, dict.fromkeys(own)), pw.Logit(2)]
    assert grid.names == [*IMAGES, "again"]


def test_the_default_extra_class_is_left_out_where_it_is_unknown(model: pw.Model) -> None:
    assert "ostrich" not in CATEGORIES
    assert len(pw.counterfactual_grid(model, image(), [0], **WALK).targets) == 1
    with pytest.raises(ValueError, match="No class of .* is called 'owl'"):
        pw.counterfactual_grid(model, image(), [0], extra="owl", **WALK)
    birds = pw.Model(model.module, size=SIZE, categories=[*CATEGORIES[:5], "ostrich"])
    assert pw.counterfactual_grid(birds, image(), [0], **WALK).targets == [
        pw.Logit(0),
        pw.Logit(5),
    ]


def test_the_extra_class_is_no_column_twice(model: pw.Model) -> None:
    own = pw.Session(model, image()).predictions(1)[0].index
    for targets, extra in ((None, CATEGORIES[own]), (None, np.int64(own)), ([own], pw.Logit(own))):
        grid = pw.counterfactual_grid(model, image(), targets, extra=extra, **WALK)
        assert grid.targets == [pw.Logit(own)]


def test_differences_are_as_exact_as_the_images(model: pw.Model) -> None:
    grid = pw.counterfactual_grid(model, image(), [0], **WALK)
    *_, last = pw.Session(model, image()).ascend(0, **WALK)
    assert grid.differences.dtype == torch.float64
    assert torch.equal(grid.differences[0, 0], last.difference)


def test_hidden_targets_have_scores_instead_of_probabilities(model: pw.Model) -> None:
    layer = pw.layers(model)[0].name
    targets = [pw.Channel(layer, 1), pw.Logit(2)]
    grid = pw.counterfactual_grid(model, image(), targets, **WALK)
    session = pw.Session(model, image())
    for column, target in enumerate(targets):
        *_, last = session.ascend(target, **WALK)
        assert grid.before[0, column] == pytest.approx(session.score(target))
        assert grid.after[0, column] == pytest.approx(last.score)
    assert "%" not in grid.change(0, 1)


def test_one_forward_pass_over_some_images_serves_all_their_targets() -> None:
    counting = Counting(network("chain"))
    model = wrap(counting, calibration=image(seed=99, batch=5))
    pw.counterfactual_grid(model, IMAGES, [0, 1, 2, 3], batch_size=3, steps=2, step_size=1.0)
    images = [size for size in counting.batches if size == 3]
    # One recorded, then one for each step towards each target.
    assert len(images) == 1 + 4 * 2


def test_a_consumer_that_stops_keeps_what_is_there(model: pw.Model) -> None:
    shares = []
    for grid in grid_steps(model, IMAGES, [0, 1], batch_size=1, **WALK):
        shares.append(grid.progress)
        if len(shares) == 5:
            break
    assert shares == sorted(shares) and shares[0] == 0 and 0 < shares[-1] < 1
    assert grid.done.tolist() == [[3, 1], [0, 0], [0, 0]]
    assert grid.differences[0, 1].abs().max() > 0 and grid.differences[1:].abs().max() == 0
    assert np.isnan(grid.after[1, 0])


def test_progress_is_reported(model: pw.Model) -> None:
    shares: list[float] = []
    pw.counterfactual_grid(model, IMAGES, [0], progress=shares.append, **WALK)
    assert shares[-1] == 1.0 and len(shares) > 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"images": []}, "no images"),
        ({"images": "nowhere.png"}, "nowhere.png"),
        ({"images": [image(), image(size=9)]}, "must have one size, and these have 8 x 8, 9 x 9"),
        ({"targets": [17]}, "out of range"),
        ({"targets": ["dog"]}, "dog"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"radius": -1.0}, "radius is -1.0"),
    ],
)
def test_bad_input_is_refused(model: pw.Model, options: dict[str, Any], said: str) -> None:
    given = {"images": image(), "targets": [0], **WALK, **options}
    with pytest.raises(ValueError, match=said):
        pw.counterfactual_grid(model, given.pop("images"), given.pop("targets"), **given)


def test_a_folder_gives_its_photographs_in_order_of_their_names(
    model: pw.Model, tmp_path: Path
) -> None:
    for name in ("b.png", "a.jpg"):
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photograph")
    assert pw.counterfactual_grid(model, tmp_path, [0], **WALK).names == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["coffee", "coffee", "coffee"], ["Coffee cup", "Coffee cup (2)", "Coffee cup (3)"]),
        (["cat (2).png", "cat.png"], ["cat (2)", "cat"]),
        (["photo (1).jpg", "photo.jpg"], ["photo (1)", "photo"]),
        (["cat.jpg", "cat.png", "cat (2).png"], ["cat", "cat (3)", "cat (2)"]),
        (["cat (2).jpg", "cat (2).png"], ["cat (2)", "cat (2) (2)"]),
        ({1: "a.png", "1": "b.png"}, ["1", "1 (2)"]),
    ],
    ids=str,
)
def test_no_image_is_lost_where_names_collide(given: Any, names: list[str]) -> None:
    found = grid_module.photographs(given)
    assert list(found) == names
    assert list(found.values()) == list(given.values() if isinstance(given, dict) else given)


@pytest.mark.parametrize("name", ["image.png", "image {}.png"])
def test_naming_is_as_much_work_as_there_are_images(name: str) -> None:
    def events(count: int) -> int:
        seen: list[object] = []
        given, before = [name.format(n) for n in range(count)], sys.getprofile()
        sys.setprofile(lambda *event: seen.append(event[1]))
        try:
            grid_module.photographs(given)
        finally:
            sys.setprofile(before)
        return len(seen)

    assert events(400) < 3 * events(200)


def finished(model: pw.Model) -> Grid:
    return pw.counterfactual_grid(model, IMAGES, [0, "spoon"], pw.Softening.paper_v3(), **WALK)


def test_arrays_and_settings_come_back_from_a_file(model: pw.Model, tmp_path: Path) -> None:
    grid = finished(model)
    arrays, settings = load_npz(grid.save(tmp_path / "grid.npz"))
    assert arrays.keys() == grid.arrays().keys()
    for name, values in grid.arrays().items():
        np.testing.assert_array_equal(arrays[name], values)
    assert settings == json.loads(json.dumps(grid.settings()))
    assert settings["softening"] == "pw.Softening.paper_v3(0.3)"
    assert settings["targets"] == ["golf ball (class 0)", "spoon (class 5)"]


def test_figures_at_print_resolution(model: pw.Model, tmp_path: Path) -> None:
    grid = finished(model)
    with Image.open(grid.save(tmp_path / "grid.PNG")) as png:
        assert png.format == "PNG" and round(png.info["dpi"][0]) == 300
    assert grid.save(tmp_path / "grid.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ValueError, match=r"ends in none of .png, .pdf, .svg, .npz, .json"):
        grid.save(tmp_path / "grid.txt")
    texts = [one.get_text() for one in grid.figure("perturbed").findobj(match=_is_text)]
    for wanted in ("photo 1", "spoon\n(class 5)", "photograph"):
        assert wanted in texts


def _is_text(artist: Any) -> bool:
    return hasattr(artist, "get_text")


def test_the_code_computes_the_same_grid(model: pw.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "catalogue_name", "mine")
    monkeypatch.setattr(pw, "load_model", lambda name: {"mine": model}[name])
    grid = pw.counterfactual_grid(
        model, ["chelsea"], [pw.Logit(1), pw.Channel("conv1", 1)], pw.Softening.hard(), **WALK
    )
    names: dict[str, Any] = {}
    exec(grid.code(), names)
    np.testing.assert_array_equal(names["grid"].differences, grid.differences)


def test_the_code_brings_its_imports_and_no_further_column(
    model: pw.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    birds = pw.Model(model.module, size=SIZE, categories=[*CATEGORIES[:5], "ostrich"])
    monkeypatch.setattr(birds, "catalogue_name", "mine")
    monkeypatch.setattr(pw, "load_model", lambda name: {"mine": birds}[name])
    direction = pw.Direction("conv1", torch.arange(5.0))
    grid = pw.counterfactual_grid(birds, ["chelsea"], [direction], extra=None, **WALK)
    names: dict[str, Any] = {}
    exec(grid.code(), names)
    assert torch.equal(names["grid"].differences, grid.differences)


def test_numpys_numbers_are_saved_and_written_down(model: pw.Model, tmp_path: Path) -> None:
    softening = pw.Softening.relative(np.float64(0.5))
    walk: dict[str, Any] = {"steps": np.int64(2), "step_size": np.float64(1.5)}
    grid = pw.counterfactual_grid(model, image(), [np.int64(3)], softening, **walk)
    _, settings = load_npz(grid.save(tmp_path / "grid.npz"))
    assert (settings["steps"], settings["step_size"]) == (2, 1.5)
    assert "targets=[3], softening=pw.Softening.relative(0.5)" in grid.code()
    assert "steps=2," in grid.code()


def test_the_network_comes_back_as_it_was(model: pw.Model) -> None:
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    model.module.train()
    finished(model)
    assert all(module.training for module in model.module.modules())
    assert all(parameter.grad is None for parameter in model.module.parameters())
    for name, value in model.module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


# An absolute temperature: nothing is calibrated, for which all images are shown at once.
ABSOLUTE: Mapping[str, Any] = {**WALK, "softening": pw.Softening.paper_v3(0.5)}


@pytest.mark.parametrize("most", [1, 2, 3])
def test_where_memory_runs_out_batches_are_smaller(most: int) -> None:
    crowded, targets = Crowded(network("chain"), most), [0, 1, 2, 3]
    found = pw.counterfactual_grid(wrap(crowded), IMAGES, targets, batch_size=8, **ABSOLUTE)
    expected = pw.counterfactual_grid(wrap(network("chain")), IMAGES, targets, **ABSOLUTE)
    assert found.progress == 1.0
    torch.testing.assert_close(found.differences, expected.differences, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.before, expected.before, atol=1e-9)
    assert crowded.batches[0] == 6  # three photographs, and two columns of each
    assert all(size <= most for size in crowded.batches[-4:])


def test_the_columns_classes_too_are_found_in_smaller_batches() -> None:
    crowded = wrap(Crowded(network("chain"), 1))
    found = pw.counterfactual_grid(crowded, IMAGES, extra=None, batch_size=3, **ABSOLUTE)
    expected = pw.counterfactual_grid(wrap(network("chain")), IMAGES, extra=None, **ABSOLUTE)
    assert found.targets == expected.targets


def test_where_one_image_is_too_much_there_is_one_sentence() -> None:
    crowded = wrap(Crowded(network("chain"), 0))
    with pytest.raises(
        MemoryError, match="too little memory for this .*; choose a smaller network"
    ):
        pw.counterfactual_grid(crowded, IMAGES, [0], **ABSOLUTE)
