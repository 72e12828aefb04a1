"""The layer atlas as a widget: pages, order, search, stopping and going on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch.nn.functional as F
from networks import CLASSES, image, seeded, wrap
from PIL import Image
from torch import Tensor, nn
from waiting import SECONDS
from widgets import (
    Page,
    alike,
    click,
    find,
    making,
    offered,
    said,
    seen,
    text_with,
    tile,
    type_in,
    upload,
)

import pullback_widgets as pw
from pullback_widgets.figures.atlas import EVERY_SAMPLE, Atlas
from pullback_widgets.widgets.atlas import COLUMNS, PAIRS, ROWS

SIZE, CHANNELS = 16, 50
IMAGES = {f"photo {n}": image(seed=n, size=SIZE) for n in range(3)}

pytestmark = pytest.mark.usefixtures("nothing_swallowed")

Make = Callable[..., pw.LayerAtlas]


class Wide(nn.Module):
    """Two layers; it counts its forward passes and can do something before each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, CHANNELS, 3)
        self.conv2 = nn.Conv2d(CHANNELS, 5, 3, stride=2)
        self.head = nn.Linear(5, CLASSES)
        self.passes = 0
        self.before_pass: Callable[[], object] = lambda: None

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        self.before_pass()
        return self.head(F.relu(self.conv2(F.relu(self.conv1(x)))).mean((2, 3)))


def wide() -> pw.Model:
    return wrap(seeded(Wide()), size=SIZE)


@pytest.fixture
def make(page: Page) -> Iterator[Make]:
    """Makes views that have drawn their figure."""

    def build(
        model: Any = None, layer: str | None = "conv1", images: Any = IMAGES, **choices: Any
    ) -> pw.LayerAtlas:
        return pw.LayerAtlas(model or wide(), layer, images, **choices)

    yield from making(build)


@pytest.fixture
def view(make: Make) -> pw.LayerAtlas:
    return make()


def shows(page: Page, view: pw.LayerAtlas, channels: list[int]) -> bool:
    """Whether the board shows these channels, and nothing else."""
    kinds = ("photograph", "pullback") if view.shown == PAIRS else (view.shown,)
    wanted = [view.result.picture(channel, kind) for channel in channels for kind in kinds]
    canvas = view._board.box
    places = page.tiles.get(f"IPY_MODEL_{canvas.model_id}", {})
    drawn = sum(top < canvas.height for _, top in places)  # a canvas made lower has lost the rest
    return drawn == len(wanted) and all(
        alike(tile(page, view._board, *divmod(place, COLUMNS)), one, most=4)
        for place, one in enumerate(wanted)
    )


