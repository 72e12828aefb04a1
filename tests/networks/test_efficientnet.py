"""The built-in network is timm's, module by module and to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

import pullback_widgets as pw


@pytest.fixture(scope="module")
def ours() -> pw.Model:
    return pw.load_model("efficientnet_lite0", device="cpu")


@pytest.fixture(scope="module")
def theirs(ours: pw.Model) -> pw.Model:
    module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    module.load_state_dict(ours.module.state_dict())
    module.eval().requires_grad_(False)
    return pw.Model(
        module,
        mean=ours.mean,
        std=ours.std,
        size=ours.size,
        categories=ours.categories,
        device="cpu",
    )


def test_modules_are_called_as_timms(ours: pw.Model, theirs: pw.Model) -> None:
    mine, others = (
        [(name, type(one).__name__) for name, one in model.module.named_modules()]
        for model in (ours, theirs)
    )
    assert mine == others
    assert list(ours.module.state_dict()) == list(theirs.module.state_dict())
    assert all(one.is_contiguous() for one in ours.module.state_dict().values())


def test_layers_are_timms(ours: pw.Model, theirs: pw.Model) -> None:
    assert pw.layers(ours) == pw.layers(theirs)
    assert pw.report(ours) == pw.report(theirs)


@pytest.mark.parametrize("shape", [(1, 3, 224, 224), (2, 3, 97, 130), (1, 3, 32, 33)])
def test_logits_are_timms(ours: pw.Model, theirs: pw.Model, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(ours.module(x), theirs.module(x))


def test_training_is_timms(ours: pw.Model, theirs: pw.Model) -> None:
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    outputs = []
    for model in (ours, theirs):
        before = {name: one.clone() for name, one in model.module.state_dict().items()}
        outputs.append(model.module.train()(x))
        model.module.eval().load_state_dict(before)
    assert torch.equal(*outputs)


@pytest.mark.parametrize("target", ["espresso", pw.Channel("blocks.4.2.bn2", 3)])
@pytest.mark.parametrize("softening", [pw.Softening.hard(), pw.Softening.relative()])
def test_pullbacks_are_timms(
    ours: pw.Model, theirs: pw.Model, target: Any, softening: pw.Softening
) -> None:
    mine, others = (
        pw.pullback(model, "coffee", target, softening=softening) for model in (ours, theirs)
    )
    assert mine.abs().max() > 0 and torch.equal(mine, others)
