"""The controls beside the screen: each shows a trait of the explorer and sets it."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import ipywidgets as w

from ...engine.session import Prediction
from ...engine.softening import Softening
from ...engine.target import LOGITS, Channel, Logit, Unit
from ...figures.snapshot import ASCENDED, VIEWS, Snapshot
from ..kit.binding import bind, follow, listen, quietly
from ..kit.class_field import ClassField
from ..kit.crop import PARTS
from ..kit.device_list import DeviceList
from ..kit.layer_field import LayerField
from ..kit.layout import heading, row
from ..kit.offers import in_place_of
from ..kit.photograph_list import PhotographList
from ..kit.run_buttons import run_buttons
from ..kit.sources import network_box, upload_button
from ..kit.temperature import UNITS, off_unless_softened, temperature_controls
from ..kit.whole_box import BoundedWholeBox, WholeBox
from .beside_box import beside_box
from .channel_strip import ChannelStrip
from .choices import ExplorerChoices
from .gate_curve import WIDTH, GateCurve
from .suggestion import Suggestion

PRESETS = {
    "plain gradient": Softening.hard(),
    "held": Softening.held(),
    "paper v3": Softening.paper_v3(),
    "paper v6": Softening.paper_v6(),
    "relative": Softening.relative(),
}

HEIGHT = 218
"""Of what there is to choose in a layer, in CSS pixels."""


def _row(*children: w.Widget, **layout: Any) -> w.HBox:
    options = {"align_items": "center", "overflow": "visible", **layout}
    return w.HBox(list(children), layout=w.Layout(width=f"{WIDTH}px", **options))


class NeuronPanel:
    """Layer, then class or channel and position."""

    def __init__(self, explorer: ExplorerChoices) -> None:
        self.explorer = explorer
        self.top = [
            w.Button(layout=w.Layout(width=f"{WIDTH - 4}px", height="26px")) for _ in range(5)
        ]
        for button in self.top:
            button.add_class("pullback-top")
        self.seen = w.HTML(layout=w.Layout(height="20px"))
        self.strip = ChannelStrip(lambda channel: explorer.attempt("channel", channel))
        self.channel = BoundedWholeBox(
            min=0,
            max=0,
            description="Channel",
            layout=w.Layout(width="150px"),
            style={"description_width": "62px"},
        )
        self.here = w.Button(
            description="strongest here",
            tooltip="The channel that is largest at the place that is marked",
            layout=w.Layout(width="140px"),
        )
        self.whole = w.Button(
            description="whole map",
            tooltip="Ask for the channel's mean over the whole map again",
            layout=w.Layout(width="104px"),
        )
        self.place = w.Text(
            description="Position",
            placeholder="click, or: row, column",
            continuous_update=False,
            layout=w.Layout(width=f"{WIDTH - 112}px"),
            style={"description_width": "62px"},
        )
        self._channels = w.VBox(
            [self.strip.box, _row(self.channel, self.here), _row(self.place, self.whole)]
        )
        self.classes = ClassField(lambda target: explorer.attempt("target", target), WIDTH)
        self.layer = LayerField(lambda layer: explorer.attempt("layer", layer), WIDTH)
        self.layer.steps.layout.width = f"{WIDTH}px"
        top = in_place_of(self.classes.offers, self.seen, *self.top)
        top.layout.height = f"{HEIGHT - 34}px"
        self._classes = w.VBox([self.classes.text, top])
        for box in (self._classes, self._channels):
            # Both take the same height, so that nothing jumps when the layer changes.
            box.layout.height = f"{HEIGHT}px"
        under = in_place_of(self.layer.offers, self._classes, self._channels)
        name = [self.layer.text, self.layer.steps, self.layer.about]
        self.box = w.VBox([heading("Neuron"), *name, under])

        listen(self.channel, lambda value: explorer.attempt("channel", value))
        for number, button in enumerate(self.top):
            button.on_click(lambda _, n=number: self._chose(n))
        self.here.on_click(lambda _: self._strongest_here())
        self.whole.on_click(lambda _: explorer.attempt("position", None))
        listen(self.place, self._placed)
        follow(explorer, "layer", self._show_layer)
        self._models: object = None
        self._outlook: list[tuple[Prediction, float | None]] = []

    def _chose(self, number: int) -> None:
        frame = self.explorer.result
        if frame is not None:
            self.explorer.attempt("target", self._outlook[number][0].index)

    def _placed(self, text: str) -> None:
        frame = self.explorer.result
        placed = self.explorer.guard(lambda: setattr(self.explorer, "position", _position(text)))
        if not placed and frame is not None:
            self.show(frame)

    def _strongest_here(self) -> None:
        frame, position = self.explorer.known, self.explorer.position
        if frame is None or position is None or frame.view.layer.name != self.explorer.layer:
            return
        channel = frame.view.largest(position)
        if channel is not None:
            self.explorer.attempt("channel", channel)

    def _show_layer(self, layer: str) -> None:
        """The layer, and what there is to choose in it."""
        self.layer.show(layer)
        logits = layer == LOGITS
        self._classes.layout.display = "" if logits else "none"
        self._channels.layout.display = "none" if logits else ""

    def show(self, frame: Snapshot) -> None:
        """The network's layers and classes, and what was chosen."""
        with quietly():
            if self._models is not frame.model:
                self._models = frame.model
                self.layer.know(frame.layers, frame.classes)
                self.classes.know(frame.model.categories, frame.classes)
            self._show_layer(self.explorer.layer)
            self._outlook = outlook(frame)
            self.seen.value = f'<div class="pullback-note">{seen_in(frame)}</div>'
            for number, button in enumerate(self.top):
                known = number < len(self._outlook)
                button.layout.visibility = "inherit" if known else "hidden"
                if known:
                    best, before = self._outlook[number]
                    chances = percent(best.probability)
                    if before is not None and best.probability is not None:
                        # In whole numbers, so that long names have room.
                        chances = f"{_whole(before)} → {_whole(best.probability)} %"
                    button.description = f"{chances}  {best.name}"
                    chosen = frame.target == Logit(best.index)
                    button.button_style = "primary" if chosen else ""
            if frame.request.target is self.explorer.target:
                self.classes.show(frame.target)
            if isinstance(frame.target, (Channel, Unit)):
                self.channel.max = max(frame.view.layer.shape[0] - 1, 0)
                self.channel.value = frame.target.channel
                position = frame.target.position if isinstance(frame.target, Unit) else None
                tokens = frame.view.layer.tokens
                if position is not None and tokens is not None:
                    position = tokens.patch(position[0]) or position
                self.whole.disabled = self.here.disabled = position is None
                self.place.value = "" if position is None else ", ".join(map(str, position))
        if frame.view.strongest:
            self.strip.show(frame.view, getattr(frame.target, "channel", None))


