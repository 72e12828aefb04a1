"""What a notebook stores of a live figure: the last picture reached, for places without a kernel.

It is an output of its own, unseen where widgets are alive: an update makes a page draw an output
anew, and what is live shall stay as it is. Such places are GitHub, nbconvert, and a notebook that
was opened and not run. Pages that are made of a notebook with the state of its widgets show these
and no output's PNG, and canvases have no state: an unseen widget in the output has the PNG too.
"""

from __future__ import annotations

import base64
import html
import threading
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as w

from ...drawing.captioned import captioned
from .layout import HIDDEN, still
from .rest import Rest

SECONDS = 3.0
"""How long nothing must have changed before what is stored is stored anew."""

RUN = "A stored picture: run the cell to make it live."


class Stored:
    """The outputs that keep a picture of a figure.

    Attributes:
        unseen: The widget that has the picture too.
    """

    def __init__(
        self,
        picture: Callable[[], tuple[bytes, Sequence[str]] | None],
        words: Callable[[], str],
        guard: Callable[[Callable[[], object]], bool],
    ) -> None:
        """Make it; nothing is stored yet.

        Args:
            picture: The figure as a PNG, and its caption in plain lines; None as long as there is
                none.
            words: The figure in a few words.
            guard: Runs something, and shows in the figure's widget what it raises.
        """
        self._picture, self._words, self._guard = picture, words, guard
        self.unseen = w.HTML(HIDDEN, layout=w.Layout(margin="0"))
        self.unseen.add_class("pullback-still")
        self._rest = Rest(SECONDS, self._store)
        self._lock = threading.Lock()
        self._handles: list[Any] = []
        self._empty = True

    def display(self) -> None:
        """Add an output to the cell that runs, with the picture if there is one."""
        from IPython.display import display

        bundle, metadata = self.bundle()
        handle = display(bundle, metadata=metadata, raw=True, display_id=True)
        with self._lock:
            if handle is not None:  # there is none without IPython
                self._handles.append(handle)

    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What an output holds, and its metadata."""
        words = self._words()
        bundle = {**self.unseen._repr_mimebundle_(), "text/plain": words}
        found = self._picture()
        if found is None:
            return bundle, {}
        png, lines = found
        text = base64.b64encode(captioned(png, [*lines, RUN])).decode("ascii")
        self._empty = False
        alternative = ". ".join([words, *lines])
        self.unseen.value = still(text, alternative)
        return {**bundle, "image/png": text}, {"image/png": {"alt": html.escape(alternative)}}

    def refresh(self) -> None:
        """Store the newest picture: the first one at once, others when nothing changes any more."""
        if not self._handles:
            return
        if self._empty:
            self._store()
        else:
            self._rest.ask()

    def close(self) -> None:
        """What is stored stays."""
        self._rest.close()

    def _store(self) -> None:
        def update() -> None:
            bundle, metadata = self.bundle()
            with self._lock:
                handles = list(self._handles)
            for handle in handles:
                handle.update(bundle, metadata=metadata, raw=True)

        self._guard(update)
