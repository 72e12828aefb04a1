"""Targets that no gradient leads to: a pullback of zeros is never given without a word."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from networks import SIZE, image, seeded
from torch import Tensor, nn

import pullback_widgets as pw


class Frozen(nn.Module):
    """A body and a head, with something between that cuts them."""

    def __init__(self, between: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(8 * (SIZE - 2) ** 2, 4)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.between(self.body, x))


def no_grad(body: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        out: Tensor = body(x)
        return out


CUTS: dict[str, tuple[Callable[[nn.Module, Tensor], Tensor], str]] = {
    "no_grad": (no_grad, "1 conv2d"),
    "detach": (lambda body, x: body(x).detach(), "1 detach"),
    "numpy": (lambda body, x: torch.from_numpy(body(x).detach().numpy().copy()), "1 detach"),
    "data": (lambda body, x: body(x).data, "cut by 1 "),
}

ACTIONS: dict[str, Callable[[pw.Model], Any]] = {
    "pullback": lambda model: pw.pullback(model, image(1), 1),
    "hard": lambda model: pw.pullback(model, image(1), 1, pw.Softening.hard()),
    "session": lambda model: pw.Session(model, image(1)).pullback(1),
    "batch": lambda model: pw.Session(model, image(1, batch=2)).pullback([0, 1]),
    "difference": lambda model: pw.pullback(model, image(1), pw.Logit(1) - 0),
    "ascent": lambda model: list(pw.Session(model, image(1)).ascend(1, steps=2)),
    "captum's way": lambda model: pw.ExcitationPullback(model).attribute(image(1, batch=1), 1),
    "smooth": lambda model: pw.attribute("smooth_pullback", pw.Session(model, image(1)), 1),
}


def model_of(cut: str) -> pw.Model:
    calibration = image(seed=99, batch=3)
    module = seeded(Frozen(CUTS[cut][0]))
    return pw.Model(module, 0.5, 0.5, SIZE, calibration=calibration, name="net")


@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("cut", CUTS)
def test_an_output_that_is_cut_off_says_by_what(cut: str, trains: bool) -> None:
    model = model_of(cut)
    model.module.requires_grad_(trains)
    says = f"output of net does not depend on the image: the gradient was .*{CUTS[cut][1]}"
    with pytest.raises(ValueError, match=says):
        pw.pullback(model, image(1), 1)


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_every_way_to_a_pullback_says_so(action: Callable[[pw.Model], Any]) -> None:
    with pytest.raises(ValueError, match="does not depend on the image.*1 detach.*no_grad"):
        action(model_of("detach"))


def test_layers_before_the_cut_are_fine() -> None:
    model = model_of("detach")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        target = pw.Channel("body.0", 1)
        assert pw.Session(model, image(1)).pullback(target, pw.Softening.hard()).any()


def test_hidden_layers_behind_the_cut_are_zero_with_a_warning() -> None:
    target = pw.Channel("body.0", 1)
    says = "layer 'body.0' does not depend on the image, the gradient was cut by 1 conv2d"
    with pytest.warns(UserWarning, match=says) as told:
        pulled = pw.Session(model_of("no_grad"), image(1)).pullback(target, pw.Softening.hard())
    assert not pulled.any() and told[0].filename == __file__
    with pytest.warns(UserWarning, match=says):
        atlas = pw.layer_atlas(model_of("no_grad"), "body.0", image(1), channels=[1])
    assert (np.asarray(atlas.pullbacks) == 128).all()  # mid-grey


def test_a_pullback_that_happens_to_be_zero_is_no_news() -> None:
    """All gates are shut here, but the gradient has a way."""
    module = seeded(Frozen(lambda body, x: body(x)))
    with torch.no_grad():
        module.body[0].bias.fill_(-100)  # type: ignore[union-attr, operator]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = pw.Model(module, 0.5, 0.5, SIZE)
        assert not pw.pullback(model, image(1), 1, pw.Softening.hard()).any()


def test_one_image_of_a_batch_may_be_cut_off() -> None:
    targets = [pw.Channel("body.0", 1), pw.Logit(1)]
    with pytest.raises(ValueError, match="does not depend on the image"):
        pw.Session(model_of("detach"), image(1, batch=2)).pullback(targets, pw.Softening.hard())
