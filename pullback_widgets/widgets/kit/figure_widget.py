"""What every live figure is: it appears while it is computed, with controls around it."""

from __future__ import annotations

import datetime
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import ipywidgets as w
import traitlets as t

from ...drawing import files
from ...drawing.file_name import file_name
from ...figures.declared import choices
from ...figures.recipe_text import to_line
from ...figures.result import Result
from . import cell
from .binding import follow
from .layout import dress, heading, row, style_sheet
from .lines import Lines
from .live import ComputingWidget
from .run_buttons import run_buttons
from .save_buttons import SaveButtons
from .stored import Stored
from .traits import CheckedTraits
from .turn import TURNS, give_memory_back
from .worker import Worker

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class FigureWidget(CheckedTraits, ComputingWidget):
    """A figure as a live widget: it appears while it is computed.

    It says what it is a figure of (``REQUEST``, whose choices are its traits), how that is computed
    (``compute``) and how the result is drawn (``show``). Every change computes anew; the newest
    wins.

    Attributes:
        notes: Sentences that stay under the figure; a recipe says here what is not as it was.
        result: The figure as far as it is computed (read only); observe it to follow the
            computation. Observers run in the computing thread.
    """

    TITLE: ClassVar[str]
    RESULT: ClassVar[type[Result]]
    GOES_ON: ClassVar[bool] = False
    """Whether Run goes on where the computation was stopped, or starts anew."""
    TAKES_TIME: ClassVar[bool] = True
    """Whether Run, Stop and a bar stand over the figure."""
    TAKES_TURNS: ClassVar[bool] = True
    """Whether the first figure waits for those before it, and memory is given back after each."""
    CAPTION: ClassVar[str] = "pullback-note"
    """The style of the caption."""

    result = t.Any(None, allow_none=True, read_only=True)
    notes = t.Tuple()

    def __init__(self, **choices: Any) -> None:
        """Check the choices, build the widget and start computing.

        Raises:
            TypeError: For an unknown choice, or a value of a wrong type.
            ValueError: For a value that makes no sense.
        """
        super().__init__()
        self._stored = Stored(self._picture, lambda: self._words, self.guard)
        self._unseen.append(self._stored.unseen)
        self.choose(**choices)
        self._build()
        self._worker = Worker(
            self._compute, self._failed, ready=self._until_wanted, spare=self._look_ahead
        )
        cell.here(self)
        self.changed(looks_only=False)

    # What a figure fills in.

    def compute(self, request: Any) -> Iterator[Result]:
        """Compute a figure: the same result again after each step.

        Args:
            request: A ``REQUEST``: all choices as they were when the figure was asked for.
        """
        raise NotImplementedError

    @classmethod
    def remarks(cls, content: Mapping[str, Any], chosen: dict[str, Any]) -> list[str]:
        """What a recipe says beside the choices, in sentences; it may change these."""
        return []

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

    def caption(self, result: Any) -> str:
        """One or two lines of HTML that tell a stranger what there is to see."""
        raise NotImplementedError

    def drew(self, result: Any) -> None:
        """Called when something new of a result is on the screen."""

    def footnotes(self) -> Sequence[w.Widget]:
        """What stands under the caption."""
        return []

    def annexes(self) -> Sequence[w.Widget]:
        """What stands under everything else."""
        return []

    def close(self) -> None:
        """Stop computing and close all widgets; what a notebook stores stays."""
        self._stored.close()
        super().close()

    # What comes out.

    def run(self) -> None:
        """Compute the figure anew."""
        self.changed(looks_only=False)

    def figure(self) -> Figure:
        """The figure for print; waits for the computation."""
        return self._settled().figure()

    def save(self, path: str | Path) -> Path:
        """Write the figure to a file; see :meth:`pullback_widgets.figures.result.Result.save`."""
        result = self._settled()
        if Path(path).suffix.lower() == ".json":
            return files.save_json(Path(path), self.recipe())
        return result.save(path)

    def recipe(self) -> dict[str, Any]:
        """All choices, versions and the weights' hash, for ``pw.open_recipe`` or a JSON file."""
        return self._settled().recipe(self.request())

    def code(self) -> str:
        """The lines that compute the figure without the widget."""
        return self._settled().code()

    def _settled(self) -> Result:
        self.wait()
        if self.result is None or (self.error and not self._refused):
            raise RuntimeError(self.error or "There is no figure yet.")
        result: Result = self.result
        return result

    # What a notebook shows and keeps.

    def _ipython_display_(self, **options: Any) -> None:
        """The live widget, at once; and a second output, which keeps a picture of it."""
        from IPython.display import display

        cell.here(self)
        display({**super()._repr_mimebundle_(**options), "text/plain": self.TITLE}, raw=True)
        self._stored.display(settled=self._worker is not None and not self._worker.busy)

    @property
    def _words(self) -> str:
        return f"{type(self).__name__}: {self.TITLE}"

    def _picture(self) -> tuple[bytes, Sequence[str]] | None:
        """The figure as a PNG, and what its caption says beyond what stands in the picture."""
        result = self.result
        return None if result is None or result.progress <= 0 else (result._repr_png_(), ())

    # The computation; all but `changed` runs in the worker's thread.

    def changed(self, looks_only: bool) -> None:
        if self._worker is None or self._closed:
            return
        if self._refused:
            self._show_error(None)
        if looks_only and self.result is not None:
            self._draw()
            return
        self._announce()
        self._worker.submit(self.request())

    def _announce(self) -> None:
        """Say that something is computed."""
        self._show_progress(0.0)

    _begun = False
    """Whether a figure was ever asked for; the first one waits for its turn."""

    def _compute(self, request: Any) -> Iterator[None]:
        first, self._begun = not self._begun, True
        try:
            if first and self.TAKES_TURNS:
                yield from self._wait_for_turn()
            yield from self._draw_all(request)
        finally:
            if self.TAKES_TURNS:
                give_memory_back()  # before the next one takes it
                TURNS.leave(self._worker)

    def _wait_for_turn(self, progress: float = 0.0) -> Iterator[None]:
        others = "the figures of which nothing is seen yet" if progress else "the figure before"
        for _ in TURNS.wait(self._worker):
            self._say_status(f"waits for {others}; Run starts at once", busy=False)
            yield
        self._show_progress(progress)

    def _draw_all(self, request: Any) -> Iterator[None]:
        steps, drawn = self.compute(request), True
        try:
            for result in steps:
                self._set_result(result)
                self._computed()
                # What the page has no time for is not drawn, but for the last.
                drawn = result.progress >= 1 or self._is_wanted
                if drawn:
                    self._draw_new(result)
                yield
                if result.progress < 1 and self.is_seen(result) and TURNS.leave(self._worker):
                    # The rest waits for figures of which nothing is seen yet.
                    yield from self._wait_for_turn(result.progress)
        finally:
            close = getattr(steps, "close", None)
            if close is not None:
                close()
            if self.result is not None and not (self._worker and self._worker.waiting):
                if not drawn:
                    self._draw_new(self.result)
                if self.result.progress < 1:
                    self._show_progress(self.result.progress, idle=True)
                self._stored.refresh()

    @property
    def _is_wanted(self) -> bool:
        """Whether the page can take one more picture now."""
        return True

    def _until_wanted(self) -> None:
        """Wait, in the worker's thread, until it can."""

    def _look_ahead(self) -> bool:
        """Compute something that may be asked for next; whether there is more of it."""
        return False

    def _draw_new(self, result: Any) -> None:
        """Draw it, with all that stands around it."""
        self._draw()
        self.drew(result)
        self._show_progress(result.progress, idle=result.progress >= 1)

    def _set_result(self, result: Result) -> None:
        """Set it, and tell its observers even if it is the same as before, with more in it."""
        if result is self.result:
            change = {"name": "result", "old": result, "new": result}
            self.notify_change(t.Bunch(**change, owner=self, type="change"))
        else:
            self.set_trait("result", result)

    def _failed(self, request: Any, error: BaseException) -> None:
        self._show_error(error)
        self._show_progress(0.0, idle=True, failed=True)

    def _draw(self) -> None:
        """Draw the newest result as it is wanted now: whoever comes last has both right."""
        with self._drawing:
            result = self.result
            if result is None:
                return
            for name, one in choices(self.REQUEST).items():
                wanted = getattr(self, one.trait)
                if one.role != "computed" and getattr(result.request, name, wanted) != wanted:
                    setattr(result, name, wanted)  # what is taken away shows the same
            self.show(result)
            text = f'<div class="{self.CAPTION}">{self.caption(result)}</div>'
            self._caption.say("caption", text)

    # What is seen.

    def _build(self) -> None:
        self._bar = w.FloatProgress(
            min=0.0, max=1.0, layout=w.Layout(width="220px", height="16px", margin="6px 8px")
        )
        self._caption = Lines("caption", "status", layout=w.Layout(max_width="1000px"))
        self._status = self._caption  # unless it stands elsewhere
        if self.TAKES_TIME:
            self._status = Lines("status", layout=w.Layout(margin="0"))
        self._problem.layout.width = "auto"
        self._notes = w.HTML(layout=w.Layout(max_width="1000px"))
        follow(self, "notes", self._show_notes)
        self._unseen += [self._bar, self._status]
        texts = {"Code": self.code}
        if ".json" in self.RESULT.ENDINGS:
            texts["Recipe text"] = lambda: to_line(self.recipe())
        self._take_away = SaveButtons(self, self.RESULT.ENDINGS, self.save, texts, self.stem)
        self.children = [style_sheet(), *self.arranged()]
        dress(self)

    def arranged(self) -> Sequence[w.Widget]:
        """All that is seen, from top to bottom."""
        screen = self.screen()
        return [
            heading(self.TITLE),
            *self.controls(),
            *([self._run_row()] if self.TAKES_TIME else []),
            self._problem,
            w.Box([screen], layout=w.Layout(overflow="auto", flex="0 0 auto")),
            self._caption,
            self._notes,
            *self.footnotes(),
            row(w.HTML('<div class="pullback-note">Take it away:</div>'), self._take_away.box),
            *self.annexes(),
        ]

    def _run_row(self) -> w.HBox:
        return row(*run_buttons(self, self.run), self._bar, self._status)

    def _show_notes(self, notes: tuple[str, ...]) -> None:
        lines = "".join(f"<div>{html.escape(note)}</div>" for note in notes)
        self._notes.value = f'<div class="pullback-note">{lines}</div>' if notes else ""

    def stem(self, ending: str = ".png") -> str:
        """The name that files of an ending get, after what they show; without the ending."""
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(self).__name__)
        return file_name(name, *(self.result.summary().split(", ") if self.result else ()))

    def status(self, share: float, idle: bool) -> str:
        """The line that says how far the computation is, as HTML.

        Args:
            share: That is computed, 0 to 1.
            idle: Whether nothing is being computed.
        """
        if not idle:
            return f"computing, {100 * share:.0f} %"
        then = "goes on" if self.GOES_ON else "starts anew"
        return now() if share >= 1 else f"stopped at {100 * share:.0f} %, Run {then}"

    def _show_progress(self, share: float, idle: bool = False, failed: bool = False) -> None:
        if self.TAKES_TIME:
            self._bar.value = share
            done = "success" if idle and share >= 1 else ""
            self._bar.bar_style = "danger" if failed else done
        self._say_status("" if failed else self.status(share, idle), busy=not idle)

    def _say_status(self, text: str, busy: bool) -> None:
        dot = f'<span class="pullback-{"busy" if busy else "idle"}">●</span> '
        self._status.say("status", f'<div class="pullback-status">{text and dot + text}</div>')


def now() -> str:
    """The time of day."""
    return datetime.datetime.now().strftime("%H:%M:%S")
