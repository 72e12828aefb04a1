"""Files out of the Explorer by way of the browser, and a recipe that opens again."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np
from journeys import GRIP
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from labpage import LabPage

SCREEN = ".pullback-screen"
EXPLORER = """
import pullback_widgets as pw
pw.set_device("cpu")
explorer = pw.Explorer(target="golf ball", temperature=0.6, view="overlay")
explorer
"""
AGAIN = """
again = pw.open_recipe("taken.json")
again
"""


NAME = "coffee-golf-ball-relative-0.6-overlay"


def take(lab: LabPage, name: str, ending: str) -> bytes:
    """Presses a button and downloads what it offers, under a name that says what it shows."""
    panel = lab.page.locator(".pullback-explorer").first
    panel.get_by_role("button", name=name, exact=True).click()
    link = panel.locator(f'a[download="{NAME}{ending}"]')
    link.wait_for(state="visible")
    with lab.page.expect_download() as download:
        link.click()
    return download.value.path().read_bytes()


def test_a_picture_and_a_recipe(lab_page: Callable[..., LabPage], tmp_path: Path) -> None:
    lab = lab_page(EXPLORER, AGAIN, run=False)
    lab.run_cell(0)
    lab.wait_until_drawn(SCREEN)
    lab.python("explorer.wait()")
    lab.page.get_by_text("Take it away", exact=True).click()

    with Image.open(io.BytesIO(take(lab, "PNG", ".png"))) as file:
        picture = np.asarray(file)
    shown = lab.canvas_pixels(SCREEN)[..., :3]
    centres = ((np.arange(224) + 0.5) * len(shown) / 224).astype(int)
    np.testing.assert_array_equal(picture[2::4, 2::4][:, GRIP], shown[centres][:, centres][:, GRIP])

    recipe = take(lab, "Recipe", ".json")
    assert json.loads(recipe)["target"] == "golf ball"
    lab.python(f"import pathlib; pathlib.Path('taken.json').write_bytes({recipe!r})")
    lab.run_cell(1)
    lab.python("again.wait()")
    assert lab.value("again.notes") == []

    def same() -> bool:
        return np.array_equal(lab.canvas_pixels(SCREEN, 0), lab.canvas_pixels(SCREEN, 1))

    lab.wait_until(same, "the recipe's picture is the same, pixel for pixel")

    lab.page.locator("button").filter(has_text="Code").first.click()
    lines = lab.page.locator(".pullback-code").first
    lines.wait_for(state="visible")
    assert "pw.Session(model, 'coffee')" in lines.inner_text()

    # Another class: the link is gone, the code is new, the buttons are where they were.
    button = lab.page.locator("button").filter(has_text="Code").first
    place = button.bounding_box()
    lab.python("explorer.target = 813")
    lab.wait_until(lambda: "pullback(813," in lines.inner_text(), "the code of the new class")
    assert not lab.page.locator(".pullback-download").filter(visible=True).count()
    assert button.bounding_box() == place
