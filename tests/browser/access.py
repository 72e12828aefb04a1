"""What a widget is like without a mouse, by a screen reader, and where contrasts are low."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labpage import LabPage
    from widgetpage import WidgetPage

CONTRAST = 4.5
"""Of text and what lies behind it, by WCAG 2.2, level AA."""

LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"

# Glyphs of icon fonts: a screen reader says nothing, or nonsense.
ICON = re.compile("[\ue000-\uf8ff]")

# Marks what can be used with a number each, in the page's order.
MARK = """root => {
    const usable = 'a[href],button,canvas,input,select,summary,textarea,[tabindex],' +
        '[contenteditable=true]';
    for (const one of document.querySelectorAll('[data-access]')) delete one.dataset.access;
    const all = [...root.querySelectorAll(usable)].filter(one =>
        one.checkVisibility({visibilityProperty: true}) && !one.disabled && one.tabIndex >= 0);
    all.forEach((one, number) => { one.dataset.access = number; });
    return all.map(one => {
        const box = one.closest('.widget-box')?.querySelectorAll('[data-access]') ?? [];
        return {
            html: one.outerHTML.slice(0, 160),
            beside: [...box].map(other => Number(other.dataset.access)),
        };
    });
}"""

FOCUSED = """() => {
    const one = document.activeElement;
    const style = getComputedStyle(one);
    const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
    return {number: Number(one.dataset?.access ?? -1), outlined};
}"""

# Every visible text with its colour and the colours behind it, from the text outwards.
TEXTS = """root => {
    const found = [];
    const seen = one => one.checkVisibility({visibilityProperty: true}) &&
        !one.closest(':disabled') && one.getBoundingClientRect().width > 1;
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.textContent.trim();
        const owner = walker.currentNode.parentElement;
        if (text && seen(owner) && !['STYLE', 'OPTION'].includes(owner.tagName))
            found.push([text, owner]);
    }
    for (const one of root.querySelectorAll('input,select,textarea'))
        if (seen(one)) found.push([one.value, one]);
    return found.map(([text, owner]) => {
        const behind = [];
        for (let one = owner; one; one = one.parentElement)
            behind.push(getComputedStyle(one).backgroundColor);
        return {text, colour: getComputedStyle(owner).color, behind};
    });
}"""

HAS_THEME = """theme => document.body.dataset.jpThemeName === theme
    && document.getElementById('jupyterlab-splash') === null"""

FONT_SIZES = """root => [...root.querySelectorAll('[class*=pullback-] , .widget-label, button')]
    .filter(one => one.checkVisibility() && one.innerText?.trim())
    .map(one => [one.className, parseFloat(getComputedStyle(one).fontSize)])"""

Colour = tuple[float, float, float, float]
"""Red, green, blue from 0 to 255, and opacity."""


@dataclass
class Control:
    """Something that can be used.

    Attributes:
        role: What a screen reader says that it is.
        name: How it calls it.
        html: The beginning of its HTML.
        beside: Numbers of the controls in the same row.
    """

    role: str
    name: str
    html: str
    beside: list[int]


def check(lab: WidgetPage, selector: str) -> list[Control]:
    """Fails unless all visible controls have names, are reached with Tab and show the focus.

    Returns:
        The controls, in the page's order.
    """
    found = controls(lab, selector)
    assert found, f"no control in {selector}"
    unnamed = [one.html for one in found if not one.name and not _named_beside(one, found)]
    assert not unnamed, f"without a name: {unnamed}"
    reached = tab_through(lab, selector, len(found))
    missed = [one.html for number, one in enumerate(found) if number not in reached]
    assert not missed, f"not reached with Tab: {missed}"
    plain = [found[number].html for number, outlined in reached.items() if not outlined]
    assert not plain, f"nothing shows the focus on {plain}"
    return found


def controls(lab: WidgetPage, selector: str) -> list[Control]:
    """The visible and enabled controls, as Chromium's accessibility tree has them."""
    root = lab.page.locator(selector).first
    root.scroll_into_view_if_needed()
    marked = root.evaluate(MARK)
    tree = lab.page.context.new_cdp_session(lab.page)
    document = tree.send("DOM.getDocument")["root"]["nodeId"]
    found = []
    for number, one in enumerate(marked):
        where = {"nodeId": document, "selector": f'[data-access="{number}"]'}
        node = tree.send("DOM.querySelector", where)["nodeId"]
        (ax, *_) = tree.send(
            "Accessibility.getPartialAXTree", {"nodeId": node, "fetchRelatives": False}
        )["nodes"]
        name = ICON.sub("", ax.get("name", {}).get("value", "")).strip()
        role = ax.get("role", {}).get("value", "")
        found.append(Control(role, name, one["html"], one["beside"]))
    tree.detach()
    return found


