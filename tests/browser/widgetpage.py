"""A page with widgets as a test sees it: the pixels of canvases, the mouse, what went wrong."""

from __future__ import annotations

import base64
import contextlib
import re
import time
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import ConsoleMessage, Locator, Page

T = TypeVar("T")

SECONDS = 180.0
"""No wait should take as long, on whatever busy machine; one that does has hung."""

CANVAS = ".jp-OutputArea-output canvas"
ERROR = ".pullback-error"

# Of JupyterLab itself: a kernel that restarts cancels what was still asked of it (the debugger's
# state; after a reload, one subshell per widget), and JupyterLab reports each as an error.
# Of Notebook 7 itself, on every notebook: a plugin's settings that it does not have.
NOISE = re.compile(
    "Canceled future for (debug|create_subshell)_request message"
    r"|Cannot read properties of undefined \(reading 'schema'\)"
)

TERMINAL_COLOUR = re.compile(r"\x1b\[[\d;]*m")

# Addresses of pictures that ipycanvas makes and the page never gives back: memory lost for ever.
COUNT_OBJECT_URLS = """(() => {
    const make = URL.createObjectURL;
    window.pictureUrls = 0;
    URL.createObjectURL = one => {
        window.pictureUrls += one.type === 'image/jpeg';
        return make(one);
    };
})()"""

LOST_OBJECT_URLS = "document.querySelector('.pullback-explorer') ? window.pictureUrls : 0"

# Every state of one row of a canvas, taken whenever ipycanvas draws on it.
RECORD_ROW = """(canvas, y) => {
    const context = canvas.getContext('2d');
    const draw = context.drawImage;
    window.rows = [];
    context.drawImage = (...given) => {
        draw.apply(context, given);
        const row = context.getImageData(0, y, canvas.width, 1).data.join();
        if (row !== window.rows.at(-1)) window.rows.push(row);
    };
}"""

# Every text that an element had, or got.
RECORD_TEXT = """element => {
    window.texts = [element.innerText];
    new MutationObserver(() => window.texts.push(element.innerText))
        .observe(element, {childList: true, characterData: true, subtree: true});
}"""

READ_PIXELS = """canvas => {
    const {width, height} = canvas;
    const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
    let text = '';
    for (let i = 0; i < data.length; i += 32768)
        text += String.fromCharCode.apply(null, data.subarray(i, i + 32768));
    return {width, height, data: btoa(text)};
}"""


class WidgetPage:
    """A page of any front end. ``page`` is playwright's page.

    Canvases are named by a CSS selector and an index among its matches; without one, the first
    canvas of the notebook's outputs. Whatever waits also checks that nothing went wrong meanwhile:
    no exception in the page or in the kernel, and no visible ``.pullback-error``, except inside
    ``expecting_error()``.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_default_timeout(1000 * SECONDS)
        page.add_init_script(COUNT_OBJECT_URLS)
        self._expecting_error = False
        self._page_errors: list[str] = []
        page.on("pageerror", lambda error: self._page_error(error.stack or str(error)))
        page.on("console", self._console)

    def kernel_errors(self) -> list[str]:
        """Exceptions in the kernel so far, wherever they were raised."""
        raise NotImplementedError

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._page_error(message.text)

    def _page_error(self, text: str) -> None:
        if not NOISE.search(text):
            self._page_errors.append(text)

    # Looking

    def canvas(self, selector: str = CANVAS, index: int = 0) -> Locator:
        """The canvas itself; for a selector of a box around it, the canvas inside."""
        inside = self.page.locator(selector)
        return inside.locator("xpath=descendant-or-self::canvas").nth(index)

    def canvas_pixels(self, selector: str = CANVAS, index: int = 0) -> np.ndarray:
        """The canvas's pixels: uint8, (height, width, RGBA), as drawn and before CSS scales them.

        Waits until there is such a canvas.
        """
        read = self.canvas(selector, index).evaluate(READ_PIXELS)
        pixels = np.frombuffer(base64.b64decode(read["data"]), np.uint8)
        return pixels.reshape(read["height"], read["width"], 4)

    def wait_until(
        self, condition: Callable[[], T | None], what: str = "condition", timeout: float = SECONDS
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
        timeout: float = SECONDS,
    ) -> np.ndarray:
        """The canvas's pixels as soon as they are other than ``before``."""

        def changed() -> tuple[np.ndarray] | None:
            pixels = self.canvas_pixels(selector, index)
            return None if np.array_equal(pixels, before) else (pixels,)

        return self.wait_until(changed, f"another picture on {selector} {index}", timeout)[0]

    def wait_until_drawn(
        self, selector: str = CANVAS, index: int = 0, timeout: float = SECONDS
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
        timeout: float = SECONDS,
    ) -> np.ndarray:
        """The canvas's pixels once they have been the same for ``seconds``, and in ten readings.

        Whoever knows what must be drawn waits for that with ``wait_until`` instead.
        """
        last, since, readings = self.canvas_pixels(selector, index), time.monotonic(), 1

        def still() -> bool:
            nonlocal last, since, readings
            pixels = self.canvas_pixels(selector, index)
            readings += 1
            if not np.array_equal(pixels, last):
                last, since, readings = pixels, time.monotonic(), 1
            return readings >= 10 and time.monotonic() - since >= seconds

        self.wait_until(still, f"a still picture on {selector} {index}", timeout)
        return last

    # What passes by itself is recorded in the page, and read afterwards

    def record_row(self, y: int, selector: str = CANVAS, index: int = 0) -> None:
        """From now on, keeps this row of a canvas after all that is drawn on it."""
        self.canvas(selector, index).evaluate(RECORD_ROW, y)

    def recorded_rows(self) -> list[np.ndarray]:
        """The states of the row so far, (width, RGBA) bytes each."""
        rows = self.page.evaluate("window.rows")
        return [np.array(row.split(","), np.uint8).reshape(-1, 4) for row in rows]

    def record_text(self, element: Locator) -> None:
        """From now on, keeps every text of an element."""
        element.evaluate(RECORD_TEXT)

    def recorded_texts(self) -> list[str]:
        """The texts so far, beginning with the one when the record began."""
        texts: list[str] = self.page.evaluate("window.texts")
        return texts

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
        errors = [*self._page_errors, *self.kernel_errors()]
        if lost := self.page.evaluate(LOST_OBJECT_URLS):
            errors.append(f"{lost} object URLs of pictures are left behind")
        if not self._expecting_error:
            errors += self.visible_errors()
        return [TERMINAL_COLOUR.sub("", error) for error in errors]

    def forget_errors(self) -> None:
        """Starts anew with exceptions; visible errors count for as long as they are visible."""
        self._page_errors.clear()

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
        errors, before = self.errors(), list[str]()
        while errors != before:  # a traceback may come in pieces
            self.page.wait_for_timeout(300)
            errors, before = self.errors(), errors
        if errors:
            raise AssertionError("\n".join(errors))
