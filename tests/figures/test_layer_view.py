"""A hidden layer on an image: its strongest channels, and its histograms."""

import math

import numpy as np
import pytest
import torch
from networks import CLASSES, image, network, wrap
from torch import nn

import pullback_widgets as pw
from pullback_widgets.figures.layer_view import BINS, STRONGEST, histogram, layer_view


@pytest.mark.parametrize("layer", ["logits", "conv", "relu", "maxpool", "layer1", "head", "pool"])
def test_the_view_of_a_layer(layer: str) -> None:
    session = pw.Session(wrap(network("residual")), image(1))
    view = layer_view(session, layer)
    assert view.layer.name == layer
    if layer == "logits":
        assert view.layer.shape == (CLASSES,)
        assert view.strongest == [] and view.largest((0, 0)) is None
    else:
        values = session.activations(layer)
        assert view.layer.shape == values.shape
        strength = values.clamp_min(0).reshape(len(values), -1).mean(1)
        channels = [channel for channel, _ in view.strongest]
        assert len(set(channels)) == len(channels) == min(STRONGEST, len(values))
        assert (np.diff(strength[channels].numpy()) <= 1e-6).all()
        for position in np.ndindex(tuple(values.shape[1:])):
            channel = view.largest(position)
            assert channel is not None
            here = values[(slice(None), *position)].float()
            assert view.activation(channel, position) == here.max() == here[channel]
        assert view.largest((0,) * values.dim()) is None  # no place of this layer
        for channel, shown in view.strongest:
            assert shown.ndim == 2
            assert np.allclose(shown.ravel(), values[channel].numpy().ravel())


@pytest.mark.parametrize("layer", ["logits", "conv", "relu", "layer1.bn1", "pool"])
def test_the_histograms_count_pre_activations(layer: str) -> None:
    session = pw.Session(wrap(network("residual")), image(1))
    view = layer_view(session, layer)
    gated, values, scale = session.gate_inputs(layer)
    assert view.gated == gated
    scaled = values / scale.view(-1, *[1] * (values.dim() - 1))
    for one, counted in ((view.absolute, values), (view.relative, scaled)):
        assert len(one.counts) == BINS
        assert one.low < 0 < one.high
        assert 0.98 * counted.numel() - 2 <= one.counts.sum() <= counted.numel()


@pytest.mark.parametrize("values", [[0.0], [5.0] * 10, [-5.0] * 10, [1e-20, -1e-20], [1e30]])
def test_a_histogram_of_odd_values_has_room_around_zero(values: list[float]) -> None:
    found = histogram(torch.tensor(values))
    assert found.low < 0 < found.high
    assert math.isfinite(found.high - found.low)


@pytest.mark.parametrize("constant", [1, 4])
def test_constant_channels_do_not_widen_the_histogram(constant: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)).double()
    with torch.no_grad():
        net(image(1, 1))
        net[0].weight[:constant] = 0  # on every image the same
        net[0].bias[:constant] = 5
    view = layer_view(pw.Session(wrap(net), image(1)), "1")
    assert max(-view.relative.low, view.relative.high) < 20
    assert view.absolute.high > 4.9  # it counts as it is
    assert view.constant == constant
    counted = view.relative.counts.sum() * 6 / (6 - constant)
    assert view.absolute.counts.sum() == pytest.approx(counted, rel=0.05)
