"""From what the controls say to what the screen shows, computing only what changed.

A new image or network costs a forward pass, a new target or temperature one backward pass, a new
view nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..engine.model import Model
from ..engine.report import shown
from ..engine.session import Session
from ..engine.target import LOGITS, Channel, Target, Unit, same_target
from ..engine.threads import Threads
from ..networks.loaded import loaded
from .beside import other
from .layer_view import LayerView, layer_view
from .snapshot import Snapshot, SnapshotRequest


class Sessions:
    """Turns requests into snapshots, one thread at a time, and keeps what the last one needed."""

    # A recorded session holds all activations of a network. Only those used last keep
    # theirs, so that a cell run ten times does not hold ten; the others record again when touched.
    _recent: ClassVar[list[weakref.ref[Sessions]]] = []
    _recent_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Make it.

        Args:
            progress: Called with a network's name, bytes done and bytes in all, while it downloads.
        """
        self._progress = progress
        self._session: Session | None = None
        self._key: tuple[Model, Any] | None = None
        self._view: LayerView | None = None
        self._last: Snapshot | None = None
        self._beside: Sessions | None = None
        self._threads = Threads()

    def model(self, model: Model | str) -> Model:
        """The network, loaded if it is a name; its report will be seen in the widget."""
        model = loaded(model, self._progress)
        shown(model.module)
        return model

    def session(self, model: Model, image: Any) -> Session:
        """The recorded forward pass of this image in this network."""
        session = self._session
        if (
            session is None
            or self._key is None
            or self._key[0] is not model
            or (self._key[1] is not image)
        ):
            session = Session(model, image)
            self._session, self._key, self._view, self._last = session, (model, image), None, None
        self._touch()
        return session

    def frames(self, request: SnapshotRequest) -> Generator[Snapshot, None, None]:
        """Compute a request; one frame, or one for each step of ascent where a view shows it.

        What is laid beside it takes its steps at the same time, and shares the forward pass where
        network and photograph are the same.

        Raises:
            ValueError: For layers, channels, positions or classes the network does not have, and
                for results that are not finite.
            Exception: Whatever the network raises.
        """
        beside = request.beside
        if beside is None:
            self._beside = None
            yield from self._frames(request)
            return
        start = time.perf_counter()
        self._beside = self._beside or Sessions(self._progress)
        network = self.model(beside.get("model", request.model))
        with contextlib.closing(self._frames(request)) as firsts:
            first = next(firsts)
            asked = other(replace(first.request, model=first.model), beside, first.target, network)
            self._beside._share(self, asked)
            with contextlib.closing(self._beside._frames(asked)) as seconds:
                second = next(seconds)
                more = True
                while more:
                    yield replace(
                        first,
                        second=second,
                        seconds=time.perf_counter() - start,
                        progress=min(first.progress, second.progress),
                    )
                    new = next(firsts, None), next(seconds, None)
                    more, first, second = any(new), new[0] or first, new[1] or second

    def _share(self, sessions: Sessions, request: SnapshotRequest) -> None:
        """Take the forward pass of other sessions if it is the one that a request needs."""
        same = sessions._key is not None and (
            sessions._key[0] is request.model and sessions._key[1] is request.image
        )
        if same and self._session is not sessions._session:
            self._session, self._key = sessions._session, sessions._key
            self._view = self._last = None

    def _frames(self, request: SnapshotRequest) -> Generator[Snapshot, None, None]:
        """The frames of a request without what is beside it."""
        start = time.perf_counter()
        model = self.model(request.model)
        session = self.session(model, request.image)
        if session.classes is not None:
            _check_finite(session.logits, "network's output")
        target = self._target(session, request)
        last = self._last
        same = last is not None and same_target(last.target, target)
        view = self._layer_view(session, request.layer)

        def passes(what: str) -> tuple[object, ...]:
            """What takes as long as the pass that comes now."""
            return what, id(model), session.image.shape, type(target), view.layer.name

        if same and last is not None and last.request.softening == request.softening:
            pulled = last.pullback
        else:
            with self._threads.timed(passes("pullback")):
                pulled = session.pullback(target, request.softening).cpu()
            last = None
        _check_finite(pulled, "pullback")
        frame = Snapshot(
            request,
            model,
            session.image,
            target,
            pulled,
            session.score(target),
            session.probability(target),
            [] if session.classes is None else session.predictions(5),
            None if session.classes is None else session.logits.detach().cpu(),
            session.classes or 0,
            session.layers,
            view,
            session.report,
            seconds=time.perf_counter() - start,
        )
        walked = last.step if last is not None and _same_ascent(last.request, request) else None
        enough = walked is not None and (walked.index == request.steps or request.stopped)
        if enough or not request.ascends:
            self._last = replace(frame, step=walked)
            yield self._last
            return
        steps = session.ascend(target, request.softening, **request.walk)
        while True:
            with self._threads.timed(passes("step")):
                step = next(steps, None)
            if step is None:
                break
            _check_finite(step.perturbed, "image after a step of ascent")
            self._last = replace(
                frame,
                step=step,
                seconds=time.perf_counter() - start,
                progress=step.index / request.steps,
            )
            yield self._last

    def _target(self, session: Session, request: SnapshotRequest) -> Target:
        wanted = request.target
        if wanted is None and request.layer != LOGITS:
            channel, view = request.channel, self._layer_view(session, request.layer)
            if channel is None and request.position is not None:
                channel = view.largest(request.position)
            if channel is None:
                channel = view.strongest[0][0]
            if request.position is None:
                wanted = Channel(request.layer, channel)
            else:
                wanted = Unit(request.layer, channel, request.position)
        (target,) = session.resolve(wanted)
        return target

    def _layer_view(self, session: Session, layer: str) -> LayerView:
        if self._view is None or self._view.layer.name != layer:
            self._view = layer_view(session, layer)
        return self._view

    @classmethod
    def make_room(cls) -> None:
        """Forget all forward passes; those that are needed are recorded again."""
        with cls._recent_lock:
            for ref in cls._recent:
                one = ref()
                if one is not None:
                    one._session = None

    def _touch(self) -> None:
        with Sessions._recent_lock:
            others = [ref for ref in Sessions._recent if ref() not in (None, self)]
            Sessions._recent[:] = [weakref.ref(self), *others]
            for ref in Sessions._recent[2:]:
                idle = ref()
                if idle is not None:
                    idle._session = None
            del Sessions._recent[2:]


def _same_ascent(first: SnapshotRequest, second: SnapshotRequest) -> bool:
    return (first.walk, first.play) == (second.walk, second.play)


def _check_finite(values: Tensor, what: str) -> None:
    if not bool(torch.isfinite(values).all()):
        raise ValueError(
            f"The {what} holds NaN or infinite values: the network's numbers overflow on this "
            "image; try another image, a layer nearer to the input, or a larger temperature."
        )
