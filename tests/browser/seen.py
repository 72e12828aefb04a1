"""What of a widget can be seen: nothing without a size, nothing cut off, nothing over another."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labpage import LabPage


class Viewport(NamedTuple):
    """The size of a window in CSS pixels, and how many pixels of the screen one of these is."""

    width: int
    scale: float = 1.0
    height: int = 900


# A wide screen, one of 1024 pixels at 150 %, a tablet, a telephone.
VIEWPORTS = (Viewport(1280), Viewport(683, 1.5), Viewport(800), Viewport(390))
THEMES = (access.LIGHT, access.DARK)

# One notebook and nothing beside it: the widget has the whole width, as in Voila.
ALONE = """() => {
    window.jupyterapp.shell.mode = 'single-document';
    window.jupyterapp.shell.collapseLeft();
    window.jupyterapp.shell.collapseRight();
    const style = document.createElement('style');
    style.textContent = '.jp-OutputPrompt, .jp-InputPrompt, .jp-Collapser { display: none; }';
    document.head.append(style);
}"""

# Whether the notebook has followed the window.
FITS = """width => {
    const panel = document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden)');
    const {left, right} = panel.getBoundingClientRect();
    return window.innerWidth === width && right <= width && width - (right - left) < 100;
}"""

# A sentence for each fault. What is not displayed, or meant for screen readers only, is not there
# to be seen; what scrolls on purpose cuts nothing off.
FAULTS = """root => {
    const SPOKEN = '.pullback-spoken, .pullback-spoken-label > .widget-label';
    const REPLACED = '.pullback-upload';  // shows its tooltip in place of its text
    const SCROLLS = ':has(> .pullback-board), :has(> .pullback-history), .pullback-code,' +
        ' .pullback-error pre, .pullback-offers';
    const CONTROLS = 'a[href], button, canvas, input, select, summary, textarea, .noUi-target,' +
        ' .noUi-handle, .progress, svg, img';
    const SLACK = 1.5;
    const least = one => one.matches('.noUi-target') ? 2 : 6;
    const faults = new Set();
    const style = one => getComputedStyle(one);
    const hidden = one => !one.checkVisibility({visibilityProperty: true}) ||
        one.closest(SPOKEN) || one.closest('option, style, script');
    const box = (left, top, right, bottom) => ({left, top, right, bottom});
    const name = one => {
        const label = one.closest('.jupyter-widgets')?.querySelector('.widget-label');
        const text = (one.innerText || label?.innerText || one.title || one.value || '').trim();
        return `<${one.tagName.toLowerCase()} ${one.getAttribute('class') ?? ''}> ` +
            JSON.stringify(text.slice(0, 60));
    };
    const size = rect => `${Math.round(rect.right - rect.left)} x ` +
        `${Math.round(rect.bottom - rect.top)} px`;

    // Everything there is: controls, and lines of text.
    const items = [];
    for (const one of root.querySelectorAll(CONTROLS)) {
        if (hidden(one) || one.type === 'file' || one.closest('svg') !== (
            one.tagName === 'svg' ? one : null)) continue;
        items.push({one, what: name(one), rects: [one.getBoundingClientRect()]});
    }
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode, one = node.parentElement;
        if (!node.textContent.trim() || hidden(one) || one.closest('svg')) continue;
        if (one.matches(REPLACED)) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const what = `text ${JSON.stringify(node.textContent.trim().slice(0, 60))}`;
        items.push({one, what, rects: [...range.getClientRects()], text: true});
    }

    // The sizes.
    for (const {one, what, rects, text} of items) {
        const seen = ({width, height}) => height >= least(one) && width >= (text ? 1 : least(one));
        if (!rects.some(seen))
            faults.add(`${what} has the size ${rects.map(size).join(', ') || '0 x 0 px'}`);
    }

    // What is cut off, by the thing itself or by anything around it.
    const clips = value => value !== 'visible';
    for (const {one, what, rects, text} of items) {
        let parts = rects;
        for (let around = text ? one : one.parentElement; around; around = around.parentElement) {
            const {display, overflowX, overflowY} = style(around);
            if (display === 'contents' || (!clips(overflowX) && !clips(overflowY))) continue;
            if (around.matches(SCROLLS) && overflowX === 'auto') {
                parts = [around.getBoundingClientRect()];
                continue;
            }
            const inside = root.contains(around);  // the page itself may scroll down
            const outer = around.getBoundingClientRect();
            const left = outer.left + around.clientLeft, top = outer.top + around.clientTop;
            const right = left + around.clientWidth, bottom = top + around.clientHeight;
            let cut = false;
            for (const rect of parts) {
                const across = clips(overflowX) &&
                    Math.max(left - rect.left, rect.right - right);
                const down = inside && clips(overflowY) &&
                    Math.max(top - rect.top, rect.bottom - bottom) - (text ? 3 : 0);
                cut ||= across > SLACK || down > SLACK;
                if (across > SLACK)
                    faults.add(`${what} is cut off by ${across.toFixed()} px in the width of ` +
                        name(around));
                if (down > SLACK)
                    faults.add(`${what} is cut off by ${down.toFixed()} px in the height of ` +
                        name(around));
            }
            if (cut) break;
        }
    }

    // What is written in boxes.
    const ruler = document.createElement('canvas').getContext('2d');
    for (const {one, what} of items) {
        const choice = one.tagName === 'SELECT';
        if (!choice && !one.matches('input:not([type=checkbox], [type=radio])')) continue;
        const {font, paddingLeft, paddingRight} = style(one);
        const arrow = choice ? 16 : 0;
        ruler.font = font;
        const words = choice ? one.selectedOptions[0]?.text : one.value || one.placeholder;
        const room = one.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight) - arrow;
        const needed = ruler.measureText(words ?? '').width;
        if (needed > room + SLACK)
            faults.add(`${what} has ${room.toFixed()} px for ${needed.toFixed()} px of ` +
                JSON.stringify(words));
    }

    // What lies over another. Lines of text may touch; what is scrolled away is not there.
    for (const item of items) {
        let around = item.text ? item.one : item.one.parentElement;
        for (; around; around = around.parentElement) {
            if (!around.matches(SCROLLS)) continue;
            const window = around.getBoundingClientRect();
            item.rects = item.rects.map(rect => box(
                Math.max(rect.left, window.left), Math.max(rect.top, window.top),
                Math.min(rect.right, window.right), Math.min(rect.bottom, window.bottom)));
        }
    }
    const over = (a, b, slack) =>
        Math.min(a.right, b.right) - Math.max(a.left, b.left) > slack &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > slack;
    items.forEach((first, number) => {
        for (const second of items.slice(number + 1)) {
            if (first.one.contains(second.one) || second.one.contains(first.one)) continue;
            const slack = first.text || second.text ? 4 : SLACK;
            if (first.rects.some(a => second.rects.some(b => over(a, b, slack))))
                faults.add(`${first.what} and ${second.what} lie over each other`);
        }
    });
    return [...faults];
}"""


def alone(lab: LabPage) -> None:
    """Leaves nothing of JupyterLab beside the notebook, so that the widget has all the width."""
    lab.page.evaluate(ALONE)


def faults(lab: LabPage, selector: str) -> list[str]:
    """What of a widget is not seen as it should be, a sentence each.

    Args:
        lab: The notebook.
        selector: Of the widget, the first if there are several.
    """
    found: list[str] = lab.page.locator(selector).first.evaluate(FAULTS)
    return found


def check(lab: LabPage, selector: str, state: str, seconds: float = 3.0) -> None:
    """Fails unless all of a widget is seen in windows of all widths.

    Args:
        lab: The notebook, :func:`alone`.
        selector: Of the widget.
        state: What the widget shows, for the message.
        seconds: In which the page must have followed the window.
    """
    wrong = {
        f"{state}, {window.width} px wide: {fault}"
        for window in widths(lab)
        for fault in _settled(lab, selector, seconds)
    }
    assert not wrong, "\n".join(sorted(wrong))


def widths(lab: LabPage) -> Iterator[Viewport]:
    """The page in one window after the other; in the end, in the first again."""
    session = lab.page.context.new_cdp_session(lab.page)

    def open_in(window: Viewport) -> None:
        metrics: dict[str, Any] = {"width": window.width, "height": window.height, "mobile": False}
        session.send(
            "Emulation.setDeviceMetricsOverride", {**metrics, "deviceScaleFactor": window.scale}
        )
        fits = functools.partial(lab.page.evaluate, FITS, window.width)
        lab.wait_until(fits, f"a window of {window.width} px")

    for window in VIEWPORTS:
        open_in(window)
        yield window
    open_in(VIEWPORTS[0])
    session.detach()


def _settled(lab: LabPage, selector: str, seconds: float) -> list[str]:
    """The faults that are still there after some seconds; none as soon as there are none."""
    found: list[str] = []

    def none() -> bool:
        found[:] = faults(lab, selector)
        return not found

    try:
        lab.wait_until(none, "all is seen", seconds)
    except AssertionError:
        if not found:
            raise
    return found
