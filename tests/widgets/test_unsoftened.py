"""A network in which nothing is softened: nobody is told that something is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from networks import CLASSES, SIZE, image, network, seeded, wrap
from torch import nn
from waiting import until
from widgets import everything, find, making, text_with

import pullback_widgets as pw
from pullback_widgets.widgets.kit.temperature import OFF

pytestmark = pytest.mark.usefixtures("nothing_swallowed")

Make = Callable[..., Any]


def smooth() -> pw.Model:
    """A network without a ReLU."""
    parts = nn.Conv2d(3, 4, 3, padding=1), nn.ELU(), nn.Conv2d(4, 4, 3, padding=1), nn.ELU()
    return wrap(seeded(nn.Sequential(*parts, nn.Flatten(), nn.Linear(4 * SIZE**2, CLASSES))))


def soft() -> pw.Model:
    return wrap(network("residual"))


@pytest.fixture
def make() -> Iterator[Make]:
    yield from making(lambda view, *arguments, **choices: view(*arguments, **choices))


FIGURES: dict[str, Callable[[Make, pw.Model], Any]] = {
    "explorer": lambda make, model: make(pw.Explorer, model, image(), temperature=0.5),
    "grid": lambda make, model: make(
        pw.CounterfactualGrid, model, {"one": image()}, steps=1, temperature=0.5
    ),
    "journey": lambda make, model: make(pw.DepthJourney, model, image(), steps=1, temperature=0.5),
    "atlas": lambda make, model: make(
        pw.LayerAtlas, model, images={"one": image()}, temperature=0.5
    ),
    "comparison": lambda make, model: make(
        pw.Compare, [model], image(), methods=(), temperature=0.5
    ),
}


def temperatures(view: Any) -> list[Any]:
    """What the temperature is chosen with."""
    return [find(view, "pullback-temperature"), find(view, "Temperature")]


@pytest.mark.parametrize("name", FIGURES)
def test_the_temperature_is_off_and_no_title_speaks_of_one(make: Make, name: str) -> None:
    view = FIGURES[name](make, smooth())
    assert all(control.disabled for control in temperatures(view))
    assert text_with(view, OFF)
    assert text_with(view, "No gate was softened")
    titles = _texts(view.figure())
    assert "T = 0.5" not in titles and "plain gradient" in titles
    assert "No gate was softened" in titles
    assert "T = 0.5" not in view._caption.value

    view = FIGURES[name](make, soft())
    assert not any(control.disabled for control in temperatures(view))
    assert not text_with(view, OFF)
    titles = _texts(view.figure())
    assert "T = 0.5" in titles and "No gate" not in titles


def test_from_one_network_to_another_and_back(make: Make) -> None:
    explorer = make(pw.Explorer, soft(), image(), temperature=0.5)
    curve = find(explorer, "pullback-curve")
    units = find(explorer, "pullback-presets", 1)
    assert curve.layout.display != "none" and not units.disabled

    explorer.model = smooth()
    assert explorer.wait(60)
    assert curve.layout.display == "none" and units.disabled
    assert "plain gradient" in explorer._caption.value
    until(lambda: "T = " not in explorer._screen.picture.box.tooltip)

    explorer.model = soft()
    assert explorer.wait(60)
    assert curve.layout.display != "none" and not units.disabled
    assert "relative T = 0.5" in explorer._caption.value
    assert not any(getattr(control, "disabled", False) for control in temperatures(explorer))


def test_a_comparison_of_both_names_the_one(make: Make) -> None:
    view = make(pw.Compare, [soft(), smooth()], image(), methods=())
    assert not any(control.disabled for control in temperatures(view))
    assert "No gate was softened" in _texts(view.figure())


def test_a_strip_of_nothing_softened_speaks_of_no_linear_network(make: Make) -> None:
    view = make(pw.TemperatureStrip, smooth(), image(), temperatures=[0.5], steps=1)
    assert "plain gradient at all temperatures" in view._caption.value
    assert "linear" not in view._caption.value
    titles = _texts(view.figure())
    assert "linear" not in titles and "plain gradient at all temperatures" in titles
    assert "No gate was softened" in titles


def test_the_strips_box_shows_the_temperature(make: Make) -> None:
    view = make(pw.TemperatureStrip, soft(), image(), temperatures=[0.4, 0.7], steps=1)
    box = find(view, "Temperature of the large pictures")
    slider = find(view, "pullback-film")
    assert [text for text, _ in box.options] == [
        "gradient", "t = 0.4 · T = 0.4", "t = 0.7 · T = 0.7", "linear",
    ]  # fmt: skip
    # A fresh strip: 6 is too many.
    assert view.column == slider.value == box.value == 3
    slider.value = 1
    assert view.column == box.value == 1 and box.label == "t = 0.4 · T = 0.4"
    box.value = 2
    assert view.column == slider.value == 2
    view.temperatures = [0.4]
    assert view.wait(60)
    assert view.column == slider.value == box.value == 2 and box.label == "linear"


def test_the_buttons_for_files_stand_in_rows(make: Make) -> None:
    """``display: contents`` put them into the Explorer's column, where they had no height."""
    explorer = make(pw.Explorer, soft(), image())
    (away,) = [one for one in everything(explorer) if "pullback-away" in one._dom_classes]
    assert away.layout.flex_flow == "row wrap"


def _texts(figure: Any) -> str:
    """All that is written in a figure."""
    from matplotlib.text import Text

    return " ".join(one.get_text().replace("\n", " ") for one in figure.findobj(Text))


def test_where_only_constants_are_held_the_title_says_so() -> None:
    parts = nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Flatten()
    model = wrap(seeded(nn.Sequential(*parts, nn.Linear(4 * SIZE**2, CLASSES))))
    grid = pw.counterfactual_grid(model, image(), [1], extra=None, steps=1)
    assert not grid.softens and grid.how(pw.Softening.relative()) == "held gates"
    assert grid.how(pw.Softening.hard()) == "plain gradient"
