"""Exercises of notebook 4: features or noise, and what a counterfactual proves."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import embedded
from .exercise import exercise

if TYPE_CHECKING:
    from torch import Tensor

    from ..engine.ascent import Step
    from ..engine.softening import Softening

TARGET = "golf ball"
STEPS, STEP = 40, 0.5
"""Number and size of the steps of the walks whose length is asked for."""


@exercise(
    "4.1",
    hints=[
        "First p = pw.pullback(model, x, target, softening); then a step along p, which gets the "
        "length size: x + size * p / its length.",
        "p.norm() is the L2 length. What goes beyond black or white comes back with "
        ".clamp(-1, 1), around the whole sum.",
        "x = (x + size * p / p.norm()).clamp(-1, 1)",
    ],
    praise="Two lines, and no training at all: the network draws with its own gradients.",
)
def climb(answer: Any) -> str | None:
    """A function that walks up the pullback."""
    from ..engine.softening import Softening
    from ..figures.strip import cosine

    if not callable(answer):
        return (
            f"The answer is the function climb itself, and this is {type(answer).__name__}; give "
            "it without brackets."
        )
    session, target, size = embedded.session("coffee"), "ostrich", 20.0
    soft, start = Softening.relative(), session.image
    given, pulled = start.clone(), session.pullback(target)
    one = answer(given, target, soft, 1, size)
    if one is ...:
        return "Not answered yet: replace the three dots in the loop, then run the cell."
    if getattr(one, "shape", None) != start.shape:
        return (
            f"What comes back is {_kind(one)}; expected the image, a tensor (3, 224, 224): return "
            "x after the loop."
        )
    if not given.equal(start):
        return (
            "The photograph that went in has changed: += works in place, so write x = x + ... "
            "instead."
        )
    moved, step = one - start, size * pulled / pulled.norm()
    if not moved.any():
        return "The photograph comes back as it was; add a step along p to x."
    if abs(cosine(one, pulled)) > 0.9:
        return (
            "The photograph is gone: what comes back is p alone, the step in place of the image; "
            "add the step to x, x + ..."
        )
    along = cosine(moved, pulled)
    if abs(along) < 0.5 and cosine(one, start) < 0.5:
        return (
            "The photograph is gone: what comes back has next to nothing in common with it; a step "
            "changes the image a little, x + ..."
        )
    if along < -0.5:
        return "The walk goes down: the probability falls; add the step instead of subtracting it."
    if float((moved - step).norm()) < 0.01 * size and float(one.abs().max()) > 1:
        return (
            f"Values reach {float(one.abs().max()):.2f}, which no photograph has; clip the image "
            "to [-1, 1] after each step."
        )
    length, right = float(moved.norm()), float(((start + step).clamp(-1, 1) - start).norm())
    if abs(length - right) > 0.02 * right:
        return (
            f"A step of {size:g} moves the image by {length:.3g} instead of {right:.3g} (clipped); "
            "divide p by its L2 length, p.norm()."
        )
    hard = answer(start.clone(), target, Softening.hard(), 1, size)
    if cosine(hard - start, moved) > 0.99:
        return "The plain gradient leads to the same image; hand softening on to pw.pullback."
    if along < 0.5:
        return (
            f"The step has the right length but another direction than p, cosine {along:.2f}; "
            "is p = pw.pullback(model, x, target, softening) what you add?"
        )
    three = answer(start.clone(), target, soft, 3, size)
    *_, ours = session.ascend(target, soft, steps=3, step_size=size, radius=None)
    if cosine(three - start, ours.difference) > 0.99:
        return None
    straight = (start + 3 * step).clamp(-1, 1) - start
    if cosine(three - start, straight) > 0.99:
        return (
            "All steps go in the direction of the first; ask for the pullback at x, where you "
            "stand, not at image."
        )
    return "One step is right, but three lead elsewhere; does each start where the last one ended?"


@exercise(
    "4.2",
    hints=[
        "for step in coffee.ascend(...): stop at the first one whose step.probability is above "
        "0.5; its step.difference is how far the image has come.",
        "The L2 length is float(step.difference.norm()). Do it once with hard and once with soft.",
        'step = next(s for s in coffee.ascend("golf ball", hard, steps=40, step_size=0.5, '
        "radius=None) if s.probability > 0.5)",
    ],
    praise="The plain gradient is the shorter way by far. A small change that flips the answer is "
    "easy to find, and for that very reason proves nothing.",
)
def distances(answer: Any) -> str | None:
    """Two L2 lengths: along the plain gradient and along the pullback."""
    from ..engine.softening import Softening

    try:
        lengths = [float(length) for length in answer]
    except TypeError:
        lengths = []
    if len(lengths) != 2:
        return "Two lengths are asked for, along the plain gradient and along the pullback: (a, b)."
    steps = [_first(Softening.hard()), _first(Softening.relative())]
    right = [float(step.difference.norm()) for step in steps]
    if _near(lengths, right, 0.25):
        return None
    if _near(lengths[::-1], right, 0.25):
        return "The two are exchanged: the plain gradient comes first."
    if _near(lengths, [step.index for step in steps], 0.01):
        return (
            "These are numbers of steps; asked for is how far the image has come, "
            "step.difference.norm()."
        )
    if _near(lengths, [STEP * step.index for step in steps], 0.01):
        return (
            "This is the way walked, step by step; the way winds, and asked for is the distance "
            "as the crow flies, step.difference.norm()."
        )
    if _near(lengths, [float(step.difference.abs().max()) for step in steps], 0.05):
        return "This is the largest change of a single value; asked for is the L2 length, .norm()."
    ends = [_last(Softening.hard()), _last(Softening.relative())]
    if _near(lengths, ends, 0.05):
        return (
            "These are the lengths after all steps; stop at the first with a probability above 0.5."
        )
    return (
        f"Expected about {right[0]:.1f} at most along the plain gradient, and you have "
        f"{lengths[0]:.3g}; is step_size {STEP}, and radius None?"
        if lengths[0] > 1.25 * right[0]
        else f"The lengths {lengths[0]:.3g} and {lengths[1]:.3g} are not those of the first step "
        "with a probability above 0.5; take step.difference.norm() there."
    )


@exercise(
    "4.3",
    hints=[
        "What would differ in a second photograph of the same cup? It would be shifted a little, "
        "turned a little, mirrored, brighter...",
        "Tensors can be shifted: image.roll((rows, columns), (1, 2)).",
        "test = lambda image: image.roll((3, 3), (1, 2))",
    ],
    praise="The features survive what a second photograph would do to them. The noise was made for "
    "one raster of pixels: shifted by 3 rows and columns it is gone, shifted by 4 it is back.",
)
def test(answer: Any) -> str | None:
    """A function of an image that takes the golf ball from one and leaves it in the other."""
    from ..engine.session import Session

    if not callable(answer):
        return (
            f"The answer is a function from an image to an image, and this is "
            f"{type(answer).__name__}; write lambda image: ..."
        )
    photograph, by_gradient, by_pullback = _walked()
    tested = [answer(one.clone()) for one in (photograph, by_gradient, by_pullback)]
    if getattr(tested[0], "shape", None) != photograph.shape:
        return (
            f"The function returns {_kind(tested[0])}; expected an image, a tensor (3, 224, 224) "
            "in [-1, 1]."
        )
    if tested[1].equal(by_gradient):
        return "Your test leaves the image as it is; change it as a second photograph would."
    model = embedded.session("coffee").model
    espresso, noise, feature = (
        Session(model, one.clamp(-1, 1), range=(-1, 1)).value(name)
        for one, name in zip(tested, ("espresso", TARGET, TARGET), strict=True)
    )
    if espresso < 0.5:
        return (
            f"After your test the network no longer sees an espresso in the photograph itself "
            f"({espresso:.0%}); do less."
        )
    found = f"golf ball keeps {noise:.0%} by the gradient and {feature:.0%} by the pullback"
    if feature < 0.5:
        return f"The features do not survive: {found}; do less."
    if noise >= 0.5:
        return (
            f"Both survive: {found}; do more, or something else (a shift by 4 or 8 pixels keeps "
            "the raster on which this network samples the image)."
        )
    return None


@exercise(
    "4.4",
    hints=[
        "Go through the letters and look for the picture that speaks against each.",
        "The left column of the last figure: three questions, nearly one picture. Nobody has "
        "shown the network a real golf ball here.",
    ],
    praise="A counterfactual says what would change this network's answer on this photograph. "
    "That is much, and it is all.",
)
def claim(answer: Any) -> str | None:
    """The letter of the claim that the experiments bear out."""
    letter = answer.strip().casefold() if isinstance(answer, str) else answer
    wrong = {
        "a": "But the network with shuffled classes shows the same outlines; look at the left "
        "column of the figure.",
        "b": "No real golf ball was shown to the network in this notebook, so nothing is known of "
        "what it goes by there.",
        "d": "Look at the photograph: it is still a cup, and only the network says golf ball.",
    }
    if letter == "c":
        return None
    return wrong.get(
        str(letter), f'One of the letters a to d is asked for, such as "a", and this is {answer!r}.'
    )


def _walk(
    softening: Softening, steps: int, size: float, radius: float | None = None
) -> Iterator[Step]:
    """The notebook's walk from the coffee cup."""
    session = embedded.session("coffee")
    return session.ascend(TARGET, softening, steps=steps, step_size=size, radius=radius)


@functools.cache
def _first(softening: Softening) -> Step:
    """The first step after which the network says golf ball."""
    return next(step for step in _walk(softening, STEPS, STEP) if step.probability > 0.5)


@functools.cache
def _last(softening: Softening) -> float:
    """How far the image has come after all steps."""
    *_, step = _walk(softening, STEPS, STEP)
    return float(step.difference.norm())


@functools.cache
def _walked() -> tuple[Tensor, Tensor, Tensor]:
    """The photograph, and equally far from it the ends of the two walks."""
    from ..engine.softening import Softening

    *_, by_gradient = _walk(Softening.hard(), 20, 5.0, 20.0)
    *_, by_pullback = _walk(Softening.relative(), 20, 5.0, 20.0)
    photograph = by_pullback.perturbed - by_pullback.difference
    return photograph, by_gradient.perturbed, by_pullback.perturbed


def _near(given: Sequence[float], expected: Sequence[float], share: float) -> bool:
    return all(
        abs(one - other) <= share * other for one, other in zip(given, expected, strict=True)
    )


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"of shape {tuple(shape)}"
