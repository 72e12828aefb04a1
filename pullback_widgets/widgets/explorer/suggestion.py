"""A temperature for the network, suggested by photographs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from ...drawing.words import in_words
from ...engine.image import SAMPLES
from ...engine.softening import Softening
from ...figures.network_kinds import DEFAULT
from ..kit.layout import note, row
from ..kit.live import sentence
from ..kit.worker import Worker
from .choices import ExplorerChoices

if TYPE_CHECKING:
    from ...evaluation.progress import Progress
    from ...evaluation.tuning import Tuning

MOST = 50
"""At most so many photographs are gone through."""

LEAST = 4
"""Fewer photographs of one's own have no say: the samples are taken."""

TRIES = "Try temperatures on photographs, and suggest the one with the lowest infidelity"


@dataclass(frozen=True, eq=False)
class Wanted:
    """What a temperature is suggested for."""

    model: Any
    photographs: Sequence[Any]
    softening: Softening


class Suggestion:
    """A button that suggests a temperature, and what it says; nothing changes until it is taken.

    Attributes:
        tuning: What was found last; None before, and for another network.
    """

    def __init__(self, explorer: ExplorerChoices, own: Callable[[], list[Any]]) -> None:
        """Make the button.

        Args:
            explorer: Whose network it is for.
            own: The photographs that the user brought; the samples serve where they are few.
        """
        self.tuning: Tuning | None = None
        self._explorer, self._own = explorer, own
        self._model: Any = None
        self._stopping = threading.Event()
        self._worker = Worker(self._tuning, self._failed, "pullback_widgets suggestion")
        self.button = w.Button(layout=w.Layout(width="auto"))
        self.button.on_click(lambda _: self.stop() if self._worker.busy else self.ask())
        self._line = w.HTML(layout=w.Layout(flex="1 1 300px", width="auto"))
        self._take = w.Button(layout=w.Layout(width="auto", display="none"))
        self._take.on_click(lambda _: self.take())
        self.box = row(self._line, self._take)
        self.box.layout.display = "none"
        self._rest()

    def show(self, model: Any) -> None:
        """Forget what was found for another network."""
        if model is not self._model:
            self._model, self.tuning = model, None
            self.stop()
            self._say("")

    def ask(self) -> None:
        """Begin to try temperatures."""
        if self._model is None:
            return
        own, softening = self._own(), self._explorer.softening
        several = own if len(own) >= LEAST else list(SAMPLES)
        softening = softening if softening.has_temperature else DEFAULT
        self._stopping.clear()
        self._worker.submit(Wanted(self._model, several, softening))

    def wait(self, timeout: float | None = None) -> bool:
        """Until nothing is tried any more; whether that is so after ``timeout`` seconds."""
        return self._worker.wait(timeout)

    def stop(self) -> None:
        """Try no more; nothing is suggested."""
        self._stopping.set()
        self._worker.stop()

    def take(self) -> None:
        """Choose what was suggested."""
        if self.tuning is not None:
            self._explorer.attempt("softening", self.tuning.softening)

    def close(self) -> None:
        """Leave it, and let the thread end."""
        self._stopping.set()
        self._worker.end()

    def _tuning(self, wanted: Wanted) -> Iterator[None]:
        from ...evaluation.tuning import tune_temperature  # of use only when it is asked for

        self.button.description, self.button.icon = "Stop", "stop"
        self.button.tooltip = "Try no more temperatures"
        few = min(len(wanted.photographs), MOST)
        self._say(f"trying temperatures on {few} photographs")

        def report(progress: Progress) -> None:
            if self._stopping.is_set():
                raise KeyboardInterrupt
            self._say(f"trying temperatures: {progress}")

        try:
            found = tune_temperature(
                wanted.model,
                wanted.photographs,
                softening=wanted.softening,
                limit=MOST,
                batch_size=1,
                progress=report,
            )
        except KeyboardInterrupt:
            self._say("")
            return
        finally:
            self._rest()
        if wanted.model is self._model:
            self.tuning = found
            self._say(found.sentence, f"Take {in_words(found.softening)}")
        yield

    def _failed(self, wanted: Wanted, error: BaseException) -> None:
        if wanted.model is self._model:
            self._say(sentence(error))

    def _rest(self) -> None:
        self.button.description, self.button.icon, self.button.tooltip = "Suggest", "", TRIES

    def _say(self, text: str, take: str = "") -> None:
        self._line.value = note(text, spoken=bool(take)) if text else ""
        self._take.description, self._take.layout.display = take, "" if take else "none"
        self.box.layout.display = "" if text else "none"
