"""vmap, torch.func and gradients inside of a forward: exact when hard, and what is soft is said."""

import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from networks import image, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw

Part = Callable[[nn.Module, Tensor], Tensor]


def body(net: nn.Module, z: Tensor) -> Tensor:
    return F.relu(net.next(z)).square().mean((2, 3))


def vmapped(net: nn.Module, z: Tensor) -> Tensor:
    return torch.vmap(lambda one: body(net, F.max_pool2d(one[None], 2))[0])(z)


def called(net: nn.Module, z: Tensor) -> Tensor:
    return torch.func.functional_call(net, {}, (z, body))


def func_gradient(net: nn.Module, z: Tensor) -> Tensor:
    return torch.func.grad(lambda y: body(net, y).sum())(z).mean((2, 3))


def gradient(net: nn.Module, z: Tensor, again: bool = False) -> Tensor:
    with torch.enable_grad():
        z = z if z.requires_grad else z.requires_grad_()
        y = body(net, z)
        (g,) = torch.autograd.grad(y.sum(), z, retain_graph=True, create_graph=again)
    return y + g.mean((2, 3))


def gradient_of_gradient(net: nn.Module, z: Tensor) -> Tensor:
    return gradient(net, z, again=True)


class Net(nn.Module):
    def __init__(self, part: Part) -> None:
        super().__init__()
        self.conv, self.next, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)
        self.part = part

    def forward(self, x: Tensor, part: Part | None = None) -> Tensor:
        if part is not None:
            return part(self, x)
        out: Tensor = self.head(self.part(self, F.relu(self.conv(x))))
        return out


PARTS: dict[Part, tuple[int, set[str]]] = {
    vmapped: (1, {"relu", "pow", "max pool2dwith indices"}),
    called: (2, {"pow"}),
    func_gradient: (1, {"relu", "pow"}),
    gradient: (2, {"pow"}),
    gradient_of_gradient: (2, {"pow", "threshold backward"}),
}


@pytest.mark.parametrize("part", PARTS)
def test_transformed_parts_have_their_own_derivative(part: Part) -> None:
    net = seeded(Net(part))
    model = wrap(net)
    x = image(1)[None].requires_grad_()
    (expected,) = torch.autograd.grad(net(x)[0, 1], x)
    session = pw.Session(model, image(1))
    assert torch.equal(session.pullback(1, pw.Softening.hard()), expected[0])
    gates, kept = PARTS[part]
    assert len(session.report.gates) == gates
    assert kept <= set(session.report.kept) | set(session.report.cut)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not torch.equal(session.pullback(1), expected[0])


def test_a_gradient_taken_inside_is_hard_whatever_was_pulled_back_before() -> None:
    """A layer that was overwritten is recorded anew, after a soft pullback."""

    class Overwritten(Net):
        def forward(self, x: Tensor, part: Part | None = None) -> Tensor:
            self.first = self.conv(x)
            z = gradient(self, F.relu(self.first))
            out: Tensor = self.head(z)
            out += 1
            return out

    model = wrap(seeded(Overwritten(gradient)))
    session, fresh = pw.Session(model, image(1)), pw.Session(model, image(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session.pullback(1)
    assert torch.equal(session.activations("head"), fresh.activations("head"))


def test_second_derivatives_of_smooth_operations_are_refused() -> None:
    def curved(net: nn.Module, z: Tensor) -> Tensor:
        with torch.enable_grad():
            y = F.gelu(net.next(z)).mean((2, 3))
            (g,) = torch.autograd.grad(y.sum(), z, create_graph=True)
        return g.mean((2, 3))

    model = wrap(seeded(Net(curved)))
    with pytest.raises(RuntimeError, match="gradient of gelu with create_graph=True.*wrapper"):
        pw.pullback(model, image(1), 1)
