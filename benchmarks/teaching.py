"""How live the widgets for teaching are.

How often the region map is drawn while a point is dragged, and how long the path-stability lab
takes:

    python benchmarks/teaching.py

On one core, as Binder has: ``OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/teaching.py``.
"""

from __future__ import annotations

import math
import time

import pullback_widgets as pw
from pullback_widgets.teaching.data import SOURCES

SECONDS = 5.0
MOVES = 60
"""Mouse events a second, as browsers send them."""


def main() -> None:
    """Prints a line for each."""
    for depth, width in ((1, 16), (2, 8), (3, 32)):
        print(f"region map, {depth} x {width} units: {dragged(depth, width):.1f} updates/s")
    for name, source in SOURCES.items():
        if source.is_here:
            with_norm, without = (trained(name, norm) for norm in (True, False))
            print(
                f"path-stability lab, {name}, 30 epochs: {with_norm:.1f} s with batch norm, "
                f"{without:.1f} s without; ratio {with_norm / without:.2f}"
            )


def dragged(depth: int, width: int) -> float:
    """Updates a second while a point goes round in a circle."""
    region_map = pw.RegionMap(depth=depth, width=width)
    region_map.wait()
    updates: list[float] = []
    region_map.observe(lambda change: updates.append(time.perf_counter()), "result")
    start = time.perf_counter()
    while (now := time.perf_counter() - start) < SECONDS:
        region_map.move(5, 0.8 * math.cos(3 * now), 0.8 * math.sin(3 * now))
        time.sleep(1 / MOVES)
    count = len(updates)
    region_map.wait()
    region_map.close()
    return count / SECONDS


def trained(name: str, batch_norm: bool) -> float:
    """Seconds for a whole report."""
    start = time.perf_counter()
    pw.path_stability(name, batch_norm=batch_norm)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
