"""From what the controls say to what the screen shows; no widget in here.

A ``State`` is everything the user chose, frozen. A ``Studio`` turns states into ``Frame``s and
recomputes only what changed: a new image or network costs a forward pass, a new target or
temperature one backward pass, a new view nothing.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..drawing import expression, pixels
from ..drawing.pixels import RGB
from ..drawing.words import describe
from ..engine.ascent import Step
from ..engine.layer import Layer
from ..engine.model import Model
from ..engine.report import Report, shown
from ..engine.session import Prediction, Session, with_indices
from ..engine.softening import Softening
from ..engine.target import LOGITS, Channel, Logit, Target, Unit, as_target, same_target
from ..networks.loaded import loaded

View = Literal["pullback", "difference", "perturbed", "photograph", "overlay"]
VIEWS: tuple[View, ...] = get_args(View)
ASCENDED = ("difference", "perturbed")
"""The views that show a result of ascent."""

STRONGEST = 12
BINS = 60


@dataclass(frozen=True, eq=False)
class State:
    """What the controls say.

    Attributes:
        model: A network, or its name in the catalogue.
        image: What ``Session`` takes.
        target: A target, class index or class name; None for the layer's own choice: the top class
            of the logits, the channel of a hidden layer.
        layer: ``"logits"`` or a dotted layer name.
        channel: Channel of a hidden layer; None for the strongest on this image.
        position: (y, x) in the hidden layer's grid; None for the whole map.
        softening: How gates are softened.
        views: The views on screen.
        steps: Steps of ascent.
        step_size: L2 length of a step, in image units.
        radius: L2 radius of the ascent, in image units; None for no limit.
        play: Counts the presses of Play: a new number walks the ascent anew.
        stopped: Whether an ascent that was cut short is shown as far as it came.
    """

    model: Model | str
    image: Any
    target: Target | int | str | None = None
    layer: str = LOGITS
    channel: int | None = None
    position: tuple[int, ...] | None = None
    softening: Softening = field(default_factory=Softening)
    views: frozenset[str] = frozenset({"pullback"})
    steps: int = 5
    step_size: float = 20.0
    radius: float | None = 100.0
    play: int = 0
    stopped: bool = False


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


@dataclass(frozen=True, eq=False)
class Frame:
    """What the screen shows, and all numbers beside it.

    Attributes:
        state: What was asked for.
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

    state: State
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

    def film(self, view: str, colour: str = "rgb") -> list[RGB]:
        """The ascent anew, as pictures: the photograph, then ``view`` after every step.

        Args:
            view: ``"difference"`` or ``"perturbed"``.
            colour: As in ``pixels.signed_map``.
        """
        state = self.state
        steps = Session(self.model, self.image).ascend(
            self.target,
            state.softening,
            steps=state.steps if self.step is None else self.step.index,
            step_size=state.step_size,
            radius=state.radius,
        )
        pictures = [replace(self, step=step).picture(view, colour) for step in steps]
        return [self.picture("photograph"), *pictures]

    def code(self, view: str) -> str:
        """The few lines of Python that compute a view.

        What cannot be written down, a network of one's own or an image without a file, is left as
        ``...`` with a comment.
        """
        state = self.state
        model = expression.of_model(self.model)
        image = expression.of_image(state.image)
        note = "  # your image" if image == "..." else ""
        target = expression.of_target(self.target)
        arguments = f"{target}, softening={expression.of_softening(state.softening)}"
        lines = [
            f"model = {model}",
            f"session = pw.Session(model, {image}){note}",
            f"pullback = session.pullback({arguments})" + ("  # your target" * ("..." in target)),
        ]
        if view in ASCENDED:
            steps = state.steps if self.step is None else self.step.index  # fewer if stopped
            walk = f"steps={steps}, step_size={state.step_size}, radius={state.radius}"
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


class Studio:
    """Turns states into frames, one thread at a time."""

    # A recorded session holds all activations of a network. Only the studios used last keep
    # theirs, so that a cell run ten times does not hold ten; the others record again when touched.
    _recent: ClassVar[list[weakref.ref[Studio]]] = []
    _recent_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Make a studio.

        Args:
            progress: Called with a network's name, bytes done and bytes in all, while it downloads.
        """
        self._progress = progress
        self._session: Session | None = None
        self._key: tuple[Model, Any] | None = None
        self._view: LayerView | None = None
        self._last: Frame | None = None

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

    def frames(self, state: State) -> Generator[Frame, None, None]:
        """Compute a state; one frame, or one for each step of ascent where a view shows it.

        Raises:
            ValueError: For layers, channels, positions or classes the network does not have, and
                for results that are not finite.
            Exception: Whatever the network raises.
        """
        start = time.perf_counter()
        model = self.model(state.model)
        session = self.session(model, state.image)
        _check_finite(session.logits, "network's output")
        target = self._target(session, state)
        last = self._last
        same = last is not None and same_target(last.target, target)
        view = self._layer_view(session, state.layer)
        if same and last is not None and last.state.softening == state.softening:
            pulled = last.pullback
        else:
            pulled = session.pullback(target, state.softening).cpu()
            last = None
        _check_finite(pulled, "pullback")
        frame = Frame(
            state,
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
        walked = last.step if last is not None and _same_ascent(last.state, state) else None
        if not state.views.intersection(ASCENDED):
            self._last = replace(frame, step=walked)
            yield self._last
            return
        if walked is not None and (walked.index == state.steps or state.stopped):
            self._last = replace(frame, step=walked)
            yield self._last
            return
        for step in session.ascend(
            target,
            state.softening,
            steps=state.steps,
            step_size=state.step_size,
            radius=state.radius,
        ):
            _check_finite(step.perturbed, "image after a step of ascent")
            self._last = replace(frame, step=step, seconds=time.perf_counter() - start)
            yield self._last

    def _target(self, session: Session, state: State) -> Target:
        if state.target is not None:
            return with_indices(as_target(state.target), session.model)
        if state.layer == LOGITS:
            return session.resolve(None)[0]
        channel = state.channel
        if channel is None:
            view = self._layer_view(session, state.layer)
            channel = view.strongest[0][0]
        if state.position is None:
            return Channel(state.layer, channel)
        return Unit(state.layer, channel, state.position)

    def _layer_view(self, session: Session, layer: str) -> LayerView:
        if self._view is None or self._view.layer.name != layer:
            self._view = layer_view(session, layer)
        return self._view

    def _touch(self) -> None:
        with Studio._recent_lock:
            others = [ref for ref in Studio._recent if ref() not in (None, self)]
            Studio._recent[:] = [weakref.ref(self), *others]
            for ref in Studio._recent[2:]:
                idle = ref()
                if idle is not None:
                    idle._session = None
            del Studio._recent[2:]


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


def _same_ascent(first: State, second: State) -> bool:
    return (first.steps, first.step_size, first.radius, first.play) == (
        second.steps,
        second.step_size,
        second.radius,
        second.play,
    )


def _check_finite(values: Tensor, what: str) -> None:
    if not bool(torch.isfinite(values).all()):
        raise ValueError(
            f"The {what} holds NaN or infinite values: the network's numbers overflow on this "
            "image; try another image, a layer nearer to the input, or a larger temperature."
        )
