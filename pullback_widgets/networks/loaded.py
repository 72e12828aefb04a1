"""The networks that are loaded: each name once, as long as someone has it."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from ..engine.model import Model
from .catalogue import load_model

_loaded: weakref.WeakValueDictionary[str, Model] = weakref.WeakValueDictionary()


def loaded(model: Model | str, progress: Callable[[str, int, int], None] | None = None) -> Model:
    """A network, loaded if it is a name, and not loaded again while it is in use.

    Args:
        model: A name that ``load_model`` takes, or a network, which is returned as it is.
        progress: Called with the name, bytes done and bytes in all, while it downloads.

    Raises:
        ValueError: If there is no such network.
        DownloadError: If its weights cannot be downloaded, stored or read.
    """
    if isinstance(model, Model):
        return model
    found = _loaded.get(model)
    if found is None:
        name, report = model, progress
        found = load_model(
            name,
            progress=None if report is None else lambda done, total: report(name, done, total),
        )
        _loaded[name] = found
    return found


def is_loaded(name: str, model: Model) -> bool:
    """Whether a network is the one that this name would give."""
    return _loaded.get(name) is model
