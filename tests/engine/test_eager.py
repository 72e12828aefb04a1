"""Compiled networks: exact, with the layers that the network has without being compiled."""

import sys
import threading
import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from networks import image, network, wrap
from states import state_of_torch
from torch import nn

import pullback_widgets as pw
from pullback_widgets.engine.eager import eagerly

torch._dynamo.config.recompile_limit = 100


def whole(net: nn.Module) -> nn.Module:
    return torch.compile(net, backend="eager")


def in_place(net: nn.Module) -> nn.Module:
    net.compile(backend="eager")
    return net


def parts(net: nn.Module) -> nn.Module:
    for name, child in list(net.named_children()):
        setattr(net, name, torch.compile(child, backend="eager"))
    return net


WAYS: list[Callable[[nn.Module], nn.Module]] = [whole, in_place, parts]


@pytest.fixture(autouse=True)
def nothing_compiled_stays() -> Iterator[None]:
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ran", [True, False])
def test_a_compiled_network_is_exact(way: Callable[[nn.Module], nn.Module], ran: bool) -> None:
    name = "residual"
    plain, net = wrap(network(name)), way(network(name))
    if ran:
        net(image(1, batch=1))
    before = {key: one for key, one in state_of_torch().items() if key != "random numbers"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = wrap(net)
        session, expected = pw.Session(model, image(1)), pw.Session(plain, image(1))
        assert [one.name for one in session.layers] == [one.name for one in expected.layers]
        assert session.report == expected.report
        for softening in (pw.Softening.hard(), pw.Softening.relative(), pw.Softening.paper_v3()):
            for target in (1, pw.Channel(expected.layers[3].name, 0)):
                assert torch.equal(
                    session.pullback(target, softening), expected.pullback(target, softening)
                )
    after = {key: one for key, one in state_of_torch().items() if key != "random numbers"}
    assert after == before
    net(image(1, batch=1))


def test_what_runs_in_another_thread_finds_the_stance_that_it_left() -> None:
    """Two recordings that overlap, the first to come being the first to go."""
    frame = sys.modules["torch._dynamo.eval_frame"]
    before = frame._stance
    come, go = threading.Event(), threading.Event()

    def other() -> None:
        with eagerly():
            come.set()
            go.wait(60)

    thread = threading.Thread(target=other)
    with eagerly():
        thread.start()
        come.wait(60)
    assert frame._stance.stance == "force_eager"
    go.set()
    thread.join(60)
    assert frame._stance == before
