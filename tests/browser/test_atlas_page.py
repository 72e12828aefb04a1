"""A journey through the layer atlas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boards

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from labpage import LabPage

ATLAS = """
import pullback_widgets as pw
pw.set_device("cpu")
view = pw.LayerAtlas(layer="blocks.1.1.bn1", images=["coffee", "rocket"])
view
"""


def channel(lab: LabPage, place: int, number: str, per_channel: int = 2) -> None:
    """Waits until the pullback of a channel stands at a place of the page."""
    row, column = divmod(place * per_channel + per_channel - 1, 8)
    boards.shows(lab, "view._board", row, column, f"view.result.picture({number})")


def test_from_the_first_channels_to_the_explorer(
    lab_page: Callable[..., LabPage], tmp_path: Path
) -> None:
    lab = lab_page(ATLAS)
    lab.wait_until(lambda: lab.value("view.result is not None and view.result.surveyed"), "survey")
    channel(lab, 0, "view.result.order()[0]")
    channel(lab, 19, "view.result.order()[19]")
    lab.python("view.wait()")

    # The next page, by mouse; the order and the search, by keyboard.
    lab.page.get_by_title("The next page").click()
    channel(lab, 0, "view.result.order()[20]")
    order = lab.page.get_by_label("Order", exact=True)
    order.select_option("by number")
    channel(lab, 7, "7")
    search = lab.page.get_by_label("Find", exact=True)
    search.fill("30-33")
    search.press("Enter")
    channel(lab, 1, "31")
    shown = lab.page.get_by_label("Show", exact=True)
    shown.select_option("pullback")
    channel(lab, 1, "31", per_channel=1)

    # A layer by a part of its name, which moves nothing.
    layer = lab.page.get_by_label("Layer", exact=True)
    top = lab.page.locator(".pullback-board").first.bounding_box()
    layer.fill("2.1.bn1")
    offered = lab.page.locator('.pullback-offers button[title^="blocks.2.1.bn1, "]:visible')
    offered.wait_for()
    search.wait_for(state="hidden")
    assert lab.page.locator(".pullback-board").first.bounding_box() == top
    offered.click()
    lab.wait_until(lambda: lab.value("view.result.layer.name") == "blocks.2.1.bn1", "the layer")
    search.wait_for(state="visible")
    lab.wait_until(lambda: layer.input_value() == "blocks.2.1.bn1", "the name stands there")

    # One temperature after the other; Stop, and Run goes on.
    search.fill("")
    search.press("Enter")
    with lab.holding("view", "lambda result: result.done.any()"):
        for _ in range(5):
            lab.slider("Temperature").press("ArrowLeft")
        lab.wait_until_held()
        lab.page.get_by_role("button", name="Stop").click()
        lab.wait_until(lambda: lab.value("view._worker._stopped"), "Stop was heard")
    lab.wait_until(lambda: lab.value("not view._worker.busy"), "it stopped")
    done = lab.value("int(view.result.done.sum())")
    assert done < lab.value("len(view.result.channels)")
    lab.page.locator(".pullback-play").click()
    lab.python("view.wait()")
    assert lab.value("view.result.progress") == 1
    channel(lab, 39, "39", per_channel=1)

    # A folder that is none is explained, and the atlas stays; then one with a photograph.
    images = lab.page.get_by_label("Images", exact=True)
    with lab.expecting_error():
        images.fill(str(tmp_path / "nowhere"))
        images.press("Enter")
        lab.wait_until(lambda: "nowhere" in "".join(lab.visible_errors()), "it is explained")
        channel(lab, 0, "0", per_channel=1)
        lab.python(
            f"__import__('PIL.Image').Image.new('RGB', (300, 260), 'tan').save({str(tmp_path)!r}"
            " + '/tan.png')"
        )
        images.fill(str(tmp_path))
        images.press("Enter")
        lab.wait_until(lambda: not lab.visible_errors(), "the error is gone")
    lab.wait_until(lambda: lab.value("view.result.names") == ["tan"], "the folder's photograph")
    lab.python("view.wait()")

    # A click opens the channel.
    boards.click_tile(lab, "view._board", 1, 1)
    lab.wait_until(lambda: lab.value("view.explorer is not None"), "an explorer is there")
    lab.wait_until_drawn(".pullback-screen")
    assert lab.value("view.explorer.channel") == 9

    # A reload shows it all again.
    lab.reload()
    channel(lab, 9, "9", per_channel=1)
    lab.wait_until_drawn(".pullback-screen")
