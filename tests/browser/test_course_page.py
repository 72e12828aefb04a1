"""A course of someone's own from its folder to the lecturer's table, and widgets on a projector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labpage import LabPage

from pullback_widgets.command import command
from pullback_widgets.course.record import FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from playwright.sync_api import Page
    from servers import LabServer

CHECKS = """
import pullback_widgets as pw

@pw.exercise("9.1", hints=["It is odd."], praise="Three it is.")
def three(answer):
    return None if answer == 3 else "Count again, and " + "read every word of the text " * 6
"""

SCREEN = ".pullback-screen"

EXPLORER = """
import pullback_widgets as pw
pw.set_device("cpu")
explorer = pw.Explorer(image="chelsea", layer="blocks.4.2.bn2.act", channel=64)
explorer
"""


def test_an_answer_comes_to_the_table(
    new_page: Callable[..., Page],
    lab_server: LabServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my_checks.py").write_text(CHECKS)
    (tmp_path / "mine" / "README.md").write_text("notes")
    try:
        cells = (
            "import my_checks\nimport pullback_widgets as pw",
            "pw.check('9.1', 4)",
            "print(pw.check('9.1', 4))",
            "pw.check('9.1', 3)",
            "pw.progress()",
        )
        page = LabPage(new_page(), lab_server, "mine", cells)
        (tmp_path / "mine" / "mine.ipynb").write_bytes(page.path.read_bytes())
        command.main(["course", str(lab_server.notebooks), "--from", str(tmp_path / "mine")])
        page.run_all()
        shown = page.page.locator(".jp-OutputArea-output").all_inner_texts()
        assert shown[0].startswith("✘ Not yet. Count again")
        assert all(len(line) <= 88 for line in shown[1].splitlines())
        assert shown[2] == "✔ Right. Three it is."
        assert "✔ 9.1" in shown[3] and f"Hand in the file {FILE}" in shown[3]
        page.check()
        assert command.main(["collect", str(lab_server.notebooks)]) == 0
        table = capsys.readouterr().out
        assert [FILE, "1", "x"] in [line.split() for line in table.splitlines()]
    finally:
        for name in (FILE, "hand-ins.csv", "my_checks.py", "mine.ipynb"):
            (lab_server.notebooks / name).unlink(missing_ok=True)
        lab_server.shut_kernels_down()


def test_larger_widgets_are_used_as_before(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(EXPLORER, "pw.presentation()", "pw.presentation(False)", run=False)
    lab.run_cell(0)
    lab.wait_until_drawn(SCREEN)
    button = lab.page.locator(".pullback-explorer button").filter(has_text="plain gradient")

    def height() -> float:
        box = button.bounding_box()
        assert box is not None
        return box["height"]

    usual = height()
    lab.run_cell(1)
    lab.wait_until(lambda: abs(height() / usual - 1.4) < 0.05, "larger")
    width, tall = lab.canvas(SCREEN).evaluate("canvas => [canvas.width, canvas.height]")
    lab.click_canvas(0.3 * width, 0.7 * tall, SCREEN)
    lab.wait_until(lambda: lab.value("explorer.position") is not None, "a place is chosen")
    assert lab.value("list(explorer.position)") == [9, 4]
    handle = lab.page.locator(".pullback-temperature .noUi-handle").first
    before = handle.bounding_box()
    lab.drag(handle, -150)
    lab.wait_until(lambda: 0 < lab.value("explorer.temperature") < 0.4, "the temperature is lower")
    after = handle.bounding_box()
    assert before is not None and after is not None
    assert abs(before["x"] - after["x"] - 150) < 15, "the handle stays under the mouse"
    lab.run_cell(2)
    lab.wait_until(lambda: abs(height() / usual - 1) < 0.01, "of the usual size")
