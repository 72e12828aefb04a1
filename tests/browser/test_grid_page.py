"""A journey through the counterfactual grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boards
import nbformat

if TYPE_CHECKING:
    from collections.abc import Callable

    from labpage import LabPage

GRID = """
import pullback_widgets as pw
from pullback_widgets.drawing import pixels
pw.set_device("cpu")
view = pw.CounterfactualGrid(
    images=["coffee", "rocket"], targets=["golf ball", "missile"], extra=None, steps=2
)
view
"""
CELL = "view.result.picture({row}, {column}, view.shown)"


def cell(lab: LabPage, row: int, column: int) -> None:
    """Waits until a cell of the result stands on its tile."""
    boards.shows(lab, "view._board", row, column + 1, CELL.format(row=row, column=column))


def test_from_the_first_cells_to_the_explorer(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(GRID)
    lab.python("view.wait()")
    boards.shows(lab, "view._board", 0, 0, "pixels.photograph(view.result.images[0])")
    for row in range(2):
        for column in range(2):
            cell(lab, row, column)

    # The notebook keeps a still of it, in an output of its own that nobody sees here.
    def stored() -> bool:
        lab.save()
        outputs = nbformat.read(lab.path, as_version=4).cells[0].outputs
        return len(outputs) == 2 and "image/png" in outputs[1].data

    lab.wait_until(stored, "the still is in the notebook")

    # Another look, by mouse.
    lab.page.get_by_role("button", name="perturbed").first.click()
    lab.wait_until(lambda: lab.value("view.shown") == "perturbed", "the other look is chosen")
    cell(lab, 1, 0)

    # Another class, typed; the grid is computed anew.
    classes = lab.page.get_by_label("Classes")
    classes.fill("spatula")
    classes.press("Enter")
    lab.wait_until(lambda: lab.value("view.result.labels") == ["spatula (class 813)"], "new class")
    lab.python("view.wait()")
    cell(lab, 1, 0)

    # A class that does not exist is explained, and the grid stays.
    with lab.expecting_error():
        classes.fill("no such thing")
        classes.press("Enter")
        lab.wait_until(lambda: "no such thing" in "".join(lab.visible_errors()), "it is explained")
        cell(lab, 0, 0)
        lab.slider("Temperature").press("ArrowLeft")
        lab.wait_until(lambda: not lab.visible_errors(), "the error is gone")
    lab.python("view.wait()")
    cell(lab, 0, 0)

    # Stop in the middle, then run to the end.
    with lab.holding("view", "lambda result: 0 < result.progress < 1"):
        lab.python("view.steps = 40")
        lab.wait_until_held()
        lab.page.get_by_role("button", name="Stop").click()
        lab.wait_until(lambda: lab.value("view._worker._stopped"), "Stop was heard")
    lab.wait_until(lambda: lab.value("not view._worker.busy"), "it stopped")
    assert lab.value("view.result.progress") < 1
    lab.python("view.steps = 1")
    lab.python("view.wait()")
    cell(lab, 0, 0)

    # A click opens the cell, also where the page is too narrow for the board.
    lab.page.set_viewport_size({"width": 1000, "height": 900})
    lab.wait_until(lambda: boards.overflow(lab) == 0, "the board is as narrow as the page")
    boards.click_tile(lab, "view._board", 1, 1)
    lab.wait_until(lambda: lab.value("view.explorer is not None"), "an explorer is there")
    lab.wait_until_drawn(".pullback-screen")
    assert lab.value("view.explorer.result.title") == "spatula (class 813)"
    assert lab.value("[*view._board._opened]") == [1, 1]

    # A reload shows it all again.
    lab.reload()
    cell(lab, 0, 0)
    lab.wait_until_drawn(".pullback-screen")
