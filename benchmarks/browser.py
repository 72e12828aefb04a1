"""How the Explorer feels: from a key press on the temperature slider to changed canvas pixels.

``python benchmarks/browser.py`` opens the default Explorer in JupyterLab in a headless Chromium, as
the browser tests do, and measures

* the first picture: from running the cell, in a fresh kernel and in one that has imported,
* key press to changed pixels of the screen, one press after another while the slider moves on,
* the kernel's peak memory, and the browser's memory over a thousand frames.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "browser"))

import chromium
from labpage import LabPage
from servers import LabServer

CELL = "import pullback_widgets as pw\n\nexplorer = pw.Explorer()\nexplorer"
SCREEN = ".pullback-screen"
PRESSES = 60

# Watches a part of the screen at every animation frame; resolves with the milliseconds from the key
# press to the first frame with other pixels.
WATCH = """() => {
    const canvas = document.querySelector('.pullback-screen');
    const context = canvas.getContext('2d', {willReadFrequently: true});
    const look = () => context.getImageData(400, 400, 160, 160).data;
    const same = (a, b) => a.every((value, i) => value === b[i]);
    window.pressed = null;
    document.addEventListener('keydown', () => {
        if (window.counting) return;
        const start = performance.now(), before = look();
        window.pressed = new Promise((resolve, reject) => {
            const check = () => {
                const milliseconds = performance.now() - start;
                if (!same(before, look())) resolve(milliseconds);
                else if (milliseconds > 60000) reject(new Error('the pixels stay as they are'));
                else requestAnimationFrame(check);
            };
            requestAnimationFrame(check);
        });
    }, {capture: true});
}"""

PEAK = (
    "[int(line.split()[1]) // 1024 for line in open('/proc/self/status') "
    "if line.startswith('VmHWM')][0]"
)


def press(lab: LabPage, key: str) -> float:
    """Milliseconds from a key press on the slider to other pixels on the screen."""
    lab.page.keyboard.press(key)
    milliseconds: float = lab.page.evaluate("() => window.pressed")
    return milliseconds


def browser_memory(lab: LabPage) -> dict[str, float]:
    """Megabytes of the page's JavaScript heap, and of the browser's processes."""
    heap = lab.page.evaluate("() => performance.memory.usedJSHeapSize") / 2**20
    resident = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError):
            continue
        if "chrom" in lines.get("Name", "") and "VmRSS" in lines:
            resident += int(lines["VmRSS"].split()[0]) / 1024
    return {"heap": heap, "processes": resident}


def first_picture(lab: LabPage, cell: str = "run-all-cells") -> float:
    """Seconds from running the cells to pixels on the screen."""
    start = time.perf_counter()
    lab.run_all()
    lab.wait_until_drawn(SCREEN)
    return time.perf_counter() - start


@contextlib.contextmanager
def opened() -> Iterator[tuple[Browser, LabServer]]:
    """A Chromium, and a JupyterLab with a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        if browser is None:
            raise SystemExit("no Chromium starts here")
        server = LabServer(Path(folder))
        try:
            yield browser, server
        finally:
            server.close()
            browser.close()


def main() -> None:
    """Measure everything once and print it."""
    with opened() as (browser, server):
        results = _measure(browser, server)
    for what, value in results.items():
        print(f"| {what} | {value} |")


def _measure(browser: Any, server: LabServer) -> dict[str, str]:
    results: dict[str, str] = {}
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    lab = LabPage(page, server, "bench", (CELL,))
    results["first picture, cold kernel (imports included)"] = f"{first_picture(lab):.1f} s"
    lab.python("explorer.close(); del explorer")
    lab._command("notebook:clear-all-cell-outputs", 30)
    results["first picture, warm kernel"] = f"{first_picture(lab):.1f} s"
    lab.python("explorer.temperature = 0.1; explorer.wait()")
    lab.wait_until_still(SCREEN)
    lab.page.evaluate(WATCH)
    lab.slider(within=".pullback-explorer").focus()
    for _ in range(5):
        press(lab, "ArrowRight")
    times = [press(lab, "ArrowRight" if n < PRESSES / 2 else "ArrowLeft") for n in range(PRESSES)]
    ordered = sorted(times)
    results["key press to changed pixels, median"] = f"{statistics.median(ordered):.0f} ms"
    results["the same, 95th percentile"] = f"{ordered[int(0.95 * len(ordered))]:.0f} ms"
    lab.python("explorer.target = 'golf ball'; explorer.play(); explorer.wait()")
    results["kernel's peak memory, after an ascent"] = f"{lab.value(PEAK)} MB"
    lab.python("explorer.view = 'pullback'; explorer.wait()")
    before = browser_memory(lab)
    lab.python(
        "for i in range(1000):\n    explorer.temperature = 0.2 + i / 1000\n    explorer.wait()",
        timeout=400,
    )
    lab.wait_until_still(SCREEN)
    after = browser_memory(lab)
    for what, value in before.items():
        results[f"browser's {what}, before and after 1,000 frames"] = (
            f"{value:.0f} MB, {after[what]:.0f} MB"
        )
    results["kernel's peak memory, after 1,000 frames"] = f"{lab.value(PEAK)} MB"
    return results


if __name__ == "__main__":
    main()
