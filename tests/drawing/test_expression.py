"""The lines that an Explorer writes compute the same numbers, bit for bit."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import CLASSES, image, network, wrap
from PIL import Image
from torch import Tensor

import pullback_widgets as pw
from pullback_widgets.drawing import expression, words
from pullback_widgets.figures.sessions import Sessions
from pullback_widgets.figures.snapshot import Snapshot, SnapshotRequest

VECTOR = torch.tensor([0.5, -1.0, 0.1, 2.0])
BALL_MINUS_SPOON = pw.Difference("golf ball", "spoon")

TARGETS: dict[str, Any] = {
    "top class": None,
    "class": 3,
    "class name": "golf ball",
    "name in capitals": pw.Logit("ESPRESSO"),
    "two names": "golf ball, espresso",
    "numpy's index": pw.Logit(np.int64(2)),
    "channel": pw.Channel("layer1", 2),
    "maximum": pw.Channel("layer1.relu", 2, "max"),
    "numpy's channel": pw.Channel("layer1", np.int64(2)),
    "unit": pw.Unit("layer10", 1, (0, 3)),
    "unit without place": pw.Unit("head", 4),
    "second call": pw.Unit("layer1.relu:2", 0, (1, 1)),
    "rivals": pw.Rivals("golf ball", 3),
    "box": pw.Region("layer1", 1, (0, 0, 1, 2)),
    "mask": pw.Region("layer1", 1, mask=torch.eye(4).bool()),
    "direction": pw.Direction("layer1", VECTOR),
    "direction with a name": pw.Direction("layer1", VECTOR, name="a text"),
    "direction at a place": pw.Direction("layer1", VECTOR, (2, 2)),
    "direction from a list": pw.Direction("layer1", [1, 0, -1, 2]),
    "direction in double": pw.Direction("layer1", VECTOR.double() / 3),
    "difference": BALL_MINUS_SPOON,
    "difference of units": pw.Unit("relu", 1, (3, 4)) - pw.Channel("layer1", 2),
    "difference of differences": BALL_MINUS_SPOON - pw.Difference(1, 2),
    "difference with a direction": pw.Difference(pw.Direction("layer1", VECTOR), 2),
}

SOFTENINGS: dict[str, pw.Softening] = {
    "hard": pw.Softening.hard(),
    "relative": pw.Softening.relative(0.85),
    "paper_v3": pw.Softening.paper_v3(0.3),
    "paper_v6": pw.Softening.paper_v6(0.6),
    "long number": pw.Softening.relative(1 / 3),
    "tiny": pw.Softening.paper_v3(1.23456789e-5),
    "large": pw.Softening.relative(1234567.0),
    "other units": pw.Softening.paper_v6(0.6).with_units("relative"),
    "absolute": pw.Softening.relative(0.5).with_units("absolute"),
    "factors": pw.Softening.relative(0.85).with_factors({"layer1": 2.0, "layer10.relu": 1 / 3}),
    "hard pool": pw.Softening(0.7, pool="hard"),
    "soft pool alone": pw.Softening(0.7, gate="hard", pool="detached"),
    "pool temperature": pw.Softening(0.7, pool_temperature=0.1),
}


@pytest.fixture(scope="module")
def model() -> pw.Model:
    return wrap(network("residual"))


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 11, 3)).astype(np.uint8)
    path = tmp_path_factory.mktemp("images") / "it's a \\photo\\.png"
    Image.fromarray(pixels).save(path)
    return path


def last(state: SnapshotRequest) -> Snapshot:
    *_, frame = Sessions().frames(state)
    return frame


def run(frame: Snapshot, view: str = "pullback", image_given: Any = None) -> dict[str, Any]:
    """Runs the lines; what they left open, the network and perhaps the image, is filled in."""
    text = frame.code(view)
    assert len(text.splitlines()) <= 10
    names: dict[str, Any] = {"their_model": frame.model, "their_image": image_given}
    text = text.replace("model = ...", "model = their_model", 1)
    text = text.replace("pw.Session(model, ...)", "pw.Session(model, their_image)", 1)
    exec(compile(text, "explorer.code()", "exec"), names)
    return names


def same(first: Tensor, second: Tensor) -> bool:
    return first.dtype == second.dtype and torch.equal(first, second)


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_every_target(model: pw.Model, target: Any) -> None:
    frame = last(SnapshotRequest(model, image(1), target=target))
    assert same(run(frame, image_given=image(1))["pullback"], frame.pullback)


@pytest.mark.parametrize("softening", SOFTENINGS.values(), ids=list(SOFTENINGS))
def test_every_softening(model: pw.Model, softening: pw.Softening) -> None:
    frame = last(SnapshotRequest(model, image(1), target=0, softening=softening))
    assert same(run(frame, image_given=image(1))["pullback"], frame.pullback)


@pytest.mark.parametrize(
    "choices",
    [
        {"layer": "layer1"},
        {"layer": "layer1", "channel": 3},
        {"layer": "layer1", "position": (1, 2)},
        {"layer": "head", "channel": 2},
    ],
    ids=str,
)
def test_choices_of_a_hidden_layer(model: pw.Model, choices: dict[str, Any]) -> None:
    frame = last(SnapshotRequest(model, image(1), **choices))
    assert same(run(frame, image_given=image(1))["pullback"], frame.pullback)


@pytest.mark.parametrize("view", ["difference", "perturbed"])
@pytest.mark.parametrize("radius", [0.8, 1 / 3, None])
@pytest.mark.parametrize("target", [1, pw.Unit("layer1", 1, (0, 1))], ids=["class", "unit"])
def test_ascents(model: pw.Model, target: Any, radius: float | None, view: str) -> None:
    options: dict[str, Any] = {"steps": 3, "step_size": 0.1 + 0.2, "radius": radius}
    frame = last(SnapshotRequest(model, image(1), target=target, view=view, **options))
    names = run(frame, view, image_given=image(1))
    assert same(names[view], frame.tensor(view))
    assert same(names["pullback"], frame.pullback)


@pytest.mark.parametrize("kind", [str, Path])
def test_an_image_from_a_file(
    model: pw.Model, photograph: Path, kind: Callable[[Path], Any]
) -> None:
    frame = last(SnapshotRequest(model, kind(photograph), target=0))
    assert "your image" not in frame.code("pullback")
    assert same(run(frame)["pullback"], frame.pullback)


def test_a_sample_and_the_network_of_the_catalogue_need_nothing_filled_in() -> None:
    frame = last(SnapshotRequest("efficientnet_lite0", "chelsea", target="Egyptian cat"))
    text = frame.code("pullback")
    assert "..." not in text
    names: dict[str, Any] = {}
    exec(text, names)
    assert same(names["pullback"], frame.pullback)


@pytest.mark.parametrize("view", ["pullback", "photograph", "overlay"])
def test_other_views_need_no_ascent(model: pw.Model, view: str) -> None:
    assert "ascend" not in last(SnapshotRequest(model, image(1), target=0)).code(view)


def test_what_cannot_be_written_down_is_left_open_with_a_word(model: pw.Model) -> None:
    text = last(SnapshotRequest(model, image(1), target=0)).code("pullback")
    assert "model = ...  # your pw.Model" in text
    assert "# your image" in text


def test_usual_lines_are_short() -> None:
    assert expression.of_softening(pw.Softening.relative(0.85)) == "pw.Softening.relative(0.85)"
    assert expression.of_softening(pw.Softening.paper_v3(0.3)) == "pw.Softening.paper_v3(0.3)"
    assert expression.of_softening(pw.Softening.hard()) == "pw.Softening.hard()"
    assert expression.of_softening(pw.Softening.held()) == "pw.Softening.held()"
    assert expression.of_target(pw.Logit(497)) == "497"


WITHOUT_TEMPERATURE = {
    "held": pw.Softening.held(),
    "only norms held": dataclasses.replace(pw.Softening.hard(), norms="held"),
}


@pytest.mark.parametrize(
    "softening",
    [*SOFTENINGS.values(), *WITHOUT_TEMPERATURE.values()],
    ids=[*SOFTENINGS, *WITHOUT_TEMPERATURE],
)
def test_a_softening_comes_back_from_its_expression(softening: pw.Softening) -> None:
    assert eval(expression.of_softening(softening), {"pw": pw}) == softening


def test_numpys_numbers_are_written_as_pythons() -> None:
    numbers = np.float64(0.5), np.int64(2)
    assert (
        expression.of_softening(pw.Softening.relative(numbers[0])) == "pw.Softening.relative(0.5)"
    )
    assert (
        expression.of_softening(pw.Softening.paper_v3(numbers[1])) == "pw.Softening.paper_v3(2.0)"
    )
    target = pw.Difference(numbers[1], pw.Unit("layer1", numbers[1], (numbers[1], 0)))
    assert "np." not in expression.of_target(target)


@pytest.mark.parametrize(
    ("softening", "expected"),
    [
        (pw.Softening.relative(0.85), "relative T = 0.85"),
        (pw.Softening.relative(0.5).with_units("absolute"), "absolute T = 0.5"),
        (pw.Softening.paper_v3(0.3), "paper v3, T = 0.3"),
        (pw.Softening.paper_v6(0.6), "paper v6, T = 0.6"),
    ],
    ids=str,
)
def test_a_softening_in_words(softening: pw.Softening, expected: str) -> None:
    assert words.in_words(softening) == expected


class Own(pw.Target):
    """A target of a user's own making."""

    def terms(self) -> Any:
        return pw.Difference(CLASSES - 1, 0).terms()


def test_a_target_of_one_s_own_is_left_open(model: pw.Model) -> None:
    text = last(SnapshotRequest(model, image(1), target=Own())).code("pullback")
    assert "your target" in text
    compile(text, "explorer.code()", "exec")


def test_an_ascent_that_was_stopped_has_the_steps_it_took(model: pw.Model) -> None:
    frames = Sessions().frames(
        SnapshotRequest(model, image(1), target=0, view="perturbed", steps=5, step_size=1.0)
    )
    next(frames)
    assert "steps=2" in next(frames).code("perturbed")
