"""What all figures share: how they name themselves, unfinished ones, files, odd input."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compute import atlas_steps, comparison_steps, grid_steps, journey_steps, strip_steps
from networks import image, network, wrap
from PIL import Image

import pullback_widgets as pw
from pullback_widgets.figures import atlas, comparison
from pullback_widgets.figures.result import Result

WALK: dict[str, Any] = {"steps": 2, "step_size": 1.5}
TWO = {"a": image(seed=1), "b": image(seed=2)}


def model() -> pw.Model:
    return wrap(network("residual"))


MAKE: dict[str, tuple[Callable[[], Iterator[Result]], str]] = {
    "grid": (
        lambda: grid_steps(model(), TWO, [0, 1, 2], extra=None, batch_size=1, **WALK),
        "<Grid: 2 images x 3 targets, Residual, relative T = 0.85; {}>",
    ),
    "strip": (
        lambda: strip_steps(model(), image(), 1, temperatures=[0.5, 1.0], **WALK),
        "<Strip: golf cart (class 1), Residual on a photograph, 4 temperatures, relative and "
        "absolute; {}>",
    ),
    "journey": (
        lambda: journey_steps(model(), image(), **WALK),
        "<Journey: 3 stages of Residual on a photograph, relative T = 0.85; {}>",
    ),
    "atlas": (
        lambda: atlas_steps(model(), "layer1.bn1", TWO, batch_size=2, side=8),
        "<Atlas: 4 channels of layer1.bn1, Residual on 2 images, relative T = 0.85; {}>",
    ),
    "comparison": (
        lambda: comparison_steps(
            model(),
            image(),
            1,
            comparison.columns_of(None, ["smooth_pullback"]),
            samples=2,
        ),
        "<Comparison: 1 network x 2 methods; {}>",
    ),
}


def texts(result: Result) -> list[str]:
    """Everything that is written in a figure."""
    figure = result.figure()
    suptitle = figure.get_suptitle()
    inside = [text.get_text() for axes in figure.axes for text in axes.texts]
    under = [axes.get_xlabel() for axes in figure.axes]
    return [suptitle, *inside, *under]


@pytest.mark.parametrize("name", MAKE)
def test_a_complete_figure_names_itself_and_is_a_picture_in_a_notebook(name: str) -> None:
    make, words = MAKE[name]
    *_, result = make()
    assert repr(result) == words.format("complete")
    with Image.open(io.BytesIO(result._repr_png_())) as opened:
        assert opened.format == "PNG" and min(opened.size) > 60
    written = texts(result)
    assert not any("stopped" in text or "not computed" in text for text in written)


@pytest.mark.parametrize("name", MAKE)
def test_an_unfinished_figure_says_what_is_missing(name: str) -> None:
    make, words = MAKE[name]
    steps = make()
    for result in steps:
        if result.progress > 0:
            break
    assert 0 < result.progress < 1
    share = f"stopped at {100 * result.progress:.0f} %"
    assert repr(result) == words.format(share)
    written = texts(result)
    assert share in " ".join(written[0].split()) and "not computed" in written


@pytest.mark.parametrize("name", ["grid", "strip", "journey"])
def test_a_tile_whose_walk_was_stopped_says_how_far_it_came(name: str) -> None:
    *_, whole = MAKE[name][0]()
    for result in MAKE[name][0]():
        if result.arrays()["done"].any():
            break
    shown = {"shown": "difference"} if name == "strip" else {}
    for one, there in ((result, True), (whole, False)):
        labels = [axes.get_xlabel() for axes in one.figure(**shown).axes]
        assert any(label.endswith("\nstep 1 of 2") for label in labels) == there


def test_one_step_is_no_steps() -> None:
    one = {"steps": 1, "step_size": 1.5}
    titles = [
        pw.counterfactual_grid(model(), image(), 1, extra=None, **one).figure().get_suptitle(),
        pw.temperature_strip(model(), image(), temperatures=[1.0], **one).curve_title("outcome"),
    ]
    for title in titles:
        assert "after 1 step" in title and "steps" not in title


LONG = "American Staffordshire terrier and German short-haired pointer"
FILE = "IMG_20241103_123456_a_photograph_whose_name_goes_on_and_on_and_on"


def long_named() -> pw.Model:
    names = (LONG, LONG.replace(" ", "_"), *(f"class {n}" for n in range(2, 6)))
    calibration = image(seed=9, batch=3).float()
    module = network("residual").float()  # as files are
    return pw.Model(
        module, size=8, name="a_rather_long_name_v2", categories=names, calibration=calibration
    )


LONG_NAMES: dict[str, Callable[[Path], Result]] = {
    "grid": lambda file: pw.counterfactual_grid(
        long_named(), {FILE: file, LONG: file}, [0, 1, pw.Difference(0, 1)], extra=None, **WALK
    ),
    "a grid of one": lambda file: pw.counterfactual_grid(
        long_named(), {FILE: file}, 0, extra=None, **WALK
    ),
    "strip": lambda file: pw.temperature_strip(long_named(), file, 0, temperatures=[1.0], **WALK),
    "journey": lambda file: pw.depth_journey(
        long_named(), file, layers=["layer1", "logits"], **WALK
    ),
    "a journey of one": lambda file: pw.depth_journey(long_named(), file, layers="logits", **WALK),
    "comparison": lambda file: pw.compare([long_named(), long_named()], file, 0, methods=[]),
}


@pytest.mark.parametrize("name", LONG_NAMES)
def test_long_names_fit(name: str, tmp_path: Path) -> None:
    """No text leaves the figure, lies over another, or over a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    file = tmp_path / f"{FILE}.png"
    Image.new("RGB", (8, 8), "red").save(file)
    result = LONG_NAMES[name](file)
    result.progress = 0.5  # which makes one line more
    figure = result.figure()
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    written = [text for text in figure.findobj(Text) if text.get_text()]
    assert not any(text.get_text() in ("…", "...") for text in written)
    boxes = [text.get_window_extent(renderer) for text in written]
    boxes = [box for box in boxes if box.width > 1]  # labels of ticks that are not drawn have none
    for box in boxes:
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width
        assert box.y0 >= 0 and box.y1 <= figure.bbox.height
    pictures = [axes.get_window_extent(renderer) for axes in figure.axes if axes.images]
    for one, other in itertools.combinations([*boxes, *pictures], 2):
        assert not one.padded(-1).overlaps(other)


