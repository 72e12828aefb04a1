"""A matplotlib figure in a page: an inline SVG that follows the page's theme.

Black, and what the user's style has in its place, becomes the colour of the text around; the ground
is left out; and sizes are in units of the theme's font. So a dark theme and large letters are
followed.
"""

from __future__ import annotations

import html
import io
import re
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONT_SIZE = 8.0
"""Points of matplotlib that appear as large as the theme's own writing."""

INK = (
    "text.color", "axes.labelcolor", "axes.titlecolor", "axes.edgecolor", "xtick.color",
    "ytick.color", "xtick.labelcolor", "ytick.labelcolor",
)  # fmt: skip
"""The settings of matplotlib that say what is written and ruled in which colour."""

_LOCK = threading.Lock()


def svg(figure: Figure, label: str) -> str:
    """The figure as an element of a page.

    Args:
        figure: Drawn in black on white; its grounds are made transparent.
        label: What a screen reader says of it.
    """
    import matplotlib as mpl
    from matplotlib.colors import is_color_like, to_hex

    settings: Any = mpl.rcParams
    inks = {to_hex(settings[name]) for name in INK if is_color_like(settings[name])}
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    file = io.StringIO()
    # Letters stay letters: they are selected, searched and read aloud.  The settings are those of
    # all threads, so nothing but this one may be put back: the user may set others meanwhile.
    with _LOCK:
        before = settings["svg.fonttype"]
        settings["svg.fonttype"] = "none"
        try:
            figure.savefig(file, format="svg", metadata={"Date": None})
        finally:
            settings["svg.fonttype"] = before
    text = file.getvalue()
    text = text[text.index("<svg") :]
    for ink in {"#000000", *inks}:
        text = text.replace(ink, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # It would style every drawing of the page, not only this one.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*;?", "", text)
    width = figure.get_figwidth() * 72 / FONT_SIZE
    opening = (
        f'<svg role="img" aria-label="{html.escape(label, quote=True)}" '
        f'class="pullback-chart" style="width: {width:.1f}em"'
    )
    # Without a size of its own the drawing takes the one of the page.
    head, _, rest = text.partition(">")
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return f"{head.replace('<svg', opening, 1)}>{rest}"
