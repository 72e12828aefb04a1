"""Voila on a phone: a tap picks, a swipe on the handle wipes, swipe and wheel scroll the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest
from servers import VoilaServer
from voilapage import VoilaPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

SCREEN = ".pullback-screen"
CELL = (
    'import pullback_widgets as pw\npw.set_device("cpu")\n'
    'pw.Explorer(layer="blocks.4.2.bn2.act", channel=64)'
)
OVERFLOW = """() => {
    const wide = document.documentElement.clientWidth;
    return [...document.querySelectorAll('.pullback-explorer *')]
        .filter(one => one.checkVisibility() && one.getBoundingClientRect().right > wide + 1
            && getComputedStyle(one).position !== 'absolute' && !one.closest('svg'))
        .map(one => one.className || one.tagName);
}"""


@pytest.fixture(scope="module")
def phone(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VoilaPage]:
    """The Explorer as a web page on a phone."""
    folder = tmp_path_factory.mktemp("touch")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbformat.write(notebook, folder / "touch.ipynb")
    server = VoilaServer(folder, folder / "touch.ipynb")
    context = chromium.new_context(
        viewport={"width": 390, "height": 844},
        device_scale_factor=2,
        has_touch=True,
        is_mobile=True,
    )
    try:
        page = VoilaPage(context.new_page(), server)
        page.wait_until_drawn(SCREEN)
        yield page
        page.check()
    finally:
        context.close()
        server.close()


def place(phone: VoilaPage) -> tuple[float, float, float]:
    """Left, top and side of the picture in the window."""
    box = phone.canvas(SCREEN).bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"]


def swipe(phone: VoilaPage, start: tuple[float, float], right: float, down: float) -> None:
    """One finger, in ten steps."""
    touch = phone.page.context.new_cdp_session(phone.page)
    for step in range(11):
        x, y = start[0] + right * step / 10, start[1] + down * step / 10
        kind = "touchMove" if step else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    touch.detach()


def test_nothing_is_wider_than_the_page(phone: VoilaPage) -> None:
    phone.canvas(SCREEN).scroll_into_view_if_needed()
    phone.wait_until(lambda: phone.page.evaluate(OVERFLOW) == [], "all is within the page")
    assert place(phone)[2] > 150


def test_the_wheel_scrolls_over_the_picture(phone: VoilaPage) -> None:
    phone.canvas(SCREEN).scroll_into_view_if_needed()
    for down in (1, -1):
        phone.canvas(SCREEN).hover(force=True)
        start = place(phone)[1]

        def scrolled(down: int = down, start: float = start) -> bool:
            phone.page.mouse.wheel(0, 40 * down)
            return (start - place(phone)[1]) * down > 60

        phone.wait_until(scrolled, "the page scrolls")


def test_a_tap_picks(phone: VoilaPage) -> None:
    left, top, side = place(phone)
    caption = phone.page.locator(".pullback-caption")
    before = caption.inner_text()
    phone.page.touchscreen.tap(left + 0.3 * side, top + 0.7 * side)
    phone.wait_until(lambda: caption.inner_text() != before, "the caption names the place")
    assert "(9, 4)" in caption.inner_text()


def test_a_swipe_on_the_handle_wipes(phone: VoilaPage) -> None:
    left, top, side = place(phone)
    before = phone.wait_until_still(SCREEN)
    swipe(phone, (left + 3, top + side / 2), 0.6 * side, 0)
    phone.wait_for_change(before, SCREEN)
    after = phone.wait_until_still(SCREEN)
    changed = (before != after).any(-1)
    middle = changed.shape[1] // 2
    assert changed[:, : middle // 2].mean() > 0.8 and changed[:, -middle // 2 :].mean() < 0.1


def test_a_swipe_up_scrolls(phone: VoilaPage) -> None:
    left, top, side = place(phone)
    before = phone.page.locator(".pullback-caption").inner_text()
    swipe(phone, (left + side / 2, top + side / 2), 0, -0.8 * side)
    phone.wait_until(lambda: place(phone)[1] < top - 20, "the page scrolls")
    assert phone.page.locator(".pullback-caption").inner_text() == before
