"""Mixed precision: autocast inside of a network or around a call, weights of several kinds."""

import pytest
import torch
import torch.nn.functional as F
from networks import SIZE, image, seeded
from torch import Tensor, nn

import pullback_widgets as pw


class Tokens(nn.Module):
    """Norms, attention and a smooth activation, whose derivatives are computed anew."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 2, 2), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.linear, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(x).flatten(2).transpose(1, 2)
        n = self.norm(z)
        z = z + self.attention(n, n, n, need_weights=False)[0]
        q = self.linear(z)
        z = z + F.scaled_dot_product_attention(q, q, q)
        z = F.relu(self.linear(F.gelu(z)))
        out: Tensor = self.head(z.mean(1))
        return out


class Cast(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out: Tensor = self.net(x)
        return out.float()


def model_of(net: nn.Module) -> pw.Model:
    return pw.Model(net, 0.5, 0.5, SIZE, calibration=image(9, batch=3))


def tokens() -> nn.Module:
    torch.manual_seed(0)
    return seeded(Tokens()).float()


def near(one: Tensor, other: Tensor, share: float) -> bool:
    return bool((one - other).abs().max() <= share * other.abs().max())


def test_autocast_in_a_network() -> None:
    net = Cast(tokens()).eval()
    x = image(1)[None].float().requires_grad_()
    (expected,) = torch.autograd.grad(net(x)[0, 1], x)
    hard = pw.pullback(model_of(net), image(1), 1, pw.Softening.hard())
    assert hard.dtype == torch.float32
    assert near(hard, expected[0], 0.02)  # sums of bfloat16 in another order
    exact = pw.pullback(model_of(tokens()), image(1), 1)
    assert near(pw.pullback(model_of(net), image(1), 1), exact, 0.1)


SOFTENINGS = [pw.Softening.hard(), pw.Softening.relative()]


@pytest.mark.parametrize("softening", SOFTENINGS)
def test_a_pullback_does_not_depend_on_where_it_is_asked_for(softening: pw.Softening) -> None:
    """Only the forward pass does: a session made outside is that of full precision."""
    model = model_of(tokens())
    outside = pw.Session(model, image(1))
    expected = outside.pullback(1, softening)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(outside.pullback(1, softening), expected)
        inside = pw.Session(model, image(1))
        there = inside.pullback(1, softening)
        assert torch.is_autocast_enabled("cpu")
    assert torch.equal(inside.pullback(1, softening), there)
    assert not torch.is_autocast_enabled("cpu")
    assert near(there, expected, 0.1) and not torch.equal(there, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_weights(dtype: torch.dtype) -> None:
    exact = pw.pullback(model_of(tokens()), image(1), 1)
    half = pw.pullback(model_of(tokens().to(dtype)), image(1), 1)
    assert half.dtype == dtype and near(half.float(), exact, 0.1)


class Offloading(nn.Module):
    """Has its weights only while it runs, as accelerate's offloading does."""

    def __init__(self) -> None:
        super().__init__()
        self.net = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 6)))
        self.kept = dict(self.net.state_dict())
        self.net.to("meta")
        self.net[0].register_forward_pre_hook(self.load)
        self._hf_hook = type("Hook", (), {"execution_device": "cpu"})()

    def load(self, *_: object) -> None:
        self.net.load_state_dict(self.kept, assign=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x).flatten(1)
        self.net.to("meta")
        return out


def test_weights_that_are_loaded_while_the_network_runs() -> None:
    model = model_of(Offloading().eval())
    assert model.device == torch.device("cpu") and model.dtype == torch.float64
    expected = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 6)))
    net = nn.Sequential(*expected, nn.Flatten()).eval()
    assert torch.equal(pw.pullback(model, image(1), 1), pw.pullback(model_of(net), image(1), 1))


def test_weights_without_values_are_said() -> None:
    model = model_of(tokens().to("meta"))
    for action in (pw.layers, pw.report, lambda model: pw.pullback(model, image(1), 1)):
        with pytest.raises(ValueError, match='"meta", where tensors have no values; load them'):
            action(model)


def test_only_a_complex_parameter() -> None:
    class Spectrum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(3, SIZE, SIZE // 2 + 1, dtype=torch.complex128))

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(torch.fft.irfft2(torch.fft.rfft2(x) * self.w)).mean((2, 3))

    assert model_of(Spectrum()).dtype == torch.float64
