"""Snapshots that were seen already: going back to one costs nothing."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from ..engine.inside import tensors_inside
from ..engine.model import Model
from ..engine.target import Target, same_target
from ..engine.versions import version_of
from .snapshot import Snapshot, SnapshotRequest

MEGABYTES = "PULLBACK_WIDGETS_CACHE_MB"
"""The environment variable that says how much all caches of a process may hold."""

MOST = 200
"""No more snapshots than these, however small they are: linear search finds them."""

NETWORKS = 2
"""Of so many networks one cache has snapshots: those that one looks at in turns."""


@dataclass(frozen=True)
class State:
    """What may change under the same names: a network's weights, an image's file."""

    weights: int
    file: tuple[int, int] | None

    @classmethod
    def of(cls, module: nn.Module, image: Any) -> State:
        """As they are now."""
        tensors = tensors_inside(module)
        weights = hash(tuple((id(one), _place(one), version_of(one)) for one in tensors))
        return cls(weights, _file(image))


def _place(tensor: Any) -> int:
    """Where its numbers are: a network that moves to another device keeps its tensors."""
    try:
        return int(tensor.data_ptr())
    except RuntimeError:  # some kinds of tensors are in no one place
        return 0


def _file(image: Any) -> tuple[int, int] | None:
    if not isinstance(image, str | Path):
        return None
    try:
        about = Path(image).stat()
    except (OSError, ValueError):  # a sample's name
        return None
    return about.st_mtime_ns, about.st_size


@dataclass(eq=False)
class _Entry:
    snapshot: Snapshot
    state: State
    used: int


class SnapshotCache:
    """Snapshots without ascent, of all that was looked at; those not used for longest go first.

    All caches of a process share one bound, 64 MB where ``PULLBACK_WIDGETS_CACHE_MB`` says nothing
    else.
    """

    _all: ClassVar[weakref.WeakSet[SnapshotCache]] = weakref.WeakSet()
    _lock: ClassVar[threading.RLock] = threading.RLock()
    _clock: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        with SnapshotCache._lock:
            SnapshotCache._all.add(self)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, request: SnapshotRequest, model: Model, state: State) -> Snapshot | None:
        """The snapshot of a request, if there is one.

        Args:
            request: Its views may be others than before.
            model: The request's network, loaded.
            state: As it is now; what was seen before a change is another picture.
        """
        with SnapshotCache._lock:
            for entry in self._entries:
                if entry.state == state and _same(entry.snapshot, request, model):
                    entry.used = next(SnapshotCache._clock)
                    return entry.snapshot
        return None

    def keep(self, snapshot: Snapshot, state: State) -> None:
        """Keep one more, and let those go that there is no room for."""
        with SnapshotCache._lock:
            self._entries.append(_Entry(snapshot, state, next(SnapshotCache._clock)))
            recent = sorted(self._entries, key=lambda one: one.used, reverse=True)
            networks = list(dict.fromkeys(id(one.snapshot.model) for one in recent))[:NETWORKS]
            self._entries = [one for one in self._entries if id(one.snapshot.model) in networks]
            _make_room()

    def clear(self) -> None:
        """Forget all."""
        with SnapshotCache._lock:
            self._entries.clear()


def _same(snapshot: Snapshot, request: SnapshotRequest, model: Model) -> bool:
    before = snapshot.request
    return (
        before.softening == request.softening
        and snapshot.model is model
        and _equal(before.image, request.image)
        and before.layer == request.layer
        and _equal(before.target, request.target)
        and (before.channel, before.position) == (request.channel, request.position)
    )


def _equal(first: Any, second: Any) -> bool:
    """Whether two are the same: words, numbers and plain targets by value, all else by identity."""
    if first is second:
        return True
    if isinstance(first, str | int | Path):
        return type(first) is type(second) and bool(first == second)
    return isinstance(first, Target) and isinstance(second, Target) and same_target(first, second)


def _make_room() -> None:
    limit = 1e6 * float(os.environ.get(MEGABYTES) or 64)
    held = [(entry.used, cache, entry) for cache in SnapshotCache._all for entry in cache._entries]
    held.sort(key=lambda one: one[0], reverse=True)
    seen: set[int] = set()
    total = 0
    for number, (_, cache, entry) in enumerate(held):
        # A photograph or a layer that several share counts once.
        new = {part: size for part, size in entry.snapshot.parts().items() if part not in seen}
        seen |= new.keys()
        total += sum(new.values())
        if number >= MOST or total > limit:
            cache._entries.remove(entry)
