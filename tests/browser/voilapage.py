"""A page that Voila serves as a test sees it: nothing can be asked of its kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from widgetpage import WidgetPage

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, WebSocket
    from servers import VoilaServer

ICONS = "https://cdn.jsdelivr.net/npm/@fortawesome/"
"""Voila's template asks for icons that ipywidgets brings along as well."""


class VoilaPage(WidgetPage):
    """A notebook as a web page. What goes wrong in the kernel is read off its messages."""

    def __init__(self, page: Page, server: VoilaServer) -> None:
        super().__init__(page)
        self._kernel_errors: list[str] = []
        page.on("websocket", self._listen)
        page.goto(server.url)  # it arrives when all cells have run

    def kernel_errors(self) -> list[str]:
        return [*self._kernel_errors]

    def forget_errors(self) -> None:
        super().forget_errors()
        self._kernel_errors.clear()

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._receive)

    def _receive(self, frame: str | bytes) -> None:
        """A message of the kernel: text, or parts of JSON and of pictures one after the other."""
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        if "Traceback (most recent" in text:
            self._kernel_errors.append(text)

    def _console(self, message: ConsoleMessage) -> None:
        if not str(message.location.get("url", "")).startswith(ICONS):
            super()._console(message)
