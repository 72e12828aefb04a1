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
    from .course.exercise import check as check
    from .course.exercise import hint as hint
    from .engine.ascent import Step as Step
    from .engine.image import SAMPLES as SAMPLES
    from .engine.image import ImageError as ImageError
    from .engine.layer import Layer as Layer
    from .engine.model import Model as Model
    from .engine.model import get_device as get_device
    from .engine.model import set_device as set_device
    from .engine.report import Report as Report
    from .engine.session import Prediction as Prediction
    from .engine.session import Session as Session
    from .engine.session import layers as layers
    from .engine.session import pullback as pullback
    from .engine.session import report as report
    from .engine.softening import Softening as Softening
    from .engine.target import Channel as Channel
    from .engine.target import Difference as Difference
    from .engine.target import Direction as Direction
    from .engine.target import Logit as Logit
    from .engine.target import Target as Target
    from .engine.target import Unit as Unit
    from .figures.atlas import layer_atlas as layer_atlas
    from .figures.comparison import compare as compare
    from .figures.grid import counterfactual_grid as counterfactual_grid
    from .figures.journey import depth_journey as depth_journey
    from .figures.recipe import open_recipe as open_recipe
    from .figures.strip import temperature_strip as temperature_strip
    from .methods.captum_methods import METHODS as METHODS
    from .methods.excitation import ExcitationPullback as ExcitationPullback
    from .networks.catalogue import CATALOGUE as CATALOGUE
    from .networks.catalogue import DownloadError as DownloadError
    from .networks.catalogue import load_model as load_model
    from .teaching.gates import gate_paths as gate_paths
    from .teaching.gates_widget import GatePlayground as GatePlayground
    from .teaching.paths_widget import PathStabilityLab as PathStabilityLab
    from .teaching.recorder import record_paths as record_paths
    from .teaching.regions import linear_regions as linear_regions
    from .teaching.regions_widget import RegionMap as RegionMap
    from .teaching.stability import path_stability as path_stability
    from .widgets.atlas import LayerAtlas as LayerAtlas
    from .widgets.comparison import Compare as Compare
    from .widgets.explorer.explorer import Explorer as Explorer
    from .widgets.grid import CounterfactualGrid as CounterfactualGrid
    from .widgets.journey import DepthJourney as DepthJourney
    from .widgets.strip import TemperatureStrip as TemperatureStrip

# Public name -> the file it lives in.
_HOME = {
    "CATALOGUE": "networks.catalogue",
    "Channel": "engine.target",
    "Compare": "widgets.comparison",
    "CounterfactualGrid": "widgets.grid",
    "DepthJourney": "widgets.journey",
    "Difference": "engine.target",
    "Direction": "engine.target",
    "DownloadError": "networks.catalogue",
    "ExcitationPullback": "methods.excitation",
    "Explorer": "widgets.explorer.explorer",
    "GatePlayground": "teaching.gates_widget",
    "ImageError": "engine.image",
    "Layer": "engine.layer",
    "LayerAtlas": "widgets.atlas",
    "Logit": "engine.target",
    "METHODS": "methods.captum_methods",
    "Model": "engine.model",
    "PathStabilityLab": "teaching.paths_widget",
    "Prediction": "engine.session",
    "RegionMap": "teaching.regions_widget",
    "Report": "engine.report",
    "SAMPLES": "engine.image",
    "Session": "engine.session",
    "Softening": "engine.softening",
    "Step": "engine.ascent",
    "Target": "engine.target",
    "TemperatureStrip": "widgets.strip",
    "Unit": "engine.target",
    "check": "course.exercise",
    "compare": "figures.comparison",
    "counterfactual_grid": "figures.grid",
    "depth_journey": "figures.journey",
    "gate_paths": "teaching.gates",
    "get_device": "engine.model",
    "hint": "course.exercise",
    "layer_atlas": "figures.atlas",
    "layers": "engine.session",
    "linear_regions": "teaching.regions",
    "load_model": "networks.catalogue",
    "open_recipe": "figures.recipe",
    "path_stability": "teaching.stability",
    "pullback": "engine.session",
    "record_paths": "teaching.recorder",
    "report": "engine.session",
    "set_device": "engine.model",
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
