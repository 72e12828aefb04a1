"""One frame on its way, seen from the page: key, socket, kernel's answer, frame, pixels.

Everything is noted in the page, by one clock: what playwright hears of a socket comes later.
"""

from __future__ import annotations

import statistics
from typing import Any

from browser import press
from labpage import LabPage

# Before the page's own scripts: JupyterLab takes the WebSocket that it finds.
NOTE_WIRE = """() => {
    const Native = window.WebSocket;
    window.wire = [];
    const note = (way, data) => window.wire.push(
        [way, performance.now(), data.byteLength ?? data.size ?? data.length]);
    window.WebSocket = class extends Native {
        constructor(...options) {
            super(...options);
            this.addEventListener('message', event => note('in', event.data));
        }
        send(data) {
            note('out', data);
            super.send(data);
        }
    };
    document.addEventListener('keydown', () => {
        window.wire = [['key', performance.now(), 0]];
    }, {capture: true});
}"""

STEPS = ("socket out", "first answer", "frame in", "drawn")


def timeline(lab: LabPage, presses: int = 20) -> dict[str, str]:
    """Medians over single presses on the slider, each with time to come to rest before it.

    The page must watch its canvas (``browser.WATCH``) and have noted its wire from the beginning.

    Returns:
        Milliseconds from the key to each step; messages and kilobytes each way, until all is quiet.
    """
    moments: dict[str, list[float]] = {step: [] for step in STEPS}
    counts: dict[str, list[float]] = {}
    for number in range(presses):
        lab.page.wait_for_timeout(600)
        drawn = press(lab, "ArrowRight" if number < presses / 2 else "ArrowLeft")
        lab.page.wait_for_timeout(400)
        wire: list[tuple[str, float, float]] = lab.page.evaluate("() => window.wire")
        _note(wire, drawn, moments, counts)
    found = {
        f"key to {step}, ms": f"{statistics.median(times):.0f}" for step, times in moments.items()
    }
    return found | {what: f"{statistics.median(one):.0f}" for what, one in counts.items()}


def _note(
    wire: list[Any], drawn: float, moments: dict[str, list[float]], counts: dict[str, list[float]]
) -> None:
    """Add what one press did."""
    key = wire[0][1]
    sent = [one for one in wire if one[0] == "out"]
    answers = [one for one in wire if one[0] == "in"]
    if not sent or not answers:
        return
    largest = max(answers, key=lambda one: one[2] * (one[1] - key <= drawn))
    times = (sent[0][1], answers[0][1], largest[1], key + drawn)
    for step, moment in zip(STEPS, times, strict=True):
        moments[step].append(moment - key)
    for way, some in (("to the kernel", sent), ("from the kernel", answers)):
        counts.setdefault(f"messages {way}", []).append(len(some))
        counts.setdefault(f"kilobytes {way}", []).append(sum(one[2] for one in some) / 1000)
