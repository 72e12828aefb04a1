"""The Explorer's controls follow its attributes, and the reverse."""

from typing import Any

import pytest
from explorers import right
from networks import CATEGORIES
from widgets import Page, click, enter, event, find, offered, said, seen, type_in

import pullback_widgets as pw
from pullback_widgets.engine.target import same_target
from pullback_widgets.widgets.explorer.panels import PRESETS
from pullback_widgets.widgets.kit.temperature import STOPS

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
        if name == "layer":  # is not taken while it is typed
            enter(find(explorer, control), shown)
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


def test_a_class_is_typed_by_name_and_number(explorer: pw.Explorer, page: Page) -> None:
    field = find(explorer, "Class")
    for text, index in (("espresso", 4), ("1", 1), ("Spoon", 5), (" golf ball ", 0)):
        enter(field, text)
        assert right(explorer, page).target == pw.Logit(index)
        assert field.value == CATEGORIES[index]
    explorer.target = "tabby cat"
    right(explorer, page)
    assert field.value == "tabby cat"


def test_what_may_be_meant_is_offered_and_the_text_stays(explorer: pw.Explorer, page: Page) -> None:
    field, before = find(explorer, "Class"), explorer.target
    type_in(field, "golf")
    assert offered(explorer) == ["golf ball", "golf cart"]
    assert "&quot;golf&quot; is no class of this network; choose one:" in said(explorer)
    enter(field, "golf")
    explorer.temperature = 0.3  # a frame about something else
    right(explorer, page)
    assert explorer.target is before and not explorer.error and field.value == "golf"
    assert find(explorer, "pullback-top") not in seen(explorer)
    find(explorer, "golf cart").click()
    assert explorer.target == 1 and field.value == "golf cart" and offered(explorer) == []
    assert find(explorer, "pullback-top") in seen(explorer)
    assert right(explorer, page).target == pw.Logit(1)


def test_two_classes_are_their_difference(explorer: pw.Explorer, page: Page) -> None:
    field = find(explorer, "Class")
    enter(field, "golf, spoon")
    assert offered(explorer) == ["golf ball", "golf cart"]
    find(explorer, "golf cart").click()
    assert explorer.target == "golf cart, spoon" and field.value == "golf cart, spoon"
    assert same_target(right(explorer, page).target, pw.Difference(1, 5))
    enter(field, "spoon, ESPRESSO")
    assert same_target(right(explorer, page).target, pw.Difference(5, 4))
    assert field.value == "spoon, espresso"
    explorer.target = pw.Difference("cat", 0)
    right(explorer, page)
    assert field.value == "cat, golf ball"
    explorer.target = pw.Rivals("cat")
    right(explorer, page)
    assert field.value == ""


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


def test_every_layer_can_be_looked_at(explorer: pw.Explorer, page: Page) -> None:
    layers = [layer.name for layer in pw.layers(explorer.model)]
    previous, after = find(explorer, "◀ Previous"), find(explorer, "Next ▶")
    assert after.disabled  # the logits are the last
    for layer in reversed(layers):
        previous.click()
        assert explorer.layer == find(explorer, "Layer").value == layer
        assert right(explorer, page).view.layer.name == layer
        assert find(explorer, "pullback-strip") in seen(explorer)
    assert previous.disabled
    after.click()
    assert explorer.layer == layers[1]
    right(explorer, page)


def test_a_layer_is_searched(explorer: pw.Explorer, page: Page) -> None:
    field = find(explorer, "Layer")
    type_in(field, "LAYER1.")
    names = [layer.name for layer in pw.layers(explorer.model)]
    assert offered(explorer, 1) == [
        name.removeprefix("layer1.") for name in names if "layer1." in name
    ]
    assert find(explorer, "pullback-top") not in seen(explorer)
    find(explorer, "bn2").click()
    assert explorer.layer == field.value == "layer1.bn2"
    assert find(explorer, "pullback-strip") in seen(explorer) and offered(explorer, 1) == []
    right(explorer, page)
    enter(field, "logits")
    assert explorer.layer == "logits" and find(explorer, "pullback-top") in seen(explorer)
    right(explorer, page)
    find(explorer, "All layers").click()
    assert field.value == "" and "logits" in offered(explorer, 1)
    find(explorer, "All layers").click()
    assert field.value == "logits" and offered(explorer, 1) == []
    enter(field, "xyzzy")
    assert "is in no layer" in said(explorer, 1) and field.value == "xyzzy"
    assert "Classes are chosen at the logits" in said(explorer, 1)
    find(explorer, "All layers").click()  # the message gives way to the list at once
    assert field.value == "" and "Stages" in said(explorer, 1)
    field.value = "xyzzy"
    assert not explorer.error


def test_the_channel_that_likes_a_place_most(explorer: pw.Explorer, page: Page) -> None:
    here = find(explorer, "strongest here")
    explorer.layer = "layer1"
    right(explorer, page)
    assert here.disabled
    for position in ((0, 0), (3, 1), (2, 2)):
        explorer.position = position
        right(explorer, page)
        assert not here.disabled
        here.click()
        values = explorer.session.activations("layer1")[:, position[0], position[1]]
        assert explorer.channel == int(values.argmax()) and explorer.position == position
        right(explorer, page)


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
