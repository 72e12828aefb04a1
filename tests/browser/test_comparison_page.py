"""A journey through the comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boards

if TYPE_CHECKING:
    from collections.abc import Callable

    from labpage import LabPage

COMPARE = """
import torch, torchvision
import pullback_widgets as pw
pw.set_device("cpu")
lite = pw.load_model("efficientnet_lite0")
torch.manual_seed(0)
untrained = pw.Model(
    torchvision.models.squeezenet1_1(), categories=lite.categories, name="untrained"
)
view = pw.Compare([lite, untrained], "coffee", methods=["gradient", "grad_cam"])
view
"""
TILE = "view._tile(view.result.picture({row}, {column}))"


def tile(lab: LabPage, row: int, column: int) -> None:
    """Waits until a tile shows what it should: its part of the map, and the cross."""
    boards.shows(lab, "view._board", row, column + 1, TILE.format(row=row, column=column))


def test_one_temperature_one_place_one_zoom(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(COMPARE)
    lab.python("view.wait()")
    for row in range(2):
        for column in range(3):
            tile(lab, row, column)

    # One temperature for both networks; the other methods stay.
    lab.python("before = [row.maps.clone() for row in view.result.rows]")
    lab.slider("Temperature").press("ArrowRight")
    lab.wait_until(lambda: lab.value("view.temperature") > 0.85, "it is warmer")
    lab.python("view.wait()")
    for row in range(2):
        tile(lab, row, 0)
        assert not lab.value(f"torch.equal(before[{row}][0], view.result.rows[{row}].maps[0])")
        assert lab.value(f"torch.equal(before[{row}][1:], view.result.rows[{row}].maps[1:])")

    # One place: a click moves the cross in all tiles.
    left, top = lab.value("view._board._corner(1, 2)")
    side = lab.value("view._board.tile")
    lab.click_canvas(2 * left + 0.5 * side, 2 * top + 1.5 * side, boards.BOARD)
    lab.wait_until(lambda: lab.value("view.position[1]") > 0.7, "the cross has moved")
    assert abs(lab.value("view.position[0]") - 0.25) < 0.02
    tile(lab, 0, 0)
    tile(lab, 1, 2)

    # One zoom.
    zoom = lab.page.get_by_role("spinbutton", name="Zoom")
    zoom.fill("2")
    zoom.press("Enter")
    lab.wait_until(lambda: lab.value("view.zoom") == 2, "it is nearer")
    tile(lab, 0, 2)
    tile(lab, 1, 0)

    # Another class, by name; one that there is not is no error.
    classes = lab.page.get_by_label("Class")
    classes.fill("wooden spoon")
    classes.press("Enter")
    lab.wait_until(
        lambda: lab.value("view.result.rows[1].target == pw.Logit(910)"), "another class"
    )
    lab.python("view.wait()")
    tile(lab, 1, 1)
    classes.fill("coffee")
    classes.press("Enter")
    lab.page.locator(".pullback-offers button:visible").get_by_text("espresso", exact=True).click()
    lab.wait_until(lambda: lab.value("view.target") == 967, "the class that was offered")
    assert not lab.visible_errors() and classes.input_value() == "espresso"
    lab.python("view.wait()")
    tile(lab, 0, 0)

    # A method more, a network less.
    lab.page.get_by_role("button", name="Guided backpropagation").click()
    lab.wait_until(lambda: lab.value("len(view.methods)") == 3, "a method more")
    lab.python("view.wait()")
    lab.page.get_by_role("button", name="untrained").click()
    lab.wait_until(lambda: lab.value("len(view.result.rows)") == 1, "a network less")
    lab.python("view.wait()")
    tile(lab, 0, 2)

    # The outlined tile opens in an Explorer.
    boards.click_tile(lab, "view._board", 0, 1)
    lab.page.get_by_title("Open the outlined tile in an Explorer").click()
    lab.wait_until(lambda: lab.value("view.explorer is not None"), "an explorer is there")
    lab.wait_until_drawn(".pullback-screen")
    assert lab.value("view.explorer.result.title") == "espresso (class 967)"

    # A reload shows it all again.
    lab.reload()
    tile(lab, 0, 0)
    lab.wait_until_drawn(".pullback-screen")
