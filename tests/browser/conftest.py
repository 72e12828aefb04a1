"""JupyterLab and Chromium, started once; every test opens pages of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import chromium as chromium_browser
import journeys
import pytest
from labpage import LabPage
from servers import LabServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

RESULTS = Path(__file__).resolve().parent.parent.parent / "test-results"
VIEWPORT: ViewportSize = {"width": 1280, "height": 900}

failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Lets the fixtures of a test know that it failed."""
    report = yield
    item.stash[failed] = item.stash.get(failed, False) or report.failed
    return report


@pytest.fixture(scope="session")
def chromium(missing: Callable[[str], NoReturn]) -> Iterator[Browser]:
    """A Chromium without a window."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
    with sync_playwright() as playwright:
        browser = chromium_browser.launch(playwright)
        if browser is None:
            missing("no Chromium starts here")
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab_server(
    chromium: Browser,  # first, since without it no server is needed
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LabServer]:
    """JupyterLab as ``make lab`` starts it."""
    server = LabServer(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def results() -> Path:
    """The folder for pictures to look at."""
    RESULTS.mkdir(exist_ok=True)
    return RESULTS


@pytest.fixture
def new_page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """``new_page()`` is an empty page; ``scale=2`` is a HiDPI screen.

    A test that fails leaves a screenshot of each.
    """
    contexts: list[BrowserContext] = []

    def open_page(scale: float = 1.0) -> Page:
        context = chromium.new_context(viewport=VIEWPORT, device_scale_factor=scale)
        contexts.append(context)
        return context.new_page()

    yield open_page
    if request.node.stash[failed]:
        RESULTS.mkdir(exist_ok=True)
        for number, context in enumerate(contexts, 1):
            for page in context.pages:
                page.screenshot(path=RESULTS / f"{_name(request)}-{number}.png")
    for context in contexts:
        context.close()


@pytest.fixture
def lab_page(
    request: pytest.FixtureRequest, new_page: Callable[..., Page], lab_server: LabServer
) -> Iterator[Callable[..., LabPage]]:
    """``lab_page("code", "more code")`` opens a notebook of these cells and runs them.

    ``run=False`` only opens it; ``scale=2`` is a HiDPI screen. Whatever went wrong in the page or
    in the kernel by the end of the test fails it.
    """
    pages: list[LabPage] = []

    def open_page(*cells: str, run: bool = True, scale: float = 1.0) -> LabPage:
        name = f"{_name(request)}-{len(pages) + 1}"
        lab = LabPage(new_page(scale), lab_server, name, cells)
        pages.append(lab)
        if run:
            lab.run_all()
        return lab

    yield open_page
    try:
        if request.node.stash[failed]:
            print(lab_server.log.read_text()[-4000:])
        else:
            for lab in pages:
                lab.check()
    finally:
        lab_server.shut_kernels_down()


@pytest.fixture(scope="module")
def notebook(
    request: pytest.FixtureRequest, chromium: Browser, lab_server: LabServer
) -> Iterator[LabPage]:
    """A notebook whose first cell has shown the Explorer; it serves all tests of a file."""
    context = chromium.new_context(viewport=VIEWPORT)
    cells = (journeys.EXPLORER, journeys.AGAIN, journeys.MEANWHILE)
    lab = LabPage(context.new_page(), lab_server, request.path.stem, cells)
    lab.run_cell(0)
    lab.wait_until_drawn(journeys.SCREEN)
    lab.python(journeys.KERNEL)
    yield lab
    context.close()
    lab_server.shut_kernels_down()


@pytest.fixture
def lab(notebook: LabPage, request: pytest.FixtureRequest) -> Iterator[LabPage]:
    """That notebook with the default choices on the canvas; fails if anything went wrong unseen."""
    notebook.python("start_over()")
    notebook.forget_errors()
    journeys.shows(notebook, journeys.pulled(notebook, "None"))
    yield notebook
    if request.node.stash[failed]:
        RESULTS.mkdir(exist_ok=True)
        notebook.page.screenshot(path=RESULTS / f"{_name(request)}.png")
        seen = notebook.page.locator(".pullback-explorer").first.inner_text()
        print(f"What is seen of the explorer:\n{seen}")
    else:
        notebook.check()


def _name(request: pytest.FixtureRequest) -> str:
    """The test's name as a file can have it."""
    return re.sub(r"\W+", "-", request.node.name)
