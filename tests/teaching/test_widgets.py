"""The widgets for teaching, driven by their traits and by events."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets as w
import numpy as np
import pytest
import torch
from waiting import SECONDS
from widgets import Page, everything, find, making, text_with

import pullback_widgets as pw
from pullback_widgets.drawing import chart
from pullback_widgets.drawing.files import load_npz
from pullback_widgets.teaching import data
from pullback_widgets.teaching.data import Data, load_data
from pullback_widgets.teaching.recorder import PathRecorder
from pullback_widgets.teaching.regions_widget import STEPS
from pullback_widgets.teaching.toy import EXTENT, toy_points

Make = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_swallowed")


@pytest.fixture(autouse=True)
def few_charts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts are drawn for tests that ask for ``charts``; of the others they would be most."""
    if "charts" not in request.fixturenames:
        monkeypatch.setattr(chart, "svg", lambda figure, label: f"<svg>{html.escape(label)}</svg>")


@pytest.fixture
def charts() -> None:
    """Charts are drawn."""


@pytest.fixture
def playground() -> Iterator[Make]:
    yield from making(pw.GatePlayground)


@pytest.fixture
def region_map(page: Page) -> Iterator[Make]:
    yield from making(pw.RegionMap)


@pytest.fixture
def lab() -> Iterator[Make]:
    yield from making(pw.PathStabilityLab)


def controls(widget: Any) -> list[w.Widget]:
    kinds = (
        w.Text, w.FloatText, w.BoundedFloatText, w.IntSlider,
        w.Dropdown, w.Checkbox, w.ToggleButtons,
    )  # fmt: skip
    return [one for one in everything(widget) if isinstance(one, kinds)]


def refuses(one: Any, choices: list[tuple[str, Any]], good: tuple[str, Any]) -> None:
    """Each is refused in one sentence, whoever makes it, and a good one then works."""
    first = one.result
    for name, value in choices:
        kept = getattr(one, name)
        with pytest.raises(ValueError):
            setattr(one, name, value)
        assert getattr(one, name) == kept, (name, value)
        assert one.wait(SECONDS) and one.result is first
        one.attempt(name, value)
        assert getattr(one, name) == kept, (name, value)
        assert one.error.endswith(".") and "\n" not in one.error, one.error
        assert "traceback" in text_with(one, "pullback-error")
    setattr(one, *good)
    assert one.wait(SECONDS) and not one.error and not text_with(one, "pullback-error")


# The gate playground.


@pytest.mark.usefixtures("charts")
def test_gates_follow_the_choices(playground: Make) -> None:
    one = playground(temperature=0.5, length=3)
    before = one._chart.value
    assert "<svg" in before and not one.error
    one.temperature, one.gate, one.length, one.path = 2.0, "normal", 5, 7
    assert one.wait(SECONDS)
    result = one.result
    assert (result.softening.temperature, result.softening.gate) == (2.0, "normal")
    assert (result.length, result.shown) == (5, 7)
    assert one._chart.value != before and "Path 8: gate by gate" in one._chart.value
    expected = int(result.hard.prod(axis=1).sum())
    assert f"<b>{expected}</b>" in text_with(one, "hard gates leave")


def test_gates_of_a_layer(playground: Make) -> None:
    values = torch.full((2, 3), 4.0)
    one = playground(values=values, temperature=1.0, length=1)
    assert (one.result.z == 4).all()
    assert one.result.open_share == 1


def test_gates_that_are_refused(playground: Make) -> None:
    choices = [("length", 0), ("length", 65), ("temperature", -1.0), ("path", 5000), ("values", [])]
    refuses(playground(), choices, ("length", 4))


def test_a_temperature_of_any_size_is_shown(playground: Make) -> None:
    one = playground()
    for temperature in (5000.0, 0.001, 0.0):
        one.temperature = temperature
        assert one.wait(SECONDS) and not one.error
        boxes = [box for box in everything(one) if isinstance(box, w.FloatText)]
        assert [box.value for box in boxes] == [temperature]


# The region map.


def test_the_map_shows_its_picture(page: Page, region_map: Make) -> None:
    one = region_map()
    assert not one.error and one.result.loss < 0.05
    source = page.pictures[f"IPY_MODEL_{one._source.model_id}"]
    assert np.array_equal(source, one.result.picture())
    before = source.copy()
    one.shown = "blend"
    assert one.wait(SECONDS)
    source = page.pictures[f"IPY_MODEL_{one._source.model_id}"]
    assert np.array_equal(source, one.result.picture("blend"))
    assert not np.array_equal(source, before)


