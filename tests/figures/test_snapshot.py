"""From a state to its frame: right, and computing only what changed."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from networks import CATEGORIES, CLASSES, NETWORKS, SOFTENINGS, image, network, wrap
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.drawing import pixels
from pullback_widgets.engine.recording import Recording
from pullback_widgets.figures.sessions import Sessions
from pullback_widgets.figures.snapshot import ASCENDED, VIEWS, Snapshot, SnapshotRequest

VECTOR = torch.tensor([0.5, -1.0, 0.0, 2.0], dtype=torch.float64)


def state(name: str = "residual", seed: int = 1, **choices: Any) -> SnapshotRequest:
    return SnapshotRequest(wrap(network(name)), image(seed), **choices)


def only(frames: Any) -> Snapshot:
    (frame,) = frames
    return frame


def views(first: str, second: str | None = None) -> dict[str, Any]:
    """One view on the screen, or two with the wipe between them."""
    return {"view": first} | ({} if second is None else {"compare": second, "wipe": 0.5})


# What a frame holds ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "softening"),
    [
        *((name, pw.Softening.relative(0.85)) for name in NETWORKS),
        *(("residual", softening) for softening in SOFTENINGS.values()),
    ],
    ids=[*NETWORKS, *SOFTENINGS],
)
def test_a_frame_is_what_a_session_gives(name: str, softening: pw.Softening) -> None:
    asked = state(name, softening=softening)
    frame = only(Sessions().frames(asked))
    session = pw.Session(asked.model, asked.image)
    assert torch.equal(frame.pullback, session.pullback(softening=softening))
    assert frame.request is asked
    assert frame.model is asked.model
    assert torch.equal(frame.image, session.image)
    assert frame.predictions == session.predictions(5)
    assert frame.target == pw.Logit(frame.predictions[0].index)
    assert frame.score == session.score()
    assert frame.probability == pytest.approx(frame.predictions[0].probability)
    assert frame.classes == CLASSES
    assert frame.layers == session.layers
    assert frame.step is None
    assert 0 < frame.seconds < 60


@pytest.mark.parametrize(
    ("choices", "target"),
    [
        ({"target": 3}, pw.Logit(3)),
        ({"target": "golf ball"}, pw.Logit(0)),
        ({"target": pw.Logit("spoon")}, pw.Logit(5)),
        ({"layer": "layer1", "channel": 2}, pw.Channel("layer1", 2)),
        ({"layer": "layer1", "channel": 2, "position": (1, 3)}, pw.Unit("layer1", 2, (1, 3))),
        ({"layer": "head", "channel": 4}, pw.Channel("head", 4)),
        (
            {"layer": "relu", "target": pw.Channel("relu", 1, "max")},
            pw.Channel("relu", 1, "max"),
        ),
    ],
    ids=str,
)
def test_choices_name_a_target(choices: dict[str, Any], target: pw.Target) -> None:
    asked = state(**choices)
    frame = only(Sessions().frames(asked))
    assert frame.target == target
    session = pw.Session(asked.model, asked.image)
    assert torch.equal(frame.pullback, session.pullback(target))
    assert frame.score == pytest.approx(session.score(target))
    assert (frame.probability is None) == (not isinstance(target, pw.Logit))


@pytest.mark.parametrize("position", [None, (2, 1)])
def test_without_a_channel_the_strongest_is_meant(position: tuple[int, int] | None) -> None:
    asked = state(layer="layer1.relu", position=position)
    frame = only(Sessions().frames(asked))
    values = pw.Session(asked.model, asked.image).activations("layer1.relu").clamp_min(0)
    strongest = int(values.flatten(1).mean(1).argmax())
    assert frame.target in (
        pw.Channel("layer1.relu", strongest),
        pw.Unit("layer1.relu", strongest, position),
    )
    assert isinstance(frame.target, pw.Unit) == (position is not None)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (0, "golf ball (class 0)"),
        (pw.Channel("layer1", 2), "layer1, channel 2, mean"),
        (pw.Unit("layer1", 2, (0, 3)), "layer1, channel 2 at (0, 3)"),
        (pw.Direction("layer1", VECTOR), "layer1, a direction"),
        (pw.Direction("layer1", VECTOR, name="a text"), "layer1, a text"),
        (pw.Rivals(1, 2), "golf cart (class 1) against its 2 strongest rivals"),
        (pw.Region("layer1", 1, (0, 0, 1, 2)), "layer1, channel 1, in the box (0, 0, 1, 2)"),
        (pw.Region("layer1", 1, mask=torch.eye(4)), "layer1, channel 1, masked"),
        (pw.Difference("spoon", "espresso"), "spoon (class 5) minus espresso (class 4)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_target_in_words(target: Any, words: str) -> None:
    assert only(Sessions().frames(state(target=target))).title == words


# Views -------------------------------------------------------------------------------------------


def test_the_tensors_and_pictures_of_a_frame() -> None:
    asked = state(target=0, **views("difference"), steps=2, step_size=1.0)
    *_, frame = Sessions().frames(asked)
    assert frame.step is not None
    tensors = {
        "pullback": frame.pullback,
        "overlay": frame.pullback,
        "photograph": frame.image,
        "perturbed": frame.step.perturbed,
        "difference": frame.step.difference,
    }
    assert set(tensors) == set(VIEWS)
    for view, tensor in tensors.items():
        assert torch.equal(frame.tensor(view), tensor)
    for colour in ("rgb", "diverging"):
        signed = pixels.signed_map(frame.pullback, colour)
        assert np.array_equal(frame.picture("pullback", colour), signed)
        walked = pixels.signed_map(frame.step.difference, colour)
        assert np.array_equal(frame.picture("difference", colour), walked)
        over = pixels.overlay(frame.pullback, frame.image, colour)
        assert np.array_equal(frame.picture("overlay", colour), over)
        assert np.array_equal(frame.picture("photograph", colour), pixels.photograph(frame.image))
        assert np.array_equal(
            frame.picture("perturbed", colour), pixels.photograph(frame.step.perturbed)
        )


def test_before_the_first_step_nothing_has_changed() -> None:
    frame = only(Sessions().frames(state()))
    assert torch.equal(frame.tensor("perturbed"), frame.image)
    assert not frame.tensor("difference").any()


@pytest.mark.parametrize("view", ASCENDED)
def test_an_ascent_gives_a_frame_for_each_step(view: str) -> None:
    asked = state(target=1, **views(view), steps=4, step_size=0.7, radius=2.0)
    frames = list(Sessions().frames(asked))
    session = pw.Session(asked.model, asked.image)
    steps = list(session.ascend(1, asked.softening, steps=4, step_size=0.7, radius=2.0))
    assert [frame.step.index for frame in frames] == [1, 2, 3, 4]
    for frame, step in zip(frames, steps, strict=True):
        assert torch.equal(frame.step.perturbed, step.perturbed)
        assert frame.step.score == step.score
        assert frame.step.probability == step.probability
        assert torch.equal(frame.pullback, session.pullback(1))
        assert frame.probability == pytest.approx(float(session.logits.softmax(0)[1]))


# Only what changed -------------------------------------------------------------------------------


class Counts:
    """Counts the forward and backward passes of the engine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.forwards = self.backwards = 0
        begin, pull = Recording.__init__, Recording.pull

        def counting_begin(recording: Recording, *args: Any, **options: Any) -> None:
            self.forwards += 1
            begin(recording, *args, **options)

        def counting_pull(recording: Recording, *args: Any, **options: Any) -> Tensor:
            self.backwards += 1
            return pull(recording, *args, **options)

        monkeypatch.setattr(Recording, "__init__", counting_begin)
        monkeypatch.setattr(Recording, "pull", counting_pull)

    def of(self, action: Callable[[], Any]) -> tuple[int, int]:
        """Forward and backward passes during an action."""
        before = self.forwards, self.backwards
        action()
        return self.forwards - before[0], self.backwards - before[1]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    return Counts(monkeypatch)


