"""The counterfactual grid, the paper's figure 1: each image, pushed towards the others' classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..drawing import pixels, words
from ..drawing.paper import new_figure, note, without_axes, wrapped
from ..drawing.pixels import RGB
from ..drawing.words import describe
from ..engine.memory import halving
from ..engine.model import Model
from ..engine.session import Session, TargetLike, with_indices
from ..engine.softening import Softening
from ..engine.target import Logit, Target, as_target
from .declared import Walked, computed, drawn
from .images import photographs
from .kinds import OneOf, Whole
from .network_kinds import DEFAULT, Aimed, Images, Network, Softened, Targets
from .result import Progress, Result, completed, default_batch, entitle, partly, to_numpy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXTRA = "ostrich"
"""The class of the last column that no image belongs to, as in the paper."""

Shown = Literal["difference", "perturbed"]


@dataclass(frozen=True, eq=False)
class GridRequest(Walked):
    """What a counterfactual grid is asked for; see ``pw.counterfactual_grid``."""

    FUNCTION = "counterfactual_grid"
    WIDGET = "CounterfactualGrid"
    VARIABLE = "grid"
    FINALLY = "grid.figure()"

    model: Model = field(metadata=computed(Network()))
    images: Any = field(metadata=computed(Images()))
    targets: Any = field(default=None, metadata=computed(Targets(optional=True)))
    softening: Softening = field(default=DEFAULT, metadata=computed(Softened()))
    _: KW_ONLY
    extra: TargetLike = field(default=EXTRA, metadata=computed(Aimed(optional=True)))
    batch_size: int | None = field(default=None, metadata=computed(Whole(1, optional=True)))
    shown: Shown = field(default="difference", metadata=drawn(OneOf(get_args(Shown))))


@dataclass(eq=False, repr=False)
class Grid(Result):
    """R images, C targets, and each image after ascent towards each target.

    Cells that are not computed yet are zero, and NaN where they are numbers.

    Attributes:
        request: What was asked for; ``softening``, ``steps``, ``step_size``, ``radius`` and
            ``shown`` read as attributes of the grid.
        sources: R images as they were given, by name.
        images: What the network saw, (R, 3, H, W) in [-1, 1].
        targets: C targets, class names resolved.
        differences: Image after ascent minus image, (R, C, 3, H, W).
        before: The target's value before, (R, C): the class's probability, 0 to 1; scores, if a
            target is hidden.
        after: Likewise after the ascent.
        done: Steps that are walked in each cell, (R, C).
    """

    request: GridRequest
    sources: Mapping[str, Any]
    images: Tensor
    targets: list[Target]
    differences: Tensor = field(init=False, repr=False)
    before: NDArray[np.float64] = field(init=False, repr=False)
    after: NDArray[np.float64] = field(init=False, repr=False)
    done: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = len(self.sources), len(self.targets)
        self.differences = torch.zeros(*shape, *self.images.shape[1:], dtype=self.images.dtype)
        self.before = np.full(shape, np.nan)
        self.after = np.full(shape, np.nan)
        self.done = np.zeros(shape, np.int64)

    @property
    def names(self) -> list[str]:
        """R names of the images."""
        return list(self.sources)

    @property
    def by_class(self) -> bool:
        """Whether there are probabilities: all targets are classes, of a network that has them."""
        known = self.model.probability != "none"
        return known and all(isinstance(target, Logit) for target in self.targets)

    @property
    def perturbed(self) -> Tensor:
        """The images after ascent, (R, C, 3, H, W) in [-1, 1]."""
        return self.images[:, None] + self.differences

    @property
    def labels(self) -> list[str]:
        """The targets in a few words."""
        return [describe(target, self.model) for target in self.targets]

    def picture(self, row: int, column: int, shown: Shown = "difference") -> RGB:
        """A cell as (H, W, 3) bytes."""
        difference = self.differences[row, column]
        if shown == "difference":
            return pixels.signed_map(difference)
        return pixels.photograph(self.images[row] + difference)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "images": to_numpy(self.images),
            "differences": to_numpy(self.differences),
            "before": self.before,
            "after": self.after,
            "done": self.done,
        }

    @property
    def asked(self) -> GridRequest:
        # All columns are named, so that none is added to them again.
        return dataclasses.replace(self.request, targets=self.targets, extra=None)

    def named(self) -> dict[str, Any]:
        return {"images": self.names, "targets": self.labels}

    def summary(self) -> str:
        rows, columns = self.done.shape
        of = f"{words.counted(rows, 'image')} x {words.counted(columns, 'target')}"
        return f"{of}, {self.model.name}, {self.how(self.softening)}"

    def figure(self, shown: Shown | None = None) -> Figure:
        """The grid for print: photographs on the left, a column for each target.

        Args:
            shown: ``"difference"`` or ``"perturbed"``; by default the attribute.
        """
        shown = shown or self.shown
        rows, columns = self.done.shape
        figure = new_figure(figsize=(1.15 * (columns + 1) + 0.2, 1), dpi=100, layout="constrained")
        walk = f"{shown} after {words.counted(self.steps, 'step')} of ascent"
        text = entitle(figure, f"{walk}, {self.model.name}, {self.how(self.softening)}", self)
        titles = [
            wrapped(title.replace(" (class", "\n(class"), 1, 6.5, most=3)
            for title in ("photograph", *self.labels)
        ]
        lines = text.get_text().count("\n") + max(title.count("\n") for title in titles)
        figure.set_figheight(1.22 * rows + 0.45 + 0.11 * lines)
        axes = figure.subplots(rows, columns + 1, squeeze=False)
        for row, name in enumerate(self.names):
            axes[row, 0].imshow(pixels.photograph(self.images[row]))
            axes[row, 0].set_ylabel(wrapped(name, 0.95, 7, most=2), fontsize=7)
            for column in range(columns):
                cell, done = axes[row, column + 1], int(self.done[row, column])
                if not done:
                    note(cell, "not computed")
                    continue
                cell.imshow(self.picture(row, column, shown), interpolation="nearest")
                label = f"{self.change(row, column)}{partly(done, self.steps)}"
                cell.set_xlabel(label, fontsize=5.5, labelpad=1.5)
        for column, title in enumerate(titles):
            axes[0, column].set_title(title, fontsize=6.5)
        for one in axes.flat:
            without_axes(one)
        figure.draw_without_rendering()  # the layout leaves room for all titles the second time
        return figure

    def change(self, row: int, column: int) -> str:
        """What became of a cell's target, as ``3 % → 98 %``."""
        before, after = self.before[row, column], self.after[row, column]
        if self.by_class:
            return f"{100 * before:.0f} % → {100 * after:.0f} %"
        return f"{before:.3g} → {after:.3g}"


