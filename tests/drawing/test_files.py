"""What the Explorer writes, read back; and the files themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import image, network, wrap
from PIL import Image, ImageSequence
from waiting import SECONDS
from widgets import Page

import pullback_widgets as pw
from pullback_widgets.drawing import files, pixels
from pullback_widgets.drawing.pixels import RGB, enlarge
from pullback_widgets.figures.provenance import provenance, weights_hash

WALK: dict[str, Any] = {"steps": 3, "step_size": 0.7}

pytestmark = pytest.mark.usefixtures("nothing_swallowed")


@pytest.fixture
def explorer(page: Page) -> Iterator[pw.Explorer]:
    explorer = pw.Explorer(wrap(network("chain")), image(1), target=2, **WALK)
    assert explorer.wait(SECONDS)
    yield explorer
    explorer.close()


def frames_of(path: Path) -> list[RGB]:
    with Image.open(path) as file:
        assert file.format == "GIF" and file.info["loop"] == 0
        return [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(file)]


@pytest.mark.parametrize("view", ["pullback", "difference", "perturbed"])
def test_the_gif_is_the_ascent_step_by_step(
    explorer: pw.Explorer, tmp_path: Path, view: str
) -> None:
    explorer.view = view
    assert explorer.wait(SECONDS)
    before = explorer.result
    seen = frames_of(explorer.save(tmp_path / "ascent.gif"))
    assert explorer.result is before  # the widget goes on showing what it showed
    walk = pw.Session(explorer.model, image(1)).ascend(2, **WALK)
    shown = "difference" if view == "difference" else "perturbed"
    wanted = [explorer.result.picture("photograph")]
    for step in walk:
        values = getattr(step, shown)
        wanted.append(
            pixels.signed_map(values) if shown == "difference" else pixels.photograph(values)
        )
    assert len(seen) == 1 + WALK["steps"]
    for one, other in zip(seen, wanted, strict=True):
        # A GIF has 256 colours for a picture; under it stands a line.
        large = enlarge(other, 448)
        assert np.abs(one[: len(large)].astype(float) - large).mean() < 4
        assert len(one) > len(large) and one[len(large) :].min() < 100


def test_the_npz_holds_tensors_and_settings(explorer: pw.Explorer, tmp_path: Path) -> None:
    explorer.view = "difference"
    assert explorer.wait(SECONDS)
    arrays, settings = files.load_npz(explorer.save(tmp_path / "all.npz"))
    session = pw.Session(explorer.model, image(1))
    *_, last = session.ascend(2, **WALK)
    for name, tensor in {
        "image": session.image,
        "pullback": session.pullback(2),
        "difference": last.difference,
        "perturbed": last.perturbed,
    }.items():
        np.testing.assert_array_equal(arrays[name], tensor.float().numpy())
    assert arrays["score"] == session.score(2)
    assert arrays["top_classes"].tolist() == [one.index for one in session.predictions(5)]
    recipe = explorer.recipe()
    for name in ("target", "softening", "steps", "weights", "torch", "network", "view"):
        assert settings[name] == recipe[name]


def test_figures_and_pictures(explorer: pw.Explorer, tmp_path: Path) -> None:
    assert explorer.save(tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert "<svg" in explorer.save(tmp_path / "figure.svg").read_text()
    with Image.open(explorer.save(tmp_path / "picture.png")) as file:
        wanted = enlarge(explorer.result.picture("pullback"), 896)
        np.testing.assert_array_equal(np.asarray(file), wanted)
    with pytest.raises(ValueError, match="no picture ending"):
        explorer.save(tmp_path / "picture.txt")


@pytest.mark.parametrize("ending", [".npz", ".gif", ".pdf", ".svg", ".json", ".png", ".jpg"])
def test_the_file_that_was_written_is_returned(
    explorer: pw.Explorer, tmp_path: Path, ending: str
) -> None:
    saved = explorer.save(tmp_path / f"U{ending.upper()}")
    assert list(tmp_path.iterdir()) == [saved] and saved.stat().st_size > 0
    if ending == ".npz":
        assert "pullback" in files.load_npz(saved)[0]


@pytest.mark.parametrize("view", ["pullback", "overlay", "difference"])
def test_an_animation_over_the_temperature(
    explorer: pw.Explorer, tmp_path: Path, view: str
) -> None:
    explorer.choose(view=view, over="temperature", temperature=0.4)
    assert explorer.wait(SECONDS)
    with Image.open(explorer.save(tmp_path / "film.webp")) as file:
        seen = [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(file)]
    session = pw.Session(explorer.model, image(1))
    temperatures = [float(f"{0.4 * 2 ** (n / 2):.3g}") for n in range(-6, 7)]
    assert temperatures[0] == 0.05 and temperatures[6] == 0.4
    for frame, temperature in zip(seen, temperatures, strict=True):
        softening = pw.Softening.relative(temperature)
        if view == "difference":
            *_, last = session.ascend(2, softening, **WALK)
            wanted = pixels.signed_map(last.difference)
        elif view == "overlay":
            wanted = pixels.overlay(session.pullback(2, softening), session.image, "rgb")
        else:
            wanted = pixels.signed_map(session.pullback(2, softening))
        large = enlarge(wanted, 448)
        np.testing.assert_array_equal(frame[: len(large)], large)
    captions = [line for _, line in explorer.result.film()]
    assert captions[6] == f"{explorer.result.title}, relative T = 0.4"
    assert len(set(captions)) == len(seen)
    explorer.over = "ascent"
    captions = [line for _, line in explorer.result.film()]
    assert captions[0] == "photograph" and captions[2].endswith("relative T = 0.4, step 2 of 3")


def test_python_says_what_an_animation_runs_over(explorer: pw.Explorer, tmp_path: Path) -> None:
    frames = {}
    for over in ("ascent", "temperature"):
        path = explorer.result.save(tmp_path / f"{over}.gif", over=over)
        with Image.open(path) as file:
            frames[over] = getattr(file, "n_frames", 1)
    assert frames == {"ascent": 1 + WALK["steps"], "temperature": 13}
    assert explorer.over == explorer.result.request.over == "ascent"
    with pytest.raises(ValueError, match="over is 'time'"):
        explorer.result.save(tmp_path / "x.gif", over="time")


def test_the_gradient_has_an_animation_over_the_temperature(explorer: pw.Explorer) -> None:
    explorer.choose(temperature=0, over="temperature")
    assert explorer.wait(SECONDS)
    assert explorer.result.film()[6][1].endswith("relative T = 0.85")


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        ({}, "coffee-{target}-relative-0.85"),
        ({"temperature": 0, "view": "overlay"}, "coffee-{target}-plain-gradient-overlay"),
        ({"view": "difference"}, "coffee-{target}-relative-0.85-difference-3-steps"),
        ({"view": "photograph"}, "coffee"),
        ({"beside": {"temperature": 0.0}}, "coffee-{target}-relative-0.85-beside-plain-gradient"),
        ({"image": image(1)}, "photograph-{target}-relative-0.85"),
        ({"layer": "conv1", "channel": 1}, "coffee-conv1-channel-1-mean-relative-0.85"),
    ],
    ids=["pullback", "overlay", "difference", "photograph", "beside", "tensor", "channel"],
)
def test_files_are_called_after_what_they_show(
    explorer: pw.Explorer, choices: dict[str, Any], name: str
) -> None:
    explorer.choose(**{"image": "coffee", **choices})
    assert explorer.wait(SECONDS)
    title = explorer.result.title.partition(" (class")[0].replace(" ", "-")
    assert explorer.stem() == name.format(target=title)


def test_an_animation_is_called_after_what_it_runs_over(explorer: pw.Explorer) -> None:
    explorer.choose(image="coffee", target="golf ball")
    assert explorer.wait(SECONDS)
    assert explorer.stem(".gif") == "coffee-golf-ball-relative-0.85-ascent"
    explorer.over = "temperature"
    assert explorer.stem(".webp") == "coffee-golf-ball-over-temperature"
    assert explorer.stem(".png") == "coffee-golf-ball-relative-0.85"


def test_the_weights_hash_knows_every_weight() -> None:
    module = network("chain")
    before = weights_hash(wrap(module))
    assert before == weights_hash(wrap(network("chain")))
    with torch.no_grad():
        list(module.parameters())[-1].view(-1)[-1] += 1e-6
    assert weights_hash(wrap(module)) != before


def test_settings_survive_an_npz(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(3)}
    settings = {"text": "Größe", "none": None, "list": [1, 2.5]}
    read, again = files.load_npz(files.save_npz(tmp_path / "x.npz", arrays, settings))
    assert again == settings and read.keys() == arrays.keys()
    np.testing.assert_array_equal(read["a"], arrays["a"])


def test_an_npz_is_asked_to_hold_nothing_but_the_arrays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every keyword is stored as an array by numpy 1.26."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(np, "savez_compressed", lambda file, **options: asked.update(options))
    files.save_npz(tmp_path / "x.npz", {"a": np.zeros(2)}, {})
    assert asked.keys() == {"a", "settings"}


def test_settings_with_numpys_numbers_are_json() -> None:
    settings = {"steps": np.int64(2), "nested": [{"radius": np.float32(0.5)}], "on": np.bool_(True)}
    plain = {"steps": 2, "nested": [{"radius": 0.5}], "on": True}
    assert files.as_json(settings) == files.as_json(plain)
    with pytest.raises(TypeError, match="A setting is .*which JSON cannot hold; give"):
        files.as_json({"image": torch.zeros(1)})


def test_the_provenance_knows_the_preprocessing_and_the_calibration() -> None:
    def found(**options: Any) -> dict[str, Any]:
        return provenance(pw.Model(network("chain"), **options))

    plain = found()
    assert plain["calibration"] is None and plain == json.loads(json.dumps(plain))
    own = found(size=8, calibration=image(1, batch=2))
    assert own == found(size=8, calibration=[*image(1, batch=2)])
    assert own["calibration"] != found(size=8, calibration=image(2, batch=2))["calibration"]
    for name, value in {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "size": 8}.items():
        changed = found(**{name: value})
        assert changed == {**plain, name: value} != plain


def test_no_animation_over_a_temperature_that_changes_nothing(tmp_path: Path, page: Page) -> None:
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 6))
    explorer = pw.Explorer(wrap(linear), image(1), over="temperature")
    try:
        assert explorer.wait(SECONDS)
        with pytest.raises(ValueError, match="No gate is softened here"):
            explorer.save(tmp_path / "film.gif")
    finally:
        explorer.close()
