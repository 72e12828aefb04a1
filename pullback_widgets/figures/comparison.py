"""The same image and target in several networks, by several softenings and methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..drawing import expression, pixels, words
from ..drawing.paper import new_figure, note, without_axes, wrapped
from ..drawing.pixels import RGB
from ..drawing.words import accounts_for, describe
from ..engine.completeness import accounted, kind_of_value
from ..engine.image import to_tensor
from ..engine.model import Model
from ..engine.session import Session, TargetLike, with_indices
from ..engine.softening import Softening
from ..engine.target import Difference, Logit, Rivals, Target, as_target, same_target
from ..methods import captum_methods as method
from ..methods.captum_methods import METHODS, NOISE, attribute
from ..networks.loaded import loaded
from . import evenness
from .declared import Request, computed, viewed
from .images import image_name
from .kinds import Number, Place, Positive, Whole, Words
from .network_kinds import DEFAULT, Aimed, Image, Methods, Networks, Softenings
from .provenance import fingerprint
from .result import Progress, Result, completed, default_batch, entitle, to_numpy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEFAULT_METHODS = ("gradient", "smoothgrad", "integrated_gradients", "guided_backprop", "grad_cam")


GRADIENTS = ("pullback", "gradient")
"""Methods whose maps are gradients at the image, which alone account for a share of the value."""


@dataclass(frozen=True)
class Column:
    """A way to make a map.

    Attributes:
        method: A name of ``pw.METHODS``.
        softening: Of the pullbacks; None for the other methods.
    """

    method: str
    softening: Softening | None = None

    @property
    def title(self) -> str:
        """The method, and in a second line its softening."""
        title = METHODS[self.method].title
        if self.softening is None:
            return title
        hard = self.softening.is_hard
        return f"{title}\n{'hard gates' if hard else words.in_words(self.softening)}"


@dataclass(eq=False)
class Row:
    """A network and its maps, zero until they are computed.

    Attributes:
        source: The network as it was given: a ``Model`` or a name of the catalogue.
        model: The network, once it is loaded.
        image: What it saw, (3, H, W) in [-1, 1]; empty until it has run.
        target: What is explained, class names resolved in this network.
        score: The target's value.
        probability: Of the target's class, 0 to 1; NaN for hidden targets.
        maps: One map for each column, (C, 3, H, W).
        problem: Why there are no maps at all; empty where there are some.
        session: The recorded forward pass, while it is needed.
        places: Rows and columns over which the target is a mean; None if it is none.
    """

    source: Model | str
    model: Model | None = None
    image: Tensor = field(default_factory=lambda: torch.zeros(3, 0, 0), repr=False)
    target: Target | None = None
    score: float = math.nan
    probability: float = math.nan
    maps: Tensor = field(default_factory=lambda: torch.zeros(0, 3, 0, 0), repr=False)
    problem: str = ""
    session: Session | None = field(default=None, repr=False)
    places: evenness.Grid | None = None

    @property
    def name(self) -> str:
        """The network's name."""
        source = self.model or self.source
        return source if isinstance(source, str) else source.name

    @property
    def label(self) -> str:
        """The network, the target and its value, in up to three lines."""
        if self.model is None or self.target is None:
            return self.name
        value = f"{self.score:.3g}"
        if not math.isnan(self.probability):
            value = f"{100 * self.probability:.3g} %"
        return f"{self.name}\n{describe(self.target, self.model)}\n{value}"


