"""What is typed into a box for whole numbers is taken as it is, or refused."""

from __future__ import annotations

from typing import Any

import pytest
import traitlets as t
from waiting import SECONDS
from widgets import everything

import pullback_widgets as pw
from pullback_widgets.widgets.kit.whole_box import BoundedWholeBox, WholeBox

pytestmark = pytest.mark.usefixtures("nothing_swallowed")

FIGURES: dict[str, dict[str, Any]] = {
    "Explorer": {"layer": "blocks.4.2.bn2.act", "channel": 64},
    "CounterfactualGrid": {"images": ["coffee"], "steps": 1},
    "TemperatureStrip": {"temperatures": [0.5], "steps": 1},
    "DepthJourney": {"steps": 1},
    "GatePlayground": {},
    "RegionMap": {},
    "PathStabilityLab": {"epochs": 1},
}


@pytest.mark.parametrize("kind", [WholeBox, BoundedWholeBox])
def test_whole_numbers_are_ints(kind: type[Any]) -> None:
    box = kind()
    box.set_state({"value": 7.0})  # as the page sends it
    assert box.value == 7 and isinstance(box.value, int)
    box.set_state({"value": 2.5})
    assert box.value == 2.5
    with pytest.raises(t.TraitError):
        box.value = "many"


@pytest.mark.parametrize("name", FIGURES)
def test_a_fraction_is_refused_with_a_sentence(name: str) -> None:
    view = getattr(pw, name)(**FIGURES[name])
    assert view.wait(SECONDS) and not view.error
    boxes = [one for one in everything(view) if isinstance(one, WholeBox | BoundedWholeBox)]
    assert boxes
    for box in boxes:
        before = box.value
        assert isinstance(before, int)
        box.value = typed = before + 0.5
        assert str(typed) in view.error, box.description
        assert box.value == before
    view.close()