def outlook(frame: Snapshot) -> list[tuple[Prediction, float | None]]:
    """The classes of what is on the screen, each with its probability before an ascent."""
    after = frame.after() if frame.request.view in ASCENDED else []
    return after or [(best, None) for best in frame.predictions]


def seen_in(frame: Snapshot) -> str:
    """What the classes are of."""
    if frame.step is not None and frame.request.view in ASCENDED and frame.after():
        return f"In the photograph → after step {frame.step.index} of ascent:"
    return "The network sees in the photograph:" if frame.predictions else ""


def _position(text: str) -> tuple[int, ...] | None:
    """Row and column in a line of text; nothing is the whole map."""
    words = text.replace(",", " ").split()
    if not all(word.isdecimal() for word in words):
        raise ValueError(
            f"The position is {text!r}; expected row and column such as 7, 9, or nothing for the "
            "whole map."
        )
    return tuple(map(int, words)) or None


class TemperaturePanel:
    """The temperature, its presets, and the gate over the pre-activations."""

    def __init__(self, explorer: ExplorerChoices, own: Callable[[], list[Any]]) -> None:
        self.explorer = explorer
        self.suggestion = Suggestion(explorer, own)
        slider, number = temperature_controls(
            explorer,
            description="Temperature",
            style={"description_width": "86px"},
            layout=w.Layout(flex="1 1 200px", width="auto", margin="0 4px 0 0"),
        )
        self.presets = w.ToggleButtons(
            options=list(PRESETS),
            value=None,
            style={"button_width": "auto"},
            layout=w.Layout(width="auto"),
        )
        self.presets.add_class("pullback-presets")
        self.units = w.ToggleButtons(
            options=UNITS,
            style={"button_width": "auto"},
            tooltips=["T = t times the scale of the channel", "T = t for every gate"],
            layout=w.Layout(width=f"{WIDTH + 8}px"),
        )
        self.units.add_class("pullback-presets")
        self.curve = GateCurve()
        suggest = self.suggestion.button
        off = off_unless_softened(explorer, slider, number, self.presets, self.units, suggest)
        line, families = row(slider, number), row(self.presets, suggest)
        line.layout.overflow = families.layout.overflow = "visible"
        self.bar = w.VBox(
            [line, families, self.suggestion.box, off], layout=w.Layout(overflow="visible")
        )
        self.box = w.VBox([heading("Gates"), self.units, self.curve.box])
        listen(self.presets, self._preset)
        listen(self.units, lambda value: explorer.attempt("units", value))
        follow(explorer, "softening", self._show_softening)
        follow(explorer, "units", lambda value: setattr(self.units, "value", value))

    def _preset(self, name: str | None) -> None:
        if name is not None:
            self.explorer.attempt("softening", PRESETS[name])

    def _show_softening(self, softening: Softening) -> None:
        self.presets.value = next(
            (name for name, preset in PRESETS.items() if preset == softening), None
        )
        if softening.has_temperature:
            self.units.value = softening.units

    def show(self, frame: Snapshot) -> None:
        """The gate over the chosen layer's pre-activations; none where none is softened."""
        self.suggestion.show(frame.model)
        self.curve.box.layout.display = "" if frame.softens else "none"
        if not frame.softens:
            return
        softening = frame.request.softening
        if not softening.has_temperature:
            softening = softening.with_units(self.explorer.units)
        self.curve.show(frame.view, softening)