def same(first: Atlas, second: Atlas) -> bool:
    pairs = zip(first.arrays().values(), second.arrays().values(), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def test_the_first_page_shows_the_strongest_channels(page: Page, view: pw.LayerAtlas) -> None:
    assert not view.error and view.result.progress == 1
    assert same(view.result, pw.layer_atlas(view.model, "conv1", IMAGES))
    assert shows(page, view, view.result.order()[:20])
    texts = page.texts[f"IPY_MODEL_{view._board.box.model_id}"]
    first = view.result.order()[0]
    assert view.result.label(first) in texts and view.result.name(first) in texts
    assert "page 1 of 3, 50 channels" in text_with(view, 'pullback-status">page')


def test_pages_orders_and_searches_compute_nothing(page: Page, make: Make) -> None:
    model = wide()
    view = make(model)
    passes, order = model.module.passes, view.result.order()
    find(view, "The next page").click()
    assert view.page == 1 and shows(page, view, order[20:40])
    find(view, "The next page").click()
    assert view.page == 2 and shows(page, view, order[40:])
    assert find(view, "The next page").disabled and not find(view, "The page before").disabled
    find(view, "Show").value = "pullback"  # forty on a page; the first of the old one stays
    assert view.page == 1 and shows(page, view, order[40:])
    find(view, "Order").value = "channel"
    assert view.page == 0 and shows(page, view, list(range(COLUMNS * ROWS)))
    find(view, "Find").value = "7-9"
    assert shows(page, view, [7, 8, 9]) and "3 of 50 channels" in text_with(view, "of 50")
    find(view, "Find").value = "photo 2"
    named = [channel for channel in range(CHANNELS) if view.result.name(channel) == "photo 2"]
    assert named and shows(page, view, named)
    find(view, "Find").value = "no such photograph"
    assert shows(page, view, []) and "No channel fits" in text_with(view, "no such photograph")
    assert view.figure() is not None and "image/png" in view._stored.bundle()[0]
    view.search = ""
    assert shows(page, view, list(range(COLUMNS * ROWS)))
    assert model.module.passes == passes and view.result.progress == 1


def test_the_figure_and_files_are_of_what_is_shown(view: pw.LayerAtlas, tmp_path: Path) -> None:
    view.choose(by="channel", shown="pullback", page=1)
    titles = [axes.get_title() for axes in view.figure().axes]
    assert view.result.label(40) in titles and view.result.label(39) not in titles
    view.search = "3-4"
    assert "search='3-4'" in view.code()
    for ending in view.RESULT.ENDINGS:
        assert view.save(tmp_path / f"atlas{ending}").stat().st_size > 500


def test_stopped_it_goes_on(page: Page, make: Make) -> None:
    model = wide()
    view = make(model)
    whole = view.result

    def stop_soon() -> None:
        if model.module.passes == 6:
            find(view, "Stop").click()

    model.module.passes, model.module.before_pass = 0, stop_soon
    find(view, "Run").click()  # a complete one starts anew
    assert view.wait(SECONDS)
    half, done = view.result, int(view.result.done.sum())
    assert half is not whole and half.surveyed and 0 < done < CHANNELS
    assert "Run goes on" in text_with(view, "stopped at")
    seen: list[int] = []
    view.observe(lambda change: seen.append(int(change["new"].done.sum())), "result")
    find(view, "Run").click()
    assert view.wait(SECONDS) and view.result is half and min(seen, default=done) >= done
    assert same(half, whole) and shows(page, view, whole.order()[:20])


def test_another_temperature_keeps_the_examples(page: Page, make: Make) -> None:
    model = wide()
    view = make(model)
    surveyed = []
    view.observe(lambda change: surveyed.append(change["new"].surveyed), "result")
    find(view, "pullback-temperature").value = 0
    assert view.wait(SECONDS) and view.softening.is_hard and all(surveyed)
    assert same(view.result, pw.layer_atlas(model, "conv1", IMAGES, softening=view.softening))
    assert shows(page, view, view.result.order()[:20])


def test_the_page_that_is_looked_at_is_computed_first(make: Make) -> None:
    model = wide()
    view = make(model, by="channel", shown="pullback", page=1)
    rows = []
    view.observe(lambda change: rows.append(change["new"].done.copy()), "result")
    view.temperature = 0.3
    assert view.wait(SECONDS)
    first = next(done for done in rows if done.any())
    assert first[COLUMNS * ROWS :].any() and not first[: COLUMNS * ROWS].any()


def test_the_newest_choice_wins(page: Page, view: pw.LayerAtlas) -> None:
    for position in range(1, 60, 3):
        find(view, "pullback-temperature").value = position
    assert view.wait(SECONDS) and view.result.softening == view.softening
    assert same(view.result, pw.layer_atlas(view.model, "conv1", IMAGES, softening=view.softening))
    assert shows(page, view, view.result.order()[:20])


def test_layers_are_listed_and_chosen(page: Page, view: pw.LayerAtlas) -> None:
    box = find(view, "Layer")
    find(view, "All layers").click()
    assert offered(view) == ["conv1", "conv2", "head"]
    assert find(view, "Order") not in seen(view) and find(view, "Layer") in seen(view)
    find(view, "All layers").click()
    assert find(view, "Order") in seen(view) and box.value == "conv1"
    view.page = 2
    type_in(box, "conv")
    assert offered(view) == ["conv1", "conv2"] and box.value == "conv" and view.layer == "conv1"
    find(view, "conv2").click()
    assert view.wait(SECONDS) and view.result.layer.name == "conv2" and view.page == 0
    assert shows(page, view, view.result.order())
    view.layer = "head"
    assert view.wait(SECONDS) and box.value == "head"
    assert shows(page, view, view.result.order())
    view.attempt("layer", "conv9")
    assert "conv9" in view.error and view.layer == "head" == box.value
    view.layer = None
    assert view.wait(SECONDS) and view.result.layer.name == box.value == "conv2" and not view.error
    for name in ("◀ Previous", "Next ▶", "Next ▶"):
        find(view, name).click()
    assert view.layer == box.value == "head" and find(view, "Next ▶").disabled
    assert view.wait(SECONDS) and view.result.layer.name == "head"
    box.value = "no such layer"
    assert offered(view) == [] and "is in no layer of this network" in said(view)
    view.layer = "conv1"  # which is shown whatever was typed
    assert box.value == "conv1" and find(view, "Order") in seen(view)


def test_a_click_opens_the_channel_on_its_strongest_image(view: pw.LayerAtlas) -> None:
    board = view._board
    left, top = board._corner(1, 3)  # the pullback of the sixth channel
    x, y = (2 * (start + board.tile / 2) for start in (left, top))
    click(board.box, x / board.box.width, y / board.box.height)
    explorer = view.explorer
    assert explorer is not None and explorer.wait(SECONDS) and not explorer.error
    channel = view.result.order()[5]
    assert explorer.result.target == pw.Channel("conv1", channel, reduce="max")
    wanted = pw.Session(view.model, IMAGES[view.result.name(channel)]).pullback(
        pw.Channel("conv1", channel, reduce="max")
    )
    np.testing.assert_allclose(explorer.pullback, wanted, atol=1e-12)
    view.search = "0"  # one channel; clicks on white do nothing
    click(board.box, x / board.box.width, y / board.box.height)
    assert view.explorer is explorer


def test_a_folder_of_images(page: Page, make: Make, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for n in range(3):
        pixels = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{n}.png")
    (tmp_path / "broken.jpg").write_bytes(b"no photograph")
    model = wrap(seeded(Wide()), size=SIZE)
    view = make(pw.Model(model.module.float(), size=SIZE), images=IMAGES["photo 0"].float())
    box = find(view, "Images")
    box.value = str(tmp_path)
    assert view.wait(SECONDS) and not view.error and view.result.names == ["0", "1", "2", "broken"]
    assert "1 file could not be read" in text_with(view, "broken")
    assert shows(page, view, view.result.order()[:20])
    box.value = str(tmp_path / "nowhere")
    assert "nowhere" in view.error and box.value == str(tmp_path)
    (tmp_path / "empty").mkdir()
    box.value = str(tmp_path / "empty")
    assert "There are no images" in view.error
    box.value = ""
    assert view.wait(SECONDS) and view.images == EVERY_SAMPLE and not view.error
    upload(view, "mine.png", (tmp_path / "1.png").read_bytes())
    assert view.wait(SECONDS) and view.result.names == [
        *(sample.title for sample in pw.SAMPLES.values()),
        "mine.png",
    ]


def test_on_disk_it_goes_on_in_another_view(make: Make, tmp_path: Path) -> None:
    model = wide()
    first = make(model, folder=tmp_path / "atlas").result
    first_done = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "atlas").iterdir()}
    model.module.passes = 0
    second = make(model, folder=tmp_path / "atlas").result
    assert same(first, second)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "atlas").iterdir()}
    assert first_done == after  # nothing was computed
    view = make(model, folder=tmp_path / "atlas")
    view.temperature = 0.2
    assert view.wait(SECONDS)
    assert "was begun with softening" in view.error and same(view.result, first)


