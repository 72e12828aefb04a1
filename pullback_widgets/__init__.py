"""See what a neuron of a trained network responds to.

The data flows through the files in this order: ``image`` (a photograph becomes a tensor), ``model``
and ``catalogue`` (the network), ``layer`` and ``target`` (the neuron), ``softening``,
``rectifier``, ``gate``, ``scale`` and ``recording`` (one forward pass, soft gates behind it),
``session`` (the pullback), ``ascent``, ``picture``, ``frame`` (what is asked and what is shown),
``worker``, and last the widget: ``screen``, ``gauge``, ``controls``, ``choices``, ``explorer`` and
``code``.

Importing this package imports neither torch nor Jupyter: every public name is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ascent import Step as Step
    from .catalogue import CATALOGUE as CATALOGUE
    from .catalogue import DownloadError as DownloadError
    from .catalogue import load_model as load_model
    from .explorer import Explorer as Explorer
    from .image import SAMPLES as SAMPLES
    from .image import ImageError as ImageError
    from .layer import Layer as Layer
    from .model import Model as Model
    from .model import get_device as get_device
    from .model import set_device as set_device
    from .session import Prediction as Prediction
    from .session import Session as Session
    from .session import layers as layers
    from .session import pullback as pullback
    from .softening import Softening as Softening
    from .target import Channel as Channel
    from .target import Difference as Difference
    from .target import Direction as Direction
    from .target import Logit as Logit
    from .target import Target as Target
    from .target import Unit as Unit

__version__ = "0.1.0"

# Public name -> the file it lives in.
_HOME = {
    "CATALOGUE": "catalogue",
    "Channel": "target",
    "Difference": "target",
    "Direction": "target",
    "DownloadError": "catalogue",
    "Explorer": "explorer",
    "ImageError": "image",
    "Layer": "layer",
    "Logit": "target",
    "Model": "model",
    "Prediction": "session",
    "SAMPLES": "image",
    "Session": "session",
    "Softening": "softening",
    "Step": "ascent",
    "Target": "target",
    "Unit": "target",
    "get_device": "model",
    "layers": "session",
    "load_model": "catalogue",
    "pullback": "session",
    "set_device": "model",
}
_NEEDS_JUPYTER = {"Explorer"}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if name in _NEEDS_JUPYTER:
            raise ImportError(
                f"pullback_widgets.{name} is a Jupyter widget and the module {error.name!r} is "
                "missing here; install it with: pip install ipywidgets ipycanvas jupyterlab"
            ) from error
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
