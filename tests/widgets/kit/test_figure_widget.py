"""A live figure without a network: all that a figure has to fill in, and what it gets for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets as w
import pytest
from ipywidgets.widgets.widget import _instances
from matplotlib.figure import Figure
from waiting import SECONDS
from widgets import everything, find, making, text_with

from pullback_widgets.drawing import expression
from pullback_widgets.figures.declared import Request, computed, drawn
from pullback_widgets.figures.kinds import OneOf, Whole
from pullback_widgets.figures.result import Result
from pullback_widgets.widgets.kit.binding import bind
from pullback_widgets.widgets.kit.figure_widget import FigureWidget

pytestmark = pytest.mark.usefixtures("nothing_swallowed")


@dataclass(frozen=True, eq=False)
class SumRequest(Request):
    """What a sum is asked for."""

    upto: int = field(default=4, metadata=computed(Whole(1)))
    look: str = field(default="plain", metadata=drawn(OneOf(("plain", "grand"))))


class Sum(Result):
    """A sum in the making."""

    def __init__(self, request: SumRequest) -> None:
        self.request, self.total, self.progress = request, 0, 0.0

    def figure(self) -> Figure:
        figure = Figure()
        figure.text(0.5, 0.5, str(self.total))
        return figure

    def summary(self) -> str:
        return f"a sum up to {self.upto}"

    def arrays(self) -> dict[str, Any]:
        return {}

    def code(self) -> str:
        return expression.script(f"sum(range({self.upto + 1}))")


class Adder(FigureWidget):
    """Adds the numbers up to a choice, one in each step."""

    TITLE = "Sum <of> numbers"
    RESULT = Sum
    REQUEST = SumRequest

    stops_at = -1
    """Asked for in the computing thread: a step after which no other follows."""

    def compute(self, request: SumRequest) -> Iterator[Sum]:
        result = Sum(request)
        for number in range(1, result.upto + 1):
            if number == 13:
                raise ArithmeticError("13 is no number to add")
            result.total += number
            result.progress = number / result.upto
            if number == self.stops_at:
                self.stop()
            yield result

    def screen(self) -> w.Widget:
        self._screen = w.HTML()
        return self._screen

    def show(self, result: Sum) -> None:
        self._screen.value = f"{self.look} {result.total}"

    def controls(self) -> Sequence[w.Widget]:
        box = w.IntText(description="Up to")
        bind(self, "upto", box)
        return [box]

    def caption(self, result: Sum) -> str:
        return f"1 to {result.upto} are {result.total}"


class Instant(Adder):
    """One whose figure is there at once."""

    TAKES_TIME: ClassVar[bool] = False


Make = Callable[..., Adder]


@pytest.fixture
def make() -> Iterator[Make]:
    yield from making(Adder)


@pytest.fixture
def make_instant() -> Iterator[Make]:
    yield from making(Instant)


def status(stage: Adder) -> str:
    return str(stage._status.value)


def test_a_figure_is_shown_with_its_caption(make: Make) -> None:
    stage = make(upto=3)
    assert stage.result.total == 6 and stage._screen.value == "plain 6"
    assert text_with(stage, "1 to 3 are 6")
    assert "Sum &lt;of&gt; numbers" in text_with(stage, "pullback-heading")
    assert stage._bar.value == 1 and stage._bar.bar_style == "success"


def test_every_step_is_told(make: Make) -> None:
    stage = make()
    totals: list[int] = []
    stage.observe(lambda change: totals.append(change["new"].total), "result")
    stage.run()
    assert stage.wait(SECONDS) and totals == [1, 3, 6, 10]


def test_a_choice_computes_anew_and_a_look_only_draws(make: Make) -> None:
    stage = make()
    first = stage.result
    stage.look = "grand"
    assert stage.result is first and stage._screen.value == "grand 10"
    find(stage, "Up to").value = 2
    assert stage.wait(SECONDS) and stage.result is not first
    assert stage._screen.value == "grand 3"


def test_several_choices_are_one_computation(make: Make) -> None:
    stage = make()
    results: list[Sum] = []
    stage.observe(lambda change: results.append(change["new"]), "result")
    stage.choose(look="grand", upto=5)
    assert stage.wait(SECONDS) and set(results) == {stage.result}
    with pytest.raises(TypeError, match="no choice 'colour'; there are: upto, look"):
        stage.choose(colour="red")


def test_stop_leaves_what_is_computed_and_run_starts_anew(make: Make, tmp_path: Path) -> None:
    stage = make()
    stage.stops_at = 2
    stage.upto = 8
    assert stage.wait(SECONDS)
    assert stage.result.total == 3 and stage._screen.value == "plain 3"
    assert "stopped at 25 %, Run starts anew" in status(stage)
    assert stage.save(tmp_path / "sum.png").stat().st_size > 0
    stage.stops_at = -1
    find(stage, "Run").click()
    assert stage.wait(SECONDS) and stage.result.total == 36 and "stopped" not in status(stage)


def test_an_error_is_said_and_the_next_choice_recovers(make: Make, tmp_path: Path) -> None:
    stage = make()
    stage.upto = 20
    assert stage.wait(SECONDS)
    assert stage.error == "ArithmeticError: 13 is no number to add"
    assert stage._bar.bar_style == "danger" and "computing" not in status(stage)
    assert "traceback" in text_with(stage, "pullback-error")
    for take in (stage.figure, stage.code, lambda: stage.save(tmp_path / "sum.png")):
        with pytest.raises(RuntimeError, match="13 is no number"):
            take()
    stage.upto = 12
    assert stage.wait(SECONDS) and not stage.error and stage.result.total == 78
    assert not text_with(stage, "pullback-error")


def test_a_refused_choice_is_said_and_leaves_the_figure(make: Make) -> None:
    stage = make()
    box, first = find(stage, "Up to"), stage.result
    box.value = -2
    assert stage.error == "upto is -2; expected a whole number from 1 up." and box.value == 4
    assert stage.wait(SECONDS) and stage.result is first
    assert stage.code() == first.code()  # the figure is as good as before
    box.value = 5
    assert stage.wait(SECONDS) and not stage.error


def test_a_stage_that_takes_no_time_has_neither_run_nor_stop(
    make: Make, make_instant: Make
) -> None:
    words = [
        [getattr(one, "description", "") for one in everything(stage)]
        for stage in (make(), make_instant())
    ]
    assert {"Run", "Stop"} <= set(words[0]) and not {"Run", "Stop"} & set(words[1])
    assert not any(isinstance(one, w.FloatProgress) for one in everything(make_instant()))


@pytest.mark.parametrize("kind", [Adder, Instant])
def test_nothing_of_a_closed_stage_stays(kind: type[Adder]) -> None:
    before = set(_instances)
    stage = kind()
    assert stage.wait(SECONDS)
    stage.close()
    left = [_instances[key] for key in set(_instances) - before]
    assert not [one for one in left if not isinstance(one, w.Layout | w.Style)]


def test_a_stage_closed_while_it_computes_ends(make: Make) -> None:
    stage = make()
    reached, go_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        reached.set()
        assert go_on.wait(SECONDS)

    stage.observe(hold, "result")
    stage.upto = 9
    assert reached.wait(SECONDS)
    stage.close()
    go_on.set()
    assert stage.wait(SECONDS) and stage.result.progress < 1
    done = stage.result
    stage.upto = 3  # nobody is there to see it
    assert stage.wait(SECONDS) and stage.result is done


def test_a_notebook_keeps_a_picture_for_places_without_a_kernel(make: Make) -> None:
    still = make()._stored.bundle()[0]
    assert still["image/png"] and still["text/plain"] == "Adder: Sum <of> numbers"


def test_the_unseen_widget_has_the_picture_for_pages_with_the_state_of_widgets(make: Make) -> None:
    """Pages of nbconvert show a widget that they have the state of, and no other output."""
    stage = make()
    assert (
        "<img" not in stage._stored.unseen.value and "display: none" in stage._stored.unseen.value
    )
    png = stage._stored.bundle()[0]["image/png"]
    assert f'src="data:image/png;base64,{png}"' in stage._stored.unseen.value
    assert 'alt="Adder: Sum &lt;of&gt; numbers"' in stage._stored.unseen.value


def test_files_are_named_after_the_stage(make: Make, tmp_path: Path) -> None:
    stage = make()
    assert stage.stem == "adder-a-sum-up-to-4"
    with pytest.raises(ValueError, match=r"\.png"):
        stage.save(tmp_path / "sum.txt")