def test_another_network_has_its_own_layer(page: Page, view: pw.LayerAtlas) -> None:
    class Other(Wide):
        pass

    view.choose(page=1, layer="conv1", channels=[4, 5])
    assert view.wait(SECONDS) and view.result.channels.tolist() == [4, 5]
    view.model = wrap(seeded(Other(), seed=3), size=SIZE)
    assert view.wait(SECONDS) and not view.error
    assert view.layer is None and view.channels is None and view.page == 0
    assert view.result.layer.name == "conv2"


def test_a_network_that_raises_is_explained_and_the_view_recovers(page: Page, make: Make) -> None:
    model = wide()
    view = make(model)

    def fail() -> None:
        raise RuntimeError("no more power")

    model.module.before_pass = fail
    view.run()
    assert view.wait(SECONDS) and view.error == "no more power"
    model.module.before_pass = lambda: None
    view.run()
    assert view.wait(SECONDS) and not view.error and shows(page, view, view.result.order()[:20])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("page", -1, "page is -1"),
        ("by", "size", "size"),
        ("channels", [99], "A channel is 99"),
        ("images", ["nowhere.png"], "nowhere.png"),
    ],
)
def test_a_choice_that_makes_no_sense_is_explained(
    view: pw.LayerAtlas, name: str, value: Any, said: str
) -> None:
    result = view.result
    view.attempt(name, value)
    assert view.wait(SECONDS) and said in view.error and view.result is result


def test_what_is_not_softened_is_said_under_the_figure(make: Make) -> None:
    class Gated(Wide):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(F.elu(x))

    assert "keep" not in make()._kept.value
    view = make(wrap(seeded(Gated()), size=SIZE))
    assert "1 ELU keeps its own derivative" in text_with(view, "ELU")
