"""What every view is: a figure that appears while it is computed, with controls around it."""

from __future__ import annotations

import base64
import contextlib
import datetime
import html
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import ipywidgets as w
import traitlets as t

from .. import code
from ..controls import STOPS, heading, nearest_stop
from ..figures.result import Result
from ..frame import Studio
from ..knobs import Knobs
from ..live import Live
from ..model import Model
from ..session import report
from ..softening import Softening
from ..takeaway import TakeawayPanel
from ..wiring import bind, follow, listen
from ..worker import Worker
from .turn import TURNS, give_memory_back

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..explorer import Explorer

STYLE = (Path(__file__).parent.parent / "explorer.css").read_text("utf-8")


class View(Knobs, Live):
    """A figure of ``figures`` as a live widget.

    A view says what its choices are (``NAMES``, each a trait), how they are computed
    (:meth:`steps`) and how the figure is drawn (:meth:`show`). Every change computes anew; the
    newest wins.

    Attributes:
        result: The figure as far as it is computed (read only); observe it to follow the
            computation. Observers run in the computing thread.
        explorer: The Explorer of the tile that was opened last, or None.
    """

    TITLE: ClassVar[str]
    RESULT: ClassVar[type[Result]]
    GOES_ON: ClassVar[bool] = False
    """Whether Run goes on where the computation was stopped, or starts anew."""

    result = t.Any(None, allow_none=True, read_only=True)
    explorer = t.Any(None, allow_none=True, read_only=True)

    def __init__(self, **choices: Any) -> None:
        """Check the choices, build the widget and start computing.

        Raises:
            TypeError: For an unknown choice, or a value of a wrong type.
            ValueError: For a value that makes no sense.
        """
        self._studio = Studio(self._downloading)
        self._exceptions: weakref.WeakKeyDictionary[Model, str] = weakref.WeakKeyDictionary()
        super().__init__()
        self.choose(**choices)
        self._build()
        self._worker = Worker(self._compute, self._failed)
        self.changed(looks_only=False)

    # What a view fills in.

    def steps_of(self, model: Model, choices: dict[str, Any]) -> Iterator[Result]:
        """Compute a figure: the same result again after each step.

        Args:
            model: The network, loaded.
            choices: All choices by name, as they were when the figure was asked for.
        """
        raise NotImplementedError

    def show(self, result: Any) -> None:
        """Draw what is new in a result, or all of one that was not drawn before."""
        raise NotImplementedError

    def screen(self) -> w.Widget:
        """What :meth:`show` draws on."""
        raise NotImplementedError

    def controls(self) -> Sequence[w.Widget]:
        """The controls over the screen, in rows."""
        raise NotImplementedError

    def is_seen(self, result: Any) -> bool:
        """Whether all that is on the screen is computed, so that other figures can begin."""
        return bool(result.progress >= 1)

    def networks(self, result: Any) -> Sequence[Model]:
        """The networks that a figure is about."""
        return [result.model]

    def caption(self, result: Any) -> str:
        """One or two lines of HTML that tell a stranger what there is to see."""
        raise NotImplementedError

    # What comes out.

    def run(self) -> None:
        """Compute the figure anew."""
        self.changed(looks_only=False)

    def figure(self) -> Figure:
        """The figure for print; waits for the computation."""
        return self._settled().figure()

    def save(self, path: str | Path) -> Path:
        """Write the figure to a file; see :meth:`pullback_widgets.figures.result.Result.save`."""
        return self._settled().save(path)

    def code(self) -> str:
        """The lines that compute the figure without the widget."""
        return self._settled().code()

    def explore(self, **choices: Any) -> Explorer:
        """Open an Explorer under the figure, in the place of the one before.

        Args:
            **choices: Of the Explorer.
        """
        from ..explorer import Explorer

        self._close_explorer()
        explorer = Explorer(**choices)
        shut = w.Button(description="Close", icon="times", layout=w.Layout(width="90px"))
        shut.on_click(lambda _: self._close_explorer())
        row = w.HBox([heading("The chosen tile in the Explorer"), shut])
        row.layout.justify_content = "space-between"
        row.layout.max_width = "840px"
        self._below.children = [row, explorer]
        self.set_trait("explorer", explorer)
        return explorer

    def close(self) -> None:
        self._close_explorer()
        super().close()

    def hidden(self) -> list[w.Widget]:
        return [*super().hidden(), self._nothing]

    def _close_explorer(self) -> None:
        explorer = self.explorer
        if explorer is not None:
            self.set_trait("explorer", None)
            self._below.children = []
            explorer.close()

    def _settled(self) -> Result:
        self.wait()
        if self.result is None or (self.error and not self._refused):
            raise RuntimeError(self.error or "There is no figure yet.")
        result: Result = self.result
        return result

    # What a notebook shows and keeps.

    def _ipython_display_(self, **options: Any) -> None:
        """The live widget, at once; and a second output, unseen where widgets are alive.

        It gets a PNG of the first figure that is completed, for places without a kernel: GitHub,
        nbconvert. It is an output of its own because an update makes the page draw its output
        anew.
        """
        from IPython.display import display

        display({**super()._repr_mimebundle_(**options), "text/plain": self._words}, raw=True)
        self._awaiting_still = display(self._still(), raw=True, display_id=True)
        idle = self._worker is not None and not self._worker.busy
        if idle or (self.result is not None and self.result.progress >= 1):
            self._keep_still()

    @property
    def _words(self) -> str:
        return f"{type(self).__name__}: {self.TITLE}"

    _awaiting_still: Any = None
    """The output that waits for its PNG."""

    def _still(self) -> dict[str, Any]:
        """The second output: an empty widget, and a PNG of the figure if there is one."""
        bundle = {**self._nothing._repr_mimebundle_(), "text/plain": self._words}
        if self.result is not None and self.result.progress > 0:
            bundle["image/png"] = base64.b64encode(self.result._repr_png_()).decode("ascii")
        return bundle

    def _keep_still(self) -> None:
        handle, self._awaiting_still = self._awaiting_still, None
        if handle is not None and self.result is not None:
            self.guard(lambda: handle.update(self._still(), raw=True))

    # The computation; all but `changed` runs in the worker's thread.

    def changed(self, looks_only: bool) -> None:
        if self._worker is None or self._closed:
            return
        if self._refused:
            self._show_error(None)
        if looks_only and self.result is not None:
            self._draw(self.result)
            return
        self._show_progress(0.0)
        self._worker.submit({name: getattr(self, name) for name in self.NAMES})

    _model: Model | None = None
    """The network that was there last."""

    _begun = False
    """Whether a figure was ever asked for; the first one waits for its turn."""

    def _compute(self, choices: dict[str, Any]) -> Iterator[None]:
        first, self._begun = not self._begun, True
        try:
            if first:
                yield from self._wait_for_turn()
            yield from self._draw_all(choices)
        finally:
            TURNS.leave(self)
            give_memory_back()

    def _wait_for_turn(self) -> Iterator[None]:
        for _ in TURNS.wait(self):
            self._status.value = (
                '<div class="pullback-status"><span class="pullback-idle">●</span> '
                "waits for the figure before; Run starts at once</div>"
            )
            yield
        self._show_progress(0.0)

    def _draw_all(self, choices: dict[str, Any]) -> Iterator[None]:
        model = self._loaded(choices)
        steps = self.steps_of(model, {**choices, "model": model})
        try:
            for result in steps:
                self._set_result(result)
                self._computed()
                self._draw(result)
                self._show_progress(result.progress)
                self._show_exceptions(self.networks(result))
                if self.is_seen(result):
                    TURNS.leave(self)
                yield
        finally:
            close = getattr(steps, "close", None)
            if close is not None:
                close()
            if self.result is not None and not (self._worker and self._worker.waiting):
                self._show_progress(self.result.progress, idle=True)
                self._keep_still()

    def _set_result(self, result: Result) -> None:
        """Set it, and tell its observers even if it is the same as before, with more in it."""
        if result is self.result:
            change = {"name": "result", "old": result, "new": result}
            self.notify_change(t.Bunch(**change, owner=self, type="change"))
        else:
            self.set_trait("result", result)

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

    def _loaded(self, choices: dict[str, Any]) -> Model:
        """The chosen network."""
        self._model = self._studio.model(choices["model"])
        if self.model == choices["model"] and self.model is not self._model:
            self._restore({"model": self._model})  # a name became its network: no new choice
        return self._model

    def _failed(self, choices: dict[str, Any], error: BaseException) -> None:
        good = self.result
        if (
            isinstance(choices["model"], str)
            and self.model == choices["model"]
            and good is not None
        ):
            self._restore({"model": good.model})  # it could not be had: go on with the one before
        self._show_error(error)
        self._show_progress(0.0, idle=True, failed=True)

    def _draw(self, result: Any) -> None:
        with self._drawing:
            self.show(result)
            self._caption.value = f'<div class="pullback-note">{self.caption(result)}</div>'

    # What is seen.

    def _build(self) -> None:
        self._go = w.Button(
            description="Run",
            icon="play",
            button_style="success",
            tooltip="Compute the figure anew",
            layout=w.Layout(width="84px"),
        )
        self._halt = w.Button(
            description="Stop",
            icon="stop",
            tooltip="Stop; what is computed stays",
            layout=w.Layout(width="76px"),
        )
        self._go.add_class("pullback-play")
        self._halt.add_class("pullback-stop")
        self._go.on_click(lambda _: self.guard(self.run))
        self._halt.on_click(lambda _: self.guard(self.stop))
        self._bar = w.FloatProgress(
            min=0.0, max=1.0, layout=w.Layout(width="220px", height="16px", margin="6px 8px")
        )
        self._status = w.HTML(layout=w.Layout(margin="0"))
        self._caption = w.HTML(layout=w.Layout(max_width="1000px"))
        self._kept = w.HTML(layout=w.Layout(max_width="1000px"))
        self._problem.layout.width = "auto"
        self._below = w.VBox()
        self._nothing = w.HTML(layout=w.Layout(display="none"))
        screen = self.screen()
        away = TakeawayPanel(self, self.RESULT.ENDINGS, self.save, self.code, stem=self.stem)
        self.children = [
            w.HTML(f"<style>{STYLE}</style>", layout=w.Layout(display="none")),
            heading(self.TITLE),
            *self.controls(),
            row(self._go, self._halt, self._bar, self._status),
            self._problem,
            w.Box([screen], layout=w.Layout(overflow="auto", flex="0 0 auto")),
            self._caption,
            self._kept,
            row(w.HTML('<div class="pullback-note">Take it away:</div>'), away.box),
            self._below,
        ]
        self.add_class("pullback-explorer")

    @property
    def stem(self) -> str:
        """The name that files get, without their ending."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).strip("_")

    def _show_progress(self, share: float, idle: bool = False, failed: bool = False) -> None:
        self._bar.value = share
        self._bar.bar_style = "success" if idle and share >= 1 else "" if not failed else "danger"
        if failed:
            text = ""
        elif not idle:
            text = f'<span class="pullback-busy">●</span> computing, {100 * share:.0f} %'
        else:
            now = datetime.datetime.now().strftime("%H:%M:%S")
            then = "goes on" if self.GOES_ON else "starts anew"
            what = now if share >= 1 else f"stopped at {100 * share:.0f} %, Run {then}"
            text = f'<span class="pullback-idle">●</span> {what}'
        self._status.value = f'<div class="pullback-status">{text}</div>'

    def _downloading(self, name: str, done: int, total: int) -> None:
        self._bar.value = done / max(total, 1)
        self._status.value = (
            f'<div class="pullback-status"><span class="pullback-busy">●</span> downloading '
            f"{html.escape(name)}: {done / 1e6:.0f} of {total / 1e6:.0f} MB</div>"
        )


def row(*children: w.Widget) -> w.HBox:
    """Controls side by side; they wrap where there is no room."""
    return w.HBox(list(children), layout=w.Layout(align_items="center", flex_flow="row wrap"))


def temperature_row(view: View) -> w.HBox:
    """The temperature slider, with what it says and in which units."""
    slider = w.IntSlider(
        value=0,
        min=0,
        max=len(STOPS) - 1,
        readout=False,
        description="Temperature",
        style={"description_width": "86px"},
        layout=w.Layout(width="330px"),
        tooltip="Temperature of the gates; far left is the plain gradient",
    )
    slider.add_class("pullback-temperature")
    words = w.HTML(layout=w.Layout(width="150px", margin="0 0 0 8px"))
    units = w.Dropdown(
        options=[("relative to channel scale", "relative"), ("absolute", "absolute")],
        layout=w.Layout(width="190px"),
    )

    def show(softening: Softening) -> None:
        slider.value = 0 if softening.is_hard else nearest_stop(softening.temperature)
        what = code.in_words(softening)
        words.value = f'<span class="pullback-number">{what}</span>'

    listen(slider, lambda position: view.attempt("temperature", STOPS[position]))
    listen(units, lambda value: view.attempt("units", value))
    follow(view, "softening", show)
    follow(view, "units", lambda value: setattr(units, "value", value))
    return row(slider, words, units)


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
