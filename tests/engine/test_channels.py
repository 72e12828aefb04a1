"""Networks of one channel, and of more than three."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import SIZE, plain_gradient, seeded
from PIL import Image
from torch import Tensor, nn

import pullback_widgets as pw

HARD = pw.Softening.hard()


def net(channels: int, norm: bool = True) -> nn.Module:
    parts = [nn.Conv2d(channels, 4, 3), *([nn.BatchNorm2d(4)] if norm else []), nn.ReLU()]
    return seeded(
        nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    ).float()


def image(channels: int, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, channels, SIZE, SIZE, generator=generator) * 2 - 1


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_tensors_have_the_networks_own_number_of_channels(channels: int) -> None:
    module = net(channels)
    means, stds = torch.rand(channels) + 0.1, torch.rand(channels) + 0.5
    model = pw.Model(module, means.tolist(), stds.tolist(), SIZE)
    picture = image(channels)[0]
    m, s = (one.view(-1, 1, 1) for one in (means, stds))
    expected = plain_gradient(lambda x: module(((x + 1) / 2 - m) / s)[:, 2], picture)
    session = pw.Session(model, picture)
    torch.testing.assert_close(session.pullback(2, HARD), expected)
    assert session.image.shape == picture.shape and session.pullback(2).shape == picture.shape
    (step,) = session.ascend(2, steps=1)
    assert step.perturbed.shape == picture.shape
    batch = pw.pullback(model, image(channels, 3), 2)
    torch.testing.assert_close(batch[0], session.pullback(2))
    assert pw.layers(model)[0].shape == (4, SIZE - 2, SIZE - 2) and pw.report(model).gates
    inputs = model.normalise(image(channels, 2))
    assert pw.ExcitationPullback(model).attribute(inputs, 2).shape == inputs.shape
    assert pw.ExcitationPullback(model).attribute(inputs, 2, steps=1).shape == inputs.shape


def test_mean_and_std_are_one_number_for_all_or_one_for_each() -> None:
    def given(mean: Any, std: Any, module: nn.Module) -> tuple[Any, Any, int]:
        model = pw.Model(module, mean, std, SIZE)
        return model.mean, model.std, model.channels

    assert given(0.5, 0.25, net(4)) == ((0.5,) * 4, (0.25,) * 4, 4)
    assert given(np.float32(0.5), 0.25, net(1)) == ((0.5,), (0.25,), 1)
    assert given((0.5,), (0.25,), net(3)) == ((0.5,), (0.25,), 1)
    assert given(torch.tensor([0.25, 0.5]), 0.25, net(3)) == ((0.25, 0.5), (0.25, 0.25), 2)
    assert given(0.5, [0.25, 0.5], net(3)) == ((0.5, 0.5), (0.25, 0.5), 2)
    assert given(0.5, 0.25, nn.Linear(2, 2)) == ((0.5,) * 3, (0.25,) * 3, 3)


@pytest.mark.parametrize(
    ("mean", "std", "says"),
    [
        ((0.5, 0.5), (1, 1, 1), "mean has 2 numbers and std has 3"),
        ("0.5", 1.0, "mean is '0.5'; expected one number for each channel"),
        ((), (), r"mean is \(\); expected one number"),
        (None, 1.0, "mean is None; expected one number"),
        (0.5, 0.0, "std is 0.0; expected numbers above 0"),
        (0.5, (1, -1), r"std is \(1, -1\); expected numbers above 0"),
    ],
)
def test_other_means_are_refused(mean: Any, std: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        pw.Model(net(3), mean, std, SIZE)


# One channel --------------------------------------------------------------------------------------


def test_photographs_become_grey_once(tmp_path: Path) -> None:
    model = pw.Model(net(1), 0.5, 0.25, SIZE)
    colour = Image.new("RGB", (40, 40), (200, 40, 20))
    shown = pw.Session(model, colour).image
    luma = round(0.299 * 200 + 0.587 * 40 + 0.114 * 20)
    assert shown.shape == (1, SIZE, SIZE) and torch.all(shown == shown[0, 0, 0])
    assert round(float((shown[0, 0, 0] + 1) * 127.5)) == luma
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).repeat(256).reshape(256, 256))
    of_grey = pw.Session(model, grey).image
    of_colour = pw.Session(pw.Model(net(3), 0.5, 0.25, SIZE), grey).image
    assert torch.equal(of_grey[0], of_colour[0])
    colour.save(tmp_path / "colour.png")
    assert torch.equal(pw.Session(model, [tmp_path / "colour.png", colour]).image[0], shown)


def test_figures_show_one_channel_in_grey() -> None:
    model = pw.Model(net(1, norm=False), 0.5, 0.25, SIZE)  # calibrated on grey photographs
    picture = image(1)[0]
    assert pw.counterfactual_grid(model, picture, [1], steps=1, extra=None).picture(0, 0).any()
    assert pw.temperature_strip(model, picture, 1, steps=1).done.all()
    assert not pw.compare(model, picture, 1).problems
    assert pw.depth_journey(model, picture, steps=1).figure()
    assert pw.layer_atlas(model, "0", picture, channels=[1]).pullbacks.any()


# What does not fit --------------------------------------------------------------------------------


def test_a_photograph_for_four_channels_is_refused() -> None:
    with pytest.raises(pw.ImageError, match="images of 4 channels, and a photograph has 3; give a"):
        pw.Session(pw.Model(net(4), 0.5, 0.25, SIZE), "coffee")


@pytest.mark.parametrize(
    ("channels", "given", "says"),
    [
        (1, 3, r"expected \(1, H, W\).*one channel: x.mean"),
        (3, 1, r"expected \(3, H, W\), RGB.*takes 1 channel, give pw.Model.* 1 number each"),
        (3, 4, r"expected \(3, H, W\), RGB.*takes 4 channels, give pw.Model.* 4 numbers each"),
        (4, 3, r"expected \(4, H, W\), as many channels as mean has numbers"),
    ],
)
def test_a_tensor_of_other_channels_is_refused(channels: int, given: int, says: str) -> None:
    model = pw.Model(net(channels), (0.5,) * channels, (0.25,) * channels, SIZE)
    for picture in (image(given)[0], [image(given)[0]]):
        with pytest.raises(pw.ImageError, match=says):
            pw.Session(model, picture)


def test_a_network_of_other_channels_than_its_mean_is_said() -> None:
    for call in (pw.layers, pw.report, lambda model: pw.Session(model, "coffee")):
        with pytest.raises(ValueError, match="takes images of 1 channel and was shown 3; give"):
            call(pw.Model(net(1), size=SIZE))


def test_four_channels_without_calibration_say_what_to_give() -> None:
    model = pw.Model(net(4, norm=False), 0.5, 0.25, SIZE)
    assert pw.pullback(model, image(4)[0], 1, HARD).shape == (4, SIZE, SIZE)
    with pytest.raises(ValueError, match="do not have 4 channels; give pw.Model.calibration=...."):
        pw.pullback(model, image(4)[0], 1)
    own = pw.Model(model.module, 0.5, 0.25, SIZE, calibration=image(4, 6))
    assert pw.pullback(own, image(4)[0], 1).any()
