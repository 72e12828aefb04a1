"""What was seen comes back without a pass, and never when it would be another picture now."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import image, network, wrap

import pullback_widgets as pw
from pullback_widgets.engine.model import Model
from pullback_widgets.figures.sessions import Sessions
from pullback_widgets.figures.snapshot import Snapshot, SnapshotRequest
from pullback_widgets.figures.snapshot_cache import MEGABYTES, SnapshotCache

S = pw.Softening


class Passes:
    """How many forward and backward passes were made."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.recorded = self.pulled = 0
        session, pull = pw.Session.__init__, pw.Session.pullback

        def record(*args: Any, **options: Any) -> None:
            self.recorded += 1
            session(*args, **options)

        def back(*args: Any, **options: Any) -> Any:
            self.pulled += 1
            return pull(*args, **options)

        patch.setattr(pw.Session, "__init__", record)
        patch.setattr(pw.Session, "pullback", back)

    @property
    def made(self) -> tuple[int, int]:
        """Since it was asked last."""
        made, self.recorded, self.pulled = (self.recorded, self.pulled), 0, 0
        return made


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    return Passes(monkeypatch)


def asked(model: Model, picture: Any, temperature: float = 0.5, **more: Any) -> SnapshotRequest:
    return SnapshotRequest(
        model, picture, softening=S.relative(temperature), **{"target": 1, **more}
    )


def last(sessions: Sessions, request: SnapshotRequest) -> Snapshot:
    *_, frame = sessions.frames(request)
    return frame


def test_going_back_costs_nothing(passes: Passes) -> None:
    sessions, models = Sessions(), [wrap(network("residual")), wrap(network("mobile"))]
    pictures = [image(1), image(2)]
    wanted = [
        asked(model, picture, temperature, **more)
        for model in models
        for picture in pictures
        for temperature in (0.3, 0.6)
        for more in ({}, {"target": 2}, {"target": None, "layer": "head", "channel": 1})
    ]
    first = [last(sessions, request) for request in wanted]
    assert passes.made == (4, len(wanted))
    again = [last(sessions, request) for request in wanted]
    assert passes.made == (0, 0)
    for before, after in zip(first, again, strict=True):
        assert torch.equal(before.pullback, after.pullback)
        assert torch.equal(before.image, after.image)
        assert before.target == after.target and before.score == after.score
        assert (before.picture("pullback") == after.picture("pullback")).all()


def test_a_view_is_painted_once_and_is_the_requests_own(passes: Passes) -> None:
    sessions, model, picture = Sessions(), wrap(network("residual")), image(1)
    first = last(sessions, asked(model, picture))
    painted = first.picture("pullback")
    second = last(sessions, asked(model, picture, view="overlay", colour="diverging"))
    assert second.picture("pullback") is painted
    assert second.request.view == "overlay" and first.request.view == "pullback"
    walked = last(sessions, asked(model, picture, view="perturbed", steps=2))
    assert walked.step is not None and walked.step.index == 2
    again = last(sessions, asked(model, picture))
    assert passes.made == (1, 1)
    assert not (walked.picture("perturbed") == again.picture("perturbed")).all()


def test_new_weights_are_another_network(passes: Passes) -> None:
    sessions, module, picture = Sessions(), network("residual"), image(1)
    model = wrap(module)
    before = last(sessions, asked(model, picture))
    with torch.no_grad():
        next(module.parameters()).mul_(0.5)
    after = last(sessions, asked(model, picture))
    assert passes.made == (2, 2) and not torch.equal(before.pullback, after.pullback)
    module.load_state_dict({name: value.clone() for name, value in module.state_dict().items()})
    assert torch.equal(last(sessions, asked(model, picture)).pullback, after.pullback)
    assert passes.made == (1, 1)


def test_another_file_under_the_same_name_is_read(passes: Passes, tmp_path: Path) -> None:
    from PIL import Image

    sessions, model = Sessions(), pw.Model(network("residual"), size=16)
    path = tmp_path / "picture.png"
    Image.new("RGB", (16, 16), "red").save(path)
    red = last(sessions, asked(model, str(path)))
    assert torch.equal(last(sessions, asked(model, str(path))).image, red.image)
    assert passes.made == (1, 1)
    Image.new("RGB", (16, 16), "lightblue").save(path)
    assert not torch.equal(last(sessions, asked(model, str(path))).image, red.image)


def test_forgotten_is_computed_anew(passes: Passes) -> None:
    sessions, model, picture = Sessions(), wrap(network("residual")), image(1)
    last(sessions, asked(model, picture))
    sessions.forget()
    last(sessions, asked(model, picture))
    assert passes.made == (2, 2)


def test_all_caches_share_one_bound(passes: Passes, monkeypatch: pytest.MonkeyPatch) -> None:
    model, picture = wrap(network("residual")), image(1)
    one, two = Sessions(), Sessions()
    frame = last(one, asked(model, picture, 0.1))
    monkeypatch.setenv(MEGABYTES, str(6.5 * frame.pullback.nbytes / 1e6))
    held = 0
    for number in range(2, 12):
        for sessions in (one, two):
            last(sessions, asked(model, picture, number / 10))
        held = len(one.cache) + len(two.cache)
        assert held <= 6
    assert held >= 3 and len(one.cache) and len(two.cache)
    passes.made  # noqa: B018
    last(one, asked(model, picture, 1.1))  # used last
    last(one, asked(model, picture, 0.1))  # gone
    assert passes.made == (0, 1)
    monkeypatch.setenv(MEGABYTES, "0")
    last(one, asked(model, picture, 0.2))
    assert sum(len(cache) for cache in SnapshotCache._all) == 0


def test_no_network_and_no_recording_is_kept_alive(passes: Passes) -> None:
    sessions, alive = Sessions(), []
    for _ in range(4):
        module = network("residual")
        last(sessions, asked(wrap(module), image(1)))
        alive.append(weakref.ref(module))
        assert sessions._session is not None
        alive.append(weakref.ref(sessions._session.recording))
        del module
    gc.collect()
    assert [one() is not None for one in alive[::2]] == [False, False, True, True]
    assert [one() is not None for one in alive[1::2]] == [False, False, False, True]
    sessions.forget()
    gc.collect()
    assert not any(one() for one in alive)
