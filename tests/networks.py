"""Small seeded networks, and the definitions of the soft gradients in plain torch.

The definitions are written here a second time, as slowly and plainly as possible, so that the
tests compare two independent pieces of code. Nothing here imports the engine's modules.
"""

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from place import place
from torch import Tensor, nn

import pullback_widgets as pw

SIZE = 8
CATEGORIES = ("golf ball", "golf cart", "tabby cat", "cat", "espresso", "spoon")
CLASSES = len(CATEGORIES)

Gate = Callable[[Tensor], Tensor]
Module = TypeVar("Module", bound=nn.Module)


# Images and models -------------------------------------------------------------------------------


def image(seed: int = 0, batch: int | None = None, size: int = SIZE) -> Tensor:
    """A random float64 image whose values are multiples of 1/256.

    With mean = std = 0.5 the network then sees exactly these values, whatever the order in which
    the normalisation is computed, so that comparisons can be bit for bit.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (3, size, size) if batch is None else (batch, 3, size, size)
    return (torch.randint(-250, 251, shape, generator=generator).double() / 256).to(place())


class Counting(nn.Module):
    """A network that counts its forward passes.

    Attributes:
        batches: How many images were in each.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.batches: list[int] = []

    @property
    def passes(self) -> int:
        return len(self.batches)

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        out: Tensor = self.module(x)
        return out


class Crowded(Counting):
    """One that finds no memory for more images at once than ``most``."""

    def __init__(self, module: nn.Module, most: int) -> None:
        super().__init__(module)
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            self.batches.append(len(x))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return super().forward(x)


def wrap(module: nn.Module, calibration: Tensor | None = None, size: int = SIZE) -> pw.Model:
    """The module as a `pw.Model` whose normalisation is the identity, with its own calibration."""
    return pw.Model(
        module,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        size=size,
        categories=CATEGORIES,
        calibration=image(seed=99, batch=3, size=size) if calibration is None else calibration,
    )


def seeded(module: Module, seed: int = 0) -> Module:
    """Random weights, biases and batch-norm statistics, in float64 and evaluation mode."""
    generator = torch.Generator().manual_seed(seed)

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64)

    module.double().eval().to(place())
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.weight.copy_(normal(part.weight) / math.sqrt(part.weight[0].numel()))
                if part.bias is not None:
                    part.bias.copy_(0.2 * normal(part.bias))
            elif isinstance(part, nn.modules.batchnorm._BatchNorm):
                assert part.running_mean is not None
                assert part.running_var is not None
                part.running_mean.copy_(0.2 * normal(part.running_mean))
                part.running_var.copy_(0.5 + normal(part.running_var) ** 2)
                if part.affine:
                    gamma = normal(part.weight)
                    part.weight.copy_(gamma + 0.3 * gamma.sign())
                    part.bias.copy_(0.3 * normal(part.bias))
    return module


def plain_gradient(score: Callable[[Tensor], Tensor], picture: Tensor) -> Tensor:
    """The gradient of a scalar of one image of shape (3, H, W), by plain autograd."""
    x = picture.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score(x.unsqueeze(0)).sum(), x)
    return gradient


# The definitions ---------------------------------------------------------------------------------


def sigmoid_curve(z: Tensor, temperature: Tensor | float) -> Tensor:
    return 1 / (1 + torch.exp(-z / temperature))


def normal_curve(z: Tensor, temperature: Tensor | float) -> Tensor:
    return (1 + torch.erf(z / temperature / math.sqrt(2))) / 2


def hard_curve(z: Tensor, temperature: Tensor | float) -> Tensor:
    return (z > 0).to(z.dtype)


def linearised(value: Tensor, z: Tensor, slope: Tensor) -> Tensor:
    """A tensor equal to `value` whose derivative with respect to `z` is `slope`."""
    return value.detach() + slope.detach() * (z - z.detach())


