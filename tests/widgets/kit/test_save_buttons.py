"""The buttons that write files and offer them to the browser."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import traitlets as t
from waiting import SECONDS, until
from widgets import find, text_with

from pullback_widgets.widgets.kit import save_buttons as takeaway
from pullback_widgets.widgets.kit.live import ComputingWidget
from pullback_widgets.widgets.kit.save_buttons import SaveButtons

pytestmark = pytest.mark.usefixtures("nothing_swallowed")


class Figure(ComputingWidget):
    """A widget with a choice and a result."""

    NAMES = ("shown",)

    shown = t.Unicode("")
    result = t.Any(None, allow_none=True)


class Source:
    """Something that can be saved, and lines of Python that may have to be waited for."""

    content = b"a & <b>\n" * 100
    lines: str | Exception = "a < b"

    def __init__(self) -> None:
        self.before_saving: Callable[[], object] = lambda: None
        self.computed = threading.Event()
        self.computed.set()

    def save(self, path: Path) -> Path:
        self.before_saving()
        if path.suffix == ".bad":
            raise ValueError("There is nothing to save; press Run first.")
        path.write_bytes(self.content)
        return path

    def code(self) -> str:
        assert self.computed.wait(SECONDS)
        if isinstance(self.lines, Exception):
            raise self.lines
        return self.lines


@pytest.fixture
def live() -> Iterator[Figure]:
    live = Figure()
    yield live
    live.close()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def panel(live: Figure, source: Source) -> SaveButtons:
    texts = {"Code": source.code, "Recipe text": lambda: "a recipe"}
    endings = [".png", ".json", ".bad"]
    panel = SaveButtons(live, endings, source.save, texts, stem=lambda: live.shown or "thing")
    live.children = [panel.box, live._problem]
    return panel


def test_a_button_offers_the_file_s_bytes(live: Figure, panel: SaveButtons) -> None:
    panel.write(".png").join(SECONDS)
    link = text_with(live, "pullback-download")
    assert 'download="thing.png"' in link and "(1 kB)" in link
    found = re.search(r'href="data:image/png;base64,([^"]+)"', link)
    assert found and base64.b64decode(found[1]) == Source.content


def test_every_ending_has_its_button(live: Figure, panel: SaveButtons) -> None:
    for name in ("PNG", "Recipe", "BAD", "Code", "Recipe text"):
        assert find(live, name)


def test_a_file_is_called_after_what_is_shown_now(live: Figure, panel: SaveButtons) -> None:
    live.shown = "golf-ball"
    panel.write(".png").join(SECONDS)
    assert 'download="golf-ball.png"' in text_with(live, "pullback-download")


def test_one_text_takes_the_place_of_the_other(live: Figure, panel: SaveButtons) -> None:
    find(live, "Code").click()
    until(lambda: "a &lt; b" in text_with(live, "<pre"))
    find(live, "Recipe text").click()
    until(lambda: ">a recipe</pre>" in text_with(live, "<pre"))
    find(live, "Recipe text").click()
    assert text_with(live, "<pre") == ""


def test_the_text_that_was_pressed_last_is_shown(
    live: Figure, panel: SaveButtons, source: Source
) -> None:
    source.computed.clear()
    find(live, "Code").click()
    find(live, "Recipe text").click()  # while the code is waited for
    source.computed.set()
    until(lambda: ">a recipe</pre>" in text_with(live, "<pre"))


def test_what_goes_wrong_is_shown(live: Figure, panel: SaveButtons) -> None:
    panel.write(".bad").join(SECONDS)
    assert live.error == "There is nothing to save; press Run first."
    assert "press Run first" in text_with(live, "pullback-error")
    assert "pullback-download" not in text_with(live, "pullback-note")


def test_a_large_file_lies_beside_the_notebook(
    live: Figure, panel: SaveButtons, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(takeaway, "LARGEST_LINK", 10)
    monkeypatch.chdir(tmp_path)
    for name in ("thing.png", "thing_2.png"):
        panel.write(".png").join(SECONDS)
        assert (tmp_path / name).read_bytes() == Source.content
        said = text_with(live, "written to")
        assert f"written to {tmp_path / name}" in said and "open it in the file browser" in said


def test_a_link_goes_with_the_first_change(live: Figure, panel: SaveButtons) -> None:
    for name, value in (("shown", "difference"), ("result", object())):
        panel.write(".png").join(SECONDS)
        assert text_with(live, "pullback-download")
        live.set_trait(name, value)
        assert not text_with(live, "pullback-download")


def test_what_changes_while_it_is_written_is_not_offered(
    live: Figure, panel: SaveButtons, source: Source
) -> None:
    source.before_saving = lambda: live.set_trait("shown", "difference")
    panel.write(".png").join(SECONDS)
    assert not text_with(live, "pullback-download") and text_with(live, "press again")


def test_the_code_is_shown_and_hidden(live: Figure, panel: SaveButtons) -> None:
    find(live, "Code").click()
    until(lambda: "a &lt; b" in text_with(live, "<pre"))
    find(live, "Code").click()
    assert text_with(live, "<pre") == ""


def test_shown_code_follows_the_result_and_nobody_waits_for_it(
    live: Figure, panel: SaveButtons, source: Source
) -> None:
    find(live, "Code").click()
    until(lambda: text_with(live, "a &lt; b"))
    source.computed.clear()
    for number in range(3):
        live.result = number  # would hang if this waited
    assert find(live, "pullback-stale").value == text_with(live, "a &lt; b")
    source.lines = "c"
    source.computed.set()
    until(lambda: text_with(live, ">c</pre>"))
    until(lambda: "pullback-stale" not in find(live, "pullback-lines")._dom_classes)


def test_code_that_is_hidden_meanwhile_stays_hidden(
    live: Figure, panel: SaveButtons, source: Source
) -> None:
    source.computed.clear()
    find(live, "Code").click()
    find(live, "Code").click()
    source.computed.set()
    until(lambda: not panel._reading)
    assert text_with(live, "<pre") == ""


def test_code_goes_with_a_computation_that_fails(
    live: Figure, panel: SaveButtons, source: Source
) -> None:
    find(live, "Code").click()
    until(lambda: text_with(live, "<pre"))
    source.lines = RuntimeError("no more power")
    live.result = 1
    until(lambda: not text_with(live, "<pre"))
    assert not live.error  # the computation says it itself
    find(live, "Code").click()
    until(lambda: live.error == "no more power")
