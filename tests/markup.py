"""Names that would be elements if a page took them for HTML, and what looks for these elements."""

from __future__ import annotations

import html.parser
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as w
import torch
from ipywidgets.widgets.widget import _instances
from torch import Tensor, nn

import pullback_widgets as pw

MARK = "intruder"


def element(where: str) -> str:
    """A name that is an element, and ends whatever text, attribute or element it stands in."""
    return f"{where}\"'</pre></style></svg><img src=x class={MARK} onerror=alert(1)>&lt;b&gt;"


CLASSES = [element(f"class{number}") for number in range(6)]
STAGES = ("first", "second")


class Marked(nn.Module):
    """A network whose layers are called so, and which may say so in an error."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.names = [element(one).replace(".", "") for one in STAGES]
        self.add_module(self.names[0], nn.Conv2d(3, 4, 3, padding=1))
        self.add_module(self.names[1], nn.Conv2d(4, 6, 3, padding=1))
        self.add_module("head", nn.Linear(6, len(CLASSES)))
        self.mood: Callable[[Tensor], Tensor] = lambda y: y

    def forward(self, x: Tensor) -> Tensor:
        first, second = (self.get_submodule(name) for name in self.names)
        z = torch.nn.functional.elu(second(torch.relu(first(x)))).mean((2, 3))
        return self.mood(self.get_submodule("head")(z))

    def fail(self) -> None:
        """From now on it raises."""

        def fails(y: Tensor) -> Tensor:
            raise ValueError(f"The network is {element('unwell')}; give another.")

        self.mood = fails


def marked() -> pw.Model:
    """The network, and its classes."""
    return pw.Model(Marked().eval(), size=16, categories=CLASSES, name=element("network"))


class _Elements(html.parser.HTMLParser):
    """All elements with what would run in them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        foreign = MARK in given.get("class", "")
        runs = [name for name in given if name.startswith("on") and tag != "style"]
        if foreign or runs or tag in ("script", "iframe", "object"):
            self.found.append(self.get_starttag_text() or tag)


def intruders(text: str) -> list[str]:
    """The elements in a text that none of ours are."""
    parser = _Elements()
    parser.feed(text)
    parser.close()
    return parser.found


def as_html(widget: w.Widget) -> Iterator[tuple[str, str]]:
    """The traits of a widget that the page takes for HTML."""
    if isinstance(widget, w.HTML | w.HTMLMath):
        yield "value", widget.value
    for name in ("description", "tooltip"):
        if getattr(widget, "description_allow_html", False):
            yield name, str(getattr(widget, name, "") or "")


def everywhere() -> dict[str, Any]:
    """The elements in all widgets that there are, seen or not, by where they are."""
    found = {}
    for key, widget in list(_instances.items()):
        for trait, text in as_html(widget):
            if there := intruders(text):
                found[f"{type(widget).__name__} {key[:4]} {trait}"] = there
    return found


def texts() -> str:
    """All that these traits say."""
    return " ".join(text for one in list(_instances.values()) for _, text in as_html(one))