def counterfactual_grid(
    model: Model | nn.Module,
    images: Any,
    targets: TargetLike | Sequence[TargetLike] = None,
    softening: Softening | None = None,
    *,
    extra: Target | int | str | None = EXTRA,
    steps: int = 5,
    step_size: float = 20.0,
    radius: float | None = 100.0,
    batch_size: int | None = None,
    shown: Shown = "difference",
    progress: Progress | None = None,
) -> Grid:
    """Walk every image towards every target.

    Args:
        model: A ``Model``, or a bare module with ImageNet preprocessing at 224 px.
        images: A list of what ``Session`` takes, a mapping from names to such images, or a folder.
        targets: The columns, a list or one; None for each image's own top class, in the images'
            order, so that the diagonal strengthens what an image shows already.
        softening: ``Softening.relative(0.85)`` by default.
        extra: One more target, the last column; None for none. It is left out where it is a column
            already, the default also where the network has no such class.
        steps: Steps of ascent, 1 or more.
        step_size: L2 length of a step in image units, above 0; 20 at 224 px is like 2.9 at 32 px
            (:meth:`Session.ascend`), and radii likewise.
        radius: L2 radius around the image, above 0; None for no limit.
        batch_size: Cells computed at once; by default 4 on a CPU, 32 elsewhere. Half as many from
            where memory runs out.
        shown: What the figure's tiles show: ``"difference"`` or ``"perturbed"``.
        progress: Called with the share that is done, 0 to 1.

    Returns:
        The grid.

    Raises:
        ImageError: If an image cannot be read.
        ValueError: For numbers out of range, unknown layers or classes, no images, or images of
            several sizes.
    """
    request = GridRequest(
        Model.of(model),
        images,
        targets,
        Softening.checked(softening),
        extra=extra,
        steps=steps,
        step_size=step_size,
        radius=radius,
        batch_size=batch_size,
        shown=shown,
    )
    return completed(compute(request), progress)


