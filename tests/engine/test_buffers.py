"""A forward pass may write to buffers; afterwards they are as they were, calibration included."""

from typing import Any

import pytest
import torch
from networks import SIZE, image, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw


class Writing(nn.Module):
    """A network that changes its buffers in every way there is, and uses them."""

    count: Tensor
    rebound: Tensor
    made: Tensor | None
    doomed: Tensor

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)
        self.register_buffer("count", torch.ones(1, dtype=torch.float64))
        self.register_buffer("rebound", torch.ones(1, dtype=torch.float64))
        self.register_buffer("made", None, persistent=False)
        self.register_buffer("doomed", torch.zeros(2))
        self.fails = fails

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.count[0].add_(1)
        self.rebound = self.rebound + 1
        self.made = torch.zeros(3, dtype=x.dtype)
        self.register_buffer("late", torch.zeros(1), persistent=False)
        del self.doomed
        mean, var = self.norm.running_mean, self.norm.running_var
        z = nn.functional.batch_norm(self.conv(x), mean, var, training=True)
        if self.fails:
            raise KeyboardInterrupt
        out: Tensor = self.head(torch.relu(z * self.count * self.rebound).mean((2, 3))) + self.made
        return out


def buffers(net: nn.Module) -> dict[str, tuple[int, Any, Any]]:
    return {
        f"{name}.{key}": (id(one), None if one is None else (one._version, one.tolist()), key)
        for name, child in net.named_modules()
        for key, one in child._buffers.items()
    }


def hidden(net: nn.Module) -> list[set[str]]:
    return [set(child._non_persistent_buffers_set) for child in net.modules()]


def test_buffers_are_the_same_tensors_with_the_same_values() -> None:
    net = seeded(Writing())
    model, before = wrap(net), (buffers(net), hidden(net), list(net._buffers))
    session = pw.Session(model, image(1))
    first = session.pullback(1)
    assert torch.equal(session.pullback(1), first)
    assert torch.equal(pw.pullback(model, image(1), 1), first)
    list(session.ascend(1, steps=2))
    pw.layers(model)
    assert (buffers(net), hidden(net), list(net._buffers)) == before


def test_every_forward_pass_begins_with_the_same_buffers() -> None:
    model = wrap(seeded(Writing()))
    assert torch.equal(pw.Session(model, image(1)).logits, pw.Session(model, image(1)).logits)


def test_buffers_after_an_interrupt() -> None:
    net = seeded(Writing(fails=True))
    before = buffers(net)
    with pytest.raises(KeyboardInterrupt):
        pw.Session(wrap(net), image(1))
    assert buffers(net) == before


def test_the_gradient_is_that_of_the_values_written() -> None:
    """What was put back must not reach the graph: the counter was 3 when it was multiplied."""
    net = seeded(Writing())
    p = pw.pullback(wrap(net), image(1), 1, pw.Softening.hard())
    x = image(1)[None].requires_grad_()
    (expected,) = torch.autograd.grad(net(x)[0, 1], x)
    assert torch.equal(p, expected[0])


def test_calibration_is_not_measured_again_because_a_buffer_was_written() -> None:
    passes = 0

    def counted(module: nn.Module, args: Any) -> None:
        nonlocal passes
        passes += 1

    net = seeded(Writing())
    net.conv.register_forward_pre_hook(counted)
    model = wrap(net)
    session = pw.Session(model, image(1))
    for _ in range(3):
        session.pullback(1)
    assert passes == 2


def test_a_buffer_of_two_modules_stays_one_while_the_network_runs() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Module(), nn.Module()
            shared = torch.zeros(1, dtype=torch.float64)
            self.one.register_buffer("total", shared)
            self.two.register_buffer("total", shared)
            self.head = nn.Linear(3 * SIZE**2, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.one.total += 1
            out: Tensor = self.head(torch.relu(x * self.two.total).flatten(1))
            return out

    net = seeded(Shared())
    assert float(pw.pullback(wrap(net), image(1), 1).abs().max()) > 0
    assert net.one.total is net.two.total and float(net.one.total) == 0


def test_a_cache_made_in_inference_mode() -> None:
    class Caches(nn.Module):
        """Makes a position encoding at the first call and keeps it as a buffer."""

        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3 * SIZE**2, 2)
            self.register_buffer("places", None, persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            if self.places is None:
                self.places = torch.linspace(0.5, 1, SIZE, dtype=x.dtype)
            out: Tensor = self.head(torch.relu(x * self.places).flatten(1))
            return out

    net, fresh = seeded(Caches()), wrap(seeded(Caches()))
    with torch.inference_mode():
        net(image(1, batch=1))
    assert net.places.is_inference()
    for softening in (pw.Softening.hard(), pw.Softening.relative()):
        p = pw.pullback(wrap(net), image(1), 1, softening)
        assert torch.equal(p, pw.pullback(fresh, image(1), 1, softening))
    assert net.places.is_inference()
