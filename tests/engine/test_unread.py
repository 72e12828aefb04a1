"""A recording keeps what its gates need and no more, and no answer changes."""

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from networks import image, network, plain_gradient, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.engine.gate import GateKey, Settings
from pullback_widgets.engine.pool import Pool
from pullback_widgets.engine.recording import Recording

SOFT = pw.Softening.paper_v3(0.5)


class Net(nn.Module):
    """Convolution, batch norm, ReLU, convolution, read-out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.second, self.head = nn.Conv2d(6, 4, 3, stride=2), nn.Linear(4, 5)

    def weight(self, h: Tensor) -> Tensor:
        return self.second.weight

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm(self.first(x)))
        h = F.conv2d(h, self.weight(h), self.second.bias, stride=2)
        return self.head(h.mean((2, 3)))  # type: ignore[no-any-return]


class Computed(Net):
    """The weights of the second convolution come from the image."""

    def weight(self, h: Tensor) -> Tensor:
        return self.second.weight * h.mean()


class InsideGradient(Net):
    """A gradient by a weight is a part of the output."""

    def weight(self, h: Tensor) -> Tensor:
        y = F.conv2d(h, self.second.weight, stride=2).square().sum()
        (found,) = torch.autograd.grad(y, self.second.weight, create_graph=True)
        return self.second.weight + found / found.norm()


class LeavesValues(Net):
    """The network itself says how autograd keeps values."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autograd.graph.save_on_cpu():
            return super().forward(x)


@pytest.mark.parametrize("kind", [Net, Computed, InsideGradient, LeavesValues])
def test_the_plain_gradient_is_autograds_whatever_a_weight_is(kind: Callable[[], Net]) -> None:
    net = seeded(kind())
    model = wrap(net)
    session = pw.Session(model, image(1))
    expected = plain_gradient(lambda x: net(model.normalise(x))[0, 2], image(1))
    assert torch.equal(session.pullback(2, pw.Softening.hard()), expected)
    assert torch.equal(pw.pullback(model, image(1), 2, SOFT), session.pullback(2, SOFT))
    assert torch.equal(session.logits, net(model.normalise(image(1)[None])).detach()[0])


def saved_inputs(end: Tensor) -> Iterator[Tensor]:
    """What autograd has of the inputs of convolutions and batch norms."""
    waiting, seen = [end.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "_saved_input"):
            yield node._saved_input
        waiting += [one for one, _ in node.next_functions]


@pytest.mark.parametrize(
    ("kind", "left"), [(Net, 3), (Computed, 2), (InsideGradient, 0), (LeavesValues, 0)]
)
def test_inputs_are_left_away_where_no_gradient_by_the_image_reads_them(
    kind: Callable[[], Net], left: int
) -> None:
    session = pw.Session(wrap(seeded(kind())), image(1))
    inputs = list(saved_inputs(session.recording.value("logits")))
    assert sum(bool(one.isnan().all()) for one in inputs) == left


def test_gradients_by_weights_are_no_numbers_outside_of_a_pullback() -> None:
    """What is not kept must not look like an answer; by the image it is one."""
    net = seeded(Net())
    session = pw.Session(wrap(net), image(1))
    score = session.recording.value("logits")[0, 2]
    wanted = [session.recording.x, net.first.weight]
    by_image, by_weight = torch.autograd.grad(score, wanted, retain_graph=True)
    assert torch.equal(by_image[0], session.pullback(2, pw.Softening.hard()))
    assert by_weight.isnan().all()


def test_values_that_no_gate_needs_go_and_come_back() -> None:
    net = seeded(Net())
    runs: list[int] = []
    net.register_forward_hook(lambda *_: runs.append(1))
    session = pw.Session(wrap(net), image(1))
    with torch.no_grad():
        first = net.first(session.model.normalise(image(1)[None]))[0]
    entered = session.activations("norm")
    assert len(runs) == 1
    assert torch.equal(entered, net.norm(first[None]).detach()[0])
    assert torch.equal(session.activations("first"), first)
    assert len(runs) == 2
    session.activations("head")
    assert len(runs) == 2


def test_a_layer_that_is_awaited_is_kept() -> None:
    net = seeded(Net())
    runs: list[int] = []
    net.first.register_forward_hook(lambda *_: runs.append(1))
    recording = Recording(wrap(net), image(1)[None], until={"first"}, spare=True)
    assert recording.value("first").shape[1] == 6
    assert len(runs) == 1


@pytest.mark.parametrize("form", ["detached", "differentiated"])
@pytest.mark.parametrize(
    "window", [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 1), (2, 1, 1, 3), (1, 2, 0, 1)]
)
def test_a_pool_has_the_same_shares_by_inputs_and_by_windows(
    window: tuple[int, int, int, int], form: str
) -> None:
    softening = pw.Softening.paper_v3(0.5) if form == "differentiated" else pw.Softening.paper_v6()
    kernel, stride, padding, dilation = ((one, one) for one in window)
    pool = Pool(
        GateKey(1, 4, ""), Settings(softening, lambda key: torch.ones(4)),
        kernel, stride, padding, dilation, ceil_mode=False,
    )  # fmt: skip
    x = torch.randn(2, 4, 9, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    grad = pool.own(x).cos()
    near = pool.backward(x, grad)
    # One value far from the others, and each window is less its own maximum.
    far = x.clone()
    far[:, 0, 0, 0] = -1e4
    torch.testing.assert_close(pool.backward(far, grad)[:, 1:], near[:, 1:], rtol=1e-10, atol=1e-12)


def test_a_layer_that_was_looked_at_costs_later_images_no_second_pass() -> None:
    module = network("residual")
    model, passes = wrap(module), []
    module.register_forward_hook(lambda *_: passes.append(1))
    layer = next(
        one.name
        for one in pw.Session(model, image(1)).layers
        if one.name != "logits" and "conv" in one.name
    )
    for number in range(3):
        session = pw.Session(model, image(number))
        del passes[:]
        session.activations(layer)
        assert len(passes) == (number == 0)
