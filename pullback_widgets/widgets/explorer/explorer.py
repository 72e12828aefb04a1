"""The Explorer: pick a neuron and a temperature, see the pullback at once.

A change of a choice goes, as a frozen ``SnapshotRequest``, to a worker thread that knows only the
newest one. What it computes comes back as ``Snapshot``s, which are drawn. The controls only set
choices.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ipywidgets as w
from torch import Tensor, nn

from ...engine.model import Model
from ...engine.session import Session
from ...engine.target import LOGITS
from ...figures.snapshot import Snapshot, SnapshotRequest, View
from ...networks.catalogue import CATALOGUE, is_cached
from ..kit.accordion import KeyboardAccordion
from ..kit.figure_widget import now
from ..kit.layout import row
from ..kit.network_widget import NetworkFigureWidget
from .advice import Advice, cell_at, cell_of, grid_of, under
from .animation_choice import animation_choice
from .choices import ExplorerChoices
from .gate_curve import WIDTH
from .panels import AscentPanel, NeuronPanel, SourcePanel, TemperaturePanel, ViewPanel
from .screen import Place, Screen

EMBEDDED = next(iter(CATALOGUE))

FIRST_PICTURE_SECONDS = 60.0
"""How long displaying an explorer waits for its first picture."""


class Explorer(ExplorerChoices, NetworkFigureWidget):
    """See what a neuron responds to, live. Every control is also an attribute.

    Attributes:
        model: The network: a ``Model``, a bare module, or a name that ``load_model`` takes. A name
            is loaded in the background and then replaced by its ``Model``.
        image: What ``Session`` takes: a sample's name, path, PIL image, array, tensor... Of a
            folder it becomes the first photograph's path, and the list has all of them.
        target: Class index or name, or any target; None for the image's top class (logits) or the
            chosen channel (hidden layers).
        layer: ``"logits"`` or a dotted layer name.
        channel: Channel of a hidden layer; None for the strongest on this image, at the position
            where there is one.
        position: (y, x) in the hidden layer's grid; None for the whole map.
        softening: How gates are softened in the backward pass.
        temperature: The softening's temperature; 0 is the plain gradient.
        units: ``"relative"`` or ``"absolute"`` temperature.
        steps: Steps of ascent.
        step_size: L2 length of a step, in image units.
        radius: L2 radius of the ascent, in image units; None for no limit.
        view: ``"pullback"``, ``"difference"``, ``"perturbed"``, ``"photograph"``, ``"overlay"``.
        compare: The view that dragging on the picture wipes to.
        wipe: Share of the width that shows ``compare``, from the left, 0 to 1.
        colour: ``"rgb"`` or ``"diverging"`` colours of signed maps.
        over: What animations run over: ``"ascent"`` or ``"temperature"``.
        result: The newest ``Snapshot`` (read only); observe it to follow the computation. Observers
            run in the computing thread.
        error: The last error in one sentence, empty if the last request worked (read only).
        notes: Sentences that stay under the picture; a recipe says here what is not as it was.
    """

    TITLE = "Explorer"
    RESULT = Snapshot
    TAKES_TIME = False
    TAKES_TURNS = False
    CAPTION = "pullback-caption"

    def __init__(
        self,
        model: Model | nn.Module | str = "efficientnet_lite0",
        image: Any = "coffee",
        **choices: Any,
    ) -> None:
        """Make an explorer and start computing its first picture.

        Args:
            model: See the attributes.
            image: Likewise.
            **choices: Any other attribute: ``layer``, ``channel``, ``position``, ``target``,
                ``softening``, ``temperature``, ``steps``, ``view``...

        Raises:
            TypeError: For an unknown choice, or a value of a wrong type.
            ValueError: For a value that makes no sense.
        """
        super().__init__(model=model, image=image, **choices)

    # What comes out.

    @property
    def pullback(self) -> Tensor:
        """The pullback of the present choices, (3, H, W) on the CPU; waits for it."""
        return self._settled().pullback

    @property
    def session(self) -> Session:
        """A recorded forward pass of the present image and network; waits for the picture."""
        frame = self._settled()
        return Session(frame.model, frame.image)

    def stem(self, ending: str = ".png") -> str:
        return "pullback" if self.result is None else str(self.result.stem(ending))

    @property
    def _words(self) -> str:
        return self.TITLE if self.result is None else f"{self.TITLE}: {self.result.summary()}"

    def _ipython_display_(self, **options: Any) -> None:
        """The live widget with its first picture, so that the next cells find a result."""
        # A download is watched in the widget, so that is shown at once.
        if not (isinstance(self.model, str) and not is_cached(self.model)):
            self.wait(FIRST_PICTURE_SECONDS)
        super()._ipython_display_(**options)

    @classmethod
    def remarks(cls, content: Mapping[str, Any], chosen: dict[str, Any]) -> list[str]:
        if chosen["layer"] == LOGITS or chosen["target"] is not None:
            # The target itself says which layer, channel and position.
            for name in ("layer", "channel", "position"):
                del chosen[name]
        walked, steps = content.get("walked", chosen["steps"]), chosen["steps"]
        if walked >= steps:
            return []
        chosen["steps"] = walked
        return [f"The ascent had been stopped after step {walked} of {steps}."]

    # The computation.

    def changed(self, looks_only: bool) -> None:
        walks = self.result is not None and self.result.step is None and self.request().ascends
        super().changed(looks_only and not walks)

    def attempt(self, name: str, value: Any) -> None:
        super().attempt(name, value)
        if self._refused and self.result is not None:
            self._neuron.show(self.result)

    def steps_of(self, request: SnapshotRequest) -> Iterator[Snapshot]:
        return self._sessions.frames(request)

    def drew(self, result: Snapshot) -> None:
        self._softens = result.softens
        for panel in (self._advice, self._neuron, self._temperature, self._ascent, self._source):
            panel.show(result)

    def status(self, share: float, idle: bool) -> str:
        frame: Snapshot | None = self.result
        if not idle:
            step = frame.step if frame is not None and share else None
            return "computing" if step is None else f"step {step.index} of {self.steps}"
        if frame is None:
            return ""
        where = f"{html.escape(frame.model.name)} on {html.escape(str(frame.model.device))}"
        return f"{now()} · {1000 * frame.seconds:.0f} ms · {where}"

    def _failed(self, request: SnapshotRequest, error: BaseException) -> None:
        good: Snapshot | None = self.result
        wanted = isinstance(request.model, str) and self.model == request.model
        at_start = (self.layer, self.channel, self.position) == (LOGITS, None, None)
        self._bar.layout.visibility = "hidden"
        super()._failed(request, error)
        if good is not None:
            if wanted and at_start:
                # The network could not be had: go on with the neuron of the one before.
                names = ("layer", "target", "channel", "position")
                self._restore({name: getattr(good.request, name) for name in names})
            self._show_progress(1.0, idle=True)
        elif wanted and request.model != EMBEDDED:
            # There is nothing to go on with yet: the built-in network, under the explanation.
            self._refused = True
            self._restore({"model": EMBEDDED})
            if self._worker is not None:
                self._worker.submit(self.request())

    # What is seen.

    def arranged(self) -> Sequence[w.Widget]:
        self._screen, self._advice = Screen(), Advice(self._take_offer)
        self._unseen += self._screen.sources
        self._screen.listen(self._picked, lambda share: self.attempt("wipe", share))
        self._screen.on_hover = self._hovered
        self._caption.layout.margin = "2px 0 0 0"
        self._status.layout.flex = "1 1 280px"
        self._bar.layout = w.Layout(
            flex="0 1 220px", visibility="hidden", height="16px", margin="0"
        )
        self._notes.layout = w.Layout(width="auto")
        self._neuron, self._temperature = NeuronPanel(self), TemperaturePanel(self)
        self._ascent, self._source, self._view = (
            AscentPanel(self),
            SourcePanel(self),
            ViewPanel(self),
        )
        folded = KeyboardAccordion(
            {
                "Photograph and network": self._source.box,
                "Ascent settings": self._ascent.settings,
                "Wipe and colours": self._view.box,
                "Take it away": w.VBox([animation_choice(self), self._take_away.box]),
            },
            width=WIDTH,
        )
        left = w.VBox(
            [
                self._view.view,
                self._screen.box,
                self._temperature.bar,
                self._advice.box,
                self._caption,
                row(self._status, self._bar),
                self._problem,
                self._notes,
            ],
            layout=w.Layout(flex="1 1 560px", min_width="0", overflow="visible"),
        )
        left.add_class("pullback-left")
        right = w.VBox(
            [self._neuron.box, self._temperature.box, self._ascent.box, folded],
            layout=w.Layout(width=f"{WIDTH + 6}px", flex="0 0 auto", overflow="visible"),
        )
        return [w.HBox([left, right], layout=w.Layout(flex_flow="row wrap", overflow="visible"))]

    def show(self, result: Snapshot) -> None:
        views = (self._beside, self.view, self.compare)
        painted = {view: result.picture(view, self.colour) for view in dict.fromkeys(views)}
        self._screen.show([painted[view] for view in views], views, cell_of(result), self.wipe)
        self._screen.picture.box.say(self._title(result))
        self._screen.beside.box.say(_words(self._beside, html.escape(result.title), ""))

    @property
    def _beside(self) -> View:
        """What stands beside the picture."""
        return "pullback" if self.view == "photograph" else "photograph"

    def _title(self, result: Snapshot) -> str:
        how = result.how(result.request.softening)
        return _words(
            self.view, html.escape(result.title), f'<span class="pullback-how">{how}</span>'
        )

    def caption(self, result: Snapshot) -> str:
        exceptions = html.escape(result.report.exceptions)
        return (
            f"<div>{self._title(result)}</div><div>{result.legend(self.view)}</div>"
            f"<div>{result.account}</div>"
            f"{exceptions and f'<div>{exceptions}</div>'}"
        )

    def _picked(self, x: float, y: float) -> None:
        frame = self.known
        if frame is None:
            return
        grid = grid_of(frame.view.layer)
        if self.layer == LOGITS or (frame.view.layer.name == self.layer and grid is None):
            self._advice.offer(frame, (x, y))
        elif frame.view.layer.name == self.layer and grid is not None:
            self.attempt("position", cell_at((x, y), grid))

    def _take_offer(self, layer: str, position: tuple[int, int]) -> None:
        self.guard(lambda: self.choose(layer=layer, position=position))

    def _hovered(self, on_picture: bool, place: Place | None) -> None:
        frame = self.known
        if frame is not None:
            view = self.view if on_picture else self._beside
            self._advice.hover("" if place is None else under(frame, view, place))


def _words(view: str, target: str, how: str) -> str:
    """What a view shows, in a line of HTML."""
    return {
        "pullback": f"<b>pullback</b> of <b>{target}</b>, {how}",
        "overlay": f"<b>pullback</b> of <b>{target}</b> over the photograph, {how}",
        "difference": f"<b>difference</b> after ascent towards <b>{target}</b>, {how}",
        "perturbed": f"photograph <b>perturbed</b> towards <b>{target}</b>, {how}",
        "photograph": "<b>photograph</b>",
    }[view]
