"""Path stability of a small network that is trained here, epoch by epoch."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import checks
from ..figures.result import Progress, completed
from .data import TEST_SHARE, Data, load_data
from .paths import Paths
from .recorder import PathRecorder
from .training import small_network, train

INPUTS = 256
"""At most so many test images are followed."""

LOOKS = 10
"""So many times in a training the curves are drawn anew."""

TRAINED = 0.9
"""Share of the progress that is training; the rest are the pullbacks."""


def path_stability(
    data: Any = "digits",
    *,
    batch_norm: bool = True,
    epochs: int = 30,
    learning_rate: float = 0.05,
    seed: int = 0,
    progress: Progress | None = None,
) -> Paths:
    """Train a small ReLU network and report how stable its activation states were.

    Args:
        data: ``"digits"``, ``"mnist"``, or a pair: images (N, 3, S, S), or grey (N, S, S), in
            [-1, 1], and their classes (N,), of which a fifth is kept for testing.
        batch_norm: Whether the network has a batch norm before each ReLU.
        epochs: Of the training; a checkpoint is taken before the first and after each.
        learning_rate: Of stochastic gradient descent.
        seed: Of the weights and of the images' order: the same seed gives the same result.
        progress: Called with the share that is done.

    Returns:
        The report; its states are those of up to 256 test images.

    Raises:
        ValueError: For a choice that makes no sense, or a training that diverges.
        ImportError: If the package that carries the data is not installed.
    """
    steps = trainings(
        data, batch_norm=batch_norm, epochs=epochs, learning_rate=learning_rate, seed=seed
    )
    with torch.inference_mode(False):  # whose tensors cannot be trained
        return completed(steps, progress)


def trainings(
    data: Any, *, batch_norm: bool, epochs: int, learning_rate: float, seed: int
) -> Iterator[Paths]:
    """The report, after each epoch; see :func:`path_stability`."""
    name = repr(data) if isinstance(data, str) else "..."
    epochs = checks.whole("epochs", epochs)
    learning_rate = checked_rate(learning_rate)
    data = checked_data(data)
    network = small_network(data.side, len(data.categories), batch_norm=batch_norm, seed=seed)
    model = data.as_model(network)
    recorder = PathRecorder(data.test_images[:INPUTS])
    chosen = {
        "batch_norm": batch_norm, "epochs": epochs, "learning_rate": learning_rate, "seed": seed,
    }  # fmt: skip
    paths: Paths | None = None
    for epoch in train(network, data, epochs=epochs, learning_rate=learning_rate, seed=seed):
        if epoch.number and not np.isfinite(epoch.loss):
            raise ValueError(
                f"The training diverged in epoch {epoch.number} (loss {epoch.loss}); choose a "
                f"learning_rate below {learning_rate:g}."
            )
        recorder.add(model, str(epoch.number), (epoch.loss, epoch.accuracy))
        if epoch.number == 0:
            continue
        if paths is None or epoch.number % max(1, epochs // LOOKS) == 0 or epoch.number == epochs:
            paths = recorder.states()
            paths.model = data.as_model(copy.deepcopy(network))  # as it is now; this one goes on
            paths.chosen = {"data": data.name, **chosen}
            arguments = ", ".join(f"{key}={value!r}" for key, value in chosen.items())
            paths.made_by = f"pw.path_stability({name}, {arguments})"
        paths.progress = TRAINED * epoch.number / epochs
        yield paths
    assert paths is not None
    for _ in recorder.pullbacks(paths):
        yield paths
    paths.progress = 1.0
    yield paths


def checked_rate(learning_rate: Any) -> float:
    """A learning rate.

    Raises:
        ValueError: If it is not a finite number above 0.
    """
    return checks.positive("learning_rate", learning_rate, hint=", such as 0.05")


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