class AscentPanel:
    """Play and stop, and what became of the target."""

    def __init__(self, explorer: ExplorerChoices) -> None:
        play, stop = run_buttons(
            explorer,
            explorer.play,
            "Play",
            "Walk the image up the pullback, step by step",
            "Stop after the running step",
        )
        self.outcome = w.HTML(layout=w.Layout(margin="0 0 0 6px"))
        self.steps = WholeBox(description="Steps")
        self.step_size = w.FloatText(step=1, description="Step size")
        self.radius = w.FloatText(step=10, description="Radius")
        for control in (self.steps, self.step_size, self.radius):
            control.layout.width = "200px"
            control.continuous_update = False
        bind(explorer, "steps", self.steps)
        bind(explorer, "step_size", self.step_size)
        # In the box 0 means no limit, which is None in Python.
        listen(self.radius, lambda value: explorer.attempt("radius", value or None))
        follow(explorer, "radius", lambda value: setattr(self.radius, "value", value or 0.0))
        self.box = w.VBox([heading("Ascent towards this neuron"), _row(play, stop, self.outcome)])
        self.settings = w.VBox(
            [
                self.steps,
                self.step_size,
                self.radius,
                w.HTML(
                    '<div class="pullback-note">Lengths are L2 norms of the image in [-1, 1]; '
                    "the radius is how far the image may walk from the photograph, 0 for "
                    "no limit.</div>"
                ),
            ]
        )

    def show(self, frame: Snapshot) -> None:
        """The target before and after."""
        step = frame.step
        if frame.probability is not None:
            before, after = percent(frame.probability), percent(step.probability if step else None)
            what = "probability"
        else:
            before, after = f"{frame.score:.3g}", "" if step is None else f"{step.score:.3g}"
            what = "score"
        text = f"<b>{before}</b>"
        if step is not None:
            text += f" → <b>{after}</b>"
            what = f"{what}, step {step.index}"
        text += f"<br>{what}"
        self.outcome.value = f'<div class="pullback-outcome">{text.replace("< ", "&lt; ")}</div>'


