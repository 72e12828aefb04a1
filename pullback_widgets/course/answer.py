"""What students give as an answer, read kindly."""

from __future__ import annotations

import numbers
from typing import Any


def as_number(answer: Any) -> float | None:
    """An answer as a number, one of numpy's or torch's included; None if it is none."""
    if hasattr(answer, "item") and getattr(answer, "shape", ()) == ():
        answer = answer.item()
    if isinstance(answer, bool) or not isinstance(answer, numbers.Real):
        return None
    return float(answer)
