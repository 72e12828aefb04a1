"""The Explorer without a browser: traits set, events sent, messages to the canvases read."""

import base64
import gc
import io
import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipycanvas
import ipywidgets as w
import numpy as np
import pytest
import torch
import traitlets
from matplotlib import figure as matplotlib_figure
from networks import CATEGORIES, image, network, wrap
from PIL import Image
from torch import Tensor, nn
from widgets import Page, click, event, everything, find, text_with, upload

import pullback_widgets as pw
from pullback_widgets.drawing import pixels
from pullback_widgets.drawing.pixels import RGB
from pullback_widgets.engine.recording import Recording
from pullback_widgets.figures.snapshot import VIEWS, Frame, Studio
from pullback_widgets.networks import loaded
from pullback_widgets.widgets.explorer.panels import PRESETS
from pullback_widgets.widgets.explorer.wipe import Screen
from pullback_widgets.widgets.kit import worker as worker_module
from pullback_widgets.widgets.kit.canvas import draw
from pullback_widgets.widgets.kit.temperature import STOPS
from pullback_widgets.widgets.kit.worker import Worker

SECONDS = 30.0
"""No wait of these tests should take as long; one that does has hung."""

VECTOR = torch.tensor([0.5, -1.0, 0.0, 2.0], dtype=torch.float64)

pytestmark = pytest.mark.usefixtures("nothing_swallowed")


def busy(explorer: pw.Explorer) -> bool:
    return "pullback-busy" in text_with(explorer, "pullback-status")


# Explorers ---------------------------------------------------------------------------------------

Make = Callable[..., pw.Explorer]


@pytest.fixture
def explore(page: Page) -> Iterator[Make]:
    """Makes explorers of small networks that have drawn their first picture."""
    made: list[pw.Explorer] = []

    def make(model: Any = None, given: Any = None, **choices: Any) -> pw.Explorer:
        model = wrap(network("residual")) if model is None else model
        made.append(pw.Explorer(model, image(1) if given is None else given, **choices))
        assert made[-1].wait(SECONDS)
        return made[-1]

    yield make
    for explorer in made:
        assert explorer.wait(SECONDS)
        explorer.close()


@pytest.fixture
def explorer(explore: Make) -> pw.Explorer:
    return explore()


def fresh(explorer: pw.Explorer) -> Frame:
    """The choices of an explorer, computed from nothing."""
    *_, frame = Studio().frames(explorer.state())
    return frame


def right(explorer: pw.Explorer, page: Page) -> Frame:
    """Waits, and checks everything against a fresh computation, bit for bit."""
    assert explorer.wait(SECONDS)
    assert explorer.error == "" and text_with(explorer, "pullback-error") == ""
    assert not busy(explorer)
    result, expected = explorer.result, fresh(explorer)
    assert torch.equal(result.pullback, expected.pullback)
    assert torch.equal(result.image, expected.image)
    assert (result.title, result.score, result.probability, result.predictions) == (
        expected.title,
        expected.score,
        expected.probability,
        expected.predictions,
    )
    shown = [explorer.view, *([explorer.compare] if explorer.wipe > 0 else [])]
    for view in shown:
        assert torch.equal(result.tensor(view), expected.tensor(view))
    assert page.shows(explorer, expected)
    return expected


class Hold:
    """Holds the computing threads at their next backward pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        self._on = False
        pull = Recording.pull

        def held(recording: Recording, *args: Any, **options: Any) -> Tensor:
            if self._on and threading.current_thread() is not threading.main_thread():
                self.reached.set()
                assert self.go.wait(SECONDS)
            return pull(recording, *args, **options)

        monkeypatch.setattr(Recording, "pull", held)

    def __enter__(self) -> "Hold":
        self.reached.clear()
        self.go.clear()
        self._on = True
        return self

    def __exit__(self, *exception: object) -> None:
        self._on = False
        self.go.set()

    def until_reached(self) -> None:
        assert self.reached.wait(SECONDS)


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    return Hold(monkeypatch)


class Moody(nn.Module):
    """The residual network, and something that a test does to its logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network("residual")
        self.mood: Callable[[Tensor], Tensor] = lambda y: y

    def forward(self, x: Tensor) -> Tensor:
        return self.mood(self.body(x))


# The first picture -------------------------------------------------------------------------------


def test_the_first_picture(explorer: pw.Explorer, page: Page) -> None:
    frame = right(explorer, page)
    assert frame.title == explorer.result.title
    assert torch.equal(explorer.pullback, pw.pullback(explorer.model, explorer.image))
    assert "Residual on cpu" in text_with(explorer, "pullback-status")
    assert frame.title in text_with(explorer, "pullback-caption")


def test_everything_can_be_chosen_at_the_beginning(explore: Make, page: Page) -> None:
    explorer = explore(
        layer="layer1",
        channel=2,
        position=(1, 3),
        softening=pw.Softening.paper_v6(0.6),
        temperature=0.4,
        view="difference",
        steps=2,
        wipe=0.5,
    )
    frame = right(explorer, page)
    assert frame.target == pw.Unit("layer1", 2, (1, 3))
    assert frame.request.softening == pw.Softening.paper_v6(0.4)
    assert frame.step.index == 2


