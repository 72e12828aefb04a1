"""How live the widgets for teaching are.

How often the region map is drawn while a point is dragged, by Python and with the mouse in
JupyterLab in a headless Chromium, and how long the path-stability lab takes:

    python benchmarks/teaching.py

On one core, as Binder has: ``OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/teaching.py``.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pullback_widgets as pw
from pullback_widgets.teaching.data import SOURCES

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "browser"))

SECONDS = 5.0
MOVES = 60
"""Mouse events a second, as browsers send them."""

SHAPES = ((1, 16), (2, 8), (3, 32))
"""Depths and widths."""

POINT = 5
"""The point that is dragged."""

CANVAS = ".pullback-regions"
CELL = """
import pullback_widgets as pw
view = pw.RegionMap(depth={depth}, width={width})
updates = []
view.observe(updates.append, "result")
view
"""

# Counts the pictures that differ from the one before, a look at every animation frame.
WATCH = """() => {
    const context = document.querySelector('.pullback-regions canvas, canvas.pullback-regions')
        .getContext('2d', {willReadFrequently: true});
    const look = () => context.getImageData(300, 300, 360, 360).data;
    let before = look();
    window.pictures = 0;
    const check = () => {
        const now = look();
        if (now.some((value, i) => value !== before[i])) window.pictures += 1;
        before = now;
        requestAnimationFrame(check);
    };
    requestAnimationFrame(check);
}"""


def main() -> None:
    """Prints a line for each."""
    for depth, width in SHAPES:
        print(f"region map, {depth} x {width} units: {dragged(depth, width):.1f} updates/s")
    in_chromium()
    for name, source in SOURCES.items():
        if source.is_here:
            with_norm, without = (trained(name, norm) for norm in (True, False))
            print(
                f"path-stability lab, {name}, 30 epochs: {with_norm:.1f} s with batch norm, "
                f"{without:.1f} s without; ratio {with_norm / without:.2f}"
            )


def circle(seconds: float) -> tuple[float, float]:
    """Where the point is."""
    return 0.8 * math.cos(3 * seconds), 0.8 * math.sin(3 * seconds)


def dragged(depth: int, width: int) -> float:
    """Updates a second while a point goes round in a circle."""
    region_map = pw.RegionMap(depth=depth, width=width)
    region_map.wait()
    updates: list[float] = []
    region_map.observe(lambda change: updates.append(time.perf_counter()), "result")
    start = time.perf_counter()
    while (now := time.perf_counter() - start) < SECONDS:
        region_map.move(POINT, *circle(now))
        time.sleep(1 / MOVES)
    count = len(updates)
    region_map.wait()
    region_map.close()
    return count / SECONDS


def in_chromium() -> None:
    """The same with the mouse, where there is a Chromium."""
    import chromium
    from playwright.sync_api import sync_playwright
    from servers import LabServer

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        if browser is None:
            print("region map in Chromium: no Chromium starts here")
            return
        server = LabServer(Path(folder))
        try:
            for depth, width in SHAPES:
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                updates, pictures = with_the_mouse(page, server, depth, width)
                page.close()
                server.shut_kernels_down()
                print(
                    f"region map, {depth} x {width} units, in Chromium: {updates:.1f} updates/s, "
                    f"{pictures:.1f} pictures/s on the page"
                )
        finally:
            server.close()
            browser.close()


def with_the_mouse(page: Any, server: Any, depth: int, width: int) -> tuple[float, float]:
    """Updates in the kernel, and pictures on the page, a second."""
    from labpage import LabPage

    cell = CELL.format(depth=depth, width=width)
    lab = LabPage(page, server, f"regions-{depth}-{width}", (cell,))
    lab.run_all()
    lab.wait_until_drawn(CANVAS)
    lab.python("view.wait(); updates.clear()")
    lab.wait_until_still(CANVAS)
    page.evaluate(WATCH)
    canvas = lab.canvas(CANVAS)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None

    def mouse_to(x: float, y: float) -> None:
        page.mouse.move(
            box["x"] + (1 + x / 1.5) * box["width"] / 2,
            box["y"] + (1 - y / 1.5) * box["height"] / 2,
        )

    mouse_to(*lab.value(f"view.result.points.places[{POINT}].tolist()"))
    page.mouse.down()
    start = time.perf_counter()
    while (now := time.perf_counter() - start) < SECONDS:
        mouse_to(*circle(now))
        time.sleep(1 / MOVES)
    pictures = page.evaluate("() => window.pictures")
    updates = lab.value("len(updates)")
    page.mouse.up()
    return updates / SECONDS, pictures / SECONDS


def trained(name: str, batch_norm: bool) -> float:
    """Seconds for a whole report."""
    start = time.perf_counter()
    pw.path_stability(name, batch_norm=batch_norm)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
