"""What numbers say of a single picture: four questions, each with an answer in plain words.

None of them is a verdict. A picture may pass one and be wrong, and a true one may fail another;
what each does not show stands in its docstring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..drawing import chart
from ..drawing.words import describe
from ..engine.model import Model
from ..engine.output import probabilities_of
from ..engine.session import Session
from ..engine.softening import Softening
from ..engine.target import LOGITS, Channel, Difference, Logit, Rivals, Target, Unit
from .batch import Scores, answers, exact
from .curves import area, falling
from .sensitivity import randomised
from .statistics import cosines

STEPS = 16
"""In how many steps the image becomes grey."""

ORDERS = 3
"""How many random orders are averaged."""

AT_ONCE = 4
"""How many images go through the network at once."""

STAGES = 3
"""In how many steps the weights are put in random order."""

FAINT = 0.01
"""A probability or a value below this is too small to see it fall."""

CURVE, OTHER = "#bf5600", "#757575"


@dataclass(frozen=True, eq=False)
class Picture:
    """A pullback, and what it was made of.

    Attributes:
        model: The network.
        image: (C, H, W) in [-1, 1].
        target: What was pulled back, all names resolved.
        softening: How.
        pullback: (C, H, W).
    """

    model: Model
    image: Tensor
    target: Target
    softening: Softening
    pullback: Tensor

    def session(self, model: Model | None = None) -> Session:
        """The image, recorded; in front of another network, if one is given."""
        return Session(model or self.model, self.image, range=(-1, 1))


@dataclass(frozen=True)
class Answer:
    """What a question is answered with.

    Attributes:
        sentence: In plain words.
        numbers: Each by its name, (), or (K,) for a curve.
        chart: An element of a page that shows curves; empty where there are none.
    """

    sentence: str
    numbers: Mapping[str, Scores]
    chart: str = ""


Asking: TypeAlias = Iterator[float | Answer]
"""Shares of the work that is done, 0 to 1, and the answer at last."""


def adds_up(picture: Picture) -> Asking:
    """How much of the target's value the picture accounts for; see ``Session.completeness``.

    A sum says nothing of where: a picture may add up with everything in a wrong place, and one that
    is softened need not add up.
    """
    yield 0.0
    found = picture.session().completeness(picture.target, picture.softening)
    parts = {"value": found.value, "picture": found.picture, "constants": found.constants}
    yield Answer(found.sentence, {name: np.asarray(one) for name, one in parts.items()})


def deletion(picture: Picture) -> Asking:
    """What becomes of the target while its pixels turn grey, the picture's strongest first.

    The order is that of ``sum_c p x``, in 16 steps; beside it the mean of three random orders.
    Petsiuk, Das and Saenko (2018, arXiv 1806.07421). The target's probability is taken where it is
    a class that has one, else its value.

    Scattered grey pixels are no photograph, and some networks lose the thing at once, whichever
    they are: so a low curve alone shows little, and the random one stands beside.
    """
    image, chance = picture.image, np.random.default_rng(0)
    orders = [falling((picture.pullback * image).sum(0))]
    orders += [chance.permutation(len(orders[0])) for _ in range(ORDERS)]
    counts = [round(len(orders[0]) * step / STEPS) for step in range(STEPS + 1)]
    wanted = [(order, count) for order in orders for count in counts]
    values: list[Scores] = []
    for start in range(0, len(wanted), AT_ONCE):
        yield start / len(wanted)
        several = wanted[start : start + AT_ONCE]
        values.append(_values(picture, [_greyed(image, order[:n]) for order, n in several]))
    curves = np.concatenate(values).reshape(len(orders), len(counts))
    own, random = curves[0], curves[1:].mean(0)
    what = _what(picture)
    sentence = _told(own, random, what)
    yield Answer(
        sentence,
        {"picture": own, "random": random, "area": area(np.stack([own, random]))},
        _drawn(own, random, what, sentence),
    )


def next_target(picture: Picture) -> Asking:
    """The cosine between the picture and that of what the network finds next.

    For a class that is the most probable other one, for a channel the strongest other one of its
    layer. After Sixt, Granz and Landgraf (2020, arXiv 1912.09818).

    Two classes may well have similar evidence, so that no single number is right.
    """
    yield 0.0
    session = picture.session()
    other = _other(picture, session)
    yield 0.5
    pulled = session.pullback(other, picture.softening)
    cosine = _cosine(picture.pullback, pulled)
    name = describe(other, picture.model)
    yield Answer(
        f"Its cosine to the picture of {name} is {_number(cosine)}; near 1 it would ignore what "
        "it is asked for.",
        {"cosine": np.asarray(cosine)},
    )


def random_weights(picture: Picture) -> Asking:
    """The cosine between the picture and those of a network whose weights are put in random order.

    From the top: the last third of the layers, two thirds, all of them; each tensor within itself.
    Adebayo et al. (2018, arXiv 1810.03292).

    A picture near 1 says nothing of what was learnt. One near 0 may still be wrong.
    """
    found = []
    yield 0.0
    for stage, model in enumerate(randomised(picture.model, STAGES, seed=0), 1):
        yield (stage - 0.5) / STAGES
        pulled = picture.session(model).pullback(picture.target, picture.softening)
        found.append(_cosine(picture.pullback, pulled))
        yield stage / STAGES
    third, most, every = map(_number, found)
    yield Answer(
        f"Its cosine to the picture with the weights of the last third of the layers in random "
        f"order is {third}, of two thirds {most}, of all {every}; near 1 it would show the "
        "photograph and not the network.",
        {"cosines": np.asarray(found)},
    )


QUESTIONS: Mapping[str, tuple[str, Callable[[Picture], Asking]]] = MappingProxyType(
    {
        "sum": ("Does it add up?", adds_up),
        "pixels": ("Do its pixels matter?", deletion),
        "target": ("Does it depend on what is asked for?", next_target),
        "weights": ("Does it depend on what was learnt?", random_weights),
    }
)
"""Name -> the question, and what answers it."""


def ask(picture: Picture, name: str) -> Answer:
    """The answer to one question of :data:`QUESTIONS`.

    Raises:
        ValueError: For an unknown question, or one that cannot be asked of this target.
    """
    if name not in QUESTIONS:
        raise ValueError(f"There is no question {name!r}; choose from {', '.join(QUESTIONS)}.")
    *_, answer = QUESTIONS[name][1](picture)
    assert isinstance(answer, Answer)
    return answer


def _values(picture: Picture, images: Sequence[Tensor]) -> Scores:
    """The target's probability in each image, or its value."""
    model, target = picture.model, picture.target
    if isinstance(target, Logit):
        said = answers(model, torch.stack(list(images)))
        shares = probabilities_of(said, model.probability)
        return exact((said if shares is None else shares)[:, int(target.label)])
    session = Session(model, torch.stack(list(images)), range=(-1, 1))
    return exact(session.score([target] * len(images)))


