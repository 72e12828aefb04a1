"""A cell that is run again closes the figure that it replaces, and no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cells import Notebook, opened

MAKE = "pw.GatePlayground()"


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    yield from opened(monkeypatch)


@pytest.mark.parametrize(
    "code",
    [
        MAKE,
        f"view = {MAKE}",
        f"view = {MAKE}\nview",
        f"view = {MAKE}\ndisplay(view)",
        f"def make():\n    view = {MAKE}\n    view.observe(lambda _: view, 'result')\n"
        "    return view\nmake()",
        f"views = [{MAKE}]",
    ],
)
def test_run_again_it_closes_the_one_before(notebook: Notebook, code: str) -> None:
    notebook.run("a", code)
    (first,) = notebook.alive()
    del first
    for _ in range(3):
        notebook.run("a", code)
        assert len(notebook.alive()) == 1


def test_two_of_one_run_both_live(notebook: Notebook) -> None:
    notebook.run("a", f"one = {MAKE}\ntwo = {MAKE}\ndisplay(one, two)")
    assert len(notebook.alive()) == 2
    notebook.run("b", f"three = {MAKE}")
    assert len(notebook.alive()) == 3
    notebook.run("a", f"one = {MAKE}\ntwo = {MAKE}\ndisplay(one, two)")
    assert len(notebook.alive()) == 3


@pytest.mark.parametrize(
    "keep",
    [
        "kept = view",
        "kept = [view]",
        "kept = {'view': [view]}",
        "class Keeps:\n    pass\nkept = Keeps()\nkept.view = view",
        "box = w.VBox([view])",
        "import json\njson.kept = view",
        "import functools\n@functools.lru_cache\ndef kept(_):\n    return view\nkept(1)",
    ],
)
def test_what_is_held_stays(notebook: Notebook, keep: str) -> None:
    notebook.run("a", f"view = {MAKE}")
    notebook.run("b", keep)
    notebook.run("a", f"view = {MAKE}")
    assert len(notebook.alive()) == 2
    __import__("json").__dict__.pop("kept", None)


def test_what_another_cell_shows_stays_until_that_shows_another(notebook: Notebook) -> None:
    notebook.run("a", f"view = {MAKE}")
    notebook.run("b", "view")
    notebook.run("a", f"view = {MAKE}")
    assert len(notebook.alive()) == 2
    notebook.run("b", "view")
    assert len(notebook.alive()) == 1


def test_what_is_shown_in_a_widget_stays(notebook: Notebook) -> None:
    notebook.run("a", "out = w.Output()\nout")
    code = f"out.msg_id = 'captures'\ndisplay({MAKE})\nout.msg_id = ''"
    notebook.run("b", code)
    notebook.run("b", code)
    assert len(notebook.alive()) == 2


def test_what_a_control_made_stays(notebook: Notebook) -> None:
    notebook.between_cells()
    notebook.shell.user_ns["pw"].GatePlayground()
    notebook.run("a", "1")
    notebook.run("a", "1")
    assert len(notebook.alive()) == 1


def test_without_cells_nothing_is_closed(notebook: Notebook) -> None:
    for _ in range(2):
        notebook.run(None, f"view = {MAKE}")
    assert len(notebook.alive()) == 2


def test_a_failing_run_leaves_what_a_variable_has(notebook: Notebook) -> None:
    notebook.run("a", f"view = {MAKE}")
    with pytest.raises(ZeroDivisionError):
        notebook.run("a", f"1 / 0\nview = {MAKE}")
    assert len(notebook.alive()) == 1


def test_ipython_remembers_no_closed_one(notebook: Notebook) -> None:
    for _ in range(2):
        notebook.run("a", MAKE)
    (view,) = notebook.alive()
    outputs = notebook.shell.user_ns["_oh"]
    assert list(outputs.values()) == [view]
