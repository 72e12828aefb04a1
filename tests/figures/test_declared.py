"""One declaration for each figure: the function, the widget, code, settings and recipe agree."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compute import atlas_steps, comparison_steps, grid_steps, journey_steps, strip_steps
from networks import image, network, wrap
from waiting import SECONDS
from widgets import Page

import pullback_widgets as pw
from pullback_widgets.figures.atlas import AtlasRequest
from pullback_widgets.figures.comparison import ComparisonRequest
from pullback_widgets.figures.declared import Request, checked, choices
from pullback_widgets.figures.grid import GridRequest
from pullback_widgets.figures.journey import JourneyRequest
from pullback_widgets.figures.result import Result
from pullback_widgets.figures.snapshot import SnapshotRequest
from pullback_widgets.figures.strip import StripRequest

ALL: tuple[type[Request], ...] = (
    GridRequest,
    StripRequest,
    JourneyRequest,
    AtlasRequest,
    ComparisonRequest,
)
ONLY_A_FUNCTION = {"progress"}


@pytest.mark.parametrize("request_", ALL, ids=lambda one: one.FUNCTION)
def test_the_function_has_the_parameters_of_the_request(request_: type[Request]) -> None:
    function = inspect.signature(getattr(pw, request_.FUNCTION)).parameters
    declared = {
        name: one for name, one in choices(request_).items() if one.role in ("computed", "drawn")
    }
    assert set(function) - ONLY_A_FUNCTION == set(declared)
    fields = {one.name: one for one in dataclasses.fields(request_)}
    by_position = [name for name, one in function.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert by_position == [name for name in declared if not fields[name].kw_only]
    for name, one in declared.items():
        default = function[name].default
        if one.default is dataclasses.MISSING:
            assert default is inspect.Parameter.empty
        else:
            assert checked(name, one, default) == checked(name, one, one.default)


@pytest.mark.parametrize("request_", [*ALL, SnapshotRequest], ids=lambda one: one.WIDGET)
def test_the_widget_has_the_choices_of_the_request(request_: type[Request]) -> None:
    widget: Any = getattr(pw, request_.WIDGET)
    declared = choices(request_)
    assert request_ is widget.REQUEST
    assert set(widget.NAMES) - set(widget.DERIVED) == {one.trait for one in declared.values()}
    assert set(widget.NAMES) <= set(widget.class_traits())
    assert {one.trait for one in declared.values() if one.role != "computed"} == widget.LOOKS
    for one in declared.values():
        said = f"{one.trait}:" in widget.__doc__
        assert said or one.trait in ("side", "batch_size", "layer", "noise", "seed"), one.trait


def test_every_choice_of_a_widget_does_something() -> None:
    """What had no effect is gone."""
    assert not {"softening", "temperature"} & set(pw.TemperatureStrip.class_trait_names())
    for widget in (pw.LayerAtlas, pw.Compare):
        assert not {"steps", "step_size", "radius"} & set(widget.class_trait_names())


TWO = {"a": image(seed=1), "b": image(seed=2)}
WALK: dict[str, Any] = {"steps": 2, "step_size": 1.5}


def model() -> pw.Model:
    return wrap(network("residual"))


MADE: dict[str, Any] = {
    "CounterfactualGrid": lambda m: grid_steps(
        m, TWO, [0, 1], extra=None, shown="perturbed", **WALK
    ),
    "TemperatureStrip": lambda m: strip_steps(
        m, image(), 1, temperatures=[0.5, 1.0], shown="difference", column=1, **WALK
    ),
    "DepthJourney": lambda m: journey_steps(m, image(), layers=["layer1", "logits"], **WALK),
    "LayerAtlas": lambda m: atlas_steps(
        m, "layer1.bn1", TWO, batch_size=2, side=8, search="0-2", by="channel"
    ),
    "Compare": lambda m: comparison_steps([m], image(), 1, methods=["gradient"], zoom=2.0),
}


def same(first: Result, second: Result) -> None:
    assert first.arrays().keys() == second.arrays().keys()
    for name, values in first.arrays().items():
        np.testing.assert_array_equal(values, second.arrays()[name], err_msg=name)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.usefixtures("nothing_swallowed")
def test_a_figure_opens_again_from_its_recipe(name: str, page: Page, tmp_path: Path) -> None:
    network = model()
    *_, result = MADE[name](network)
    path = result.save(tmp_path / "figure.json")
    assert json.loads(path.read_text("utf-8"))["widget"] == name
    widget = pw.open_recipe(path, model=network)
    try:
        assert widget.wait(SECONDS) and not widget.error and widget.notes == ()
        same(result, widget.result)
        asked = choices(type(result.request))
        for choice, one in asked.items():
            if one.role != "computed":
                assert getattr(widget, one.trait) == getattr(result, choice), choice
        again = pw.open_recipe(widget.recipe(), model=network)
        try:
            assert again.wait(SECONDS)
            same(result, again.result)
        finally:
            again.close()
    finally:
        widget.close()


def test_what_is_drawn_is_written_down() -> None:
    for name in ("CounterfactualGrid", "TemperatureStrip"):
        *_, result = MADE[name](model())
        shown = result.shown
        assert f"shown={shown!r}" in result.code() and result.settings()["shown"] == shown
        result.shown = "difference" if shown == "perturbed" else "perturbed"
        assert f"shown={result.shown!r}" in result.code() or result.shown == "difference"
        with pytest.raises(ValueError, match="shown is 'sideways'"):
            result.shown = "sideways"


def test_a_recipe_of_a_widget_that_is_not_there_is_explained() -> None:
    content = {"format": 2, "widget": "set_device", "pullback_widgets": "9"}
    with pytest.raises(ValueError, match="the widget 'set_device', which this version does not"):
        pw.open_recipe(content)
    with pytest.raises(ValueError, match="damaged or was changed by hand"):
        pw.open_recipe({**content, "widget": "CounterfactualGrid", "catalogue": True})
