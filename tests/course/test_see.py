"""The checks of notebook 1; its solutions, run by .ci/notebooks.py, try the right answers too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import pullback_widgets as pw
from pullback_widgets.course.see import LAYER


@pytest.fixture(scope="module")
def activations() -> Any:
    return pw.Session(pw.load_model("efficientnet_lite0"), "chelsea").activations(LAYER)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("0.2", "A temperature is a number, and this is str"),
        (-0.1, "start at 0"),
        (0.0, "the plain gradient itself"),
        (0.1, "go on to the right"),
        (0.3, "go back to the left"),
        (0.85, "go back to the left"),
        (float("nan"), "cannot be checked"),
    ],
)
def test_a_wrong_temperature_is_told_the_direction(answer: Any, words: str) -> None:
    verdict = pw.check("1.1", answer)
    assert not verdict
    assert words in verdict.text


def test_the_stops_just_under_one_half_are_right() -> None:
    assert pw.check("1.1", 0.19)
    assert pw.check("1.1", 0.21)
    assert not pw.check("1.1", 0.17)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (3.5, "a name or a number"),
        ("golf bat", "did you mean golf ball (574)"),
        (1000, "0 to 999"),
        ("tiger cat", "is an animal"),
        ("red fox", "is an animal"),
        ("espresso", "not yet above 0.7"),
        ("thatch", "opposite sign"),
    ],
)
def test_a_class_that_is_not_the_cats_picture_is_told_why(answer: Any, words: str) -> None:
    verdict = pw.check("1.2", answer)
    assert not verdict
    assert words in verdict.text


@pytest.mark.parametrize("answer", ["plastic bag", 728, "moped", "water jug"])
def test_things_with_the_cats_picture_are_right(answer: Any) -> None:
    assert pw.check("1.2", answer)


def neuron(channel: Any, position: Any, layer: str = LAYER) -> Any:
    """What the check reads off an Explorer."""
    return SimpleNamespace(layer=layer, channel=channel, position=position)


def test_any_channel_will_do_at_its_own_best_place(activations: Any) -> None:
    for channel in (0, 64, 218):
        place = divmod(int(activations[channel].argmax()), activations.shape[2])
        assert pw.check("1.3", neuron(channel, place))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((64, (6, 4)), "The answer is the Explorer itself, and this is tuple"),
        (neuron(64, (6, 4), "blocks.3.2.bn2.act"), f"go back to {LAYER}"),
        (neuron(None, (3, 4)), "No channel is chosen yet"),
        (neuron(64, None), "No place is chosen yet"),
        (neuron(64, (4, 6)), "Row and column are exchanged"),
        (neuron(64, (0, 0)), "elsewhere with up to 18."),
    ],
)
def test_a_wrong_place_is_told_what_is_wrong(answer: Any, words: str) -> None:
    verdict = pw.check("1.3", answer)
    assert not verdict
    assert words in verdict.text


def test_a_channel_that_nothing_excites_is_no_answer(activations: Any) -> None:
    asleep = (activations.flatten(1).amax(1) <= 0).nonzero()
    assert len(asleep)
    assert "below zero everywhere" in pw.check("1.3", neuron(int(asleep[0]), (0, 0))).text


def test_the_hints_lead_to_right_answers() -> None:
    for hint in (pw.hint("1.2") for _ in range(3)):
        last = hint.text
    for thing in last.removeprefix("Try ").rstrip(".").replace(" or ", ", ").split(", "):
        assert pw.check("1.2", thing)
