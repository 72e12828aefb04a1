"""Journeys through the Explorer: what is done with mouse and keyboard, and the pixels after it."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import nbformat
import numpy as np
import pytest
from journeys import (
    GRIP,
    KERNEL,
    SCREEN,
    SIZE,
    button,
    field,
    find,
    is_idle,
    pulled,
    rgb,
    screen,
    shows,
    view_button,
)
from PIL import Image

if TYPE_CHECKING:
    from labpage import LabPage
    from playwright.sync_api import Locator


def test_first_picture(lab: LabPage) -> None:
    picture = pulled(lab, "None")
    np.testing.assert_array_equal(screen(lab)[:, GRIP], picture[:, GRIP])
    assert 110 < picture.mean() < 146  # about the grey of zero
    assert picture.std() > 20
    lab.wait_until(lambda: is_idle(lab), "idle")
    assert "efficientnet_lite0 on " in find(lab, ".pullback-status").inner_text()
    assert "espresso" in find(lab, ".pullback-caption").inner_text()
    lab.wait_until_drawn(".pullback-curve")


def test_saved_notebook_holds_the_last_picture(lab: LabPage) -> None:
    golf_ball = pulled(lab, "'golf ball'")
    lab.python("explorer.target = 'golf ball'")
    shows(lab, golf_ball)

    def stored() -> tuple[np.ndarray, str]:
        lab.save()
        cell = nbformat.read(lab.path, as_version=4).cells[0]
        (output,) = [one for one in cell.outputs if "image/png" in one.get("data", {})]
        png = base64.b64decode(output["data"]["image/png"])
        return np.asarray(Image.open(io.BytesIO(png))), output["metadata"]["image/png"]["alt"]

    lab.wait_until(lambda: "golf ball" in stored()[1], "the last picture is in the notebook")
    picture, words = stored()
    np.testing.assert_array_equal(picture[: 2 * SIZE : 2, : 2 * SIZE : 2], rgb(lab, "seen()"))
    np.testing.assert_array_equal(picture[: 2 * SIZE : 2, -2 * SIZE :: 2], golf_ball)
    assert (picture[2 * SIZE :] < 100).any()  # the caption
    assert "relative T = 0.85" in words and "full strength" in words


def test_temperature_by_drag_and_by_key(lab: LabPage) -> None:
    handle = find(lab, ".pullback-temperature .noUi-handle")
    handle.press("Home")
    plain = pulled(lab, "None", "pw.Softening.hard()")
    shows(lab, plain)

    handle.scroll_into_view_if_needed()
    box, slider = handle.bounding_box(), find(lab, ".pullback-temperature").bounding_box()
    assert box is not None and slider is not None
    width = 0.8 * slider["width"]  # without its name
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = lab.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 0.3 * width, y, steps=10)
    lab.wait_until(lambda: (screen(lab)[:, GRIP] != plain[:, GRIP]).any(), "an answer to the drag")
    mouse.move(x + 0.6 * width, y, steps=10)
    mouse.up()
    position = at_position(lab, handle)
    assert 40 < position < 80
    shows(lab, pulled(lab, "None", f"pw.Softening.relative(temperature.STOPS[{position}])"))

    for _ in range(3):
        handle.press("ArrowLeft")
    assert at_position(lab, handle) == position - 3
    shows(lab, pulled(lab, "None", f"pw.Softening.relative(temperature.STOPS[{position - 3}])"))

    for preset, softening in {
        "paper v3": "pw.Softening.paper_v3()",
        "paper v6": "pw.Softening.paper_v6()",
        "plain gradient": "pw.Softening.hard()",
        "relative": "pw.Softening.relative()",
    }.items():
        find(lab, ".pullback-presets button").filter(has_text=preset).first.click()
        shows(lab, pulled(lab, "None", softening))
        at_position(lab, handle)


def at_position(lab: LabPage, handle: Locator) -> int:
    """The slider's position once it and the explorer's temperature agree."""

    def agreed() -> tuple[int] | None:
        position = round(float(handle.get_attribute("aria-valuenow") or -1))
        same = lab.value(f"explorer.temperature == temperature.STOPS[{position}]")
        return (position,) if same else None

    return lab.wait_until(agreed, "slider and temperature agree")[0]


def test_class_search_and_the_top_five(lab: LabPage) -> None:
    search = field(lab, "Class")
    golf_ball = pulled(lab, "'golf ball'")
    second = pulled(lab, "explorer.result.predictions[1].index")

    search.fill("golf ball")
    search.press("Enter")
    shows(lab, golf_ball)

    find(lab, ".pullback-top").nth(1).click()
    shows(lab, second)
    name = lab.value("explorer.result.predictions[1].name")
    lab.wait_until(lambda: search.input_value() == name, "the class in the search box")

    search.fill("")
    search.press_sequentially("golf b")
    offered = find(lab, ".pullback-offers button:visible")
    lab.wait_until(lambda: offered.all_inner_texts() == ["golf ball"], "the one that fits")
    search.press("Enter")
    lab.wait_until(
        lambda: offered.all_inner_texts() == ["golf ball"], "Enter takes whole names only"
    )
    shows(lab, second)
    offered.click()
    shows(lab, golf_ball)
    lab.wait_until(lambda: search.input_value() == "golf ball", "the whole name")


def test_what_is_no_class_is_answered_with_classes(lab: LabPage) -> None:
    search = field(lab, "Class")
    before = pulled(lab, "None")
    cells = lab.page.locator(".jp-Cell").count()
    # In the middle: the browser scrolls where Tab reaches a button under the page's edge.
    search.evaluate("it => it.scrollIntoView({block: 'center'})")
    search.focus()
    bottom = find(lab, ".pullback-temperature").first.bounding_box()
    search.fill("")
    search.press_sequentially("dog")
    search.press("Enter")
    offered = find(lab, ".pullback-offers button:visible")
    line = find(lab, ".pullback-offers [role=status]:visible")
    said = '"dog" is no class of this network; choose one:'
    lab.wait_until(lambda: line.inner_text() == said, "the answer")
    lab.wait_until(lambda: offered.count() == 8, "eight dogs")
    assert search.input_value() == "dog" and not lab.visible_errors()
    np.testing.assert_array_equal(screen(lab)[:, GRIP], before[:, GRIP])
    assert find(lab, ".pullback-temperature").first.bounding_box() == bottom  # nothing moved

    # By keyboard: from the line of text to the third.
    for _ in range(3):
        lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Enter")
    shows(lab, pulled(lab, "'German shepherd'"))
    lab.wait_until(lambda: search.input_value() == "German shepherd", "the class in the line")
    lab.wait_until(lambda: search.evaluate("it => it === document.activeElement"), "focus is back")
    assert find(lab, ".pullback-temperature").first.bounding_box() == bottom

    # By mouse, and two classes.
    search.fill("golf ball, espres")
    offered.get_by_text("minus espresso", exact=True).click()
    shows(lab, pulled(lab, "'golf ball, espresso'"))

    search.fill("xyzzy")
    lab.wait_until(lambda: "is like no class" in line.inner_text(), "nothing fits")
    search.fill("")
    search.press("Enter")
    lab.wait_until(lambda: search.input_value() == "golf ball, espresso", "what holds")
    find(lab, ".pullback-top").nth(1).click()
    shows(lab, pulled(lab, "explorer.result.predictions[1].index"))
    assert lab.page.locator(".jp-Cell").count() == cells  # no letter was a shortcut


def test_layer_channel_and_position(lab: LabPage) -> None:
    layer = "blocks.4.2"
    name = field(lab, "Layer")
    name.fill("")
    name.press_sequentially("blocks.4.2 inv")
    offered = find(lab, f'.pullback-offers button[title^="{layer}, "]:visible')
    lab.wait_until(lambda: offered.count() == 1, "the layer is offered")
    offered.click()
    lab.wait_until(lambda: lab.value("explorer.result.view.layer.name") == layer, "the layer")
    strongest = lab.value("[channel for channel, _ in explorer.result.view.strongest]")
    shows(lab, pulled(lab, f"pw.Channel({layer!r}, {strongest[0]})"))

    strip = lab.wait_until_still(".pullback-strip")
    height, width = strip.shape[:2]
    lab.click_canvas(2.4 / 6 * width, 0.2 * height, ".pullback-strip")
    shows(lab, pulled(lab, f"pw.Channel({layer!r}, {strongest[2]})"))
    lab.wait_for_change(strip, ".pullback-strip")  # where the frame is around another map

    number = field(lab, "Channel")
    number.fill("7")
    number.press("Enter")
    shows(lab, pulled(lab, f"pw.Channel({layer!r}, 7)"))

    # Row 10, column 4 of 14 x 14.
    grid = lab.value("explorer.result.view.layer.shape")[1:]
    assert grid == [14, 14]
    side = len(lab.canvas_pixels(SCREEN)) / 14
    lab.click_canvas(4.3 * side, 10.8 * side, SCREEN)
    expected = pulled(lab, f"pw.Unit({layer!r}, 7, position=(10, 4))")
    shows(lab, expected, rows=slice(0, 150))
    shows(lab, expected, columns=slice(90, None))
    pixels = lab.canvas_pixels(SCREEN).astype(int)
    yellow = (abs(pixels[..., :3] - [255, 216, 77]).max(-1) < 3).nonzero()
    for places, first, last in zip(
        yellow, (10 * side, 4 * side), (11 * side, 5 * side), strict=True
    ):
        assert places.min() == pytest.approx(first, abs=5)
        assert places.max() == pytest.approx(last, abs=5)

    button(lab, "whole map").click()
    shows(lab, pulled(lab, f"pw.Channel({layer!r}, 7)"))

    # The channel that is largest at the place, and one layer on.
    here = button(lab, "strongest here")
    assert here.is_disabled()
    lab.python("explorer.position = (2, 3); explorer.wait()")
    here.click()
    channel = lab.value(f"explorer.session.strongest({layer!r}, (2, 3), k=1)[0][0]")
    shows(lab, pulled(lab, f"pw.Unit({layer!r}, {channel}, (2, 3))"), rows=slice(60, None))
    button(lab, "Next ▶").press("Enter")
    names = lab.value("[layer.name for layer in explorer.result.layers]")
    after = names[names.index(layer) + 1]
    lab.wait_until(lambda: name.input_value() == after, "the layer after it")
    lab.wait_until(lambda: lab.value("explorer.layer") == after, "it is chosen")

    button(lab, "All layers").click()
    find(lab, ".pullback-offers button:visible").get_by_text("blocks.5 · ").click()
    lab.wait_until(lambda: name.input_value() == "blocks.5.", "the stage")
    name.fill("logits")
    name.press("Enter")
    shows(lab, pulled(lab, "None"))


def test_views(lab: LabPage) -> None:
    lab.python("explorer.target = 'golf ball'")
    lab.python("last = walked('golf ball', steps=5, step_size=20.0, radius=100.0)[-1]")
    overlay = "pixels.overlay(pw.pullback(network, 'coffee', 'golf ball'), explorer.result.image)"
    for view, expected in {
        "photograph": "seen()",
        "difference": "pixels.signed_map(last.difference)",
        "perturbed": "pixels.photograph(last.perturbed)",
        "overlay": overlay,
        "pullback": "pulled('golf ball')",
    }.items():
        view_button(lab, view).click()
        shows(lab, rgb(lab, expected))
        words = "over the photograph" if view == "overlay" else view
        caption = find(lab, ".pullback-caption")
        lab.wait_until(caption.filter(has_text=words).count, f"{words} in the caption")


def test_wipe(lab: LabPage) -> None:
    picture, photograph = pulled(lab, "None"), rgb(lab, "seen()")
    width = lab.canvas_pixels(SCREEN).shape[1]
    below_label = slice(20, None)
    lab.drag_canvas((4, 700), (0.5 * width, 700), SCREEN)
    shows(lab, photograph, rows=below_label, columns=slice(0, 102))
    shows(lab, picture, rows=below_label, columns=slice(122, None))
    assert lab.value("explorer.wipe") == pytest.approx(0.5, abs=0.01)

    # What is under the line moves with it; both sides follow what changes meanwhile.
    find(lab, ".pullback-temperature .noUi-handle").press("Home")
    plain = pulled(lab, "None", "pw.Softening.hard()")
    shows(lab, plain, rows=below_label, columns=slice(122, None))
    lab.drag_canvas((0.5 * width, 512), (0.25 * width, 512), SCREEN)
    shows(lab, photograph, rows=below_label, columns=slice(0, 46))
    shows(lab, plain, rows=below_label, columns=slice(66, None))
    lab.drag_canvas((0.25 * width, 700), (0, 700), SCREEN)
    shows(lab, plain)


def test_what_the_numbers_say(lab: LabPage) -> None:
    button(lab, "What the numbers say").click()
    panel = find(lab, ".pullback-numbers")
    panel.locator("button").filter(has_text="Do its pixels matter?").click()
    curves = panel.locator("svg path[style*='stroke: #']")
    lab.wait_until(lambda: curves.count() >= 2, "two curves")
    box = panel.locator("svg").bounding_box()
    assert box is not None and box["width"] > 150 and box["height"] > 80
    answer = panel.locator("[role=status]:visible")
    assert "of espresso (class 967) is down to half after" in answer.inner_text()
    find(lab, ".pullback-temperature .noUi-handle").press("Home")
    lab.wait_until(lambda: not answer.count() and not curves.count(), "the answer is gone")
    button(lab, "What the numbers say").click()


def test_the_bar_of_a_download_is_seen(lab: LabPage) -> None:
    """Its height is what JupyterLab's margins leave of it."""
    bar = find(lab, ".pullback-left .progress")
    lab.python("explorer._downloading('resnet50', 40_000_000, 100_000_000)")
    lab.wait_until(lambda: bar.is_visible(), "a bar")
    lab.wait_until(lambda: "40 of 100 MB" in find(lab, ".pullback-status").inner_text(), "the line")
    whole, done = bar.bounding_box(), bar.locator(".progress-bar").bounding_box()
    assert whole is not None and done is not None
    assert whole["width"] > 200 and whole["height"] >= 5 and done["height"] >= 5
    assert 0.3 < done["width"] / whole["width"] < 0.5
    lab.python("explorer._downloading('resnet50', 100_000_000, 100_000_000)")
    lab.wait_until(lambda: not bar.is_visible(), "no bar")


