"""A session gives the same whatever the caller's modes, models and threads are."""

import threading
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import CLASSES, Chain, image, network, plain_gradient, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw

HARD = pw.Softening.hard()


def results(net: nn.Module, picture: Tensor) -> list[Tensor]:
    session = pw.Session(wrap(net), picture)
    *_, last = session.ascend(1, steps=2)
    hidden = pw.Channel(session.layers[0].name, 1)
    return [
        session.logits,
        session.pullback(1),
        session.pullback(hidden),
        last.perturbed,
        session.activations(session.layers[0].name),
    ]


CONTEXTS: dict[str, Callable[[], Any]] = {
    "no_grad": torch.no_grad,
    "enable_grad": torch.enable_grad,
    "inference_mode": torch.inference_mode,
}


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
@pytest.mark.parametrize("name", ["chain", "residual"])
def test_the_callers_grad_mode_does_not_matter(context: Callable[[], Any], name: str) -> None:
    net = network(name)
    expected = results(net, image(1))
    with context():
        got = results(net, image(1))
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_a_session_outlives_the_grad_mode_it_was_made_in() -> None:
    net = network("residual")
    expected = pw.pullback(wrap(net), image(1), 1)
    with torch.inference_mode():
        session = pw.Session(wrap(net), image(1))
    assert torch.equal(session.pullback(1), expected)
    session = pw.Session(wrap(net), image(1))
    with torch.no_grad():
        assert torch.equal(session.pullback(1), expected)
    with torch.inference_mode():
        assert torch.equal(session.pullback(1), expected)


def test_frozen_and_trainable_parameters_give_the_same() -> None:
    net = network("residual")
    expected = results(net, image(1))
    for frozen in ("all", "some"):
        for i, parameter in enumerate(net.parameters()):
            parameter.requires_grad_(frozen == "some" and i % 2 == 0)
        got = results(net, image(1))
        assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_an_image_that_requires_grad_is_only_read() -> None:
    picture = image(1).requires_grad_()
    session = pw.Session(wrap(network("residual")), picture)
    session.pullback(1)
    assert picture.grad is None
    assert torch.equal(session.image, image(1))


@pytest.mark.parametrize("name", ["residual", "dense"])
def test_a_model_in_training_mode_runs_in_evaluation_mode(name: str) -> None:
    net = network(name)
    expected = results(net, image(1))
    net.train()
    got = results(net, image(1))
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))
    assert all(part.training for part in net.modules())


Output = namedtuple("Output", ["logits", "aux"])
OUTPUTS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "tuple": lambda logits, other: (logits, other),
    "list": lambda logits, other: [logits, other],
    "namedtuple": Output,
    "dict": lambda logits, other: {"logits": logits, "features": other},
    "dict of one": lambda logits, other: {"logits": logits},
}


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_a_model_may_return_more_than_logits(output: Callable[[Tensor, Tensor], Any]) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = network("chain")

        def forward(self, x: Tensor) -> Any:
            logits = self.body(x)
            return output(logits, torch.zeros(len(x), 3))

    net, picture = Wrapped(), image(1)
    session = pw.Session(wrap(net), picture)
    assert torch.equal(session.logits, net.body(picture[None])[0])
    expected = pw.pullback(wrap(net.body), picture, 1)
    assert torch.equal(session.pullback(1), expected)


def test_a_model_without_class_logits_still_has_hidden_targets() -> None:
    """The output is a map, not (N, K); no class exists, every layer does."""
    net: Any = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), relu=nn.ReLU()))
    seeded(net)
    session = pw.Session(wrap(net), image(1))
    p = session.pullback(pw.Channel("conv", 2), softening=HARD)
    expected = plain_gradient(lambda x: net.conv(x)[:, 2].mean(), image(1))
    torch.testing.assert_close(p, expected, rtol=0, atol=1e-14)


def test_a_layer_that_no_gradient_reaches_the_image_from_pulls_back_to_zero() -> None:
    """A detached branch is a zero, not an error, and disturbs nothing else."""

    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.stuck = nn.Conv2d(3, 4, 3, padding=1)
            self.head = nn.Linear(4, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            y = F.relu(self.conv(x)) + F.relu(self.stuck(x.detach()))
            return self.head(y.mean((2, 3)))

    net = seeded(Detached())
    session = pw.Session(wrap(net), image(1))
    expected = plain_gradient(lambda x: net(x)[:, 1], image(1))
    assert torch.equal(session.pullback(1, softening=HARD), expected)
    p = session.pullback(pw.Channel("stuck", 1))
    assert torch.equal(p, torch.zeros_like(p))


# Threads -----------------------------------------------------------------------------------------


def in_threads(*work: Callable[[], list[Tensor]]) -> list[list[Tensor]]:
    """Runs functions at the same time and returns their results; their errors are raised."""
    barrier = threading.Barrier(len(work))
    found: list[Any] = [None] * len(work)

    def run(i: int) -> None:
        barrier.wait()
        try:
            found[i] = work[i]()
        except BaseException as error:
            found[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in found:
        if isinstance(result, BaseException):
            raise result
    return found


def repeated(
    net: nn.Module, seed: int, softening: pw.Softening, model: pw.Model | None = None
) -> list[Tensor]:
    found = []
    for k in range(15):
        session = pw.Session(model or wrap(net), image(seed + k))
        found += [session.logits, session.pullback(k % CLASSES, softening=softening)]
        found += [s.perturbed for s in session.ascend(k % CLASSES, softening, steps=2)]
    return found


@pytest.mark.parametrize("shared_model", [False, True], ids=["two models", "one model"])
def test_two_threads_get_what_each_gets_alone(shared_model: bool) -> None:
    a = network("residual")
    b = a if shared_model else network("mixed")
    soft, hard = pw.Softening.relative(0.85), pw.Softening.paper_v3(0.2)
    alone = [repeated(a, 10, soft), repeated(b, 40, hard)]
    together = in_threads(lambda: repeated(a, 10, soft), lambda: repeated(b, 40, hard))
    for mine, ours in zip(alone, together, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(mine, ours, strict=True))


@pytest.mark.parametrize("one_model", [True, False], ids=["one pw.Model", "two pw.Models"])
def test_two_threads_on_one_network_in_training_mode_leave_it_so(one_model: bool) -> None:
    net = network("residual")
    model = wrap(net) if one_model else None
    alone = repeated(net, 10, HARD)
    net.train()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    together = in_threads(*(lambda: repeated(net, 10, HARD, model) for _ in range(2)))
    assert all(part.training for part in net.modules())
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    for some in together:
        assert all(torch.equal(x, y) for x, y in zip(some, alone, strict=True))


def test_a_session_made_in_one_thread_serves_in_another() -> None:
    session = pw.Session(wrap(Chain().double().eval()), image(1))
    here = session.pullback(1)
    (there,) = in_threads(lambda: [session.pullback(1)])
    assert torch.equal(here, there[0])
