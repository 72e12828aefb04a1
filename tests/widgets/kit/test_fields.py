"""Lines of text that offer what may be meant: classes and layers."""

from __future__ import annotations

import threading
from typing import Any

import ipywidgets as w
import pytest
from widgets import enter, find, offered, said, seen, submit, text_with, type_in

import pullback_widgets as pw
from pullback_widgets.engine.layer import Layer
from pullback_widgets.widgets.kit.class_field import ClassField
from pullback_widgets.widgets.kit.layer_field import MOST, LayerField
from pullback_widgets.widgets.kit.offers import in_place_of

NAMES = (
    "tench, Tinca tinca",
    "crane",
    "dalmatian",
    "Crane",
    "crane",
    "pug, pug-dog",
    "face powder",
)


class Taken(list[Any]):
    """What was chosen."""


@pytest.fixture
def taken() -> Taken:
    return Taken()


def class_field(
    taken: Taken, names: tuple[str, ...] | None = NAMES, classes: int = 7, empty: str = ""
) -> ClassField:
    field = ClassField(taken.append, 312, empty)
    field.know(names, classes)
    field.show("dalmatian")
    return field


def layer_field(taken: Taken, layers: list[Layer], classes: int = 10) -> LayerField:
    field = LayerField(taken.append, 312)
    field.know(layers, classes)
    field.show("logits" if classes else layers[0].name)
    return field


def network(blocks: int, layers: int) -> list[Layer]:
    stem = [Layer("conv", "Conv2d", (8, 32, 32)), Layer("relu", "ReLU", (8, 32, 32))]
    inside = [
        Layer(f"blocks.{b}.{n}.{kind}", kind, (8, 16, 16))
        for b in range(blocks)
        for n in range(layers)
        for kind in ("conv", "act")
    ]
    return stem + inside


# Classes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels", "says", "enter_takes"),
    [
        ("dog", ["dalmatian", "pug, pug-dog"], "&quot;dog&quot; is no class of this", None),
        ("face", ["face powder"], "is no class of this network; a click takes", None),
        ("TENCH", ["tench, Tinca tinca"], "Enter takes the first", 0),
        ("Crane", ["Crane", "crane · 1", "crane · 4"], "Enter takes the first", 3),
        ("crane", ["crane · 1", "crane · 4", "Crane"], "the name of 2 classes; choose", None),
        ("Crane · 4", ["crane · 4"], "Enter takes the first", 4),
        ("4", ["crane · 4"], "Enter takes the first", 4),
        ("7", [], "There is no class 7; choose a number from 0 to 6", None),
        ("xyzzy", [], "is like no class of this network; try another word, or 0 to 6", None),
        ("pug,", ["pug, pug-dog"], "", 5),
        ("tench, Tinca tinca", ["tench, Tinca tinca"], "", 0),
        ("dog, pug", ["dalmatian", "pug, pug-dog"], "&quot;dog&quot; is no class", None),
        (
            "pug, crane",
            ["minus crane · 1", "minus crane · 4", "minus Crane"],
            "",
            None,
        ),
        ("2, face", ["minus face powder"], "", None),
        ("pug, dalmatian, 4", [], "Two classes at most", None),
    ],
)
def test_a_text_is_answered_with_classes(
    text: str, labels: list[str], says: str, enter_takes: int | str | None, taken: Taken
) -> None:
    field = class_field(taken)
    type_in(field.text, text)
    assert sorted(offered(field.offers.box)) == sorted(labels) and says in said(field.offers.box)
    assert field.text.value == text and not taken
    assert field.offers.open
    enter(field.text, text)
    assert taken == ([] if enter_takes is None else [enter_takes])
    assert field.offers.open == (not taken)
    if not taken:
        assert field.text.value == text


def test_a_click_takes_a_class(taken: Taken) -> None:
    field = class_field(taken)
    type_in(field.text, "dog")
    find(field.offers.box, "pug, pug-dog").click()
    assert taken == [5] and field.text.value == "pug, pug-dog" and offered(field.offers.box) == []
    type_in(field.text, "dog, face")
    find(field.offers.box, "dalmatian").click()
    assert taken == [5] and field.text.value == "dalmatian, face"
    find(field.offers.box, "minus face powder").click()
    assert taken == [5, "dalmatian, face powder"]


