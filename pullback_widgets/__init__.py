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

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .ascent import Step as Step
    from .attribution import ExcitationPullback as ExcitationPullback
    from .catalogue import CATALOGUE as CATALOGUE
    from .catalogue import DownloadError as DownloadError
    from .catalogue import load_model as load_model
    from .course.exercise import check as check
    from .course.exercise import hint as hint
    from .explorer import Explorer as Explorer
    from .figures.atlas import layer_atlas as layer_atlas
    from .figures.comparison import compare as compare
    from .figures.grid import counterfactual_grid as counterfactual_grid
    from .figures.journey import depth_journey as depth_journey
    from .figures.strip import temperature_strip as temperature_strip
    from .image import SAMPLES as SAMPLES
    from .image import ImageError as ImageError
    from .layer import Layer as Layer
    from .method import METHODS as METHODS
    from .model import Model as Model
    from .model import get_device as get_device
    from .model import set_device as set_device
    from .nonlinearity import Report as Report
    from .recipe import open_recipe as open_recipe
    from .session import Prediction as Prediction
    from .session import Session as Session
    from .session import layers as layers
    from .session import pullback as pullback
    from .session import report as report
    from .softening import Softening as Softening
    from .target import Channel as Channel
    from .target import Difference as Difference
    from .target import Direction as Direction
    from .target import Logit as Logit
    from .target import Target as Target
    from .target import Unit as Unit
    from .teaching.gates import gate_paths as gate_paths
    from .teaching.playground import GatePlayground as GatePlayground
    from .teaching.recorder import record_paths as record_paths
    from .teaching.region_map import RegionMap as RegionMap
    from .teaching.regions import linear_regions as linear_regions
    from .teaching.stability import path_stability as path_stability
    from .teaching.stability_lab import PathStabilityLab as PathStabilityLab
    from .views.atlas import LayerAtlas as LayerAtlas
    from .views.comparison import Compare as Compare
    from .views.grid import CounterfactualGrid as CounterfactualGrid
    from .views.journey import DepthJourney as DepthJourney
    from .views.strip import TemperatureStrip as TemperatureStrip

# Public name -> the file it lives in.
_HOME = {
    "CATALOGUE": "catalogue",
    "Channel": "target",
    "Compare": "views.comparison",
    "CounterfactualGrid": "views.grid",
    "DepthJourney": "views.journey",
    "Difference": "target",
    "Direction": "target",
    "DownloadError": "catalogue",
    "ExcitationPullback": "attribution",
    "Explorer": "explorer",
    "GatePlayground": "teaching.playground",
    "ImageError": "image",
    "Layer": "layer",
    "LayerAtlas": "views.atlas",
    "Logit": "target",
    "METHODS": "method",
    "Model": "model",
    "PathStabilityLab": "teaching.stability_lab",
    "Prediction": "session",
    "RegionMap": "teaching.region_map",
    "Report": "nonlinearity",
    "SAMPLES": "image",
    "Session": "session",
    "Softening": "softening",
    "Step": "ascent",
    "Target": "target",
    "TemperatureStrip": "views.strip",
    "Unit": "target",
    "check": "course.exercise",
    "compare": "figures.comparison",
    "counterfactual_grid": "figures.grid",
    "depth_journey": "figures.journey",
    "gate_paths": "teaching.gates",
    "get_device": "model",
    "hint": "course.exercise",
    "layer_atlas": "figures.atlas",
    "layers": "session",
    "linear_regions": "teaching.regions",
    "load_model": "catalogue",
    "open_recipe": "recipe",
    "path_stability": "teaching.stability",
    "pullback": "session",
    "record_paths": "teaching.recorder",
    "report": "session",
    "set_device": "model",
    "temperature_strip": "figures.strip",
}
_NEEDS_JUPYTER = {
    "Compare", "CounterfactualGrid", "DepthJourney", "Explorer", "GatePlayground", "LayerAtlas",
    "PathStabilityLab", "RegionMap", "TemperatureStrip",
}  # fmt: skip

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
