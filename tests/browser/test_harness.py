"""The browser tests' own tools: they read the pixels that were drawn and see every error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from labpage import LabPage

DRAWING = """
import ipycanvas, ipywidgets, numpy as np

pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8)
pixels[..., 3] = 255
canvas = ipycanvas.Canvas(width=40, height=30, layout={"width": "400px"})
canvas.add_class("drawing")
clicks = []
canvas.on_mouse_down(lambda x, y: clicks.append([x, y]))
shade = ipywidgets.IntSlider(description="Shade", max=255)

def draw(change=None):
    pixels[:10, :10, 0] = shade.value
    canvas.put_image_data(pixels)

shade.observe(draw, "value")
draw()
ipywidgets.VBox([shade, canvas])
"""

COUNTING = """
import threading, traitlets

class Counting(traitlets.HasTraits):
    result = traitlets.Int()

counting = Counting()

def count():
    for counting.result in range(100):
        pass

thread = threading.Thread(target=count)
"""


def test_reads_what_was_drawn_and_touches_it(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(DRAWING)
    first = lab.wait_until_drawn(".drawing")
    np.testing.assert_array_equal(first, lab.value("pixels.tolist()"))

    handle = lab.slider("Shade")
    handle.press("ArrowRight")
    second = lab.wait_for_change(first, ".drawing")
    assert (second[:10, :10, 0] == 1).all()
    np.testing.assert_array_equal(second[10:], first[10:])

    lab.drag(handle, right=60)
    lab.wait_until(lambda: lab.value("shade.value") > 20, "the drag's answer")
    lab.wait_until(
        lambda: np.array_equal(lab.canvas_pixels(".drawing"), lab.value("pixels.tolist()")),
        "what the kernel drew last",
    )
    assert (lab.wait_until_still(".drawing") != second).any()

    lab.click_canvas(20, 10, ".drawing")
    assert lab.wait_until(lambda: lab.value("clicks")) == [pytest.approx([20, 10], abs=0.5)]

    lab.reload()
    lab.restart_and_run_all()
    np.testing.assert_array_equal(lab.wait_until_drawn(".drawing"), first)


def test_records_what_passes(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(DRAWING)
    lab.wait_until_drawn(".drawing")
    title = lab.page.locator(".widget-label").first
    lab.record_row(3, ".drawing")
    lab.record_text(title)

    def recorded(count: int) -> bool:
        return len(lab.recorded_rows()) >= count

    shades = [60, 120, 180, 240]
    for number, red in enumerate(shades, 1):
        lab.python(f"shade.value = {red}")
        lab.wait_until(functools.partial(recorded, number), "the next shade")
    assert [row[0, 0] for row in lab.recorded_rows()] == shades
    lab.python("for text in ('Darker', 'Shade'): shade.description = text")
    lab.wait_until(lambda: len(lab.recorded_texts()) >= 3, "the titles")
    assert lab.recorded_texts()[0] == lab.recorded_texts()[-1] == "Shade"
    assert "Darker" in lab.recorded_texts()


def test_holds_a_computation(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(COUNTING)
    with lab.holding("counting", "lambda result: result == 3"):
        lab.python("thread.start()")
        lab.wait_until_held()
        assert lab.value("counting.result") == 3
        assert lab.value("thread.is_alive()")
    lab.python("thread.join()")
    assert lab.value("counting.result") == 99


def test_uploads_over_ten_megabytes(lab_page: Callable[..., LabPage], tmp_path: Path) -> None:
    lab = lab_page("import ipywidgets; upload = ipywidgets.FileUpload(); upload")
    large = tmp_path / "large.tiff"
    large.write_bytes(bytes(30_000_000))
    lab.upload(".widget-upload", large)
    size = lab.wait_until(lambda: lab.value("[len(file.content) for file in upload.value]"))
    assert size == [30_000_000]


def test_sees_errors_wherever_they_are(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page("import ipywidgets; a = ipywidgets.IntSlider(description='Fails'); a")

    def fails(match: str) -> None:
        with pytest.raises(AssertionError, match=match):
            lab.wait_until(lambda: False)
        lab.forget_errors()

    lab.python("def callback(change): 1 / 0\na.observe(callback, 'value')")
    lab.slider("Fails").press("ArrowRight")
    fails("ZeroDivisionError: division by zero")

    lab.python("import threading; threading.Thread(target=callback, args=[None]).start()")
    fails("ZeroDivisionError: division by zero")

    lab.page.evaluate("() => { setTimeout(() => { throw new Error('in the page') }); }")
    fails("in the page")

    lab.python("b = ipywidgets.Label('in the widget'); b.add_class('pullback-error')")
    lab.python("a.unobserve_all(); display(b)")
    lab.check()  # shown in no cell, so nobody saw it
