"""The counterfactual grid as a widget, and with it what all views share."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import image, network, wrap
from PIL import Image
from torch import Tensor, nn
from waiting import SECONDS
from widgets import Page, alike, click, find, making, text_with, tile, upload, upload_all

import pullback_widgets as pw
from pullback_widgets.drawing.pixels import photograph
from pullback_widgets.figures.grid import Grid
from pullback_widgets.widgets.kit import stored
from pullback_widgets.widgets.kit.tiles import GAP

IMAGES = {"one": image(seed=1), "two": image(seed=2)}
SETTINGS: dict[str, Any] = {"targets": [0, "spoon"], "extra": None, "steps": 2, "step_size": 1.5}

pytestmark = pytest.mark.usefixtures("nothing_swallowed")

Make = Callable[..., pw.CounterfactualGrid]


@pytest.fixture
def make(page: Page) -> Iterator[Make]:
    """Makes views that have drawn their figure."""

    def build(model: Any = None, images: Any = IMAGES, **choices: Any) -> pw.CounterfactualGrid:
        model = wrap(network("residual")) if model is None else model
        return pw.CounterfactualGrid(model, images, **{**SETTINGS, **choices})

    yield from making(build)


@pytest.fixture
def view(make: Make) -> pw.CounterfactualGrid:
    return make()


def shows(page: Page, view: pw.CounterfactualGrid) -> bool:
    """Whether every tile shows its cell of the result."""
    result = view.result
    rows, columns = result.done.shape
    return all(
        alike(tile(page, view._board, row, 0), photograph(result.images[row]))
        and all(
            alike(tile(page, view._board, row, column + 1), result.picture(row, column, view.shown))
            for column in range(columns)
        )
        for row in range(rows)
    )


def computed(view: pw.CounterfactualGrid, **changed: Any) -> Grid:
    """The figure that the view should show."""
    names = ("targets", "softening", "extra", "steps", "step_size", "radius")
    options = {**{name: getattr(view, name) for name in names}, **changed}
    return pw.counterfactual_grid(view.model, view.images, **options)


class Slow(nn.Module):
    """A network that waits in its forward pass until it is let go on, or raises."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.passes = 0
        self.before_pass: Callable[[], object] = lambda: None

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        self.before_pass()
        return self.module(x)


def test_the_board_shows_every_cell(page: Page, view: pw.CounterfactualGrid) -> None:
    assert not view.error and view.result.progress == 1
    assert shows(page, view)
    np.testing.assert_array_equal(view.result.differences, computed(view).differences)
    texts = page.texts[f"IPY_MODEL_{view._board.box.model_id}"]
    for label in ("one", "two", "golf ball", "class 5", view.result.change(1, 1)):
        assert label in texts


def test_another_look_computes_nothing(page: Page, make: Make) -> None:
    slow = Slow(network("residual"))
    view = make(wrap(slow))
    before = slow.passes
    view.shown = "perturbed"
    assert view.wait(SECONDS) and slow.passes == before
    assert shows(page, view)
    assert view.figure()._suptitle.get_text().startswith("perturbed")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("targets", [1, 2, 3]),
        ("extra", "tabby cat"),
        ("temperature", 0.0),
        ("softening", pw.Softening.paper_v6()),
        ("units", "absolute"),
        ("steps", 1),
        ("radius", 1.0),
        ("images", [image(seed=7)]),
    ],
)
def test_every_choice_is_an_attribute_that_computes_anew(
    page: Page, view: pw.CounterfactualGrid, name: str, value: Any
) -> None:
    setattr(view, name, value)
    assert view.wait(SECONDS) and not view.error
    assert shows(page, view)
    np.testing.assert_array_equal(view.result.differences, computed(view).differences)


def test_the_newest_choice_wins(page: Page, view: pw.CounterfactualGrid) -> None:
    results = []
    view.observe(lambda change: results.append(change["new"]), "result")
    for position in range(1, 60, 3):
        find(view, "pullback-temperature").value = position
    assert view.wait(SECONDS)
    assert view.result.softening == view.softening
    np.testing.assert_array_equal(view.result.differences, computed(view).differences)
    assert shows(page, view)


