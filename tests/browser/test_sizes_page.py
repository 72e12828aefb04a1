"""The first screen on five sizes of screen and in both themes: what fits, and pictures to look at.

The pictures stay in ``test-results/``.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import access
import numpy as np
import pytest
from labpage import LabPage
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, FloatRect
    from servers import LabServer

CELL = 'import pullback_widgets as pw\npw.set_device("cpu")\nexplorer = pw.Explorer()\nexplorer'
MAP = 'import pullback_widgets as pw\npw.set_device("cpu")\npw.RegionMap(width=2, depth=1)'
WIDGET = ".pullback-explorer"
NOTEBOOK = ".jp-NotebookPanel-notebook"
SHOWN = [".pullback-beside", ".pullback-screen", ".pullback-temperature"]

SIZES = {
    "desktop": (1920, 1080),
    "laptop": (1366, 768),
    "beamer": (1024, 768),
    "laptop-at-150": (683, 512),
    "phone": (390, 844),
}

COLLAPSE = "() => window.jupyterapp.shell.collapseLeft()"
SIDEWAYS = "one => one.scrollWidth - one.clientWidth"


@pytest.fixture(scope="module")
def first(chromium: Browser, lab_server: LabServer) -> Iterator[LabPage]:
    """A notebook whose only cell shows the Explorer."""
    context = chromium.new_context(device_scale_factor=1.5)
    lab = LabPage(context.new_page(), lab_server, "sizes", (CELL,))
    lab.run_all()
    lab.wait_until_drawn(".pullback-screen")
    yield lab
    context.close()
    lab_server.shut_kernels_down()


def box(lab: LabPage, selector: str) -> FloatRect:
    """Where something is in the window."""
    found = lab.page.locator(selector).first.bounding_box()
    assert found is not None
    return found


@pytest.mark.parametrize("theme", [access.LIGHT, access.DARK])
@pytest.mark.parametrize("size", SIZES)
def test_the_first_screen(first: LabPage, size: str, theme: str, results: Path) -> None:
    width, height = SIZES[size]
    first.page.set_viewport_size({"width": width, "height": height})
    access.use_theme(first, theme)
    first.page.evaluate(COLLAPSE)

    def settled() -> bool:
        first.page.locator(WIDGET).first.evaluate("one => one.scrollIntoView()")
        before = [box(first, one) for one in SHOWN]
        first.page.wait_for_timeout(300)
        return before == [box(first, one) for one in SHOWN]

    first.wait_until(settled, "the page has its size")
    first.page.screenshot(path=results / f"first-screen-{size}-{theme.split()[-1]}.png")

    photograph, picture, slider = (box(first, one) for one in SHOWN)
    notebook = box(first, NOTEBOOK)
    assert photograph["width"] == pytest.approx(picture["width"], abs=1)
    assert photograph["height"] == pytest.approx(photograph["width"], abs=1)
    assert photograph["y"] == pytest.approx(picture["y"], abs=1)
    assert photograph["x"] + photograph["width"] <= picture["x"]
    assert picture["width"] >= 120
    for one in (photograph, picture, slider):
        assert notebook["y"] <= one["y"]
        assert one["y"] + one["height"] <= notebook["y"] + notebook["height"]
        assert one["x"] + one["width"] <= notebook["x"] + notebook["width"]
    assert first.page.locator(WIDGET).first.evaluate(SIDEWAYS) <= 0


def test_lists_have_an_arrow_in_a_dark_page(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(MAP)
    access.use_theme(lab, access.DARK)
    lab.page.evaluate(COLLAPSE)
    chosen = lab.page.locator(f"{WIDGET} select").first

    def bright() -> bool:
        shot = np.asarray(Image.open(io.BytesIO(chosen.screenshot())).convert("L"))
        return bool(shot[4:-4, -20:-4].max() > 150)

    lab.wait_until(bright, "a bright arrow")
