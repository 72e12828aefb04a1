"""What a network or a file brings is text in every widget, never an element of the page."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets as w
import pytest
import torch
from markup import CLASSES, MARK, Marked, element, everywhere, intruders, marked, texts
from networks import image
from PIL import Image
from waiting import SECONDS
from widgets import Page, everything, upload

import pullback_widgets as pw
from pullback_widgets.drawing import chart
from pullback_widgets.drawing.paper import new_figure
from pullback_widgets.teaching.data import Data

Keep = Callable[[Any], Any]
SIZE = 16
PHOTOGRAPH = element("photograph")
IMAGES = {PHOTOGRAPH: image(1, size=SIZE).float(), "plain": image(2, size=SIZE).float()}


@pytest.fixture
def keep(page: Page) -> Iterator[Keep]:
    """Waits for a widget; at last it is closed."""
    kept: list[Any] = []

    def keep(widget: Any) -> Any:
        kept.append(widget)
        assert widget.wait(SECONDS)
        return widget

    yield keep
    for widget in kept:
        widget.stop()
        widget.wait(SECONDS)
        widget.close()


def escaped(what: str) -> bool:
    """Whether a name is said somewhere, as text."""
    return html.escape(element(what)) in texts()


def test_what_is_looked_for_would_be_found(page: Page) -> None:
    for text in ("<b>{}</b>", '<i title="{}">', "<pre>{}", "<svg aria-label='{}'>"):
        assert intruders(text.format(element("name")))
        assert not intruders(text.format(html.escape(element("name"))))
    wrong = w.HTML(f"<b>{element('name')}</b>")
    assert everywhere()
    wrong.close()
    wrong = w.Text(description=element("name"), description_allow_html=True)
    assert everywhere()
    wrong.close()
    assert not everywhere()


def test_the_explorer(keep: Keep) -> None:
    model = marked()
    name = next(iter(model.module.names))
    explorer = keep(pw.Explorer(model, image(1, size=SIZE).float(), target=CLASSES[1]))
    assert escaped("network") and escaped("class1")
    for view in ("overlay", "difference", "perturbed", "photograph", "pullback"):
        explorer.view = view
        keep(explorer)
        assert everywhere() == {}
    explorer.choose(target=pw.Logit(1) - pw.Logit(2))
    keep(explorer)
    explorer.choose(target=None, layer=name, channel=2)
    keep(explorer)
    assert escaped("first")
    explorer.softening = pw.Softening(0.5, factors={name: 2.0})
    keep(explorer)
    explorer.over = "temperature"
    explorer.wipe = 0.5
    keep(explorer)
    assert everywhere() == {}


def test_errors(keep: Keep) -> None:
    model = marked()
    explorer = keep(pw.Explorer(model, image(1, size=SIZE).float()))
    model.module.fail()
    explorer.image = image(2, size=SIZE).float()
    keep(explorer)
    assert "unwell" in explorer.error and escaped("unwell")
    explorer.attempt("target", element("no class"))
    explorer.attempt("layer", element("no layer"))
    explorer.attempt("model", element("no network"))
    explorer.attempt("image", element("no file"))
    keep(explorer)
    assert "no file" in explorer.error and everywhere() == {}


def test_uploads_and_files(keep: Keep, tmp_path: Path) -> None:
    explorer = keep(pw.Explorer(marked(), image(1, size=SIZE).float()))
    upload(explorer, element("upload") + ".png", b"no image")
    keep(explorer)
    assert explorer.error
    good = tmp_path / (element("file").replace("/", "_") + ".png")
    Image.new("RGB", (20, 20), "red").save(good)
    upload(explorer, good.name, good.read_bytes())
    keep(explorer)
    explorer.image = good
    keep(explorer)
    explorer.save(tmp_path / "a.png")
    assert everywhere() == {}
    recipe = json.loads(json.dumps(explorer.recipe()))
    good.unlink()
    opened = keep(pw.open_recipe(recipe, model=marked()))
    assert any(MARK in note for note in opened.notes) and everywhere() == {}


def test_what_is_stored_in_a_notebook(keep: Keep) -> None:
    explorer = keep(pw.Explorer(marked(), image(1, size=SIZE).float(), target=CLASSES[2]))
    bundle, metadata = explorer._stored.bundle()
    assert everywhere() == {}
    assert intruders(str(bundle.get("text/html", ""))) == []
    assert "<" not in metadata["image/png"]["alt"]


@pytest.mark.parametrize(
    "make",
    [
        lambda model: pw.CounterfactualGrid(model, IMAGES, [CLASSES[1], 2], steps=1),
        lambda model: pw.TemperatureStrip(model, IMAGES[PHOTOGRAPH], CLASSES[1], steps=1),
        lambda model: pw.DepthJourney(model, IMAGES[PHOTOGRAPH], steps=1),
        lambda model: pw.LayerAtlas(model, model.module.names[0], IMAGES, side=8),
        lambda model: pw.Compare([model], IMAGES[PHOTOGRAPH], CLASSES[1], methods=["gradient"]),
    ],
    ids=["grid", "strip", "journey", "atlas", "comparison"],
)
def test_every_figure(keep: Keep, make: Callable[[pw.Model], Any]) -> None:
    model = marked()
    widget = keep(make(model))
    assert widget.error == "" and everywhere() == {}
    assert MARK in texts()
    widget.notes = (element("note"),)
    assert everywhere() == {} and escaped("note")
    model.module.fail()
    widget.run()
    keep(widget)
    assert everywhere() == {}


def test_files_that_an_atlas_could_not_read(keep: Keep, tmp_path: Path) -> None:
    (tmp_path / (element("broken").replace("/", "_") + ".png")).write_bytes(b"no image")
    Image.new("RGB", (20, 20), "red").save(tmp_path / "good.png")
    widget = keep(pw.LayerAtlas(marked(), None, tmp_path, side=8))
    assert "1 file could not be read" in texts() and everywhere() == {}
    widget.search = element("nothing")
    keep(widget)
    assert everywhere() == {}


def test_the_widgets_for_teaching(keep: Keep) -> None:
    generator = torch.Generator().manual_seed(0)
    images = 2 * torch.rand(40, 3, 8, 8, generator=generator) - 1
    labels = torch.arange(40) % 2
    names = (element("one"), element("two"))
    data = Data(element("data"), images, labels, images, labels, names)
    lab = keep(pw.PathStabilityLab(data, epochs=1))
    assert lab.error == "" and everywhere() == {}


def test_a_figure_in_a_page_is_drawn_with_what_it_is_called() -> None:
    figure = new_figure()
    figure.add_subplot().set_title(element("title").replace("$", ""))
    assert intruders(chart.svg(figure, element("label"))) == []


def test_all_widgets_are_of_the_tree_or_unseen(keep: Keep) -> None:
    explorer = keep(pw.Explorer(marked(), image(1, size=SIZE).float()))
    assert sum(isinstance(one, w.HTML) for one in everything(explorer)) > 5
    assert isinstance(explorer.known.model.module, Marked)
