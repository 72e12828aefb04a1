"""Small networks at random: how they are drawn, and the modules that they are made of.

A plan says what a network is, so that hypothesis can make a failing one shorter. ``definitions``
computes the same from the same weights, slowly.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from networks import CLASSES, seeded
from torch import Tensor, nn

WIDTH = 4
"""Channels of every map between two steps."""

SIDE = 8

FORMS = ("module", "functional", "in place", "other words")


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    Attributes:
        kind: A key of ``STEPS``.
        form: How it is written, one of ``FORMS``, where that makes a difference.
        activation: Of ``ACTIVATIONS``, where it has one.
        inner: The steps inside, of a branch each.
    """

    kind: str
    form: str = "module"
    activation: str = "relu"
    inner: tuple[tuple[Step, ...], ...] = ()


# Activations -------------------------------------------------------------------------------------

SLOPE = 0.125
"""In binary exact, as a parameter that was made in single precision must be."""

MODULES: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": functools.partial(nn.LeakyReLU, SLOPE),
    "prelu": functools.partial(nn.PReLU, init=SLOPE),
    "gelu": nn.GELU,
    "gelu tanh": functools.partial(nn.GELU, approximate="tanh"),
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
    "mish": nn.Mish,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": functools.partial(F.leaky_relu, negative_slope=SLOPE),
    "gelu": F.gelu,
    "gelu tanh": functools.partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "hardswish": F.hardswish,
    "mish": F.mish,
    "elu": F.elu,
    "tanh": torch.tanh,
}
IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "relu6": functools.partial(F.relu6, inplace=True),
    "leaky_relu": functools.partial(F.leaky_relu, negative_slope=SLOPE, inplace=True),
    "silu": functools.partial(F.silu, inplace=True),
    "hardswish": functools.partial(F.hardswish, inplace=True),
    "mish": functools.partial(F.mish, inplace=True),
}
OTHER_WORDS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda z: z.clamp_min(0),
    "relu6": lambda z: F.hardtanh(z, 0.0, 6.0),
    "silu": lambda z: nn.SiLU()(z),
}
ACTIVATIONS = tuple(MODULES)


class Activation(nn.Module):
    """One activation, written in one of several ways."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.name = step.activation
        self.module = MODULES[self.name]()
        table = {"functional": FUNCTIONS, "in place": IN_PLACE, "other words": OTHER_WORDS}
        self.function = table.get(step.form, {}).get(self.name)

    def forward(self, z: Tensor) -> Tensor:
        return self.module(z) if self.function is None else self.function(z)


# Steps, from maps (N, WIDTH, H, W) to such -------------------------------------------------------


class Conv(nn.Module):
    """A convolution, perhaps by groups, and an activation or none."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            WIDTH, WIDTH, 3, padding=1, groups=2 if step.form == "functional" else 1
        )
        self.act = Activation(step)

    def forward(self, h: Tensor) -> Tensor:
        return self.act(self.conv(h))


class Normed(nn.Module):
    """A convolution, a batch norm in evaluation mode, and an activation."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.conv = nn.Conv2d(WIDTH, WIDTH, 1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTH, affine=step.form != "other words")
        self.act = Activation(step)

    def forward(self, h: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(h)))


class Bare(nn.Module):
    """An activation alone; never in place, since what comes before may be needed elsewhere."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        form = "functional" if step.form == "in place" else step.form
        self.act = Activation(Step(step.kind, form, step.activation))

    def forward(self, h: Tensor) -> Tensor:
        return self.act(h)


class Pool(nn.Module):
    """Max-pooling of stride 1, so that maps keep their size."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.module = nn.MaxPool2d(3, stride=1, padding=1)
        self.functional = step.form != "module"

    def forward(self, h: Tensor) -> Tensor:
        return F.max_pool2d(h, 3, 1, 1) if self.functional else self.module(h)


class Mean(nn.Module):
    """Average pooling and a dropout that is off."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, h: Tensor) -> Tensor:
        return F.avg_pool2d(self.drop(h), 3, 1, 1)


class Grouped(nn.Module):
    """A group norm, or an instance norm, and an activation."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        instances = step.form == "functional"
        self.groups = WIDTH if instances else 2
        self.norm = nn.InstanceNorm2d(WIDTH, affine=True) if instances else nn.GroupNorm(2, WIDTH)
        self.act = Activation(step)

    def forward(self, h: Tensor) -> Tensor:
        return self.act(self.norm(h))


class Excited(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.squeeze = nn.Linear(WIDTH, 3)
        self.act = Activation(Step(step.kind, "module", step.activation))
        self.excite = nn.Linear(3, WIDTH)
        self.in_place = step.form == "in place"
        self.hard = step.form == "functional"

    def forward(self, h: Tensor) -> Tensor:
        s = self.excite(self.act(self.squeeze(h.mean((2, 3)))))
        s = F.hardsigmoid(s) if self.hard else s.sigmoid()
        s = s[:, :, None, None]
        return s * h if self.in_place else h * s


class Mixed(nn.Module):
    """Channels last: a layer norm, two linear layers and what is between them, added."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 6), nn.Linear(6, WIDTH)
        self.act = Activation(step)
        self.tokens = step.form in ("module", "in place")

    def forward(self, h: Tensor) -> Tensor:
        t = h.flatten(2).transpose(1, 2) if self.tokens else h.permute(0, 2, 3, 1)
        t = self.down(self.act(self.up(self.norm(t))))
        t = t.transpose(1, 2).reshape(h.shape) if self.tokens else t.permute(0, 3, 1, 2)
        return h + t