def test_buttons_are_made_when_they_are_needed_and_no_more_than_once(taken: Taken) -> None:
    field = class_field(taken)

    def buttons() -> list[w.Button]:
        return [one for one in field.offers.box.children if isinstance(one, w.Button)]

    assert buttons() == []
    field.text.value = "dog"
    made = buttons()
    assert len(made) == 2
    field.text.value = "crane"
    assert buttons()[:2] == made and len(buttons()) == 3
    field.text.value = "dog"
    buttons()[2].click()  # is seen no longer
    assert not taken
    made[1].click()
    assert taken == [2]


def test_what_is_chosen_meanwhile_is_shown_and_else_the_text_stays(taken: Taken) -> None:
    field = class_field(taken)
    type_in(field.text, "do")
    field.show("dalmatian")
    assert field.text.value == "do" and offered(field.offers.box)
    field.show("Crane")
    assert field.text.value == "Crane" and not offered(field.offers.box)


def test_no_class_at_all_is_offered_where_it_means_something(taken: Taken) -> None:
    field = class_field(taken, empty="top class")
    field.text.value = ""
    assert offered(field.offers.box) == ["top class", "dalmatian"]
    find(field.offers.box, "Keep dalmatian").click()
    assert not taken and field.text.value == "dalmatian" and not field.offers.open
    field.text.value = ""
    find(field.offers.box, "top class").click()
    assert taken == [None] and field.text.value == "" and not field.offers.open
    field.show("Crane")
    enter(field.text, "")
    assert taken == [None, None] and field.text.value == ""
    enter(field.text, "")
    assert taken == [None, None] and not field.offers.open


def test_a_network_that_comes_later_names_what_was_chosen_by_number(taken: Taken) -> None:
    field = ClassField(taken.append, 312)
    field.show(2)
    assert field.text.value == "class 2"
    enter(field.text, "pug")
    assert "not known yet" in said(field.offers.box) and not taken
    field.know(NAMES, 7)
    assert field.text.value == "dalmatian" and not field.offers.open


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (None, ""),
        (2, "dalmatian"),
        ("TENCH", "TENCH"),
        (pw.Logit(4), "crane · 4"),
        (pw.Difference(pw.Logit(2), pw.Logit("pug")), "dalmatian, pug"),
        (pw.Difference(pw.Logit(5), pw.Logit(4)), "5, 4"),
        (pw.Difference(pw.Logit(5), pw.Channel("relu", 3)), ""),
        (pw.Channel("relu", 3), ""),
    ],
)
def test_a_target_in_the_line(target: Any, text: str, taken: Taken) -> None:
    field = class_field(taken)
    field.show(target)
    assert field.text.value == text


def test_what_is_offered_takes_the_place_of_other_controls(taken: Taken) -> None:
    field, other = class_field(taken), w.Button()
    place = in_place_of(field.offers, other)
    assert other in seen(place) and field.offers.box not in seen(place)
    field.text.value = "dog"
    assert other not in seen(place) and field.offers.box in seen(place)
    assert "none" not in {one.layout.display for one in place.children}  # it keeps its height
    find(place, "pug, pug-dog").click()
    assert other in seen(place) and field.offers.box not in seen(place)


def test_nothing_at_all_is_what_was_chosen(taken: Taken) -> None:
    field = class_field(taken)
    type_in(field.text, "dog")
    field.text.value = ""
    assert not field.offers.open
    enter(field.text, "")
    assert field.text.value == "dalmatian" and not taken


def test_enter_may_come_before_the_last_letters(taken: Taken) -> None:
    """A page sends Enter at once, and letters after the answer to those before."""
    field = class_field(taken)
    enter(field.text, "pu")
    field.text.value = "pug"
    assert taken == [5]
    taken.clear()
    enter(field.text, "cran")
    field.text.value = "crane · 1"
    assert taken == [1]
    enter(field.text, "cran")
    field.text.value = "crane"  # two are called so
    field.text.value = "crane · 4"
    assert taken == [1]


@pytest.mark.parametrize("kind", ["class", "layer"])
def test_enter_may_be_handled_while_the_text_is_answered(kind: str, taken: Taken) -> None:
    """Two threads of a kernel may serve one page, as long as a subshell is being made."""
    classes, layers = class_field(taken), layer_field(taken, network(blocks=1, layers=1))
    field, text, takes = (classes, "pug", 5) if kind == "class" else (layers, "relu", "relu")
    answer, other = field._answer, threading.Thread(target=lambda: submit(field.text))

    def slow(typed: str) -> Any:
        other.start()
        other.join(0.2)  # where nothing holds it back it is through by now
        return answer(typed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field, "_answer", slow)
        field.text.value = text
    other.join()
    assert taken == [takes] and not field.offers.open