def test_a_pdf_has_fonts_that_publishers_take_and_all_pages_of_an_atlas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atlas, "PER_PAGE", 2)
    *_, result = MAKE["atlas"][0]()
    content = result.save(tmp_path / "atlas.pdf").read_bytes()
    assert b"/Type3" not in content and b"/Type /Font" in content
    assert len(re.findall(rb"/Type /Page\b", content)) == 2
    svg = result.save(tmp_path / "atlas.svg").read_text("utf-8")
    assert "Residual" in svg  # text stays text


ODD: dict[str, tuple[Callable[[], object], str]] = {
    "no class": (lambda: pw.counterfactual_grid(model(), TWO, [], extra=None), "targets is empty"),
    "a step of words": (
        lambda: pw.counterfactual_grid(model(), TWO, [1], step_size="far"),  # type: ignore[arg-type]
        "step_size is 'far'; expected a finite number above 0",
    ),
    "a batch of none": (
        lambda: pw.counterfactual_grid(model(), TWO, [1], batch_size=0),
        "batch_size is 0; expected a whole number from 1 up",
    ),
    "a walk of no steps": (
        lambda: grid_steps(model(), TWO, [1], steps=0),  # at the call: nobody takes a step
        "steps is 0; expected a whole number from 1 up",
    ),
    "a number in an array": (
        lambda: strip_steps(model(), image(), temperatures=np.array(0.5)),  # type: ignore[arg-type]
        "temperatures is array(0.5); expected rising finite numbers above 0",
    ),
    "a number for units": (
        lambda: strip_steps(model(), image(), units=3),  # type: ignore[arg-type]
        'units is 3; expected "relative", "absolute", or both',
    ),
    "a hidden layer that is none": (
        lambda: strip_steps(model(), image(), pw.Channel("b", 0)),
        "There is no layer 'b'",
    ),
    "a number for layers": (
        lambda: journey_steps(model(), image(), layers=3),  # type: ignore[arg-type]
        "layers is 3; expected a list of names",
    ),
    "a list in the layers": (
        lambda: journey_steps(model(), image(), layers=[["layer1"]]),  # type: ignore[list-item]
        "layers is [['layer1']]; expected a list of names",
    ),
    "a number for softenings": (
        lambda: pw.compare(model(), image(), softenings=3),  # type: ignore[arg-type]
        "softening is 3; expected a pw.Softening",
    ),
    "one temperature": (
        lambda: pw.temperature_strip(model(), image(), temperatures=0.5),  # type: ignore[arg-type]
        "temperatures is 0.5; expected rising finite numbers above 0",
    ),
    "temperatures in words": (
        lambda: pw.temperature_strip(model(), image(), temperatures="hot"),  # type: ignore[arg-type]
        "temperatures is 'hot'; expected rising finite numbers above 0",
    ),
    "one channel": (
        lambda: pw.depth_journey(model(), image(), channels=3),  # type: ignore[arg-type]
        "channels is 3; expected a list with a channel",
    ),
    "channels in words": (
        lambda: pw.depth_journey(model(), image(), channels="12"),  # type: ignore[arg-type]
        "channels is '12'; expected a list with a channel",
    ),
    "no methods": (
        lambda: pw.compare(model(), image(), methods=None),  # type: ignore[arg-type]
        "methods is None; expected a list of names",
    ),
    "a number for a network": (
        lambda: pw.compare(3, image()),
        "models is 3; expected a list of pw.Model objects",
    ),
    "images of two sizes": (
        lambda: pw.counterfactual_grid(model(), [image(size=8), image(size=9)], [1]),
        "The images must have one size, and these have 8 x 8, 9 x 9",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_input_is_explained(name: str) -> None:
    call, message = ODD[name]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        call()


def test_one_is_as_good_as_a_list_of_one() -> None:
    by_name = pw.counterfactual_grid(model(), image(), "spoon", extra=None, **WALK)
    assert by_name.targets == [pw.Logit(5)]
    assert pw.counterfactual_grid(model(), image(), 3, extra=None, **WALK).targets == [pw.Logit(3)]
    stages = pw.depth_journey(model(), image(), layers="layer1", **WALK).stages
    assert [stage.layer.name for stage in stages] == ["layer1"]


def test_numpy_s_numbers_are_numbers() -> None:
    result = pw.counterfactual_grid(
        model(), image(), [1], extra=None, steps=np.int64(1), step_size=np.float32(1.5),  # type: ignore[arg-type]
        batch_size=np.int64(2),  # type: ignore[arg-type]
    )  # fmt: skip
    assert result.done.tolist() == [[1]]
