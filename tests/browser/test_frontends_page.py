"""The first notebook as it is shipped: in JupyterLab, Notebook 7 and as Voila's web page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import access
from labpage import LabPage
from servers import LabServer, NotebookServer, VoilaServer
from voilapage import VoilaPage

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from widgetpage import WidgetPage

FIRST = Path(__file__).resolve().parent.parent.parent / "notebooks" / "01_see.ipynb"
SCREEN = ".pullback-screen"


def plays(page: WidgetPage) -> None:
    """The first picture appears, the keyboard reaches all controls, one makes another picture."""
    page.wait_until_drawn(SCREEN)
    page.canvas(SCREEN).scroll_into_view_if_needed()  # what is out of sight may have no text
    before = page.wait_until_still(SCREEN)
    caption = page.page.locator(".pullback-caption").first
    page.wait_until(lambda: "plain gradient" in caption.inner_text(), "the caption says so")
    access.check(page, ".pullback-explorer")
    page.page.locator(".pullback-temperature .noUi-handle").first.press("End")
    page.wait_for_change(before, SCREEN)
    page.wait_until(lambda: "T = 100" in caption.inner_text(), "the caption says so")
    assert (page.wait_until_still(SCREEN) != before).any(-1).mean() > 0.5
    page.check()


def test_jupyterlab_reloaded_half_way(new_page: Callable[..., Page], lab_server: LabServer) -> None:
    """The pictures that the notebook brings along do not take the live ones' places."""
    try:
        page = LabPage(new_page(), lab_server, FIRST.stem)
        notebook = json.loads(FIRST.read_text("utf-8"))
        first = next(n for n, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code")
        page.run_cell(first)
        page.wait_until_drawn(SCREEN)
        page.reload()
        page.page.get_by_role(
            "heading", name="From the plain gradient"
        ).scroll_into_view_if_needed()
        plays(page)
    finally:
        lab_server.shut_kernels_down()


def test_notebook_7(tmp_path: Path, new_page: Callable[..., Page]) -> None:
    server = NotebookServer(tmp_path)
    try:
        shutil.copy(FIRST, server.notebooks)
        page = LabPage(new_page(), server, FIRST.stem)
        assert page.page.locator(".jp-NotebookPanel-toolbar").is_visible()
        page.run_all()
        plays(page)
    finally:
        server.close()


def test_voila(tmp_path: Path, new_page: Callable[..., Page]) -> None:
    server = VoilaServer(tmp_path, FIRST)
    try:
        page = VoilaPage(new_page(), server)
        plays(page)
        assert page.page.title() == "1. See · Excitation pullbacks"
        text = page.page.locator("body").inner_text()
        assert "Exercise 1.1" in text and "import pullback_widgets" not in text
    finally:
        server.close()
