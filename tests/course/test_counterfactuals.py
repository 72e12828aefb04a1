"""The checks of notebook 4; its solutions, run by .ci/notebooks.py, try more answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import pullback_widgets as pw
from pullback_widgets.course import embedded


def climbing(step: Callable[[Tensor, Tensor, float], Any], **changes: Any) -> Callable[..., Any]:
    """An answer to 4.1: its line in the loop, and what else is different."""
    model = embedded.session("coffee").model

    def climb(
        image: Tensor, target: str, softening: pw.Softening, steps: int, size: float
    ) -> Tensor:
        x = image
        for _ in range(steps):
            at = image if changes.get("stays") else x.clamp(-1, 1)
            p = pw.pullback(model, at, target, changes.get("softening", softening))
            x = step(x, p, size)
        return x

    return climb


def right(x: Tensor, p: Tensor, size: float) -> Tensor:
    return (x + size * p / p.norm()).clamp(-1, 1)


def in_place(x: Tensor, p: Tensor, size: float) -> Tensor:
    x += size * p / p.norm()
    return x.clamp_(-1, 1)


def only_once(image: Tensor, *arguments: Any) -> Tensor:
    target, softening, _, size = arguments
    return climbing(right)(image, target, softening, 1, size)


def test_the_line_of_the_hint_is_right() -> None:
    assert pw.check("4.1", climbing(right))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (torch.zeros(3, 224, 224), "the function climb itself"),
        (lambda *_: ..., "Not answered yet"),
        (lambda *_: None, "What comes back is NoneType"),
        (lambda image, *_: image[0], "of shape (224, 224)"),
        (climbing(in_place), "has changed"),
        (climbing(lambda x, p, size: x), "comes back as it was"),
        (climbing(lambda x, p, size: right(x, -p, size)), "goes down"),
        (climbing(lambda x, p, size: p), "what comes back is p alone"),
        (climbing(lambda x, p, size: size * p / p.norm()), "what comes back is p alone"),
        (climbing(lambda x, p, size: (-size * p / p.norm()).clamp(-1, 1)), "p alone"),
        (climbing(lambda x, p, size: 0 * x), "next to nothing in common"),
        (climbing(lambda x, p, size: right(x, p.flip(1), size)), "another direction than p"),
        (climbing(lambda x, p, size: x + size * p / p.norm()), "clip the image"),
        (climbing(lambda x, p, size: (x + size * p).clamp(-1, 1)), "divide p by its L2 length"),
        (
            climbing(lambda x, p, size: (x + size * p / p.abs().max()).clamp(-1, 1)),
            "divide p by its L2 length",
        ),
        (climbing(right, softening=pw.Softening.relative()), "hand softening on"),
        (climbing(right, softening=pw.Softening.hard()), "hand softening on"),
        (climbing(right, stays=True), "ask for the pullback at x"),
        (only_once, "does each start where the last one ended"),
    ],
)
def test_a_wrong_climb_is_told_its_mistake(answer: Any, words: str) -> None:
    verdict = pw.check("4.1", answer)
    assert not verdict
    assert words in verdict.text


@pytest.fixture(scope="module")
def walks() -> list[list[pw.Step]]:
    """Along the plain gradient and along the pullback, all steps."""
    session = embedded.session("coffee")
    return [
        list(session.ascend("golf ball", softening, steps=40, step_size=0.5, radius=None))
        for softening in (pw.Softening.hard(), pw.Softening.relative())
    ]


def test_distances_are_told_from_other_lengths(walks: list[list[pw.Step]]) -> None:
    first = [next(step for step in walk if step.probability > 0.5) for walk in walks]
    gradient, pullback = (float(step.difference.norm()) for step in first)
    assert gradient < pullback
    assert pw.check("4.2", (gradient, pullback))
    assert pw.check("4.2", torch.tensor([gradient, pullback]))

    def said(*lengths: float) -> str:
        verdict = pw.check("4.2", lengths)
        assert not verdict
        return verdict.text

    assert "Two lengths" in said(gradient)
    assert "Two lengths" in pw.check("4.2", gradient).text
    assert "exchanged" in said(pullback, gradient)
    assert "numbers of steps" in said(*(step.index for step in first))
    assert "as the crow flies" in said(*(0.5 * step.index for step in first))
    assert "a single value" in said(*(float(step.difference.abs().max()) for step in first))
    assert "stop at the first" in said(*(float(walk[-1].difference.norm()) for walk in walks))
    assert "is step_size 0.5" in said(20.0, 19.9)
    assert "not those of the first step" in said(0.5 * gradient, pullback)


@pytest.mark.parametrize(
    "answer",
    [lambda image: image.roll((3, 3), (1, 2)), lambda image: image.roll((-5, 5), (1, 2))],
)
def test_shifts_tell_noise_from_features(answer: Any) -> None:
    assert pw.check("4.3", answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (3, "The answer is a function"),
        (lambda image: float(image.mean()), "returns float"),
        (lambda image: image[:, ::2, ::2], "returns of shape (3, 112, 112)"),
        (lambda image: image, "leaves the image as it is"),
        (lambda image: 0.8 * image, "Both survive"),
        (lambda image: image.roll((4, 4), (1, 2)), "keeps the raster"),
        (lambda image: torch.zeros_like(image), "no longer sees an espresso"),
        (lambda image: embedded.session("coffee").image, "The features do not survive"),
    ],
)
def test_a_test_that_tells_nothing_is_told_why(answer: Any, words: str) -> None:
    verdict = pw.check("4.3", answer)
    assert not verdict
    assert words in verdict.text


@pytest.mark.parametrize("answer", ["c", " C "])
def test_the_claim_that_stands(answer: str) -> None:
    assert pw.check("4.4", answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("a", "same outlines"),
        ("b", "No real golf ball"),
        ("d", "still a cup"),
        ("e", "One of the letters"),
        (3, "One of the letters"),
    ],
)
def test_a_claim_that_falls_is_told_by_what(answer: Any, words: str) -> None:
    verdict = pw.check("4.4", answer)
    assert not verdict
    assert words in verdict.text
