"""A small convolutional network, and a training loop that stops at every epoch."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from .data import Data
from .weights import checked_seed, seeded

WIDTHS = (16, 32, 32, 64)
"""Channels of the three convolutions, and units of the hidden linear layer."""

LARGEST_SIDE = 16
"""Of the images that the second convolution leaves as they are; larger ones are halved there."""


@dataclass(frozen=True)
class Epoch:
    """The state of a training after an epoch.

    Attributes:
        number: 0 before the first step.
        network: In the state that it has reached; the same object every time.
        loss: Cross-entropy over the epoch's images; NaN before the first step.
        accuracy: Of the test images, 0 to 1.
    """

    number: int
    network: nn.Module
    loss: float
    accuracy: float


def small_network(
    side: int, classes: int, *, batch_norm: bool = True, seed: int = 0
) -> nn.Sequential:
    """Three convolutions and two linear layers, with a ReLU after each but the last.

    The parts are called ``conv1``, ``norm1``, ``relu1`` to ``linear4``, ``norm4``, ``relu4``, and
    ``logits``.

    Args:
        side: Height and width of the (N, 3, side, side) images.
        classes: Number of logits, (N, classes).
        batch_norm: Whether a batch norm stands before each ReLU.
        seed: Of the weights, from 0 up; torch's own random numbers are left alone.

    Returns:
        The network, not trained yet.

    Raises:
        ValueError: If the seed is no such number.
    """
    first, second, third, hidden = WIDTHS
    halved = side > LARGEST_SIDE

    def build() -> nn.Sequential:
        layers: OrderedDict[str, nn.Module] = OrderedDict()

        def add(number: int, layer: nn.Module, norm: nn.Module) -> None:
            kind = "conv" if isinstance(layer, nn.Conv2d) else "linear"
            layers[f"{kind}{number}"] = layer
            if batch_norm:
                layers[f"norm{number}"] = norm
            layers[f"relu{number}"] = nn.ReLU()

        add(1, nn.Conv2d(3, first, 3, 2 if halved else 1, 1), nn.BatchNorm2d(first))
        add(2, nn.Conv2d(first, second, 3, 2, 1), nn.BatchNorm2d(second))
        add(3, nn.Conv2d(second, third, 3, 1, 1), nn.BatchNorm2d(third))
        layers["flatten"] = nn.Flatten()
        after = math.ceil(side / (4 if halved else 2))
        add(4, nn.Linear(third * after * after, hidden), nn.BatchNorm1d(hidden))
        layers["logits"] = nn.Linear(hidden, classes)
        return nn.Sequential(layers)

    return seeded(build, seed)


def train(
    network: nn.Module,
    data: Data,
    *,
    epochs: int = 30,
    learning_rate: float = 0.05,
    batch_size: int = 64,
    seed: int = 0,
) -> Iterator[Epoch]:
    """Train with stochastic gradient descent, and stop for a look after each epoch.

    Args:
        network: Trained in place; from images (N, 3, S, S) to logits (N, K).
        data: What it learns; see :func:`load_data`.
        epochs: Passes over the training images.
        learning_rate: At the start; it falls to 0 along a cosine. Momentum is 0.9.
        batch_size: Images per step.
        seed: Of the images' order.

    Yields:
        The state before the first step, then after each epoch; in evaluation mode.

    Raises:
        ValueError: If the seed is no whole number from 0 up; where the first state is asked for.
    """
    order = torch.Generator().manual_seed(checked_seed(seed))
    batch_size = min(batch_size, len(data.labels))
    optimizer = torch.optim.SGD(network.parameters(), lr=learning_rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(epochs, 1))
    yield Epoch(0, network.eval(), float("nan"), accuracy(network, data))
    for number in range(1, epochs + 1):
        network.train()
        total = 0.0
        # Whole batches: the last one may be a single image, which a batch norm cannot take.
        shuffled = torch.randperm(len(data.labels), generator=order)
        seen = len(shuffled) // batch_size * batch_size
        with torch.enable_grad():
            for batch in shuffled[:seen].split(batch_size):
                loss = F.cross_entropy(network(data.images[batch]), data.labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += float(loss.detach()) * len(batch)
        schedule.step()
        yield Epoch(number, network.eval(), total / max(seen, 1), accuracy(network, data))


def accuracy(network: nn.Module, data: Data) -> float:
    """Share of the test images that a network in evaluation mode gets right."""
    with torch.no_grad():
        return float((network(data.test_images).argmax(1) == data.test_labels).double().mean())