START: dict[str, Any] = {"layer": "layer1", "channel": 1}

CHANGES: list[tuple[dict[str, Any], tuple[int, int]]] = [
    ({}, (0, 0)),
    ({"softening": pw.Softening.relative(0.4)}, (0, 1)),
    ({"softening": pw.Softening.paper_v3(0.3)}, (0, 1)),
    ({"softening": pw.Softening.hard()}, (0, 1)),
    ({"softening": pw.Softening.relative(0.85)}, (0, 0)),
    ({"target": "golf ball", "layer": "logits", "channel": None}, (0, 1)),
    ({"target": pw.Difference(1, 2), "layer": "logits", "channel": None}, (0, 1)),
    ({"target": pw.Direction("layer1", VECTOR), "channel": None}, (0, 1)),
    ({"layer": "layer10", "channel": None}, (0, 1)),
    ({"channel": 3}, (0, 1)),
    ({"position": (0, 1)}, (0, 1)),
    (views("photograph"), (0, 0)),
    (views("overlay"), (0, 0)),
    (views("photograph", "pullback"), (0, 0)),
    ({"steps": 9}, (0, 0)),
    ({"step_size": 3.0}, (0, 0)),
    ({"radius": None}, (0, 0)),
    ({"play": 1}, (0, 0)),
    ({"image": image(2)}, (1, 1)),
    ({"model": wrap(network("residual", seed=5))}, (1, 1)),
]


