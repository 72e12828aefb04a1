"""Invariant 8: whatever happens, the model and torch are as they were."""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import CLASSES, NETWORKS, image, network, seeded, wrap
from states import state_of, state_of_torch
from torch import Tensor, nn

import pullback_widgets as pw


class Unlucky(nn.Module):
    """Passes its input on; at a chosen call it raises, forward or backward."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.plan: Callable[[int, Tensor], Tensor] = lambda call, x: x

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.plan(self.calls, x)


class Fragile(nn.Module):
    """Everything the engine could leave traces on, and an `Unlucky` in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network("residual")
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)
        self.unlucky = Unlucky()
        self.register_buffer("offset", torch.full((3, 1, 1), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.conv(x))) + self.offset
        return self.body(self.unlucky(F.relu(x)))


@pytest.fixture
def net() -> Fragile:
    """Mixed training flags, frozen and trained parameters, gradients, hooks, channels last."""
    torch.manual_seed(0)
    net = Fragile()
    seeded(net)
    net.to(memory_format=torch.channels_last)
    net.train()
    net.body.layer1.eval()
    net.norm.eval()
    for i, parameter in enumerate(net.parameters()):
        parameter.requires_grad_(i % 3 != 0)
        if i % 2 == 0 and parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, 0.5)
    net.register_forward_hook(lambda module, args, out: None)
    net.body.register_forward_pre_hook(lambda module, args: None)
    net.body.layer1.relu.register_forward_hook(lambda module, args, out: None)
    net.conv.weight.register_hook(lambda gradient: gradient)
    return net


@pytest.fixture(autouse=True)
def torch_as_it_was() -> Iterator[None]:
    def watched() -> dict[str, Any]:
        """Without the random numbers: the tests themselves draw weights."""
        return {key: value for key, value in state_of_torch().items() if key != "random numbers"}

    before = watched()
    yield
    assert watched() == before


def everything(model: pw.Model) -> None:
    session = pw.Session(model, image(1, batch=2))
    session.predictions(3)
    session.activations("body.layer1.relu:2")
    session.score(1)
    for softening in (pw.Softening.hard(), pw.Softening.paper_v3(0.3), pw.Softening.relative()):
        session.pullback([1, pw.Channel("body.layer1", 0)], softening=softening)
    list(session.ascend(2, steps=2))
    list(session.ascend(pw.Unit("norm", 0, (1, 1)), steps=2))
    pw.pullback(model, image(1), 2)
    pw.layers(model)


def test_after_success(net: Fragile) -> None:
    before = state_of(net)
    everything(wrap(net))
    assert state_of(net) == before


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_every_network_after_success(name: str, training: bool) -> None:
    some = network(name).train(training)
    before = state_of(some)
    model = wrap(some)
    session = pw.Session(model, image(1))
    session.pullback(1)
    list(session.ascend(1, steps=2))
    assert state_of(some) == before


def test_the_state_is_what_a_checkpoint_would_hold(net: Fragile) -> None:
    """A second, independent look: the saved bytes and the training step are the same."""
    before = {key: value.clone() for key, value in net.state_dict().items()}
    everything(wrap(net))
    after = net.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert net.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_users_hooks_still_fire(net: Fragile) -> None:
    seen: list[str] = []
    net.body.register_forward_hook(lambda module, args, out: seen.append("body"))
    pw.Session(wrap(net), image(1))
    assert seen
    del seen[:]
    net(image(1, batch=2))
    assert seen == ["body"]


def test_the_model_trains_as_before(net: Fragile) -> None:
    def gradients() -> list[Tensor]:
        torch.manual_seed(1)
        wanted = [p for p in net.parameters() if p.requires_grad]
        buffers = {key: value.clone() for key, value in net.named_buffers()}
        found = torch.autograd.grad(net(image(3, batch=2)).sum(), wanted)
        for key, value in net.named_buffers():
            value.copy_(buffers[key])
        return list(found)

    before = gradients()
    everything(wrap(net))
    after = gradients()
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


def fail_at(call: int, error: BaseException) -> Callable[[int, Tensor], Tensor]:
    def plan(count: int, x: Tensor) -> Tensor:
        if count == call:
            raise error
        return x

    return plan


