"""Which devices there are, and networks that move between them."""

import pickle

import pytest
import torch
from elsewhere import ELSEWHERE, Device, elsewhere
from networks import image, network, wrap

import pullback_widgets as pw
from pullback_widgets.engine.device import device_name, devices, memory_of


def test_the_cpu_is_always_there_and_comes_last() -> None:
    found = devices()
    assert found[-1] == torch.device("cpu")
    assert len(set(found)) == len(found)
    assert all(torch.ones(1, device=one).device == one for one in found)
    assert all(device_name(one) for one in found)
    assert device_name(torch.device("cpu")) == "CPU"


def test_memory_is_free_and_used() -> None:
    for one in devices():
        known = memory_of(one)
        assert known is None or (min(known) >= 0 and sum(known) > 0)
    assert memory_of(torch.device("meta")) is None


def test_a_network_on_another_device_is_a_copy() -> None:
    model = wrap(network("residual"))
    model.catalogue_name = "residual"
    assert model.on("cpu") is model
    with elsewhere():
        moved = model.on(ELSEWHERE)
        assert moved.device == ELSEWHERE and model.device.type == "cpu"
        assert (moved.name, moved.categories, moved.catalogue_name) == (
            model.name,
            model.categories,
            "residual",
        )
        assert moved.lock is not model.lock
        expected = pw.pullback(model, image(1), 2)
        torch.testing.assert_close(pw.pullback(moved, image(1), 2).cpu(), expected)
        assert moved.on(ELSEWHERE) is moved
        back = moved.on("cpu")
    assert torch.equal(pw.pullback(back, image(1), 2), expected)
    assert torch.equal(pw.pullback(pickle.loads(pickle.dumps(back)), image(1), 2), expected)


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="'cuda:99' cannot be used here"):
        wrap(network("chain")).on("cuda:99")


def test_a_copy_of_a_mixed_network_looks_anew_where_images_go() -> None:
    net = network("chain")
    net.head.float()  # two types, so that a pass tells which the image meets
    model = wrap(net)
    assert model.device.type == "cpu"
    device: Device
    with elsewhere() as device:
        assert model.on(ELSEWHERE).device == ELSEWHERE
        assert device.up
