"""Explorers of small networks."""

import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from explorers import Hold, Make
from networks import image, network, wrap
from waiting import SECONDS
from widgets import Page

import pullback_widgets as pw
from pullback_widgets.networks import loaded
from pullback_widgets.widgets.kit.worker import Worker


@pytest.fixture
def explore(page: Page) -> Iterator[Make]:
    """Makes explorers of small networks that have drawn their first picture."""
    made: list[pw.Explorer] = []

    def make(model: Any = None, given: Any = None, **choices: Any) -> pw.Explorer:
        model = wrap(network("residual")) if model is None else model
        made.append(pw.Explorer(model, image(1) if given is None else given, **choices))
        assert made[-1].wait(SECONDS)
        return made[-1]

    yield make
    for explorer in made:
        assert explorer.wait(SECONDS)
        explorer.close()


@pytest.fixture
def explorer(explore: Make) -> pw.Explorer:
    return explore()


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    return Hold(monkeypatch)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are done before submitting them returns, as may happen on a busy machine."""
    submit = Worker.submit

    def and_done(worker: Worker[Any], request: Any) -> None:
        submit(worker, request)
        worker.wait(SECONDS)

    monkeypatch.setattr(Worker, "submit", and_done)


@pytest.fixture
def no_network_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgets what other tests have loaded, and whatever is loaded now."""
    monkeypatch.setattr(loaded, "_loaded", weakref.WeakValueDictionary())
