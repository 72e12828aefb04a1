"""Recipes: written, read, and opened again to the same picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import image, network, wrap
from PIL import Image
from waiting import SECONDS
from widgets import Page, text_with

import pullback_widgets as pw
from pullback_widgets.drawing import files
from pullback_widgets.figures import provenance as provenance_
from pullback_widgets.figures import recipe as recipe_module
from pullback_widgets.figures.provenance import provenance
from pullback_widgets.figures.recipe_text import from_text, to_line

LAYER = "conv1"

pytestmark = pytest.mark.usefixtures("nothing_swallowed")

Open = Callable[..., pw.Explorer]


@pytest.fixture
def model() -> pw.Model:
    return wrap(network("chain"))


@pytest.fixture
def keep(page: Page) -> Iterator[Callable[[pw.Explorer], pw.Explorer]]:
    """Waits for explorers, and closes them in the end."""
    kept: list[pw.Explorer] = []

    def keep(explorer: pw.Explorer) -> pw.Explorer:
        kept.append(explorer)
        assert explorer.wait(SECONDS)
        return explorer

    yield keep
    for explorer in kept:
        explorer.close()


Keep = Callable[[pw.Explorer], pw.Explorer]


def reopened(keep: Keep, explorer: pw.Explorer, path: Path, **options: Any) -> pw.Explorer:
    """By way of a file."""
    saved = explorer.save(path / "recipe.json")
    return keep(pw.open_recipe(saved, model=explorer.model, **options))


def same(first: pw.Explorer, second: pw.Explorer) -> None:
    """All choices and every byte of the picture."""
    assert first.result is not None and second.result is not None
    for view in ("photograph", "pullback", first.view):
        np.testing.assert_array_equal(
            first.result.picture(view, first.colour), second.result.picture(view, second.colour)
        )
    for name in ("layer", "channel", "position", "softening", "step_size", "radius", "view"):
        assert getattr(first, name) == getattr(second, name), name
    for name in ("compare", "wipe", "colour", "temperature", "units"):
        assert getattr(first, name) == getattr(second, name), name


CHOICES: dict[str, dict[str, Any]] = {
    "default": {},
    "class": {"target": 3},
    "name": {"target": "spoon", "view": "overlay", "colour": "diverging"},
    "logit": {"target": pw.Logit(2), "softening": pw.Softening.hard()},
    "strongest channel": {"layer": LAYER},
    "channel": {"layer": LAYER, "channel": 2},
    "unit": {"layer": LAYER, "channel": 2, "position": (3, 1)},
    "maximum": {"target": pw.Channel(LAYER, 1, "max")},
    "direction": {
        "target": pw.Direction(
            LAYER, torch.tensor([0.1, -1 / 3, 0.0, 2.0, 7.0], dtype=torch.float64)
        )
    },
    "rivals": {"target": pw.Rivals("spoon", 2)},
    "box": {"target": pw.Region(LAYER, 3, (0, 0, 1, 1))},
    "difference": {"target": pw.Logit(0) - pw.Channel(LAYER, 3)},
    "softening": {
        "softening": pw.Softening(0.4, "normal", "absolute", "differentiated", 2.0, {"conv1": 0.5})
    },
    "ascent": {"view": "difference", "steps": 3, "step_size": 0.7, "radius": None},
    "wipe": {"view": "perturbed", "compare": "pullback", "wipe": 0.4, "steps": 2},
}


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES.keys())
def test_a_recipe_opens_to_the_same_picture(
    model: pw.Model, keep: Keep, tmp_path: Path, choices: dict[str, Any]
) -> None:
    explorer = keep(pw.Explorer(model, image(1), **choices))
    again = reopened(keep, explorer, tmp_path)
    same(explorer, again)
    assert again.notes == () and not again.error


def photograph(path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (12, 15, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.mark.parametrize(
    "given",
    [
        "coffee",
        image(3),
        image(3).float(),
        torch.linspace(-1, 1, 3 * 64).view(3, 8, 8),
        np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8),
    ],
    ids=["sample", "float64", "float32", "not bytes", "array"],
)
def test_every_kind_of_image_comes_back(
    model: pw.Model, keep: Keep, tmp_path: Path, given: Any
) -> None:
    explorer = keep(pw.Explorer(model, given))
    same(explorer, reopened(keep, explorer, tmp_path))


def test_a_photograph_is_known_by_its_file(model: pw.Model, keep: Keep, tmp_path: Path) -> None:
    path = photograph(tmp_path / "photo.png")
    explorer = keep(pw.Explorer(model, path))
    again = reopened(keep, explorer, tmp_path)
    assert again.image == str(path) and again.notes == ()
    same(explorer, again)


@pytest.mark.parametrize("what", ["is not here", "is not the file it was"])
def test_a_photograph_that_is_gone_or_changed_is_said_and_shown_all_the_same(
    model: pw.Model, keep: Keep, tmp_path: Path, what: str
) -> None:
    path = photograph(tmp_path / "photo.png")
    explorer = keep(pw.Explorer(model, path))
    saved = explorer.save(tmp_path / "recipe.json")
    path.unlink()
    if "changed" in what or "file it was" in what:
        Image.new("RGB", (9, 9)).save(path)
    again = keep(pw.open_recipe(saved, model=model))
    assert len(again.notes) == 1 and "photo.png" in again.notes[0] and what in again.notes[0]
    assert text_with(again, what)
    same(explorer, again)


def test_other_weights_versions_and_networks_are_said(
    model: pw.Model, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = keep(pw.Explorer(model, image(1)))
    recipe = explorer.recipe()
    with torch.no_grad():
        next(model.module.parameters()).add_(0.5)
    (note,) = keep(pw.open_recipe(recipe, model=model)).notes
    assert "weights" in note
    monkeypatch.setattr(provenance_, "__version__", "9.9")
    renamed = pw.Model(model.module, size=model.size, name="other")
    notes = " ".join(keep(pw.open_recipe(recipe, model=renamed)).notes)
    assert "pullback_widgets" in notes and "9.9" in notes and "not other" in notes


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mean": (0.4, 0.5, 0.6)}, "Written with mean [0.5, 0.5, 0.5], opened with [0.4, 0.5"),
        ({"std": (0.4, 0.5, 0.6)}, "Written with std [0.5, 0.5, 0.5], opened with [0.4, 0.5"),
        ({"size": 9}, "Written with size 8, opened with 9."),
        ({"calibration": image(7, batch=2)}, "The calibration images of Chain are not those"),
        ({"calibration": None}, "The calibration images of Chain are not those"),
    ],
    ids=["mean", "std", "size", "calibration", "no calibration"],
)
def test_other_preprocessing_is_said(model: pw.Model, changed: dict[str, Any], said: str) -> None:
    options = {"calibration": image(99, batch=3), "size": model.size, **changed}
    given = {"mean": model.mean, "std": model.std, **options}
    recipe = provenance(model)
    (note,) = recipe_module.differences(recipe, pw.Model(model.module, **given))
    assert said in note
    assert recipe_module.differences(recipe, model) == []
    # A recipe of before these were written down.
    old = {name: recipe[name] for name in ("pullback_widgets", "torch", "network", "weights")}
    assert recipe_module.differences(old, model) == []


def test_a_network_of_the_catalogue_is_loaded_by_its_name(
    model: pw.Model, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = keep(pw.Explorer("efficientnet_lite0", "coffee", target="espresso"))
    again = keep(pw.open_recipe(json.loads(json.dumps(explorer.recipe()))))
    assert again.notes == () and again.result.model.catalogue_name == "efficientnet_lite0"
    same(explorer, again)


def test_an_ascent_that_was_stopped_opens_where_it_stopped(model: pw.Model, keep: Keep) -> None:
    explorer = keep(pw.Explorer(model, image(1), view="difference", steps=3, step_size=0.5))
    recipe = {**explorer.recipe(), "steps": 8}
    again = keep(pw.open_recipe(recipe, model=model))
    assert again.result.step.index == 3 and "step 3 of 8" in again.notes[0]
    same(explorer, again)


def test_another_image_for_the_same_recipe(model: pw.Model, keep: Keep) -> None:
    recipe = keep(pw.Explorer(model, image(1), target=2)).recipe()
    again = keep(pw.open_recipe(recipe, model=model, image=image(5)))
    torch.testing.assert_close(again.pullback, pw.pullback(model, image(5), 2).cpu())


def test_what_is_no_recipe_is_refused(model: pw.Model, keep: Keep, tmp_path: Path) -> None:
    recipe = keep(pw.Explorer(model, image(1))).recipe()
    text = tmp_path / "text.json"
    text.write_text("not JSON")
    for given, said in [
        (text, "is not JSON"),
        ({}, "no recipe"),
        ([1], "no recipe"),
        ({**recipe, "format": 99, "pullback_widgets": "7.0"}, "7.0.*newer format.*upgrade"),
        ({**recipe, "softening": {"heat": 1}}, "damaged.*heat"),
        ({**recipe, "target": {"kind": "Soul"}}, "damaged.*Soul"),
        ({**recipe, "image": {"png": "AAAA"}}, "damaged"),
        ({name: value for name, value in recipe.items() if name != "steps"}, "damaged.*steps"),
    ]:
        with pytest.raises(ValueError, match=said):
            pw.open_recipe(given, model=model)
    with pytest.raises(ValueError, match="give it: pw.open_recipe"):
        pw.open_recipe(recipe)
    with pytest.raises(FileNotFoundError):
        pw.open_recipe(tmp_path / "nowhere.json")


def test_a_target_of_one_s_own_cannot_be_written_down(model: pw.Model, keep: Keep) -> None:
    class Mine(pw.Logit):
        pass

    explorer = keep(pw.Explorer(model, image(1), target=Mine(1)))
    with pytest.raises(TypeError, match="Mine, which no recipe can hold"):
        explorer.recipe()


def test_the_recipe_holds_no_pixels_where_they_are_beside_it(model: pw.Model, keep: Keep) -> None:
    explorer = keep(pw.Explorer(model, image(1)))
    slim = explorer.result.settings()  # as an NPZ has them
    assert slim["image"] == {} and "png" not in json.dumps(slim)
    with pytest.raises(ValueError, match="pixels were not stored .*give it: .*image="):
        pw.open_recipe(slim, model=model)
    same(explorer, keep(pw.open_recipe(slim, model=model, image=image(1))))


def test_without_pixels_a_photograph_s_file_is_needed(
    model: pw.Model, keep: Keep, tmp_path: Path
) -> None:
    path = photograph(tmp_path / "photo.png")
    _, settings = files.load_npz(keep(pw.Explorer(model, path)).save(tmp_path / "all.npz"))
    assert keep(pw.open_recipe(settings, model=model)).image == str(path)
    path.unlink()
    with pytest.raises(ValueError, match="photo.png is not here, and its pixels were not stored"):
        pw.open_recipe(settings, model=model)


@pytest.mark.parametrize(
    "target",
    [
        np.int64(3),
        pw.Logit(np.int64(3)),
        pw.Channel(LAYER, np.int64(2)),
        pw.Unit(LAYER, np.int64(2), (np.int64(1), 1)),
        pw.Difference(np.int64(1), pw.Channel(LAYER, np.int64(2))),
    ],
    ids=str,
)
def test_numpys_numbers_can_be_written(
    model: pw.Model, keep: Keep, tmp_path: Path, target: Any
) -> None:
    softening = pw.Softening.relative(np.float64(0.5))
    explorer = keep(pw.Explorer(model, image(1), target=target, softening=softening))
    json.dumps(explorer.recipe())
    same(explorer, reopened(keep, explorer, tmp_path))


def test_a_recipe_is_a_line_of_text(model: pw.Model, keep: Keep) -> None:
    choices: dict[str, Any] = {"target": 3, "temperature": 0.3, "over": "temperature"}
    explorer = keep(pw.Explorer(model, "coffee", **choices))
    line = to_line(explorer.recipe())
    assert line.startswith('pw.open_recipe("recipe:') and len(line.splitlines()) == 1
    text = line.removeprefix('pw.open_recipe("').removesuffix('")')
    assert len(text) < 2000 and from_text(text) == json.loads(files.as_json(explorer.recipe()))
    broken = f" {text[:90]}\n   {text[90:]} "  # as letters do
    again = keep(pw.open_recipe(broken, model=model))
    same(explorer, again)
    assert again.over == "temperature"
    for damaged in (text[:-20], text[:50] + text[60:], "recipe:", "recipe:%"):
        with pytest.raises(ValueError, match="text of the recipe is damaged"):
            pw.open_recipe(damaged)


def test_a_recipe_with_a_photograph_is_no_line() -> None:
    line = to_line({"format": 1, "png": np.random.default_rng(0).bytes(9000).hex()})
    assert "too much to paste" in line and "Press Recipe for the file" in line
    assert all(one.startswith("# ") for one in line.splitlines())


def test_an_older_recipe_does_not_say_what_animations_run_over(model: pw.Model, keep: Keep) -> None:
    recipe = dict(keep(pw.Explorer(model, "coffee", over="temperature")).recipe())
    del recipe["over"]
    assert keep(pw.open_recipe(recipe, model=model)).over == "ascent"
