"""The Explorer: pick a neuron and a temperature, see the pullback at once.

A change of a choice goes, as a frozen ``SnapshotRequest``, to a worker thread that knows only the
newest one. What it computes comes back as ``Snapshot``s, which are drawn. The controls only set
choices.
"""

from __future__ import annotations

import html
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ipywidgets as w
import torch
import traitlets as t
from torch import Tensor, nn

from ...engine.device import get_device, usable
from ...engine.model import Model
from ...engine.session import Session
from ...engine.target import LOGITS
from ...figures.snapshot import MIDDLE, Snapshot, SnapshotRequest, View
from ...networks.catalogue import CATALOGUE, is_cached
from ..kit.accordion import KeyboardAccordion
from ..kit.canvas import draw
from ..kit.figure_widget import now
from ..kit.layout import plain
from ..kit.network_widget import NetworkFigureWidget
from ..kit.pace import LOSSLESS, Pace
from ..kit.rest import Rest
from .advice import Advice, cell_at, cell_of, under
from .animation_choice import animation_choice
from .choices import ExplorerChoices
from .gate_curve import WIDTH
from .history import History
from .history_strip import HistoryStrip
from .look_ahead import LONGEST, ahead, looks_ahead
from .numbers_panel import NumbersPanel
from .panels import AscentPanel, NeuronPanel, SourcePanel, TemperaturePanel, ViewPanel
from .screen import Place, Screen
from .suggestion import Suggestion

EMBEDDED = next(iter(CATALOGUE))

REST_SECONDS = 0.8
"""How long a picture must be on the screen before the history has it."""

STILL_SECONDS = 0.2
"""After so long without a change nothing moves any more."""