def soft_relu(z: Tensor, temperature: Tensor | float) -> Tensor:
    """ReLU forward, logistic gate backward; a vector of temperatures is one per channel."""
    return linearised(z.clamp(min=0), z, sigmoid_curve(z, per_channel(temperature, z)))


def per_channel(values: Tensor | float, like: Tensor) -> Tensor | float:
    """Shapes a vector (C,) so that it broadcasts along the channels of (N, C, ...)."""
    if isinstance(values, Tensor) and values.dim() == 1:
        return values.reshape(-1, *[1] * (like.dim() - 2))
    return values


class InTurn:
    """ReLUs with one temperature each, in the order in which they are called."""

    def __init__(self, temperatures: Iterable[Tensor | float]) -> None:
        self._temperatures = iter(temperatures)

    def __call__(self, z: Tensor) -> Tensor:
        return soft_relu(z, next(self._temperatures))


class Watching:
    """Plain ReLUs that keep the per-channel standard deviation of what enters them."""

    def __init__(self) -> None:
        self.deviations: list[Tensor] = []

    def __call__(self, z: Tensor) -> Tensor:
        self.deviations.append(deviation(z))
        return z.clamp(min=0)


def deviation(z: Tensor) -> Tensor:
    """Standard deviation of every channel of (N, C, ...) over images and positions."""
    return z.detach().transpose(0, 1).flatten(1).std(dim=1, correction=0)


def pool_windows(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Every window of a pool: values (N, C, *output, window) and which of them lie inside."""
    inside = torch.ones((), dtype=torch.bool, device=x.device)
    for axis in range(len(kernel)):
        start = torch.arange(output[axis], device=x.device) * stride[axis] - padding[axis]
        offset = torch.arange(kernel[axis], device=x.device) * dilation[axis]
        at = start[:, None] + offset[None, :]
        dim = 2 + 2 * axis
        size = x.shape[dim]
        x = x.index_select(dim, at.clamp(0, size - 1).flatten()).unflatten(dim, at.shape)
        shape = [1] * (2 * len(kernel))
        shape[2 * axis : 2 * axis + 2] = at.shape
        inside = inside & ((at >= 0) & (at < size)).reshape(shape)
    axes = [3 + 2 * axis for axis in range(len(kernel))]
    last = list(range(-len(axes), 0))
    values = x.movedim(axes, last).flatten(-len(axes))
    mask = inside.movedim([axis - 2 for axis in axes], last).flatten(-len(axes))
    return values, mask.expand_as(values)


def soft_max_pool(
    x: Tensor,
    value: Tensor,
    temperature: Tensor | float,
    differentiated: bool,
    *,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """A tensor equal to `value` = max-pooled `x`, with the gradient of softmax pooling."""
    values, inside = pool_windows(x, kernel, stride, padding, dilation, value.shape[2:])
    if isinstance(temperature, Tensor) and temperature.dim() == 1:
        temperature = temperature.reshape(-1, *[1] * (values.dim() - 2))
    weights = (values / temperature).masked_fill(~inside, -math.inf).softmax(-1)
    if not differentiated:
        weights = weights.detach()
    pooled = (weights * values).sum(-1)
    return value.detach() + pooled - pooled.detach()


# Networks ----------------------------------------------------------------------------------------


class Gated(nn.Module):
    """Convolution, batch norm, one activation given as a function or module, linear head."""

    def __init__(self, activation: Gate, channels: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, padding=1)
        self.bn = nn.BatchNorm2d(channels)
        self.activation = activation
        self.head = nn.Linear(channels * SIZE * SIZE, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.bn(self.conv(x)))
        return self.head(y.flatten(1))

    def with_activation(self, activation: Gate) -> "Gated":
        """A copy with the same weights and another activation."""
        twin = copy.deepcopy(self)
        if isinstance(twin.activation, nn.Module):
            del twin.activation
        twin.activation = activation
        return twin


def gated(activation: Gate, channels: int = 4) -> Gated:
    """A seeded `Gated` whose pre-activations reach beyond 6, ReLU6's upper end."""
    net = Gated(activation, channels)
    seeded(net)
    with torch.no_grad():
        net.bn.weight.mul_(3)
    return net


class Chain(nn.Sequential):
    """Convolutions with biases, in-place ReLUs and a max-pool; no batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 5, 3, padding=1)
        self.relu1 = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = nn.Conv2d(5, 6, 3)
        self.relu2 = nn.ReLU(inplace=True)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(6 * 2 * 2, CLASSES)


class Block(nn.Module):
    """A residual block that calls one in-place ReLU twice, as torchvision's does."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        return self.relu(out)


class FunctionalBlock(Block):
    """The same block with functional ReLUs and out-of-place addition."""

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + x)


