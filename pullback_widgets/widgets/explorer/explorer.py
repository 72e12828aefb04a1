"""The Explorer: pick a neuron and a temperature, see the pullback at once.

A change of a choice goes, as a frozen ``State``, to a worker thread that knows only the newest one.
What it computes comes back as ``Frame``s, which are drawn. The controls only set choices.
"""

from __future__ import annotations

import base64
import datetime
import html
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as w
import traitlets as t
from torch import Tensor, nn

from ...drawing import files, paper, pixels, words
from ...engine.ascent import Step
from ...engine.model import Model
from ...engine.session import Session
from ...engine.target import LOGITS, Unit
from ...figures import recipe
from ...figures.snapshot import ASCENDED, Frame, State, Studio
from ...networks.catalogue import CATALOGUE, entry, is_cached
from ..kit.accordion import Folds
from ..kit.binding import follow
from ..kit.layout import style_sheet
from ..kit.save_buttons import TakeawayPanel
from ..kit.worker import Worker
from .choices import Choices
from .gate_curve import WIDTH
from .panels import AscentPanel, NeuronPanel, SourcePanel, TemperaturePanel, ViewPanel
from .wipe import Screen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EMBEDDED = next(iter(CATALOGUE))

FIRST_PICTURE_SECONDS = 60.0
"""How long displaying an explorer waits for the picture that the saved notebook keeps."""

ENDINGS = (".png", ".gif", ".npz", ".pdf", ".json")
"""What the buttons offer to take away."""


