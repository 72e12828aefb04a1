"""What may be asked for next: the stops on both sides of the temperature slider."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from ...figures.snapshot import Snapshot, SnapshotRequest
from ..kit.temperature import STOPS, nearest_stop
from ..kit.voila import in_voila

PREFETCH = "PULLBACK_WIDGETS_PREFETCH"
"""The environment variable that switches it off for a server: 0."""

STEPS = 4
"""How many stops on each side."""

LONGEST = 0.2
"""Seconds: what takes longer would keep the next request waiting."""


def looks_ahead() -> bool:
    """Whether an explorer does it unless told otherwise: not where many share a machine."""
    return os.environ.get(PREFETCH, "1") != "0" and not in_voila()


def ahead(snapshot: Snapshot) -> Iterator[SnapshotRequest]:
    """The requests at the next stops, the nearest first."""
    request = snapshot.request
    softening = request.softening
    if not (softening.has_temperature and snapshot.softens) or request.beside is not None:
        return
    if request.ascends or snapshot.seconds > LONGEST:
        return
    stop = nearest_stop(softening.temperature)
    for distance in range(1, STEPS + 1):
        for other in (stop + distance, stop - distance):
            if 0 < other < len(STOPS):
                yield replace(
                    request,
                    model=snapshot.model,
                    softening=softening.with_temperature(STOPS[other]),
                )
