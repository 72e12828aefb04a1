"""First figures are computed one after another; what a user asks for never waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from networks import image, network, seeded, wrap
from torch import Tensor, nn
from waiting import SECONDS, until
from widgets import Page, find, making, text_with

import pullback_widgets as pw
from pullback_widgets.widgets.kit.turn import TURNS, Turns, give_memory_back

pytestmark = pytest.mark.usefixtures("nothing_swallowed")


class Gate(nn.Module):
    """A network that waits in its forward pass until it may go on."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.reached, self.open = threading.Event(), threading.Event()
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        self.reached.set()
        assert self.open.wait(SECONDS)
        if self.fails:
            raise RuntimeError("no more power")
        return self.module(x)


def build(module: nn.Module) -> pw.CounterfactualGrid:
    model = wrap(module)
    model.categories = None
    return pw.CounterfactualGrid(model, image(), [0], extra=None, steps=1, step_size=1.5)


@pytest.fixture
def first() -> Gate:
    return Gate(network("residual"))


@pytest.fixture
def views(page: Page, first: Gate) -> Iterator[list[pw.CounterfactualGrid]]:
    """Two views, the first of which is held up in its first step."""
    made = [build(first)]
    assert first.reached.wait(SECONDS)
    made.append(build(network("residual")))
    yield made
    first.open.set()
    for view in made:
        view.stop()
        assert view.wait(SECONDS)
        view.close()
    assert not TURNS._queue


def waits(view: pw.CounterfactualGrid) -> bool:
    """Whether a view says that it waits, which it does once its thread has begun."""
    said = threading.Event()
    view._status.observe(lambda change: said.set() if "waits" in change["new"] else None, "value")
    return "waits for the figure before" in view._status.value or said.wait(SECONDS)


def test_the_second_figure_waits_for_the_first(
    views: list[pw.CounterfactualGrid], first: Gate
) -> None:
    assert waits(views[1]) and views[1].result is None
    order: list[int] = []
    for number, view in enumerate(views):
        view.observe(lambda change, number=number: order.append(number), "result")  # type: ignore[misc]
    first.open.set()
    assert all(view.wait(SECONDS) for view in views)
    assert order == sorted(order) and set(order) == {0, 1}
    assert all(view.result.progress == 1 and not view.error for view in views)


@pytest.mark.parametrize("ask", ["Run", "a choice"])
def test_what_a_user_asks_for_does_not_wait(views: list[pw.CounterfactualGrid], ask: str) -> None:
    assert waits(views[1])
    if ask == "Run":
        find(views[1], "Run").click()
    else:
        views[1].temperature = 0.3
    assert views[1].wait(SECONDS) and views[1].result.progress == 1
    assert views[0].result.progress == 0


def test_stopped_while_it_waits_it_computes_nothing(
    views: list[pw.CounterfactualGrid], first: Gate
) -> None:
    assert waits(views[1])
    views[1].stop()
    assert views[1].wait(SECONDS) and views[1].result is None and not views[1].error
    find(views[1], "Run").click()
    assert views[1].wait(SECONDS) and views[1].result.progress == 1


def test_a_first_figure_that_fails_lets_the_next_go_on(
    views: list[pw.CounterfactualGrid], first: Gate
) -> None:
    first.fails = True
    first.open.set()
    assert all(view.wait(SECONDS) for view in views)
    assert views[0].error == "no more power" and views[1].result.progress == 1


@pytest.fixture
def make(page: Page) -> Iterator[Callable[..., pw.LayerAtlas]]:
    module = seeded(nn.Sequential(nn.Conv2d(3, 60, 3), nn.ReLU(), nn.Flatten()))
    yield from making(lambda: pw.LayerAtlas(wrap(module), "0", image()))


def test_an_atlas_lets_others_go_on_when_its_page_is_there(
    make: Callable[..., pw.LayerAtlas],
) -> None:
    view = make()
    another = TURNS.wait("another")
    view.observe(lambda change: next(another, None), "result")  # it comes when this has begun
    view._begun = False  # as if it were new
    view.run()
    until(lambda: TURNS._queue[:1] == ["another"])
    until(lambda: "nothing is seen yet" in view._status.value)
    assert view.result.done.sum() >= view.per_page and view.result.progress < 1
    assert TURNS._queue[1] is view._worker
    TURNS.leave("another")
    assert view.wait(SECONDS) and view.result.progress == 1
    assert "waits" not in text_with(view, "pullback-status")


def test_a_queue_is_first_come_first_served() -> None:
    turns = Turns()
    assert list(turns.wait("a")) == []
    second, third = turns.wait("b"), turns.wait("c")
    next(second)
    next(third)
    turns.leave("b")  # gives up
    turns.leave("nobody")
    turns.leave("a")
    assert list(third) == []


def test_memory_can_be_given_back() -> None:
    give_memory_back()  # nothing to see but that it works wherever this runs


def test_the_status_after_waiting_is_of_the_computation(
    views: list[pw.CounterfactualGrid], first: Gate
) -> None:
    assert waits(views[1])
    first.open.set()
    assert all(view.wait(SECONDS) for view in views)
    assert "waits" not in text_with(views[1], "pullback-status")