def test_without_names_there_are_numbers(taken: Taken) -> None:
    field = class_field(taken, None, 5)
    type_in(field.text, "dog")
    assert "no class names; give a number from 0 to 4" in said(field.offers.box)
    enter(field.text, "dog")
    assert not taken
    enter(field.text, "3")
    assert taken == [3] and field.text.value == "class 3"


def test_more_names_than_outputs_offer_no_class_that_is_not_there(taken: Taken) -> None:
    field = class_field(taken, NAMES, 5)
    type_in(field.text, "dog")
    assert offered(field.offers.box) == ["dalmatian"]


# Layers ------------------------------------------------------------------------------------------


def test_layers_are_offered_by_stage(taken: Taken) -> None:
    field = layer_field(taken, network(blocks=3, layers=2))
    type_in(field.text, "act")
    assert offered(field.offers.box) == ["0.act", "1.act"] * 3 and "6 layers" in said(
        field.offers.box
    )
    shown = [one.value for one in seen(field.offers.box) if isinstance(one, w.HTML)]
    assert [f"blocks.{n}" in one for n, one in enumerate(shown[1:])] == [True] * 3
    find(field.offers.box, "blocks.1.1.act, act, 8x16x16").click()
    assert taken == ["blocks.1.1.act"] and field.text.value == "blocks.1.1.act"
    assert not field.offers.open


def test_all_layers_begin_with_the_stages(taken: Taken) -> None:
    field = layer_field(taken, network(blocks=2, layers=30))
    field.all.click()
    assert offered(field.offers.box) == ["conv", "relu", "blocks.0 · 60", "blocks.1 · 60", "logits"]
    find(field.offers.box, "blocks.1 · 60").click()
    assert field.text.value == "blocks.1." and not taken
    parts = [f"blocks.1.{n} · 2" for n in range(30)]
    assert offered(field.offers.box) == parts[:MOST]
    field.text.value = "blocks.1"  # which is no layer here
    assert offered(field.offers.box) == parts[:MOST]
    find(field.offers.box, "blocks.1.3 · 2").click()
    assert offered(field.offers.box) == ["3.conv", "3.act"]
    find(field.offers.box, "3.act").click()
    assert taken == ["blocks.1.3.act"]


def test_one_step_back_or_on(taken: Taken) -> None:
    field = layer_field(taken, network(blocks=1, layers=1))
    assert field.next.disabled and text_with(field.about, "of 5 · 10 classes")
    field.previous.click()
    assert taken == ["blocks.0.0.act"] and text_with(field.about, "of 5 · act, 8x16x16")
    for _ in range(3):
        field.previous.click()
    assert field.previous.disabled and not field.next.disabled and field.text.value == "conv"
    field.next.click()
    assert taken[-2:] == ["conv", "relu"]


def test_the_number_of_the_layer(taken: Taken) -> None:
    field = layer_field(taken, network(blocks=1, layers=1))
    assert (field.number.value, field.number.max) == (5, 5)
    field.number.value = 4  # as by the arrow key down
    assert taken == ["blocks.0.0.act"] and field.text.value == "blocks.0.0.act"
    field.previous.click()
    assert field.number.value == 3
    field.number.value = 2.5
    assert field.number.value == 3
    assert taken.pop() == 2.5  # which a figure refuses, with the reason
    field.show("of another network")
    assert field.number not in seen(field.about) and len(taken) == 2


def test_before_the_network_is_there_no_layer_is_offered(taken: Taken) -> None:
    field = LayerField(taken.append, 312)
    field.all.click()
    assert "not known yet" in said(field.offers.box) and not offered(field.offers.box)
    field.know(network(1, 1))
    field.show("relu")
    assert field.text.value == "relu" and not field.offers.open and not taken


def test_without_classes_there_are_no_logits(taken: Taken) -> None:
    field = layer_field(taken, network(1, 1), 0)
    assert field.names[-1] == "blocks.0.0.act" and field.previous.disabled


@pytest.mark.parametrize(
    ("text", "takes"),
    [("RELU", ["relu"]), ("0.act", ["blocks.0.0.act"]), ("conv", ["conv"]), ("0.", []), ("?", [])],
)
def test_enter_takes_a_layer_of_this_name_or_the_only_one(
    text: str, takes: list[str], taken: Taken
) -> None:
    field = layer_field(taken, network(blocks=1, layers=1))
    enter(field.text, text)
    assert taken == takes and field.text.value == (takes or [text])[0]
    enter(field.text, "")
    assert field.text.value == (takes or ["logits"])[0]
