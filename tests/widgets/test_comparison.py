"""The comparison as a widget."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from networks import CATEGORIES, SIZE, Counting, image, network, wrap
from PIL import Image
from torch import nn
from waiting import SECONDS
from widgets import Page, click, enter, find, making, offered, seen, text_with, type_in

import pullback_widgets as pw
from pullback_widgets.drawing.pixels import photograph
from pullback_widgets.drawing.words import accounts_for
from pullback_widgets.figures.comparison import Comparison, Row
from pullback_widgets.widgets.comparison import _row_label

METHODS = ("gradient", "grad_cam")
SOFT = (pw.Softening.relative(0.85), pw.Softening.paper_v3(0.3))

pytestmark = pytest.mark.usefixtures("nothing_swallowed")

Make = Callable[..., pw.Compare]


def model_of(module: nn.Module, name: str, categories: Any = CATEGORIES) -> pw.Model:
    options: dict[str, Any] = {"size": SIZE, "calibration": image(99, batch=3)}
    mean = (0.5, 0.5, 0.5)
    return pw.Model(module, mean, mean, categories=categories, name=name, **options)


@pytest.fixture
def make(page: Page) -> Iterator[Make]:
    """Makes views that have drawn their figure."""

    def build(models: Any = None, picture: Any = None, **choices: Any) -> pw.Compare:
        if models is None:
            models = [model_of(network(name), name) for name in ("mobile", "residual")]
        options = {"target": 1, "methods": METHODS, "softenings": SOFT, **choices}
        return pw.Compare(models, image(1) if picture is None else picture, **options)

    yield from making(build)


@pytest.fixture
def view(make: Make) -> pw.Compare:
    return make()


def shows(page: Page, view: pw.Compare) -> bool:
    """Whether every tile shows its part of its map, and the cross."""
    result = view.result
    tiles = page.tiles[f"IPY_MODEL_{view._board.box.model_id}"]
    for row, found in enumerate(result.rows):
        pictures = [photograph(found.image)]
        pictures += [result.picture(row, column) for column in range(len(result.columns))]
        for column, whole in enumerate(pictures):
            left, top = view._board._corner(row, column)
            wanted = view._tile(whole).astype(float)
            if np.abs(tiles[2 * left, 2 * top] - wanted).mean() > 3:  # JPEG
                return False
    return True


def click_tile(view: pw.Compare, row: int, column: int, x: float, y: float) -> None:
    box, (left, top) = view._board.box, view._board._corner(row, column)
    click(
        box,
        2 * (left + x * view._board.tile) / box.width,
        2 * (top + y * view._board.tile) / box.height,
    )


def same_as_function(view: pw.Compare) -> bool:
    models = [row.model for row in view.result.rows]
    expected = pw.compare(
        models, view.image, view.target, softenings=view.softenings, methods=view.methods
    )
    return expected.columns == view.result.columns and all(
        torch.equal(one.maps, other.maps)
        for one, other in zip(expected.rows, view.result.rows, strict=True)
    )


def test_the_board_shows_every_map(page: Page, view: pw.Compare) -> None:
    assert not view.error and view.result.progress == 1
    assert shows(page, view) and same_as_function(view)
    texts = page.texts[f"IPY_MODEL_{view._board.box.model_id}"]
    for text in ("Photograph", "paper v3, T = 0.3", "Grad-CAM", "mobile", "golf cart, class 1"):
        assert text in texts
    assert f"{view.result.value(0, 1, 0.5, 0.5):+.2g}" in texts
    assert accounts_for(view.result.share(0, 0)) in texts


def test_one_temperature_for_all_pullbacks_on_recorded_forward_passes(
    page: Page, make: Make
) -> None:
    nets = [Counting(network("mobile")), Counting(network("residual"))]
    view = make([model_of(net, f"net {n}") for n, net in enumerate(nets)])
    view.temperature = 2.0  # calibrates what has no batch norm, once
    assert view.wait(SECONDS)
    slow = [row.maps[2:].clone() for row in view.result.rows]
    for net in nets:
        net.batches.clear()
    for position in range(20, 80, 3):  # dragged
        find(view, "pullback-temperature").value = position
    assert view.wait(SECONDS)
    assert [net.passes for net in nets] == [0, 0]
    assert view.softenings == (
        pw.Softening.relative(view.temperature),
        pw.Softening.paper_v3(view.temperature),
    )
    assert view.result.columns[1].softening == view.softenings[1]
    for row, maps in zip(view.result.rows, slow, strict=True):
        assert torch.equal(row.maps[2:], maps)
    assert shows(page, view) and same_as_function(view)


def test_far_left_is_the_plain_gradient_and_the_way_back_is_known(view: pw.Compare) -> None:
    find(view, "pullback-temperature").value = 0
    assert view.wait(SECONDS) and not view.error
    assert view.softenings == (pw.Softening.hard(),) * 2
    maps = view.result.rows[1].maps
    torch.testing.assert_close(maps[0], maps[2])
    assert torch.equal(maps[0], maps[1])
    view.temperature = 0.4
    assert view.softenings == (pw.Softening.relative(0.4), pw.Softening.paper_v3(0.4))


def test_a_click_marks_the_place_in_all_tiles(page: Page, make: Make) -> None:
    net = Counting(network("mobile"))
    view = make([model_of(net, "net")])
    before = net.passes
    click_tile(view, 0, 2, 0.25, 0.75)
    assert view.position == pytest.approx((0.25, 0.75), abs=0.01)
    assert shows(page, view) and net.passes == before
    texts = page.texts[f"IPY_MODEL_{view._board.box.model_id}"]
    assert f"{view.result.value(0, 3, 0.25, 0.75):+.2g}" in texts
    assert "25 % from the left" in text_with(view, "from the left")


def test_the_zoom_is_linked_and_a_click_in_it_means_what_is_seen(
    page: Page, view: pw.Compare
) -> None:
    view.position = (0.9, 0.5)
    find(view, "Zoom").value = 4
    assert view.zoom == 4 and shows(page, view)
    assert view._window() == pytest.approx((0.75, 0.375, 0.25))  # never beyond the image
    click_tile(view, 1, 0, 0.0, 0.5)
    assert view.position == pytest.approx((0.75, 0.5), abs=0.01)
    assert shows(page, view)


def test_the_outlined_tile_opens_in_an_explorer(view: pw.Compare) -> None:
    click_tile(view, 1, 2, 0.5, 0.5)
    find(view, "Explore").click()
    explorer = view.explorer
    assert explorer is not None and explorer.wait(SECONDS) and not explorer.error
    assert explorer.result.target == pw.Logit(1)
    assert explorer.model is view.result.rows[1].model
    assert explorer.softening == pw.Softening.paper_v3(0.3)
    torch.testing.assert_close(explorer.result.pullback.float(), view.result.rows[1].maps[1])
    view.pick(0, 4)
    assert view.explorer.softening == pw.Softening.hard()


def test_networks_and_methods_are_switched(page: Page, view: pw.Compare) -> None:
    click_tile(view, 1, 2, 0.5, 0.5)
    find(view, "residual").value = False
    assert view.wait(SECONDS) and [row.name for row in view.result.rows] == ["mobile"]
    assert view._cell == (0, 2)  # the outline stays on the board
    find(view, "SmoothGrad").value = True
    find(view, "Grad-CAM").value = False
    assert view.methods == ("gradient", "smoothgrad")
    assert view.wait(SECONDS) and shows(page, view)
    find(view, "mobile").value = False
    assert "give at least one" in view.error
    assert find(view, "mobile").value and len(view.models) == 1
    find(view, "residual").value = True
    assert view.wait(SECONDS) and not view.error
    assert [row.name for row in view.result.rows] == ["mobile", "residual"]
    assert shows(page, view)


def test_a_loaded_network_of_the_catalogue_is_switched_by_its_name(make: Make) -> None:
    model = model_of(network("mobile"), "lite")
    model.catalogue_name = "efficientnet_lite0"
    view = make([model, model_of(network("residual"), "residual")])
    button = find(view, "EfficientNet-Lite0  (built in)")
    assert button.value
    button.value = False
    assert view.wait(SECONDS) and [row.name for row in view.result.rows] == ["residual"]


def test_a_row_that_cannot_be_is_explained_and_the_others_are_there(
    page: Page, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pullback_widgets.figures.sessions import Sessions

    original = Sessions.model

    def load(self: Sessions, model: pw.Model | str) -> pw.Model:
        if isinstance(model, str):
            raise pw.DownloadError("no connection")
        return original(self, model)

    monkeypatch.setattr(Sessions, "model", load)
    other = model_of(network("chain"), "other", categories=["a", "b", "c", "d", "e", "f"])
    view = make(["resnet50", model_of(network("mobile"), "mobile"), other])
    assert not view.error and view.result.progress == 1
    assert view.result.done.any(1).tolist() == [False, True, False]
    note = text_with(view, "What speaks")
    assert "resnet50: no connection" in note and "No class of other" in note
    texts = page.texts[f"IPY_MODEL_{view._board.box.model_id}"]
    assert "no connection" in texts  # in the place of the row's maps
    view.attempt("zoom", 2.0)
    find(view, "Explore").click()
    assert "resnet50 cannot be opened: no connection" in view.error


def test_no_network_at_all_is_an_error_and_the_view_recovers(page: Page, view: pw.Compare) -> None:
    view.target = "zebra"
    assert view.wait(SECONDS)
    assert "No class of mobile is called 'zebra'" in view.error
    view.target = "spoon"
    assert view.wait(SECONDS) and not view.error
    assert shows(page, view) and same_as_function(view)


def test_run_computes_everything_anew(make: Make) -> None:
    net = Counting(network("mobile"))
    view = make([model_of(net, "net")], methods=())
    before, old = net.passes, view.result
    find(view, "Run").click()
    assert view.wait(SECONDS)
    assert net.passes > before and view.result is not old


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("models", ["alexnet19"], "alexnet19"),
        ("models", [], "at least one"),
        ("methods", ["lime"], "lime"),
        ("softenings", [], "at least one"),
        ("softenings", [0.5], "softening is 0.5"),
        ("target", 1.5, "The target is 1.5"),
        ("image", "nowhere.png", "nowhere.png"),
        ("position", (0.5, 1.5), "both from 0 to 1"),
        ("zoom", 9.0, "expected 1 to 8"),
    ],
)
def test_a_refused_choice_is_explained_and_changes_nothing(
    page: Page, view: pw.Compare, name: str, value: Any, said: str
) -> None:
    result, before = view.result, getattr(view, name)
    view.attempt(name, value)
    assert view.wait(SECONDS)
    assert said in view.error and view.result is result and getattr(view, name) is before
    view.temperature = 0.3
    assert view.wait(SECONDS) and not view.error


def test_controls_and_attributes_agree(view: pw.Compare) -> None:
    box = find(view, "Class")
    assert box.value == "golf cart"
    type_in(box, "cat")
    assert offered(view) == ["cat", "tabby cat"] and find(view, "Zoom") not in seen(view)
    find(view, "tabby cat").click()
    assert view.wait(SECONDS) and view.result.rows[0].target == pw.Logit(2)
    assert box.value == "tabby cat" and find(view, "Zoom") in seen(view)
    enter(box, "")
    assert view.target is None
    view.softening = pw.Softening.paper_v6(0.6)
    assert view.softenings[0] == view.softening and view.temperature == 0.6
    view.softenings = [pw.Softening.relative(0.7)]
    assert view.temperature == 0.7 and view.units == "relative"
    view.model = model_of(network("dense"), "dense")
    assert view.models[0] is view.model and len(view.models) == 2
    assert view.wait(SECONDS) and view.result.rows[0].name == "dense"


def test_results_come_out(view: pw.Compare) -> None:
    assert view.code() == view.result.code()
    assert isinstance(view.result, Comparison)
    bundle = view._stored.bundle()[0]
    with Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))) as still:
        assert min(still.size) > 200
    assert "Comparison" in bundle["text/plain"]


def test_closing_forgets_the_forward_passes(make: Make) -> None:
    view = make()
    assert all(row.session is not None for row in view.result.rows)
    view.close()
    assert all(row.session is None for row in view.result.rows)


def test_labels_of_rows_are_short() -> None:
    model = model_of(network("mobile"), "ResNet20 (CIFAR)", ["a very long name of a class"] * 6)
    label = _row_label(Row(model, model, target=pw.Logit(1), probability=0.25))
    assert label == "ResNet20 (CIFAR)\na very long name of…\n25 %"
    assert _row_label(Row("resnet50")) == "resnet50"


def test_the_default_compares_what_is_here(monkeypatch: pytest.MonkeyPatch, page: Page) -> None:
    from pullback_widgets.widgets import comparison

    monkeypatch.setattr(comparison, "is_cached", lambda name: name == "efficientnet_lite0")
    monkeypatch.setattr(
        "pullback_widgets.figures.sessions.Sessions.model",
        lambda self, model: wrap(network("mobile")),
    )
    view = pw.Compare(methods=())
    assert view.models == ["efficientnet_lite0"] and view.wait(SECONDS)
    view.close()
