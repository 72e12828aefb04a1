"""What is measured, and one batch of it: all that a worker elsewhere needs to know."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..engine.image import one_size
from ..engine.model import Model
from ..engine.session import Session
from .batch import Batch, Neighbour, Scores
from .images import Item, read
from .methods import Explainer
from .metric import Metric

TARGETS = ("top", "given", "second")

_alone = threading.Lock()
"""Batches of one process go one after the other: threads would share the network's hooks."""


@dataclass(eq=False)
class Plan:
    """What is measured on every batch.

    Attributes:
        methods: The methods, in the order of columns.
        metrics: The metrics.
        targets: ``"top"``, ``"given"``, ``"second"``, or the index of a class.
        classes: The index of each label that is a text.
        seed: Of all chance.
        at_once: Perturbed images in one forward pass.
        skip: Whether images that cannot be read are left out.
        threads: Of torch: another number adds in another order.
        neighbours: Images for mosaics.
        second: A second network, for counterfactuals.
    """

    methods: tuple[Explainer, ...]
    metrics: tuple[Metric, ...]
    targets: str | int = "top"
    classes: dict[str, int] = field(default_factory=dict)
    seed: int = 0
    at_once: int = 8
    skip: bool = False
    threads: int = 1
    neighbours: Sequence[Neighbour] = ()
    second: Model | None = None
    of_run: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "of_run": {}}  # made anew where it is needed

    def label(self, item: Item, model: Model) -> int | None:
        """The index of an image's class; None where it has none."""
        if not isinstance(item.label, str):
            return item.label
        found = self.classes.get(item.label)
        return model.class_index(item.label) if found is None else found


def measured(model: Model, plan: Plan, items: Sequence[Item]) -> dict[str, Any]:
    """A batch's names, targets and numbers, in what JSON can hold.

    Raises:
        ImageError: If an image cannot be read, and none are skipped.
        ValueError: For images of different sizes, or classes that are not known.
        Exception: Whatever the network or a method raises.
    """
    with _alone, _threads(plan.threads):
        good, pixels = read(items, model, skip=plan.skip)
        skipped = [one.name for one in items if one not in good]
        if not good:
            return {"names": [], "targets": [], "skipped": skipped, "problems": {}, "scores": {}}
        one_size((one.shape[1], one.shape[2]) for one in pixels)
        return {**_scores(model, plan, good, pixels), "skipped": skipped}


def _scores(
    model: Model, plan: Plan, items: Sequence[Item], pixels: Sequence[Tensor]
) -> dict[str, Any]:
    session = Session(model, torch.stack(list(pixels)), range=(-1, 1))
    targets = targets_of(plan, session, items)
    batch = Batch(
        session,
        targets,
        plan.seed,
        plan.at_once,
        plan.neighbours,
        plan.second,
        of_run=plan.of_run,
    )
    scores = {one.name: _plain(one.scores(batch, plan.methods)) for one in plan.metrics}
    return {
        "names": [one.name for one in items],
        "targets": targets,
        "problems": batch.problems,
        "scores": scores,
    }


def _plain(scores: Scores) -> list[list[float | None]]:
    """Numbers as JSON has them, which knows no NaN."""
    return [[None if one != one else one for one in row] for row in scores.tolist()]


def targets_of(plan: Plan, session: Session, items: Sequence[Item]) -> list[int]:
    """The class that each image is asked for.

    Raises:
        ValueError: If a class is asked for that is not there.
    """
    logits = session.recording.class_logits().detach()
    count = logits.shape[1]
    if plan.targets == "top":
        return [int(one) for one in logits.argmax(1).tolist()]
    if plan.targets == "second":
        if count < 2:
            raise ValueError(
                f'{session.model.name} has one output, which has no second class; choose "top".'
            )
        return [int(one) for one in logits.topk(2).indices[:, 1].tolist()]
    found = []
    for item in items:
        label = plan.label(item, session.model) if plan.targets == "given" else int(plan.targets)
        if label is None:
            raise ValueError(
                f'{item.name} comes without a class, and targets is "given"; give pairs of image '
                'and class or folders of classes, or choose "top".'
            )
        if not 0 <= label < count:
            raise ValueError(
                f"{item.name} is to be of class {label}; {session.model.name} has {count}, from 0."
            )
        found.append(label)
    return found


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
