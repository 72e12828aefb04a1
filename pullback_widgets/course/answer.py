"""What students give as an answer, read kindly."""

from __future__ import annotations

from typing import Any

from .. import checks


def as_number(answer: Any) -> float | None:
    """An answer as a number, the one entry of an array or tensor included; None if it is none."""
    if hasattr(answer, "item") and all(side == 1 for side in getattr(answer, "shape", ())):
        answer = answer.item()
    if not checks.is_number(answer):
        return None
    return float(answer)
