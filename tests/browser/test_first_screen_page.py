"""The two pictures: what links them, how they are enlarged, what stands beside; the way back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from journeys import BESIDE, SCREEN, SIZE, button, field, find, pulled, rgb, screen, shows

if TYPE_CHECKING:
    from labpage import LabPage
    from playwright.sync_api import FloatRect

ADVICE = ".pullback-advice .widget-html"


def box(lab: LabPage, canvas: str) -> FloatRect:
    """Where a canvas is in the window."""
    place = find(lab, canvas)
    place.scroll_into_view_if_needed()
    found = place.bounding_box()
    assert found is not None
    return found


def at(lab: LabPage, canvas: str, across: float, down: float) -> tuple[float, float]:
    """A place on a canvas, in the window."""
    place = box(lab, canvas)
    return place["x"] + across * place["width"], place["y"] + down * place["height"]


def drag(lab: LabPage, canvas: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    mouse = lab.page.mouse
    mouse.move(*at(lab, canvas, *start))
    mouse.down()
    mouse.move(*at(lab, canvas, *end), steps=8)
    mouse.up()


def test_both_pictures_are_of_one_size_and_beside_each_other(lab: LabPage) -> None:
    left, right = box(lab, BESIDE), box(lab, SCREEN)
    assert left["width"] == right["width"] > 200 and left["y"] == right["y"]
    assert 0 <= right["x"] - left["x"] - left["width"] < 20
    shows(lab, rgb(lab, "seen()"), columns=slice(None), canvas=BESIDE)


@pytest.mark.parametrize(("one", "other"), [(SCREEN, BESIDE), (BESIDE, SCREEN)])
def test_what_is_under_the_mouse_is_said_and_marked(lab: LabPage, one: str, other: str) -> None:
    before = screen(lab, canvas=other)
    lab.page.mouse.move(*at(lab, one, 0.5, 0.25))
    said = find(lab, ADVICE)
    lab.wait_until(lambda: "column" in said.inner_text(), "the value")
    row, column = map(int, re.findall(r"row (\d+), column (\d+):", said.inner_text())[0])
    assert abs(row - SIZE // 4) <= 1 and abs(column - SIZE // 2) <= 1  # the mouse's whole pixels
    lab.wait_until(lambda: (screen(lab, canvas=other) != before).any(), "the mark")
    changed = np.argwhere((screen(lab, canvas=other) != before).any(-1))
    assert abs(changed.mean(0) - (SIZE / 4, SIZE / 2)).max() < 3
    assert np.ptp(changed, axis=0).max() < 20
    lab.page.mouse.move(*at(lab, one, 0.5, -0.2))
    lab.wait_until(lambda: np.array_equal(screen(lab, canvas=other), before), "no mark")
    lab.wait_until(lambda: "row" not in said.inner_text(), "the invitation")


def test_a_click_at_a_class_is_answered(lab: LabPage) -> None:
    lab.page.mouse.click(*at(lab, BESIDE, 0.9, 0.1))
    offer = find(lab, ".pullback-advice button")
    offer.wait_for(state="visible")
    layer = offer.inner_text().partition(",")[0]
    assert layer and "row" in offer.inner_text()
    offer.click()
    lab.wait_until(lambda: lab.value("explorer.layer") == layer, "the layer")
    lab.python("explorer.wait()")
    position = lab.value("list(explorer.position)")
    unit = pulled(lab, f"pw.Unit({layer!r}, explorer.result.target.channel, {position})")
    shows(lab, unit, rows=slice(70, None))  # its cell is outlined
    offer.wait_for(state="hidden")


def test_a_drag_on_the_photograph_wipes_the_picture(lab: LabPage) -> None:
    picture, photograph = pulled(lab, "None"), rgb(lab, "seen()")
    drag(lab, BESIDE, (0.2, 0.7), (0.5, 0.7))
    half = SIZE // 2
    shows(lab, photograph, slice(60, None), slice(0, half - 30))
    shows(lab, picture, slice(60, None), slice(half + 30, None))
    line = screen(lab, canvas=BESIDE)
    assert (line[60:, half - 1 : half + 1] != photograph[60:, half - 1 : half + 1]).any()


def test_zoom_pan_and_fit(lab: LabPage) -> None:
    whole = pulled(lab, "None")
    fit, closer = button(lab, "fit"), button(lab, "+")
    assert fit.is_disabled()
    closer.click()
    quarter = whole[SIZE // 4 : 3 * SIZE // 4, SIZE // 4 : 3 * SIZE // 4]
    large = quarter.repeat(2, 0).repeat(2, 1)
    shows(lab, large)
    photograph = rgb(lab, "seen()")[SIZE // 4 : 3 * SIZE // 4, SIZE // 4 : 3 * SIZE // 4]
    shows(lab, photograph.repeat(2, 0).repeat(2, 1), columns=slice(None), canvas=BESIDE)
    drag(lab, SCREEN, (0.3, 0.3), (0.9, 0.95))  # as far as it goes
    corner = whole[: SIZE // 2, : SIZE // 2].repeat(2, 0).repeat(2, 1)
    shows(lab, corner)
    assert lab.value("explorer.wipe") == 0
    fit.click()
    shows(lab, whole)


def test_a_temperature_that_stays_beside_another(lab: LabPage) -> None:
    kept = pulled(lab, "None")
    button(lab, "Side by side").click()
    field(lab, "Beside", "select").select_option(label="this temperature, kept there")
    shows(lab, kept, columns=slice(None), canvas=BESIDE)
    handle = find(lab, ".pullback-temperature .noUi-handle")
    handle.press("Home")
    plain = pulled(lab, "None", "pw.Softening.hard()")
    shows(lab, plain)
    shows(lab, kept, columns=slice(None), canvas=BESIDE)
    drag(lab, SCREEN, (0.02, 0.5), (0.5, 0.5))
    half = SIZE // 2
    shows(lab, kept, slice(60, 90), slice(0, half - 4))
    shows(lab, plain, slice(60, 90), slice(half + 4, None))
    names = [one.inner_text() for one in find(lab, ".pullback-name").all()]
    assert "relative T = 0.85" in names[0] and "plain gradient" in names[1]
    field(lab, "Beside", "select").select_option(label="the photograph")
    shows(lab, rgb(lab, "seen()"), canvas=BESIDE, columns=slice(half + 4, None))
    button(lab, "Side by side").click()


def test_the_way_back(lab: LabPage) -> None:
    lab.python("explorer._note()")
    first, second = pulled(lab, "None"), pulled(lab, "'golf ball'")
    noted = lab.value("len(explorer.history.entries)")
    lab.python("explorer.target = 'golf ball'")
    shows(lab, second)
    lab.wait_until(lambda: lab.value("len(explorer.history.entries)") == noted + 1, "it is noted")
    undo = button(lab, "Undo")
    undo.click()
    shows(lab, first)
    number = lab.value("explorer.history.entries.index(explorer.history.current)")
    button(lab, "Redo").click()
    shows(lab, second)
    strip = find(lab, ".pullback-history")
    strip.scroll_into_view_if_needed()
    thumbnails = lab.canvas_pixels(".pullback-history")
    assert thumbnails[10:130, 10:130].std() > 15  # the newest stands first
    place = strip.bounding_box()
    assert place is not None
    lab.page.mouse.click(place["x"] + 70 * number + 32, place["y"] + 30)
    shows(lab, first)