class Gated(nn.Module):
    """A gated linear unit: one half times the activated other."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.both = nn.Linear(WIDTH, 2 * WIDTH)
        smooth = step.activation in ("gelu", "silu", "relu")
        self.act = Activation(Step(step.kind, "functional", step.activation if smooth else "gelu"))

    def forward(self, h: Tensor) -> Tensor:
        value, gate = self.both(h.flatten(2).transpose(1, 2)).chunk(2, -1)
        return (value * self.act(gate)).transpose(1, 2).reshape(h.shape)


class Attended(nn.Module):
    """Self-attention of two heads, by torch's function or written by hand, added."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.by_hand = step.form != "functional"

    def forward(self, h: Tensor) -> Tensor:
        t = h.flatten(2).transpose(1, 2)
        n, length, _ = t.shape
        split = self.qkv(t).reshape(n, length, 3, 2, WIDTH // 2).permute(2, 0, 3, 1, 4)
        q, k, v = split[0], split[1], split[2]
        if self.by_hand:
            a = ((q @ k.transpose(-2, -1)) * (WIDTH // 2) ** -0.5).softmax(-1) @ v
        else:
            a = F.scaled_dot_product_attention(q, k, v)
        t = self.out(a.transpose(1, 2).reshape(n, length, WIDTH))
        return h + t.transpose(1, 2).reshape(h.shape)


class Residual(nn.Module):
    """A branch, added to what it came from."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.branch = sequence(step.inner[0])
        self.form = step.form

    def forward(self, h: Tensor) -> Tensor:
        out = self.branch(h)
        if self.form == "in place":
            total = h.clone()
            total += out
            return total
        return h + out if self.form == "module" else torch.add(out, h)


class Joined(nn.Module):
    """Two branches, concatenated, and a convolution back to the width."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.branches = nn.ModuleList(sequence(one) for one in step.inner)
        self.conv = nn.Conv2d(WIDTH * len(step.inner), WIDTH, 1)
        self.act = Activation(step)
        self.activated_first = step.form == "functional"

    def forward(self, h: Tensor) -> Tensor:
        both = torch.cat([branch(h) for branch in self.branches], 1)
        return self.conv(self.act(both)) if self.activated_first else self.act(self.conv(both))


class Twice(nn.Module):
    """The same modules, called twice."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.body = Normed(step)

    def forward(self, h: Tensor) -> Tensor:
        return self.body(self.body(h))


STEPS: dict[str, type[nn.Module]] = {
    "conv": Conv,
    "normed": Normed,
    "bare": Bare,
    "pool": Pool,
    "mean": Mean,
    "grouped": Grouped,
    "excited": Excited,
    "mixed": Mixed,
    "gated": Gated,
    "attended": Attended,
    "residual": Residual,
    "joined": Joined,
    "twice": Twice,
}


def sequence(steps: tuple[Step, ...]) -> nn.Sequential:
    """Steps, one after the other."""
    return nn.Sequential(*(STEPS[one.kind](one) for one in steps))


class Drawn(nn.Module):
    """The network of a plan."""

    def __init__(self, plan: tuple[Step, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.body = sequence(plan)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.stem(x)).mean((2, 3)))


def built(plan: tuple[Step, ...], seed: int) -> Drawn:
    """The network with random weights, norms of all kinds among them, in float64."""
    net = seeded(Drawn(plan), seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.LayerNorm | nn.GroupNorm | nn.InstanceNorm2d):
                noise = torch.randn(2, WIDTH, generator=generator, dtype=torch.float64)
                part.weight.copy_(1 + 0.3 * noise[0])
                part.bias.copy_(0.2 * noise[1])
    return net


# Plans -------------------------------------------------------------------------------------------

_SIMPLE = [one for one in STEPS if one not in ("residual", "joined")]


def _step(inner: st.SearchStrategy[Step] | None) -> st.SearchStrategy[Step]:
    simple = st.builds(
        Step, st.sampled_from(_SIMPLE), st.sampled_from(FORMS), st.sampled_from(ACTIVATIONS)
    )
    if inner is None:
        return simple
    some = st.lists(inner, min_size=1, max_size=2).map(tuple)
    forms, activations = st.sampled_from(FORMS), st.sampled_from(ACTIVATIONS)
    branch = st.builds(Step, st.just("residual"), forms, activations, st.tuples(some))
    pair = st.builds(Step, st.just("joined"), forms, activations, st.tuples(some, some))
    return simple | branch | pair


PLANS = st.lists(_step(_step(_step(None))), min_size=3, max_size=6).map(tuple)
"""Networks of three to six steps, branches within branches among them."""
