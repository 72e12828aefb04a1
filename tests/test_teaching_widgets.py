"""The widgets for teaching, driven by their traits and by events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as w
import numpy as np
import pytest
import torch
from widgets import SECONDS, Page, everything, find, making, text_with

import pullback_widgets as pw
from pullback_widgets.teaching.region_map import STEPS
from pullback_widgets.teaching.toy import EXTENT, toy_points

Make = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_swallowed")


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
        w.Text, w.IntText, w.FloatText, w.BoundedIntText, w.BoundedFloatText, w.IntSlider,
        w.Dropdown, w.Checkbox, w.ToggleButtons,
    )  # fmt: skip
    return [one for one in everything(widget) if isinstance(one, kinds)]


# The gate playground.


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


@pytest.mark.parametrize(
    ("name", "value"),
    [("length", 0), ("length", 65), ("temperature", -1.0), ("path", 5000), ("values", [])],
)
def test_gates_that_are_refused(playground: Make, name: str, value: Any) -> None:
    one = playground()
    kept = getattr(one, name)
    with pytest.raises(ValueError):
        setattr(one, name, value)
    assert getattr(one, name) is kept or getattr(one, name) == kept
    one.attempt(name, value)
    assert one.error and "traceback" in text_with(one, "pullback-error")
    one.length = 4
    assert one.wait(SECONDS) and not one.error


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 0), ("width", 65), ("depth", 7), ("temperature", -0.1), ("probe", (1, 2, 3)),
        ("points", "stars"), ("held", -2),
    ],
)  # fmt: skip
def test_maps_that_are_refused(region_map: Make, name: str, value: Any) -> None:
    one = region_map()
    kept = getattr(one, name)
    with pytest.raises(ValueError):
        setattr(one, name, value)
    assert getattr(one, name) == kept
    assert one.wait(SECONDS) and not one.error


# The path-stability lab.


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


def test_a_diverging_training_is_said_and_recovers(lab: Make) -> None:
    one = lab(epochs=2, batch_norm=False)
    one.learning_rate = 1e6
    assert one.wait(SECONDS)
    assert "diverged in epoch 1" in one.error
    assert one.result.chosen["learning_rate"] == 0.05  # what was reached stays
    one.learning_rate = 0.05
    assert one.wait(SECONDS) and not one.error


@pytest.mark.parametrize(
    ("name", "value"),
    [("data", "letters"), ("epochs", 0), ("epochs", 2000), ("learning_rate", 0.0)],
)
def test_trainings_that_are_refused(lab: Make, name: str, value: Any) -> None:
    one = lab(epochs=1)
    kept = getattr(one, name)
    with pytest.raises(ValueError):
        setattr(one, name, value)
    assert getattr(one, name) == kept
    one.attempt(name, value)
    assert one.error


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


# All of them.


@pytest.mark.parametrize("kind", ["playground", "region_map", "lab"])
def test_every_control_has_a_name(kind: str, request: pytest.FixtureRequest) -> None:
    one = request.getfixturevalue(kind)(**({"epochs": 1} if kind == "lab" else {}))
    found = controls(one)
    assert len(found) >= 4
    for control in found:
        named = control.description or control.tooltip or getattr(control, "tooltips", ())
        assert named or isinstance(control, w.ToggleButtons), control


@pytest.mark.parametrize("kind", ["playground", "region_map", "lab"])
def test_a_notebook_keeps_a_picture(kind: str, request: pytest.FixtureRequest) -> None:
    one = request.getfixturevalue(kind)(**({"epochs": 1} if kind == "lab" else {}))
    assert one._still()["image/png"]
    assert one._words.startswith(type(one).__name__)
