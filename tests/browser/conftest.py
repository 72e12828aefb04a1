"""JupyterLab and Chromium, started once; every test opens a notebook of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import chromium as chromium_browser
import pytest
from labpage import LabPage, LabServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

RESULTS = Path(__file__).resolve().parent.parent.parent / "test-results"

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


@pytest.fixture
def lab_page(
    request: pytest.FixtureRequest, chromium: Browser, lab_server: LabServer
) -> Iterator[Callable[..., LabPage]]:
    """``lab_page("code", "more code")`` opens a notebook of these cells and runs them.

    ``run=False`` only opens it; ``scale=2`` is a HiDPI screen. Whatever went wrong in the page or
    in the kernel by the end of the test fails it.
    """
    name = re.sub(r"\W+", "-", request.node.name)
    contexts: list[BrowserContext] = []
    pages: list[LabPage] = []

    def open_page(*cells: str, run: bool = True, scale: float = 1.0) -> LabPage:
        context = chromium.new_context(
            viewport={"width": 1280, "height": 900}, device_scale_factor=scale
        )
        contexts.append(context)
        lab = LabPage(context.new_page(), lab_server, f"{name}-{len(contexts)}", cells)
        pages.append(lab)
        if run:
            lab.run_all()
        return lab

    yield open_page
    try:
        if request.node.stash[failed]:
            RESULTS.mkdir(exist_ok=True)
            for number, context in enumerate(contexts, 1):
                for page in context.pages:
                    page.screenshot(path=RESULTS / f"{name}-{number}.png")
            print(lab_server.log.read_text()[-4000:])
        else:
            for lab in pages:
                lab.check()
    finally:
        for context in contexts:
            context.close()
        lab_server.shut_kernels_down()
