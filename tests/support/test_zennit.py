"""A peer: zennit's smooth ReLU at beta = 1 / T is version 3 with hard max-pooling."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from zennit.composites import LayerMapComposite
from zennit.rules import ReLUBetaSmooth
from zoo import build, picture

import pullback_widgets as pw

CLASS = 3


@pytest.mark.parametrize("temperature", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("name", ["timm/resnet10t", "timm/hgnetv2_b0", "timm/regnetx_002"])
def test_version_3_with_hard_pooling_is_zennits_rule(name: str, temperature: float) -> None:
    model = build(name)
    relus = [one for one in model.module.modules() if isinstance(one, nn.ReLU)]
    for one in relus:
        one.inplace = False  # zennit reads the input of a ReLU after it has run
    x = picture(model.size)
    ours = replace(pw.Softening.paper_v3(temperature), pool="hard")
    p = pw.pullback(model, x, CLASS, ours)

    variable = x.clone().requires_grad_()
    rule = ReLUBetaSmooth(beta_smooth=1 / temperature)
    with LayerMapComposite([(nn.ReLU, rule)]).context(model.module) as hooked:
        (theirs,) = torch.autograd.grad(hooked(variable[None])[0, CLASS], variable)

    assert len(relus) == sum(gate.operation == "relu" for gate in pw.report(model).gates)
    assert float((p - theirs).abs().max()) <= 1e-12 * float(theirs.abs().max())
    plain = pw.pullback(model, x, CLASS, pw.Softening.hard())
    assert float((p - plain).norm()) > 0.01 * float(plain.norm())
