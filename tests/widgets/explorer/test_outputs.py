"""The Explorer on networks without classes, and without probabilities."""

from typing import Any

import pytest
import torch
from networks import SIZE, image, network
from torch import Tensor, nn

import pullback_widgets as pw


class Detector(nn.Module):
    """Returns what no target can be read from."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network("chain").float()

    def forward(self, x: Tensor) -> Any:
        return [{"boxes": self.body(x)[:, :4]}]


def test_a_network_without_classes_shows_its_layers() -> None:
    model = pw.Model(Detector(), 0.5, 0.5, SIZE, calibration=image(9, batch=3).float())
    explorer = pw.Explorer(model=model, image=image(1).float(), layer="body.conv2", channel=1)
    try:
        explorer.wait(60)
        assert not explorer.error
        expected = pw.pullback(model, image(1).float(), pw.Channel("body.conv2", 1))
        assert torch.equal(explorer.pullback, expected)
        assert explorer.result.predictions == [] and explorer.result.classes == 0
        explorer.layer = "logits"
        explorer.wait(60)
        assert "expected logits (N, K)" in explorer.error
        explorer.layer = "body.conv1"
        explorer.wait(60)
        assert not explorer.error
    finally:
        explorer.close()


def test_a_network_without_probabilities_shows_scores() -> None:
    calibration = image(9, batch=3)
    module = network("chain")
    model = pw.Model(module, 0.5, 0.5, SIZE, calibration=calibration, probability="none")
    explorer = pw.Explorer(model=model, image=image(1), target=2, view="difference")
    try:
        explorer.wait(60)
        assert not explorer.error and explorer.result.outcome.startswith("score ")
        assert explorer.result.score == pytest.approx(module(image(1)[None])[0, 2].item())
        assert len(explorer.result.arrays()["top_probabilities"]) == 5
    finally:
        explorer.close()
