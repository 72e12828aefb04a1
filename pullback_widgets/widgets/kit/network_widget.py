"""What the figures of networks have in common: the network, and what of it is not softened."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ipywidgets as w
import traitlets as t

from ...drawing import words
from ...engine.model import Model
from ...engine.softening import Softening
from ...figures.result import Result
from ...figures.snapshot import Sessions
from ...networks.catalogue import entry
from .binding import SPOKEN_LABEL, bind, follow, listen
from .figure_widget import FigureWidget
from .layout import row
from .temperature import off_unless_softened, temperature_controls


class NetworkFigureWidget(FigureWidget):
    """A figure of a network, which may be a name; what of it is not softened is said."""

    _softens = t.Bool(True)
    """Whether the temperature changes anything; see :attr:`Result.softens`."""

    def __init__(self, **choices: Any) -> None:
        self._sessions = Sessions(self._downloading)
        super().__init__(**choices)

    def steps_of(self, request: Any) -> Iterator[Result]:
        """Compute a figure of a network that is loaded; see :meth:`compute`."""
        raise NotImplementedError

    def compute(self, request: Any) -> Iterator[Result]:
        return self.steps_of(dataclasses.replace(request, model=self._loaded(request)))

    def drew(self, result: Any) -> None:
        self._softens = result.softens
        lines = "".join(f"<div>{html.escape(one)}</div>" for one in result.exceptions)
        self._kept.value = lines and f'<div class="pullback-note">{lines}</div>'

    def footnotes(self) -> Sequence[w.Widget]:
        self._kept = w.HTML(layout=w.Layout(max_width="1000px"))
        return [self._kept]

    # The network.

    _model: Model | None = None
    """The network that was there last."""

    def _loaded(self, request: Any) -> Model:
        """The chosen network."""
        self._model = self._sessions.model(request.model)
        if self.model == request.model and self.model is not self._model:
            self._restore({"model": self._model})  # a name became its network: no new choice
        return self._model

    def _failed(self, request: Any, error: BaseException) -> None:
        good = self.result
        if isinstance(request.model, str) and self.model == request.model and good is not None:
            self._restore({"model": good.model})  # it could not be had: go on with the one before
        super()._failed(request, error)

    def _downloading(self, name: str, done: int, total: int) -> None:
        title = html.escape(entry(name).title)
        self._bar.value = done / max(total, 1)
        if not self.TAKES_TIME:  # otherwise it is always there
            self._bar.layout.visibility = "visible" if done < total else "hidden"
        megabytes = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
        self._say_status(f"downloading {title}: {megabytes}", busy=True)


def temperature_row(view: NetworkFigureWidget) -> w.HBox:
    """The temperature, what the softening is called, and the temperature's units."""
    slider, number = temperature_controls(
        view,
        description="Temperature",
        style={"description_width": "86px"},
        layout=w.Layout(width="300px"),
    )
    name = w.HTML(layout=w.Layout(margin="0 0 0 8px"))
    units = w.Dropdown(
        options=[("relative to channel scale", "relative"), ("absolute", "absolute")],
        description="Units of the temperature",
        layout=w.Layout(width="190px"),
    )
    units.add_class(SPOKEN_LABEL)

    def show(softening: Softening) -> None:
        family = words.in_words(softening).partition("T = ")[0].strip(" ,")
        shown = "" if family == softening.units else family
        name.value = f'<span class="pullback-number">{shown}</span>'

    listen(units, lambda value: view.attempt("units", value))
    follow(view, "softening", show)
    follow(view, "units", lambda value: setattr(units, "value", value))
    off = off_unless_softened(view, slider, number, name, units)
    return row(slider, number, name, units, off)


def names_box(
    view: NetworkFigureWidget,
    trait: str,
    *,
    parse: Callable[[str], Any],
    write: Callable[[Any], str],
    **options: Any,
) -> w.Text:
    """A line of text for a choice that is a list or a name."""
    box = w.Text(continuous_update=False, **options)
    listen(box, lambda text: view.attempt(trait, parse(text)))
    follow(view, trait, lambda value: setattr(box, "value", write(value)))
    return box


def steps_box(view: NetworkFigureWidget) -> w.BoundedIntText:
    """The number of steps of ascent."""
    box = w.BoundedIntText(min=1, max=100, description="Steps", continuous_update=False)
    box.layout.width, box.style.description_width = "130px", "44px"
    bind(view, "steps", box)
    return box


def class_box(view: NetworkFigureWidget, empty: str) -> w.Text:
    """A line of text for the target's class, by name or number.

    Args:
        view: Whose ``target`` it is.
        empty: What no class at all means.
    """

    def parse(text: str) -> int | str | None:
        text = text.strip()
        return int(text) if text.isdecimal() else text or None

    return names_box(
        view,
        "target",
        parse=parse,
        write=lambda value: str(value) if isinstance(value, int | str) else "",
        description="Class",
        placeholder=f"{empty}; or a name or number",
        layout=w.Layout(width="340px"),
    )