class Residual(nn.Module):
    """Stem, two residual blocks whose names share a prefix, pooled linear head."""

    def __init__(self, block: type[Block] = Block) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = block(4)
        self.layer10 = block(4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn(self.conv(x))))
        x = self.layer10(self.layer1(x))
        return self.head(self.pool(x).flatten(1))


class Dense(nn.Module):
    """Concatenation, functional ReLU before convolution, dropout, average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 3, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5)
        self.bn3 = nn.BatchNorm2d(7)
        self.head = nn.Linear(7 * 4 * 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        first = F.relu(self.bn1(self.conv1(x)), inplace=True)
        second = self.drop(self.bn2(self.conv2(first)))
        joined = torch.cat([first, second], dim=1).relu()
        return self.head(F.avg_pool2d(self.bn3(joined).relu_(), 2).flatten(1))


class Mobile(nn.Module):
    """An inverted residual with ReLU6 and a linear bottleneck."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(3, 9, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(9)
        self.act1 = nn.ReLU6(inplace=True)
        self.depthwise = nn.Conv2d(9, 9, 3, padding=1, groups=9, bias=False)
        self.bn2 = nn.BatchNorm2d(9)
        self.project = nn.Conv2d(9, 3, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(3)
        self.head = nn.Linear(3 * SIZE * SIZE, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.bn2(self.depthwise(self.act1(self.bn1(self.expand(x))))))
        return self.head((x + self.bn3(self.project(y))).flatten(1))


class Mixed(nn.Module):
    """LeakyReLU, PReLU, hardtanh, a smooth activation and a functional pool with indices."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.leaky = nn.LeakyReLU(0.1, inplace=True)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.prelu = nn.PReLU(4)
        self.conv3 = nn.Conv2d(4, 4, 3, padding=1)
        self.gelu = nn.GELU()
        self.head = nn.Linear(4 * 4 * 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.prelu(self.conv2(self.leaky(self.conv1(x))))
        x, _ = F.max_pool2d(x, 2, return_indices=True)
        return self.head(self.gelu(F.hardtanh(self.conv3(x), 0.0, 6.0)).flatten(1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "chain": Chain,
    "residual": Residual,
    "functional": lambda: Residual(FunctionalBlock),
    "dense": Dense,
    "mobile": Mobile,
    "mixed": Mixed,
}

SOFTENINGS: dict[str, pw.Softening] = {
    "hard": pw.Softening.hard(),
    "paper_v3": pw.Softening.paper_v3(0.3),
    "paper_v6": pw.Softening.paper_v6(0.6),
    "relative": pw.Softening.relative(0.85),
}


def network(name: str, seed: int = 0) -> Any:
    """One of `NETWORKS`, seeded, in float64 and evaluation mode; Any, for its attributes' sake."""
    return seeded(NETWORKS[name](), seed)


class Excited(nn.Module):
    """ReLU by function, max-pooling, GELU, layer norm and squeeze-and-excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.gelu = nn.Conv2d(8, 8, 3, padding=1), nn.GELU()
        self.layer_norm, self.head = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.conv(x)))
        h = torch.max_pool2d(h, 2)
        h = self.gelu(self.second(h))
        h = h * h.mean((2, 3), keepdim=True).sigmoid()
        out: Tensor = self.head(self.layer_norm(h.mean((2, 3))))
        return out
