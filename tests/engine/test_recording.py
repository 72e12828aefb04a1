"""What networks do to their own tensors and modules, and a recording must survive."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from elsewhere import ELSEWHERE
from networks import SIZE, image, network, plain_gradient, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw

pytestmark = pytest.mark.usefixtures("device")


class Written(nn.Module):
    """A convolution, then ``body``, then logits."""

    def __init__(self, body: Callable[[Tensor, nn.Module], Tensor]) -> None:
        super().__init__()
        self.stem, self.inner = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 5)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.stem(x), self.inner).mean((2, 3)))


def pool_then_relu(h: Tensor, inner: nn.Module, in_place: bool) -> Tensor:
    return F.relu(F.max_pool2d(h, 2), inplace=in_place)


def pool_then_sum(h: Tensor, inner: nn.Module, in_place: bool) -> Tensor:
    h = F.max_pool2d(h, 3, 2, 1)
    return h.add_(1) if in_place else h + 1


def pre_activation_residual(h: Tensor, inner: nn.Module, in_place: bool) -> Tensor:
    branch = inner(F.relu(h))
    return h.add_(branch) if in_place else h + branch


def channel_set_to_zero(h: Tensor, inner: nn.Module, in_place: bool) -> Tensor:
    y = F.relu(h)
    if in_place:
        h[:, 0] = 0
    else:
        h = torch.cat([torch.zeros_like(h[:, :1]), h[:, 1:]], 1)
    return y + inner(h)


OVERWRITTEN = [pool_then_relu, pool_then_sum, pre_activation_residual, channel_set_to_zero]


@pytest.mark.parametrize("body", OVERWRITTEN)
@pytest.mark.parametrize(
    "softening",
    [pw.Softening.hard(), pw.Softening.paper_v3(0.5), pw.Softening.paper_v6(), None],
    ids=["hard", "v3", "v6", "relative"],
)
def test_what_gates_need_may_be_overwritten(
    body: Callable[[Tensor, nn.Module, bool], Tensor], softening: pw.Softening | None
) -> None:
    """Autograd itself allows these writes; with copies they must give what no write gives."""
    nets = [
        seeded(Written(lambda h, inner, w=writes: body(h, inner, w))) for writes in (True, False)
    ]
    calibration = image(9, batch=4)
    written, twin = (
        pw.Session(wrap(net, calibration=calibration), image(1)).pullback(2, softening)
        for net in nets
    )
    torch.testing.assert_close(written, twin, rtol=1e-12, atol=1e-14)
    once = pw.pullback(wrap(nets[0], calibration=calibration), image(1), 2, softening)
    assert torch.equal(once, written)
    if softening == pw.Softening.hard():
        model = wrap(nets[0])
        expected = plain_gradient(lambda x: model.module(model.normalise(x))[0, 2], image(1))
        assert torch.equal(written, expected)


def test_a_value_overwritten_unseen_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def behind_our_back(h: Tensor, inner: nn.Module) -> Tensor:
        y = F.relu(h)
        with torch._C.DisableTorchFunction():
            h.detach().mul_(2)
        return y

    session = pw.Session(wrap(seeded(Written(behind_our_back))), image(1))
    with pytest.raises(RuntimeError, match="overwritten in place"):
        session.pullback(0, pw.Softening.paper_v3(0.5))


def test_a_learned_scalar_through_an_activation() -> None:
    class Scalar(Written):
        def __init__(self) -> None:
            super().__init__(lambda h, inner: F.relu(h) * torch.sigmoid(self.alpha))
            self.alpha = nn.Parameter(torch.tensor(0.3))

    assert pw.pullback(wrap(seeded(Scalar())), image(1), 0).isfinite().all()


def test_new_weights_are_calibrated_anew() -> None:
    net = seeded(Written(lambda h, inner: F.relu(h)))
    model, calibration = wrap(net, calibration=image(9, batch=4)), image(9, batch=4)
    before = pw.pullback(model, image(1), 0)
    with torch.no_grad():
        net.stem.weight.mul_(50)
    after = pw.pullback(model, image(1), 0)
    assert torch.equal(after, pw.pullback(wrap(net, calibration=calibration), image(1), 0))
    assert not torch.allclose(after, 50 * before)


def test_half_precision_with_a_dead_channel() -> None:
    net = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()))
    net = seeded(nn.Sequential(net, nn.Linear(4 * (SIZE - 2) ** 2, 3)))
    with torch.no_grad():
        net[0][1].weight[0] = 0
    model = pw.Model(net.half(), size=SIZE)
    assert pw.pullback(model, image(1), 0, pw.Softening.relative(0.01)).isfinite().all()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:FutureWarning")
def test_torchscript_is_refused_with_what_to_do(device: torch.device) -> None:
    if device == ELSEWHERE:
        pytest.skip("the stand-in of a GPU cannot be traced")
    scripted = torch.jit.trace(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), torch.zeros(1, 3, 8, 8)
    )
    with pytest.raises(TypeError, match="Python module"):
        pw.Model(scripted)


def test_a_map_for_an_output_is_no_logits() -> None:
    session = pw.Session(wrap(seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))), image(1))
    assert session.pullback(pw.Channel("0", 1)).isfinite().all()
    calls: list[Callable[[], Any]] = [session.predictions, session.pullback]
    for call in calls:
        with pytest.raises(ValueError, match="logits"):
            call()


def test_a_colon_in_a_module_s_name() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleDict({"a:2": nn.Conv2d(3, 4, 3), "r": nn.ReLU()})
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.parts["r"](self.parts["a:2"](x)).mean((2, 3)))

    names = [layer.name for layer in pw.layers(wrap(seeded(Named())))]
    assert names == ["parts.a:2", "parts.r", "fc"]


def test_weights_made_in_inference_mode(device: torch.device) -> None:
    if device == ELSEWHERE:
        pytest.skip("the stand-in of a GPU makes no tensors for inference")
    with torch.inference_mode():
        net = network("chain")
    with pytest.raises(RuntimeError, match=r"give copy.deepcopy\(network\)"):
        pw.pullback(wrap(net), image(1), 1)
    twin = wrap(copy.deepcopy(net))
    assert torch.equal(
        pw.pullback(twin, image(1), 1), pw.pullback(wrap(network("chain")), image(1), 1)
    )


def test_what_cuts_a_gradient_is_named_with_the_mode_that_does() -> None:
    class Cut(nn.Module):
        def __init__(self, mode: Any) -> None:
            super().__init__()
            self.body, self.head, self.mode = nn.Conv2d(3, 4, 3), nn.Linear(4, 3), mode

        def forward(self, x: Tensor) -> Tensor:
            with self.mode():
                z = torch.relu(self.body(x)).mean((2, 3))
                return self.head(z)

    for mode, name in (
        (torch.no_grad, "torch.no_grad"),
        (torch.inference_mode, "torch.inference_mode"),
    ):
        with pytest.raises(
            ValueError, match=f"cut by 1 conv2d under {name}; run the network without"
        ):
            pw.pullback(wrap(seeded(Cut(mode))), image(1), 1, pw.Softening.hard())


@pytest.mark.parametrize("in_place", [False, True])
def test_whole_numbers_that_are_clamped_are_no_gate(in_place: bool) -> None:
    def body(h: Tensor, inner: nn.Module) -> Tensor:
        places = torch.arange(SIZE, device=h.device) - 1
        places = places.clamp_(min=0) if in_place else F.relu(places)
        return inner(F.gelu(h)[..., places])

    session = pw.Session(wrap(seeded(Written(body))), image(1))
    assert bool(session.pullback(1).any())
    assert [gate.operation for gate in session.report.gates] == ["gelu"]
