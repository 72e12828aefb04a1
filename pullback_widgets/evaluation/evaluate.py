"""``pw.evaluate``: methods by metrics on photographs, batch by batch."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import checks
from ..engine.model import Model
from ..figures.provenance import fingerprint, provenance
from ..figures.result import default_batch
from . import folder as folders
from .batch import answers
from .cluster import checked, spread
from .evaluation import Evaluation, Parts
from .images import Images, classes_of, opened, read
from .methods import GRADIENT, Explainer, explainers, key
from .metric import Metric
from .metrics import metrics as chosen_metrics
from .metrics import written
from .mosaic import NEIGHBOURS, Localisation, neighbours
from .plan import TARGETS, Plan, measured
from .progress import Progress, Report


def evaluate(
    model: Model | nn.Module,
    images: Any,
    methods: Any = None,
    metrics: Any = None,
    targets: str | int = "top",
    *,
    baseline: str = GRADIENT,
    second: Model | nn.Module | None = None,
    seed: int = 0,
    limit: int | None = None,
    batch_size: int | None = None,
    folder: str | Path | None = None,
    client: Any = None,
    progress: Report | None = None,
    stop: Callable[[], bool] | None = None,
) -> Evaluation:
    """Measure how true pictures are of a network, by several metrics with intervals.

    Beside the methods always stand a random map, an edge map, guided backpropagation and guided
    Grad-CAM, and beside the metrics the cosine between the maps of two classes: what ignores the
    network or the question may score well. Perturbed images go through the network once for all
    methods. Chance depends on ``seed`` and on each image alone, not on its place.

    The network stays as it was, hooks and flags included. Few images are in memory at a time.

    Args:
        model: A ``Model``, or a bare module with ImageNet preprocessing at 224 px.
        images: A folder, whose folders are classes if it has any; a list of what ``Session``
            takes, or of pairs of image and class; a data set of torchvision or Hugging Face; an
            iterable of images or pairs.
        methods: What makes the maps, one or a list, or a dict of names; ``Softening.relative()`` by
            default. A ``Softening``; an ascent as a dict, ``{"steps": 5, "softening": ...}``, with
            ``step_size`` and ``radius`` at 224 px; a name of ``pw.METHODS``; a class, object or
            function by captum's convention, on inputs that are already normalised; a pair of one of
            these and a ``Softening``, inside of which it runs as in ``pw.softened``.
        metrics: Names of ``pw.METRICS``, or metrics, one or a list; six by default.
        targets: Which class the maps are of: ``"top"``, each image's most probable; ``"second"``;
            ``"given"``, the one that comes with the image; or the index of one for all.
        baseline: The method that the others are compared with, by name; the plain gradient is added
            if it is not there.
        second: Another network of the same classes, which counterfactuals are shown to; for
            ``"counterfactual_confirmed"``.
        seed: Of all chance.
        limit: At most so many images, spread over all of them.
        batch_size: Images that are recorded at once; by default as many as pay off.
        folder: Where each batch is kept; the same call goes on where it was cut off.
        client: A ``dask.distributed.Client``, whose workers measure the batches.
        progress: Called with a ``Progress`` after each batch; ``print`` is enough.
        stop: Asked before each batch; the run ends where it is true.

    Returns:
        The result; what there is of it where it was stopped or interrupted.

    Raises:
        ImageError: If an image cannot be read; those of a folder are left out instead.
        ValueError: For unknown names, classes or numbers, or a folder of another run.
        TypeError: For methods, metrics or images that are none.
        ImportError: If captum is needed and not installed; or Dask.
    """
    model = Model.of(model)
    chosen = explainers(methods, baseline=baseline)
    several = chosen_metrics(metrics)
    photographs = opened(images).limited(limit)
    return measure(
        model,
        photographs,
        chosen,
        several,
        targets,
        baseline=baseline,
        second=None if second is None else Model.of(second),
        seed=seed,
        batch_size=batch_size,
        folder=folder,
        client=client,
        progress=progress,
        stop=stop,
    )


def measure(
    model: Model,
    images: Images,
    methods: Sequence[Explainer],
    metrics: Sequence[Metric],
    targets: str | int = "top",
    *,
    baseline: str,
    second: Model | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    folder: str | Path | None = None,
    client: Any = None,
    progress: Report | None = None,
    stop: Callable[[], bool] | None = None,
) -> Evaluation:
    """The same with methods and metrics that are chosen already, and nothing beside them."""
    size = default_batch(model) if batch_size is None else checks.whole("batch_size", batch_size)
    if client is not None:
        checked(client)
    if second is None and any(one.name == "counterfactual_confirmed" for one in metrics):
        raise ValueError(
            'The metric "counterfactual_confirmed" needs another network; give second=...'
        )
    plan = _plan(model, images, methods, metrics, targets, seed, second)
    settings = _settings(model, images, plan, baseline, size)
    place = None if folder is None else folders.opened(folder, settings)
    parts = Parts()
    start, fresh = time.perf_counter(), 0
    stopped = _Stop(stop)
    complete = False
    try:
        for number, content, known in _contents(model, plan, images, size, place, client, stopped):
            if not known:
                folders.keep(place, number, content)
                fresh += len(content["names"]) + len(content["skipped"])
            parts.add(content)
            if progress is not None:
                seconds = time.perf_counter() - start
                progress(Progress(parts.seen, images.count, fresh, seconds))
        complete = not stopped.asked
    except KeyboardInterrupt:
        if not parts.seen:
            raise
    seconds = time.perf_counter() - start
    if not parts.names:
        raise ValueError(
            "No image was measured: "
            + ("none can be read." if parts.skipped else "the run was stopped before the first.")
        )
    return Evaluation(
        methods=tuple(one.name for one in plan.methods),
        metrics=plan.metrics,
        baseline=baseline,
        controls=tuple(one.name for one in plan.methods if one.control),
        settings=settings,
        parts=parts,
        complete=complete,
        rate=fresh / seconds if seconds > 0 else 0.0,
    )


class _Stop:
    """Whether to stop, which stays so once it was said."""

    def __init__(self, stop: Callable[[], bool] | None) -> None:
        self._stop = stop
        self.asked = False

    def __call__(self) -> bool:
        self.asked = self.asked or (self._stop is not None and bool(self._stop()))
        return self.asked


Content = tuple[int, dict[str, Any], bool]
"""A batch's number and results, and whether an earlier run made them."""