def test_stop_keeps_what_is_there_and_run_starts_anew(page: Page, make: Make) -> None:
    slow = Slow(network("residual"))
    view = make(wrap(slow), steps=6)

    def stop_soon() -> None:
        if slow.passes == 3:
            find(view, "Stop").click()

    slow.passes, slow.before_pass = 0, stop_soon
    find(view, "Run").click()
    assert view.wait(SECONDS)
    assert 0 < view.result.progress < 1 and not view.error
    assert "stopped at" in text_with(view, "pullback-status")
    slow.before_pass = lambda: None
    find(view, "Run").click()
    assert view.wait(SECONDS) and view.result.progress == 1 and shows(page, view)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("targets", ["dog"], "dog"),
        ("extra", "owl", "owl"),
        ("images", ["nowhere.png"], "nowhere.png"),
        ("steps", 0, "steps is 0"),
        ("model", "alexnet19", "alexnet19"),
    ],
)
def test_a_refused_choice_is_explained_and_changes_nothing(
    page: Page, view: pw.CounterfactualGrid, name: str, value: Any, said: str
) -> None:
    result, before = view.result, getattr(view, name)
    view.attempt(name, value)
    assert view.wait(SECONDS)
    assert said in view.error and said in text_with(view, "pullback-error")
    assert view.result is result and getattr(view, name) is before
    assert view.figure() is not None
    view.temperature = 0.3
    assert view.wait(SECONDS) and not view.error


def test_a_network_that_raises_is_explained_and_the_view_recovers(page: Page, make: Make) -> None:
    slow = Slow(network("residual"))
    view = make(wrap(slow))

    def fail() -> None:
        raise RuntimeError("no more power")

    slow.before_pass = fail
    view.run()
    assert view.wait(SECONDS)
    assert view.error == "no more power"
    with pytest.raises(RuntimeError, match="no more power"):
        view.figure()
    slow.before_pass = lambda: None
    view.run()
    assert view.wait(SECONDS) and not view.error and shows(page, view)
    assert text_with(view, "no more power") == ""


def test_a_click_opens_the_cell_in_an_explorer(view: pw.CounterfactualGrid) -> None:
    board = view._board
    left, top = board._corner(1, 2)
    middle = board.tile / 2
    click(
        board.box,
        2 * (left + middle) / board.box.width,
        2 * (top + middle) / board.box.height,
    )
    explorer = view.explorer
    assert explorer is not None and explorer.wait(SECONDS) and not explorer.error
    assert explorer.result.target == pw.Logit(5)
    torch.testing.assert_close(explorer.result.step.difference, view.result.differences[1, 1])
    assert explorer in view._below.children
    find(view, "Close").click()
    assert view.explorer is None and explorer not in view._below.children


def test_clicks_beside_the_tiles_do_nothing(view: pw.CounterfactualGrid) -> None:
    board = view._board
    left, top = board._corner(0, 0)
    gap = 2 * (left + board.tile + GAP / 2)
    for x, y in ((0, 0), (gap, 2 * top + 5), (board.box.width - 1, board.box.height - 1)):
        click(board.box, x / board.box.width, y / board.box.height)
    assert view.explorer is None


def test_added_photographs_become_rows(page: Page, view: pw.CounterfactualGrid) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(file, "PNG")
    upload(view, "grey.png", file.getvalue())
    assert view.wait(SECONDS) and view.result.names == ["one", "two", "grey.png"]
    assert shows(page, view)
    upload(view, "broken.png", b"no picture")
    assert "broken.png" in view.error and len(view.result.names) == 3


def test_refused_photographs_are_named_whatever_comes_after_them(
    view: pw.CounterfactualGrid,
) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(file, "PNG")
    files = {"broken.png": b"no picture", "empty.png": b"", "grey.png": file.getvalue()}
    upload_all(view, files)
    assert view.wait(SECONDS) and view.result.names == ["one", "two", "grey.png"]
    assert "broken.png" in view.error and "empty.png" in view.error
    assert "broken.png" in text_with(view, "pullback-error")
    view.temperature = 0.3
    assert view.wait(SECONDS) and not view.error


