"""Boxes for whole numbers that hand on what was typed.

The page of ipywidgets' own drops the point or what stands behind it: "2.5" is read as 25 or as 2.
These let 2.5 through, which the choice then refuses in its own words.
"""

from __future__ import annotations

from typing import Any

import ipywidgets as w
import traitlets as t


class _Number(t.CFloat[float, Any]):
    """A number; one without a fraction is an int."""

    def validate(self, obj: Any, value: Any) -> float:
        number = super().validate(obj, value)
        return int(number) if number.is_integer() else number


class WholeBox(w.FloatText):
    """A box for any whole number."""

    value = _Number(0).tag(sync=True)
    step = t.CFloat(1).tag(sync=True)


class BoundedWholeBox(w.BoundedFloatText):
    """A box for a whole number from ``min`` to ``max``."""

    value = _Number(0).tag(sync=True)
    step = t.CFloat(1).tag(sync=True)
