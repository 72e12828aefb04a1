"""Voila's kernels: one for each open page, none for closed ones, no more than there are places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import nbformat
import pytest
from servers import VoilaServer
from voilapage import VoilaPage

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

CELL = """
import os, time, ipywidgets
if os.environ["QUERY_STRING"] == "slow":
    time.sleep(3600)
ipywidgets.IntSlider()
"""


@contextmanager
def served(folder: Path, *options: str) -> Iterator[VoilaServer]:
    """Voila with a notebook that needs little memory."""
    notebook = folder / "slider.ipynb"
    cells = [nbformat.v4.new_code_cell(CELL)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    server = VoilaServer(folder, notebook, *options)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def one_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VoilaServer]:
    """Voila with room for one visitor."""
    with served(tmp_path_factory.mktemp("voila"), "--places=1") as server:
        yield server


def visit(page: Page, server: VoilaServer) -> VoilaPage:
    """Opens the page and waits until its kernel's widget is there."""
    visitor = VoilaPage(page, server)
    visitor.slider().wait_for()
    return visitor


def test_a_page_takes_its_kernel_along(
    new_page: Callable[..., Page], one_place: VoilaServer
) -> None:
    """Loaded again, it needs no second place."""
    visitor = visit(new_page(), one_place)
    first = one_place.kernels()
    assert len(first) == 1

    visitor.page.reload()
    visitor.slider().wait_for()
    visitor.forget_errors()  # the page that goes may still ask for the kernel that it takes along
    visitor.check()
    second = one_place.kernels()
    assert len(second) == 1 and second != first

    visitor.page.close(run_before_unload=True)
    one_place.wait_for_kernels(0)


def test_a_page_closed_while_it_is_computed(
    new_page: Callable[..., Page], one_place: VoilaServer
) -> None:
    page = new_page()
    page.goto(f"{one_place.url}?slow", wait_until="commit")
    one_place.wait_for_kernels(1)
    page.close()
    one_place.wait_for_kernels(0)


def test_all_places_are_taken(new_page: Callable[..., Page], tmp_path: Path) -> None:
    """Until a browser goes, even without a word; a page that is only looked at stays."""
    options = ("--places=2", "--Places.wait=0.5", "--Places.left_timeout=8")
    with served(tmp_path, *options, "--MappingKernelManager.cull_interval=1") as server:
        visit(new_page(), server)
        first = server.kernels()
        second = visit(new_page(), server)

        page = new_page()
        answer = page.goto(server.url)
        assert answer is not None and answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        page.get_by_role("heading", name="All places are taken").wait_for()
        page.get_by_text("has memory for 2 at a time").wait_for()
        assert len(server.kernels()) == 2

        second.page.close()  # as when it crashes
        assert server.wait_for_kernels(1) == first
        page.locator(".widget-slider").wait_for()


def test_a_page_that_is_forgotten(new_page: Callable[..., Page], tmp_path: Path) -> None:
    """Its kernel ends after a while, too, and the page says so."""
    options = ("cull_idle_timeout=8", "cull_interval=1")
    with served(tmp_path, *(f"--MappingKernelManager.{one}" for one in options)) as server:
        page = visit(new_page(), server).page
        server.wait_for_kernels(0)
        page.get_by_role("alert").filter(has_text="no longer reacts").wait_for()
        assert page.get_by_role("link", name="Load it again").is_visible()
