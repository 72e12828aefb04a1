"""What a notebook stores of a figure."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from waiting import SECONDS

from pullback_widgets.drawing import pixels
from pullback_widgets.widgets.kit import stored
from pullback_widgets.widgets.kit.stored import Stored


def run(action: Callable[[], object]) -> bool:
    action()
    return True


class Notebook:
    """Takes outputs; ``stored`` are the last of each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.updates = 0
        self.updated = threading.Event()
        monkeypatch.setattr("IPython.display.display", self.display)

    def display(self, bundle: dict[str, Any], metadata: Any = None, **options: Any) -> Any:
        place = len(self.outputs)
        self.outputs.append({"data": bundle, "metadata": metadata})
        notebook = self

        class Handle:
            def update(self, bundle: dict[str, Any], metadata: Any, raw: bool) -> None:
                notebook.outputs[place] = {"data": bundle, "metadata": metadata}
                notebook.updates += 1
                notebook.updated.set()

        return Handle()

    def grey(self, place: int = 0) -> int | None:
        """The grey of the stored picture."""
        png = self.outputs[place]["data"].get("image/png")
        if png is None:
            return None
        return int(np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))[0, 0, 0])


class Figure:
    def __init__(self) -> None:
        self.grey: int | None = None
        self.stored = Stored(self.picture, lambda: "A <figure>", run)

    def picture(self) -> Any:
        if self.grey is None:
            return None
        return pixels.png(np.full((4, 300, 3), self.grey, np.uint8)), ("grey", str(self.grey))


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    return Notebook(monkeypatch)


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch) -> Figure:
    monkeypatch.setattr(stored, "SECONDS", 0.2)
    return Figure()


def test_the_first_picture_at_once_and_then_the_last(notebook: Notebook, figure: Figure) -> None:
    figure.stored.display()
    assert notebook.grey() is None
    figure.grey = 10
    figure.stored.refresh()
    assert notebook.grey() == 10
    notebook.updated.clear()
    for grey in range(20, 200):  # as while a slider is dragged
        figure.grey = grey
        figure.stored.refresh()
    assert notebook.updates == 1
    assert notebook.updated.wait(SECONDS)
    assert notebook.grey() == 199 and notebook.updates == 2


def test_words_for_who_does_not_see_it(notebook: Notebook, figure: Figure) -> None:
    figure.grey = 10
    figure.stored.display()
    (output,) = notebook.outputs
    assert output["data"]["text/plain"] == "A <figure>"
    assert output["metadata"] == {"image/png": {"alt": "A &lt;figure&gt;. grey. 10"}}
    assert 'alt="A &lt;figure&gt;. grey. 10"' in figure.stored.unseen.value


def test_every_cell_that_shows_it_has_the_last(notebook: Notebook, figure: Figure) -> None:
    figure.grey = 10
    figure.stored.display()
    figure.grey = 20
    figure.stored.display()
    assert (notebook.grey(0), notebook.grey(1)) == (10, 20)
    figure.grey = 30
    figure.stored._store()
    assert (notebook.grey(0), notebook.grey(1)) == (30, 30)


def test_what_is_stored_of_a_closed_figure_stays(notebook: Notebook, figure: Figure) -> None:
    figure.grey = 10
    figure.stored.display()
    figure.grey = 20
    figure.stored.refresh()
    figure.stored.close()
    assert not notebook.updated.wait(0.5)
    figure.stored.refresh()
    assert notebook.grey() == 10


def test_without_an_output_nothing_is_made(figure: Figure) -> None:
    figure.grey = 10
    figure.stored.refresh()
    assert "<img" not in figure.stored.unseen.value
