"""Operations beyond ReLU, each with the same written so that its constants are detached."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Function = Callable[[Tensor], Tensor]
CHANNELS, HEADS = 8, 2


class Around(nn.Module):
    """An operation on maps between a convolution and a linear layer, none with a bias."""

    def __init__(self, operation: nn.Module | Function) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 3, padding=1, bias=False)
        self.head = nn.Linear(CHANNELS, 4, bias=False)
        self.operation = operation

    def forward(self, x: Tensor, operation: Function | None = None) -> Tensor:
        out: Tensor = self.head((operation or self.operation)(self.conv(x)).mean((2, 3)))
        return out


def tokens(h: Tensor) -> Tensor:
    return h.flatten(2).transpose(1, 2)


def maps(t: Tensor) -> Tensor:
    return t.transpose(1, 2).unflatten(2, (8, 8))


def normal(z: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(z / math.sqrt(2)))


def tanh_gate(z: Tensor) -> Tensor:
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def constant(x: Tensor) -> Tensor:
    return x.detach()


def standardised(x: Tensor, axes: tuple[int, ...], eps: float = 1e-5) -> Tensor:
    mean = constant(x.mean(axes, keepdim=True))
    return (x - mean) / constant((x.var(axes, correction=0, keepdim=True) + eps).sqrt())


def by_groups(h: Tensor, groups: int) -> Tensor:
    return standardised(h.unflatten(1, (groups, -1)), (2, 3, 4)).flatten(1, 2)


def attended(query: Tensor, key: Tensor, value: Tensor, t: float = 1.0) -> Tensor:
    weights = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]) / t).softmax(-1)
    return constant(weights) @ value


def heads(t: Tensor) -> Tensor:
    return t.unflatten(2, (HEADS, -1)).transpose(1, 2)


def joined(t: Tensor) -> Tensor:
    return t.transpose(1, 2).flatten(2)


def excited(h: Tensor) -> Tensor:
    return h.mean((2, 3), keepdim=True).sigmoid()


WEIGHT = torch.linspace(0.5, 1.5, CHANNELS).double()

PARAMETER = nn.Parameter(WEIGHT.view(-1, 1, 1).clone())

# What a network does, and the same with its constants detached.
HELD: dict[str, tuple[Function, Function]] = {
    "GELU": (F.gelu, lambda h: h * constant(normal(h))),
    "GELU by tanh": (
        lambda h: F.gelu(h, approximate="tanh"),
        lambda h: h * constant(tanh_gate(h)),
    ),
    "SiLU": (F.silu, lambda h: h * constant(h.sigmoid())),
    "SiLU in place": (lambda h: F.silu(h * 1, inplace=True), lambda h: h * constant(h.sigmoid())),
    "SiLU by hand": (lambda h: h * h.sigmoid(), lambda h: h * constant(h.sigmoid())),
    "Hardswish": (F.hardswish, lambda h: h * constant((h / 6 + 0.5).clamp(0, 1))),
    "Hardswish by hand": (
        lambda h: h * (F.relu6(h + 3) / 6),
        lambda h: h * constant((h / 6 + 0.5).clamp(0, 1)),
    ),
    "Mish": (F.mish, lambda h: h * constant(F.softplus(h).tanh())),
    "layer norm of tokens": (
        lambda h: maps(F.layer_norm(tokens(h), (CHANNELS,), WEIGHT, WEIGHT)),
        lambda h: maps(standardised(tokens(h), (2,)) * WEIGHT + WEIGHT),
    ),
    "layer norm of maps": (
        lambda h: F.layer_norm(h, h.shape[1:]),
        lambda h: standardised(h, (1, 2, 3)),
    ),
    "layer norm, channels last": (
        lambda h: F.layer_norm(h.permute(0, 2, 3, 1), (CHANNELS,), WEIGHT).permute(0, 3, 1, 2),
        lambda h: standardised(h, (1,)) * WEIGHT.view(-1, 1, 1),
    ),
    "RMS norm": (
        lambda h: maps(F.rms_norm(tokens(h), (CHANNELS,), WEIGHT, 1e-6)),
        lambda h: maps(
            tokens(h) / constant((tokens(h).square().mean(2, keepdim=True) + 1e-6).sqrt()) * WEIGHT
        ),
    ),
    "group norm": (
        lambda h: F.group_norm(h, 2, WEIGHT, WEIGHT),
        lambda h: by_groups(h, 2) * WEIGHT.view(-1, 1, 1) + WEIGHT.view(-1, 1, 1),
    ),
    "instance norm": (
        lambda h: F.instance_norm(h, weight=WEIGHT),
        lambda h: standardised(h, (2, 3)) * WEIGHT.view(-1, 1, 1),
    ),
    "batch norm without statistics": (
        lambda h: F.batch_norm(h, None, None, WEIGHT, training=True),
        lambda h: standardised(h, (0, 2, 3)) * WEIGHT.view(-1, 1, 1),
    ),
    "attention": (
        lambda h: maps(
            joined(F.scaled_dot_product_attention(*(heads(tokens(h)) for _ in range(3))))
        ),
        lambda h: maps(joined(attended(*(heads(tokens(h)) for _ in range(3))))),
    ),
    "attention by hand": (
        lambda h: maps((tokens(h) @ tokens(h).mT / math.sqrt(CHANNELS)).softmax(-1) @ tokens(h)),
        lambda h: maps(attended(tokens(h), tokens(h), tokens(h))),
    ),
    "attention by einsum": (
        lambda h: maps(
            torch.einsum(
                "nij,njc->nic",
                torch.softmax(
                    torch.einsum("nic,njc->nij", tokens(h), tokens(h)) / math.sqrt(CHANNELS), -1
                ),
                tokens(h),
            )
        ),
        lambda h: maps(attended(tokens(h), tokens(h), tokens(h))),
    ),
    "squeeze and excitation": (lambda h: h * excited(h), lambda h: h * constant(excited(h))),
    "excitation first": (lambda h: excited(h) * h, lambda h: h * constant(excited(h))),
    "excitation in place": (
        lambda h: h.clone().mul_(excited(h).expand_as(h)),
        lambda h: h * constant(excited(h)),
    ),
    "excitation of activated values": (
        lambda h: (lambda a: a * excited(h).expand_as(a))(F.silu(h)),
        lambda h: h * constant(h.sigmoid()) * constant(excited(h)),
    ),
    "gated unit": (
        lambda h: F.glu(h, 1).repeat(1, 2, 1, 1),
        lambda h: (h[:, :4] * constant(h[:, 4:].sigmoid())).repeat(1, 2, 1, 1),
    ),
    "SwiGLU": (
        lambda h: (F.silu(h[:, :4]) * h[:, 4:]).repeat(1, 2, 1, 1),
        lambda h: (constant(F.silu(h[:, :4])) * h[:, 4:]).repeat(1, 2, 1, 1),
    ),
    "layer scale": (lambda h: F.gelu(h) * PARAMETER, lambda h: h * constant(normal(h)) * PARAMETER),
}
UNCENTRED = [name for name in HELD if "norm" not in name or name == "RMS norm"]
