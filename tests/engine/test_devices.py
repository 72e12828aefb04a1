"""What holds on every device: results, where tensors are, and when Python waits for it.

The stand-in of ``elsewhere.py`` is there on every machine; a GPU, in single precision, where there
is one.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from elsewhere import ELSEWHERE, Device, elsewhere
from networks import NETWORKS, SIZE, SOFTENINGS, Excited, gated, image, network, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.engine.dependence import depends
from pullback_widgets.figures.sessions import Sessions
from pullback_widgets.figures.snapshot import SnapshotRequest

PLACES: dict[str, tuple[torch.device, Callable[[], AbstractContextManager[Any]]]] = {
    "elsewhere": (ELSEWHERE, elsewhere),
    **{
        name: (torch.device(name), nullcontext)
        for name, is_there in (
            ("cuda", torch.cuda.is_available()),
            ("mps", torch.backends.mps.is_available()),
        )
        if is_there
    },
}
every_place = pytest.mark.parametrize(("place", "entered"), PLACES.values(), ids=PLACES)


class Attending(nn.Module):
    """A layer of a transformer: attention, layer norm, GELU, products."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.qkv = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 24)
        self.norm, self.up, self.head = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(tokens)).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        tokens = tokens + F.gelu(self.up(mixed)) * mixed
        return self.head(tokens.mean(1))


ACTIVATIONS: dict[str, Callable[[], Any]] = {
    "ReLU": nn.ReLU,
    "ReLU in place": lambda: nn.ReLU(inplace=True),
    "ReLU6": nn.ReLU6,
    "Hardtanh": lambda: nn.Hardtanh(0.0, 6.0),
    "LeakyReLU": nn.LeakyReLU,
    "PReLU": lambda: nn.PReLU(4),
    "GELU": nn.GELU,
    "GELU, tanh": lambda: nn.GELU("tanh"),
    "SiLU": nn.SiLU,
    "Hardswish": nn.Hardswish,
    "Mish": nn.Mish,
    "max-pooling": lambda: nn.MaxPool2d(3, 1, 1),
    "max-pooling with indices": lambda: lambda z: F.max_pool2d(z, 3, 1, 1, return_indices=True)[0],
}
MADE: dict[str, Callable[[], nn.Module]] = {
    **{name: lambda name=name: network(name) for name in NETWORKS},  # type: ignore[misc]
    **{
        name: lambda make=make: gated(make())  # type: ignore[misc]
        for name, make in ACTIVATIONS.items()
    },
    "excited": lambda: seeded(Excited()),
    "attending": lambda: seeded(Attending()),
}
SOFT = {
    **SOFTENINGS,
    "held": pw.Softening.held(),
    "by layer": pw.Softening.relative(0.85).with_factors({"conv": 2.0}),
}
TARGETS: dict[str, pw.Target | None] = {
    "top class": None,
    "class": pw.Logit(2),
    "rivals": pw.Rivals(1, 3),
    "channel": pw.Channel("layer1", 2),
    "largest of a channel": pw.Channel("layer1", 2, reduce="max"),
    "unit": pw.Unit("layer1", 1, (1, 2)),
    "region": pw.Region("layer1", 1, box=(0, 0, 2, 2)),
    "mask": pw.Region("layer1", 1, mask=torch.eye(4)),
    "direction": pw.Direction("layer1", torch.tensor([0.5, -1.0, 0.0, 2.0])),
    "direction at a place": pw.Direction("layer1", [0.5, -1.0, 0.0, 2.0], (1, 1)),
    "difference": pw.Logit(0) - pw.Logit(3),
}
UPLOADED = {"mask": 16, "direction": 4, "direction at a place": 4}
"""Targets with numbers of their own, and how many of them go to the device with every pullback."""

pytestmark = pytest.mark.filterwarnings("ignore:.*its own derivative")


@every_place
@pytest.mark.parametrize("softening", SOFT.values(), ids=SOFT)
@pytest.mark.parametrize("name", MADE)
def test_every_gate_and_scale_is_where_the_network_is(
    name: str,
    softening: pw.Softening,
    place: torch.device,
    entered: Callable[[], AbstractContextManager[Any]],
) -> None:
    picture = image(1).float()
    expected = pw.pullback(wrap(MADE[name]().float()), picture, 1, softening)
    with entered():
        session = pw.Session(wrap(MADE[name]().float().to(place)), picture)
        pulled = session.pullback(1, softening)
        assert pulled.device.type == place.type
        assert (pulled.shape, pulled.dtype) == (expected.shape, expected.dtype)
        assert session.logits.device.type == place.type
        assert session.image.device.type == "cpu"
        _compare(pulled.cpu(), expected, place)


@every_place
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_target_is_read_where_the_network_is(
    target: pw.Target | None,
    place: torch.device,
    entered: Callable[[], AbstractContextManager[Any]],
) -> None:
    picture = image(1).float()
    here = pw.Session(wrap(network("residual").float()), picture)
    expected, score = here.pullback(target), here.score(target)
    with entered():
        there = pw.Session(wrap(network("residual").float().to(place)), picture)
        pulled = there.pullback(target)
        assert pulled.device.type == place.type
        assert there.score(target) == pytest.approx(score, rel=1e-4, abs=1e-4)
        _compare(pulled.cpu(), expected, place)


