"""A notebook open in JupyterLab or Notebook 7 as a test sees it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import nbformat
from widgetpage import SECONDS, WidgetPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page
    from servers import JupyterServer

KERNEL_STATUS = """() => {
    const context = window.jupyterapp?.shell?.currentWidget?.sessionContext;
    return context?.isReady ? context.session?.kernel?.status : 'starting';
}"""

# Exceptions in widget callbacks and threads reach no cell; in these messages they are seen.
WATCH_KERNEL = """() => {
    window.kernelErrors = [];
    window.kernelStderr = '';
    window.jupyterapp.shell.currentWidget.sessionContext.iopubMessage.connect((_, message) => {
        const {content} = message;
        if (message.header.msg_type === 'error')
            window.kernelErrors.push(content.traceback.join('\\n'));
        else if (message.header.msg_type === 'stream' && content.name === 'stderr')
            window.kernelStderr += content.text;
    });
}"""

KERNEL_ERRORS = """() => {
    const text = window.kernelStderr ?? '';
    return [...(window.kernelErrors ?? []), ...(text.includes('Traceback (most') ? [text] : [])];
}"""

RUN_COMMAND = """command => {
    window.commandState = 'running';
    window.jupyterapp.commands.execute(command).then(
        () => { window.commandState = 'done'; },
        error => { window.commandState = `failed: ${error}`; });
}"""

# Holds the thread that computes as soon as a result is as wanted.
HOLD = """
import threading
held, let_go = threading.Event(), threading.Event()

def hold(change):
    if threading.current_thread() is not threading.main_thread() and ({when})(change["new"]):
        held.set()
        let_go.wait()

{widget}.observe(hold, "result")
"""

RUN_PYTHON = """async ([code, seconds]) => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const future = kernel.requestExecute({code, store_history: false});
    const result = {text: '', error: null};
    future.onIOPub = ({header, content}) => {
        if (header.msg_type === 'stream') result.text += content.text;
        if (header.msg_type === 'error') result.error = content.traceback.join('\\n');
    };
    const late = new Promise((_, reject) =>
        setTimeout(() => reject(new Error(`the kernel took over ${seconds} s`)), 1000 * seconds));
    await Promise.race([future.done, late]);
    return result;
}"""


class LabPage(WidgetPage):
    """One notebook, open in JupyterLab or Notebook 7.

    In the kernel, an exception in a cell, in a widget callback or in a thread is an error.
    """

    def __init__(
        self, page: Page, server: JupyterServer, name: str, cells: tuple[str, ...] = ()
    ) -> None:
        """Opens a notebook.

        Args:
            page: Playwright's.
            server: Has the notebook.
            name: Of the notebook, without the ending.
            cells: Of a new notebook; without any, the notebook is there already.
        """
        super().__init__(page)
        self.path = server.notebooks / f"{name}.ipynb"
        if cells:
            notebook = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
                metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            )
            nbformat.write(notebook, self.path)
        page.goto(server.address(self.path.name))
        self._wait_until_open()

    def _wait_until_open(self) -> None:
        self.wait_until(lambda: self.page.evaluate(KERNEL_STATUS) == "idle", "kernel idle")
        self.page.evaluate(WATCH_KERNEL)

    # What the notebook can be told to do

    def run_all(self, timeout: float = SECONDS) -> None:
        """Runs all cells, and waits until they have run."""
        self._command("notebook:run-all-cells", timeout)

    def run_cell(self, index: int, timeout: float = SECONDS) -> None:
        """Runs one cell, and waits until it has run."""
        self.page.evaluate(
            "index => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }",
            index,
        )
        self._command("notebook:run-cell", timeout)

    def restart_and_run_all(self, timeout: float = SECONDS) -> None:
        """Restarts the kernel, clears the outputs and runs all cells."""
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"
        )
        self.wait_until(lambda: self.page.evaluate(KERNEL_STATUS) == "idle", "kernel idle", timeout)
        self._command("notebook:clear-all-cell-outputs", timeout)
        self._command("notebook:run-all-cells", timeout)

    def save(self) -> None:
        """Saves the notebook to ``path``."""
        self._command("docmanager:save", SECONDS)

    def reload(self) -> None:
        """Saves the notebook and reloads the page, as a user's F5 does; the kernel goes on."""
        self.save()
        self.check()
        self.page.reload()
        self._wait_until_open()

    def python(self, code: str, timeout: float = SECONDS) -> str:
        """Runs code in the notebook's kernel; what it printed. Raises if it raises."""
        result = self.page.evaluate(RUN_PYTHON, [code, timeout])
        if result["error"]:
            raise RuntimeError(result["error"])
        text: str = result["text"]
        return text

    def value(self, expression: str, timeout: float = SECONDS) -> Any:
        """The value of a Python expression in the kernel, by way of JSON."""
        text = self.python(f"print(__import__('json').dumps({expression}))", timeout)
        return json.loads(text.splitlines()[-1])

    @contextlib.contextmanager
    def holding(self, widget: str, when: str) -> Iterator[None]:
        """In this block, a computation stops for as long as its result is as wanted.

        So a state that would pass by itself stays until the test has seen it.

        Args:
            widget: An expression in the kernel.
            when: A function of the result there, such as ``lambda result: result.progress > 0``.
        """
        self.python(HOLD.format(widget=widget, when=when))
        try:
            yield
        finally:
            self.python(f"{widget}.unobserve(hold, 'result'); let_go.set()")

    def wait_until_held(self) -> None:
        """Inside ``holding``: until the computation has come so far."""
        self.wait_until(lambda: self.value("held.is_set()"), "the computation is held")

    def _command(self, command: str, timeout: float) -> None:
        self.page.evaluate(RUN_COMMAND, command)
        state = self.wait_until(
            lambda: (state := self.page.evaluate("window.commandState")) != "running" and state,
            command,
            timeout,
        )
        if state != "done":
            raise RuntimeError(f"{command} {state}")

    # Errors

    def kernel_errors(self) -> list[str]:
        errors: list[str] = self.page.evaluate(KERNEL_ERRORS)
        return errors

    def forget_errors(self) -> None:
        super().forget_errors()
        self.page.evaluate("() => { window.kernelErrors = []; window.kernelStderr = ''; }")