def _greyed(image: Tensor, places: NDArray[Any]) -> Tensor:
    changed = image.clone()
    changed.flatten(1)[:, torch.from_numpy(places)] = 0.0
    return changed


def _what(picture: Picture) -> str:
    name = describe(picture.target, picture.model)
    has = isinstance(picture.target, Logit) and picture.model.probability != "none"
    return f"probability of {name}" if has else f"value of {name}"


def _half(curve: Scores) -> float | None:
    """The share of pixels at which a curve first is at most half of where it begins."""
    (below,) = np.nonzero(curve <= curve[0] / 2)
    if not len(below):
        return None
    end = int(below[0])
    high, low = curve[end - 1], curve[end]
    part = (high - curve[0] / 2) / max(high - low, np.finfo(float).tiny)
    return float((end - 1 + part) / STEPS)


def _other(picture: Picture, session: Session) -> Target:
    """What the network finds next to the target."""
    target = picture.target
    if isinstance(target, Logit | Rivals) and (session.classes or 0) > 1:
        best = session.logits.topk(2).indices.tolist()
        label = best[1] if best[0] == int(target.label) else best[0]
        return Logit(label) if isinstance(target, Logit) else Rivals(label, target.count)
    if isinstance(target, Difference) and session.classes:
        return Difference(target.second, target.first)
    if isinstance(target, Channel | Unit) and target.layer != LOGITS:
        place = target.position if isinstance(target, Unit) else None
        best = [channel for channel, _ in session.strongest(target.layer, place, 2)]
        others = [channel for channel in best if channel != target.channel]
        if others and isinstance(target, Unit):
            return Unit(target.layer, others[0], target.position)
        if others and isinstance(target, Channel):
            return Channel(target.layer, others[0], target.reduce)
    raise ValueError(
        f"There is nothing next to {describe(target, picture.model)}; ask of a class among several "
        "or of a channel."
    )


def _cosine(a: Tensor, b: Tensor) -> float:
    return float(cosines(a[None], b[None])[0])


def _number(value: float) -> str:
    if np.isnan(value):
        return "not defined (one of the pictures is zero)"
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")


def _told(own: Scores, random: Scores, what: str) -> str:
    if own[0] < FAINT:
        return f"The {what} is {own[0]:.2g} to begin with: grey pixels can take nothing away."
    half, others = _half(own), _half(random)
    if half is None or others is None:
        kept, by_chance = (100 * area(np.stack([own, random])) / own[0]).round()
        return (
            f"While pixels turn grey, its strongest first, {kept:.0f} % of the {what} are left on "
            f"average; in random order {by_chance:.0f} %."
        )
    return (
        f"Its strongest pixels turned grey first, the {what} is down to half after "
        f"{100 * half:.0f} % of them; in random order after {100 * others:.0f} %."
    )


def _drawn(own: Scores, random: Scores, what: str, sentence: str) -> str:
    from matplotlib.figure import Figure  # when it is needed: it takes a third of a second

    figure = Figure(figsize=(2.9, 1.5), layout="constrained")
    axes = figure.add_subplot()
    shares = np.linspace(0, 100, STEPS + 1)
    axes.plot(shares, random, color=OTHER, linestyle="--")
    axes.plot(shares, own, color=CURVE)
    # Beside each other over the curves' ends, where both are low.
    for height, colour, label in ((0.95, CURVE, "its order"), (0.75, OTHER, "random (dashed)")):
        axes.text(
            0.98, height, label, transform=axes.transAxes, color=colour, ha="right", va="top",
            fontsize=chart.FONT_SIZE,
        )  # fmt: skip
    axes.set_xlabel("pixels turned grey, %", fontsize=chart.FONT_SIZE)
    axes.set_ylabel(what.partition(" ")[0], fontsize=chart.FONT_SIZE)
    axes.tick_params(labelsize=chart.FONT_SIZE)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return chart.svg(figure, sentence)