class Explorer(Choices):
    """See what a neuron responds to, live. Every control is also an attribute.

    Attributes:
        model: The network: a ``Model``, a bare module, or a name that ``load_model`` takes. A name
            is loaded in the background and then replaced by its ``Model``.
        image: What ``Session`` takes: a sample's name, path, PIL image, array, tensor...
        target: Class index or name, or any target; None for the image's top class (logits) or the
            chosen channel (hidden layers).
        layer: ``"logits"`` or a dotted layer name.
        channel: Channel of a hidden layer; None for the strongest on this image.
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
        result: The newest ``Frame`` (read only); observe it to follow the computation. Observers
            run in the computing thread.
        error: The last error in one sentence, empty if the last request worked (read only).
        notes: Sentences that stay under the picture; a recipe says here what is not as it was.
    """

    notes = t.Tuple()

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
        self._studio = Studio(self._downloading)
        super().__init__()
        self.choose(model=model, image=image, **choices)
        self._build()
        self._worker = Worker(self._compute, self._failed)
        self.changed(looks_only=False)

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

    def figure(self) -> Figure:
        """A matplotlib figure: photograph, pullback, and the chosen view or the ascent."""
        frame = self._settled()
        views = ["photograph", "pullback", *(ASCENDED if frame.step is not None else ())]
        if self.view not in (*views, *ASCENDED):
            views.append(self.view)
        pictures = {
            f"{view}\n{_legend(frame, view, self.colour)}": frame.picture(view, self.colour)
            for view in views
        }
        what = f"{frame.title}, {frame.model.name}, {words.in_words(frame.state.softening)}"
        title = f"{what}\n{frame.outcome}\n{frame.report.exceptions}".rstrip()
        return paper.side_by_side(pictures, title)

    def save(self, path: str | Path) -> Path:
        """Write what is on the screen to a file; its ending says how.

        Args:
            path: ``.gif``: the ascent, step by step; ``.npz``: tensors and settings; ``.pdf``,
                ``.svg``: the figure; ``.json``: the recipe, which ``pw.open_recipe`` opens again;
                ``.png`` and whatever else a picture can be: the picture without the wipe.

        Raises:
            ValueError: For any other ending.
        """
        frame, path = self._settled(), Path(path).expanduser()
        ending = path.suffix.lower()
        if ending == ".gif":
            view = self.view if self.view in ASCENDED else "perturbed"
            return files.save_gif(path, frame.film(view, self.colour))
        if ending == ".npz":
            settings = recipe.write(self, frame, pixels=False)
            return files.save_npz(path, frame.arrays(), settings)
        if ending in (".pdf", ".svg"):
            return files.save_figure(path, self.figure())
        if ending == ".json":
            path.write_text(files.as_json(self.recipe(), indent=1), "utf-8")
            return path
        return pixels.save(frame.picture(self.view, self.colour), path)

    def recipe(self) -> dict[str, Any]:
        """All choices, versions and the weights' hash, for ``pw.open_recipe`` or a JSON file."""
        return recipe.write(self, self._settled())

    def code(self) -> str:
        """The few lines that compute the same picture without the widget."""
        return self._settled().code(self.view)

    def _settled(self) -> Frame:
        self.wait()
        if self.result is None or (self.error and not self._refused):
            raise RuntimeError(self.error or "There is no picture yet.")
        return self.result

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The live widget, and a PNG for places without one: GitHub, nbconvert, a closed kernel."""
        bundle = super()._repr_mimebundle_(**options)
        # A download is watched in the widget, so that is shown at once.
        if not (isinstance(self.model, str) and not is_cached(self.model)):
            self.wait(FIRST_PICTURE_SECONDS)
        if self.result is not None and isinstance(bundle, dict):
            photograph = self.result.picture("photograph")
            chosen = self.result.picture(self.view, self.colour)
            still = pixels.side_by_side([photograph, chosen])
            bundle["image/png"] = base64.b64encode(pixels.png(still)).decode("ascii")
            bundle["text/plain"] = f"Explorer: {self.result.title}, {self.result.model.name}"
        return bundle

    # Choices go to the worker.

    def changed(self, looks_only: bool) -> None:
        """A choice was made: draw what is known, or ask for a new frame."""
        if self._worker is None or self._closed:
            return
        if self._refused:
            self._show_error(None)
        frame = self.result
        if looks_only and frame is not None:
            missing = self.wipe > 0 and self.compare in ASCENDED and frame.step is None
            if not missing:
                self._draw()
                return
        self._show_status()
        self._worker.submit(self.state())

    def attempt(self, name: str, value: Any) -> None:
        super().attempt(name, value)
        if self._refused and self.result is not None:
            self._neuron.show(self.result)

    # Frames come from the worker: from here on everything runs in its thread.

    def _compute(self, state: State) -> Iterator[None]:
        frames = self._studio.frames(state)
        try:
            yield from self._show_frames(state, frames)
        finally:
            frames.close()
            if self.result is not None and not (self._worker and self._worker.waiting):
                self._show_status(self.result)

    def _show_frames(self, state: State, frames: Iterator[Frame]) -> Iterator[None]:
        for frame in frames:
            if isinstance(state.model, str) and self.model == state.model:
                self._restore({"model": frame.model})  # a name became its network: no new choice
            self.set_trait("result", frame)
            self._computed()
            self._draw()
            for panel in (self._neuron, self._temperature, self._ascent, self._source):
                panel.show(frame)
            self._show_status(step=frame.step)
            yield

    def _failed(self, state: State, error: BaseException) -> None:
        good = self.result
        wanted = isinstance(state.model, str) and self.model == state.model
        if wanted and good is not None:
            # The network could not be had: go on with the one before.
            self._restore({"model": good.model})
            if (self.layer, self.channel, self.position) == (LOGITS, None, None):
                kept = good.state
                self._restore(
                    {
                        "layer": kept.layer,
                        "target": kept.target,
                        "channel": kept.channel,
                        "position": kept.position,
                    }
                )
        self._progress.layout.visibility = "hidden"
        self._show_error(error)
        self._show_status(good, failed=True)
        if wanted and good is None and state.model != EMBEDDED:
            # There is nothing to go on with yet: the built-in network, under the explanation.
            self._refused = True
            self._restore({"model": EMBEDDED})
            if self._worker is not None:
                self._worker.submit(self.state())

    def _downloading(self, name: str, done: int, total: int) -> None:
        self._progress.layout.visibility = "visible" if done < total else "hidden"
        self._progress.value = done / max(total, 1)
        title = entry(name).title
        self._progress.description = title
        self._status.value = (
            f'<div class="pullback-status"><span class="pullback-busy">●</span> downloading '
            f"{title}: {done / 1e6:.0f} of {total / 1e6:.0f} MB</div>"
        )

    # What is seen.

    def _build(self) -> None:
        self._screen = Screen()
        self._unseen += self._screen.sources
        self._screen.on_pick = self._picked
        self._screen.on_wipe = lambda share: self.attempt("wipe", share)
        self._caption = w.HTML(layout=w.Layout(width="512px", margin="2px 0 0 0"))
        self._status = w.HTML(layout=w.Layout(flex="1 1 auto", margin="0"))
        self._progress = w.FloatProgress(
            min=0.0,
            max=1.0,
            layout=w.Layout(width="220px", visibility="hidden", height="16px", margin="0"),
            style={"description_width": "90px"},
        )
        self._notes = w.HTML(layout=w.Layout(width="512px"))
        follow(self, "notes", self._show_notes)
        self._neuron, self._temperature = NeuronPanel(self), TemperaturePanel(self)
        self._ascent, self._source, self._view = (
            AscentPanel(self),
            SourcePanel(self),
            ViewPanel(self),
        )
        away = TakeawayPanel(self, ENDINGS, self.save, self.code, stem="pullback")
        folded = Folds(
            {
                "Photograph and network": self._source.box,
                "Ascent settings": self._ascent.settings,
                "Wipe and colours": self._view.box,
                "Take it away": away.box,
            },
            width=WIDTH,
        )
        left = w.VBox(
            [
                self._view.view,
                self._screen.box,
                self._caption,
                w.HBox([self._status, self._progress], layout=w.Layout(width="512px")),
                self._problem,
                self._notes,
            ],
            layout=w.Layout(width="518px", max_width="100%", flex="0 0 auto", overflow="visible"),
        )
        right = w.VBox(
            [self._neuron.box, self._temperature.box, self._ascent.box, folded],
            layout=w.Layout(width=f"{WIDTH + 6}px", flex="0 0 auto", overflow="visible"),
        )
        self.children = [
            style_sheet(),
            w.HBox([left, right], layout=w.Layout(flex_flow="row wrap", overflow="visible")),
        ]
        self.add_class("pullback-explorer")

    def _show_notes(self, notes: tuple[str, ...]) -> None:
        lines = "".join(f"<div>{html.escape(note)}</div>" for note in notes)
        self._notes.value = f'<div class="pullback-note">{lines}</div>' if notes else ""

    def _draw(self) -> None:
        """Draw the newest frame as it is wanted now: whoever comes last has both right."""
        with self._drawing:
            if self.result is not None:
                self._paint(self.result)

    def _paint(self, frame: Frame) -> None:
        colour, view, compare = self.colour, self.view, self.compare
        self._screen.show(
            frame.picture(view, colour),
            frame.picture(compare, colour),
            labels=(view, compare),
            cell=_cell(frame),
            wipe=self.wipe,
        )
        softening = frame.state.softening
        how = words.in_words(softening)
        title = _words(view, html.escape(frame.title), how)
        self._screen.box.say(title)
        exceptions = html.escape(frame.report.exceptions)
        self._caption.value = (
            f'<div class="pullback-caption"><div>{title}</div>'
            f"<div>{_legend(frame, view, colour)}</div>"
            f"{exceptions and f'<div>{exceptions}</div>'}</div>"
        )

    def _picked(self, x: float, y: float) -> None:
        frame = self.known
        if frame is None or self.layer == LOGITS:
            return
        grid = frame.view.layer.shape[1:]
        if frame.view.layer.name == self.layer and len(grid) == 2:
            position = (min(int(y * grid[0]), grid[0] - 1), min(int(x * grid[1]), grid[1] - 1))
            self.attempt("position", position)

    def _show_status(
        self, frame: Frame | None = None, step: Step | None = None, failed: bool = False
    ) -> None:
        if frame is None and failed:
            text = ""
        elif frame is None:
            what = "computing" if step is None else f"step {step.index} of {self.steps}"
            text = f'<span class="pullback-busy">●</span> {what}'
        else:
            now = datetime.datetime.now().strftime("%H:%M:%S")
            text = (
                f'<span class="pullback-idle">●</span> {now} · {1000 * frame.seconds:.0f} ms · '
                f"{html.escape(frame.model.name)} on {html.escape(str(frame.model.device))}"
            )
        self._status.value = f'<div class="pullback-status">{text}</div>'


def _cell(frame: Frame) -> tuple[float, float, float, float] | None:
    """Where the chosen unit's cell lies on the picture: left, top, width, height as shares."""
    grid = frame.view.layer.shape[1:]
    target = frame.target
    if not isinstance(target, Unit) or target.position is None or len(grid) != 2:
        return None
    (y, x), (rows, columns) = target.position, grid
    return x / columns, y / rows, 1 / columns, 1 / rows


def _words(view: str, target: str, how: str) -> str:
    """What a view shows, in a line of HTML."""
    return {
        "pullback": f"<b>pullback</b> of <b>{target}</b>, {how}",
        "overlay": f"<b>pullback</b> of <b>{target}</b> over the photograph, {how}",
        "difference": f"<b>difference</b> after ascent towards <b>{target}</b>, {how}",
        "perturbed": f"photograph <b>perturbed</b> towards <b>{target}</b>, {how}",
        "photograph": "<b>photograph</b>",
    }[view]


def _legend(frame: Frame, view: str, colour: str) -> str:
    if view in ("photograph", "perturbed"):
        step = frame.step
        if view == "perturbed" and step is not None:
            return f"L2 distance from the photograph: {float(step.difference.norm()):.1f}"
        return "what the network sees"
    values = frame.tensor(view)
    if colour == "diverging":
        values = values.mean(0, keepdim=True)
    return (
        f"mid-grey is 0, full strength ±{pixels.limit(values):.3g} "
        f"({pixels.PERCENTILE:g}th percentile)"
    )
