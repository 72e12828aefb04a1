"""Networks that hang, print or fork, interrupts, and values that are not finite."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from explorers import Hold, Make, Moody, explained, fresh, right
from networks import image, network, wrap
from torch import Tensor
from waiting import SECONDS, until
from widgets import Page

import pullback_widgets as pw

LAYERS = ["conv", "bn", "relu", "maxpool", "layer1.conv1", "layer1", "layer10.bn2", "pool", "head"]


def interrupt(*_: Any) -> None:
    """What the button "Interrupt the kernel" does."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.fixture
def interruptible() -> Any:
    """As a kernel handles signals, whatever the tests run in."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_cell_leaves_the_ascent_of_the_explorer_alone(
    explore: Make, page: Page, hold: Hold
) -> None:
    explorer = explore(steps=5, step_size=0.5)
    with hold:
        explorer.play()
        hold.until_reached()
        timer = threading.Timer(0.05, interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            explorer.wait(SECONDS)
        timer.join()
    assert right(explorer, page).step.index == 5


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_at_any_layer_are_said(
    explore: Make, page: Page, layer: str, value: float
) -> None:
    net = network("residual")
    explorer = explore(wrap(net))
    right(explorer, page)
    shown = explorer.result

    def broken(module: Any, given: Any, out: Tensor) -> Tensor:
        return out + value

    handle = net.get_submodule(layer).register_forward_hook(broken)
    explorer.image = image(2)
    assert explorer.wait(SECONDS)
    explained(explorer)
    assert "NaN" in explorer.error or "infinite" in explorer.error or "finite" in explorer.error
    assert page.shows(explorer, shown)
    handle.remove()
    explorer.image = image(3)
    right(explorer, page)


def test_while_a_network_hangs_stop_answers_and_the_kernel_goes_on(
    explore: Make, page: Page
) -> None:
    net, entered, released = Moody(), threading.Event(), threading.Event()
    explorer = explore(wrap(net))
    right(explorer, page)

    def hangs(y: Tensor) -> Tensor:
        entered.set()
        assert released.wait(SECONDS)
        return y

    net.mood = hangs
    explorer.image = image(2)
    assert entered.wait(SECONDS)
    explorer.stop()  # returns at once, though nothing can be stopped before the step is done
    assert not explorer.wait(0)
    explorer.temperature = 0.3  # chosen meanwhile
    other = explore(wrap(network("chain")))
    assert torch.equal(other.pullback, fresh(other).pullback)
    released.set()
    net.mood = lambda y: y
    right(explorer, page)


def test_closing_while_a_network_hangs_leaves_no_thread(page: Page) -> None:
    net, entered, released = Moody(), threading.Event(), threading.Event()
    explorer = pw.Explorer(wrap(net), image(1))
    assert explorer.wait(SECONDS)

    def hangs(y: Tensor) -> Tensor:
        entered.set()
        assert released.wait(SECONDS)
        return y

    net.mood = hangs
    explorer.image = image(2)
    assert entered.wait(SECONDS)
    thread = explorer._worker._thread
    explorer.close()
    released.set()
    assert thread is not None
    until(lambda: not thread.is_alive())


def forks(y: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads
        child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return y


def prints(y: Tensor) -> Tensor:
    print("<b>a network that talks</b>", y.shape)
    os.write(1, b"below Python, too\n")
    return y


@pytest.mark.parametrize("mood", [prints, forks])
def test_a_network_that_prints_or_forks_is_as_any_other(
    explore: Make, page: Page, mood: Callable[[Tensor], Tensor]
) -> None:
    if mood is forks and not hasattr(os, "fork"):
        pytest.skip("nothing forks here")
    net = Moody()
    explorer = explore(wrap(net))
    before = explorer.pullback.clone()
    net.mood = mood
    explorer.image = image(2)
    right(explorer, page)
    explorer.image = image(1)
    right(explorer, page)
    assert torch.equal(explorer.pullback, before)
