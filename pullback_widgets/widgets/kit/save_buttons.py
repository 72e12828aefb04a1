"""Take it away: buttons that write a result into a file and offer it to the browser."""

from __future__ import annotations

import base64
import contextlib
import html
import mimetypes
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import ipywidgets as w

from .live import ComputingWidget

LARGEST_LINK = 20_000_000
"""Bytes that a link in the page may hold; what is larger is written beside the notebook."""


class SaveButtons:
    """A row of buttons, one for each kind of file and each text.

    What is offered belongs to the choices that hold: a link goes with the first change, and a text
    that is shown is dimmed until there is the new one.

    Attributes:
        box: The widget.
    """

    def __init__(
        self,
        live: ComputingWidget,
        endings: Sequence[str],
        save: Callable[[Path], Path],
        texts: Mapping[str, Callable[[], str]],
        stem: Callable[[], str],
    ) -> None:
        """Make the buttons.

        Args:
            live: The widget whose result it is; it shows what goes wrong.
            endings: Of the files that can be written, such as ``.png``.
            save: Writes a file. It runs in a thread of its own and may wait for the computation.
            texts: What is shown to be copied, such as the lines of Python behind the result;
                likewise.
            stem: The files' name without the ending.
        """
        self._live, self._save, self._texts, self._stem = live, save, texts, stem
        self._lock = threading.Lock()
        self._changes = 0
        self._offers = self._reading = False
        self._opened = ""  # the name of the text that is shown
        self._link = w.HTML()
        self._link.add_class("pullback-offer")
        self._lines = w.HTML(layout=w.Layout(display="none"))
        self._lines.add_class("pullback-lines")
        buttons = [
            *(self._button(ending) for ending in endings),
            *(self._text_button(name) for name in texts),
        ]
        row = w.HBox(buttons, layout=w.Layout(flex_flow="row wrap"))
        self.box = w.HBox([row, self._link, self._lines], layout=w.Layout(flex_flow="row wrap"))
        self.box.add_class("pullback-away")
        live.observe(self._changed, [*getattr(live, "NAMES", ()), "result"])

    def _button(self, ending: str) -> w.Button:
        name = {".json": "Recipe", ".webp": "WebP"}.get(ending, ending.removeprefix(".").upper())
        button = w.Button(description=name, icon="download", tooltip=f"Write a {ending} file")
        button.layout.width = "82px"
        button.on_click(lambda _: self.write(ending))
        return button

    def _text_button(self, name: str) -> w.Button:
        button = w.Button(
            description=name, icon="code", tooltip="Show it, to be copied; or hide it"
        )
        button.layout.width = "82px" if len(name) < 8 else "118px"
        button.on_click(lambda _: self._toggle(name))
        return button

    def _changed(self, _: object) -> None:
        """The choices or the result; in the thread that changed them, which must not wait."""
        with self._lock:
            self._changes += 1
            if self._offers:
                self._say("")
            if not self._opened:
                return
            self._lines.add_class("pullback-stale")
        self.read()

    # Files.

    def write(self, ending: str) -> threading.Thread:
        """Write a file and offer it; returns the thread that does."""
        self._say("writing …")
        return _started(lambda: self._write(ending))

    def _write(self, ending: str) -> None:
        def offer() -> None:
            self._live.wait()
            changes, name = self._changes, f"{self._stem()}{ending}"
            with tempfile.TemporaryDirectory() as folder:
                content = self._save(Path(folder, name)).read_bytes()
            with self._lock:
                if changes != self._changes:
                    self._say("changed while it was written; press again")
                elif len(content) > LARGEST_LINK:
                    path = _unused(Path.cwd() / name)
                    path.write_bytes(content)
                    self._say(
                        f"written to {html.escape(str(path))} ({_size(len(content))}); open it in "
                        "the file browser"
                    )
                else:
                    self._say(_link(name, content), offers=True)

        if not self._live.guard(offer):
            self._say("")

    def _say(self, text: str, offers: bool = False) -> None:
        self._offers = offers
        self._link.value = f'<div class="pullback-note">{text}</div>'

    # The texts.

    def _toggle(self, name: str) -> None:
        with self._lock:
            self._opened = "" if self._opened == name else name
            if not self._opened:
                self._lines.layout.display = "none"
                return
        self.read()

    def read(self) -> threading.Thread | None:
        """Show the text when it is there; returns the thread that does, if none did already."""
        with self._lock:
            if self._reading:
                return None
            self._reading = True
        return _started(self._read)

    def _read(self) -> None:
        def show() -> None:
            while self._reading:
                self._live.wait()
                wanted = self._changes, self._opened
                lines = self._texts[wanted[1]]() if wanted[1] else ""
                with self._lock:
                    if wanted == (self._changes, self._opened):
                        self._show_text(lines)

        if self._lines.layout.display == "none":
            self._live.guard(show)
        else:
            with contextlib.suppress(Exception):  # of the computation, which is shown already
                show()
        if self._reading:
            self._opened, self._reading = "", False
            self._lines.layout.display = "none"

    def _show_text(self, lines: str) -> None:
        self._reading = False
        self._lines.value = f'<pre class="pullback-code">{html.escape(lines)}</pre>'
        self._lines.remove_class("pullback-stale")
        self._lines.layout.display = "" if self._opened else "none"


def _started(run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _link(name: str, content: bytes) -> str:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    data = base64.b64encode(content).decode("ascii")
    return (
        f'<a class="pullback-download" download="{name}" href="data:{kind};base64,{data}">'
        f"download {name} ({_size(len(content))})</a>"
    )


def _unused(path: Path) -> Path:
    """The path, or one with a number where there is such a file already."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free


def _size(count: int) -> str:
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
