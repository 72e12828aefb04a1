"""What comes out of the Explorer: files, figures, code, a saved notebook."""

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from explorers import fresh
from matplotlib import figure as matplotlib_figure
from PIL import Image
from torch import Tensor
from waiting import SECONDS
from widgets import Page

import pullback_widgets as pw
from pullback_widgets.drawing import pixels
from pullback_widgets.figures.snapshot import VIEWS


@pytest.mark.parametrize("view", VIEWS)
def test_a_saved_picture_is_the_one_on_the_screen(
    explorer: pw.Explorer, page: Page, tmp_path: Path, view: str
) -> None:
    explorer.choose(view=view, steps=2, temperature=0.3)
    path = explorer.save(tmp_path / "x.png")
    (shown,) = page.screen(explorer)
    saved = np.asarray(Image.open(path))
    assert np.array_equal(saved, pixels.enlarge(shown, 896))
    assert np.array_equal(shown, fresh(explorer).picture(view))
    with pytest.raises(ValueError):
        explorer.save(tmp_path / "x")


@pytest.mark.parametrize(
    ("view", "titles"),
    [
        ("pullback", ["photograph", "pullback"]),
        ("overlay", ["photograph", "pullback", "overlay"]),
        ("difference", ["photograph", "pullback", "difference", "perturbed"]),
    ],
)
def test_a_figure(explorer: pw.Explorer, view: str, titles: list[str]) -> None:
    explorer.choose(view=view, steps=2, colour="diverging")
    figure = explorer.figure()
    assert isinstance(figure, matplotlib_figure.Figure)
    written = [axes.get_title().split("\n", 1) for axes in figure.axes]
    assert [title for title, _ in written] == titles
    assert "full strength ±" in dict(written)["pullback"]
    expected = fresh(explorer)
    for axes, title in zip(figure.axes, titles, strict=True):
        shown = axes.get_images()[0].get_array()
        assert np.array_equal(shown, expected.picture(title, "diverging"))
    words = " ".join(figure.get_suptitle().split())
    assert words.startswith(f"{expected.title}, {expected.model.name}, relative T = 0.85 ")
    assert expected.outcome in words and ("after 2 steps" in words) == (view == "difference")


@pytest.mark.parametrize(
    "choices",
    [
        {"target": "golf ball"},
        {"layer": "layer1", "channel": 1, "position": (0, 3), "temperature": 0.0},
        {"target": pw.Difference(0, 1), "softening": pw.Softening.paper_v3(0.3)},
        {"layer": "relu", "view": "perturbed", "steps": 3, "step_size": 0.7},
    ],
    ids=str,
)
def test_the_code_computes_the_same(explorer: pw.Explorer, choices: dict[str, Any]) -> None:
    explorer.choose(**choices)
    text = explorer.code().replace("model = ...", "model = explorer.model")
    names: dict[str, Any] = {"explorer": explorer}
    exec(text.replace("(model, ...)", "(model, explorer.image)"), names)
    assert torch.equal(names["pullback"], explorer.pullback)
    if explorer.view == "perturbed":
        assert torch.equal(names["perturbed"], explorer.result.step.perturbed)


def test_the_session_is_of_the_same_image(explorer: pw.Explorer) -> None:
    assert torch.equal(explorer.session.pullback(), explorer.pullback)


def test_a_saved_notebook_has_a_png(explorer: pw.Explorer) -> None:
    explorer.choose(view="overlay", target="spoon")
    assert explorer.wait(SECONDS)
    bundle = explorer._stored.bundle()[0]
    still = np.asarray(Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))))
    frame = fresh(explorer)
    photograph, overlay = frame.picture("photograph"), frame.picture("overlay")
    both = pixels.side_by_side([photograph, overlay])
    assert np.array_equal(still[: len(both)], both)
    assert (still[len(both) :] < 100).any()  # what it is, in words
    assert frame.title in bundle["text/plain"]
    _, metadata = explorer._stored.bundle()
    for words in (frame.title, frame.legend("overlay"), frame.account):
        assert words in html.unescape(metadata["image/png"]["alt"])


def test_attributes_can_be_observed(explorer: pw.Explorer) -> None:
    seen: list[tuple[str, Any]] = []
    explorer.observe(lambda change: seen.append((change["name"], change["new"])), ["temperature"])
    explorer.observe(lambda change: seen.append(("target", change["new"].title)), ["result"])
    explorer.temperature = 0.3
    explorer.wait(SECONDS)
    explorer.target = "golf ball"
    explorer.wait(SECONDS)
    title = explorer.result.title
    assert seen == [("temperature", 0.3), ("target", "tabby cat (class 2)"), ("target", title)]


def test_an_observer_of_the_result_may_use_it(explorer: pw.Explorer) -> None:
    """It runs in the computing thread, which must not wait for itself."""
    seen: list[Tensor] = []
    explorer.observe(lambda change: seen.append(explorer.pullback), "result")
    explorer.temperature = 0.3
    assert explorer.wait(SECONDS)
    assert torch.equal(seen[-1], explorer.pullback)
