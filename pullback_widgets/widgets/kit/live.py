"""What every live widget does: choices that may be refused, a worker, errors that are shown."""

from __future__ import annotations

import difflib
import html
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ipywidgets as w
import traitlets as t

from .worker import Worker


class ComputingWidget(w.VBox):
    """A widget that computes in a thread of its own and keeps its controls and choices equal.

    Attributes:
        error: The last error in one sentence, empty if the last request worked (read only).
    """

    error = t.Unicode("", read_only=True)

    _worker: Worker[Any] | None = None
    """None until all controls are there."""
    _refused = False
    """Whether the error on the screen is about a choice that was refused."""
    _closed = False

    def __init__(self, **options: Any) -> None:
        self._followers: dict[str, list[Callable[[Any], None]]] = {}
        self._drawing, self._saying = threading.RLock(), threading.RLock()
        self._problem = w.HTML(layout=w.Layout(width="512px", display="none"))
        # Widgets that belong to this one and may not be among its children.
        self._unseen: list[w.Widget] = [self._problem]
        super().__init__(**options)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute that there is; what is misspelt would change nothing, and unseen.

        Raises:
            AttributeError: For any other, with the nearest name. Private ones can always be set,
                and a subclass of someone else's has what it likes.
        """
        ours = type(self).__module__.partition(".")[0] == __name__.partition(".")[0]
        if ours and not (name.startswith("_") or hasattr(type(self), name)):
            hint = nearest(name, getattr(self, "NAMES", ()) or self.trait_names())
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; {hint}")
        super().__setattr__(name, value)

    def wait(self, timeout: float | None = None) -> bool:
        """Until the newest request is on the screen; whether it is, after ``timeout`` seconds."""
        return self._worker is None or self._worker.wait(timeout)

    def stop(self) -> None:
        """Stop after the running step; what was reached stays on the screen."""
        if self._worker is not None:
            self._worker.stop()

    def close(self) -> None:
        """Stop computing and close all widgets."""
        if self._worker is not None:
            self._worker.end()
        self._closed = True
        for root in (*self._unseen, *self.children):
            for widget in inside(root):
                _close_with_looks(widget)
        super().close()
        self.layout.close()

    # Choices and their controls.

    def attempt(self, name: str, value: Any) -> None:
        """Make a choice for a control; one that is refused is explained, and the control reset."""
        if not self.guard(lambda: setattr(self, name, value)):
            for show in self._followers.get(name, []):
                show(getattr(self, name))

    def guard(self, action: Callable[[], object]) -> bool:
        """Run what a control asks for, show an exception in the widget; whether it worked."""
        try:
            action()
        except Exception as error:
            self._show_error(error, refused=True)
            return False
        return True

    def follow(self, name: str, show: Callable[[Any], None]) -> None:
        """Call ``show(value)`` now, whenever a choice changes, and when a control was refused."""
        self._followers.setdefault(name, []).append(show)

        def newest(change: Any = None) -> None:
            with self._drawing:
                show(getattr(self, name))

        self.observe(newest, name)
        newest()

    def _computed(self) -> None:
        """A computation went well: what it said before is over, what was refused since is not."""
        with self._saying:
            if not self._refused:
                self._show_error(None)

    def _show_error(self, error: BaseException | None, refused: bool = False) -> None:
        # The main thread refuses while the worker's computes: neither may overtake the other.
        with self._saying:
            self._say(error, refused)

    def _say(self, error: BaseException | None, refused: bool) -> None:
        if error is None and not self.error:
            return
        self._refused = refused
        self.set_trait("error", "" if error is None else sentence(error))
        if error is None:
            self._problem.layout.display = "none"
            self._problem.value = ""
            return
        trace = "".join(traceback.format_exception(error))
        self._problem.value = (
            f'<div class="pullback-error">{html.escape(self.error)}'
            f"<details><summary>traceback</summary><pre>{html.escape(trace)}</pre></details></div>"
        )
        self._problem.layout.display = ""


def inside(widget: w.Widget) -> Iterator[w.Widget]:
    """The widget and all in it, innermost first."""
    for child in getattr(widget, "children", ()):
        yield from inside(child)
    yield widget


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence about a name that there is not: which one may have been meant."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}."


def sentence(error: BaseException) -> str:
    """An exception in one sentence."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        return (
            "The device ran out of memory; choose a smaller network or image, or restart the "
            "kernel after pw.set_device('cpu')."
        )
    text = text if len(text) <= 400 else f"{text[:400]}..."
    ours = isinstance(error, ValueError | TypeError | t.TraitError | RuntimeError)
    return text if ours else f"{type(error).__name__}: {text}"


def _close_with_looks(widget: w.Widget) -> None:
    """Close a widget with its looks, which ipywidgets would keep."""
    for looks in ("style", "layout"):
        if isinstance(own := getattr(widget, looks, None), w.Layout | w.Style):
            own.close()
    widget.close()
