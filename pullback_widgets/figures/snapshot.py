"""From what the controls say to what the screen shows; no widget in here.

A ``SnapshotRequest`` is everything the user chose. ``Sessions`` turns requests into ``Snapshot``s
and recomputes only what changed: a new image or network costs a forward pass, a new target or
temperature one backward pass, a new view nothing.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Generator
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..drawing import expression, files, pixels
from ..drawing.paper import side_by_side
from ..drawing.pixels import RGB
from ..drawing.words import describe
from ..engine.ascent import Step
from ..engine.layer import Layer
from ..engine.model import Model
from ..engine.report import Report, shown
from ..engine.session import Prediction, Session, TargetLike, with_indices
from ..engine.softening import Softening
from ..engine.target import LOGITS, Channel, Logit, Target, Unit, as_target, same_target
from ..networks.loaded import loaded
from . import recipe
from .declared import Request, Walked, computed, viewed
from .kinds import DEFAULT, Aimed, Image, Network, OneOf, Position, Share, Softened, Whole, Words
from .recipe import EXPLORER
from .result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

View = Literal["pullback", "difference", "perturbed", "photograph", "overlay"]
VIEWS: tuple[View, ...] = get_args(View)
ASCENDED = ("difference", "perturbed")
"""The views that show a result of ascent."""

STRONGEST = 12
BINS = 60


@dataclass(frozen=True, eq=False)
class SnapshotRequest(Walked):
    """What the Explorer's controls say.

    Attributes:
        model: A network, or its name.
        image: What ``Session`` takes.
        softening: How gates are softened.
        layer: ``"logits"`` or a dotted layer name.
        target: A target, class index or class name; None for the layer's own choice: the top class
            of the logits, the channel of a hidden layer.
        channel: Channel of a hidden layer; None for the strongest on this image.
        position: (y, x) in the hidden layer's grid; None for the whole map.
        view: What the screen shows.
        compare: What dragging on it wipes to.
        wipe: Share of the width that shows ``compare``, from the left, 0 to 1.
        colour: ``"rgb"`` or ``"diverging"`` colours of signed maps.
        play: Counts the presses of Play: a new number walks the ascent anew.
        stopped: Whether an ascent that was cut short is shown as far as it came.
    """

    FUNCTION = ""
    WIDGET = EXPLORER

    model: Model | str = field(metadata=computed(Network()))
    image: Any = field(metadata=computed(Image()))
    _: KW_ONLY
    softening: Softening = field(default=DEFAULT, metadata=computed(Softened()))
    layer: str = field(default=LOGITS, metadata=computed(Words()))
    target: TargetLike = field(default=None, metadata=computed(Aimed(optional=True)))
    channel: int | None = field(default=None, metadata=computed(Whole(optional=True)))
    position: tuple[int, ...] | None = field(
        default=None, metadata=computed(Position(optional=True))
    )
    view: View = field(default="pullback", metadata=computed(OneOf(VIEWS)))
    compare: View = field(default="photograph", metadata=viewed(OneOf(VIEWS)))
    wipe: float = field(default=0.0, metadata=viewed(Share()))
    colour: str = field(default="rgb", metadata=viewed(OneOf(pixels.COLOURS)))
    play: int = 0
    stopped: bool = False

    @property
    def ascends(self) -> bool:
        """Whether a view on the screen shows a result of ascent."""
        views = {self.view, self.compare} if self.wipe > 0 else {self.view}
        return not views.isdisjoint(ASCENDED)


class Histogram(NamedTuple):
    """Counts of values between ``low`` and ``high`` in equal bins."""

    counts: NDArray[np.int64]
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class LayerView:
    """A hidden layer on the image at hand.

    Attributes:
        layer: The layer; for the logits, with the shape (K,).
        strongest: Channel and activation map, strongest mean positive value first; none for logits.
        gated: The layer whose pre-activations the histograms count.
        absolute: Histogram of its pre-activations.
        relative: Histogram of its pre-activations in units of each channel's scale.
    """

    layer: Layer
    strongest: list[tuple[int, NDArray[np.float32]]]
    gated: str
    absolute: Histogram
    relative: Histogram


@dataclass(eq=False, repr=False)
class Snapshot(Result):
    """What the screen shows, and all numbers beside it.

    Attributes:
        request: What was asked for.
        model: The network.
        image: What the network saw, (3, H, W) in [-1, 1].
        target: What was pulled back, all names resolved.
        pullback: (3, H, W), on the CPU.
        score: Value of the target.
        probability: Of the target's class, None for hidden targets.
        predictions: The network's top classes.
        classes: Number of logits.
        layers: The network's layers in forward order.
        view: The chosen layer on this image.
        report: Which of the network's nonlinearities are softened.
        step: The last step of ascent; None where no view needs one.
        seconds: How long the computation took.
    """

    ENDINGS = (".png", ".gif", ".npz", ".pdf", ".json")

    request: SnapshotRequest
    model: Model
    image: Tensor
    target: Target
    pullback: Tensor
    score: float
    probability: float | None
    predictions: list[Prediction]
    classes: int
    layers: list[Layer]
    view: LayerView
    report: Report
    step: Step | None = None
    seconds: float = 0.0
    progress: float = 1.0

    @property
    def softens(self) -> bool:
        return bool(self.report.gates)

    def tensor(self, view: str) -> Tensor:
        """The (3, H, W) values behind a view."""
        if view in ("pullback", "overlay"):
            return self.pullback
        if view == "photograph":
            return self.image
        if self.step is None:
            return self.image if view == "perturbed" else torch.zeros_like(self.image)
        return self.step.perturbed if view == "perturbed" else self.step.difference

    def picture(self, view: str, colour: str = "rgb") -> RGB:
        """A view as (H, W, 3) bytes."""
        values = self.tensor(view)
        if view in ("photograph", "perturbed"):
            return pixels.photograph(values)
        if view == "overlay":
            return pixels.overlay(values, self.image, colour)
        return pixels.signed_map(values, colour)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All tensors, (3, H, W) in image units, and the numbers beside them."""
        tensors = {"image": self.image, "pullback": self.pullback}
        if self.step is not None:
            tensors |= {"difference": self.step.difference, "perturbed": self.step.perturbed}
        numbers = {
            "score": self.score,
            "top_classes": [one.index for one in self.predictions],
            "top_probabilities": [one.probability for one in self.predictions],
        }
        return {
            **{name: np.asarray(tensor.float().numpy()) for name, tensor in tensors.items()},
            **{name: np.asarray(value) for name, value in numbers.items()},
        }

    def frames(self) -> list[RGB]:
        """The ascent anew, as pictures: the photograph, then the view after every step."""
        request = self.request
        view = request.view if request.view in ASCENDED else "perturbed"
        walk = request.walk | ({} if self.step is None else {"steps": self.step.index})
        steps = Session(self.model, self.image).ascend(self.target, request.softening, **walk)
        pictures = [replace(self, step=step).picture(view, request.colour) for step in steps]
        return [self.picture("photograph"), *pictures]

    def settings(self) -> dict[str, Any]:
        return self._with_walk(recipe.write(self.request, self.networks(), pixels=False))

    def recipe(self, request: Request | None = None) -> dict[str, Any]:
        return self._with_walk(super().recipe(request))

    def _with_walk(self, written: dict[str, Any]) -> dict[str, Any]:
        return written if self.step is None else {**written, "walked": self.step.index}

    def summary(self) -> str:
        return f"{self.title}, {self.model.name}"

    def figure(self) -> Figure:
        """Photograph, pullback, and the chosen view or the ascent, side by side."""
        view, colour = self.request.view, self.request.colour
        views = ["photograph", "pullback", *(ASCENDED if self.step is not None else ())]
        if view not in (*views, *ASCENDED):
            views.append(view)
        pictures = {f"{one}\n{self.legend(one)}": self.picture(one, colour) for one in views}
        what = f"{self.summary()}, {self.how(self.request.softening)}"
        title = f"{what}\n{self.outcome}\n{self.report.exceptions}".rstrip()
        return side_by_side(pictures, title)

    def legend(self, view: str) -> str:
        """What the values of a view are."""
        if view in ("photograph", "perturbed"):
            if view == "perturbed" and self.step is not None:
                distance = float(self.step.difference.norm())
                return f"L2 distance from the photograph: {distance:.1f}"
            return "what the network sees"
        values = self.tensor(view)
        if self.request.colour == "diverging":
            values = values.mean(0, keepdim=True)
        return (
            f"mid-grey is 0, full strength ±{pixels.limit(values):.3g} "
            f"({pixels.PERCENTILE:g}th percentile)"
        )

    def _repr_png_(self) -> bytes:
        """The photograph, and beside it what the screen shows."""
        shown = self.picture(self.request.view, self.request.colour)
        return pixels.png(pixels.side_by_side([self.picture("photograph"), shown]))

    def save(self, path: str | Path) -> Path:
        """Write what is on the screen to a file; its ending says how.

        Args:
            path: ``.gif``: the ascent, step by step; ``.npz``: tensors and settings; ``.pdf``,
                ``.svg``: the figure; ``.json``: the recipe, which ``pw.open_recipe`` opens again;
                ``.png`` and whatever else a picture can be: the picture without the wipe.

        Raises:
            ValueError: For any other ending.
        """
        path = Path(path).expanduser()
        ending = path.suffix.lower()
        if ending == ".svg":
            return files.save_figure(path, self.figure())
        if ending in self.ENDINGS and ending != ".png":
            return super().save(path)
        return pixels.save(self.picture(self.request.view, self.request.colour), path)

    def code(self, view: str | None = None) -> str:
        """The few lines of Python that compute a view, by default the one on the screen.

        What cannot be written down, a network of one's own or an image without a file, is left as
        ``...`` with a comment.
        """
        request, view = self.request, view or self.request.view
        model = expression.of_model(self.model)
        image = expression.of_image(request.image)
        note = "  # your image" if image == "..." else ""
        target = expression.of_target(self.target)
        arguments = f"{target}, softening={expression.of_softening(request.softening)}"
        lines = [
            f"model = {model}",
            f"session = pw.Session(model, {image}){note}",
            f"pullback = session.pullback({arguments})" + ("  # your target" * ("..." in target)),
        ]
        if view in ASCENDED:
            steps = request.steps if self.step is None else self.step.index  # fewer if stopped
            walk = f"steps={steps}, step_size={request.step_size}, radius={request.radius}"
            lines += [
                f"*_, last = session.ascend({arguments}, {walk})",
                f"{view} = last.{view}",
            ]
        return expression.script(*lines)

    @property
    def title(self) -> str:
        """The target in words."""
        return describe(self.target, self.model)

    @property
    def outcome(self) -> str:
        """The target's probability or score, and what became of it by the ascent."""
        before, what = self.probability, "probability"
        if before is None:
            before, what = self.score, "score"
        if self.step is None:
            return f"{what} {before:.3g}"
        after = self.step.probability if what == "probability" else self.step.score
        steps = f"{self.step.index} step{'s' * (self.step.index != 1)}"
        return f"{what} {before:.3g} → {after:.3g} after {steps} of ascent"