@pytest.mark.parametrize("shown", ["gradient", "pullback", "blend"])
def test_arrows_point_along_the_gradient(
    region_map: Make, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = region_map(shown=shown)
    lines: list[Any] = []
    monkeypatch.setattr(one._canvas, "stroke_styled_line_segments", lambda *a: lines.append(a))
    one.show(one.result)
    places, vectors, weights = one.result.arrows()
    long = np.linalg.norm(vectors, axis=1) > 0.05
    segments, _, alpha = lines[0]
    assert len(segments) >= long.sum() > 0
    ends = {tuple(np.round(start, 6)): end for start, end in segments}
    for place, vector in zip(places[long], vectors[long], strict=True):
        start = on_canvas(*place, one)
        end = ends[tuple(np.round(start, 6))]
        along = (end - start) * (1, -1)
        assert along @ vector == pytest.approx(np.linalg.norm(along) * np.linalg.norm(vector))
    assert alpha.max() == weights.max() and alpha.min() >= 0.25
    # At the cross the gradient and the pullback, where regions blend.
    assert len(lines) == (3 if shown == "blend" else 1)


def on_canvas(x: float, y: float, one: Any) -> tuple[float, float]:
    return one._canvas.width / 2 * (1 + x / EXTENT), one._canvas.height / 2 * (1 - y / EXTENT)


def event(one: Any, name: str, x: float, y: float) -> None:
    left, top = on_canvas(x, y, one)
    one._canvas._handle_frontend_event(one._canvas, {"event": name, "x": left, "y": top}, [])


def test_a_point_is_dragged_and_learnt(region_map: Make) -> None:
    one = region_map()
    network = one.result.network
    number = 5
    x, y = one.result.points.places[number].tolist()
    event(one, "mouse_down", x + 0.01, y)
    assert one.held == number and one.points == "moons"  # nothing moves yet
    for step in range(1, 30):
        event(one, "mouse_move", x + 0.02 * step, y - 0.01 * step)
    event(one, "mouse_up", x + 0.6, y - 0.3)
    event(one, "mouse_move", 1.0, 1.0)  # no longer held
    assert one.wait(SECONDS)
    places = one.result.points.places
    assert places[number].tolist() == pytest.approx([x + 0.58, y - 0.29], abs=1e-3)
    assert torch.equal(places[:number], toy_points("moons").places[:number])
    assert one.result.network is network and one.result.progress == 1


def test_a_press_elsewhere_moves_the_cross(region_map: Make) -> None:
    one = region_map()
    event(one, "mouse_down", -1.3, -1.3)
    event(one, "mouse_up", -1.3, -1.3)
    assert one.wait(SECONDS)
    assert one.held == -1 and one.probe == pytest.approx((-1.3, -1.3))
    assert one.result.probe == pytest.approx([-1.3, -1.3])


def test_what_dragging_does_can_be_typed(region_map: Make) -> None:
    one = region_map()
    x, y = find(one, "x"), find(one, "y")
    x.value = 0.75
    assert one.probe[0] == 0.75
    find(one, "Move (-1: cross)").value = 2
    before = one.result.points.places[2].tolist()
    assert (x.value, y.value) == pytest.approx(before, abs=1e-3)
    y.value = -1.0
    assert one.wait(SECONDS)
    assert one.result.points.places[2].tolist() == pytest.approx([before[0], -1.0], abs=1e-3)
    find(one, "Move (-1: cross)").value = 500
    assert "a point from 0 to 39" in one.error
    assert find(one, "Move (-1: cross)").value == 2


def test_places_outside_end_at_the_border(region_map: Make) -> None:
    one = region_map()
    one.move(3, 99.0, -99.0)
    assert one.wait(SECONDS)
    assert one.result.points.places[3].tolist() == [EXTENT, -EXTENT]
    with pytest.raises(ValueError, match="two finite numbers"):
        one.move(3, float("nan"), 0.0)
    with pytest.raises(ValueError, match="no point 40"):
        one.move(40, 0.0, 0.0)


def test_a_held_point_that_is_gone_is_let_go(region_map: Make) -> None:
    one = region_map(held=30)
    one.points = ([[0.5, 0.5], [-0.5, -0.5]], [0, 1])
    assert one.wait(SECONDS) and not one.error
    assert one.held == -1 and find(one, "Move (-1: cross)").value == -1
    find(one, "x").value = 0.25
    assert one.wait(SECONDS) and not one.error
    assert one.probe[0] == 0.25 and one.result.probe[0] == 0.25
    one.choose(points="moons", held=30)
    assert one.held == 30


def test_points_that_move_while_it_trains_are_learnt(region_map: Make) -> None:
    one = region_map()
    chance = np.random.default_rng(0)
    for _ in range(60):
        one.move(int(chance.integers(40)), *chance.uniform(-4, 4, 2).tolist())
        one.shown = str(chance.choice(["gradient", "pullback", "blend"]))
        one.move(-1, *chance.uniform(-2, 2, 2).tolist())
        if chance.random() < 0.1:
            one.stop()
    assert one.wait(SECONDS)
    one.move(-1, 0.0, 0.0)
    assert one.wait(SECONDS) and not one.error
    assert one.result.progress == 1 and np.isfinite(one.result.score).all()
    assert torch.equal(one.result.points.places, one.points.places)
    assert one.points.places.abs().max() <= EXTENT


def test_a_map_that_is_closed_while_it_trains(region_map: Make) -> None:
    one, other = region_map(), region_map(seed=4)
    one.run()
    one.close()
    assert one.wait(SECONDS)
    other.run()
    assert other.wait(SECONDS) and other.result.progress == 1 and not other.error


def test_two_maps_that_train_at_once_are_their_seeds(region_map: Make) -> None:
    one, other = region_map(), region_map()
    expected = one.result.score
    torch.manual_seed(0)
    drawn = torch.rand(8)
    torch.manual_seed(0)
    one.run()
    other.run()
    assert torch.equal(torch.rand(8), drawn)
    assert one.wait(SECONDS) and other.wait(SECONDS)
    assert np.array_equal(one.result.score, expected)
    assert np.array_equal(other.result.score, expected)


def test_a_new_shape_is_a_new_network_and_the_same_one_is_not(region_map: Make) -> None:
    one = region_map()
    network, score = one.result.network, one.result.score
    one.temperature = 0.9
    assert one.wait(SECONDS)
    assert one.result.network is network and np.array_equal(one.result.score, score)
    one.choose(width=5, depth=3)
    assert one.wait(SECONDS)
    assert len(one.result.network) == 7 and one.result.network[0].out_features == 5
    network = one.result.network
    one.run()
    assert one.wait(SECONDS)
    assert one.result.network is not network
    # Trained anew from the same weights.
    assert torch.equal(one.result.network[0].weight, network[0].weight)


def test_training_can_be_stopped_and_goes_on(region_map: Make) -> None:
    one = region_map()
    seen: list[float] = []

    def stop(change: Any) -> None:
        seen.append(change["new"].progress)
        if len(seen) == 2:
            one.stop()

    one.observe(stop, "result")
    one.run()
    assert one.wait(SECONDS)
    assert len(seen) == 2 and 0 < one.result.progress < 1
    one.temperature = 0.3
    assert one.wait(SECONDS)
    assert one.result.progress == 1
    assert len(seen) > 600 / STEPS - 2


def test_maps_that_are_refused(region_map: Make) -> None:
    refuses(
        region_map(),
        [
            ("width", 0), ("width", 65), ("depth", 7), ("temperature", -0.1), ("probe", (1, 2, 3)),
            ("points", "stars"), ("held", -2), ("seed", -1), ("seed", 10**30),
            ("points", ([[0, 0], [1.6, 0]], [0, 1])), ("points", ([[1e30, 0]], [1])),
            ("probe", "ab"), ("temperature", float("nan")),
        ],
        ("shown", "blend"),
    )  # fmt: skip


def test_a_control_goes_back_when_it_is_refused(region_map: Make) -> None:
    one = region_map()
    number = next(box for box in everything(one) if type(box) is w.FloatText)
    number.value = -1.0
    assert "temperature is -1.0" in one.error and number.value == 0.2


# The path-stability lab.


@pytest.mark.usefixtures("charts")
def test_the_lab_is_the_function(lab: Make) -> None:
    one = lab(epochs=3, seed=4)
    assert not one.error and one.result.progress == 1
    same = pw.path_stability("digits", epochs=3, seed=4)
    assert np.array_equal(one.result.agreement, same.agreement)
    assert np.array_equal(one.result.cosines, same.cosines)
    assert one.code() == same.code() and "seed=4" in one.code()
    assert "<svg" in one._chart.value
    said = text_with(one, "of the test images right")
    for verdict, _ in one.result.findings():
        assert f"<b>{verdict}</b>" in said


def test_a_training_is_stopped_and_starts_anew(lab: Make) -> None:
    one = lab(epochs=2)
    reached: list[float] = []

    def stop(change: Any) -> None:
        reached.append(change["new"].progress)
        if len(reached) == 3:
            one.stop()

    one.observe(stop, "result")
    one.epochs = 20
    assert one.wait(SECONDS)
    assert len(reached) == 3 and one.result.progress == pytest.approx(0.9 * 3 / 20)
    assert len(one.result.names) <= 4 and one.result.cosines is None
    one.epochs = 1
    assert one.wait(SECONDS)
    assert one.result.progress == 1 and one.result.names == ["0", "1"]


def test_a_stopped_lab_has_the_network_that_it_reached(lab: Make, tmp_path: Path) -> None:
    one = lab(epochs=1)
    one.observe(lambda _: one.stop(), "result")
    one.epochs = 6
    assert one.wait(SECONDS)
    result = one.result
    assert result.progress < 1 and result.state.startswith("stopped at")
    recorder = PathRecorder(load_data("digits").test_images[:256])
    for _ in range(2):
        recorder.add(result.model, "again")
    assert np.array_equal(recorder.states().z[0], result.z[0])
    assert one.save(tmp_path / "stopped.png").stat().st_size > 1000
    one.unobserve_all("result")
    find(one, "Run").click()  # anew, and not from there
    assert one.wait(SECONDS)
    expected = pw.path_stability("digits", epochs=6)
    assert np.array_equal(one.result.agreement, expected.agreement)


def test_a_data_set_is_read_off_the_main_thread(lab: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one, readers = lab(epochs=1), []

    def read(name: str) -> Data:
        readers.append(threading.current_thread())
        return load_data("digits")

    monkeypatch.setattr(data, "load_data", read)
    find(one, "Data").value = "mnist"
    assert one.wait(SECONDS) and not one.error
    assert readers and threading.main_thread() not in readers


def test_a_diverging_training_is_said_and_recovers(lab: Make) -> None:
    one = lab(epochs=2, batch_norm=False)
    one.learning_rate = 1e6
    assert one.wait(SECONDS)
    assert "diverged in epoch 1" in one.error
    assert one.result.chosen["learning_rate"] == 0.05  # what was reached stays
    one.learning_rate = 0.05
    assert one.wait(SECONDS) and not one.error


def test_trainings_that_are_refused(lab: Make) -> None:
    refuses(
        lab(epochs=1),
        [
            ("data", "letters"), ("data", (torch.zeros(3), torch.zeros(3))), ("epochs", 0),
            ("epochs", 2000), ("learning_rate", 0.0), ("learning_rate", float("nan")),
            ("seed", -1),
        ],
        ("seed", 1),
    )  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [("Learning rate", -0.5), ("Epochs", 0)])
def test_a_box_goes_back_when_it_is_refused(lab: Make, name: str, value: float) -> None:
    one = lab(epochs=1)
    box = find(one, name)
    kept = box.value
    box.value = value
    assert box.value in (kept, box.min if hasattr(box, "min") else kept)
    assert box.value == {"Learning rate": one.learning_rate, "Epochs": one.epochs}[name]


def test_two_labs_and_one_that_is_closed(lab: Make) -> None:
    first, second = lab(epochs=2, seed=1), lab(epochs=2, seed=1)
    assert np.array_equal(first.result.agreement, second.result.agreement)
    first.epochs = 50
    first.close()
    assert first.wait(SECONDS)
    second.seed = 2
    assert second.wait(SECONDS) and not second.error


def test_data_of_ones_own_stays_in_the_list(lab: Make) -> None:
    images = torch.rand(100, 8, 8) * 2 - 1
    one = lab((images, (images.mean((1, 2)) > 0).long()), epochs=1)
    box = find(one, "Data")
    assert box.value == "(your own)"
    box.value = "digits"
    assert one.wait(SECONDS) and one.result.chosen["data"] == "digits"
    box.value = "(your own)"
    assert one.wait(SECONDS) and one.result.chosen["data"] == "your data"


# Recipes.


def opens_again(one: Any, path: Path) -> Any:
    """Save a recipe, open it; the new widget, which has the same choices and arrays."""
    again = pw.open_recipe(one.save(path / "recipe.json"))
    assert again.wait(SECONDS) and not again.error and type(again) is type(one)
    assert again.recipe() == one.recipe() and again.notes == ()
    expected = one.result.arrays()
    found = again.result.arrays()
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(found[name], array, equal_nan=array.dtype.kind == "f"), name
    return again


@pytest.mark.parametrize("values", [None, torch.rand(3, 4) - 0.3])
def test_the_recipe_of_gates(playground: Make, tmp_path: Path, values: Any) -> None:
    one = playground(values=values, temperature=2.0, gate="normal", length=5, seed=3, path=7)
    again = opens_again(one, tmp_path)
    try:
        assert (again.path, again.result.shown, again.seed) == (7, 7, 3)
        assert again.result._repr_png_() == one.result._repr_png_()
        assert again.code() == one.code() and "shown=7" in one.code()
    finally:
        again.close()


@pytest.mark.parametrize("points", ["ring", ([[0.5, 0.5], [-0.5, -0.25]], [0, 1])])
def test_the_recipe_of_a_map(region_map: Make, tmp_path: Path, points: Any) -> None:
    one = region_map(
        points=points, width=4, depth=1, seed=5, temperature=0.7, probe=(0.1, -0.7), shown="blend",
        held=1,
    )  # fmt: skip
    again = opens_again(one, tmp_path)
    try:
        assert again.held == 1 and again.shown == again.result.shown == "blend"
        assert np.array_equal(again.result.picture(), one.result.picture())
        assert again.code() == one.code() and "probe=(0.1, -0.7)" in one.code()
    finally:
        again.close()


def own_data() -> tuple[Any, Any]:
    images = torch.rand(100, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return images.double(), (images.mean((1, 2)) > 0).int().numpy()


@pytest.mark.parametrize("given", ["digits", own_data(), data.checked_data(own_data())])
def test_the_recipe_of_a_training(lab: Make, tmp_path: Path, given: Any) -> None:
    one = lab(given, epochs=2, batch_norm=False, learning_rate=0.02, seed=6)
    again = opens_again(one, tmp_path)
    try:
        assert again.result.chosen == one.result.chosen
        assert again.code() == one.code() and "batch_norm=False" in one.code()
    finally:
        again.close()


# All of them.


@pytest.mark.parametrize("kind", ["playground", "region_map", "lab"])
def test_every_control_has_a_name(kind: str, request: pytest.FixtureRequest) -> None:
    one = request.getfixturevalue(kind)(**({"epochs": 1} if kind == "lab" else {}))
    found = controls(one)
    assert len(found) >= 4
    for control in found:
        assert control.description or control.tooltip, control


@pytest.mark.parametrize("kind", ["playground", "region_map", "lab"])
def test_every_kind_of_file_is_written(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    one = request.getfixturevalue(kind)(**({"epochs": 1} if kind == "lab" else {}))
    for ending in one.RESULT.ENDINGS:
        least = 100 if ending == ".json" else 1000
        assert one.save(tmp_path / f"{one.stem()}{ending}").stat().st_size > least
    arrays, settings = load_npz(tmp_path / f"{one.stem()}.npz")
    assert arrays.keys() == one.result.arrays().keys()
    assert settings["pullback_widgets"]
    with pytest.raises(ValueError, match=r"\.png"):
        one.save(tmp_path / "film.gif")


@pytest.mark.parametrize("kind", ["playground", "region_map", "lab"])
def test_choices_that_do_not_exist(kind: str, request: pytest.FixtureRequest) -> None:
    one = request.getfixturevalue(kind)(**({"epochs": 1} if kind == "lab" else {}))
    before = {name: getattr(one, name) for name in one.NAMES}
    with pytest.raises(TypeError, match=f"there are: {', '.join(one.NAMES)}"):
        one.choose(colour="red")
    first = one.NAMES[0]
    with pytest.raises((TypeError, ValueError)):
        one.choose(**{one.NAMES[-1]: before[one.NAMES[-1]], first: object()})
    assert {name: getattr(one, name) for name in one.NAMES} == before


@pytest.mark.parametrize("kind", ["playground", "region_map", "lab"])
def test_a_notebook_keeps_a_picture(kind: str, request: pytest.FixtureRequest) -> None:
    one = request.getfixturevalue(kind)(**({"epochs": 1} if kind == "lab" else {}))
    assert one._stored.bundle()[0]["image/png"]
    assert one._words.startswith(type(one).__name__)


def test_other_threads_compute_as_before(region_map: Make) -> None:
    """Only the map's own thread computes alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        seen: list[int] = []
        one = region_map()
        one.observe(lambda change: seen.append(torch.get_num_threads()), "result")
        one.temperature = 0.4
        assert one.wait(SECONDS)
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert seen[0] == 1 and seen[-1] == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
