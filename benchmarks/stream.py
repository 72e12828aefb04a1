"""What one change costs on its way: messages, bytes, and how many frames a second a drag shows.

``python benchmarks/stream.py`` opens the default Explorer in JupyterLab in a headless Chromium and
prints

* the messages that travel from the kernel for one key press on the temperature slider, and what the
  page answers,
* where the time of one frame goes, from the key to the pixels,
* frames a second and the time from key to pixels while the slider is dragged for ``--seconds``,
  alone, with one core kept busy by something else, and with a second Explorer, with a kernel of its
  own, that is dragged, too.

``--short`` takes half a minute and leaves all but the first and a short drag out. CI runs it for
what it prints: no time is too long for it, and an exception is a failure.

Loads and threads stand beside the numbers; they are only to be compared within one run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
from collections import Counter

from browser import CELL, SCREEN, WATCH, opened, press
from labpage import LabPage  # browser.py says where that is
from playwright.sync_api import Browser, WebSocket
from servers import LabServer
from timeline import NOTE_WIRE, timeline

# Counts the frames that differ from the one before, at every animation frame.
# The keys are pressed in the page: playwright would take a core for them.
COUNT = """() => {
    const handle = document.querySelector('.pullback-explorer .noUi-handle');
    let number = 0;
    window.dragging = setInterval(() => {
        const key = Math.floor(number++ / 40) % 2 === 0 ? 'ArrowRight' : 'ArrowLeft';
        handle.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    }, 20);
    const canvas = document.querySelector('.pullback-screen');
    const context = canvas.getContext('2d', {willReadFrequently: true});
    let last = null;
    window.shown = [];
    const look = now => {
        const data = context.getImageData(500, 500, 24, 24).data.join();
        if (data !== last) { last = data; window.shown.push(now); }
        window.counting = requestAnimationFrame(look);
    };
    window.counting = requestAnimationFrame(look);
}"""

STOP = """() => {
    clearInterval(window.dragging);
    cancelAnimationFrame(window.counting);
    window.counting = null;
    return window.shown;
}"""


class Wire:
    """All that travels between the page and the kernel."""

    def __init__(self) -> None:
        self.down: list[tuple[str, int]] = []
        self.up: list[tuple[str, int]] = []

    def follow(self, socket: WebSocket) -> None:
        """Note all messages of one connection."""
        socket.on("framereceived", lambda data: self.down.append(_kind(data)))
        socket.on("framesent", lambda data: self.up.append(_kind(data)))

    def clear(self) -> None:
        """Forget what was noted."""
        self.down, self.up = [], []


def _kind(data: str | bytes) -> tuple[str, int]:
    """The type of a message, and its bytes."""
    raw = data.encode() if isinstance(data, str) else data
    found = re.search(rb'"msg_type": ?"(\w+)"', raw)  # the first is its own, then its parent's
    return found[1].decode() if found else "other", len(raw)


def one_press(lab: LabPage, wire: Wire, presses: int) -> dict[str, str]:
    """Messages and bytes of single presses, each with time to come to rest before it."""
    down: Counter[str] = Counter()
    up: Counter[str] = Counter()
    sizes = []
    for _ in range(presses):
        lab.page.wait_for_timeout(1500)
        wire.clear()
        press(lab, "ArrowRight")
        lab.page.wait_for_timeout(120)
        down.update(kind for kind, _ in wire.down)
        up.update(kind for kind, _ in wire.up)
        sizes.append(sum(size for _, size in wire.down) / 1000)
    shown = {kind: round(count / presses, 1) for kind, count in down.items()}
    return {
        "messages from the kernel for one key press": json.dumps(shown),
        "messages to the kernel for one key press": json.dumps(
            {kind: round(count / presses, 1) for kind, count in up.items()}
        ),
        "kilobytes from the kernel for one key press": f"{statistics.median(sizes):.0f}",
    }


def drag(lab: LabPage, seconds: float) -> dict[str, str]:
    """Frames a second while a key is held down, and the time between them."""
    lab.page.evaluate(COUNT)
    lab.page.wait_for_timeout(1000 * seconds)
    shown = lab.page.evaluate(STOP)
    gaps = sorted(second - first for first, second in itertools.pairwise(shown))
    return {
        "frames a second": f"{len(shown) / seconds:.1f}",
        "milliseconds between frames, median / p95": (
            f"{statistics.median(gaps):.0f} / {gaps[int(0.95 * len(gaps))]:.0f}"
        ),
    }


def keys(lab: LabPage, presses: int = 60) -> str:
    """Milliseconds from a key press to other pixels, median and 95th percentile."""
    for _ in range(5):
        press(lab, "ArrowRight")
    times = sorted(
        press(lab, "ArrowRight" if number < presses / 2 else "ArrowLeft")
        for number in range(presses)
    )
    return f"{statistics.median(times):.0f} / {times[int(0.95 * len(times))]:.0f}"


def explorer(browser: Browser, server: LabServer, name: str, wire: Wire | None = None) -> LabPage:
    """A notebook with an Explorer whose slider has the keyboard."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(f"({NOTE_WIRE})()")
    if wire is not None:
        page.on("websocket", wire.follow)
    lab = LabPage(page, server, name, (CELL,))
    lab.run_all()
    lab.wait_until_drawn(SCREEN)
    lab.python("explorer.temperature = 0.1; explorer.wait()")
    lab.wait_until_still(SCREEN)
    lab.page.evaluate(WATCH)
    lab.slider(within=".pullback-explorer").focus()
    keys(lab, 20)  # so that the number of threads is chosen
    return lab


def drags(lab: LabPage, seconds: float, what: str, presses: int = 60) -> dict[str, str]:
    """Key to pixels, then a drag; ``what`` says beside what."""
    lab.python("explorer.temperature = 0.1; explorer.wait()")  # with room on both sides
    lab.wait_until_still(SCREEN)
    found = {f"key to pixels, ms, median / p95, {what}": keys(lab, presses)}
    for name, value in drag(lab, seconds).items():
        found[f"{name}, {seconds:.0f} s drag, {what}"] = value
    return found


def long(lab: LabPage, seconds: float, browser: Browser, server: LabServer) -> dict[str, str]:
    """What takes longer than half a minute."""
    found = timeline(lab)
    found |= drags(lab, seconds, "alone")
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        found |= drags(lab, seconds, "one core busy")
    finally:
        other.kill()
    second = explorer(browser, server, "second")
    second.page.evaluate(COUNT)
    try:
        found |= drags(lab, seconds, "a second Explorer dragged")
    finally:
        second.page.evaluate(STOP)
    return found


def main() -> None:
    """Measure everything once and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each drag")
    parser.add_argument("--short", action="store_true", help="half a minute")
    options = parser.parse_args()
    wire = Wire()
    with opened() as (browser, server):
        lab = explorer(browser, server, "stream", wire)
        if options.short:
            results = one_press(lab, wire, 3) | drags(lab, 5.0, "alone", 20)
        else:
            results = one_press(lab, wire, 10)
            results |= long(lab, options.seconds, browser, server)
        pace = "[explorer._pace._seconds, explorer._sessions._threads.best]"
        results["seconds to the answer, and threads"] = str(lab.value(pace))
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for what, value in results.items():
        print(f"| {what} | {value} |")


if __name__ == "__main__":
    main()
