"""What goes wrong in the Explorer is explained, and what holds goes on."""

import math
import weakref
from collections.abc import Callable
from typing import Any

import ipywidgets as w
import pytest
import torch
from explorers import Hold, Make, Moody, explained, fails, oom, right
from networks import image, wrap
from torch import Tensor
from waiting import SECONDS
from widgets import Page, enter, everything, find, said, text_with

import pullback_widgets as pw

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
    state, messages = explorer.request(), page.messages
    controls = {id(one): one.value for one in everything(explorer) if hasattr(one, "value")}
    explorer.attempt(name, value)
    assert explorer.wait(SECONDS)
    explained(explorer)
    after = explorer.request()
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no such class", "is like no class of this network; try another word, or 0 to 5"),
        ("golf", "is no class of this network; choose one:"),
        ("6", "There is no class 6; choose a number from 0 to 5."),
        ("999999999", "There is no class 999999999"),
        ("999999999999999999999", "is like no class"),
        ("²", "is like no class"),
        ("cat, spoon, golf", "Two classes at most"),
    ],
)
def test_a_class_that_is_not_there_leaves_the_one_that_holds(
    explorer: pw.Explorer, page: Page, text: str, says: str
) -> None:
    explorer.target = "spoon"
    right(explorer, page)
    field = find(explorer, "Class")
    enter(field, text)
    assert says in said(explorer)
    assert explorer.target == "spoon" and field.value == text
    right(explorer, page)
    enter(field, "")  # and what holds is shown again
    assert field.value == "spoon"


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
        explorer.attempt("target", "no such class")
    assert explorer.wait(SECONDS)
    explained(explorer, "no such class")


def no_memory(y: Tensor) -> Tensor:
    raise MemoryError


def no_memory_of_the_machine(y: Tensor) -> Tensor:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.")


MOODS: list[tuple[Callable[[Tensor], Tensor], str]] = [
    (fails, "KeyError"),
    (oom, "out of memory"),
    (lambda y: y * math.nan, "NaN"),
    (lambda y: y.sum(), "logits"),
    (no_memory, "memory"),
    (no_memory_of_the_machine, "ran out of memory; choose a smaller network"),
]


@pytest.mark.parametrize(
    ("mood", "words"), MOODS, ids=["exception", "out of memory", "NaN", "shape", "no memory", "CPU"]
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


def test_where_memory_runs_out_once_the_picture_comes_without_a_word(
    explore: Make, page: Page
) -> None:
    """The pass of the picture before, which is kept for the next one, has gone by then."""
    net = Moody()
    explorer = explore(wrap(net))
    right(explorer, page)
    before, alive = weakref.ref(explorer._sessions._session), []

    def once(y: Tensor) -> Tensor:
        net.mood = again
        return oom(y)

    def again(y: Tensor) -> Tensor:
        alive.append(before() is not None)
        return y

    net.mood = once
    explorer.image = image(2)
    right(explorer, page)
    assert explorer.error == ""
    assert alive[0] is False


def test_a_network_that_fails_from_the_beginning(explore: Make, page: Page) -> None:
    net = Moody()
    net.mood = fails
    explorer = explore(wrap(net))
    explained(explorer, "KeyError")
    bundle = explorer._stored.bundle()[0]
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