def compute(request: GridRequest) -> Iterator[Grid]:
    """The grid after each step of ascent of each batch."""
    model = request.model
    batch_size = request.batch_size or default_batch(model)
    named = photographs(request.images)
    pixels, _ = model.batch(list(named.values()))
    targets = request.targets
    if targets is None:
        targets = _own_classes(model, pixels, batch_size)
    columns = [with_indices(as_target(one), model) for one in targets]
    extra = request.extra
    if extra is not None and not (extra == EXTRA and not _knows(model, EXTRA)):
        last = with_indices(as_target(extra), model)
        columns += [] if last in columns else [last]
    if not columns:
        raise ValueError("targets is empty; give at least one class or target, or None.")
    return _fill(Grid(request, named, pixels, columns), batch_size)


def _fill(grid: Grid, batch_size: int) -> Iterator[Grid]:
    yield grid
    yield from halving(lambda size: _walk(grid, size), batch_size)


def _walk(grid: Grid, batch_size: int) -> Iterator[Grid]:
    """Walk column by column: one forward pass over some images serves all their targets.

    Columns of which these images are all done are left out.
    """
    for rows in torch.arange(len(grid.names)).split(batch_size):
        done = (grid.done[rows.numpy()] == grid.steps).all(0)
        columns = [n for n in range(len(grid.targets)) if not done[n]]
        if not columns:
            continue
        together = max(1, min(batch_size // len(rows), len(columns)))  # columns in one batch
        session = Session(grid.model, grid.images[rows.repeat(together)], range=(-1, 1))
        for start in range(0, len(columns), together):
            # The last columns may be fewer than the batch holds; then they stand in it twice.
            some = [columns[(start + n) % len(columns)] for n in range(together)]
            cells = [(row, column) for column in some for row in rows.tolist()]
            targets = [grid.targets[column] for _, column in cells]
            for cell, value in zip(cells, _values(grid, session, targets), strict=True):
                grid.before[cell] = value
            for step in session.ascend(targets, grid.softening, **grid.request.walk):
                after = step.probability if grid.by_class else step.score
                for n, cell in enumerate(cells):
                    grid.differences[cell] = step.difference[n]
                    grid.after[cell] = float(after[n])
                    grid.done[cell] = step.index
                grid.progress = float(grid.done.sum()) / (grid.done.size * grid.steps)
                yield grid


def _values(grid: Grid, session: Session, targets: list[Target]) -> list[float]:
    """The targets before the ascent: probabilities if all are classes, else scores."""
    scores = session.score(targets)
    if not grid.by_class:
        return [float(score) for score in scores]
    probabilities = session.recording.probabilities()
    assert probabilities is not None  # of classes whose scores were just read
    labels = [int(target.label) for target in targets if isinstance(target, Logit)]
    return [float(probabilities[n, label]) for n, label in enumerate(labels)]


def _own_classes(model: Model, pixels: Tensor, batch_size: int) -> list[TargetLike]:
    """Each image's top class, each once, in the images' order."""
    own: list[TargetLike] = []
    for some in halving(partial(_predicted, model, pixels), batch_size):
        for best in some:
            if best[0].index not in own:
                own.append(best[0].index)
    return own


def _predicted(model: Model, pixels: Tensor, batch_size: int) -> Iterator[list[Any]]:
    for some in pixels.split(batch_size):
        yield Session(model, some, range=(-1, 1)).predictions(1)


def _knows(model: Model, name: str) -> bool:
    return model.categories is not None and name in model.categories
