"""Journeys through the Explorer: what is on its canvas, and what must be.

What the canvas must show is computed anew in the kernel, by the engine and without the widget.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from labpage import LabPage
    from playwright.sync_api import Locator

SCREEN, BESIDE = ".pullback-screen", ".pullback-beside"
SIZE = 224
GRIP = slice(11, None)
"""Columns of the picture right of the wipe's grip, which waits at the left edge."""

# On the CPU, since only there are two computations the same bit for bit.
EXPLORER = """
import pullback_widgets as pw
pw.set_device("cpu")
explorer = pw.Explorer()
explorer
"""
AGAIN = "display(explorer)"
MEANWHILE = "meanwhile = explorer.result.step and explorer.result.step.index"

STEP = "(explorer.result.step.index if explorer.result.step else 0)"

# Names for the tests, in the notebook's kernel.
KERNEL = """
import base64, pathlib, numpy, torch
from pullback_widgets.drawing import pixels
from pullback_widgets.widgets.kit import temperature
explorer.wait()
network = explorer.model
default = pw.Softening.relative(0.85)

def pulled(target, softening=default, image="coffee"):
    return pixels.signed_map(pw.pullback(network, image, target, softening=softening))

def seen(image="coffee"):
    return pixels.photograph(pw.Session(network, image).image)

def walked(target, **options):
    return list(pw.Session(network, "coffee").ascend(target, default, **options))

def start_over():
    explorer.stop()
    explorer.choose(
        model=network, image="coffee", softening=default, layer="logits", target=None,
        steps=5, step_size=20.0, radius=100.0,
        view="pullback", compare="photograph", wipe=0.0, colour="rgb",
        beside=None, zoom=1.0, centre=(0.5, 0.5),
    )
    explorer.wait()
"""


def screen(lab: LabPage, view: int = 0, canvas: str = SCREEN) -> np.ndarray:
    """The picture on a canvas, (224, 224, 3): the canvas at the centre of each pixel."""
    pixels = lab.canvas_pixels(canvas, view)
    centres = ((np.arange(SIZE) + 0.5) * len(pixels) / SIZE).astype(int)
    return pixels[centres][:, centres, :3]


def shows(
    lab: LabPage,
    picture: np.ndarray,
    rows: slice = slice(None),
    columns: slice = GRIP,
    view: int = 0,
    canvas: str = SCREEN,
) -> None:
    """Waits until a canvas shows this picture, every byte of it."""
    part = np.s_[rows, columns]
    lab.wait_until(
        lambda: np.array_equal(screen(lab, view, canvas)[part], picture[part]),
        "the expected picture on the canvas",
    )


def rgb(lab: LabPage, expression: str) -> np.ndarray:
    """A picture that the kernel computes, (224, 224, 3) bytes."""
    text = lab.python(f"print(base64.b64encode(numpy.ascontiguousarray({expression})).decode())")
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(SIZE, SIZE, 3)


def pulled(lab: LabPage, target: str, softening: str = "default") -> np.ndarray:
    """The picture of a pullback on the coffee cup, computed without the widget."""
    return rgb(lab, f"pulled({target}, {softening})")


def find(lab: LabPage, selector: str) -> Locator:
    """Something in the first view of the Explorer."""
    return lab.page.locator(".pullback-explorer").first.locator(selector)


def field(lab: LabPage, label: str, tag: str = "input") -> Locator:
    """The control that is labelled so."""
    text = lab.page.locator(".widget-label").get_by_text(label, exact=True)
    return find(lab, ".widget-inline-hbox").filter(has=text).locator(tag).first


def button(lab: LabPage, name: str) -> Locator:
    return find(lab, "button").filter(has_text=name).first


def view_button(lab: LabPage, name: str) -> Locator:
    return find(lab, ".pullback-views button").filter(has_text=name)


def unfold(lab: LabPage, title: str, inside: str) -> None:
    """Opens one of the folded panels, known by something inside."""
    if not find(lab, inside).first.is_visible():
        lab.page.locator(".pullback-explorer").first.get_by_text(title, exact=True).click()
        find(lab, inside).first.wait_for(state="visible")


def explains(lab: LabPage, *words: str) -> None:
    """Waits until the widget shows one sentence with these words, its traceback folded."""

    def sentence() -> str:
        return "".join(lab.visible_errors()).removesuffix("traceback").strip()

    lab.wait_until(lambda: all(word in sentence() for word in words), f"a sentence with {words}")
    assert sentence() == lab.value("explorer.error")
    assert "\n" not in sentence()
    details = find(lab, ".pullback-error details")
    trace = details.locator("pre")
    assert not trace.is_visible()
    details.locator("summary").click()
    trace.wait_for(state="visible")
    assert "Traceback" in trace.inner_text()
    details.locator("summary").click()
    trace.wait_for(state="hidden")


def is_idle(lab: LabPage) -> bool:
    return (
        find(lab, ".pullback-status .pullback-idle").is_visible()
        and not find(lab, ".pullback-status .pullback-busy").is_visible()
    )
