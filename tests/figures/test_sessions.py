"""Sessions are kept for the next request, two of them at most."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from networks import image, network, wrap

import pullback_widgets as pw
from pullback_widgets.figures.sessions import Sessions
from pullback_widgets.figures.snapshot import SnapshotRequest
from pullback_widgets.networks import loaded


def test_two_sessions_at_most_are_alive() -> None:
    studios = [Sessions() for _ in range(5)]
    asked = SnapshotRequest(wrap(network("residual")), image(1))
    for studio in studios:
        list(studio.frames(asked))
    gc.collect()
    sessions = [one for one in gc.get_objects() if type(one) is pw.Session]
    assert len([one for one in sessions if one.model is asked.model]) == 2
    # Those that lost theirs record again.
    moved = replace(asked, softening=pw.Softening.relative(0.4))
    (expected,) = Sessions().frames(moved)
    for studio in studios:
        (found,) = studio.frames(moved)
        assert torch.equal(found.pullback, expected.pullback)


def test_a_studio_that_is_gone_frees_its_place() -> None:
    kept, asked = Sessions(), SnapshotRequest(wrap(network("residual")), image(1))
    list(kept.frames(asked))
    for _ in range(5):
        list(Sessions().frames(asked))
        gc.collect()
    assert sum(ref() is not None for ref in Sessions._recent) <= 2


def test_a_network_of_the_catalogue_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    model = wrap(network("residual"))

    def load(name: str, progress: Callable[[int, int], None] | None = None) -> pw.Model:
        names.append(name)
        if progress is not None:
            progress(1, 2)
            progress(2, 2)
        return model

    monkeypatch.setattr(loaded, "load_model", load)
    monkeypatch.setattr(loaded, "_loaded", weakref.WeakValueDictionary())
    reports: list[tuple[str, int, int]] = []
    for studio in (Sessions(lambda *report: reports.append(report)), Sessions()):
        for seed in (1, 2):
            (frame,) = studio.frames(SnapshotRequest("squeezenet1_1", image(seed)))
            assert frame.model is model
    assert names == ["squeezenet1_1"]
    assert reports == [("squeezenet1_1", 1, 2), ("squeezenet1_1", 2, 2)]
