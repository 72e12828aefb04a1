"""What every figure is: tensors that fill up while it is computed, and ways to take them away."""

from __future__ import annotations

import contextlib
import dataclasses
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ..drawing import animation, files
from ..drawing.paper import wrapped
from ..drawing.pixels import RGB
from ..drawing.words import in_words
from ..engine.model import Model
from ..engine.report import Report
from ..engine.session import report
from ..engine.softening import Softening
from . import recipe
from .declared import Request, choices
from .provenance import provenance

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

Progress = Callable[[float], None]
"""Called with the share that is done, 0 to 1."""


_reports: weakref.WeakKeyDictionary[Model, Report | None] = weakref.WeakKeyDictionary()


def softened(network: Model) -> Report | None:
    """What of a network is softened, looked up once.

    Returns:
        The report; None for a network that takes images of another size than it says.
    """
    if network not in _reports:
        _reports[network] = None
        with contextlib.suppress(Exception):
            _reports[network] = report(network)
    return _reports[network]


class Result:
    """A figure in the making: its tensors are there from the start and fill up.

    What it was asked for reads as attributes of its own: ``grid.steps`` is ``grid.request.steps``.
    What is only drawn can be set: ``grid.shown = "perturbed"``.

    Attributes:
        request: What was asked for.
        progress: The share that is computed, 0 to 1.
    """

    ENDINGS: ClassVar[tuple[str, ...]] = (".png", ".pdf", ".svg", ".npz", ".json")
    """The kinds of file that :meth:`save` writes; ``.gif`` where there is something to animate."""

    request: Request
    progress: float = 0.0

    def __getattr__(self, name: str) -> Any:
        request = self.__dict__.get("request")
        if request is None or name not in choices(type(request)):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(request, name)

    def __setattr__(self, name: str, value: Any) -> None:
        request = self.__dict__.get("request")
        one = choices(type(request)).get(name) if request is not None else None
        if request is not None and one is not None and one.role != "computed":
            # What is only drawn may change.
            name, value = "request", dataclasses.replace(request, **{name: value})
        object.__setattr__(self, name, value)

    @property
    def asked(self) -> Any:
        """The request, with what was resolved since."""
        return self.request

    def networks(self) -> Sequence[Model]:
        """The networks that the figure is about."""
        return [self.model] if isinstance(getattr(self, "model", None), Model) else []

    @property
    def softens(self) -> bool:
        """Whether any gate is softened, so that a temperature means anything."""
        reports = [softened(network) for network in self.networks()]
        return not reports or any(one is None or bool(one.gates) for one in reports)

    def how(self, softening: Softening) -> str:
        """A softening in a few words: what was asked for, or what became of it."""
        if not self.softens:
            reports = [softened(network) for network in self.networks()]
            constant = not softening.is_hard and any(one and one.held for one in reports)
            softening = Softening.held() if constant else Softening.hard()
        return in_words(softening)

    @property
    def exceptions(self) -> list[str]:
        """What of each network is not softened, a sentence each; none where all is."""
        reports = [(network.name, softened(network)) for network in self.networks()]
        return [f"{name}: {one.exceptions}" for name, one in reports if one and one.exceptions]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every tensor and number of the figure, by name."""
        raise NotImplementedError

    def named(self) -> dict[str, Any]:
        """Settings in the figure's own words, which say more than the request's."""
        return {}

    def settings(self) -> dict[str, Any]:
        """All that was chosen, in what JSON can hold, with versions and the weights' hash."""
        return {**provenance(*self.networks()[:1]), **self.asked.settings(), **self.named()}

    def recipe(self, request: Request | None = None) -> dict[str, Any]:
        """What opens the figure's widget again; see :func:`pullback_widgets.open_recipe`.

        Args:
            request: What a widget was told, instead of what became of it.
        """
        return self._with_shares(recipe.write(request or self.asked, self.networks()))

    def _with_shares(self, written: dict[str, Any]) -> dict[str, Any]:
        """A recipe, with the shares beside it: what was found, not asked for."""
        shares = self.shares
        if not shares.size:
            return written
        known = shares.astype(object)
        known[np.isnan(shares)] = None  # JSON has no NaN
        return {**written, "shares": known.tolist()}

    @property
    def shares(self) -> NDArray[np.float64]:
        """Which share of its target's value each pullback accounts for, ``<p, x> / z``.

        As in :meth:`Session.completeness <pullback_widgets.Session.completeness>`; constants, and
        what softening leaves over, make up the rest. NaN where there is none: no pullback, or a
        value of 0. A figure that says nothing of it has an empty array.
        """
        return np.zeros(0)

    def summary(self) -> str:
        """What the figure is of, in a few words."""
        raise NotImplementedError

    def figure(self) -> Figure:
        """The figure, with labels, for print."""
        raise NotImplementedError

    def code(self) -> str:
        """The lines of Python that compute the figure without the widget."""
        lines: str = self.asked.code()
        return lines

    def frames(self) -> Sequence[RGB]:
        """The pictures of the animation, if the figure has one."""
        return []

    def film(self) -> Sequence[tuple[RGB, str]]:
        """The animation: each picture, and the line that is written under it."""
        return [(frame, "") for frame in self.frames()]

    @property
    def state(self) -> str:
        """``complete``, or how far it came."""
        return "complete" if self.progress >= 1 else f"stopped at {100 * self.progress:.0f} %"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary()}; {self.state}>"

    def _repr_png_(self) -> bytes:
        """What a notebook shows of it."""
        from ..drawing.notebook_figure import figure_png

        return figure_png(self.figure())

    def save(self, path: str | Path) -> Path:
        """Write the figure to a file; its ending says how.

        Args:
            path: ``.png``, ``.pdf``, ``.svg``: the figure at 300 dots per inch; ``.npz``: arrays
                and settings; ``.json``: the recipe, which ``pw.open_recipe`` opens again;
                ``.gif``, ``.webp``, ``.mp4``: the animation, where ``ENDINGS`` has it.

        Raises:
            ValueError: For another ending.
        """
        path = files.checked_path(path, self.ENDINGS)
        if path.suffix == ".npz":
            return files.save_npz(path, self.arrays(), self.settings())
        if path.suffix == ".json":
            return files.save_json(path, self.recipe())
        if path.suffix in animation.ENDINGS:
            return self.save_film(path)
        return files.save_figure(path, self.figure())

    def save_film(self, path: Path) -> Path:
        """Write the animation."""
        film = self.film()
        pictures, lines = [picture for picture, _ in film], [line for _, line in film]
        return animation.save_animation(path, pictures, lines)


Filled = TypeVar("Filled", bound=Result)


def completed(steps: Iterator[Filled], progress: Progress | None = None) -> Filled:
    """The result when everything is computed, with reports of the progress on the way."""
    result = None
    for result in steps:
        if progress is not None:
            progress(result.progress)
    assert result is not None
    return result


def entitle(figure: Figure, title: str, result: Result, size: float = 8) -> Text:
    """Write a title over a figure, in lines as wide as it is; an unfinished one says so.

    Under the title stands what is not softened.
    """
    if result.progress < 1:
        title = f"{title}\n{result.state}"
    title = "\n".join([title, *result.exceptions])
    return figure.suptitle(wrapped(title, figure.get_figwidth(), size), fontsize=size)


def partly(done: int, steps: int) -> str:
    """The line under a tile whose ascent was stopped; empty for a whole one."""
    return f"\nstep {done} of {steps}" if done < steps else ""


def default_batch(model: Model) -> int:
    """How many images go through a network at once: as many as pay off and fit."""
    return 4 if model.device.type == "cpu" else 32


def to_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor as an array on the CPU."""
    return np.asarray(tensor.detach().cpu().numpy())
