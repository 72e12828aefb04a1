"""The first screen on five sizes of screen, in all front ends: what fits, and pictures to look at.

The pictures stay in ``test-results/``.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import access
import nbformat
import numpy as np
import pytest
from labpage import LabPage
from PIL import Image
from servers import LabServer, NotebookServer, VoilaServer
from voilapage import VoilaPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, FloatRect, Page
    from widgetpage import WidgetPage

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

FRONT_ENDS = [
    *((one, theme) for one in ("JupyterLab", "Notebook7") for theme in (access.LIGHT, access.DARK)),
    ("Voila", access.LIGHT),
]

SMALLEST = 24
"""Least height of what a finger chooses, in CSS pixels: WCAG 2.2, level AA."""

COLLAPSE = "() => window.jupyterapp.shell.collapseLeft()"
SIDEWAYS = "one => one.scrollWidth - one.clientWidth"


@contextlib.contextmanager
def opened(front_end: str, page: Page, folder: Path) -> Iterator[WidgetPage]:
    """The Explorer and nothing else, in a front end."""
    if front_end == "Voila":
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
        nbformat.write(notebook, folder / "sizes.ipynb")
        with contextlib.closing(VoilaServer(folder, folder / "sizes.ipynb")) as voila:
            yield VoilaPage(page, voila)
        return
    kind = LabServer if front_end == "JupyterLab" else NotebookServer
    with contextlib.closing(kind(folder)) as server:
        lab = LabPage(page, server, "sizes", (CELL,))
        lab.run_all()
        yield lab


@pytest.fixture(scope="module")
def first(
    request: pytest.FixtureRequest, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WidgetPage]:
    """The Explorer in the front end of that name; it serves all sizes and themes."""
    folder = tmp_path_factory.mktemp("sizes")
    context = chromium.new_context(device_scale_factor=1.5)
    with contextlib.closing(context), opened(request.param, context.new_page(), folder) as page:
        page.wait_until_drawn(".pullback-screen")
        yield page
        page.check()


def box(page: WidgetPage, selector: str) -> FloatRect:
    """Where something is in the window."""
    found = page.page.locator(selector).first.bounding_box()
    assert found is not None
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("first", "theme"), FRONT_ENDS, indirect=["first"], scope="module")
def test_the_first_screen(
    first: WidgetPage, theme: str, size: str, results: Path, request: pytest.FixtureRequest
) -> None:
    width, height = SIZES[size]
    window: FloatRect = {"x": 0, "y": 0, "width": width, "height": height}
    first.page.set_viewport_size({"width": width, "height": height})
    if isinstance(first, LabPage):
        access.use_theme(first, theme)
        first.page.evaluate(COLLAPSE)

    def settled() -> bool:
        first.page.locator(WIDGET).first.evaluate("one => one.scrollIntoView()")
        before = [box(first, one) for one in SHOWN]
        first.page.wait_for_timeout(300)
        return before == [box(first, one) for one in SHOWN]

    first.wait_until(settled, "the page has its size")
    front_end = request.node.callspec.params["first"]
    name = f"first-screen-{front_end}-{size}-{theme.split()[-1]}.png"
    first.page.screenshot(path=results / name)

    photograph, picture, slider = (box(first, one) for one in SHOWN)
    if isinstance(first, LabPage):
        window = box(first, NOTEBOOK)
    assert photograph["width"] == pytest.approx(picture["width"], abs=1)
    assert photograph["height"] == pytest.approx(photograph["width"], abs=1)
    assert photograph["y"] == pytest.approx(picture["y"], abs=1)
    assert photograph["x"] + photograph["width"] <= picture["x"]
    assert picture["width"] >= 120
    for one in (photograph, picture, slider):
        assert window["y"] <= one["y"]
        assert one["y"] + one["height"] <= window["y"] + window["height"]
        assert one["x"] + one["width"] <= window["x"] + window["width"]
    for whole in (WIDGET, "html"):
        assert first.page.locator(whole).first.evaluate(SIDEWAYS) <= 0
    lists = first.page.locator(f"{WIDGET} select").filter(visible=True).all()
    assert lists and all((one.bounding_box() or window)["height"] >= SMALLEST for one in lists)


def test_lists_have_an_arrow_in_a_dark_page(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(MAP)
    access.use_theme(lab, access.DARK)
    lab.page.evaluate(COLLAPSE)
    chosen = lab.page.locator(f"{WIDGET} select").first

    def bright() -> bool:
        shot = np.asarray(Image.open(io.BytesIO(chosen.screenshot())).convert("L"))
        return bool(shot[4:-4, -20:-4].max() > 150)

    lab.wait_until(bright, "a bright arrow")