@pytest.mark.parametrize(
    ("choices", "kind"),
    [
        ({"model": 3}, TypeError),
        ({"model": "resnet51"}, ValueError),
        ({"given": "no such file.png"}, ValueError),
        ({"temprature": 0.5}, TypeError),
        ({"temperature": -1.0}, ValueError),
        ({"view": "sideways"}, traitlets.TraitError),
    ],
    ids=str,
)
def test_a_bad_beginning_raises(explore: Make, choices: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        explore(**choices)


def test_a_layer_that_turns_out_not_to_exist(explore: Make, page: Page) -> None:
    explorer = explore(layer="layer2")
    assert "layer1" in explorer.error
    with pytest.raises(RuntimeError, match="layer1"):
        explorer.pullback  # noqa: B018
    explorer.layer = "layer1"
    right(explorer, page)


def test_the_default_explorer_shows_the_embedded_network(page: Page) -> None:
    explorer = pw.Explorer(target="golf ball")
    assert explorer.wait(60.0)
    right(explorer, page)
    assert explorer.result.title == "golf ball (class 574)"
    assert isinstance(explorer.model, pw.Model)
    assert find(explorer, "Network").value == "efficientnet_lite0"
    assert find(explorer, "Photograph").value == "coffee"
    assert "load_model" in explorer.code() and "'coffee'" in explorer.code()
    explorer.close()


# A storm -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_a_storm_of_changes_ends_with_the_last(explore: Make, page: Page, seed: int) -> None:
    """1,000 random changes; what is on the screen then is what a fresh computation gives."""
    chance = random.Random(seed)
    models = [wrap(network("residual", seed)) for seed in range(2)]
    images = [image(seed) for seed in range(4)]
    grids = {layer.name: layer.shape[1:] for layer in pw.layers(models[0]) if len(layer.shape) == 3}
    targets: list[Any] = [
        *(None, 0, 3, "golf ball", "spoon"),
        *(pw.Channel("layer1", 2, "max"), pw.Unit("layer10", 1, (3, 0))),
        *(pw.Direction("layer1", VECTOR), pw.Difference(0, pw.Channel("relu", 1))),
    ]
    explorer = explore(models[0], images[0], steps=2)

    def elsewhere() -> None:
        if explorer.layer in grids:
            explorer.position = tuple(map(chance.randrange, grids[explorer.layer]))

    def choose(name: str, values: list[Any]) -> Callable[[], None]:
        return lambda: setattr(explorer, name, chance.choice(values))

    changes: list[Callable[[], Any]] = [
        *3 * [choose("temperature", [0.0, 0.05, 0.3, 0.85, 2, 30.0])],
        *2 * [choose("target", targets)],
        *2 * [choose("layer", ["logits", *grids])],
        *2 * [choose("channel", [None, 0, 1, 2, 3])],
        *2 * [elsewhere],
        *2 * [choose("view", list(VIEWS))],
        choose("compare", list(VIEWS)),
        choose("wipe", [0.0, 0.0, 0.5, 1.0]),
        choose("colour", ["rgb", "diverging"]),
        choose("image", images),
        choose("model", models),
        choose("steps", [1, 2, 3]),
        choose("step_size", [0.5, 2.0]),
        choose("radius", [1.0, 50.0]),
        choose("units", ["relative", "absolute"]),
        choose("softening", list(PRESETS.values())),
        explorer.play,
    ]
    for _ in range(1000):
        chance.choice(changes)()
        if chance.random() < 0.3:
            time.sleep(0.003 * chance.random())
    right(explorer, page)
    assert explorer.result.request.softening == explorer.softening


# Only the newest counts --------------------------------------------------------------------------


def test_a_slider_that_is_dragged_leaves_out_what_it_passed(
    explorer: pw.Explorer, page: Page, hold: Hold
) -> None:
    shown: list[float] = []
    explorer.observe(
        lambda change: shown.append(change["new"].state.softening.temperature), "result"
    )
    slider = find(explorer, "pullback-temperature")
    with hold:
        slider.value = 5
        hold.until_reached()
        for position in range(6, 60):
            slider.value = position
        assert busy(explorer)
    right(explorer, page)
    assert shown == [STOPS[5], STOPS[59]]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are done before submitting them returns, as may happen on a busy machine."""
    submit = Worker.submit

    def and_done(worker: Worker[Any], request: Any) -> None:
        submit(worker, request)
        worker.wait(SECONDS)

    monkeypatch.setattr(Worker, "submit", and_done)


@pytest.mark.usefixtures("at_once")
def test_the_busy_mark_goes_however_fast_the_picture_comes(
    explorer: pw.Explorer, page: Page
) -> None:
    explorer.temperature = 0.3
    right(explorer, page)


def test_a_newer_frame_is_not_drawn_over_by_an_older_one(
    explorer: pw.Explorer, page: Page, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The colours change while a frame is on its way, which arrives in between."""
    show = Screen.show

    def meanwhile(screen: Screen, *pictures: Any, **options: Any) -> None:
        hold.go.set()
        explorer.wait(1.0)
        show(screen, *pictures, **options)

    with hold:
        explorer.temperature = 0.1
        hold.until_reached()
        monkeypatch.setattr(Screen, "show", meanwhile)
        explorer.colour = "diverging"
    right(explorer, page)


def test_colours_chosen_while_a_frame_is_drawn_are_the_last(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing, chosen = threading.Event(), threading.Event()
    paint = Frame.picture

    def slow(frame: Frame, view: str, colour: str = "rgb") -> RGB:
        painted = paint(frame, view, colour)
        if threading.current_thread() is not threading.main_thread():
            drawing.set()
            chosen.wait(2.0)
        return painted

    monkeypatch.setattr(Frame, "picture", slow)
    explorer.temperature = 0.1
    assert drawing.wait(SECONDS)
    explorer.colour = "diverging"
    chosen.set()
    right(explorer, page)


@pytest.mark.usefixtures("no_network_yet")
def test_a_choice_at_the_moment_a_network_arrives_is_not_lost(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, chosen = threading.Event(), threading.Event()
    other = wrap(network("residual", seed=3))
    monkeypatch.setattr(loaded, "load_model", lambda name, progress=None: other)

    def meanwhile(change: Any) -> None:
        if change["new"] is other:
            arrived.set()
            chosen.wait(2.0)

    explorer.observe(meanwhile, "model")
    explorer.model = "resnet18"
    assert arrived.wait(SECONDS)
    explorer.temperature = 0.3
    chosen.set()
    right(explorer, page)
    assert explorer.softening == explorer.result.request.softening == pw.Softening.relative(0.3)


def test_cells_run_while_a_picture_is_computed(explorer: pw.Explorer, hold: Hold) -> None:
    with hold:
        explorer.temperature = 0.1
        hold.until_reached()
        assert explorer.temperature == 0.1
        assert not explorer.wait(0.01)
    assert explorer.wait(SECONDS)


# Ascent ------------------------------------------------------------------------------------------


def indices(explorer: pw.Explorer) -> list[int | None]:
    """Fills with the step of every frame that comes."""
    seen: list[int | None] = []
    explorer.observe(
        lambda change: seen.append(change["new"].step and change["new"].step.index), "result"
    )
    return seen


def test_play_shows_every_step(explorer: pw.Explorer, page: Page) -> None:
    explorer.choose(target="golf ball", steps=4, step_size=1.0)
    explorer.wait(SECONDS)
    seen, messages = indices(explorer), page.messages
    find(explorer, "pullback-play").click()
    frame = right(explorer, page)
    assert explorer.view == "perturbed"
    assert seen == [1, 2, 3, 4]
    assert page.messages >= messages + 4
    outcome = text_with(explorer, "pullback-outcome")
    assert "step 4" in outcome
    for probability in (frame.probability, frame.step.probability):
        assert f"{100 * probability:.1f} %" in outcome
    find(explorer, "pullback-play").click()
    right(explorer, page)
    assert seen == [1, 2, 3, 4, 1, 2, 3, 4]


def test_stop_keeps_what_was_reached(explorer: pw.Explorer, page: Page, hold: Hold) -> None:
    explorer.choose(target=1, steps=50, step_size=0.1)
    explorer.wait(SECONDS)
    seen = indices(explorer)
    third = threading.Event()
    explorer.observe(
        lambda change: third.set() if change["new"].step.index == 3 else None, "result"
    )
    explorer.observe(
        lambda change: find(explorer, "pullback-stop").click() if third.is_set() else None, "result"
    )
    explorer.play()
    assert explorer.wait(SECONDS)
    assert seen == [1, 2, 3]
    assert explorer.result.step.index == 3
    assert page.shows(explorer, explorer.result)
    assert not busy(explorer)
    explorer.unobserve_all("result")
    explorer.steps = 4
    assert right(explorer, page).step.index == 4


def test_stop_with_a_request_waiting_leaves_no_busy_mark(explorer: pw.Explorer, hold: Hold) -> None:
    with hold:
        explorer.temperature = 0.1
        hold.until_reached()
        explorer.temperature = 0.2
        explorer.stop()
    assert explorer.wait(SECONDS)
    assert not busy(explorer)


def test_a_change_during_an_ascent_drops_it(explorer: pw.Explorer, page: Page) -> None:
    seen = indices(explorer)
    explorer.choose(steps=500, step_size=0.01, view="difference")
    end = time.monotonic() + SECONDS
    while not seen and time.monotonic() < end:
        time.sleep(0.001)
    explorer.choose(steps=2, temperature=0.2)
    assert right(explorer, page).step.index == 2
    assert len(seen) < 400


def test_a_hidden_target_has_a_score_instead_of_a_probability(
    explorer: pw.Explorer, page: Page
) -> None:
    explorer.choose(layer="layer1", channel=1, steps=2, view="perturbed")
    frame = right(explorer, page)
    outcome = text_with(explorer, "pullback-outcome")
    assert "score" in outcome and f"{frame.step.score:.3g}" in outcome and "%" not in outcome


# Controls follow attributes, and the reverse -----------------------------------------------------

CONTROLS: list[tuple[str, str, Any, Any]] = [
    ("layer", "Layer", "layer1", "layer1"),
    ("steps", "Steps", 7, 7),
    ("step_size", "Step size", 3.5, 3.5),
    ("radius", "Radius", 12.0, 12.0),
    ("view", "pullback-views", "overlay", "overlay"),
    ("compare", "Wipe to", "difference", "difference"),
    ("colour", "Colours", "diverging", "diverging"),
    ("image", "Photograph", "chelsea", "chelsea"),
    ("temperature", "pullback-temperature", 0.3, STOPS.index(0.3)),
    ("temperature", "pullback-temperature", 0.0, 0),
    ("softening", "pullback-presets", PRESETS["paper v3"], "paper v3"),
    ("softening", "pullback-presets", PRESETS["plain gradient"], "plain gradient"),
]


@pytest.mark.parametrize(
    ("name", "control", "value", "shown"), CONTROLS, ids=[f"{c[0]}={c[3]}" for c in CONTROLS]
)
class TestControl:
    def test_shows_the_attribute(
        self, explorer: pw.Explorer, page: Page, name: str, control: str, value: Any, shown: Any
    ) -> None:
        setattr(explorer, name, value)
        assert find(explorer, control).value == shown
        right(explorer, page)
        assert find(explorer, control).value == shown

    def test_sets_the_attribute(
        self, explorer: pw.Explorer, page: Page, name: str, control: str, value: Any, shown: Any
    ) -> None:
        find(explorer, control).value = shown
        assert getattr(explorer, name) == value
        right(explorer, page)
        assert find(explorer, control).value == shown


def test_the_units_are_shown_and_set(explorer: pw.Explorer, page: Page) -> None:
    buttons = find(explorer, "pullback-presets", 1)
    explorer.softening = pw.Softening.paper_v6(0.6)
    assert buttons.value == "absolute"
    buttons.value = "relative"
    assert explorer.softening == pw.Softening.paper_v6(0.6).with_units("relative")
    assert find(explorer, "pullback-presets").value is None
    right(explorer, page)
    explorer.temperature = 0.0
    explorer.units = "absolute"
    assert buttons.value == "absolute"


@pytest.mark.parametrize(
    ("name", "control", "value"),
    [("steps", "Steps", 1000), ("step_size", "Step size", 0.001), ("radius", "Radius", 2e5)],
)
def test_a_control_never_shows_another_number(
    explorer: pw.Explorer, name: str, control: str, value: Any
) -> None:
    """Whatever is accepted is shown."""
    setattr(explorer, name, value)
    assert getattr(explorer, name) == find(explorer, control).value == value


def test_an_ascent_without_a_ball(explorer: pw.Explorer, page: Page) -> None:
    explorer.choose(radius=None, view="difference", steps=2)
    assert explorer.radius is None
    right(explorer, page)
    explorer.radius = 1.0
    right(explorer, page)
    assert find(explorer, "Radius").value == 1.0


def test_classes_are_searched_by_name_and_number(explorer: pw.Explorer, page: Page) -> None:
    search = find(explorer, "Class")
    assert search.options == CATEGORIES
    for text, index in (("espresso", 4), ("1", 1), ("spoo", 5), (" golf ball ", 0)):
        search.value = text
        assert right(explorer, page).target == pw.Logit(index)
        assert search.value == CATEGORIES[index]
    explorer.target = "tabby cat"
    right(explorer, page)
    assert search.value == "tabby cat"


@pytest.mark.parametrize("number", range(5))
def test_the_top_five_are_buttons(explorer: pw.Explorer, page: Page, number: int) -> None:
    best = explorer.result.predictions[number]
    button = find(explorer, "pullback-top", number)
    assert best.name in button.description
    button.click()
    assert explorer.target == best.index
    right(explorer, page)
    pressed = [find(explorer, "pullback-top", n).button_style for n in range(5)]
    assert pressed == ["primary" if n == number else "" for n in range(5)]


def test_layers_are_listed_in_forward_order(explorer: pw.Explorer) -> None:
    names = [value for _, value in find(explorer, "Layer").options]
    assert names == ["logits", *(layer.name for layer in pw.layers(explorer.model))]


def test_every_layer_can_be_looked_at(explorer: pw.Explorer, page: Page) -> None:
    for _, layer in find(explorer, "Layer").options:
        find(explorer, "Layer").value = layer
        assert explorer.layer == layer
        frame = right(explorer, page)
        assert frame.view.layer.name == layer


def test_the_channel_is_shown_and_set(explorer: pw.Explorer, page: Page) -> None:
    explorer.layer = "layer1"
    strongest = right(explorer, page).target.channel
    field = find(explorer, "Channel")
    assert (field.value, field.max) == (strongest, 3)
    field.value = (strongest + 1) % 4
    assert explorer.channel == (strongest + 1) % 4
    explorer.channel = strongest
    right(explorer, page)
    assert field.value == strongest


def test_a_click_on_a_small_map_chooses_its_channel(explorer: pw.Explorer, page: Page) -> None:
    explorer.layer = "layer1"
    frame = right(explorer, page)
    second, _ = frame.view.strongest[1]
    click(find(explorer, "pullback-strip"), 1.5 / 6, 0.2)
    assert explorer.channel == second
    right(explorer, page)
    click(find(explorer, "pullback-strip"), 5.5 / 6, 0.8)  # nothing is there
    assert explorer.channel == second


@pytest.mark.parametrize(
    ("x", "y", "position"),
    [(0.0, 0.0, (0, 0)), (0.6, 0.1, (0, 2)), (0.3, 0.99, (3, 1)), (1.0, 1.0, (3, 3))],
)
def test_a_click_on_the_picture_chooses_the_position(
    explorer: pw.Explorer, page: Page, x: float, y: float, position: tuple[int, int]
) -> None:
    explorer.choose(layer="layer1", channel=2)
    right(explorer, page)
    click(find(explorer, "pullback-screen"), x, y)
    assert explorer.position == position
    assert right(explorer, page).target == pw.Unit("layer1", 2, position)
    find(explorer, "whole map").click()
    assert explorer.position is None
    assert right(explorer, page).target == pw.Channel("layer1", 2)


def test_on_the_logits_a_click_on_the_picture_does_nothing(
    explorer: pw.Explorer, page: Page
) -> None:
    click(find(explorer, "pullback-screen"), 0.5, 0.5)
    assert explorer.position is None
    right(explorer, page)


def test_dragging_on_the_picture_wipes(explorer: pw.Explorer, page: Page) -> None:
    explorer.layer = "layer1"
    right(explorer, page)
    canvas = find(explorer, "pullback-screen")
    event(canvas, "mouse_move", 0.9, 0.5)  # no button is down
    assert explorer.wipe == 0.0
    event(canvas, "mouse_down", 0.1, 0.5)
    for x in (0.2, 0.5, 0.75):
        event(canvas, "mouse_move", x, 0.5)
        assert explorer.wipe == pytest.approx(x)
        right(explorer, page)
    event(canvas, "mouse_up", 0.75, 0.5)
    event(canvas, "mouse_move", 0.1, 0.5)
    assert explorer.wipe == pytest.approx(0.75)
    assert explorer.position is None  # a drag is no click
    explorer.wipe = 0.0
    right(explorer, page)


def test_wiping_to_an_ascent_walks_it(explorer: pw.Explorer, page: Page) -> None:
    explorer.choose(compare="difference", steps=2)
    assert right(explorer, page).step is None
    explorer.wipe = 0.5
    assert right(explorer, page).step.index == 2


# Photographs -------------------------------------------------------------------------------------


def png(seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (20, 16, 3)).astype(np.uint8)
    return pixels.png(values)


def test_an_upload_is_shown(explorer: pw.Explorer, page: Page) -> None:
    for seed in (0, 1, 1):  # the same file may be chosen again
        upload(explorer, "photo.png", png(seed))
        frame = right(explorer, page)
        assert torch.equal(frame.image, pw.Session(explorer.model, png(seed)).image)
    assert find(explorer, "Photograph").value not in ("coffee", "chelsea")


@pytest.mark.parametrize("content", [b"", b"no photograph", png()[:100]], ids=len)
def test_a_bad_upload_is_explained_and_the_old_image_stays(
    explorer: pw.Explorer, page: Page, content: bytes
) -> None:
    explorer.image = "chelsea"
    before = right(explorer, page)
    messages = page.messages
    upload(explorer, "bad.png", content)
    assert explorer.wait(SECONDS)
    explained(explorer)
    assert explorer.image == find(explorer, "Photograph").value == "chelsea"
    assert page.messages == messages
    assert page.shows(explorer, before)
    upload(explorer, "good.png", png())
    right(explorer, page)


# Errors ------------------------------------------------------------------------------------------


def explained(explorer: pw.Explorer, words: str = "") -> None:
    """There is one sentence, and a traceback folded away."""
    assert words in explorer.error
    assert len(explorer.error.split()) >= 4 and "\n" not in explorer.error
    shown = text_with(explorer, "pullback-error")
    sentence, _, folded = shown.partition("<details")
    assert "Traceback (most recent call last)" not in sentence
    assert "Traceback (most recent call last)" in folded
    assert "<details>" in shown and "<details open" not in shown
    assert not busy(explorer)


REFUSED: list[tuple[str, Any]] = [
    ("target", "no such class"),
    ("target", "golf"),
    ("target", 6),
    ("target", pw.Channel("layer1", 99)),
    ("layer", "layer2"),
    ("channel", 99),
    ("position", (9, 9)),
    ("temperature", -1.0),
    ("temperature", math.nan),
    ("steps", 0),
    ("radius", math.inf),
    ("image", "no such file.png"),
    ("model", "resnet51"),
    ("view", "sideways"),
]


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=str)
def test_a_refused_choice_of_a_control_is_explained_and_nothing_changes(
    explorer: pw.Explorer, page: Page, name: str, value: Any
) -> None:
    explorer.choose(layer="layer1", channel=1, position=(2, 2))
    before = right(explorer, page)
    state, messages = explorer.state(), page.messages
    controls = {id(one): one.value for one in everything(explorer) if hasattr(one, "value")}
    explorer.attempt(name, value)
    assert explorer.wait(SECONDS)
    explained(explorer)
    after = explorer.state()
    assert [
        f for f in vars(state) if f not in ("image", "play") and vars(state)[f] != vars(after)[f]
    ] == []
    assert after.image is state.image
    moved = [
        one
        for one in everything(explorer)
        if hasattr(one, "value") and type(one) is not w.HTML and controls[id(one)] != one.value
    ]
    assert moved == []
    assert page.messages == messages  # nothing is drawn for a refused choice
    assert page.shows(explorer, before)
    explorer.temperature = 0.3
    right(explorer, page)


def test_after_a_refused_choice_all_that_holds_can_still_be_had(explorer: pw.Explorer) -> None:
    before = explorer.pullback
    explorer.attempt("target", "no such class")
    assert torch.equal(explorer.pullback, before)
    assert explorer.code()


@pytest.mark.parametrize("text", ["no such class", "golf", "6", "999999999999999999999", "²"])
def test_a_class_that_is_not_there_leaves_the_one_that_holds(
    explorer: pw.Explorer, page: Page, text: str
) -> None:
    explorer.target = "spoon"
    right(explorer, page)
    find(explorer, "Class").value = text
    explained(explorer)
    assert explorer.target == "spoon"
    assert find(explorer, "Class").value == "spoon"


def test_a_refused_choice_from_python_raises_and_shows_nothing(
    explorer: pw.Explorer, page: Page
) -> None:
    with pytest.raises(ValueError, match="golf cart"):
        explorer.target = "golf"
    right(explorer, page)


def test_an_explanation_outlives_the_frames_of_earlier_requests(
    explorer: pw.Explorer, hold: Hold
) -> None:
    """Otherwise a mistake made during an ascent is explained for a blink only."""
    with hold:
        explorer.temperature = 0.1
        hold.until_reached()
        find(explorer, "Class").value = "no such class"
    assert explorer.wait(SECONDS)
    explained(explorer, "no such class")


def oom(y: Tensor) -> Tensor:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def no_memory(y: Tensor) -> Tensor:
    raise MemoryError


def fails(y: Tensor) -> Tensor:
    raise KeyError("the network is in a <b>mood</b>")


MOODS: list[tuple[Callable[[Tensor], Tensor], str]] = [
    (fails, "KeyError"),
    (oom, "out of memory"),
    (lambda y: y * math.nan, "NaN"),
    (lambda y: y.sum(), "logits"),
    (no_memory, "memory"),
]


@pytest.mark.parametrize(
    ("mood", "words"), MOODS, ids=["exception", "out of memory", "NaN", "shape", "no memory"]
)
def test_a_network_that_fails_is_explained_and_then_works(
    explore: Make, page: Page, mood: Callable[[Tensor], Tensor], words: str
) -> None:
    net = Moody()
    explorer = explore(wrap(net))
    right(explorer, page)
    messages = page.messages
    net.mood = mood
    explorer.image = image(2)
    assert explorer.wait(SECONDS)
    explained(explorer, words)
    assert page.messages == messages
    if words == "KeyError":
        assert "<b>mood" not in text_with(explorer, "pullback-error")  # it is escaped
        assert "in fails" in text_with(explorer, "pullback-error")
    with pytest.raises(RuntimeError):
        explorer.pullback  # noqa: B018
    net.mood = lambda y: y
    explorer.image = image(3)
    right(explorer, page)


def test_a_network_that_fails_from_the_beginning(explore: Make, page: Page) -> None:
    net = Moody()
    net.mood = fails
    explorer = explore(wrap(net))
    explained(explorer, "KeyError")
    bundle = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "image/png" not in bundle
    net.mood = lambda y: y
    explorer.temperature = 0.3
    right(explorer, page)


def test_an_observer_that_fails_is_explained(explorer: pw.Explorer, page: Page) -> None:
    def observer(change: Any) -> None:
        raise ZeroDivisionError("in the observer of a user")

    explorer.observe(observer, "result")
    explorer.temperature = 0.3
    assert explorer.wait(SECONDS)
    explained(explorer, "in the observer of a user")
    explorer.unobserve(observer, "result")
    explorer.temperature = 0.4
    right(explorer, page)


# Networks of the catalogue -----------------------------------------------------------------------


@pytest.fixture
def no_network_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgets what other tests have loaded, and whatever is loaded now."""
    monkeypatch.setattr(loaded, "_loaded", weakref.WeakValueDictionary())


@pytest.mark.usefixtures("no_network_yet")
def test_a_network_of_the_catalogue_arrives_with_its_progress(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, seen = wrap(network("chain")), []
    bar = next(one for one in everything(explorer) if isinstance(one, w.FloatProgress))

    def load(name: str, progress: Callable[[int, int], None]) -> pw.Model:
        for done in (0, 25, 100):
            progress(done * 10**6, 100 * 10**6)
            status = text_with(explorer, "pullback-status")
            seen.append((bar.value, bar.layout.visibility, f"{done} of 100 MB" in status))
        other.catalogue_name = name  # as load_model does
        return other

    monkeypatch.setattr(loaded, "load_model", load)
    find(explorer, "Network").value = "resnet18"
    right(explorer, page)
    assert seen == [(0.0, "visible", True), (0.25, "visible", True), (1.0, "hidden", True)]
    assert explorer.model is other
    assert find(explorer, "Network").value == "resnet18"
    assert explorer.code().count('load_model("resnet18")') == 1
    names = [value for _, value in find(explorer, "Layer").options]
    assert names == ["logits", *(layer.name for layer in pw.layers(other))]


def no_network(name: str, progress: Callable[[int, int], None]) -> pw.Model:
    progress(10, 100)
    raise pw.DownloadError(f"The weights of {name} could not be downloaded; connect and try again.")


@pytest.mark.usefixtures("no_network_yet")
def test_without_a_network_the_explorer_goes_on_with_what_it_had(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "load_model", no_network)
    model, before = explorer.model, find(explorer, "Network").value
    for _ in range(2):
        find(explorer, "Network").value = "resnet18"
        assert explorer.wait(SECONDS)
        explained(explorer, "resnet18")
        assert explorer.model is model
        assert find(explorer, "Network").value == before
    explorer.temperature = 0.3
    right(explorer, page)


@pytest.mark.usefixtures("no_network_yet", "at_once")
def test_a_network_that_fails_at_once_is_not_left_in_the_list(
    explorer: pw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "load_model", no_network)
    before = find(explorer, "Network").value
    find(explorer, "Network").value = "resnet18"
    assert find(explorer, "Network").value == before


@pytest.mark.usefixtures("no_network_yet")
def test_after_a_failed_download_the_neuron_is_what_it_was(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "load_model", no_network)
    explorer.choose(layer="layer1", channel=1, position=(2, 2))
    before = right(explorer, page)
    explorer.model = "resnet18"
    assert explorer.wait(SECONDS)
    assert (explorer.layer, explorer.channel, explorer.position) == ("layer1", 1, (2, 2))
    explorer.temperature = 0.3
    assert right(explorer, page).target == before.target


@pytest.mark.usefixtures("no_network_yet")
def test_after_a_failed_download_the_bar_is_gone(
    explorer: pw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "load_model", no_network)
    explorer.model = "resnet18"
    assert explorer.wait(SECONDS)
    bar = next(one for one in everything(explorer) if isinstance(one, w.FloatProgress))
    assert bar.layout.visibility == "hidden"


# What comes out ----------------------------------------------------------------------------------


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


@pytest.mark.parametrize("options", [{}, {"include": None, "exclude": None}])
def test_a_saved_notebook_has_the_widget_and_a_png(
    explorer: pw.Explorer, options: dict[str, Any]
) -> None:
    explorer.choose(view="overlay", target="spoon")
    bundle = explorer._repr_mimebundle_(**options)
    view = bundle["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == explorer.model_id
    still = np.asarray(Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))))
    frame = fresh(explorer)
    photograph, overlay = frame.picture("photograph"), frame.picture("overlay")
    assert np.array_equal(still, pixels.side_by_side([photograph, overlay]))
    assert frame.title in bundle["text/plain"]


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


# The canvases ------------------------------------------------------------------------------------


def test_pictures_travel_without_loss(explorer: pw.Explorer, page: Page) -> None:
    explorer.layer = "layer1"
    right(explorer, page)
    assert page.formats <= {"BMP", "PNG"}


@pytest.mark.parametrize("name", ["pullback-screen", "pullback-strip", "pullback-curve"])
def test_a_page_that_opens_later_is_drawn_completely(
    explorer: pw.Explorer, page: Page, name: str
) -> None:
    explorer.layer = "layer1"
    explorer.wipe = 0.5
    frame = right(explorer, page)
    page.pictures.clear()
    page.on.clear()
    messages = page.messages
    event(find(explorer, name), "client_ready")
    assert page.messages > messages
    if name == "pullback-screen":
        assert page.shows(explorer, frame)


def test_an_exception_while_drawing_does_not_silence_the_canvases(page: Page) -> None:
    canvas = ipycanvas.Canvas()

    def paint() -> None:
        canvas.fill_rect(0, 0, 10, 10)
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            draw(paint)
        assert page.messages == 0  # half a drawing is not sent
    canvas.fill_rect(0, 0, 10, 10)
    assert page.messages > 0
    messages = page.messages
    draw(lambda: canvas.fill_rect(0, 0, 10, 10))
    assert page.messages > messages


def test_many_threads_may_draw(page: Page) -> None:
    screens = [Screen(16) for _ in range(4)]
    pictures = [np.full((8, 8, 3), n, np.uint8) for n in range(50)]

    def show(screen: Screen) -> None:
        for one in pictures:
            screen.show(one, one, ("one", "two"))

    threads = [threading.Thread(target=show, args=(screen,)) for screen in screens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for screen in screens:
        (shown,) = page.on[f"IPY_MODEL_{screen.box.model_id}"]
        assert (page.pictures[shown] == 49).all()


def test_only_pictures_that_changed_travel(explorer: pw.Explorer, page: Page) -> None:
    right(explorer, page)
    page.pictures.clear()
    for share in (0.1, 0.2, 0.3):
        explorer.wipe = share
    explorer.view = "pullback"
    explorer.wait(SECONDS)
    assert page.pictures == {}


# What is left behind -----------------------------------------------------------------------------


def fingerprint(module: nn.Module) -> dict[str, Any]:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {
        "values": {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()},
        "tensors": {
            name: (id(tensor), tensor._version, tensor.requires_grad, tensor.grad is None)
            for name, tensor in tensors.items()
        },
        "modules": {
            name: (one.training, sorted(vars(one)), len(one._forward_hooks), type(one).forward)
            for name, one in module.named_modules()
        },
        "global hooks": len(torch.nn.modules.module._global_forward_hooks),
        "modes": torch._C._len_torch_function_stack(),
    }


def test_the_model_is_untouched(explore: Make, page: Page) -> None:
    net = Moody()
    net.body.layer1.train()
    next(net.parameters()).requires_grad_(False)
    before = fingerprint(net)
    explorer = explore(wrap(net))
    for choices in (
        {"target": "golf ball", "temperature": 0.2},
        {"layer": "body.layer1", "position": (1, 1), "view": "perturbed", "steps": 2},
        {"target": pw.Difference(0, 1), "softening": pw.Softening.paper_v3()},
        {"image": "chelsea"},
    ):
        explorer.choose(**choices)
        explorer.wait(SECONDS)
    explorer.choose(steps=100, view="difference")
    explorer.stop()
    for mood in (fails, oom):
        net.mood = mood
        explorer.image = image(2)
        explorer.wait(SECONDS)
        explorer.image = image(3)
        explorer.wait(SECONDS)
    net.mood = before["modules"] and (lambda y: y)
    explorer.choose(image=image(4), steps=2)
    right(explorer, page)
    assert fingerprint(net) == before


def resident() -> int:
    """Bytes of memory of this process; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def living() -> tuple[int, int, int]:
    """Tensors, recordings, and all objects that Python knows."""
    gc.collect()
    kinds = [type(one) for one in gc.get_objects()]
    tensors = sum(kind in (Tensor, nn.Parameter) for kind in kinds)
    return tensors, kinds.count(Recording), len(kinds)


@pytest.fixture
def only_what_is_new() -> Iterator[None]:
    """Hides from the garbage collector, and so from `living`, what other tests have left."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("only_what_is_new")
def test_memory_is_flat(explore: Make) -> None:
    """500 updates leave nothing behind, be it tensors, recordings or anything else."""
    explorer = explore(layer="layer1", steps=2)

    def update(number: int) -> None:
        changes: list[dict[str, Any]] = [
            {"temperature": 0.1 + (number % 7) / 10},
            {"position": (number % 4, number % 3)},
            {"target": number % 6},
            {"layer": ("relu", "layer1", "layer10")[number % 3]},
            {"view": VIEWS[number // 10 % 5]},
            {"temperature": 0.0},
            {"channel": number % 4},
            {"wipe": number % 2 / 2},
            {"softening": list(PRESETS.values())[number % 4]},
            {"image": image(number % 3)} if number % 50 == 9 else {"layer": "layer1"},
        ]
        explorer.choose(**changes[number % 10])
        assert explorer.wait(SECONDS) and explorer.error == ""

    for number in range(100):
        update(number)
    before, memory = living(), resident()
    for number in range(500):
        update(number + 100)
    after = living()
    assert after[0] <= before[0] + 30
    assert after[1] <= before[1] + 1
    assert after[2] <= before[2] + 500  # less than one object for each update
    assert resident() - memory <= 30 * 2**20


def test_old_explorers_keep_no_sessions(explore: Make) -> None:
    model = wrap(network("residual"))
    explorers = [explore(model) for _ in range(4)]
    gc.collect()
    sessions = [one for one in gc.get_objects() if type(one) is pw.Session and one.model is model]
    assert len(sessions) <= 2
    for number, explorer in enumerate(explorers):  # and all of them go on
        explorer.temperature = 0.1 + number
        assert torch.equal(explorer.pullback, fresh(explorer).pullback)


def test_a_closed_explorer_is_freed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "IDLE_SECONDS", 0.05)
    explorer = pw.Explorer(wrap(network("residual")), image(1))
    assert explorer.wait(SECONDS)
    open_before = len([one for one in everything(explorer) if one.comm is not None])
    assert open_before > 20
    widgets = list(everything(explorer))
    explorer.close()
    assert [type(one).__name__ for one in widgets if one.comm is not None] == []
    gone = weakref.ref(explorer)
    del explorer, widgets
    end = time.monotonic() + SECONDS
    while gone() is not None and time.monotonic() < end:
        gc.collect()
        time.sleep(0.02)
    assert gone() is None


def test_closing_while_computing(page: Page, hold: Hold) -> None:
    explorer = pw.Explorer(wrap(network("residual")), image(1), steps=50, step_size=0.1)
    assert explorer.wait(SECONDS)
    explorer.play()
    explorer.close()
    assert explorer.wait(SECONDS)


def test_a_network_loaded_by_name_is_known_by_it(explore: Make) -> None:
    model = wrap(network("residual"))
    model.catalogue_name = "resnet18"
    explorer = explore(model=model, given=image(1))
    assert find(explorer, "Network").value == "resnet18"
    assert 'pw.load_model("resnet18")' in explorer.code()


@pytest.mark.parametrize("hidden", [{"layer": "layer1"}, {"channel": 1}, {"position": (0, 0)}])
def test_a_class_and_a_hidden_neuron_contradict_each_other(
    explore: Make, hidden: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="one or the other"):
        explore(model=wrap(network("residual")), given=image(1), target=2, **hidden)


def test_an_oblong_picture_keeps_its_shape(explore: Make) -> None:
    explorer = explore(model=wrap(network("residual")), given=image(1)[:, :4])
    assert explorer.wait(SECONDS)
    assert explorer._screen._place() == (0, 256, 1024, 512)
    explorer.layer = "layer1"
    assert explorer.wait(SECONDS)
    click(explorer._screen.box, 0.5, 0.1)  # beside the picture
    assert explorer.position is None
    click(explorer._screen.box, 0.5, 0.5)
    assert explorer.position is not None


def test_a_closed_explorer_computes_nothing(explorer: pw.Explorer) -> None:
    explorer.close()
    explorer.temperature = 0.2
    assert explorer.wait(SECONDS)
    assert not explorer.error


@pytest.mark.usefixtures("no_network_yet")
def test_a_first_network_that_cannot_be_had(explore: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    built_in = wrap(network("residual"))

    def load(name: str, progress: Callable[[int, int], None]) -> pw.Model:
        return built_in if name == "efficientnet_lite0" else no_network(name, progress)

    monkeypatch.setattr(loaded, "load_model", load)
    explorer = explore(model="resnet18", given=image(1))
    assert explorer.wait(SECONDS)
    assert explorer.model is built_in
    assert "resnet18" in explorer.error
    explorer.temperature = 0.2
    assert explorer.wait(SECONDS)
    assert not explorer.error
