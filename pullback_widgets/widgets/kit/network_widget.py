"""What the figures of networks have in common: the network, and what of it is not softened."""

from __future__ import annotations

import contextlib
import html
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ipywidgets as w

from ...drawing import words
from ...engine.model import Model
from ...engine.session import report
from ...engine.softening import Softening
from ...figures.result import Result
from ...figures.snapshot import Studio
from .binding import SPOKEN_LABEL, bind, follow, listen
from .figure_widget import Stage
from .layout import row
from .temperature import temperature_controls
from .traits import Knobs


class View(Knobs, Stage):
    """A figure of a network, which may be a name; what of it is not softened is said."""

    def __init__(self, **choices: Any) -> None:
        self._studio = Studio(self._downloading)
        self._exceptions: weakref.WeakKeyDictionary[Model, str] = weakref.WeakKeyDictionary()
        super().__init__(**choices)

    def steps_of(self, model: Model, choices: dict[str, Any]) -> Iterator[Result]:
        """Compute a figure: the same result again after each step.

        Args:
            model: The network, loaded.
            choices: All choices by name, as they were when the figure was asked for.
        """
        raise NotImplementedError

    def figures(self, choices: dict[str, Any]) -> Iterator[Result]:
        model = self._loaded(choices)
        return self.steps_of(model, {**choices, "model": model})

    def networks(self, result: Any) -> Sequence[Model]:
        """The networks that a figure is about."""
        return [result.model]

    def drew(self, result: Any) -> None:
        self._show_exceptions(self.networks(result))

    def footnotes(self) -> Sequence[w.Widget]:
        self._kept = w.HTML(layout=w.Layout(max_width="1000px"))
        return [self._kept]

    # The network.

    _model: Model | None = None
    """The network that was there last."""

    def _loaded(self, choices: dict[str, Any]) -> Model:
        """The chosen network."""
        self._model = self._studio.model(choices["model"])
        if self.model == choices["model"] and self.model is not self._model:
            self._restore({"model": self._model})  # a name became its network: no new choice
        return self._model

    def _show_exceptions(self, networks: Sequence[Model]) -> None:
        """What of the networks is not softened; nothing where all is."""
        lines = []
        for network in networks:
            if network not in self._exceptions:
                self._exceptions[network] = ""
                # One that takes images of another size than it says cannot be asked.
                with contextlib.suppress(Exception):
                    self._exceptions[network] = report(network).exceptions
            if self._exceptions[network]:
                lines.append(html.escape(f"{network.name}: {self._exceptions[network]}"))
        self._kept.value = "".join(f'<div class="pullback-note">{line}</div>' for line in lines)

    def _failed(self, choices: dict[str, Any], error: BaseException) -> None:
        good = self.result
        if (
            isinstance(choices["model"], str)
            and self.model == choices["model"]
            and good is not None
        ):
            self._restore({"model": good.model})  # it could not be had: go on with the one before
        super()._failed(choices, error)

    def _downloading(self, name: str, done: int, total: int) -> None:
        self._bar.value = done / max(total, 1)
        self._status.value = (
            f'<div class="pullback-status"><span class="pullback-busy">●</span> downloading '
            f"{html.escape(name)}: {done / 1e6:.0f} of {total / 1e6:.0f} MB</div>"
        )


def temperature_row(view: View) -> w.HBox:
    """The temperature, what the softening is called, and the temperature's units."""
    slider, number = temperature_controls(
        view,
        description="Temperature",
        style={"description_width": "86px"},
        layout=w.Layout(width="300px"),
    )
    how = w.HTML(layout=w.Layout(margin="0 0 0 8px"))
    units = w.Dropdown(
        options=[("relative to channel scale", "relative"), ("absolute", "absolute")],
        description="Units of the temperature",
        layout=w.Layout(width="190px"),
    )
    units.add_class(SPOKEN_LABEL)

    def show(softening: Softening) -> None:
        name = words.in_words(softening).partition("T = ")[0].strip(" ,")
        named = "" if name == softening.units else name
        how.value = f'<span class="pullback-number">{named}</span>'

    listen(units, lambda value: view.attempt("units", value))
    follow(view, "softening", show)
    follow(view, "units", lambda value: setattr(units, "value", value))
    return row(slider, number, how, units)


def names_box(
    view: View,
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


def steps_box(view: View) -> w.BoundedIntText:
    """The number of steps of ascent."""
    box = w.BoundedIntText(min=1, max=100, description="Steps", continuous_update=False)
    box.layout.width, box.style.description_width = "130px", "44px"
    bind(view, "steps", box)
    return box


def class_box(view: View, empty: str) -> w.Text:
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