def _contents(
    model: Model,
    plan: Plan,
    images: Images,
    size: int,
    place: Path | None,
    client: Any,
    stopped: _Stop,
) -> Iterator[Content]:
    """The results of each batch in order: those kept, and new ones."""
    kept: set[int] = set()

    def batches() -> Iterator[tuple[int, Any]]:
        rest = iter(images)
        for number in itertools.count():
            items = list(itertools.islice(rest, size))
            if not items or stopped():
                return
            there = folders.batch(place, number)
            if there is not None:
                kept.add(number)
            yield number, items if there is None else there

    if client is not None:
        for number, content in spread(client, model, plan, batches()):
            yield number, content, number in kept
        return
    for number, items in batches():
        if number in kept:
            yield number, items, True
        else:
            yield number, measured(model, plan, items), False


def _plan(
    model: Model,
    images: Images,
    methods: Sequence[Explainer],
    metrics: Sequence[Metric],
    targets: str | int,
    seed: int,
    second: Model | None,
) -> Plan:
    if targets not in TARGETS and not checks.is_whole(targets):
        raise ValueError(
            f"targets is {targets!r}; expected one of {', '.join(map(repr, TARGETS))}, or the "
            "index of a class."
        )
    plan = Plan(
        tuple(methods),
        tuple(metrics),
        targets,
        seed=checks.whole("seed", seed, least=0),
        at_once=8 if model.device.type == "cpu" else 64,
        skip=images.in_folder,
        threads=torch.get_num_threads(),
        second=second,
    )
    if targets == "given":
        outputs = answers(model, model.blank()).shape[1]
        plan.classes = classes_of(images, model, outputs)
    if any(isinstance(one, Localisation) for one in metrics):
        given, pixels = read(images.some(NEIGHBOURS, plan.seed), model, skip=plan.skip)
        labels = [plan.label(one, model) if targets == "given" else None for one in given]
        plan.neighbours = neighbours(model, list(zip(pixels, labels, strict=True)), plan.at_once)
    return plan


def _settings(model: Model, images: Images, plan: Plan, baseline: str, size: int) -> dict[str, Any]:
    """All that the numbers depend on, in what JSON can hold."""
    second = plan.second
    return {
        **provenance(model),
        "methods": {one.name: one.written() for one in plan.methods},
        "metrics": [written(one) for one in plan.metrics],
        "targets": plan.targets,
        "baseline": baseline,
        "second": None if second is None else {"network": second.name, **fingerprint(second)},
        "seed": plan.seed,
        "batch_size": size,
        "at_once": plan.at_once,
        "threads": plan.threads,
        "device": model.device.type,
        "images": images.count,
        "images_hash": _names_hash(images),
    }


def _names_hash(images: Images) -> str | None:
    """Tells runs on other images apart: by their names and classes, tensors by their values.

    None of an iterable or a data set, which would have to be read.
    """
    if images.count is None or not images.listed:
        return None
    digest = hashlib.sha256()
    for one in images:
        digest.update(f"{one.name}\n{one.label}\n".encode())
        if isinstance(one.source, torch.Tensor):
            digest.update(key(one.source).to_bytes(8, "big"))
    return digest.hexdigest()