def test_rows_are_left_out_and_named_again(page: Page, view: pw.CounterfactualGrid) -> None:
    find(view, "one").value = False
    assert view.wait(SECONDS) and view.result.names == ["two"] and shows(page, view)
    find(view, "two").value = False
    assert "There are no images" in view.error and find(view, "two").value
    find(view, "Rocket").value = True
    find(view, "one").value = True
    assert view.wait(SECONDS) and view.result.names == ["two", "Rocket", "one"]
    assert not view.error and shows(page, view)
    view.images = [image(seed=3)]
    assert not find(view, "two").value and find(view, "image 1").value


def test_a_default_class_that_the_network_lacks_is_not_shown(make: Make) -> None:
    view = make(extra="ostrich")
    assert view.extra == "ostrich" and find(view, "and").value == ""
    known = wrap(network("residual"))
    known.categories = ("ostrich", *known.categories[1:])
    view.model = known
    assert view.wait(SECONDS) and find(view, "and").value == "ostrich"


def test_the_open_cell_says_so_until_it_is_closed(view: pw.CounterfactualGrid) -> None:
    view.pick(0, 1)
    view.pick(1, 2)
    assert view._board._opened == (1, 2)
    find(view, "Close").click()
    assert view._board._opened is None


def test_controls_and_attributes_agree(view: pw.CounterfactualGrid) -> None:
    classes, extra = find(view, "Classes"), find(view, "and")
    assert (classes.value, extra.value) == ("0, spoon", "")
    classes.value = "cat, 3"
    assert view.wait(SECONDS) and view.targets == ["cat", 3]
    extra.value = "4"
    assert view.wait(SECONDS) and view.result.labels[-1] == "espresso (class 4)"
    classes.value = ""
    assert view.targets is None
    classes.value = "dog"
    assert "dog" in view.error and classes.value == ""
    view.steps = 3
    assert find(view, "Steps").value == 3


def test_a_page_that_opens_later_sees_everything(page: Page, view: pw.CounterfactualGrid) -> None:
    page.tiles.clear()
    view._board.redraw()
    assert shows(page, view)


def test_results_come_out(view: pw.CounterfactualGrid, tmp_path: Path) -> None:
    assert view.code() == view.result.code()
    assert view.save(tmp_path / "grid.pdf").read_bytes().startswith(b"%PDF")
    bundle = view._stored.bundle()[0]
    with Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))) as still:
        assert min(still.size) > 200
    assert "Counterfactual grid" in bundle["text/plain"]


def test_it_is_shown_at_once_and_its_still_follows(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs: list[dict[str, Any]] = []

    class Handle:
        def update(self, bundle: dict[str, Any], metadata: dict[str, Any], raw: bool) -> None:
            outputs[1] = bundle
            again.set()

    def display(
        bundle: dict[str, Any], raw: bool, display_id: bool = False, metadata: Any = None
    ) -> Handle | None:
        outputs.append(bundle)
        return Handle() if display_id else None

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(stored, "SECONDS", 0.1)
    again = threading.Event()
    slow, allowed = Slow(network("residual")), threading.Event()
    slow.before_pass = lambda: allowed.wait(SECONDS)
    view = pw.CounterfactualGrid(wrap(slow), IMAGES, **SETTINGS)
    view._ipython_display_()
    live = "application/vnd.jupyter.widget-view+json"
    assert [live in bundle and "image/png" not in bundle for bundle in outputs] == [True, True]
    allowed.set()
    assert view.wait(SECONDS)
    assert (
        "image/png" in outputs[1] and outputs[1][live]["model_id"] == view._stored.unseen.model_id
    )
    first = outputs[1]["image/png"]
    again.clear()
    view.temperature = 0.2
    assert again.wait(SECONDS) and outputs[1]["image/png"] != first
    view._ipython_display_()  # in another cell, where it is complete already
    assert "image/png" in outputs[3] or "image/png" in outputs[1]
    view.close()


def test_unknown_choices_are_refused(make: Make) -> None:
    with pytest.raises(TypeError, match="There is no choice 'layer'"):
        make(layer="conv1")


def test_closing_closes_all_widgets(make: Make) -> None:
    view = make()
    view.pick(0, 1)
    explorer = view.explorer
    view.close()
    assert view.comm is None and explorer.comm is None and view._board.box.comm is None
    view.temperature = 0.5  # computes nothing any more
    assert view.wait(SECONDS)
