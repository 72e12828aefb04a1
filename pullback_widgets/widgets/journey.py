"""The depth journey, live: a column for each stage, whose layer and channel can be changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ipywidgets as w
import numpy as np
import traitlets as t

from ..checks import whole
from ..drawing import pixels
from ..drawing.words import accounts_for, counted
from ..engine.layer import Layer
from ..engine.model import Model
from ..engine.session import layers as layers_of
from ..figures import journey
from ..figures.journey import SHOWN, Journey, JourneyRequest
from .explorable import ExplorableFigure
from .kit.binding import listen, quietly
from .kit.boxes import steps_box
from .kit.layer_field import LayerField
from .kit.layout import row
from .kit.offers import in_place_of
from .kit.sources import image_box, network_box, upload_button
from .kit.temperature import temperature_row
from .kit.tiles import TileBoard, tile_beside
from .kit.traits import SofteningTraits
from .kit.whole_box import BoundedWholeBox

LABELS = 88


class DepthJourney(SofteningTraits, ExplorableFigure):
    """The strongest channel of each stage, from edges to objects.

    Attributes:
        model: The network; see ``Explorer``.
        image: What ``Session`` takes.
        layers: The stages; None for the last gates of each resolution, and the logits.
        channels: One for each stage, or a mapping from layers to channels; None for the strongest.
        softening: How gates are softened in the backward pass.
        temperature: The softening's temperature; 0 is the plain gradient.
        units: ``"relative"`` or ``"absolute"`` temperature.
        steps: Steps of ascent.
        step_size: L2 length of a step, in image units.
        radius: L2 radius of the ascent, in image units; None for no limit.
        stage: The column that the controls change, from 0.
        result: A ``Journey``, as far as it is computed.
    """

    TITLE = "Depth journey"
    RESULT = Journey
    REQUEST = JourneyRequest

    def __init__(
        self, model: Any = "efficientnet_lite0", image: Any = "coffee", **choices: Any
    ) -> None:
        """Make the journey and start computing; see the attributes for the arguments."""
        self._board = TileBoard()
        self._board.on_click = lambda row, column, x, y: self.guard(lambda: self.pick(row, column))
        self._drawn: Journey | None = None
        self._anew = False
        self._known: tuple[Model, list[Layer]] | None = None
        self._left: dict[str, Any] = {}
        super().__init__(model=model, image=image, **choices)
        self.observe(lambda change: self._board.opened(None), "explorer")

    def pick(self, row: int, column: int) -> None:
        """Choose a stage, and open one of its tiles in an Explorer under the journey."""
        result = self.result
        if not isinstance(result, Journey):
            return
        self.assign(stage=column)
        shown = SHOWN[row]
        self.explore(
            model=result.model,
            image=result.source,
            target=result.stages[column].target,
            softening=result.softening,
            steps=result.steps,
            step_size=result.step_size,
            radius=result.radius,
            view="overlay" if shown == "activation" else shown,
        )
        self._board.opened((row, column))

    def steps_of(self, request: JourneyRequest) -> Iterator[Journey]:
        if self._known is None or self._known[0] is not request.model:
            self._known = request.model, layers_of(request.model)
        earlier, self._anew = None if self._anew else self.result, False
        return journey.compute(request, earlier)

    def run(self) -> None:
        self._anew = True  # even where nothing seems changed: weights may be others
        super().run()

    def show(self, result: Journey) -> None:
        if self._drawn is not result:
            self._drawn = result
            self._steps = np.full(result.done.shape, -1)
            rows = ["photograph", "activation", "pullback", f"{result.steps}-step\ndifference"]
            labels = [result.label(n) for n in range(len(result.stages))]
            tile = tile_beside(len(labels), LABELS)
            self._board.clear(rows, labels, tile=tile, left=LABELS, captions=2)
            for n, values in enumerate(result.maps):
                self._board.put(0, n, result.picture(n, "photograph"))
                if values.numel() == 1:
                    self._board.put(1, n, "one number,\nno map")
                    continue
                caption = f"at most {float(values.max()):.2g}"
                self._board.put(1, n, result.picture(n, "activation"), caption)
            self._show_stages(result)
        reached = result.pulled + result.done - 1
        for n in map(int, (reached > self._steps).nonzero()[0]):
            if self._steps[n] < 0:
                full = pixels.limit(result.pullbacks[n])
                caption = f"full strength ±{full:.1g}\n{accounts_for(result.share(n))}"
                self._board.put(2, n, result.picture(n, "pullback"), caption)
            if result.done[n]:
                self._board.put(3, n, result.picture(n, "difference"), result.change(n))
        self._steps = reached
        self._show_stage(result)

    def screen(self) -> w.Widget:
        return self._board.box

    def controls(self) -> Sequence[w.Widget]:
        self._stage = w.Dropdown(description="Stage", layout=w.Layout(width="130px"))
        self._layer = LayerField(lambda name: self._try(lambda: self.change(layer=name)), 300)
        self._channel = BoundedWholeBox(
            min=0, max=1, description="Channel", layout=w.Layout(width="136px")
        )
        for control, label in ((self._stage, 44), (self._channel, 60)):
            control.style.description_width = f"{label}px"
        self._channel.continuous_update = False
        self._stage.add_class("pullback-stage")
        listen(self._stage, lambda stage: self.attempt("stage", stage))
        listen(self._channel, lambda channel: self._try(lambda: self.change(channel=channel)))
        under = [
            row(
                self._channel,
                self._button("Stronger", "A stronger channel", lambda: self.move(-1)),
                self._button("Weaker", "The next strongest channel", lambda: self.move(1)),
            ),
            row(network_box(self), image_box(self), upload_button(self)),
            row(temperature_row(self), steps_box(self)),
        ]
        return [
            row(self._stage, self._layer.text, self._layer.steps, self._layer.about),
            in_place_of(self._layer.offers, *under),
        ]

    def _button(self, name: str, tooltip: str, action: Callable[[], None]) -> w.Button:
        button = w.Button(description=name, tooltip=tooltip, layout=w.Layout(width="84px"))
        button.on_click(lambda _: self._try(action))
        return button

    def _try(self, action: Callable[[], None]) -> None:
        """What a control of the chosen stage asks for; refused, the controls show what holds."""
        if not self.guard(action) and self.result is not None:
            self._show_stage(self.result)

    def change(self, *, layer: str | None = None, channel: int | None = None) -> None:
        """Give the chosen stage another layer, or another channel.

        Args:
            layer: Dotted name, or ``"logits"``; its strongest channel is taken.
            channel: Of the stage's layer.
        """
        result = self.result
        if not isinstance(result, Journey):
            return
        names = [stage.layer.name for stage in result.stages]
        channels = journey.one_each(self.channels, names)
        channels[self.stage] = None if channel is None else whole("channel", channel, 0)
        if layer is None:
            self.assign(channels=channels)
        else:
            names[self.stage] = layer
            self.choose(layers=names, channels=channels)

    def move(self, by: int) -> None:
        """Take another channel of the chosen stage's layer, in the order of their strength.

        Args:
            by: 1 for the next weaker one, -1 for the next stronger one.
        """
        result = self.result
        if isinstance(result, Journey):
            one = result.stages[self.stage]
            place = one.strongest.index(one.channel) + by
            if 0 <= place < len(one.strongest):
                self.change(channel=one.strongest[place])

    def _show_stages(self, result: Journey) -> None:
        """The lists to choose from: stages, and the layers that one of them can have."""
        last = len(result.stages) - 1
        if self.stage > last:
            self._restore({"stage": last})
        known = self._known[1] if self._known is not None else []
        layers = [one for one in known if len(one.shape) in (1, 3)]
        self._layer.know(layers, result.model.classes or 0)
        with quietly():
            self._stage.options = [(f"{n + 1} of {last + 1}", n) for n in range(last + 1)]

    def _show_stage(self, result: Journey) -> None:
        """What the chosen stage is."""
        stage = result.stages[self.stage]
        self._board.mark(0, self.stage, len(SHOWN))
        # What was chosen last stays while it is computed, so that one can step on from there.
        chosen = self.layers if self.layers and self.stage < len(self.layers) else None
        self._layer.show(chosen[self.stage] if chosen else stage.layer.name)
        with quietly():
            self._stage.value = self.stage
            self._channel.max = stage.layer.shape[0] - 1
            self._channel.value = stage.channel

    def caption(self, result: Journey) -> str:
        even = "".join(
            f" Stage {n + 1} has {words}: open it and click a place for one of them."
            for n in range(len(result.stages))
            if (words := result.even(n))
        )
        return (
            "One channel of each stage, chosen by how strongly it answers to one place and not to "
            "another: where it is active (the photograph lit there, and the map), the pullback of "
            "its mean, with how much of the mean it accounts for (constants and softening make up "
            f"the rest), and what the photograph gained in {counted(result.steps, 'step')} of "
            "ascent, with the mean before and after. Click a tile to explore it and to choose its "
            f"stage.{even}"
        )

    def _settlers(self) -> dict[str, Callable[[Any], None]]:
        return {
            **super()._settlers(),
            "model": self._settle_model,
            "layers": self._settle_layers,
        }

    def _failed(self, request: JourneyRequest, error: BaseException) -> None:
        super()._failed(request, error)
        came_back = self.result is not None and self.model is self.result.model
        if isinstance(request.model, str) and came_back:
            self._restore(self._left)

    def _settle_model(self, change: Any) -> None:
        if isinstance(change["old"], Model):
            self._left = {"layers": self.layers, "channels": self.channels}
        self.assign(layers=None, channels=None)

    def _settle_layers(self, change: Any) -> None:
        self.assign(channels=None)

    # Checking: one clear sentence, raised where the choice is made.

    @t.validate("stage")
    def _check_stage(self, proposal: Any) -> int:
        stage: int = proposal["value"]
        count = None if self.result is None else len(self.result.stages)
        if count is not None and stage >= count:
            raise ValueError(f"stage is {stage}; choose 0 to {count - 1}.")
        return stage