class Sessions:
    """Turns requests into snapshots, one thread at a time, and keeps what the last one needed."""

    # A recorded session holds all activations of a network. Only those used last keep
    # theirs, so that a cell run ten times does not hold ten; the others record again when touched.
    _recent: ClassVar[list[weakref.ref[Sessions]]] = []
    _recent_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Make it.

        Args:
            progress: Called with a network's name, bytes done and bytes in all, while it downloads.
        """
        self._progress = progress
        self._session: Session | None = None
        self._key: tuple[Model, Any] | None = None
        self._view: LayerView | None = None
        self._last: Snapshot | None = None

    def model(self, model: Model | str) -> Model:
        """The network, loaded if it is a name; its report will be seen in the widget."""
        model = loaded(model, self._progress)
        shown(model.module)
        return model

    def session(self, model: Model, image: Any) -> Session:
        """The recorded forward pass of this image in this network."""
        session = self._session
        if (
            session is None
            or self._key is None
            or self._key[0] is not model
            or (self._key[1] is not image)
        ):
            session = Session(model, image)
            self._session, self._key, self._view, self._last = session, (model, image), None, None
        self._touch()
        return session

    def frames(self, request: SnapshotRequest) -> Generator[Snapshot, None, None]:
        """Compute a request; one frame, or one for each step of ascent where a view shows it.

        Raises:
            ValueError: For layers, channels, positions or classes the network does not have, and
                for results that are not finite.
            Exception: Whatever the network raises.
        """
        start = time.perf_counter()
        model = self.model(request.model)
        session = self.session(model, request.image)
        _check_finite(session.logits, "network's output")
        target = self._target(session, request)
        last = self._last
        same = last is not None and same_target(last.target, target)
        view = self._layer_view(session, request.layer)
        if same and last is not None and last.request.softening == request.softening:
            pulled = last.pullback
        else:
            pulled = session.pullback(target, request.softening).cpu()
            last = None
        _check_finite(pulled, "pullback")
        frame = Snapshot(
            request,
            model,
            session.image,
            target,
            pulled,
            session.score(target),
            _probability(session, target),
            session.predictions(5),
            session.logits.shape[-1],
            session.layers,
            view,
            session.report,
            seconds=time.perf_counter() - start,
        )
        walked = last.step if last is not None and _same_ascent(last.request, request) else None
        enough = walked is not None and (walked.index == request.steps or request.stopped)
        if enough or not request.ascends:
            self._last = replace(frame, step=walked)
            yield self._last
            return
        for step in session.ascend(target, request.softening, **request.walk):
            _check_finite(step.perturbed, "image after a step of ascent")
            self._last = replace(
                frame,
                step=step,
                seconds=time.perf_counter() - start,
                progress=step.index / request.steps,
            )
            yield self._last

    def _target(self, session: Session, request: SnapshotRequest) -> Target:
        if request.target is not None:
            return with_indices(as_target(request.target), session.model)
        if request.layer == LOGITS:
            return session.resolve(None)[0]
        channel = request.channel
        if channel is None:
            view = self._layer_view(session, request.layer)
            channel = view.strongest[0][0]
        if request.position is None:
            return Channel(request.layer, channel)
        return Unit(request.layer, channel, request.position)

    def _layer_view(self, session: Session, layer: str) -> LayerView:
        if self._view is None or self._view.layer.name != layer:
            self._view = layer_view(session, layer)
        return self._view

    def _touch(self) -> None:
        with Sessions._recent_lock:
            others = [ref for ref in Sessions._recent if ref() not in (None, self)]
            Sessions._recent[:] = [weakref.ref(self), *others]
            for ref in Sessions._recent[2:]:
                idle = ref()
                if idle is not None:
                    idle._session = None
            del Sessions._recent[2:]


def layer_view(session: Session, layer: str) -> LayerView:
    """A layer on the session's image: its strongest channels and its pre-activations."""
    gated, values, scale = session.gate_inputs(layer)
    strongest: list[tuple[int, NDArray[np.float32]]] = []
    if layer == LOGITS:
        found = Layer(LOGITS, "", tuple(session.logits.shape))
    else:
        found = next(one for one in session.layers if one.name == layer)
        activations = session.activations(layer).float().cpu()
        strength = activations.clamp_min(0).reshape(len(activations), -1).mean(1)
        for channel in strength.topk(min(STRONGEST, len(strength))).indices.tolist():
            strongest.append((channel, _as_map(activations[channel])))
    values = values.float().cpu()
    units = scale.float().cpu().view(-1, *[1] * (values.dim() - 1))
    return LayerView(found, strongest, gated, histogram(values), histogram(values / units))


