"""Parts that torch would compute again in the backward pass: exact, or a sentence."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from networks import image, seeded, wrap
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import pullback_widgets as pw

SOFTENINGS = [pw.Softening.hard(), pw.Softening.relative(), pw.Softening.paper_v3(0.5)]


def relu_first(net: nn.Module, z: Tensor) -> Tensor:
    return F.relu(net.inner(F.relu(z)))


def equal_shapes(net: nn.Module, z: Tensor) -> Tensor:
    """Where a value that is missing would be taken for another of the same shape."""
    return F.relu(z) * torch.tanh(z)


def in_place(net: nn.Module, z: Tensor) -> Tensor:
    z = net.norm(z)
    z += 1
    return F.max_pool2d(torch.relu_(z), 2)


def attended(net: nn.Module, z: Tensor) -> Tensor:
    z = net.layer_norm(z.flatten(2).transpose(1, 2))
    return F.gelu(F.scaled_dot_product_attention(z, z, z)).transpose(1, 2).unsqueeze(-1)


PARTS: list[Callable[[nn.Module, Tensor], Tensor]] = [relu_first, equal_shapes, in_place, attended]


class Net(nn.Module):
    def __init__(self, part: Callable[[nn.Module, Tensor], Tensor], reentrant: bool | None) -> None:
        super().__init__()
        self.conv, self.inner, self.norm = (
            nn.Conv2d(3, 4, 3),
            nn.Conv2d(4, 4, 3),
            nn.BatchNorm2d(4),
        )
        self.layer_norm, self.head = nn.LayerNorm(4), nn.Linear(4, 3)
        self.part, self.reentrant = part, reentrant

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(x)
        if self.reentrant is None:
            z = self.part(self, z)
        else:
            z = checkpoint(self.part, self, z, use_reentrant=self.reentrant)
        out: Tensor = self.head(z.mean((2, 3)))
        return out


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("softening", SOFTENINGS)
def test_what_is_computed_again_is_softened(
    part: Callable[[nn.Module, Tensor], Tensor], softening: pw.Softening
) -> None:
    plain, again = wrap(seeded(Net(part, None))), wrap(seeded(Net(part, False)))
    one, other = pw.Session(plain, image(1)), pw.Session(again, image(1))
    for target in (1, pw.Channel("conv", 0)):
        assert torch.equal(one.pullback(target, softening), other.pullback(target, softening))
    assert one.report == other.report
    assert torch.equal(
        pw.pullback(plain, image(1), 1, softening), pw.pullback(again, image(1), 1, softening)
    )


def test_a_part_written_over_twice_is_no_other_value() -> None:
    net = seeded(Net(in_place, False))
    model = wrap(net)
    x = image(1)[None].requires_grad_()
    (expected,) = torch.autograd.grad(copy.deepcopy(net)(x)[0, 1], x)
    assert torch.equal(pw.pullback(model, image(1), 1, pw.Softening.hard()), expected[0])


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.filterwarnings("ignore:.*keeps its own derivative")
@pytest.mark.parametrize("softening", SOFTENINGS)
def test_the_reentrant_way_says_what_to_do(softening: pw.Softening) -> None:
    model = wrap(seeded(Net(relu_first, True)))
    with pytest.raises(RuntimeError, match="call it with use_reentrant=False"):
        pw.pullback(model, image(1), 1, softening)
    assert "computed again" in pw.report(model).sentence
