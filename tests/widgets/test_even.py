"""Figures say why a pullback is the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from networks import CLASSES, image, seeded, wrap
from torch import nn
from widgets import Page, making, text_with

import pullback_widgets as pw

Make = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_swallowed")


def patches() -> pw.Model:
    """The mean over its convolution weighs every patch of the image alike."""
    layers = nn.Conv2d(3, 4, 2, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, CLASSES)
    return wrap(seeded(nn.Sequential(*layers)))


def journey(target: pw.Target) -> pw.DepthJourney:
    layer = target.layer if isinstance(target, pw.Channel) else "logits"
    return pw.DepthJourney(patches(), image(), layers=[layer], steps=1)


def strip(target: pw.Target) -> pw.TemperatureStrip:
    return pw.TemperatureStrip(patches(), image(), target, temperatures=[1.0], steps=1)


def comparison(target: pw.Target) -> pw.Compare:
    return pw.Compare([patches()], image(), target=target, methods=("gradient",))


@pytest.fixture
def make(page: Page) -> Iterator[Make]:
    """Makes figures that are drawn."""
    yield from making(lambda figure, target: figure(target))


@pytest.mark.parametrize("figure", [journey, strip, comparison])
def test_the_caption_says_why(make: Make, figure: Make) -> None:
    assert "4 x 4 places, and nearly the same everywhere: open it" in text_with(
        make(figure, pw.Channel("0", 1)), "the pullback of a mean over"
    )


@pytest.mark.parametrize("figure", [journey, strip, comparison])
def test_of_a_class_there_is_nothing_to_say(make: Make, figure: Make) -> None:
    assert not text_with(make(figure, pw.Logit(1)), "nearly the same everywhere")
