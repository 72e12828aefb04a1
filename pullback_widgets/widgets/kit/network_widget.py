"""What the figures of networks have in common: the network, and what of it is not softened."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as w
import traitlets as t

from ...engine.memory import again
from ...engine.model import Model
from ...figures.result import Result
from ...figures.sessions import Sessions
from ...networks.catalogue import entry
from .figure_widget import FigureWidget


class NetworkFigureWidget(FigureWidget):
    """A figure of a network, which may be a name; what of it is not softened is said."""

    _softens = t.Bool(True)
    """Whether the temperature changes anything; see :attr:`Result.softens`."""

    def __init__(self, **choices: Any) -> None:
        self._sessions = Sessions(self._downloading)
        super().__init__(**choices)

    def run(self) -> None:
        self._sessions.forget()
        super().run()

    def close(self) -> None:
        super().close()
        self._sessions.forget()

    def steps_of(self, request: Any) -> Iterator[Result]:
        """Compute a figure of a network that is loaded; see :meth:`compute`."""
        raise NotImplementedError

    def compute(self, request: Any) -> Iterator[Result]:
        asked = dataclasses.replace(request, model=self._loaded(request))
        return again(lambda: self.steps_of(asked), Sessions.make_room)

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
