"""What is typed into a box for whole numbers, in JupyterLab."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from labpage import LabPage

CELL = (
    'import pullback_widgets as pw\npw.set_device("cpu")\n'
    "strip = pw.TemperatureStrip(temperatures=[0.5], steps=1)\nstrip"
)


def test_a_fraction_is_refused_as_it_was_typed(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(CELL)
    steps = lab.page.get_by_role("spinbutton", name="Steps")
    with lab.expecting_error():
        steps.fill("")
        steps.press_sequentially("2.5")
        steps.press("Enter")
        lab.page.locator(".pullback-error", has_text="2.5").wait_for()
        lab.wait_until(lambda: steps.input_value() == "1", "the box shows what holds")
        assert lab.value("strip.steps") == 1
        steps.fill("")
        steps.press_sequentially("3")
        steps.press("Enter")
        lab.wait_until(lambda: lab.value("strip.steps") == 3, "a whole number is taken")