SLOW_SECONDS = 0.3
"""What takes longer is said to be computing."""

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
        beside: What stands left of the picture, and what dragging wipes to: choices that are its
            own, such as ``{"temperature": 0.3}`` or ``{"target": "golf ball"}``, all others being
            the same; None for the photograph. It may have ``model``, ``image``, ``softening``,
            ``temperature``, ``units``, ``layer``, ``target``, ``channel`` and ``position``.
        view: ``"pullback"``, ``"difference"``, ``"perturbed"``, ``"photograph"``, ``"overlay"``.
        compare: The view that dragging on the picture wipes to, where nothing is laid beside it.
        wipe: Share of the width that shows ``compare``, from the left, 0 to 1.
        colour: ``"rgb"`` or ``"diverging"`` colours of signed maps.
        zoom: How many times larger than the screen the pictures are, 1 to 16.
        centre: What of them stands in the middle: (across, down), each 0 to 1.
        over: What animations run over: ``"ascent"`` or ``"temperature"``.
        device: Where the network computes; another one gets a copy of it.
        result: The newest ``Snapshot`` (read only); observe it to follow the computation. Observers
            run in the computing thread.
        error: The last error in one sentence, empty if the last request worked (read only).
        prefetch: Whether the pullbacks at the next stops of the temperature slider are computed
            while nothing else is done; off where ``PULLBACK_WIDGETS_PREFETCH`` is 0, and in Voila.
        notes: Sentences that stay under the picture; a recipe says here what is not as it was.
    """

    prefetch = t.Bool()

    @t.default("prefetch")
    def _prefetch_default(self) -> bool:
        return looks_ahead()

    _device: torch.device | None = None
    """The device that was chosen; None for the network's own."""

    _files = LOSSLESS
    """Of which kind the pictures were that were sent last."""

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
        self._history, self._rest = History(self._back, self._note), Rest(REST_SECONDS, self._note)
        self._still = Rest(STILL_SECONDS, self._sharpen)
        self._slow = Rest(SLOW_SECONDS, self._say_computing)
        self._waited_for = False
        self._asked = self._asked_before = -math.inf
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

    @property
    def device(self) -> torch.device:
        model = self.model
        if self._device is not None:
            return self._device
        return model.device if isinstance(model, Model) else get_device()

    @device.setter
    def device(self, device: str | torch.device) -> None:
        self._device = usable(device)
        self.changed(looks_only=False)

    @property
    def numbers(self) -> NumbersPanel:
        """What numbers say of the picture: ``ask("weights")``, ``wait()``, then ``answers``."""
        return self._numbers

    @property
    def suggestion(self) -> Suggestion:
        """A temperature for the network: ``ask()``, ``wait()``, then ``tuning``, or ``take()``."""
        return self._temperature.suggestion

    # The computation.

    def _loaded(self, request: SnapshotRequest) -> Model:
        model, device = super()._loaded(request), self._device
        if device is None or model.device == device:
            self._moved = None
            return model
        if self._moved is None or self._moved[0] is not model or self._moved[1].device != device:
            self._moved = None  # so that there are never two copies
            self._moved = model, model.on(device)
        return self._moved[1]

    @property
    def history(self) -> History:
        """The last twenty pictures: ``entries``, ``undo()``, ``redo()``, ``go(entry)``, ``star()``.

        A picture is noted when it has been on the screen for a moment.
        """
        return self._history

    def _note(self) -> None:
        frame: Snapshot | None = self.result
        if frame is not None and not (self._worker is None or self._worker.busy):
            self.guard(lambda: self._history.note(frame))

    def _back(self, request: SnapshotRequest) -> bool:
        return self.guard(lambda: self.recall(request))

    def changed(self, looks_only: bool) -> None:
        walks = self.result is not None and self.result.step is None and self.request().ascends
        super().changed(looks_only and not walks)

    @property
    def _is_wanted(self) -> bool:
        return self._pace.free

    def _until_wanted(self) -> None:
        self._pace.wait()

    def _draw_new(self, result: Snapshot) -> None:
        """In as few messages as there can be."""
        # Outside of all locks: the page's answer is heard by another thread.
        self._pace.wait()
        # In this order everywhere: first the widget's lock, then that of all canvases. And the
        # caption last, with the number that comes back.
        with self._drawing, self._caption.hold_sync():
            draw(lambda: super(Explorer, self)._draw_new(result))
            self._pace.mark(self._files)

    def _announce(self) -> None:
        self._asked_before, self._asked = self._asked, time.monotonic()
        self._waited_for = True
        self._slow.ask()

    def _say_computing(self) -> None:
        with self._drawing:
            if self._waited_for:
                self._show_progress(0.0)

    def _show_progress(self, share: float, idle: bool = False, failed: bool = False) -> None:
        with self._drawing:
            self._waited_for = self._waited_for and not idle
            super()._show_progress(share, idle, failed)

    @property
    def _moves(self) -> bool:
        """Whether one change follows the other."""
        return self._asked - self._asked_before < STILL_SECONDS > time.monotonic() - self._asked

    def _sharpen(self) -> None:
        """Draw without loss, and name, what stands still."""
        result: Snapshot | None = self.result
        if result is None or self._worker is None or self._closed:
            return
        if self._moves or self._worker.busy:
            self._still.ask()  # what is not sharp yet is so later
            return
        if self._files != LOSSLESS:
            self.guard(self._draw)
        self.guard(lambda: self._name(result))

    def _look_ahead(self) -> bool:
        frame: Snapshot | None = self.result
        if frame is None or self._closed or not self.prefetch:
            return False
        start = time.monotonic()
        for request in ahead(frame):
            new = self._sessions.ahead(request)
            if new is not None:
                new.picture(self.view, self.colour)
                return time.monotonic() - start < LONGEST
        return False

    def attempt(self, name: str, value: Any) -> None:
        super().attempt(name, value)
        if self._refused and self.result is not None:
            self._neuron.show(self.result)

    def steps_of(self, request: SnapshotRequest) -> Iterator[Snapshot]:
        return self._sessions.frames(request)

    def drew(self, result: Snapshot) -> None:
        self._softens = result.softens
        panels = (self._advice, self._neuron, self._temperature, self._ascent, self._source)
        for panel in (*panels, self._numbers):
            panel.show(result)
        self._rest.ask()
        self._still.ask()

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

    def close(self) -> None:
        for rest in (self._rest, self._still, self._slow):
            rest.close()
        if self._worker is not None:  # all is built
            self._pace.close()
            self._numbers.close()
            self._temperature.suggestion.close()
        super().close()

    def wait(self, timeout: float | None = None) -> bool:
        if self._worker is None:
            return True
        with self._pace.unheard():
            return super().wait(timeout)

    # What is seen.

    def arranged(self) -> Sequence[w.Widget]:
        self._screen, self._advice = Screen(), Advice(self._take_offer)
        self._pace = Pace(self._caption)
        self._unseen += [*self._screen.sources, *self._pace.unseen]
        self._screen.listen(self._picked, lambda share: self.attempt("wipe", share))
        self._screen.on_hover = self._hovered
        self._screen.on_pan = lambda centre: self.attempt("centre", centre)
        self._screen.on_zoom = self._zoomed
        self._caption.layout.margin = "2px 0 0 0"
        self._bar.layout = w.Layout(width="220px", visibility="hidden", height="6px", margin="0")
        self._bar.add_class("pullback-thin")
        self._notes.layout = w.Layout(width="auto")
        self._strip = HistoryStrip(self._history)
        self._neuron, self._source = NeuronPanel(self), SourcePanel(self)
        self._temperature = TemperaturePanel(self, lambda: self._source.photographs.own)
        self._ascent, self._view = AscentPanel(self), ViewPanel(self)
        self._numbers = NumbersPanel(WIDTH - 50)
        folded = KeyboardAccordion(
            {
                "Photograph and network": self._source.box,
                "Ascent settings": self._ascent.settings,
                "Side by side, wipe, colours": self._view.box,
                "What the numbers say": self._numbers.box,
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
                self._bar,
                self._problem,
                self._notes,
                self._strip.box,
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
        own, others = result.own
        second = result.second
        if second is None:
            names: tuple[str, str, str] = (self._left, self.view, self.compare)
            painted = {view: result.picture(view, self.colour) for view in dict.fromkeys(names)}
            pictures = [painted[view] for view in names]
        else:
            second.colour = self.colour
            left = second.picture(self.view, self.colour)
            pictures = [left, result.picture(self.view, self.colour), left]
            names = (f"{self.view} · {others}", f"{self.view} · {own}", others)
        cells = (cell_of(second or result), cell_of(result))
        self._files = self._pace.kind() if self._moves else LOSSLESS
        look = (self.zoom, *self.centre)
        self._screen.show(pictures, names, cells, self.wipe, look, self._files)
        if not self._moves:
            self._name(result)

    def _name(self, result: Snapshot) -> None:
        """Say what the pictures are, for those who do not see them."""
        second = result.second
        self._screen.picture.box.say(self._title(result))
        self._screen.beside.box.say(
            _words(self._left, html.escape(result.title), "")
            if second is None
            else self._title(second)
        )

    @property
    def _left(self) -> View:
        """The view that stands left of the picture where nothing else is laid beside it."""
        return "pullback" if self.view == "photograph" else "photograph"

    def _title(self, result: Snapshot) -> str:
        how = result.how(result.request.softening)
        return _words(
            self.view, html.escape(result.title), f'<span class="pullback-how">{how}</span>'
        )

    def caption(self, result: Snapshot) -> str:
        return "".join(f"<div>{line}</div>" for line in self._said(result))

    def _picture(self) -> tuple[bytes, Sequence[str]] | None:
        result = self.result
        if result is None:
            return None
        return result._repr_png_(), [plain(line) for line in self._said(result)]

    def _said(self, result: Snapshot) -> list[str]:
        """The caption: what there is to say of the picture, and of the one beside it."""
        lines = self._lines(result)
        if result.second is None:
            return lines
        both = (("left", self._lines(result.second)), ("right", lines))
        return [f"{where}: {line}" for where, own in both for line in own]

    def _lines(self, result: Snapshot) -> list[str]:
        """What there is to say of a picture, in lines of HTML."""
        exceptions = html.escape(result.report.exceptions)
        lines = [self._title(result), result.legend(self.view), result.account, exceptions]
        return [line for line in lines if line]

    def _picked(self, x: float, y: float) -> None:
        frame = self.known
        if frame is None:
            return
        grid = frame.view.layer.grid
        if self.layer == LOGITS or (frame.view.layer.name == self.layer and grid is None):
            self._advice.offer(frame, (x, y))
        elif frame.view.layer.name == self.layer and grid is not None:
            self.attempt("position", cell_at((x, y), grid))

    def _take_offer(self, layer: str, position: tuple[int, int]) -> None:
        self.guard(lambda: self.choose(layer=layer, position=position))

    def _zoomed(self, times: float) -> None:
        """As many times larger as now; 0 for the whole picture."""
        cell = None if self.known is None else cell_of(self.known)
        centre = MIDDLE if times == 0 else self.centre
        if times > 1 and self.zoom == 1 and cell is not None:
            left, top, width, height = cell
            centre = left + width / 2, top + height / 2
        self.assign(zoom=max(self.zoom * times, 1.0), centre=centre)

    def _hovered(self, on_picture: bool, place: Place | None) -> None:
        frame = self.known
        if frame is not None:
            view = self.view if on_picture or frame.second is not None else self._left
            hovered = frame if on_picture else frame.second or frame
            self._advice.hover("" if place is None else under(hovered, view, place))


def _words(view: str, target: str, how: str) -> str:
    """What a view shows, in a line of HTML."""
    return {
        "pullback": f"<b>pullback</b> of <b>{target}</b>, {how}",
        "overlay": f"<b>pullback</b> of <b>{target}</b> over the photograph, {how}",
        "difference": f"<b>difference</b> after ascent towards <b>{target}</b>, {how}",
        "perturbed": f"photograph <b>perturbed</b> towards <b>{target}</b>, {how}",
        "photograph": "<b>photograph</b>",
    }[view]