@dataclass(frozen=True, eq=False)
class ComparisonRequest(Request):
    """What a comparison is asked for; see ``pw.compare``.

    Attributes:
        position: The place that a widget marks in all tiles, (x, y), 0 to 1 from the upper left.
        zoom: How much of it all tiles of a widget show: 1 for everything, up to 8 around the
            position.
    """

    FUNCTION = "compare"
    WIDGET = "Compare"
    VARIABLE = "comparison"
    FINALLY = "comparison.figure()"

    models: Any = field(metadata=computed(Networks()))
    image: Any = field(metadata=computed(Image()))
    target: TargetLike = field(default=None, metadata=computed(Aimed(optional=True)))
    _: KW_ONLY
    softenings: Any = field(default=(DEFAULT,), metadata=computed(Softenings()))
    methods: Any = field(default=DEFAULT_METHODS, metadata=computed(Methods()))
    layer: str | None = field(default=None, metadata=computed(Words(optional=True)))
    samples: int | None = field(default=None, metadata=computed(Whole(1, optional=True)))
    noise: float = field(default=NOISE, metadata=computed(Positive()))
    seed: int = field(default=0, metadata=computed(Whole()))
    position: tuple[float, float] = field(default=(0.5, 0.5), metadata=viewed(Place()))
    zoom: float = field(default=1.0, metadata=viewed(Number(1, 8)))


