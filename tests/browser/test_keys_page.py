"""Keys in our controls and the wheel over our pictures: nobody else takes them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import access
import pytest
from labpage import LabPage
from servers import JupyterServer, LabServer, NotebookServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator

CELLS = (
    'before = "stays"',
    'import pullback_widgets as pw\npw.set_device("cpu")\n'
    'explorer = pw.Explorer(layer="blocks.4.2.bn2.act", channel=64)\nexplorer',
    'print("as it is\\n" * 99)',
)
WIDGET, SCREEN = ".pullback-explorer", ".pullback-screen"
HANDLE = ".pullback-temperature .noUi-handle"

# In command mode these delete, cut, copy, paste, insert and turn cells, choose and run them.
KEYS = [*"ddxcvabmyz", *("ArrowDown", "ArrowUp", "Enter", "Shift+Enter", "ArrowRight", "Escape")]

NOTEBOOK = """() => {
    const cells = window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells;
    return [...cells].map(cell => [cell.cell_type, cell.getSource(), cell.execution_count]);
}"""


@pytest.fixture(scope="module", params=[LabServer, NotebookServer], ids=["JupyterLab", "Notebook7"])
def notebook(
    request: pytest.FixtureRequest, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabPage]:
    """The Explorer between two other cells."""
    server: JupyterServer = request.param(tmp_path_factory.mktemp("keys"))
    context = chromium.new_context(viewport={"width": 1280, "height": 700})
    try:
        page = LabPage(context.new_page(), server, "keys", CELLS)
        page.run_all()
        page.wait_until_drawn(SCREEN)
        yield page
    finally:
        context.close()
        server.close()


def control(notebook: LabPage, number: int) -> Locator:
    """A control that :func:`access.controls` has marked."""
    return notebook.page.locator(f'[data-access="{number}"]')


def top(notebook: LabPage, canvas: str) -> float:
    """Where a canvas begins in the window."""
    box = notebook.canvas(canvas).bounding_box()
    assert box is not None
    return box["y"]


@pytest.mark.parametrize("canvas", [SCREEN, ".pullback-curve", ".pullback-strip"])
def test_the_wheel_scrolls_over_pictures(notebook: LabPage, canvas: str) -> None:
    notebook.canvas(canvas).hover(force=True)
    for down in (200, -200):
        before = top(notebook, canvas)
        notebook.page.mouse.wheel(0, down)
        scrolled = functools.partial(
            lambda before, down: (before - top(notebook, canvas)) * down > 0, before, down
        )
        notebook.wait_until(scrolled, "the page scrolls")


def test_a_canvas_takes_no_key(notebook: LabPage) -> None:
    notebook.canvas(SCREEN).focus()
    notebook.page.keyboard.press("Tab")
    assert not notebook.canvas(SCREEN).evaluate("one => one === document.activeElement")


def test_keys_reach_the_control(notebook: LabPage) -> None:
    notebook.page.locator(HANDLE).first.focus()
    for key, direction in (("ArrowRight", 1), ("ArrowUp", 1), ("ArrowLeft", -1), ("ArrowDown", -1)):
        before = notebook.value("explorer.temperature")
        notebook.page.keyboard.press(key)
        moved = functools.partial(
            lambda before, up: (notebook.value("explorer.temperature") - before) * up > 0,
            before,
            direction,
        )
        notebook.wait_until(moved, f"{key} moves the slider")


def test_arrows_go_from_layer_to_layer(notebook: LabPage) -> None:
    cells = notebook.page.evaluate(NOTEBOOK)
    layers = notebook.value("[one.name for one in pw.layers(explorer.model)]")
    place = layers.index(notebook.value("explorer.layer"))
    number = notebook.page.get_by_role("spinbutton", name="Number of the layer")
    number.focus()
    for key, by in (("ArrowUp", 1), ("ArrowDown", -1)):
        for _ in range(3):
            notebook.page.keyboard.press(key)  # without waiting for the picture
            place += by
        chosen = functools.partial(
            lambda name: notebook.value("explorer.layer") == name, layers[place]
        )
        notebook.wait_until(chosen, f"{key} chooses {layers[place]}")
        assert number.input_value() == str(place + 1)
        assert number.evaluate("one => one === document.activeElement")
    assert notebook.page.evaluate(NOTEBOOK) == cells


def test_keys_in_a_control_leave_the_notebook_alone(notebook: LabPage) -> None:
    before = notebook.page.evaluate(NOTEBOOK)
    assert len(before) == len(CELLS)
    with notebook.expecting_error():
        for number in range(len(access.controls(notebook, WIDGET))):
            one = control(notebook, number)
            if one.count() and one.is_enabled() and one.is_visible():
                one.focus()
                html = one.evaluate("one => one.outerHTML.slice(0, 160)")
                for key in KEYS:
                    notebook.page.keyboard.press(key)
                    assert notebook.page.evaluate(NOTEBOOK) == before, f"{key} in {html}"


def test_saving_is_left_to_the_notebook(notebook: LabPage) -> None:
    notebook.page.evaluate(
        "() => { window.jupyterapp.shell.currentWidget.context.model.sharedModel"
        ".cells[0].setSource('before = \"saved\"'); }"
    )
    notebook.page.locator(HANDLE).first.focus()
    notebook.page.keyboard.press("Control+s")
    notebook.wait_until(lambda: "saved" in notebook.path.read_text("utf-8"), "it is saved")
