"""What all tests share."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from sample import VARIABLE, chosen

if TYPE_CHECKING:
    from widgets import Page

# Before anything imports torch, and for all kernels that tests start: threads of torch that wait
# for one another on busy cores take up to ten times the CPU time that one thread takes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Likewise for all processes of a run, even if midnight is in it.
os.environ[VARIABLE] = chosen()

REPOSITORY = Path(__file__).resolve().parent.parent
BROWSER_TESTS = REPOSITORY / "tests" / "browser"

# Set by .ci/run, where nothing may be missing.
NO_SKIP = os.environ.get("PULLBACK_WIDGETS_NO_SKIP") == "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--device cuda`` runs the tests of numbers there alone; see ``tests/engine/conftest.py``."""
    parser.addoption("--device", action="append", help="cpu, cuda, or elsewhere, the stand-in")


def pytest_report_header() -> str:
    """How the networks of this run come again."""
    return f"networks of the support table: {VARIABLE}={os.environ[VARIABLE]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the browser tests, and puts them last: the quick ones report first."""
    for item in items:
        if item.path.is_relative_to(BROWSER_TESTS):
            item.add_marker("browser")
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """``missing(reason)`` skips the test for want of something; under .ci/run it fails it."""

    def missing(reason: str) -> NoReturn:
        if NO_SKIP:
            pytest.fail(f"{reason} (skipped elsewhere, but .ci/run needs it)", pytrace=False)
        pytest.skip(reason)

    return missing


@pytest.fixture(scope="session")
def shared(missing: Callable[[str], NoReturn]) -> Path:
    """The folder with trained weights, photographs and reference outputs beside the repository."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        missing("the folder ../shared is not there")
    return folder


@pytest.fixture(autouse=True)
def only_what_is_asked_for(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is computed ahead but in a browser's kernels and where a test says so."""
    if request.node.get_closest_marker("browser") is None:
        monkeypatch.setenv("PULLBACK_WIDGETS_PREFETCH", "0")


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """What a browser would see of all canvases, from the beginning of the test."""
    from ipycanvas.canvas import _CANVAS_MANAGER
    from widgets import Page

    page = Page()
    monkeypatch.setattr(_CANVAS_MANAGER, "send", page.receive)
    monkeypatch.setattr(_CANVAS_MANAGER, "_current_canvas", None)
    return page


@pytest.fixture
def nothing_swallowed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fails a test in which an exception was lost in a thread or in a widget's callback."""
    lost: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lost.append)
    yield
    assert not lost, lost[0].exc_value
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    assert not [record.getMessage() for record in records if record.levelno >= logging.WARNING]
