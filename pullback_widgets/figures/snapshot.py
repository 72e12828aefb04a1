"""What the Explorer is asked for, and what it shows; no widget in here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..drawing import animation, expression, files, pixels
from ..drawing.file_name import file_name
from ..drawing.paper import side_by_side
from ..drawing.pixels import RGB
from ..drawing.words import counted, describe, in_words
from ..engine.ascent import Step
from ..engine.completeness import accounted, in_short, kind_of_value
from ..engine.image import SAMPLES
from ..engine.layer import Layer
from ..engine.model import Model
from ..engine.output import probabilities_of
from ..engine.report import Report
from ..engine.session import Prediction, Session
from ..engine.target import Target
from . import recipe
from .beside import Asked, Beside, own_words
from .declared import Request, computed, viewed
from .images import image_name
from .kinds import Between, OneOf, Place, Share
from .layer_view import LayerView
from .network_kinds import DEFAULT
from .recipe import EXPLORER
from .result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

View = Literal["pullback", "difference", "perturbed", "photograph", "overlay"]
VIEWS: tuple[View, ...] = get_args(View)
LARGEST_ZOOM, MIDDLE = 16.0, (0.5, 0.5)
"""The largest zoom, and the middle of a picture."""

ASCENDED = ("difference", "perturbed")
"""The views that show a result of ascent."""

Over = Literal["ascent", "temperature"]
OVER: tuple[Over, ...] = get_args(Over)

TIMES = [2 ** (exponent / 2) for exponent in range(-6, 7)]
"""Of the temperature on the screen: those that an animation goes through."""


@dataclass(frozen=True, eq=False)
class SnapshotRequest(Asked):
    """What the Explorer's controls say.

    Attributes:
        model: A network, or its name.
        image: What ``Session`` takes.
        softening: How gates are softened.
        layer: ``"logits"`` or a dotted layer name.
        target: A target, class index or class name; None for the layer's own choice: the top class
            of the logits, the channel of a hidden layer.
        channel: Channel of a hidden layer; None for the strongest on this image, at the position
            where there is one.
        position: (y, x) in the hidden layer's grid; None for the whole map.
        beside: What stands beside: choices that are its own, by name, all others being the same;
            None for the photograph.
        view: What the screen shows.
        compare: What dragging on it wipes to.
        wipe: Share of the width that shows ``compare``, from the left, 0 to 1.
        colour: ``"rgb"`` or ``"diverging"`` colours of signed maps.
        zoom: How many times larger than the screen the picture is, 1 to 16.
        centre: What stands in the middle of the screen, as far as the picture fills it: shares of
            its width and its height.
        over: What an animation runs over: ``"ascent"`` or ``"temperature"``.
        play: Counts the presses of Play: a new number walks the ascent anew.
        stopped: Whether an ascent that was cut short is shown as far as it came.
    """

    FUNCTION = ""
    WIDGET = EXPLORER

    _: KW_ONLY
    beside: Mapping[str, Any] | None = field(
        default=None, metadata=computed(Beside(optional=True), later=True)
    )
    view: View = field(default="pullback", metadata=computed(OneOf(VIEWS)))
    compare: View = field(default="photograph", metadata=viewed(OneOf(VIEWS)))
    wipe: float = field(default=0.0, metadata=viewed(Share()))
    colour: str = field(default="rgb", metadata=viewed(OneOf(pixels.COLOURS)))
    zoom: float = field(default=1.0, metadata=viewed(Between(1.0, LARGEST_ZOOM), later=True))
    centre: tuple[float, float] = field(default=MIDDLE, metadata=viewed(Place(), later=True))
    over: Over = field(default="ascent", metadata=viewed(OneOf(OVER), later=True))
    play: int = 0
    stopped: bool = False

    @property
    def ascends(self) -> bool:
        """Whether a view on the screen shows a result of ascent."""
        wiped = self.wipe > 0 and self.beside is None
        views = {self.view, self.compare} if wiped else {self.view}
        return not views.isdisjoint(ASCENDED)


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
        probability: Of the target's class, None for hidden targets, and where there is none.
        predictions: The network's top classes; none of a network that has no classes.
        logits: Of all classes, (K,), on the CPU; None of such a network.
        classes: Number of classes; 0 of such a network.
        layers: The network's layers in forward order.
        view: The chosen layer on this image.
        report: Which of the network's nonlinearities are softened.
        step: The last step of ascent; None where no view needs one.
        seconds: How long the computation took.
        second: What stands beside, if the request says so.
    """

    ENDINGS = (".png", *animation.offered(), ".npz", ".pdf", ".json")

    request: SnapshotRequest
    model: Model
    image: Tensor
    target: Target
    pullback: Tensor
    score: float
    probability: float | None
    predictions: list[Prediction]
    logits: Tensor | None
    classes: int
    layers: list[Layer]
    view: LayerView
    report: Report
    step: Step | None = None
    seconds: float = 0.0
    progress: float = 1.0
    second: Snapshot | None = None
    _strengths: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    _pictures: dict[tuple[str, str], RGB] = field(default_factory=dict, init=False)

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
        """A view as (H, W, 3) bytes, painted once."""
        if (view, colour) not in self._pictures:
            self._pictures[view, colour] = self._painted(view, colour)
            self._pictures[view, colour].flags.writeable = False
        return self._pictures[view, colour]

    def for_request(self, request: SnapshotRequest) -> Snapshot:
        """The same for a request that differs in what is looked at; without an ascent."""
        same = replace(self, request=request, step=None, progress=1.0, second=None)
        if self.step is None:
            same._strengths, same._pictures = self._strengths, self._pictures
        return same

    def parts(self) -> dict[int, int]:
        """What takes memory: the bytes of each part, by the part's identity."""
        held: list[Any] = [self.pullback, self.image, self.logits, self.view.activations]
        held += [grid for _, grid in self.view.strongest]
        held += list(self._pictures.values())
        return {id(one): one.nbytes for one in held if one is not None}

    def _painted(self, view: str, colour: str) -> RGB:
        values = self.tensor(view)
        if view in ("photograph", "perturbed"):
            return pixels.photograph(values)
        if view == "overlay":
            return pixels.overlay(values, self.image, colour)
        return pixels.signed_map(values, colour)

    def after(self, k: int = 5) -> list[tuple[Prediction, float | None]]:
        """The most probable classes of the image after the ascent.

        Returns:
            Each with its probability before; nothing where no ascent was walked, or one along a
            hidden layer, after which the pass stops.
        """
        if self.step is None or self.step.logits is None or self.logits is None:
            return []
        logits = self.step.logits
        both = probabilities_of(torch.stack([self.logits, logits]), self.model.probability)
        found: list[tuple[Prediction, float | None]] = []
        for i in logits.topk(min(k, len(logits))).indices.tolist():
            before, after = (None, None) if both is None else map(float, both[:, i])
            found.append((Prediction(i, self.model.label(i), after, float(logits[i])), before))
        return found

    @property
    def own(self) -> tuple[str, str]:
        """What this picture and the one beside it do not share, as each of them has it."""
        beside = self.request.beside
        if beside is None or self.second is None:
            return "", ""
        return own_words(self, beside), own_words(self.second, beside)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All tensors, (3, H, W) in image units, and the numbers beside them.

        Those of the picture beside it have names that begin with ``beside_``.
        """
        tensors = {"image": self.image, "pullback": self.pullback}
        if self.step is not None:
            tensors |= {"difference": self.step.difference, "perturbed": self.step.perturbed}
        numbers = {
            "score": self.score,
            "shares": self.shares,
            "top_classes": [one.index for one in self.predictions],
            "top_probabilities": [
                math.nan if one.probability is None else one.probability for one in self.predictions
            ],
        }
        second = {} if self.second is None else self.second.arrays()
        return {
            **{name: np.asarray(tensor.float().numpy()) for name, tensor in tensors.items()},
            **{name: np.asarray(value) for name, value in numbers.items()},
            **{f"beside_{name}": array for name, array in second.items()},
        }

    def frames(self) -> list[RGB]:
        """The pictures of the animation; see :meth:`film`."""
        return [picture for picture, _ in self.film()]

    def film(self) -> list[tuple[RGB, str]]:
        """The animation that ``over`` asks for, computed anew, with a line for each picture.

        Over the ascent: the photograph, then the view after every step. Over the temperature: the
        view from an eighth of the present temperature to eight times as much; an ascent is walked
        at each.

        Raises:
            ValueError: If the temperature changes nothing, because no gate is softened.
        """
        return self._over_temperature() if self.request.over == "temperature" else self._ascended()

    def _ascended(self) -> list[tuple[RGB, str]]:
        request = self.request
        view = request.view if request.view in ASCENDED else "perturbed"
        walk = request.walk | ({} if self.step is None else {"steps": self.step.index})
        steps = self._recorded().ascend(self.target, request.softening, **walk)
        what = f"{self.title}, {self.how(request.softening)}"
        film = [(self.picture("photograph"), "photograph")]
        for step in steps:
            picture = replace(self, step=step).picture(view, request.colour)
            film.append((picture, f"{what}, step {step.index} of {walk['steps']}"))
        return film

    def _over_temperature(self) -> list[tuple[RGB, str]]:
        if not self.softens:
            raise ValueError(
                "No gate is softened here, so a temperature changes nothing; choose the animation "
                "over the ascent."
            )
        request, session, film = self.request, self._recorded(), []
        family = request.softening if request.softening.has_temperature else DEFAULT
        view = "pullback" if request.view == "photograph" else request.view
        for factor in TIMES:
            softening = family.with_temperature(float(f"{factor * family.temperature:.3g}"))
            if view in ASCENDED:
                *_, step = session.ascend(self.target, softening, **request.walk)
                shown = replace(self, step=step)
            else:
                shown = replace(self, pullback=session.pullback(self.target, softening).cpu())
            picture = shown.picture(view, request.colour)
            film.append((picture, f"{self.title}, {in_words(softening)}"))
        return film

    def _recorded(self) -> Session:
        return Session(self.model, self.image, range=(-1, 1))

    def stem(self, ending: str = ".png") -> str:
        """What files are called that show it, such as ``coffee-golf-ball-relative-0.85``.

        Args:
            ending: That they have; an animation shows something else.
        """
        image, view = self.request.image, self.request.view
        photograph = str(image) if isinstance(image, str) and image in SAMPLES else ""
        parts = [photograph or image_name(image) or "photograph"]
        moves = ending in animation.ENDINGS
        if moves and self.request.over == "temperature":
            parts += [self.title, "over temperature", *([view] if view != "pullback" else [])]
        elif moves or view != "photograph":
            parts += [self.title, self.how(self.request.softening)]
            parts += ["ascent"] if moves else [] if view == "pullback" else [view]
        if view in ASCENDED and self.step is not None and not moves:
            parts.append(counted(self.step.index, "step"))
        if self.second is not None and not moves:  # an animation shows the right picture alone
            parts += ["beside", self.own[1]]
        return file_name(*parts)

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
        own, others = self.own
        pictures = {_entitled(one, own, self): self.picture(one, colour) for one in views}
        if self.second is not None:
            if "image" not in (self.request.beside or {}):
                views.remove("photograph")
            pictures |= {
                _entitled(one, others, self.second): self.second.picture(one, colour)
                for one in views
            }
        what = f"{self.summary()}, {self.how(self.request.softening)}"
        title = f"{what}\n{self.outcome}; {self.account}\n{self.report.exceptions}".rstrip()
        return side_by_side(pictures, title)

    def legend(self, view: str) -> str:
        """What the values of a view are."""
        if view in ("photograph", "perturbed"):
            if view == "perturbed" and self.step is not None:
                distance = float(self.step.difference.norm())
                return f"L2 distance from the photograph: {distance:.1f}"
            return "what the network sees"
        return (
            f"mid-grey is 0, full strength ±{self.strength(view):.3g} "
            f"({pixels.PERCENTILE:g}th percentile)"
        )

    def signed(self, view: str) -> Tensor:
        """The values of a signed view as its colours show them, (3, H, W), or (1, H, W) of all."""
        values = self.tensor(view)
        return values.mean(0, keepdim=True) if self.request.colour == "diverging" else values

    def strength(self, view: str) -> float:
        """The value that a signed view shows at full strength; found once."""
        known = (view, self.request.colour)
        if known not in self._strengths:
            self._strengths[known] = pixels.limit(self.signed(view))
        return self._strengths[known]

    def _repr_png_(self) -> bytes:
        """What the screen shows, and left of it the photograph or what is laid beside it."""
        return pixels.png(pixels.side_by_side([self.left(), self.picture(*self._shown)]))

    @property
    def _shown(self) -> tuple[str, str]:
        return self.request.view, self.request.colour

    def left(self) -> RGB:
        """The picture that stands left of the one on the screen."""
        if self.second is not None:
            return self.second.picture(*self._shown)
        return self.picture("photograph")

    def save(self, path: str | Path, over: Over | None = None) -> Path:
        """Write what is on the screen to a file; its ending says how.

        Args:
            path: ``.gif``, ``.webp``, ``.mp4``: an animation; ``.npz``: tensors and settings;
                ``.pdf``, ``.svg``: the figure; ``.json``: the recipe, which ``pw.open_recipe``
                opens again; ``.png`` and whatever else a picture can be: the picture without the
                wipe, and left of it what is laid beside it.
            over: What an animation runs over, ``"ascent"`` or ``"temperature"``; by default the
                request's.

        Raises:
            ValueError: For any other ending, and for MP4 where nothing writes it.
        """
        if over is not None:
            return replace(self, request=replace(self.request, over=over)).save(path)
        path = Path(path).expanduser()
        ending = path.suffix.lower()
        if ending == ".svg":
            return files.save_figure(path, self.figure())
        if ending in animation.ENDINGS:
            return self.save_film(path.with_suffix(ending))
        if ending in self.ENDINGS and ending != ".png":
            return super().save(path)
        picture = self.picture(*self._shown)
        if self.second is not None:
            picture = pixels.side_by_side([self.left(), picture])
        return pixels.save(picture, path)

    def code(self, view: str | None = None) -> str:
        """The few lines of Python that compute a view, by default the one on the screen.

        What cannot be written down, a network of one's own or an image without a file, is left as
        ``...`` with a comment.
        """
        view = view or self.request.view
        lines = self._lines(view)
        if self.second is not None:
            first, *others = self.second._lines(view, "beside_")
            if self.second.model is self.model:
                first = "beside_model = model"
            lines += ["", "# beside it", first, *others]
        return expression.script(*lines)

    def _lines(self, view: str, before: str = "") -> list[str]:
        """The lines that compute a view; ``before`` begins the names of their variables."""
        request = self.request
        model = expression.of_model(self.model)
        image = expression.of_image(request.image)
        note = "  # your image" if image == "..." else ""
        target = expression.of_target(self.target)
        arguments = f"{target}, softening={expression.of_softening(request.softening)}"
        names = {name: before + name for name in ("model", "session", "pullback", "last", view)}
        lines = [
            f"{names['model']} = {model}",
            f"{names['session']} = pw.Session({names['model']}, {image}){note}",
            f"{names['pullback']} = {names['session']}.pullback({arguments})"
            + ("  # your target" * ("..." in target)),
        ]
        if view in ASCENDED:
            steps = request.steps if self.step is None else self.step.index  # fewer if stopped
            walk = f"steps={steps}, step_size={request.step_size}, radius={request.radius}"
            lines += [
                f"*_, {names['last']} = {names['session']}.ascend({arguments}, {walk})",
                f"{names[view]} = {names['last']}.{view}",
            ]
        return lines

    @property
    def title(self) -> str:
        """The target in words."""
        return describe(self.target, self.model, self.view.layer.tokens)

    @property
    def shares(self) -> NDArray[np.float64]:
        return np.array(accounted(self.score, self.pullback, self.image))

    @property
    def account(self) -> str:
        """Which part of the target's value the pullback accounts for."""
        what, softening = kind_of_value(self.target), self.request.softening
        return in_short(self.score, self.pullback, self.image, softening, self.report, what)

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


def _entitled(view: str, own: str, frame: Snapshot) -> str:
    """The lines over a picture in print: what it shows, what it has of its own, its values."""
    return f"{view}{own and f', {own}'}\n{frame.legend(view)}"
