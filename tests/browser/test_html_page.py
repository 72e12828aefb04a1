"""A notebook as a page of HTML: what nbconvert makes of an Explorer, without the internet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

HOWTO = Path(__file__).resolve().parent.parent.parent / "docs" / "howto" / "export.md"
COMMAND = (
    "nbconvert --execute --to html --template classic --ClearMetadataPreprocessor.enabled=True"
)
CELL = 'import pullback_widgets as pw\npw.set_device("cpu")\npw.Explorer(target="golf ball")'


def test_the_picture_its_caption_and_its_words(
    new_page: Callable[..., Page], tmp_path: Path
) -> None:
    assert f"jupyter {COMMAND} NOTEBOOK.ipynb" in HOWTO.read_text("utf-8")
    notebook = tmp_path / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)]), notebook)
    subprocess.run([sys.executable, "-m", *COMMAND.split(), str(notebook)], check=True)
    page = new_page()
    page.goto(notebook.with_suffix(".html").as_uri())
    picture = page.get_by_role("img", name="pullback of golf ball (class 574), relative T = 0.85")
    assert picture.is_visible()
    width, height = picture.evaluate("one => [one.naturalWidth, one.naturalHeight]")
    assert width > 2 * 448 and height > 448 + 40  # two pictures, and lines of text under them
