"""What a widget leaves behind when it is closed, whether or not it ever came to be."""

from __future__ import annotations

from typing import Any

import ipywidgets as w
import pytest
import traitlets as t
from cells import opened
from ipywidgets.widgets.widget import _instances
from waiting import SECONDS

import pullback_widgets as pw
from pullback_widgets.widgets.kit.live import ComputingWidget

pytestmark = pytest.mark.usefixtures("nothing_swallowed")

ALL: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("Explorer", {}, {"image": "no-such-file.png"}),
    ("CounterfactualGrid", {"images": ["coffee"], "steps": 1}, {"steps": -1}),
    ("TemperatureStrip", {"temperatures": [0.5], "steps": 1}, {"steps": -1}),
    ("DepthJourney", {"steps": 1}, {"steps": -1}),
    ("LayerAtlas", {"channels": [0], "images": ["coffee"]}, {"layer": 3}),
    ("Compare", {"methods": []}, {"methods": ["guess"]}),
    ("GatePlayground", {}, {"length": 900}),
    ("RegionMap", {}, {"points": "nowhere"}),
    ("PathStabilityLab", {"epochs": 1}, {"epochs": 0}),
]
"""Name, choices that are soon computed, choices that are refused."""


@pytest.mark.parametrize(("name", "choices", "refused"), ALL, ids=[name for name, *_ in ALL])
def test_nothing_of_a_closed_widget_stays(
    name: str, choices: dict[str, Any], refused: dict[str, Any]
) -> None:
    pw.RegionMap().close()  # ipycanvas keeps one widget for all canvases
    before = set(_instances)
    widget = getattr(pw, name)(**choices)
    assert widget.wait(SECONDS) and not widget.error
    widget.close()
    left = [_instances[key] for key in set(_instances) - before]
    # ipywidgets keeps these of every widget.
    assert not [one for one in left if not isinstance(one, w.Layout | w.Style)]


@pytest.mark.parametrize(("name", "choices", "refused"), ALL, ids=[name for name, *_ in ALL])
def test_a_refused_widget_can_be_closed(
    name: str, choices: dict[str, Any], refused: dict[str, Any]
) -> None:
    """As ``Widget.close_all()`` and Python's garbage collection do."""
    before = set(_instances)
    with pytest.raises((ValueError, TypeError, t.TraitError)):
        getattr(pw, name)(**refused)
    made = [_instances[key] for key in set(_instances) - before]
    (widget,) = [one for one in made if isinstance(one, ComputingWidget)]
    widget.close()
    assert widget.comm is None


def test_a_misspelt_attribute_is_refused_with_the_nearest_name() -> None:
    view = pw.GatePlayground()
    with pytest.raises(AttributeError, match="GatePlayground has no .* did you mean 'temperature'"):
        view.temprature = 3
    with pytest.raises(AttributeError, match="no attribute 'foo'; there are: .*length"):
        view.foo = 3
    with pytest.raises(TypeError, match="no choice 'lenght'; did you mean 'length'"):
        view.choose(lenght=3)
    view.length, view._mine = 5, 1
    assert view.length == 5
    view.close()


@pytest.mark.parametrize(("name", "choices", "refused"), ALL, ids=[name for name, *_ in ALL])
def test_a_cell_run_again_closes_the_one_before(
    name: str, choices: dict[str, Any], refused: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of its own holds it."""
    for notebook in opened(monkeypatch):
        for _ in range(2):
            notebook.run("cell", f"view = pw.{name}(**{choices})\nview.wait({SECONDS})\nview")
            assert notebook.shell.user_ns["view"].comm is not None
            assert len(notebook.alive()) == 1
