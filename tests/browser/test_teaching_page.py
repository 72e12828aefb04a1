"""The widgets for teaching, with the mouse and the keyboard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from labpage import LabPage

MAP = """
import pullback_widgets as pw
view = pw.RegionMap(points="moons", width=8, depth=2)
updates = []
view.observe(lambda change: updates.append(change["new"].progress), "result")
view
"""
CANVAS = ".pullback-regions"
SIDE = 480
EXTENT = 1.5

LAB = """
import pullback_widgets as pw
view = pw.PathStabilityLab(epochs=4)
view
"""
CURVES = ".pullback-chart"
BAR = ".progress-bar"


def place(lab: LabPage, point: int) -> tuple[float, float]:
    """A data point, or the cross for -1, in the plane."""
    point_or_cross = "view.probe" if point < 0 else f"view.result.points.places[{point}].tolist()"
    x, y = lab.value(f"list({point_or_cross})")
    return x, y


def on_canvas(x: float, y: float) -> tuple[float, float]:
    """The same in the canvas's pixels."""
    return SIDE * (1 + x / EXTENT), SIDE * (1 - y / EXTENT)


def settled(lab: LabPage) -> np.ndarray:
    """Waits for the end of the training; the map's pixels."""
    lab.wait_until(lambda: lab.value("view.wait(1) and view.result.progress == 1"), "trained")
    return lab.wait_until_still(CANVAS)


def test_a_point_is_dragged_and_the_network_learns_it(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(MAP)
    lab.wait_until_drawn(CANVAS)
    before = settled(lab)

    # The colours of both classes, and dark lines between them.
    red, green, blue = (before[..., channel].astype(int) for channel in range(3))
    assert ((blue - red) > 40).mean() > 0.1
    assert ((red - blue) > 40).mean() > 0.1
    assert ((red + green + blue) < 150).mean() > 0.002

    # Drag a point far into the other class: the map changes while the mouse is still down.
    start = place(lab, 5)
    lab.python("updates.clear()")
    page = lab.page
    canvas = lab.canvas(CANVAS)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None

    def mouse_to(x: float, y: float) -> None:
        left, top = on_canvas(x, y)
        scale = box["width"] / (2 * SIDE)
        page.mouse.move(box["x"] + left * scale, box["y"] + top * scale)

    mouse_to(*start)
    page.mouse.down()
    began = time.perf_counter()
    for step in range(1, 31):
        mouse_to(start[0] + 0.02 * step, start[1] - 0.03 * step)
    lab.wait_for_change(before, CANVAS)
    lab.wait_until(lambda: lab.value("len(updates)") >= 3, "the map is drawn while one drags")
    rate = lab.value("len(updates)") / (time.perf_counter() - began)
    print(f"{rate:.1f} updates a second while a point is dragged")
    page.mouse.up()
    after = settled(lab)
    end = place(lab, 5)
    assert abs(end[0] - start[0] - 0.6) < 0.03 and abs(end[1] - start[1] + 0.9) < 0.03
    assert (after != before).any(axis=-1).mean() > 0.02

    # A press elsewhere moves the cross, and the text says where it is.
    lab.click_canvas(*on_canvas(-1.2, -1.2), CANVAS)
    lab.wait_until(lambda: abs(place(lab, -1)[0] + 1.2) < 0.02, "the cross is there")
    page.get_by_text("At the cross (-1.20, -1.20)").wait_for()

    # The keyboard does the same.
    across = page.get_by_label("x", exact=True)
    across.fill("0.5")
    across.press("Enter")
    lab.wait_until(lambda: place(lab, -1)[0] == 0.5, "the cross was typed")

    # Another look, a wrong number, and the page again.
    crossed = settled(lab)
    page.get_by_role("button", name="blend").click()
    lab.wait_for_change(crossed, CANVAS)
    with lab.expecting_error():
        lab.python("view.attempt('width', 1000)")
        page.locator(".pullback-error", has_text="expected 1 to 64").wait_for()
        lab.python("view.width = 6")
        settled(lab)
    blended = settled(lab)
    lab.reload()
    lab.wait_until(
        lambda: np.array_equal(lab.canvas_pixels(CANVAS), blended), "the same map in the new page"
    )


def test_a_training_is_watched_stopped_and_repeated(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(LAB)
    page = lab.page
    lab.wait_until(lambda: lab.value("view.wait(1) and view.result.progress == 1"), "trained")
    curves = page.locator(CURVES)
    curves.wait_for()
    assert page.locator(f"{CURVES} path").count() > 20
    assert "Gates that stand as in the final network" in (curves.text_content() or "")
    assert "Four curves" in (curves.get_attribute("aria-label") or "")
    assert page.get_by_text("of the test images right").count() == 1
    assert page.get_by_text("95 % interval").count() >= 1

    # A longer training: the bar moves, Stop leaves what was reached.
    epochs = page.get_by_label("Epochs")
    with lab.holding("view", "lambda result: 0.005 < result.progress < 0.9"):
        epochs.fill("400")
        epochs.press("Enter")
        lab.wait_until_held()
        width = "bar => parseFloat(bar.style.width)"
        lab.wait_until(
            lambda: 0 < float(page.locator(BAR).first.evaluate(width)) < 90, "the bar moves"
        )
        page.get_by_role("button", name="Stop").click()
        lab.wait_until(lambda: lab.value("view._worker._stopped"), "Stop was heard")
    lab.wait_until(lambda: lab.value("view.wait(1)"), "stopped")
    assert 0 < lab.value("view.result.progress") < 1
    page.get_by_text("stopped at").wait_for()
    assert page.locator(f"{CURVES} path").count() > 10

    # A training that diverges is said; the next one works.
    lab.python("view.choose(epochs=2, batch_norm=False)")
    lab.wait_until(lambda: lab.value("view.wait(1)"), "trained without batch norm")
    with lab.expecting_error():
        rate = page.get_by_label("Learning rate")
        rate.fill("10")
        rate.press("Enter")
        page.locator(".pullback-error", has_text="diverged in epoch").wait_for()
        rate.fill("0.05")
        rate.press("Enter")
        lab.wait_until(
            lambda: lab.value("view.wait(1) and view.result.progress == 1 and not view.error"),
            "it works again",
        )
    lab.reload()
    page.locator(CURVES).wait_for()