def _named_beside(one: Control, all_of_them: list[Control]) -> bool:
    """Whether a slider, whose handle ipywidgets cannot name, has a named box in its row."""
    boxes = {"spinbutton", "textbox", "combobox"}
    beside = [all_of_them[number] for number in one.beside]
    return one.role == "slider" and any(other.role in boxes and other.name for other in beside)


def tab_through(lab: WidgetPage, selector: str, count: int) -> dict[int, bool]:
    """Presses Tab from the first marked control on, until as many were reached or focus left.

    Returns:
        The controls that were reached, and whether an outline showed it.
    """
    page = lab.page
    page.locator(f'{selector} [data-access="0"]').first.focus()
    page.keyboard.press("Shift+Tab")
    _settled(lab)
    reached: dict[int, bool] = {}
    left = 0
    while len(reached) < count and left < 3:
        page.keyboard.press("Tab")
        seen = _settled(lab)
        left = 0 if seen["number"] >= 0 else left + 1
        if seen["number"] >= 0:
            reached[seen["number"]] = seen["outlined"]
    return reached


def _settled(lab: WidgetPage) -> Any:
    """What has the focus; a canvas lets go of it when the kernel has answered."""
    return lab.page.evaluate(FOCUSED)


def contrasts(lab: WidgetPage, selector: str) -> Iterator[tuple[float, str]]:
    """The contrast of every visible text, and the text."""
    for found in lab.page.locator(selector).first.evaluate(TEXTS):
        if not ICON.sub("", found["text"]).strip(" ●■"):
            continue  # signs beside words
        ground: Colour = (255, 255, 255, 1)
        for colour in reversed([_colour(one) for one in found["behind"]]):
            ground = _over(colour, ground)
        yield _contrast(_over(_colour(found["colour"]), ground), ground), found["text"]


def readable(lab: WidgetPage, selector: str) -> None:
    """Fails if the contrast of any text is too low."""
    low = [(round(ratio, 2), text) for ratio, text in contrasts(lab, selector) if ratio < CONTRAST]
    assert not low, f"contrast under {CONTRAST}: {low}"


def use_theme(lab: LabPage, theme: str) -> None:
    """Changes JupyterLab's theme, and waits until the page has it.

    JupyterLab covers the change with its splash screen and takes it away 200 ms later. A second
    change in between makes it take the same element away twice, which is an error in its page: so
    the splash screen must be gone too.
    """
    lab.page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
    )
    lab.wait_until(lambda: lab.page.evaluate(HAS_THEME, theme), f"the {theme}")


def font_sizes(lab: WidgetPage, selector: str) -> list[tuple[str, float]]:
    """CSS classes and font sizes of what has a text."""
    sizes: list[tuple[str, float]] = lab.page.locator(selector).first.evaluate(FONT_SIZES)
    return sizes


def _colour(css: str) -> Colour:
    numbers = [float(one) for one in re.findall(r"[\d.]+", css)]
    if css.startswith("color("):  # color(srgb 0 0.5 1 / 0.5)
        numbers[:3] = [255 * one for one in numbers[:3]]
    red, green, blue, *opacity = numbers
    return red, green, blue, opacity[0] if opacity else 1.0


def _over(colour: Colour, ground: Colour) -> Colour:
    share = colour[3]
    red, green, blue = (
        share * a + (1 - share) * b for a, b in zip(colour[:3], ground[:3], strict=True)
    )
    return red, green, blue, 1.0


def _contrast(one: Colour, other: Colour) -> float:
    """WCAG's contrast ratio."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    """Relative luminance, by WCAG."""
    linear = [
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4
        for one in (part / 255 for part in colour[:3])
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
