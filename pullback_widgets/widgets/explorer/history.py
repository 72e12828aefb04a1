"""Where one was: the last pictures, with all that was chosen, and the way back and forth."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ...drawing.pixels import RGB
from ...engine.softening import Softening
from ...engine.target import Target
from ...figures.declared import choices
from ...figures.images import image_name
from ...figures.snapshot import Snapshot, SnapshotRequest
from ...networks.loaded import is_loaded

MOST = 20
"""How many pictures are kept that have no star."""

SIDE = 128
"""Side of a thumbnail, in its own pixels."""


@dataclass(eq=False)
class Entry:
    """A picture that was reached.

    Attributes:
        request: All that was chosen.
        words: What it is.
        label: The same in two short lines.
        thumbnail: (128, 128, 3) bytes.
        starred: Whether it stays, however many come after it.
    """

    request: SnapshotRequest
    words: str
    label: tuple[str, str]
    thumbnail: RGB
    starred: bool = False


class History:
    """The last twenty pictures, and those with a star.

    Attributes:
        entries: The pictures, the newest first.
        current: The one on the screen.
        on_change: Called after any of these changed.
    """

    def __init__(
        self, recall: Callable[[SnapshotRequest], bool], notice: Callable[[], None]
    ) -> None:
        """Make it.

        Args:
            recall: Chooses all that a request says; whether that could be done.
            notice: Notes what is on the screen, before it is left.
        """
        self._recall, self._notice = recall, notice
        self._lock = threading.RLock()
        self._past: list[Entry] = []
        self._future: list[Entry] = []
        self.entries: list[Entry] = []
        self.current: Entry | None = None
        self.on_change: Callable[[], None] = lambda: None

    def note(self, frame: Snapshot) -> None:
        """Keep the picture on the screen, unless it is the one that was noted last."""
        request = _kept(frame)
        with self._lock:
            if self.current is not None and _same(self.current.request, request):
                return
            known = next((one for one in self.entries if _same(one.request, request)), None)
            if self.current is not None:
                self._past.append(self.current)
            self._future.clear()
            self.current = known or Entry(request, _words(frame), _label(frame), _thumbnail(frame))
            if known is None:
                self.entries.insert(0, self.current)
                for old in [one for one in self.entries if not one.starred][MOST:]:
                    self.entries.remove(old)
            del self._past[:-MOST]
        self.on_change()

    def go(self, entry: Entry) -> None:
        """Choose again all that was chosen then."""
        self._notice()
        left = self.current
        if entry is not left and self._show(entry):
            with self._lock:
                self._past += [left] if left is not None else []
                self._future.clear()
            self.on_change()

    def undo(self) -> None:
        """Go back to the picture before this one; at the first one nothing happens."""
        self._step(self._past, self._future)

    def redo(self) -> None:
        """Go on to the picture that the last undo left."""
        self._step(self._future, self._past)

    @property
    def can_undo(self) -> bool:
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        return bool(self._future)

    def star(self) -> None:
        """Keep the picture on the screen however many come after it; or no longer."""
        with self._lock:
            if self.current is not None:
                self.current.starred = not self.current.starred
        self.on_change()

    def _step(self, source: list[Entry], other: list[Entry]) -> None:
        self._notice()
        left = self.current
        if source and left is not None and self._show(source[-1]):
            with self._lock:
                source.pop()
                other.append(left)
            self.on_change()

    def _show(self, entry: Entry) -> bool:
        """Go to a picture, if that can be done; it is then the one that was noted last."""
        left, self.current = self.current, entry
        if not self._recall(entry.request):
            self.current = left
            return False
        return True


def _kept(frame: Snapshot) -> SnapshotRequest:
    """What was chosen, an ascent as far as it came.

    A network that can be had by its name again is not kept alive by it.
    """
    request, model = frame.request, frame.model
    name = model.catalogue_name
    if name is not None and is_loaded(name, model):
        request = dataclasses.replace(request, model=name)
    if request.ascends and frame.step is not None:
        request = dataclasses.replace(request, steps=frame.step.index)
    return request


def _same(first: SnapshotRequest, second: SnapshotRequest) -> bool:
    """Whether two requests are for the same picture; how one looks at it does not count."""
    return all(
        _equal(getattr(first, name), getattr(second, name))
        for name, one in choices(SnapshotRequest).items()
        if one.role == "computed"
    )


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(_equal(first[k], second[k]) for k in first)
    plain = isinstance(first, str | int | float | tuple | Softening | Target)
    return first is second or (plain and type(first) is type(second) and bool(first == second))


def _words(frame: Snapshot) -> str:
    request = frame.request
    parts = [frame.title, frame.how(request.softening)]
    if request.view != "pullback":
        parts.insert(0, request.view)
    parts += [image_name(request.image) or "your photograph", frame.model.name]
    if frame.second is not None:
        parts.append(f"beside it {frame.own[1]}")
    return ", ".join(parts)


def _label(frame: Snapshot) -> tuple[str, str]:
    how = frame.how(frame.request.softening)
    # A number alone is a relative temperature, which is the usual one.
    short = how.replace(",", "").replace(" T =", "").removeprefix("relative ")
    view = frame.request.view
    return frame.title.partition(" (class")[0], short if view == "pullback" else f"{short} {view}"


def _thumbnail(frame: Snapshot) -> RGB:
    picture = Image.fromarray(frame.picture(frame.request.view, frame.request.colour))
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    whole = Image.new("RGB", (SIDE, SIDE), "white")
    whole.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    return np.asarray(whole)
