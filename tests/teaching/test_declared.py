"""The functions for teaching take what their requests declare."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import pullback_widgets as pw
from pullback_widgets.figures.declared import Request, checked, choices
from pullback_widgets.teaching.gates import GatePathsRequest
from pullback_widgets.teaching.gates_widget import GatePlayground
from pullback_widgets.teaching.paths_widget import PathStabilityLab
from pullback_widgets.teaching.regions import RegionsRequest
from pullback_widgets.teaching.regions_widget import RegionMap
from pullback_widgets.teaching.stability import StabilityRequest


@pytest.mark.parametrize(
    ("function", "request_type"),
    [
        (pw.gate_paths, GatePathsRequest),
        (pw.linear_regions, RegionsRequest),
        (pw.path_stability, StabilityRequest),
    ],
)
def test_a_function_takes_what_its_request_declares(
    function: Callable[..., Any], request_type: type[Request]
) -> None:
    assert getattr(pw, request_type.FUNCTION) is function
    declared = {n: one for n, one in choices(request_type).items() if one.role != "viewed"}
    given = dict(inspect.signature(function).parameters)
    given.pop("progress", None)
    assert list(given) == list(declared)
    for name, one in declared.items():
        default = given[name].default
        if default is inspect.Parameter.empty:
            with pytest.raises(TypeError, match=name):
                request_type()
        else:
            assert checked(name, one, default) == checked(name, one, one.default), name


@pytest.mark.parametrize("widget", [GatePlayground, RegionMap, PathStabilityLab])
def test_a_widget_has_what_its_request_declares(widget: Any) -> None:
    assert getattr(pw, widget.REQUEST.WIDGET) is widget
    names = {one.trait for one in choices(widget.REQUEST).values()}
    assert set(widget.NAMES) == names <= set(widget.class_trait_names())
