"""The one door to what ipycanvas calls private."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version

import ipycanvas
import ipycanvas.canvas
import pytest
from ipycanvas.canvas import _CANVAS_MANAGER

from pullback_widgets.widgets.kit import canvas

TESTED = ("0.14",)
"""Versions of ipycanvas that the private names are known in; pyproject.toml allows these."""


def test_the_private_names_are_those_of_a_version_that_is_known() -> None:
    assert version("ipycanvas").rpartition(".")[0] in TESTED
    for name in ("_current_canvas", "_caching", "_commands_cache", "_buffers_cache"):
        assert hasattr(_CANVAS_MANAGER, name), name


def test_another_ipycanvas_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ipycanvas.canvas, "_CANVAS_MANAGER")
    monkeypatch.delitem(sys.modules, canvas.__name__)
    with pytest.raises(ImportError, match="cannot draw with ipycanvas .*; install a version"):
        importlib.import_module(canvas.__name__)
