"""Gradient ascent on the image along pullbacks: a spoon becomes a golf ball.

From ``x_0 = x``: ``x_{k+1} = clip(x_0 + ball(x_k + step * p / ||p|| - x_0))`` with ``p`` the
pullback at ``x_k``, ``ball`` the projection onto the L2 ball of ``radius``, ``clip`` to [-1, 1].
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .. import checks
from .dependence import tell_independent
from .output import Probability, probabilities_of
from .recording import Recording
from .softening import Softening
from .target import LOGITS, Logit, Target


@dataclass(frozen=True)
class Step:
    """The image after a step of ascent, on the CPU.

    Of a session it has the shapes of the session's ``image``, of a recording those of a batch.

    Attributes:
        index: 1 for the first step.
        perturbed: The image, values in [-1, 1].
        difference: The image minus the original.
        score: The target's value on it: a float, for a batch a tensor (N,).
        probability: That of the target's class, as ``score``; None unless every target is a class,
            and where the network has no probabilities.
        logits: The classes' logits on it, (N, K); None where the target is of a hidden layer, after
            which the pass stops, and of networks without classes.
    """

    index: int
    perturbed: Tensor
    difference: Tensor
    score: Any
    probability: Any
    logits: Tensor | None = None


def ascend(
    recording: Recording,
    targets: Sequence[Target],
    softening: Softening,
    *,
    steps: int = 5,
    step_size: float = 20.0,
    radius: float | None = 100.0,
) -> Generator[Step, None, None]:
    """Walk up the pullback, one step at a time; ``Session.ascend`` says how.

    Args:
        recording: The recorded images, (N, C, H, W).
        targets: What grows, one for each image, class names resolved.
        softening: How the gates on the way are softened.
        steps: Number of steps, 1 or more.
        step_size: L2 length of a step in image units, above 0.
        radius: L2 radius around the original image, above 0; None for no limit.

    Yields:
        A ``Step`` of the batch after each step.

    Raises:
        ValueError: For numbers out of range, unknown layers or classes.
    """
    walk = checked_walk(steps, step_size, radius)
    for target in targets:
        for term in target.terms():
            recording.value(term.layer)  # an unknown layer raises here, not at a step
    return _walk(recording, targets, softening, *walk)


def checked_walk(steps: Any, step_size: Any, radius: Any) -> tuple[int, float, float | None]:
    """The numbers of an ascent as Python's own.

    Raises:
        ValueError: If one is out of range, or none.
    """
    return (
        checks.whole("steps", steps),
        checks.positive("step_size", step_size),
        None if radius is None else checks.positive("radius", radius),
    )


def _walk(
    recording: Recording,
    targets: Sequence[Target],
    softening: Softening,
    steps: int,
    step_size: float,
    radius: float | None,
) -> Generator[Step, None, None]:
    layers = {term.layer for target in targets for term in target.terms()}
    until = layers if LOGITS not in layers else set()
    noted = layers != {LOGITS} or bool(softening.factors)
    model, start = recording.model, recording.x.detach()
    original = start.cpu()
    for index in range(1, steps + 1):
        pullback = recording.pull(targets, softening, last=index > 1)
        if index == 1:
            tell_independent(recording, targets, pullback)
        x = recording.x.detach() + step_size * _unit(pullback)
        difference = x - start
        if radius is not None:
            difference = difference * (radius / _norm(difference).clamp_min(radius))
        x = (start + difference).clamp(-1.0, 1.0)
        del recording  # its graph goes before the next forward pass builds another
        recording = Recording(model, x, layers=noted, until=until, grad=index < steps)
        scores = recording.scores(targets).cpu()
        logits = chances = None
        if not until and recording.classes is not None:
            logits = recording.class_logits().detach().cpu()
            chances = _probabilities(logits, targets, model.probability)
        seen = x.cpu()
        yield Step(index, seen, seen - original, scores, chances, logits)


def _probabilities(
    logits: Tensor, targets: Sequence[Target], kind: Probability | None
) -> Tensor | None:
    """Each target's probability, (N,), of logits on the CPU."""
    labels = [int(target.label) for target in targets if isinstance(target, Logit)]
    probabilities = probabilities_of(logits, kind)
    if probabilities is None or len(labels) < len(targets):
        return None
    return probabilities.gather(1, torch.tensor(labels)[:, None])[:, 0]


def _norm(images: Tensor) -> Tensor:
    """L2 norm of each image, (N, 1, 1, 1)."""
    return images.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def _unit(images: Tensor) -> Tensor:
    """Each image divided by its norm; an image of zeros stays zero."""
    # First by its largest value: the squares of a tiny gradient would underflow.
    tiny = torch.finfo(images.dtype).tiny
    images = images / images.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(tiny)
    return images / _norm(images).clamp_min(tiny)