def percent(probability: float | None) -> str:
    """A probability for people."""
    if probability is None:
        return ""
    if probability < 0.001:
        return "< 0.1 %"
    return f"{100 * probability:.1f} %"


def _whole(probability: float) -> str:
    """Per cent without a fraction."""
    return "< 1" if probability < 0.01 else f"{100 * probability:.0f}"


class SourcePanel:
    """The photograph and the network."""

    def __init__(self, explorer: ExplorerChoices) -> None:
        self.photographs = PhotographList(explorer)
        self.image = self.photographs.box
        self.previous = w.Button(
            description="◀ Photo", tooltip="The photograph before this one in the list"
        )
        self.next = w.Button(description="Photo ▶", tooltip="The next photograph in the list")
        self.part = w.Dropdown(options=list(PARTS), description="The network sees")
        self.upload = upload_button(explorer, self.photographs.add)
        self.network = network_box(explorer)
        self.devices = DeviceList(
            lambda device: explorer.guard(lambda: setattr(explorer, "device", device)),
            lambda: explorer.device,
        )
        self._shown: object = None
        steps = w.HBox([self.previous, self.next])
        devices = self.devices.controls
        for control in (self.image, self.part, self.network, self.upload, steps, *devices):
            control.layout.width = f"{WIDTH - 50}px"
        for control in (self.image, self.part, self.network, *devices[:1]):
            control.add_class("pullback-stacked")
            control.layout.height = "auto"
        self.report = w.HTML(layout=w.Layout(width=f"{WIDTH - 50}px"))
        sources = [self.image, steps, self.part, self.upload, self.network, *devices]
        self.box = w.VBox([*sources, self.report])
        self.previous.on_click(lambda _: self.photographs.step(-1))
        self.next.on_click(lambda _: self.photographs.step(1))
        listen(self.part, self.photographs.choose_part)
        self.photographs.on_show = self._show_photograph
        self._show_photograph()

    def _show_photograph(self) -> None:
        shown = self.photographs
        self.previous.disabled, self.next.disabled = not shown.can_step(-1), not shown.can_step(1)
        with quietly():
            self.part.value, self.part.disabled = shown.part, not shown.has_parts

    def show(self, frame: Snapshot) -> None:
        """What of the network is softened, and where it computes."""
        if self._shown is not frame.model:  # not with every frame of a drag
            self._shown = frame.model
            self.devices.show()
        text = html.escape(frame.report.sentence)
        self.report.value = f'<div class="pullback-note">{text}</div>'


class ViewPanel:
    """What the screen shows."""

    def __init__(self, explorer: ExplorerChoices) -> None:
        self.view = w.ToggleButtons(
            options=list(VIEWS),
            style={"button_width": "96px"},
            layout=w.Layout(width="520px"),
        )
        self.view.add_class("pullback-views")
        self.compare = w.Dropdown(options=list(VIEWS), description="Wipe to")
        self.wipe = w.BoundedFloatText(min=0, max=100, step=5, description="Wipe, %")
        self.colour = w.Dropdown(
            options=[
                ("red, green and blue", "rgb"),
                ("mean: blue below, orange above zero", "diverging"),
            ],
            description="Colours",
        )
        for control, trait in (
            (self.view, "view"),
            (self.compare, "compare"),
            (self.colour, "colour"),
        ):
            bind(explorer, trait, control)
        listen(self.wipe, lambda percent: explorer.attempt("wipe", percent / 100))
        follow(explorer, "wipe", lambda share: setattr(self.wipe, "value", round(100 * share, 1)))
        self.beside = beside_box(explorer)
        controls = (self.beside, self.compare, self.wipe, self.colour)
        for control in controls:
            control.layout.width = f"{WIDTH - 50}px"
            control.style.description_width = "66px"
        # What is laid beside is what is wiped to.
        follow(explorer, "beside", lambda own: setattr(self.compare, "disabled", own is not None))
        self.box = w.VBox(controls)