@pytest.mark.parametrize(
    ("change", "passes"), CHANGES, ids=lambda value: "-".join(map(str, value)) or "nothing"
)
def test_what_a_change_costs(
    counts: Counts, change: dict[str, Any], passes: tuple[int, int]
) -> None:
    studio, first = Sessions(), state(**START)
    second = replace(first, **change)
    only(Sessions().frames(first))  # measures the scales of the network once
    fresh = only(Sessions().frames(second))
    assert counts.of(lambda: only(studio.frames(first))) == (1, 1)
    assert counts.of(lambda: only(studio.frames(second))) == passes
    # And what was kept is right.
    kept = only(studio.frames(second))
    assert torch.equal(kept.pullback, fresh.pullback)
    assert (kept.title, kept.score, kept.predictions) == (
        fresh.title,
        fresh.score,
        fresh.predictions,
    )


@pytest.mark.parametrize(
    "target",
    [2, "spoon", pw.Direction("layer1", VECTOR), pw.Difference("golf ball", 3)],
    ids=["index", "name", "direction", "difference"],
)
def test_thesame_target_in_another_view_costs_nothing(counts: Counts, target: Any) -> None:
    studio, first = Sessions(), state(target=target)
    only(studio.frames(first))
    assert counts.of(lambda: list(studio.frames(replace(first, **views("overlay"))))) == (0, 0)


@pytest.mark.parametrize("target", [0, pw.Difference(0, 1)], ids=["class", "difference"])
def test_a_finished_ascent_is_not_walked_again(counts: Counts, target: Any) -> None:
    studio, first = Sessions(), state(target=target, **views("perturbed"), steps=3, step_size=1.0)
    *_, walked = studio.frames(first)
    for shown in (views("difference"), views("difference", "photograph"), views("perturbed")):
        before = counts.forwards, counts.backwards
        assert only(studio.frames(replace(first, **shown))).step is walked.step
        assert (counts.forwards, counts.backwards) == before


def test_a_look_at_another_view_keeps_the_ascent(counts: Counts) -> None:
    studio, first = Sessions(), state(target=0, **views("perturbed"), steps=3, step_size=1.0)
    *_, walked = studio.frames(first)

    def there_and_back() -> None:
        list(studio.frames(replace(first, **views("pullback"))))
        assert only(studio.frames(replace(first, **views("difference")))).step is walked.step

    assert counts.of(there_and_back) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 2},
        {"step_size": 0.5},
        {"radius": 0.5},
        {"play": 1},
        {"softening": pw.Softening.paper_v6(0.6)},
        {"target": 1},
        {"image": image(7)},
    ],
    ids=str,
)
def test_another_ascent_is_walked(change: dict[str, Any]) -> None:
    studio, first = Sessions(), state(target=0, **views("perturbed"), steps=3, step_size=1.0)
    list(studio.frames(first))
    second = replace(first, **change)
    frames, fresh = list(studio.frames(second)), list(Sessions().frames(second))
    assert [frame.step.index for frame in frames] == [frame.step.index for frame in fresh]
    assert torch.equal(frames[-1].step.perturbed, fresh[-1].step.perturbed)


def test_an_ascent_that_was_stopped_is_not_taken_for_a_whole_one() -> None:
    studio, first = Sessions(), state(target=0, **views("perturbed"), steps=3, step_size=1.0)
    steps = studio.frames(first)
    next(steps)
    steps.close()
    assert [frame.step.index for frame in studio.frames(first)] == [1, 2, 3]