@dataclass(eq=False, repr=False)
class Comparison(Result):
    """R networks by C methods on one image.

    Attributes:
        request: What was asked for; ``target``, ``layer``, ``samples``, ``noise`` and ``seed`` read
            as attributes of the comparison.
        columns: C ways to make a map.
        rows: R networks with their maps.
        done: Which maps are computed, (R, C).
        problems: Why a single cell is empty, by (row, column).
    """

    request: ComparisonRequest
    columns: list[Column]
    rows: list[Row]
    done: NDArray[np.bool_] = field(init=False, repr=False)
    problems: dict[tuple[int, int], str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.done = np.zeros((len(self.rows), len(self.columns)), np.bool_)

    @property
    def source(self) -> Any:
        """The image as it was given."""
        return self.request.image

    @property
    def softens(self) -> bool:
        unknown = any(row.model is None and not row.problem for row in self.rows)
        return unknown or super().softens

    @property
    def titles(self) -> list[str]:
        """Of the columns: the method, and in a second line its softening."""
        if self.softens:
            return [one.title for one in self.columns]
        return [
            METHODS[one.method].title + "\nplain gradient" * (one.softening is not None)
            for one in self.columns
        ]

    def networks(self) -> list[Model]:
        return [row.model for row in self.rows if row.model is not None]

    def picture(self, row: int, column: int) -> RGB:
        """A map as (H, W, 3) bytes: signed maps with zero in mid-grey, Grad-CAM as heat."""
        values = self.rows[row].maps[column]
        if self.columns[column].method == "grad_cam":
            return pixels.heat(values[0].cpu())
        return pixels.signed_map(values)

    def value(self, row: int, column: int, x: float, y: float) -> float:
        """A map's value at a place, the mean of its three channels.

        Args:
            row: The network.
            column: The method.
            x: From the left edge, 0, to the right one, 1.
            y: From the top, 0, to the bottom, 1.
        """
        values = self.rows[row].maps[column]
        height, width = values.shape[1:]
        return float(
            values[:, min(int(y * height), height - 1), min(int(x * width), width - 1)].mean()
        )

    @property
    def shares(self) -> NDArray[np.float64]:
        """For each pullback and plain gradient, (R, C); see ``Result.shares``."""
        rows, columns = self.done.shape
        return np.array(
            [[self.share(row, column) for column in range(columns)] for row in range(rows)]
        )

    def share(self, row: int, column: int) -> float:
        """Which share of the target's value a map accounts for; NaN of other methods."""
        if not self.done[row, column] or self.columns[column].method not in GRADIENTS:
            return math.nan
        found = self.rows[row]
        return accounted(found.score, found.maps[column], found.image)

    def account(self, row: int, column: int) -> str:
        """The same in words, empty where there is none."""
        target = self.rows[row].target
        of = "" if target is None else kind_of_value(target)
        return accounts_for(self.share(row, column), of)

    def even(self, row: int) -> str:
        """Why a pullback of a network is the same everywhere; see ``evenness.even``."""
        found = (
            evenness.even(self.rows[row].maps[column], self.rows[row].places)
            for column, one in enumerate(self.columns)
            if self.done[row, column] and one.method in GRADIENTS
        )
        return next(filter(None, found), "")

    def release(self) -> None:
        """Forget the recorded forward passes, which hold every network's activations."""
        for row in self.rows:
            row.session = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {
            "done": self.done,
            "shares": self.shares,
            "scores": np.array([row.score for row in self.rows]),
            "probabilities": np.array([row.probability for row in self.rows]),
        }
        for number, row in enumerate(self.rows):  # networks differ in the size of their input
            arrays[f"image_{number}"] = to_numpy(row.image)
            arrays[f"maps_{number}"] = to_numpy(row.maps)
        return arrays

    def named(self) -> dict[str, Any]:
        return {
            "image": image_name(self.source),
            "networks": [_described(row) for row in self.rows],
            "columns": [
                {
                    "method": column.method,
                    "softening": column.softening and expression.of_softening(column.softening),
                }
                for column in self.columns
            ],
            "problems": [[*cell, reason] for cell, reason in sorted(self.problems.items())],
        }

    def summary(self) -> str:
        rows, columns = self.done.shape
        return f"{words.counted(rows, 'network')} x {words.counted(columns, 'method')}"

    def figure(self) -> Figure:
        """The table for print: photographs on the left, a column for each method."""
        rows, columns = self.done.shape
        figure = new_figure(
            figsize=(1.45 * (columns + 1) + 0.5, 1.5 * rows + 0.75), dpi=100, layout="constrained"
        )
        axes = figure.subplots(rows, columns + 1, squeeze=False)
        for number, row in enumerate(self.rows):
            if row.image.numel():
                axes[number, 0].imshow(pixels.photograph(row.image), interpolation="nearest")
            axes[number, 0].set_ylabel(wrapped(row.label, 1.3, 7, most=2), fontsize=7)
            if row.problem:  # once for the whole row
                reason = wrapped(row.problem, 1.4 * columns, 6)
                text = axes[number, 1].text(0, 0.5, reason, va="center", fontsize=6)
                text.set_in_layout(False)  # it runs on over the empty cells
            for column in range(columns):
                cell = axes[number, column + 1]
                if self.done[number, column]:
                    cell.imshow(self.picture(number, column), interpolation="nearest")
                    cell.set_xlabel(self.account(number, column), fontsize=6, labelpad=2)
                elif (number, column) in self.problems or not row.problem:
                    note(cell, self.problems.get((number, column), "not computed"))
        for column, title in enumerate(["Photograph", *self.titles]):
            axes[0, column].set_title(title, fontsize=7)
        for one in axes.flat:
            one.set_box_aspect(1)
            one.patch.set_visible(False)
            without_axes(one)
        name = image_name(self.source)
        title = (
            f"{name + ': what' if name else 'What'} speaks for the target\n"
            "signed maps: mid-grey is zero, each scaled by itself; Grad-CAM: bright is high"
        )
        entitle(figure, title, self, size=7)
        return figure


def compare(
    models: Any,
    image: Any,
    target: TargetLike = None,
    *,
    softenings: Softening | Sequence[Softening] | None = None,
    methods: Sequence[str] = DEFAULT_METHODS,
    layer: str | None = None,
    samples: int | None = None,
    noise: float = NOISE,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Explain one target of one image in several networks and by several methods.

    A network that cannot do something, for want of such a class, of captum or of its weights,
    leaves its cells empty, with the reason; the others go on.

    Args:
        models: The rows: ``Model``s, modules, or names of ``pw.CATALOGUE``; a list or one.
        image: One image, as ``Session`` takes it.
        target: What is explained; None for the first network's top class. A class index is the
            first network's, and in the others the class of the same name is meant; where there are
            no names, the same index if the networks have equally many classes.
        softenings: Columns with the pullback: ``Softening.relative(0.85)`` by default.
        methods: Columns with other methods, names of ``pw.METHODS``. The methods but
            ``smooth_pullback``, which takes each of the softenings, need captum.
        layer: The layer that Grad-CAM reads; by default each network's last one with positions.
        samples: Points or noisy copies for the methods that average; by default each one's own.
        noise: Standard deviation of the noise as a share of the image's range, above 0.
        seed: Of the noise.
        progress: Called with the share that is done, 0 to 1.

    Returns:
        The comparison.

    Raises:
        ImageError: If the image cannot be read.
        ValueError: For unknown names of networks or methods, or if no network can do anything.
        TypeError: For networks, targets or softenings that are none.
    """
    request = ComparisonRequest(
        models,
        image,
        target,
        softenings=softenings,
        methods=methods,
        layer=layer,
        samples=samples,
        noise=noise,
        seed=seed,
    )
    comparison = completed(compute(request), progress)
    comparison.release()
    return comparison


def columns_of(
    softenings: Softening | Sequence[Softening] | None, methods: Sequence[str]
) -> list[Column]:
    """A column for the pullback at each softening, then one for each method.

    Raises:
        ValueError: For an unknown method, or if there is no column at all.
        TypeError: If a softening is none.
    """
    softenings = Softenings().check("softenings", softenings)
    columns = [Column("pullback", softening) for softening in softenings]
    for name in Methods().check("methods", methods):
        if method.checked(name).softened:
            columns += [Column(name, softening) for softening in softenings]
        else:
            columns.append(Column(name))
    if not columns:
        raise ValueError("There is nothing to compare; give at least one softening or method.")
    return list(dict.fromkeys(columns))


def compute(
    request: ComparisonRequest,
    columns: Sequence[Column] | None = None,
    *,
    last: Comparison | None = None,
    load: Callable[[Model | str], Model] = loaded,
) -> Iterator[Comparison]:
    """The comparison after each map.

    Args:
        request: What is asked for.
        columns: As ``columns_of`` makes them of the request, which is the default.
        last: A comparison from which all that did not change is taken: recorded forward passes
            of the same network and image, maps of the same target and column.
        load: Loads a network.
    """
    to_tensor(request.image, 32, None)  # raises ImageError with the reason
    if columns is None:
        columns = columns_of(request.softenings, request.methods)
    result = Comparison(request, list(columns), [Row(model) for model in request.models])
    if last is not None and not _same_options(last, result):
        last = None
    return _fill(result, last, load)


def _same_options(last: Comparison, result: Comparison) -> bool:
    return last.source is result.source and all(
        getattr(last, name) == getattr(result, name)
        for name in ("layer", "samples", "noise", "seed")
    )


def _fill(
    result: Comparison, last: Comparison | None, load: Callable[[Model | str], Model]
) -> Iterator[Comparison]:
    before = [_recalled(row, last) for row in result.rows]
    reference: Session | None = None
    for row, old in zip(result.rows, before, strict=True):
        # What is there already is taken over before anyone can stop, and so never lost.
        if old is None:
            yield _counted(result)
        try:
            if not row.problem:
                _open(row, result, load, reference)
                if last is not None and old is not None:
                    _take_over(result, row, last, old)
        except Exception as error:  # whatever a network raises, the others go on
            row.problem = _reason(error)
        if row.session is not None and reference is None:
            reference = row.session
    if all(row.problem for row in result.rows):
        raise ValueError(f"No network can be compared: {result.rows[0].problem}")
    yield _counted(result)
    # Pullbacks cost one backward pass each, so they come first in all rows.
    cells = [
        (row, column)
        for slow in (False, True)
        for row, network in enumerate(result.rows)
        for column, one in enumerate(result.columns)
        if not network.problem and (one.method != "pullback") == slow
    ]
    for cell in cells:
        if not result.done[cell] and cell not in result.problems:
            try:
                _compute(result, *cell)
            except Exception as error:
                result.problems[cell] = _reason(error)
            yield _counted(result)


def _recalled(row: Row, last: Comparison | None) -> Row | None:
    """The row of the same network before; its forward pass is taken over, or why there is none."""
    for old in [] if last is None else last.rows:
        if old.source in (row.source, row.model) and (old.session or old.model is None):
            row.model, row.session = old.model, old.session
            row.problem = old.problem if old.model is None else ""
            return old if row.session or row.problem else None
    return None


def _open(
    row: Row,
    result: Comparison,
    load: Callable[[Model | str], Model],
    reference: Session | None,
) -> None:
    """Load a network, run it, and resolve the target."""
    row.model = row.model or load(row.source)
    row.session = row.session or Session(row.model, result.source)
    row.image = row.session.image
    row.maps = torch.zeros(len(result.columns), *row.image.shape)
    row.target = _translated(result.target, reference or row.session, row.session)
    row.places = evenness.places(row.target, row.session.layers)
    row.score = row.session.score(row.target)
    probability = row.session.probability(row.target)
    row.probability = math.nan if probability is None else probability


def _take_over(result: Comparison, row: Row, last: Comparison, old: Row) -> None:
    """Take the maps of the same target and column from the comparison before."""
    if old.target is None or row.target is None or not same_target(old.target, row.target):
        return
    number, before = result.rows.index(row), last.rows.index(old)
    for column, one in enumerate(result.columns):
        place = last.columns.index(one) if one in last.columns else None
        if place is not None and last.done[before, place]:
            row.maps[column] = old.maps[place]
            result.done[number, column] = True
        elif (before, place) in last.problems:
            result.problems[number, column] = last.problems[before, place or 0]


def _compute(result: Comparison, number: int, column: int) -> None:
    row, one = result.rows[number], result.columns[column]
    assert row.session is not None
    assert row.model is not None  # without it, the cell has its reason
    found = attribute(
        one.method,
        row.session,
        row.target,
        one.softening,
        layer=result.layer,
        samples=result.samples if METHODS[one.method].samples else None,
        noise=result.noise,
        seed=result.seed,
        batch=default_batch(row.model),
    )
    if not bool(torch.isfinite(found).all()):
        raise ValueError("The map holds NaN or infinite values: the network's numbers overflow.")
    row.maps[column] = found.to(row.maps)
    result.done[number, column] = True


def _counted(result: Comparison) -> Comparison:
    cells = result.done.copy()
    for number, row in enumerate(result.rows):
        cells[number] |= bool(row.problem)
    for cell in result.problems:
        cells[cell] = True
    result.progress = float(cells.mean())
    return result


def _translated(target: TargetLike, reference: Session, session: Session) -> Target:
    """The target in a network's own numbers of classes; see ``compare``."""
    if target is None:
        target = reference.resolve(None)[0]
    wanted = as_target(target)
    if isinstance(wanted, Difference):
        return Difference(
            _translated(wanted.first, reference, session),
            _translated(wanted.second, reference, session),
        )
    if isinstance(wanted, Rivals) and not isinstance(wanted.label, str):
        logit = _translated(Logit(wanted.label), reference, session)
        assert isinstance(logit, Logit)
        return replace(wanted, label=logit.label)
    known, own = reference.model, session.model
    if not isinstance(wanted, Logit) or isinstance(wanted.label, str):
        found = with_indices(wanted, own)
    elif known.categories == own.categories or known.categories is None or own.categories is None:
        classes, others = (one.classes for one in (reference, session))
        if classes != others:
            raise ValueError(
                f"Class {wanted.label} is of {known.name}, which has {classes} classes, and "
                f"{own.name} has {others}; give the class by name, and categories to pw.Model."
            )
        found = wanted
    else:
        name = known.label(int(wanted.label))
        # The whole of it: a synonym may be another class there, as "crane" is.
        if name.casefold() not in map(str.casefold, own.categories):
            raise ValueError(
                f"No class of {own.name} is called {name!r}, as class {wanted.label} of "
                f"{known.name} is; give a target that both have."
            )
        found = Logit(own.class_index(name))
    return found


def _described(row: Row) -> dict[str, Any]:
    """A row of a comparison for its settings."""
    known = {} if row.model is None else fingerprint(row.model)
    if row.model is not None and row.target is not None:
        known["target"] = describe(row.target, row.model)
    return {"network": row.name, **known, "problem": row.problem}


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
