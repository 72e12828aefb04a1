"""What is laid beside a picture: the same question, with a few choices of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import image, network, wrap
from PIL import Image

import pullback_widgets as pw
from pullback_widgets.figures.sessions import Sessions
from pullback_widgets.figures.snapshot import Snapshot, SnapshotRequest

S = pw.Softening
WRAP: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "size": 8}


def frames(**choices: Any) -> list[Snapshot]:
    asked: dict[str, Any] = {"model": wrap(network("residual")), "image": image(1), **choices}
    return list(Sessions().frames(SnapshotRequest(**asked)))


def alone(frame: Snapshot, **own: Any) -> torch.Tensor:
    """The pullback beside a frame, computed by the engine alone."""
    model, photograph = own.get("model", frame.model), own.get("image", frame.request.image)
    target = own.get("target", frame.target)
    return pw.Session(model, photograph).pullback(
        target, own.get("softening", frame.request.softening)
    )


@pytest.mark.parametrize(
    ("beside", "own"),
    [
        ({"temperature": 0.3}, {"softening": S.relative(0.3)}),
        ({"temperature": 0}, {"softening": S.hard()}),
        ({"units": "absolute"}, {"softening": S.relative(0.85).with_units("absolute")}),
        ({"softening": S.paper_v3()}, {"softening": S.paper_v3()}),
        ({"target": 3}, {"target": 3}),
        ({"target": pw.Channel("layer1", 2)}, {"target": pw.Channel("layer1", 2)}),
        ({"layer": "layer1", "channel": 1}, {"target": pw.Channel("layer1", 1)}),
        ({"image": image(2)}, {"image": image(2)}),
    ],
    ids=lambda given: ", ".join(given),
)
def test_all_else_is_the_same(beside: dict[str, Any], own: dict[str, Any]) -> None:
    (frame,) = frames(beside=beside)
    second = frame.second
    assert second is not None and second.second is None
    assert torch.equal(frame.pullback, alone(frame))
    assert torch.equal(second.pullback, alone(frame, **own))
    mine, others = frame.own
    assert mine and others and (mine != others or "image" in beside)


def test_another_photograph_is_asked_for_the_same_class() -> None:
    model = wrap(network("chain"))
    tops = {int(pw.Session(model, image(n)).logits.argmax()): n for n in range(40)}
    first, second = [*tops.values()][:2]
    (frame,) = frames(model=model, image=image(first), beside={"image": image(second)})
    assert frame.second is not None and frame.second.target == frame.target
    assert frame.own == ("your photograph", "your photograph")


def test_another_network_is_asked_for_the_class_of_the_same_name() -> None:
    names = [f"name {n}" for n in range(6)]
    first = pw.Model(network("residual"), **WRAP, categories=names)
    second = pw.Model(network("residual", seed=3), **WRAP, categories=names[::-1])
    other = pw.Model(network("residual", seed=3), **WRAP)
    (frame,) = frames(model=first, target=2, beside={"model": second})
    assert frame.second is not None and frame.second.target == pw.Logit(3)
    (frame,) = frames(model=first, target=2, beside={"model": other})
    assert frame.second is not None
    assert frame.second.target == pw.Logit(frame.second.predictions[0].index)
    (frame,) = frames(model=first, layer="layer1", beside={"model": second})
    assert frame.second is not None and isinstance(frame.second.target, pw.Logit)


def test_a_place_or_a_channel_of_its_own() -> None:
    chosen: dict[str, Any] = {"layer": "layer1", "channel": 2, "position": (1, 1)}
    (frame,) = frames(**chosen, beside={"position": (0, 0)})
    assert frame.second is not None and frame.second.target == pw.Unit("layer1", 2, (0, 0))
    (frame,) = frames(**chosen, beside={"channel": 0})
    assert frame.second is not None and frame.second.target == pw.Unit("layer1", 0, (1, 1))


def test_both_walk_together_and_the_forward_pass_is_shared() -> None:
    sessions = Sessions()
    model = wrap(network("residual"))
    asked = SnapshotRequest(
        model, image(1), target=3, view="perturbed", steps=3, beside={"temperature": 0.3}
    )
    walked = list(sessions.frames(asked))
    assert [one.step.index for one in walked if one.step] == [1, 2, 3]
    assert [one.second.step.index for one in walked if one.second and one.second.step] == [1, 2, 3]
    assert [one.progress for one in walked] == [1 / 3, 2 / 3, 1.0]
    *_, last = pw.Session(model, image(1)).ascend(3, S.relative(0.3), steps=3)
    assert walked[-1].second is not None and walked[-1].second.step is not None
    assert torch.equal(walked[-1].second.step.perturbed, last.perturbed)
    assert sessions._beside is not None and sessions._beside._session is sessions._session


def test_what_was_computed_beside_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, counted = Sessions(), 0
    pull = pw.Session.pullback

    def count(*args: Any, **options: Any) -> Any:
        nonlocal counted
        counted += 1
        return pull(*args, **options)

    monkeypatch.setattr(pw.Session, "pullback", count)
    model, photograph = wrap(network("residual")), image(1)
    for temperature in (0.5, 0.6, 0.7):
        softening = S.relative(temperature)
        (_,) = sessions.frames(
            SnapshotRequest(
                model, photograph, softening=softening, target=1, beside={"temperature": 0.3}
            )
        )
    assert counted == 4


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ({"temprature": 1}, "temprature"),
        ({}, "there is none"),
        ({"temperature": -1}, "temperature"),
        ({"view": "pullback"}, "view"),
        ({"units": "Kelvin"}, "Kelvin"),
        ({"image": None}, "image"),
    ],
)
def test_what_makes_no_sense_is_refused(beside: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        frames(beside=beside)
    with pytest.raises(TypeError, match="mapping"):
        frames(beside=0.3)


def test_it_goes_into_every_file(tmp_path: Path) -> None:
    (frame,) = frames(beside={"temperature": 0.3})
    assert frame.second is not None
    arrays = np.load(frame.save(tmp_path / "both.npz"))
    assert np.array_equal(arrays["beside_pullback"], frame.second.pullback.float().numpy())
    titles = [axes.get_title() for axes in frame.figure().axes]
    assert any("relative T = 0.85" in one for one in titles)
    assert any("relative T = 0.3" in one for one in titles)
    width, height = Image.open(frame.save(tmp_path / "both.png")).size
    assert width > 2 * height
    assert "beside_pullback = beside_session.pullback" in frame.code()