def histogram(values: Tensor) -> Histogram:
    """Counts in BINS bins around zero that hold the central 99 % of the values."""
    array = values.flatten().numpy()
    array = array[np.isfinite(array)]
    low, high = np.percentile(array[:: max(1, array.size // 100_000)], [0.5, 99.5])
    reach = float(max(abs(low), abs(high))) or 1.0
    low, high = max(float(low), -reach) if low < 0 else -0.2 * reach, float(max(high, 0.2 * reach))
    counts, _ = np.histogram(array, BINS, (low, high))
    return Histogram(counts, low, high)


def _as_map(values: Tensor) -> NDArray[np.float32]:
    """One channel as a two-dimensional map, whatever dimensions the layer has."""
    if values.dim() >= 2:
        return values.reshape(-1, values.shape[-1]).numpy()
    return values.reshape(1, -1).numpy()


def _probability(session: Session, target: Target) -> float | None:
    if not isinstance(target, Logit):
        return None
    return float(session.logits.softmax(0)[int(target.label)])


def _same_ascent(first: SnapshotRequest, second: SnapshotRequest) -> bool:
    return (first.walk, first.play) == (second.walk, second.play)


def _check_finite(values: Tensor, what: str) -> None:
    if not bool(torch.isfinite(values).all()):
        raise ValueError(
            f"The {what} holds NaN or infinite values: the network's numbers overflow on this "
            "image; try another image, a layer nearer to the input, or a larger temperature."
        )
