"""The depth journey: which layers and channels it stops at, and what it finds there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from compute import journey_steps
from networks import image, network, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.drawing.files import load_npz
from pullback_widgets.figures import journey
from pullback_widgets.figures.journey import Journey

WALK = {"steps": 2, "step_size": 1.0, "radius": 1.5}


@pytest.fixture(scope="module")
def model() -> pw.Model:
    return wrap(network("residual"))


@pytest.fixture(scope="module")
def result(model: pw.Model) -> Journey:
    return pw.depth_journey(model, image(), **WALK)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chain", ["relu1", "relu2", "logits"]),
        ("residual", ["relu", "layer10.relu:2", "logits"]),
        ("functional", ["relu", "layer10.bn1", "logits"]),
        ("mobile", ["bn2", "logits"]),
    ],
)
def test_stages_are_the_last_gates_of_each_resolution(name: str, expected: list[str]) -> None:
    assert pw.Session(wrap(network(name)), image()).stages() == expected


def test_stages_of_a_network_without_gates() -> None:
    module = seeded(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 6))
    )
    assert pw.Session(wrap(module), image()).stages() == ["0", "1", "logits"]


def test_every_stage_is_what_the_session_computes(model: pw.Model, result: Journey) -> None:
    session = pw.Session(model, image())
    assert len(result.stages) == 3
    for n, stage in enumerate(result.stages):
        *_, last = session.ascend(stage.target, **WALK)
        assert torch.equal(result.pullbacks[n], session.pullback(stage.target))
        assert torch.equal(result.differences[n], last.difference)
        if n < 2:
            values = session.activations(stage.layer.name)
            assert torch.equal(result.maps[n], values[stage.channel])
            assert (result.before[n], result.after[n]) == (session.score(stage.target), last.score)
    top = session.predictions(1)[0]
    assert result.stages[-1].target == pw.Logit(top.index)
    assert result.before[-1] == pytest.approx(top.probability)
    assert result.after[-1] == last.probability
    assert result.done.tolist() == [2, 2, 2]


def test_strongest_is_the_channel_that_answers_to_one_place(model: pw.Model) -> None:
    session = pw.Session(model, image())
    one = pw.depth_journey(model, image(), layers=["layer1.bn1"], **WALK)
    spread = [
        float(np.std(np.maximum(values, 0))) for values in session.activations("layer1.bn1").numpy()
    ]
    assert list(one.stages[0].strongest) == sorted(range(4), key=lambda c: -spread[c])
    assert one.stages[0].channel == one.stages[0].strongest[0]


def test_strength_of_single_positions() -> None:
    assert journey.strength(torch.tensor([-1.0, 3.0])).tolist() == [0, 3]
    always_on = torch.tensor([[[5.0, 5.0]], [[0.0, 2.0]]])
    assert journey.strength(always_on).tolist() == [0, 1]


def test_chosen_channels(model: pw.Model, result: Journey) -> None:
    names = ["layer10.relu", "logits"]
    by_name = pw.depth_journey(model, image(), layers=names, channels={"layer10.relu": 3}, **WALK)
    assert [stage.channel for stage in by_name.stages] == [3, result.stages[-1].channel]
    in_order = pw.depth_journey(model, image(), layers=names, channels=[None, 4], **WALK)
    assert in_order.stages[0].channel == in_order.stages[0].strongest[0]
    assert in_order.stages[1].target == pw.Logit(4)


def test_ascents_stop_at_their_layer(model: pw.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = journey_steps(model, image(), layers=["relu"], **WALK)
    one = next(steps)
    while not one.pulled.all():
        next(steps)

    def never(*_: Tensor) -> Tensor:
        raise AssertionError("the head has run")

    monkeypatch.setattr(model.module.head, "forward", never)
    assert next(steps).done.tolist() == [1]


def test_fills_up_pullbacks_first(model: pw.Model) -> None:
    shares: list[float] = []
    steps = journey_steps(model, image(), **WALK)
    one = next(steps)
    assert not one.pulled.any() and np.isnan(one.after).all() and not np.isnan(one.before).any()
    for again in steps:
        assert again is one
        assert one.pulled.all() or not one.done.any()
        shares.append(one.progress)
    assert shares == sorted(shares) and shares[-1] == 1
    assert len(shares) == 3 + 3 * 2


def test_walked_stages_are_taken_over(model: pw.Model, result: Journey) -> None:
    channel = result.stages[1].strongest[1]
    channels = {result.stages[1].layer.name: channel}
    new = list(journey_steps(model, image(), channels=channels, **WALK, earlier=result))
    assert len(new) == 1 + 1 + 2
    fresh = pw.depth_journey(model, image(), channels=channels, **WALK)
    for name, values in fresh.arrays().items():
        np.testing.assert_array_equal(new[-1].arrays()[name], values)


@pytest.mark.parametrize("changed", [{"steps": 3}, {"softening": pw.Softening.hard()}, {}])
def test_stages_of_other_settings_are_not(
    model: pw.Model, result: Journey, changed: dict[str, object]
) -> None:
    picture = image() if changed else image(seed=1)
    options: dict[str, object] = {**WALK, **changed}
    one = next(journey_steps(model, picture, **options, earlier=result))  # type: ignore[arg-type]
    assert not one.pulled.any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": []}, "layers is empty"),
        ({"layers": ["layer2"]}, "no layer 'layer2'"),
        ({"layers": ["relu"], "channels": [4]}, "Channel 4 is not in layer 'relu', which has 4"),
        ({"layers": ["relu"], "channels": [-1]}, "Channel -1"),
        ({"layers": ["relu"], "channels": [1.5]}, "Channel 1.5 is not .* a whole number from 0"),
        ({"layers": ["logits"], "channels": ["cat"]}, "Channel 'cat' is not .* a whole number"),
        ({"layers": ["relu"], "channels": [0, 1]}, "2 channels for 1 layers"),
        ({"layers": ["relu"], "channels": {"conv": 1}}, "none of the stages"),
        ({"steps": 0}, "steps is 0"),
        ({"radius": -1.0}, "radius is -1"),
    ],
)
def test_refused_at_the_call(model: pw.Model, options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        journey_steps(model, image(), **options)  # type: ignore[arg-type]


def test_spotlight() -> None:
    picture = image()
    values = torch.tensor([[-1.0, -1.0], [-1.0, 2.0]], dtype=torch.float64)
    lit = journey.spotlit(picture, values)
    torch.testing.assert_close(lit[:, 7, 7], picture[:, 7, 7])
    torch.testing.assert_close(lit[:, 0, 0] + 1, journey.DARK * (picture[:, 0, 0] + 1))
    silent = journey.spotlit(picture, -values.abs())
    torch.testing.assert_close(silent + 1, journey.DARK * (picture + 1))


def test_code_computes_the_same(model: pw.Model, result: Journey) -> None:
    lines = [line for line in result.code().splitlines() if " = ..." not in line]
    names = {"model": model, "image": image()}
    exec("\n".join(lines[:-1]), names)
    again = names["journey"]
    assert isinstance(again, Journey)
    assert again.stages == result.stages
    assert torch.equal(again.differences, result.differences)


def test_figure_names_every_stage(result: Journey) -> None:
    figure = result.figure()
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [result.label(n) for n in range(3)]
    assert "layer10.relu:2" in titles[1] and "4x4x4" in titles[1]
    assert sum(bool(axes.images) for axes in figure.axes) == 4 * 3 - 1  # a class has no map


def test_files(result: Journey, tmp_path: Path) -> None:
    arrays, settings = load_npz(result.save(tmp_path / "journey.npz"))
    np.testing.assert_array_equal(arrays["differences"], result.differences.numpy())
    np.testing.assert_array_equal(arrays["map_1"], result.maps[1].numpy())
    assert settings["layers"] == ["relu", "layer10.relu:2", "logits"]
    assert settings["channels"] == [stage.channel for stage in result.stages]
    assert result.save(tmp_path / "journey.png").stat().st_size > 10_000
