"""The temperature strip: every tile as the session computes it, and both ends."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compute import strip_steps
from networks import gated, image, network, plain_gradient, wrap
from PIL import Image
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.drawing.files import load_npz
from pullback_widgets.figures import strip
from pullback_widgets.figures.strip import Strip

TEMPERATURES = (0.2, 1.0, 5.0)
WALK = {"steps": 2, "step_size": 1.0, "radius": 1.5}


@pytest.fixture(scope="module")
def model() -> pw.Model:
    return wrap(network("residual"))


@pytest.fixture(scope="module")
def result(model: pw.Model) -> Strip:
    return pw.temperature_strip(model, image(), "golf ball", temperatures=TEMPERATURES, **WALK)


def test_every_tile_is_what_the_session_computes(model: pw.Model, result: Strip) -> None:
    session = pw.Session(model, image())
    assert result.pullbacks.shape == (2, 5, 3, 8, 8)
    assert result.before == float(session.logits.softmax(0)[0])
    for row, unit in enumerate(("relative", "absolute")):
        for column, temperature in enumerate(TEMPERATURES, start=1):
            softening = pw.Softening(temperature, units=unit)
            pullback = session.pullback("golf ball", softening)
            *_, last = session.ascend("golf ball", softening, **WALK)
            assert torch.equal(result.pullbacks[row, column], pullback)
            assert torch.equal(result.differences[row, column], last.difference)
            assert result.outcome[row, column] == last.probability
    assert result.pulled.all()
    assert (result.done == 2).all()
    assert torch.allclose(result.perturbed, image() + result.differences)


def test_cosines_are_to_the_plain_gradient(result: Strip) -> None:
    plain = result.pullbacks[0, 0].flatten()
    for row in range(2):
        for column in range(5):
            other = result.pullbacks[row, column].flatten()
            expected = float(plain @ other / plain.norm() / other.norm())
            assert result.cosine[row, column] == pytest.approx(expected)
    assert result.cosine[:, 0] == pytest.approx(1)


def test_hard_end_is_the_plain_gradient(model: pw.Model, result: Strip) -> None:
    expected = plain_gradient(lambda x: model.module(model.normalise(x))[:, 0], image())
    for row in range(2):
        assert torch.equal(result.pullbacks[row, 0], expected)


class Half(nn.Module):
    """A gate that is half open for every input."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 2


def linear_twin(module: nn.Module) -> nn.Module:
    """The network with every gate half open and averages for maxima."""
    twin = copy.deepcopy(module)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(parent, name, Half())
            elif isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(3, child.stride, child.padding, count_include_pad=False)
                setattr(parent, name, pool)
    return twin


def test_linear_end_is_the_network_with_half_gates(model: pw.Model, result: Strip) -> None:
    twin = linear_twin(model.module)
    expected = plain_gradient(lambda x: twin(model.normalise(x))[:, 0], image())
    for row in range(2):
        torch.testing.assert_close(result.pullbacks[row, -1], expected, rtol=1e-6, atol=0)


def test_linear_limit_in_single_precision() -> None:
    z = torch.tensor([-1e4, -1e-3, 0.0, 1.0, 1e4])
    assert torch.equal(torch.sigmoid(z / strip.LINEAR.temperature), torch.full_like(z, 0.5))


def test_default_temperatures_follow_the_network() -> None:
    module = gated(F.relu)
    one, *_ = strip_steps(wrap(module), image(), 0)
    scale = float(module.bn.weight.detach().abs().median())
    assert one.temperatures["relative"] == (0.1, 0.16, 0.25, 0.4, 0.63, 1.0, 1.6, 2.5, 4.0)
    assert one.temperatures["absolute"] == pytest.approx(
        [scale * t for t in one.temperatures["relative"]], rel=0.06
    )


def test_hidden_target_has_a_score(model: pw.Model) -> None:
    target = pw.Channel("layer1.bn1", 2)
    one = pw.temperature_strip(
        model, image(), target, temperatures=[1.0], units=["absolute"], **WALK
    )
    session = pw.Session(model, image())
    *_, last = session.ascend(target, pw.Softening(1.0, units="absolute"), **WALK)
    assert one.measure == "score"
    assert one.before == session.score(target)
    assert one.outcome[0, 1] == last.score
    assert one.result(0, 1) == f"{last.score:.3g}"


def test_fills_up_pullbacks_first_and_keeps_what_was_reached(model: pw.Model) -> None:
    steps = strip_steps(model, image(), None, temperatures=[1.0], **WALK)
    one = next(steps)
    assert one.progress == 0 and not one.pulled.any() and np.isnan(one.cosine).all()
    shares = []
    while not one.pulled.all():
        assert next(steps) is one
        assert not one.done.any()
        shares.append(one.progress)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert one.done[:, 0].tolist() == [1, 1]  # both ends are computed once for both rows
    assert one.done[:, 1:].sum() == 0
    assert np.isnan(one.outcome[:, 1:]).all() and not one.differences[:, 1:].any()
    assert len(shares) == 4 and shares == sorted(shares)
    assert one.target == pw.Logit(int(pw.Session(model, image()).logits.argmax()))
    one.figure()  # of an unfinished strip, too


