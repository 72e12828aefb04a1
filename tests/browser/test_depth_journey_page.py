"""A journey through the depth journey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boards

if TYPE_CHECKING:
    from collections.abc import Callable

    from labpage import LabPage

JOURNEY = """
import pullback_widgets as pw
pw.set_device("cpu")
view = pw.DepthJourney(steps=2)
view
"""
ROWS = ("photograph", "activation", "pullback", "difference")


def stage(lab: LabPage, column: int) -> None:
    """Waits until a stage stands in its column."""
    for row, shown in enumerate(ROWS):
        boards.shows(lab, "view._board", row, column, f"view.result.picture({column}, {shown!r})")


def channel(lab: LabPage, column: int) -> int:
    number: int = lab.value(f"int(view.result.stages[{column}].channel)")
    return number


def test_from_edges_to_objects_and_to_another_channel(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(JOURNEY)
    lab.python("view.wait()")
    stage(lab, 0)
    stage(lab, 4)
    boards.shows(lab, "view._board", 2, 5, "view.result.picture(5, 'pullback')")
    assert lab.value("view.result.stages[-1].target.label") == 967  # espresso

    # A click opens the tile, and chooses its stage.
    boards.click_tile(lab, "view._board", 3, 4)
    lab.wait_until(lambda: lab.value("view.explorer is not None"), "an explorer is there")
    lab.wait_until_drawn(".pullback-screen")
    assert lab.value("view.explorer.layer") == "bn2.act"
    assert lab.value("view.stage") == 4

    # A reload shows it all again.
    lab.reload()
    stage(lab, 0)
    stage(lab, 4)
    lab.page.get_by_role("button", name="Close").click()
    lab.wait_until(lambda: lab.value("view.explorer is None"), "the explorer is gone")

    # The next strongest channel; then one by number.
    before, others = channel(lab, 4), [channel(lab, n) for n in range(4)]
    lab.page.locator("[title='The next strongest channel']").click()
    lab.wait_until(lambda: channel(lab, 4) != before, "another channel")
    lab.python("view.wait()")
    stage(lab, 4)
    assert [channel(lab, n) for n in range(4)] == others
    number = lab.page.get_by_role("spinbutton", name="Channel")
    number.fill("7")
    number.press("Enter")
    lab.wait_until(lambda: channel(lab, 4) == 7, "the channel by its number")
    lab.python("view.wait()")
    stage(lab, 4)

    # A channel that is not there: the number goes back to what there is.
    number.fill("5000")
    number.press("Enter")
    lab.wait_until(lambda: channel(lab, 4) == 1279, "the last channel")
    lab.python("view.wait()")

    # Another layer for the first stage.
    lab.page.locator(".pullback-stage select").select_option(label="1 of 6")
    layer = lab.page.get_by_role("textbox", name="Layer", exact=True)
    lab.wait_until(
        lambda: layer.input_value() == lab.value("view.result.stages[0].layer.name"), "its layer"
    )
    layer.fill("blocks.0.0.bn1.act")
    lab.page.locator('.pullback-offers button[title^="blocks.0.0.bn1.act, "]:visible').wait_for()
    layer.press("Enter")
    lab.wait_until(
        lambda: lab.value("view.result.stages[0].layer.name") == "blocks.0.0.bn1.act", "the layer"
    )
    lab.python("view.wait()")
    stage(lab, 0)
