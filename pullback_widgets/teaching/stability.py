"""Path stability of a small network that is trained here, epoch by epoch."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import torch

from ..figures.declared import Request, computed
from ..figures.kinds import Positive, Whole
from ..figures.result import Progress, completed
from .data import checked_data
from .kinds import DataSet, Flag, Seed
from .paths import Paths
from .recorder import PathRecorder
from .training import small_network, train

INPUTS = 256
"""At most so many test images are followed."""

LOOKS = 10
"""So many times in a training the curves are drawn anew."""

TRAINED = 0.9
"""Share of the progress that is training; the rest are the pullbacks."""


@dataclass(frozen=True, eq=False)
class StabilityRequest(Request):
    """What a training is asked for; see ``pw.path_stability``."""

    FUNCTION = "path_stability"
    WIDGET = "PathStabilityLab"
    VARIABLE = "paths"
    FINALLY = "paths.findings()"

    data: Any = field(default="digits", metadata=computed(DataSet()))
    _: KW_ONLY
    batch_norm: bool = field(default=True, metadata=computed(Flag()))
    epochs: int = field(default=30, metadata=computed(Whole(1)))
    learning_rate: float = field(default=0.05, metadata=computed(Positive()))
    seed: int = field(default=0, metadata=computed(Seed()))


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
    request = StabilityRequest(
        data, batch_norm=batch_norm, epochs=epochs, learning_rate=learning_rate, seed=seed
    )
    with torch.inference_mode(False):  # whose tensors cannot be trained
        return completed(compute(request), progress)


def compute(request: StabilityRequest) -> Iterator[Paths]:
    """The report, after each epoch."""
    data = checked_data(request.data)
    epochs, learning_rate, seed = request.epochs, request.learning_rate, request.seed
    classes = len(data.categories)
    network = small_network(data.side, classes, batch_norm=request.batch_norm, seed=seed)
    model = data.as_model(network)
    recorder = PathRecorder(data.test_images[:INPUTS])
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
            paths.request = request
        paths.progress = TRAINED * epoch.number / epochs
        yield paths
    assert paths is not None
    for _ in recorder.pullbacks(paths):
        yield paths
    paths.progress = 1.0
    yield paths
