"""See what a neuron of a trained network responds to.

The folders, in the order in which the data flows: ``engine`` (a photograph becomes a tensor, the
network is recorded once, a target is pulled back), ``networks`` (by name), ``methods`` (to compare
with), ``drawing`` (tensors become pixels and files), ``figures`` (what there is to see),
``widgets`` (the same, live), ``teaching`` and ``course``, and ``command``.

Importing this package imports neither torch nor Jupyter: the public names, which ``__init__.pyi``
lists with the files that they live in, are loaded on first use.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

from .version import __version__ as __version__

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

_JUPYTER = ("ipywidgets", "ipycanvas", "traitlets", "IPython", "comm")


def __getattr__(name: str) -> Any:
    try:
        return _load(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _JUPYTER:
            raise
        raise ImportError(
            f"pullback_widgets.{name} is a Jupyter widget and the module {error.name!r} is missing "
            "here; install it with: pip install ipywidgets ipycanvas jupyterlab"
        ) from error
