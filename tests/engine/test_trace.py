"""What is a layer, and what its value is: what the network goes on with."""

from typing import Any

import pytest
import torch
from networks import image, network, seeded, wrap
from states import state_of
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import pullback_widgets as pw

OFF = 2


def ablated(module: nn.Module, args: Any, out: Tensor) -> Tensor:
    out = out.clone()
    out[:, OFF] = 0
    return out


def chain() -> nn.Sequential:
    return seeded(
        nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(64, 3),
        )
    )  # fmt: skip


def test_a_layer_is_what_its_own_hooks_make_of_it() -> None:
    net, plain = chain(), pw.Session(wrap(chain()), image(1))
    net[2].register_forward_hook(ablated)
    before = state_of(net)
    session = pw.Session(wrap(net), image(1))
    assert not session.activations("2")[OFF].any()
    assert session.activations("2")[OFF + 1].any()
    assert torch.equal(session.activations("2"), session.activations("3"))
    assert not session.pullback(pw.Channel("2", OFF)).any()
    other = pw.Channel("2", OFF + 1)
    assert torch.equal(session.pullback(other), plain.pullback(other))
    assert state_of(net) == before


def test_an_activation_has_what_its_own_hooks_give_it() -> None:
    net = chain()
    net[3].register_forward_pre_hook(lambda module, args: (args[0] * 0 + 1,))
    session = pw.Session(wrap(net), image(1))
    assert bool((session.activations("3") == 1).all())


def test_a_hook_that_writes_zeros_is_no_nonlinearity() -> None:
    net = chain()
    net[2].register_forward_hook(ablated)
    assert pw.report(wrap(net)).kept == {}


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize(
    "wrapped",
    [parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal],
)
def test_weights_that_are_computed_are_no_layers(wrapped: Any, trained: bool) -> None:
    net = chain()
    net[2] = wrapped(net[2])
    net.eval().requires_grad_(trained)
    model = wrap(net)
    expected = [one.name for one in pw.layers(wrap(chain()))]
    assert [one.name for one in pw.layers(model)] == expected
    for batch in (1, 3):
        session = pw.Session(model, image(1, batch=batch))
        assert [one.name for one in session.layers] == expected


class Biased(nn.Module):
    """A bias that modules make of positions: of a buffer, by name, or of nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("places", torch.linspace(0, 1, 8, dtype=torch.float64).view(1, 8))
        self.made = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
        self.head = Named()

    def forward(self, x: Tensor) -> Tensor:
        bias = self.made(self.places)
        out: Tensor = self.head(x=x) + bias
        return out


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = torch.relu(self.conv(x)).mean((2, 3))
        return out


def test_what_is_made_of_buffers_is_no_layer_and_what_is_called_by_name_is() -> None:
    model = wrap(seeded(Biased()))
    assert [one.name for one in pw.layers(model)] == ["head.conv", "head"]


def test_layers_are_batches_of_the_images() -> None:
    class Gram(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            flat = x.flatten(1)
            return flat.T @ flat  # no images any more

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gram = nn.Conv2d(3, 4, 8), Gram()

        def forward(self, x: Tensor) -> Tensor:
            z = torch.relu(self.conv(x)).flatten(1)
            return z @ self.gram(z)

    session = pw.Session(wrap(seeded(Net())), image(1, batch=3))
    assert [one.name for one in session.layers] == ["conv"]


def test_user_hooks_are_seen_in_every_network() -> None:
    net = network("residual")
    seen: list[int] = []
    net.register_forward_hook(lambda module, args, out: seen.append(1))
    pw.Session(wrap(net), image(1))
    assert seen == [1]