@every_place
def test_an_ascent_walks_the_same_way(
    place: torch.device, entered: Callable[[], AbstractContextManager[Any]]
) -> None:
    picture = image(1).float()
    *_, expected = pw.Session(wrap(network("chain").float()), picture).ascend(1, steps=3)
    with entered():
        session = pw.Session(wrap(network("chain").float().to(place)), picture)
        *_, step = session.ascend(1, steps=3)
    for name in ("perturbed", "difference", "logits"):
        assert getattr(step, name).device.type == "cpu"
        torch.testing.assert_close(getattr(step, name), getattr(expected, name), rtol=0, atol=1e-2)


def _compare(found: Tensor, expected: Tensor, place: torch.device) -> None:
    close = (1e-5, 1e-6) if place == ELSEWHERE else (1e-3, 1e-4)
    torch.testing.assert_close(found, expected, rtol=close[0], atol=close[1])


# Waiting -----------------------------------------------------------------------------------------


@pytest.fixture
def device() -> Iterator[Device]:
    with elsewhere() as device:
        yield device


@pytest.mark.parametrize("softening", SOFT.values(), ids=SOFT)
@pytest.mark.parametrize("name", MADE)
def test_another_temperature_neither_waits_nor_copies(
    name: str, softening: pw.Softening, device: Device
) -> None:
    session = pw.Session(wrap(MADE[name]().to(ELSEWHERE)), image(1))
    session.pullback(1, softening)
    device.forget()
    if softening.has_temperature:
        softening = softening.with_temperature(0.3 * softening.temperature)
    session.pullback(1, softening)
    assert device.is_quiet, vars(device)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_neither_waits_nor_copies(target: str, device: Device) -> None:
    session = pw.Session(wrap(network("residual").to(ELSEWHERE)), image(1))
    (resolved,) = session.resolve(TARGETS[target])
    session.pullback(resolved)
    device.forget()
    session.pullback(resolved, pw.Softening.relative(0.3))
    assert [numbers for numbers, _ in device.up] == [
        UPLOADED[one] for one in UPLOADED if one == target
    ]
    assert not device.waits
    assert not device.down


@pytest.mark.parametrize("name", MADE)
def test_another_image_goes_up_and_nothing_else(name: str, device: Device) -> None:
    model = wrap(MADE[name]().to(ELSEWHERE))
    pw.Session(model, image(1))
    device.forget()
    pw.Session(model, image(2))
    assert device.up == [(3 * SIZE * SIZE, torch.float64)]
    assert not device.down
    assert not device.waits


def test_the_answer_is_read_once(device: Device) -> None:
    session = pw.Session(wrap(network("residual").to(ELSEWHERE)), image(1))
    first = session.predictions(3), session.score(2), session.probability(2)
    device.forget()
    assert (session.predictions(3), session.score(2), session.probability(2)) == first
    assert session.image.shape == (3, SIZE, SIZE)
    assert device.down == [(3 * SIZE * SIZE, torch.float64)]
    assert not device.waits


def test_a_step_of_ascent_brings_image_logits_and_score(device: Device) -> None:
    steps = pw.Session(wrap(network("residual").to(ELSEWHERE)), image(1)).ascend(2, steps=3)
    next(steps)
    device.forget()
    step = next(steps)
    assert [numbers for numbers, _ in device.down] == [1, step.logits.numel(), 3 * SIZE * SIZE]  # type: ignore[union-attr]
    assert not device.waits
    assert not device.up


def test_a_frame_at_another_temperature_brings_the_pullback_once(device: Device) -> None:
    request = SnapshotRequest(wrap(network("residual").to(ELSEWHERE)), image(1), target=2)
    sessions = Sessions()
    for temperature in (0.8, 0.7):
        asked = replace(request, softening=pw.Softening.relative(temperature))
        device.forget()
        (frame,) = sessions.frames(asked)
        assert frame.picture("pullback").shape == (SIZE, SIZE, 3)
    brought = [numbers for numbers, _ in device.down]
    assert brought.count(3 * SIZE * SIZE) == 1
    assert sum(brought) <= 3 * SIZE * SIZE + frame.classes  # and at most the logits
    assert not device.up


# The stand-in ------------------------------------------------------------------------------------


def test_the_stand_in_refuses_what_a_gpu_refuses(device: Device) -> None:
    there, here = torch.ones(3).to(ELSEWHERE), torch.ones(3)
    with pytest.raises(RuntimeError, match="devices lazy:0 and cpu"):
        there + here
    with pytest.raises(RuntimeError, match="devices lazy:0 and cpu"):
        torch.stack([there, here])
    assert (there + torch.tensor(1.0)).device == ELSEWHERE  # a number is welcome everywhere
    assert torch.equal((there + 1).cpu(), here + 1)


@pytest.mark.parametrize(
    "read",
    [
        float,
        bool,
        lambda one: one.item(),
        lambda one: one.reshape(1).nonzero(),
        lambda one: one.tolist(),
        lambda one: one.reshape(1)[one.reshape(1) > 0],
    ],
)
def test_the_stand_in_notes_what_waits(read: Callable[[Tensor], Any], device: Device) -> None:
    one = torch.ones(()).to(ELSEWHERE)
    device.forget()
    read(one)
    assert len(device.waits) + len(device.down) == 1


def test_a_graph_is_looked_through_even_where_it_is_spent() -> None:
    model = wrap(network("chain"))
    session = pw.Session(model, image(1))
    session.recording.pull(session.resolve(1), pw.Softening.hard(), last=True)
    assert depends(session.recording.value("logits"), session.recording.x)