def test_progress_reaches_one(model: pw.Model) -> None:
    shares: list[float] = []
    pw.temperature_strip(
        model, image(), temperatures=[1.0], units="relative", progress=shares.append, **WALK
    )
    assert shares == sorted(shares) and shares[-1] == 1
    assert len(shares) == 1 + 3 + 3 * 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperatures": [1.0, 0.5]}, "rising"),
        ({"temperatures": [0.0, 1.0]}, "above 0"),
        ({"temperatures": [1.0, math.inf]}, "finite"),
        ({"temperatures": []}, "rising"),
        ({"units": ["relative", "relative"]}, "units is"),
        ({"units": ["kelvin"]}, "units is"),
        ({"units": []}, "units is"),
        ({"steps": 0}, "steps is 0"),
        ({"target": "no such class"}, "No class"),
        ({"target": pw.Channel("nowhere", 0)}, "no layer"),
    ],
)
def test_refused_at_the_call(model: pw.Model, options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        strip_steps(model, image(), **options)  # type: ignore[arg-type]


def test_batches_are_refused(model: pw.Model) -> None:
    with pytest.raises(pw.ImageError):
        strip_steps(model, image(batch=2))


def test_code_computes_the_same(model: pw.Model, result: Strip) -> None:
    lines = [line for line in result.code().splitlines() if " = ..." not in line]
    names = {"model": model, "image": image()}
    exec("\n".join(lines[:-1]), names)
    again = names["strip"]
    assert isinstance(again, Strip)
    assert again.temperatures == result.temperatures
    assert torch.equal(again.differences, result.differences)


def test_code_of_a_direction_brings_its_import(model: pw.Model) -> None:
    target = pw.Direction("layer1", torch.arange(4.0))
    one = pw.temperature_strip(model, image(), target, temperatures=[1.0], **WALK)
    lines = [line for line in one.code().splitlines() if " = ..." not in line]
    names = {"model": model, "image": image()}
    exec("\n".join(lines[:-1]), names)
    assert isinstance(names["strip"], Strip)
    assert torch.equal(names["strip"].pullbacks, one.pullbacks)


def test_figure_has_the_curves_under_the_tiles(result: Strip) -> None:
    figure = result.figure()
    figure.canvas.draw()
    tiles = [axes for axes in figure.axes if axes.images][1:]  # the first is the photograph
    curves = [axes for axes in figure.axes if axes.lines]
    assert len(tiles) == 10 and len(curves) == 2
    for column, tile in enumerate(tiles[:5]):
        middle = tile.get_window_extent()
        for axes in curves:
            x, _ = axes.transData.transform((column, 0))
            assert x == pytest.approx((middle.x0 + middle.x1) / 2, abs=1)
    outcome, cosine = curves
    for row in range(2):
        assert np.array_equal(outcome.lines[row].get_ydata(), result.outcome[row])
        assert np.array_equal(cosine.lines[row].get_ydata(), result.cosine[row])
    assert outcome.lines[2].get_ydata()[0] == result.before


def test_curves_have_text_of_the_wanted_size(result: Strip) -> None:
    from matplotlib.figure import Figure

    for options, size in (({}, 6), ({"size": 11.0}, 11)):
        axes = Figure().subplots()
        result.draw_curve(axes, "outcome", 0.1, **options)
        legend = axes.get_legend()
        assert legend is not None
        written = [*legend.get_texts(), *axes.get_yticklabels()]
        assert {text.get_fontsize() for text in written} == {size}


def test_files(result: Strip, tmp_path: Path) -> None:
    arrays, settings = load_npz(result.save(tmp_path / "strip.npz"))
    np.testing.assert_array_equal(arrays["pullbacks"], result.pullbacks.numpy())
    assert arrays["temperatures"].tolist() == [[0, *TEMPERATURES, math.inf]] * 2
    assert settings["target"] == "golf ball (class 0)"
    assert settings["temperatures"]["absolute"] == list(TEMPERATURES)
    with Image.open(result.save(tmp_path / "strip.gif")) as film:
        assert getattr(film, "n_frames", 1) == 5
        height, width = result.frame(0).shape[:2]
        assert film.width / film.height == width / height


def test_film_shows_every_temperature(result: Strip) -> None:
    frames = result.frames()
    assert len(frames) == 5
    for column, frame in enumerate(frames):
        np.testing.assert_array_equal(frame[:8, :8], result.picture(0, column, "pullback"))
        np.testing.assert_array_equal(frame[-8:, 8:], result.picture(1, column, "difference"))
