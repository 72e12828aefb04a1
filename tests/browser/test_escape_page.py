"""Names that would be elements, in JupyterLab and Chromium: no such element is ever there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from labpage import LabPage
    from playwright.sync_api import Locator

MARK = "intruder"
"""As ``markup.MARK``."""

TESTS = str(Path(__file__).resolve().parent.parent)
MODEL = f"""
import sys
sys.path.insert(0, {TESTS!r})
import torch
import pullback_widgets as pw
from markup import CLASSES, element, marked
pw.set_device("cpu")
model = marked()
photographs = {{element("photograph"): torch.linspace(-1, 1, 768).view(3, 16, 16)}}
explorer = pw.Explorer(model, photographs[element("photograph")], target=CLASSES[1])
explorer.notes = (element("note"),)
explorer
"""
GRID = "grid = pw.CounterfactualGrid(model, photographs, [CLASSES[1], 2], steps=1)\ngrid"
ATLAS = "atlas = pw.LayerAtlas(model, model.module.names[0], photographs, side=8)\natlas"
WATCH = f"""() => {{
    window.intruders = [];
    const look = () => {{
        for (const one of document.querySelectorAll('.{MARK}')) {{
            window.intruders.push(one.outerHTML);
        }}
    }};
    new MutationObserver(look).observe(document, {{childList: true, subtree: true}});
    window.alert = text => window.intruders.push(`alert ${{text}}`);
    look();
}}"""


def test_no_name_becomes_an_element(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(MODEL, GRID, ATLAS, run=False)
    lab.page.evaluate(WATCH)
    lab.run_all()
    lab.python("_ = [one.wait() for one in (explorer, grid, atlas)]")
    explorer = lab.page.locator(".pullback-explorer").first

    # The name is read as it is written, entities among it.
    name = lab.value("CLASSES[1]")
    lab.wait_until(lambda: name in explorer.inner_text(), "the class's name in the caption")
    lab.python("explorer.choose(target=None, layer=model.module.names[0], channel=1)")
    with lab.expecting_error():
        _fail(lab, explorer)
        assert lab.page.evaluate("() => window.intruders") == []
        lab.python("model.module.mood = lambda y: y; explorer.image = -explorer.image")
        lab.python("explorer.wait()")
        lab.wait_until(lambda: lab.value("explorer.error") == "", "all is well again")
    assert lab.page.evaluate("() => window.intruders") == []
    assert lab.page.locator(f".{MARK}").count() == 0

    # What is looked for would have been found.
    lab.page.evaluate(
        f"() => document.body.append(Object.assign(document.createElement('i'), "
        f"{{className: '{MARK}'}}))"
    )
    lab.wait_until(lambda: lab.page.evaluate("() => window.intruders.length"), "an intruder")


def _fail(lab: LabPage, explorer: Locator) -> None:
    """A choice that is refused and a network that raises, both with names in their sentences."""
    lab.python("explorer.attempt('target', element('no class'))")
    lab.wait_until(
        lambda: "no class" in explorer.locator(".pullback-error").inner_text(), "the refusal"
    )
    lab.python("model.module.fail(); explorer.image = -explorer.image; explorer.wait()")
    lab.wait_until(
        lambda: "unwell" in explorer.locator(".pullback-error").inner_text(), "the error"
    )
    explorer.locator(".pullback-error summary").click()
