"""A notebook without a page: IPython that is told, as by JupyterLab, which cell it runs."""

from __future__ import annotations

import atexit
import itertools
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets.widgets.widget import _instances
from traitlets.config import Config

from pullback_widgets.widgets.kit.live import ComputingWidget


class Notebook:
    """``run(cell, code)`` runs code in a cell; ``alive()`` are the figures that are not closed."""

    def __init__(self, shell: Any) -> None:
        self.shell, self._runs = shell, itertools.count()
        self._before = set(_instances)
        shell.get_parent = self._parent
        self._tell(None)
        self.run("imports", "import ipywidgets as w\nimport pullback_widgets as pw")

    def _parent(self) -> dict[str, Any]:
        return self._message

    def _tell(self, cell: str | None, kind: str = "execute_request") -> None:
        header = {"msg_type": kind, "msg_id": str(next(self._runs))}
        self._message = {"header": header, "metadata": {} if cell is None else {"cellId": cell}}

    def run(self, cell: str | None, code: str) -> None:
        """Run code in a cell; None for a program that knows no cells."""
        self._tell(cell)
        self.shell.run_cell(code, store_history=True).raise_error()

    def between_cells(self) -> None:
        """What follows is done by a control's callback."""
        self._tell(None, "comm_msg")

    def alive(self) -> list[ComputingWidget]:
        """The figures that were made here and are not closed."""
        ours = [_instances[key] for key in set(_instances) - self._before]
        return [one for one in ours if isinstance(one, ComputingWidget)]


def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """The notebook of a fixture."""
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    config = Config(HistoryManager={"enabled": False})
    shell = InteractiveShell.instance(user_module=main, config=config)
    notebook = Notebook(shell)
    yield notebook
    for one in notebook.alive():
        one.close()
    shell.atexit_operations()
    atexit.unregister(shell.atexit_operations)
    InteractiveShell.clear_instance()
