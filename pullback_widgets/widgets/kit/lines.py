"""Lines of text that several write, in one widget: what changes together travels together."""

from __future__ import annotations

import threading
from typing import Any

import ipywidgets as w


class Lines(w.HTML):
    """HTML in named parts, one under the other."""

    def __init__(self, *names: str, **options: Any) -> None:
        """Make it, empty.

        Args:
            *names: The parts, from top to bottom.
            **options: Of ``ipywidgets.HTML``.
        """
        super().__init__(**options)
        self._parts, self._saying = dict.fromkeys(names, ""), threading.Lock()

    def say(self, name: str, text: str) -> None:
        """Write one part, in HTML; the others stay."""
        with self._saying:
            self._parts[name] = text
            self.value = "".join(self._parts.values())