def test_an_ascent_that_was_stopped_is_shown_as_far_as_it_came() -> None:
    studio, first = Sessions(), state(target=0, **views("perturbed"), steps=3, step_size=1.0)
    steps = studio.frames(first)
    reached = next(steps).step
    steps.close()
    for view in ("difference", "pullback", "perturbed"):
        shown = only(studio.frames(replace(first, **views(view), stopped=True)))
        assert shown.step is reached
    # Other numbers are another ascent.
    again = list(studio.frames(replace(first, step_size=2.0, stopped=True)))
    assert [frame.step.index for frame in again] == [1, 2, 3]


# Failures ----------------------------------------------------------------------------------------


BAD: list[tuple[dict[str, Any], str]] = [
    ({"layer": "layer2"}, "layer1"),
    ({"layer": "layer1", "channel": 4}, "0 to 3"),
    ({"layer": "layer1", "channel": 0, "position": (4, 0)}, "(4, 4)"),
    ({"layer": "head", "channel": 0, "position": (0, 0)}, "head"),
    ({"target": CLASSES}, "0 to 5"),
    ({"target": "golf"}, "golf cart"),
    ({"target": "no such thing"}, "no such thing"),
    ({"target": pw.Difference(0, "no such thing")}, "no such thing"),
    ({"target": pw.Direction("layer1", [1.0, 2.0])}, "one entry per channel"),
]


@pytest.mark.parametrize(("change", "words"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_state_raises_and_the_next_good_one_works(change: dict[str, Any], words: str) -> None:
    studio, good = Sessions(), state(target=0)
    before = only(studio.frames(good))
    with pytest.raises(ValueError) as caught:
        list(studio.frames(replace(good, **{"target": None, **change})))
    assert words in str(caught.value)
    assert torch.equal(only(studio.frames(good)).pullback, before.pullback)


class Broken(nn.Module):
    """The residual network, whose logits a test may spoil."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network("residual")
        self.spoil: Callable[[Tensor], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return y if self.spoil is None else self.spoil(y)


@pytest.mark.parametrize("value", [math.nan, math.inf], ids=str)
@pytest.mark.parametrize("layer", ["logits", "body.layer1"])
def test_numbers_that_are_not_finite_are_explained(value: float, layer: str) -> None:
    """One sentence that says so, whichever part of the frame would have met them first."""
    net = Broken()
    asked = SnapshotRequest(wrap(net), image(1), layer=layer)
    with torch.no_grad():
        net.body.bn.bias[1] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        list(Sessions().frames(asked))


def test_numbers_that_are_not_finite_in_the_backward_pass_alone() -> None:
    net = Broken()
    # sqrt is fine at 0, and its derivative is infinite.
    net.spoil = lambda y: (y - y.detach()).abs().sqrt() + y.detach()
    with pytest.raises(ValueError, match="NaN or infinite"):
        list(Sessions().frames(SnapshotRequest(wrap(net), image(1), target=0)))


def test_numbers_that_stop_being_finite_during_an_ascent() -> None:
    net = Broken()
    model, calls = wrap(net), 0

    def spoil(y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return y if calls < 3 else y * math.nan

    studio = Sessions()
    asked = SnapshotRequest(model, image(1), target=0, steps=5, step_size=1.0, **views("perturbed"))
    list(studio.frames(replace(asked, **views("pullback"))))  # calibrates
    net.spoil = spoil
    with pytest.raises(ValueError, match="NaN or infinite"):
        list(studio.frames(asked))
    net.spoil = None
    assert len(list(studio.frames(asked))) == 5


# What is asked -----------------------------------------------------------------------------------


def test_requests_are_frozen() -> None:
    asked = state()
    with pytest.raises(dataclasses.FrozenInstanceError):
        asked.steps = 3  # type: ignore[misc]


def test_a_photograph_on_the_embedded_network() -> None:
    """The default: a name of the catalogue, a sample's name."""
    asked = SnapshotRequest("efficientnet_lite0", "coffee", target="golf ball")
    frame = only(Sessions().frames(asked))
    assert frame.pullback.shape == (3, 224, 224)
    assert torch.equal(frame.pullback, pw.pullback(frame.model, "coffee", "golf ball"))
    assert frame.title == "golf ball (class 574)"
    assert frame.classes == 1000
    assert CATEGORIES[0] in frame.model.categories