ERRORS: dict[str, Callable[[], BaseException]] = {
    "RuntimeError": lambda: RuntimeError("the model broke"),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "SystemExit": lambda: SystemExit(3),
    "StopIteration": lambda: StopIteration("the model broke"),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_after_a_forward_that_raises_midway(
    net: Fragile, error: Callable[[], BaseException]
) -> None:
    model = wrap(net)
    raised = error()
    net.unlucky.plan = fail_at(1, raised)
    before = state_of(net)
    with pytest.raises(type(raised)):
        pw.Session(model, image(1))
    assert state_of(net) == before
    session = pw.Session(model, image(1))
    assert session.pullback(1).isfinite().all()


@pytest.mark.parametrize("call", [1, 2, 3, 4])
@pytest.mark.parametrize("error", ["RuntimeError", "KeyboardInterrupt"])
def test_after_a_failure_at_any_forward_of_calibration_or_ascent(
    net: Fragile, error: str, call: int
) -> None:
    model = wrap(net)
    raised = ERRORS[error]()
    net.unlucky.plan = fail_at(call, raised)
    before = state_of(net)

    def use() -> None:
        session = pw.Session(model, image(1))
        session.pullback(1)
        list(session.ascend(1, steps=10))

    with pytest.raises(type(raised)):
        use()
    assert state_of(net) == before
    net.unlucky.plan = lambda count, x: x
    fresh = pw.pullback(wrap(net), image(1), 1)
    assert torch.equal(pw.pullback(model, image(1), 1), fresh)


class FailsBackward(torch.autograd.Function):
    error: BaseException

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise FailsBackward.error


@pytest.mark.parametrize("error", ["RuntimeError", "KeyboardInterrupt"])
def test_after_a_backward_that_raises_midway(net: Fragile, error: str) -> None:
    FailsBackward.error = ERRORS[error]()
    net.unlucky.plan = lambda count, x: FailsBackward.apply(x)
    before = state_of(net)
    session = pw.Session(wrap(net), image(1))
    for _ in range(2):
        with pytest.raises(type(FailsBackward.error)):
            session.pullback(1)
        assert state_of(net) == before
        with pytest.raises(type(FailsBackward.error)):
            next(session.ascend(1))
        assert state_of(net) == before
    p = session.pullback(pw.Channel("norm", 1))
    assert torch.equal(p, pw.pullback(wrap(net), image(1), pw.Channel("norm", 1)))


@pytest.mark.parametrize("target", [1, pw.Channel("norm", 1), pw.Unit("body.layer1", 0, (1, 1))])
@pytest.mark.parametrize("how", ["close", "throw", "forget"])
def test_between_steps_and_after_an_ascent_is_stopped(net: Fragile, target: Any, how: str) -> None:
    before = state_of(net)
    ascent: Any = pw.Session(wrap(net), image(1)).ascend(target, steps=10)
    for _ in range(2):
        next(ascent)
        assert state_of(net) == before
        with torch.no_grad():
            next(ascent)
            assert not torch.is_grad_enabled()
        assert state_of(net) == before
    if how == "close":
        ascent.close()
    elif how == "throw":
        with pytest.raises(KeyboardInterrupt):
            ascent.throw(KeyboardInterrupt())
    else:
        del ascent
        gc.collect()
    assert state_of(net) == before


@pytest.mark.parametrize("bad", [99, "no such class", pw.Channel("nowhere", 0), 1.5], ids=str)
def test_after_a_target_that_does_not_exist(net: Fragile, bad: Any) -> None:
    before = state_of(net)
    session = pw.Session(wrap(net), image(1))
    for use in (session.pullback, session.score, lambda t: list(session.ascend(t))):
        with pytest.raises((ValueError, TypeError)):
            use(bad)
    assert state_of(net) == before


def test_inside_the_callers_own_modes(net: Fragile) -> None:
    """The caller's function mode and grad mode are still on afterwards, and saw no change."""

    class Mine(torch.overrides.TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return func(*args, **(kwargs or {}))

    expected = pw.pullback(wrap(net), image(1), 1)
    with Mine(), torch.no_grad():
        before = state_of(net)
        p = pw.pullback(wrap(net), image(1), 1)
        assert state_of(net) == before
    assert torch.equal(p, expected)


def test_a_session_that_is_dropped_frees_its_graph() -> None:
    class Tap(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            alive.append(weakref.ref(x))
            return x

    alive: list[weakref.ref[Tensor]] = []
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), Tap(), nn.ReLU(), Tap(), nn.Flatten(), nn.Linear(4 * 36, CLASSES)
    )
    seeded(net)
    session = pw.Session(wrap(net), image(1))
    session.pullback(1)
    list(session.ascend(1, steps=2))
    del session
    gc.collect()
    assert alive
    assert all(reference() is None for reference in alive)
