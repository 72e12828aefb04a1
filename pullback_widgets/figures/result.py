"""What every figure is: tensors that fill up while it is computed, and ways to take them away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from .. import export
from ..image import SAMPLES
from ..model import Model
from ..picture import RGB

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[float], None]
"""Called with the share that is done, 0 to 1."""


class Result:
    """A figure in the making: its tensors are there from the start and fill up.

    Attributes:
        progress: The share that is computed, 0 to 1.
    """

    ENDINGS: ClassVar[tuple[str, ...]] = (".png", ".pdf", ".svg", ".npz")
    """The kinds of file that :meth:`save` writes; ``.gif`` where there is something to animate."""

    progress: float = 0.0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every tensor and number of the figure, by name."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """All that was chosen, in what JSON can hold, with versions and the weights' hash."""
        raise NotImplementedError

    def figure(self) -> Figure:
        """The figure, with labels, for print."""
        raise NotImplementedError

    def code(self) -> str:
        """The lines of Python that compute the figure without the widget."""
        raise NotImplementedError

    def frames(self) -> Sequence[RGB]:
        """The pictures of the animation, if the figure has one."""
        return []

    def save(self, path: str | Path) -> Path:
        """Write the figure to a file; its ending says how.

        Args:
            path: ``.png``, ``.pdf``, ``.svg``: the figure at 300 dots per inch; ``.npz``: arrays
                and settings; ``.gif``: the animation, where ``ENDINGS`` has it.

        Raises:
            ValueError: For another ending.
        """
        path = export.checked_path(path, self.ENDINGS)
        if path.suffix == ".npz":
            return export.save_npz(path, self.arrays(), self.settings())
        if path.suffix == ".gif":
            return export.save_gif(path, self.frames())
        return export.save_figure(path, self.figure())


Filled = TypeVar("Filled", bound=Result)


def completed(steps: Iterator[Filled], progress: Progress | None = None) -> Filled:
    """The result when everything is computed, with reports of the progress on the way."""
    result = None
    for result in steps:
        if progress is not None:
            progress(result.progress)
    assert result is not None
    return result


def default_batch(model: Model) -> int:
    """How many images go through a network at once: as many as pay off and fit."""
    return 4 if model.device.type == "cpu" else 32


def image_names(images: Sequence[Any] | Mapping[str, Any]) -> list[str]:
    """A short name for each image: the mapping's own, the sample's, the file's, or its number."""
    if isinstance(images, Mapping):
        return [str(name) for name in images]
    return [image_name(image) or f"image {n}" for n, image in enumerate(images, start=1)]


def image_name(image: Any) -> str:
    """The sample's or the file's name; empty for images without one."""
    if isinstance(image, str) and image in SAMPLES:
        return SAMPLES[image].title
    return Path(image).stem if isinstance(image, str | Path) else ""


def to_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor as an array on the CPU."""
    return np.asarray(tensor.detach().cpu().numpy())
