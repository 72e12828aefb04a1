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
from .snapshot_cache import SnapshotCache, State


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
        self.cache = SnapshotCache()
        self._session: Session | None = None
        self._key: tuple[Model, Any, State] | None = None
        self._image: Tensor | None = None
        self._view: LayerView | None = None
        self._last: Snapshot | None = None
        self._beside: Sessions | None = None
        self._threads = Threads()

    def model(self, model: Model | str) -> Model:
        """The network, loaded if it is a name; its report will be seen in the widget."""
        model = loaded(model, self._progress)
        shown(model.module)
        return model

    def session(self, model: Model, image: Any, state: State) -> Session:
        """The recorded forward pass of this image in this network, both as they are now."""
        session, key = self._session, self._key
        same = key is not None and key[0] is model and key[1] is image
        if session is None or key is None or not same or key[2] != state:
            session = Session(model, image)
            # After it: a forward pass may itself write to what a network holds.
            self._session, self._key = session, (model, image, State.of(model.module, image))
            self._image, self._view, self._last = session.image, None, None
        self._touch()
        return session

    def forget(self) -> None:
        """Record and compute anew whatever is asked for next."""
        self._session = self._key = self._last = None
        self.cache.clear()

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
            self._image, self._view, self._last = sessions._image, None, None

    def _frames(self, request: SnapshotRequest) -> Generator[Snapshot, None, None]:
        """The frames of a request without what is beside it."""
        start = time.perf_counter()
        model = self.model(request.model)
        frame = self._frame(request, model)
        frame.seconds = time.perf_counter() - start
        last = self._last
        walked = last.step if last is not None and _same_ascent(last, frame) else None
        enough = walked is not None and (walked.index == request.steps or request.stopped)
        if enough or not request.ascends:
            self._last = frame if walked is None else replace(frame, step=walked)
            yield self._last
            return
        session = self.session(model, request.image, State.of(model.module, request.image))
        target = frame.target
        steps = session.ascend(target, request.softening, **request.walk)
        what = ("step", id(model), frame.image.shape, type(target), frame.view.layer.name)
        while True:
            with self._threads.timed(what):
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

    def ahead(self, request: SnapshotRequest) -> Snapshot | None:
        """Compute what may be asked for next, with the forward pass that is there.

        Returns:
            The snapshot; None if it was there already, or would need another forward pass.
        """
        key, model = self._key, request.model
        if self._session is None or key is None or not isinstance(model, Model):
            return None
        if key[0] is not model or key[1] is not request.image:
            return None
        if self.cache.find(request, model, State.of(model.module, request.image)) is not None:
            return None
        return self._frame(request, model)

    def _frame(self, request: SnapshotRequest, model: Model) -> Snapshot:
        """The snapshot without an ascent: one that was seen, or a new one."""
        state = State.of(model.module, request.image)
        seen = self.cache.find(request, model, state)
        if seen is None:
            seen = self._computed(request, model, state)
            self.cache.keep(seen, state if self._key is None else self._key[2])
        return seen.for_request(request)

    def _computed(self, request: SnapshotRequest, model: Model, state: State) -> Snapshot:
        session = self.session(model, request.image, state)
        if session.classes is not None:
            _check_finite(session.logits, "network's output")
        target = self._target(session, request)
        view = self._layer_view(session, request.layer)
        image = session.image if self._image is None else self._image
        what = ("pullback", id(model), image.shape, type(target), view.layer.name)
        with self._threads.timed(what):
            pulled = session.pullback(target, request.softening).cpu()
        _check_finite(pulled, "pullback")
        return Snapshot(
            request,
            model,
            image,
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
        )

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
        """Forget all forward passes and all that was seen; what is needed is computed again."""
        with cls._recent_lock:
            for ref in cls._recent:
                one = ref()
                if one is not None:
                    one._session = None
                    one.cache.clear()

    def _touch(self) -> None:
        with Sessions._recent_lock:
            others = [ref for ref in Sessions._recent if ref() not in (None, self)]
            Sessions._recent[:] = [weakref.ref(self), *others]
            for ref in Sessions._recent[2:]:
                idle = ref()
                if idle is not None:
                    idle._session = None
            del Sessions._recent[2:]


def _same_ascent(last: Snapshot, frame: Snapshot) -> bool:
    """Whether an ascent from the one is an ascent from the other."""
    before, now = last.request, frame.request
    return (
        last.image is frame.image
        and last.model is frame.model
        and same_target(last.target, frame.target)
        and before.softening == now.softening
        and (before.walk, before.play) == (now.walk, now.play)
    )


def _check_finite(values: Tensor, what: str) -> None:
    if not bool(torch.isfinite(values).all()):
        raise ValueError(
            f"The {what} holds NaN or infinite values: the network's numbers overflow on this "
            "image; try another image, a layer nearer to the input, or a larger temperature."
        )
