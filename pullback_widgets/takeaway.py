"""Take it away: buttons that write a result into a file and offer it to the browser."""

from __future__ import annotations

import base64
import html
import mimetypes
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as w

from .live import Live

LARGEST_LINK = 20_000_000
"""Bytes that a link in the page may hold; what is larger is written beside the notebook."""


class TakeawayPanel:
    """A row of buttons, one for each kind of file, and one for the code.

    Attributes:
        box: The widget.
    """

    def __init__(
        self,
        live: Live,
        endings: Sequence[str],
        save: Callable[[Path], Path],
        code: Callable[[], str],
        stem: str = "pullback",
    ) -> None:
        """Make the buttons.

        Args:
            live: The widget whose result it is; it shows what goes wrong.
            endings: Of the files that can be written, such as ``.png``.
            save: Writes a file. It runs in a thread of its own and may wait for the computation.
            code: The lines of Python behind the result.
            stem: The files' name without the ending.
        """
        self._live, self._save, self._code, self._stem = live, save, code, stem
        self._link = w.HTML()
        self._lines = w.HTML(layout=w.Layout(display="none"))
        buttons = [self._button(ending) for ending in endings]
        show = w.Button(description="Code", icon="code", tooltip="Show the lines of Python")
        show.on_click(lambda _: self._toggle_code())
        for button in [*buttons, show]:
            button.layout.width = "82px"
        line = w.HBox([*buttons, show, self._link])
        line.layout.flex_flow, line.layout.align_items = "row wrap", "center"
        self.box = w.VBox([line, self._lines])

    def _button(self, ending: str) -> w.Button:
        name = {".json": "Recipe"}.get(ending, ending.removeprefix(".").upper())
        button = w.Button(description=name, icon="download", tooltip=f"Write a {ending} file")
        button.on_click(lambda _: self.write(ending))
        return button

    def write(self, ending: str) -> threading.Thread:
        """Write a file and offer it; returns the thread that does."""
        self._say("writing …")
        thread = threading.Thread(target=self._write, args=(ending,), daemon=True)
        thread.start()
        return thread

    def _write(self, ending: str) -> None:
        def offer() -> None:
            name = f"{self._stem}{ending}"
            with tempfile.TemporaryDirectory() as folder:
                content = self._save(Path(folder, name)).read_bytes()
            if len(content) > LARGEST_LINK:
                path = _unused(Path.cwd() / name)
                path.write_bytes(content)
                self._say(f"written to {html.escape(str(path))} ({_size(len(content))})")
                return
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            data = base64.b64encode(content).decode("ascii")
            self._say(
                f'<a class="pullback-download" download="{name}" href="data:{kind};base64,{data}">'
                f"download {name} ({_size(len(content))})</a>"
            )

        if not self._live.guard(offer):
            self._say("")

    def _say(self, text: str) -> None:
        self._link.value = f'<div class="pullback-note">&nbsp;{text}</div>'

    def _toggle_code(self) -> None:
        def show() -> None:
            self._lines.value = f'<pre class="pullback-code">{html.escape(self._code())}</pre>'

        hidden = self._lines.layout.display == "none"
        if hidden and not self._live.guard(show):
            return
        self._lines.layout.display = "" if hidden else "none"


def _unused(path: Path) -> Path:
    """The path, or one with a number where there is such a file already."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free


def _size(count: int) -> str:
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
