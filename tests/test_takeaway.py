"""The buttons that write files and offer them to the browser."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from widgets import find, text_with

from pullback_widgets import takeaway
from pullback_widgets.live import Live
from pullback_widgets.takeaway import TakeawayPanel

pytestmark = pytest.mark.usefixtures("nothing_swallowed")

SECONDS = 30.0


class Source:
    """Something that can be saved."""

    content = b"a & <b>\n" * 100

    def save(self, path: Path) -> Path:
        if path.suffix == ".bad":
            raise ValueError("There is nothing to save; press Run first.")
        path.write_bytes(self.content)
        return path

    def code(self) -> str:
        return "a < b"


@pytest.fixture
def live() -> Iterator[Live]:
    live = Live()
    yield live
    live.close()


@pytest.fixture
def panel(live: Live) -> TakeawayPanel:
    source = Source()
    panel = TakeawayPanel(live, [".png", ".json", ".bad"], source.save, source.code, stem="thing")
    live.children = [panel.box, live._problem]
    return panel


def test_a_button_offers_the_file_s_bytes(live: Live, panel: TakeawayPanel) -> None:
    panel.write(".png").join(SECONDS)
    link = text_with(live, "pullback-download")
    assert 'download="thing.png"' in link and "(1 kB)" in link
    found = re.search(r'href="data:image/png;base64,([^"]+)"', link)
    assert found and base64.b64decode(found[1]) == Source.content


def test_every_ending_has_its_button(live: Live, panel: TakeawayPanel) -> None:
    for name in ("PNG", "Recipe", "BAD", "Code"):
        assert find(live, name)


def test_what_goes_wrong_is_shown(live: Live, panel: TakeawayPanel) -> None:
    panel.write(".bad").join(SECONDS)
    assert live.error == "There is nothing to save; press Run first."
    assert "press Run first" in text_with(live, "pullback-error")
    assert "pullback-download" not in text_with(live, "pullback-note")


def test_a_large_file_lies_beside_the_notebook(
    live: Live, panel: TakeawayPanel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(takeaway, "LARGEST_LINK", 10)
    monkeypatch.chdir(tmp_path)
    for name in ("thing.png", "thing_2.png"):
        panel.write(".png").join(SECONDS)
        assert (tmp_path / name).read_bytes() == Source.content
        assert f"written to {tmp_path / name}" in text_with(live, "written to")


def test_the_code_is_shown_and_hidden(live: Live, panel: TakeawayPanel) -> None:
    find(live, "Code").click()
    assert "a &lt; b" in text_with(live, "<pre")
    find(live, "Code").click()
    assert text_with(live, "<pre") == ""