def test_a_second_view_follows(lab: LabPage) -> None:
    lab.run_cell(1)
    shows(lab, pulled(lab, "None"), view=1)
    find(lab, ".pullback-temperature .noUi-handle").press("Home")
    for view in (0, 1):
        shows(lab, pulled(lab, "None", "pw.Softening.hard()"), view=view)
    # And the other way round.
    lab.page.locator(".pullback-explorer").nth(1).locator(".pullback-top").nth(1).click()
    expected = pulled(lab, "explorer.result.predictions[1].index", "pw.Softening.hard()")
    for view in (0, 1):
        shows(lab, expected, view=view)


def test_reload(lab: LabPage) -> None:
    lab.python("explorer.choose(target='golf ball', temperature=0.3)")
    picture = pulled(lab, "'golf ball'", "pw.Softening.relative(0.3)")
    shows(lab, picture)
    curve = lab.wait_until_still(".pullback-curve")
    lab.reload()
    shows(lab, picture)
    lab.wait_until(
        lambda: np.array_equal(lab.canvas_pixels(".pullback-curve"), curve), "the same curve"
    )
    find(lab, ".pullback-temperature .noUi-handle").press("Home")
    shows(lab, pulled(lab, "'golf ball'", "pw.Softening.hard()"))


def test_restart_and_run_all(lab: LabPage) -> None:
    picture = pulled(lab, "None")
    lab.python("explorer.target = 'golf ball'")
    shows(lab, pulled(lab, "'golf ball'"))
    lab.restart_and_run_all()
    shows(lab, picture)
    shows(lab, picture, view=1)
    lab.python(KERNEL)
    find(lab, ".pullback-temperature .noUi-handle").press("Home")
    shows(lab, pulled(lab, "None", "pw.Softening.hard()"))
