"""The widgets without a mouse, by a screen reader, in both themes and with larger letters."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import access
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from labpage import LabPage

BEGIN = 'import pullback_widgets as pw\npw.set_device("cpu")'
WIDGET = ".pullback-explorer"
FOLD = f"{WIDGET} .pullback-fold"

WIDGETS = [
    "pw.Explorer()",
    'pw.Explorer(layer="blocks.4.2.bn2.act", channel=64, position=(3, 5))',
    'pw.CounterfactualGrid(images=["coffee", "chelsea"], steps=1)',
    'pw.TemperatureStrip(target="golf ball", temperatures=[0.5], steps=1)',
    "pw.DepthJourney(steps=1)",
    'pw.LayerAtlas(channels=[0, 1, 2], images=["coffee"])',
    "pw.Compare(methods=())",
    "pw.RegionMap()",
    "pw.GatePlayground()",
    "pw.PathStabilityLab()",
]


def opened(lab_page: Callable[..., LabPage], expression: str) -> LabPage:
    """A notebook with a widget, which is called ``view``, after its first computation."""
    lab = lab_page(f"{BEGIN}\nview = {expression}\nview")
    lab.python("view.wait()")
    lab.page.locator(WIDGET).first.scroll_into_view_if_needed()
    return lab


@pytest.mark.parametrize("expression", WIDGETS)
def test_names_keyboard_and_contrast(lab_page: Callable[..., LabPage], expression: str) -> None:
    lab = opened(lab_page, expression)
    access.check(lab, WIDGET)
    for theme in (access.LIGHT, access.DARK):
        access.use_theme(lab, theme)
        access.readable(lab, WIDGET)


def test_folds_open_by_keyboard(lab_page: Callable[..., LabPage]) -> None:
    lab = opened(lab_page, "pw.Explorer()")
    keep = lab.page.get_by_role("button", name="Keep")
    lab.wait_until(keep.is_enabled, "the first picture is noted in the history")
    shut = len(access.controls(lab, WIDGET))
    folds = lab.page.locator(FOLD)
    assert folds.count() == 5

    def only_open(number: int | None) -> bool:
        states = folds.evaluate_all("all => all.map(one => one.title.endsWith('open'))")
        return bool(states == [one == number for one in range(5)])

    for theme in (access.LIGHT, access.DARK):
        access.use_theme(lab, theme)
        for number in range(5):
            folds.nth(number).press("Enter")
            lab.wait_until(functools.partial(only_open, number), f"only {number} is open")
            assert len(access.check(lab, WIDGET)) > shut
            access.readable(lab, WIDGET)
    folds.nth(4).press("Space")
    lab.wait_until(lambda: only_open(None), "all are shut")
    assert len(access.controls(lab, WIDGET)) == shut


def test_what_the_mouse_does_on_the_explorers_canvases(lab_page: Callable[..., LabPage]) -> None:
    lab = opened(lab_page, 'pw.Explorer(layer="blocks.4.2.bn2.act", channel=64)')
    screen = lab.page.locator(".pullback-screen")

    position = lab.page.get_by_role("textbox", name="Position")
    position.fill("3, 5")
    position.press("Enter")
    lab.wait_until(lambda: lab.value("view.position") == [3, 5], "another place")
    lab.wait_until(lambda: "(3, 5)" in (screen.get_attribute("title") or ""), "its name says so")
    with lab.expecting_error():
        position.fill("3, x")
        position.press("Enter")
        lab.wait_until(
            lambda: "expected row and column" in "".join(lab.visible_errors()), "it is explained"
        )
        lab.wait_until(lambda: position.input_value() == "3, 5", "what holds is shown")
        position.fill("")
        position.press("Enter")
        lab.wait_until(lambda: lab.value("view.position") is None, "the whole map")
        lab.wait_until(lambda: not lab.visible_errors(), "the error is gone")

    channel = lab.page.get_by_role("spinbutton", name="Channel")
    channel.fill("85")
    channel.press("Enter")
    lab.wait_until(lambda: lab.value("view.channel") == 85, "another channel")
    lab.python("view.wait()")

    before = lab.wait_until_still(".pullback-screen")
    lab.page.locator(FOLD).filter(has_text="Side by side, wipe, colours").press("Enter")
    wipe = lab.page.get_by_role("spinbutton", name="Wipe, %")
    wipe.fill("50")
    wipe.press("Enter")
    after = lab.wait_for_change(before, ".pullback-screen")
    assert lab.value("view.wipe") == 0.5
    assert (after[:, :400] != before[:, :400]).any()


def test_a_tile_is_opened_without_a_mouse(lab_page: Callable[..., LabPage]) -> None:
    lab = opened(lab_page, WIDGETS[2])
    lab.page.get_by_role("combobox", name="Tile in row").select_option("2. Chelsea the cat")
    lab.page.get_by_role("combobox", name="and column").select_option(index=1)
    lab.page.get_by_role("button", name="Choose").press("Enter")
    lab.wait_until(lambda: lab.value("view.explorer is not None"), "an explorer is there")
    lab.wait_until_drawn(".pullback-screen")
    assert lab.value("view.explorer.image == view.result.sources[view.result.names[1]]")
    assert lab.value("view.explorer.target == view.result.targets[0]")


def test_a_board_in_words(lab_page: Callable[..., LabPage]) -> None:
    lab = opened(lab_page, WIDGETS[2])
    table = lab.page.locator(f"{WIDGET} .pullback-spoken table")
    rows = table.locator("tr")
    assert rows.count() == 3
    heads = rows.nth(0).locator("th").all_inner_texts()
    assert heads[0] == "photograph" and heads[1].startswith("espresso")
    cells = rows.nth(2).locator("th, td").all_inner_texts()
    assert cells[2] == lab.value("view.result.change(1, 0)")


def test_letters_follow_the_theme(lab_page: Callable[..., LabPage]) -> None:
    lab = opened(lab_page, "pw.Explorer()")
    normal = access.font_sizes(lab, WIDGET)
    lab.page.evaluate(
        "() => document.documentElement.style.setProperty('--jp-ui-font-size1', '26px')"
    )
    large = access.font_sizes(lab, WIDGET)
    assert len(normal) == len(large) > 20
    fixed = {name for (name, old), (_, new) in zip(normal, large, strict=True) if new < 1.9 * old}
    assert not fixed


def test_a_narrow_page_makes_no_small_letters(lab_page: Callable[..., LabPage]) -> None:
    lab = opened(lab_page, "pw.DepthJourney(steps=1)")
    lab.page.set_viewport_size({"width": 800, "height": 900})
    shown, own = lab.page.locator(".pullback-board").evaluate(
        "canvas => [canvas.getBoundingClientRect().width, canvas.width]"
    )
    # 22 pixels of the canvas are 11 of the page.
    assert shown == pytest.approx(own / 2)


WRONG = f"""
import ipywidgets as w
from pullback_widgets.widgets.kit.layout import STYLE
box = w.VBox([
    w.HTML("<style>" + STYLE + "</style>"),
    w.Button(description="One"),
    w.IntSlider(readout=False),
    w.HTML('<p style="color: #999; background: white">pale</p>'),
    w.HTML('<button tabindex="-1">Two</button>'),
    w.HTML('<button onfocus="this.blur()">Three</button>'),
    w.HTML('<button style="outline: none !important">Four</button>'),
])
box.add_class("{WIDGET[1:]}")
box
"""


def test_the_checks_see_what_is_wrong(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(WRONG)
    with pytest.raises(AssertionError, match="without a name.*slider"):
        access.check(lab, WIDGET)
    lab.python("box.children[2].close(); box.children = [*box.children[:2], *box.children[3:]]")
    lab.wait_until(lambda: not lab.page.locator(".widget-slider").count(), "no slider")
    with pytest.raises(AssertionError, match="not reached with Tab.*Three"):
        access.check(lab, WIDGET)
    lab.python("box.children = [one for one in box.children if 'Three' not in str(one)]")
    wrong = lab.page.locator(WIDGET).get_by_text("Three")
    lab.wait_until(lambda: not wrong.count(), "no such button")
    with pytest.raises(AssertionError, match="nothing shows the focus on.*Four"):
        access.check(lab, WIDGET)
    with pytest.raises(AssertionError, match="contrast under 4.5.*pale"):
        access.readable(lab, WIDGET)
