"""A JupyterLab server, and a notebook open in a browser as a test sees it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import nbformat
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import ConsoleMessage, Locator, Page

T = TypeVar("T")

LAB = Path(__file__).resolve().parent.parent.parent / ".ci" / "lab.py"
CANVAS = ".jp-OutputArea-output canvas"
ERROR = ".pullback-error"

# Of JupyterLab itself: a kernel that restarts cancels what was still asked of it (the debugger's
# state; after a reload, one subshell per widget), and JupyterLab reports each as an error.
NOISE = re.compile("Canceled future for (debug|create_subshell)_request message")

TERMINAL_COLOUR = re.compile(r"\x1b\[[\d;]*m")

READ_PIXELS = """canvas => {
    const {width, height} = canvas;
    const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
    let text = '';
    for (let i = 0; i < data.length; i += 32768)
        text += String.fromCharCode.apply(null, data.subarray(i, i + 32768));
    return {width, height, data: btoa(text)};
}"""

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


class LabServer:
    """JupyterLab as ``make lab`` starts it, on a free port, with its files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.notebooks = folder / "notebooks"
        self.log = folder / "server.log"
        self.notebooks.mkdir()
        config, runtime = folder / "config", folder / "runtime"
        # No question about news, which would fetch them.
        settings = config / "lab/user-settings/@jupyterlab/apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text(
            json.dumps({"checkForUpdates": False, "fetchNews": "false"})
        )
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, str(LAB), "--no-browser", "--expose-app-in-browser"),
                    f"--ServerApp.root_dir={self.notebooks}",
                    "--LabApp.default_url=/lab",
                ],
                cwd=folder,
                env={
                    **os.environ,
                    "JUPYTER_CONFIG_DIR": str(config),
                    "JUPYTER_DATA_DIR": str(folder / "data"),
                    "JUPYTER_RUNTIME_DIR": str(runtime),
                    "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
                    "IPYTHONDIR": str(folder / "ipython"),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            info = self._wait_for(runtime / f"jpserver-{self._process.pid}.json")
        except BaseException:
            self.close()
            raise
        self.url: str = info["url"]
        self.token: str = info["token"]

    def _wait_for(self, path: Path, timeout: float = 60.0) -> Any:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError, ValueError):  # not there, or half written
                return json.loads(path.read_text())
            time.sleep(0.05)
        raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()}")

    def request(self, method: str, path: str) -> bytes:
        """One request to the server's REST interface; the body of the answer."""
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            body: bytes = answer.read()
        return body

    def shut_kernels_down(self) -> None:
        """Ends every notebook's session and kernel, and with them their memory."""
        for session in json.loads(self.request("GET", "api/sessions")):
            self.request("DELETE", f"api/sessions/{session['id']}")

    def close(self) -> None:
        """Stops the server and its kernels."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class LabPage:
    """One notebook, open in JupyterLab. ``page`` is playwright's page.

    Canvases are named by a CSS selector and an index among its matches; without one, the first
    canvas of the notebook's outputs. Whatever waits also checks that nothing went wrong meanwhile:
    no exception in the page, in a cell, in a widget callback or in a thread, and no visible
    ``.pullback-error``, except inside ``expecting_error()``.
    """

    def __init__(self, page: Page, server: LabServer, name: str, cells: tuple[str, ...]) -> None:
        self.page = page
        self.path = server.notebooks / f"{name}.ipynb"
        self._expecting_error = False
        self._page_errors: list[str] = []
        page.on("pageerror", lambda error: self._page_error(str(error)))
        page.on("console", self._console)
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(notebook, self.path)
        page.goto(f"{server.url}lab/tree/{name}.ipynb?reset&token={server.token}")
        self._wait_until_open()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._page_error(message.text)

    def _page_error(self, text: str) -> None:
        if not NOISE.search(text):
            self._page_errors.append(text)

    def _wait_until_open(self) -> None:
        self.wait_until(
            lambda: self.page.evaluate(KERNEL_STATUS) == "idle", "kernel idle", timeout=60
        )
        self.page.evaluate(WATCH_KERNEL)

    # What the notebook can be told to do

    def run_all(self, timeout: float = 120.0) -> None:
        """Runs all cells, and waits until they have run."""
        self._command("notebook:run-all-cells", timeout)

    def run_cell(self, index: int, timeout: float = 120.0) -> None:
        """Runs one cell, and waits until it has run."""
        self.page.evaluate(
            "index => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }",
            index,
        )
        self._command("notebook:run-cell", timeout)

    def restart_and_run_all(self, timeout: float = 120.0) -> None:
        """Restarts the kernel, clears the outputs and runs all cells."""
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"
        )
        self.wait_until(lambda: self.page.evaluate(KERNEL_STATUS) == "idle", "kernel idle", timeout)
        self._command("notebook:clear-all-cell-outputs", timeout)
        self._command("notebook:run-all-cells", timeout)

    def save(self) -> None:
        """Saves the notebook to ``path``."""
        self._command("docmanager:save", 30)

    def reload(self) -> None:
        """Saves the notebook and reloads the page, as a user's F5 does; the kernel goes on."""
        self.save()
        self.check()
        self.page.reload()
        self._wait_until_open()

    def python(self, code: str, timeout: float = 60.0) -> str:
        """Runs code in the notebook's kernel; what it printed. Raises if it raises."""
        result = self.page.evaluate(RUN_PYTHON, [code, timeout])
        if result["error"]:
            raise RuntimeError(result["error"])
        text: str = result["text"]
        return text

    def value(self, expression: str, timeout: float = 60.0) -> Any:
        """The value of a Python expression in the kernel, by way of JSON."""
        text = self.python(f"print(__import__('json').dumps({expression}))", timeout)
        return json.loads(text.splitlines()[-1])

    def _command(self, command: str, timeout: float) -> None:
        self.page.evaluate(RUN_COMMAND, command)
        state = self.wait_until(
            lambda: (state := self.page.evaluate("window.commandState")) != "running" and state,
            command,
            timeout,
        )
        if state != "done":
            raise RuntimeError(f"{command} {state}")

    # Looking

    def canvas(self, selector: str = CANVAS, index: int = 0) -> Locator:
        """The canvas itself; for a selector of a box around it, the canvas inside."""
        inside = self.page.locator(selector)
        return inside.locator("xpath=descendant-or-self::canvas").nth(index)

    def canvas_pixels(self, selector: str = CANVAS, index: int = 0) -> np.ndarray:
        """The canvas's pixels: uint8, (height, width, RGBA), as drawn and before CSS scales them.

        Waits until there is such a canvas.
        """
        read = self.canvas(selector, index).evaluate(READ_PIXELS, timeout=30_000)
        pixels = np.frombuffer(base64.b64decode(read["data"]), np.uint8)
        return pixels.reshape(read["height"], read["width"], 4)

    def wait_until(
        self, condition: Callable[[], T | None], what: str = "condition", timeout: float = 30.0
    ) -> T:
        """Asks until the answer is true, and returns it; fails after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            self.check()
            answer = condition()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout:g} s: {what}")
            # Lets playwright handle the page's events; a plain sleep would not.
            self.page.wait_for_timeout(20)

    def wait_for_change(
        self,
        before: np.ndarray,
        selector: str = CANVAS,
        index: int = 0,
        timeout: float = 30.0,
    ) -> np.ndarray:
        """The canvas's pixels as soon as they are other than ``before``."""

        def changed() -> tuple[np.ndarray] | None:
            pixels = self.canvas_pixels(selector, index)
            return None if np.array_equal(pixels, before) else (pixels,)

        return self.wait_until(changed, f"another picture on {selector} {index}", timeout)[0]

    def wait_until_drawn(
        self, selector: str = CANVAS, index: int = 0, timeout: float = 60.0
    ) -> np.ndarray:
        """The canvas's pixels as soon as they are not all the same."""

        def drawn() -> tuple[np.ndarray] | None:
            if not self.canvas(selector, index).count():
                return None
            pixels = self.canvas_pixels(selector, index)
            return (pixels,) if (pixels != pixels[:1, :1]).any() else None

        return self.wait_until(drawn, f"a picture on {selector} {index}", timeout)[0]

    def wait_until_still(
        self,
        selector: str = CANVAS,
        index: int = 0,
        seconds: float = 0.5,
        timeout: float = 60.0,
    ) -> np.ndarray:
        """The canvas's pixels once they have been the same for ``seconds``."""
        last, since = self.canvas_pixels(selector, index), time.monotonic()

        def still() -> bool:
            nonlocal last, since
            pixels = self.canvas_pixels(selector, index)
            if not np.array_equal(pixels, last):
                last, since = pixels, time.monotonic()
            return time.monotonic() - since >= seconds

        self.wait_until(still, f"a still picture on {selector} {index}", timeout)
        return last

    # Touching

    def slider(self, label: str = "", within: str = "") -> Locator:
        """The handle of a slider: by its description, or by a CSS selector around it.

        ``focus()`` it and ``press("ArrowRight")``, or ``drag`` it.
        """
        sliders = self.page.locator(f"{within} .widget-slider".strip())
        if label:
            exact = re.compile(rf"^\s*{re.escape(label)}\s*$")
            title = self.page.locator(".widget-label").filter(has_text=exact)
            sliders = sliders.filter(has=title)
        return sliders.locator(".noUi-handle").first

    def drag(self, handle: Locator, right: float, down: float = 0.0, steps: int = 10) -> None:
        """Drags anything by so many CSS pixels, in ``steps`` moves."""
        handle.scroll_into_view_if_needed()
        box = handle.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self._drag((x, y), (x + right, y + down), steps)

    def click_canvas(self, x: float, y: float, selector: str = CANVAS, index: int = 0) -> None:
        """Clicks on a point of a canvas, in the canvas's own pixels."""
        self.page.mouse.click(*self._on_page(x, y, selector, index))

    def drag_canvas(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        selector: str = CANVAS,
        index: int = 0,
        steps: int = 10,
    ) -> None:
        """Drags over a canvas from (x, y) to (x, y), in the canvas's own pixels."""
        first = self._on_page(*start, selector, index)
        self._drag(first, self._on_page(*end, selector, index), steps)

    def upload(self, button: str, *paths: Path) -> None:
        """Chooses files behind an upload button, named by a CSS selector."""
        with self.page.expect_file_chooser() as chooser:
            self.page.locator(button).click()
        chooser.value.set_files([str(path) for path in paths])

    def _drag(self, start: tuple[float, float], end: tuple[float, float], steps: int) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(*end, steps=steps)
        mouse.up()

    def _on_page(self, x: float, y: float, selector: str, index: int) -> tuple[float, float]:
        canvas = self.canvas(selector, index)
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box is not None
        width, height = canvas.evaluate("canvas => [canvas.width, canvas.height]")
        return box["x"] + x * box["width"] / width, box["y"] + y * box["height"] / height

    # Errors

    def errors(self) -> list[str]:
        """What went wrong so far: exceptions anywhere, and the widget's visible errors."""
        errors = [*self._page_errors, *self.page.evaluate(KERNEL_ERRORS)]
        if not self._expecting_error:
            errors += self.visible_errors()
        return [TERMINAL_COLOUR.sub("", error) for error in errors]

    def forget_errors(self) -> None:
        """Starts anew with exceptions; visible errors count for as long as they are visible."""
        self._page_errors.clear()
        self.page.evaluate("() => { window.kernelErrors = []; window.kernelStderr = ''; }")

    def visible_errors(self) -> list[str]:
        """The text of every error that the widget shows."""
        shown = self.page.locator(ERROR).filter(visible=True)
        return [text for text in shown.all_inner_texts() if text.strip()]

    @contextlib.contextmanager
    def expecting_error(self) -> Iterator[None]:
        """In this block the widget may show an error; at its end that must be gone."""
        self._expecting_error = True
        try:
            yield
        finally:
            self._expecting_error = False

    def check(self) -> None:
        """Fails if anything went wrong so far."""
        if self.errors():
            self.page.wait_for_timeout(200)  # for the rest of a traceback
            raise AssertionError("\n".join(self.errors()))
