"""All of every widget is seen: in windows of all widths, in every state, in both themes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import access
import seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labpage import LabPage

WIDGET = ".pullback-explorer"
ENDS = (0.0, 100.0)  # where the slider's handle is nearest to what is around it
CHOSEN = "one => one.selectedOptions[0].text.replaceAll('\\u00a0', ' ')"
TEMPERATURE = f"{WIDGET} .pullback-temperature"

# Small networks with names as long as people's, and a place to show one widget after the other.
BEGIN = """
from collections import OrderedDict
import ipywidgets as w, torch, pullback_widgets as pw
from torch import nn
pw.set_device("cpu")

def network(name, activation):
    torch.manual_seed(0)
    parts = OrderedDict()
    for stage, width in enumerate((3, 8, 16)):
        parts[f"layer{stage + 1}_conv"] = nn.Conv2d(width, (8, 16, 16)[stage], 3, 2, 1)
        parts[f"layer{stage + 1}_activation"] = activation()
    parts["head"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 7))
    names = ["soft-coated wheaten terrier", *(f"class {number} of seven" for number in range(6))]
    return pw.Model(nn.Sequential(parts).eval(), size=64, categories=names, name=name)

soft = network("small_relu", nn.ReLU)
smooth = network("small_elu", nn.ELU)
place = w.VBox()
place
"""

FIGURES = {
    "grid": 'pw.CounterfactualGrid(soft, images=["coffee", "chelsea"], targets=[0, 1], steps=1)',
    "grid of what is not softened": 'pw.CounterfactualGrid(smooth, images=["coffee"], steps=1)',
    "strip": "pw.TemperatureStrip(soft, steps=1)",
    "strip of what is not softened": "pw.TemperatureStrip(smooth, temperatures=[0.5], steps=1)",
    "journey": "pw.DepthJourney(soft, steps=1)",
    "atlas": 'pw.LayerAtlas(soft, images=["coffee", "chelsea"])',
    "comparison": "pw.Compare([soft, smooth], methods=())",
    "comparison of what is not softened": "pw.Compare([smooth], methods=())",
    "gates": "pw.GatePlayground()",
    "regions": "pw.RegionMap(width=4, depth=1)",
    "paths": "pw.PathStabilityLab(epochs=1)",
}


def show(lab: LabPage, widget: str) -> None:
    """Puts a widget on the page, in place of the one before."""
    lab.python(f"view = {widget}\nview.wait()\nplace.children = [view]")
    lab.python("view.add_class('shown-' + view.model_id)")
    title = lab.page.locator(f"{WIDGET}.shown-{lab.value('view.model_id')}")
    title.wait_for()


def press(lab: LabPage, button: str) -> None:
    lab.page.locator(f"{WIDGET} button").filter(has_text=button).first.click()


def states(lab: LabPage) -> Iterator[str]:
    """The Explorer in one state after the other."""
    yield "at first"
    offered = lab.page.locator(f"{WIDGET} .pullback-offers button:visible")
    for line, text in (
        ("Class", "class 1 of seven, c"),
        ("Class", "class"),
        ("Layer", "conv"),
        ("Layer", ""),
    ):
        field = lab.page.get_by_role("textbox", name=line, exact=True)
        field.fill(text)
        offered.first.wait_for()
        yield f"with {text!r} typed for the {line.lower()}"
        if line == "Class" or not text:
            field.fill("")
            field.press("Enter")
            offered.first.wait_for(state="hidden")
    for fold in (
        "Photograph and network",
        "Ascent settings",
        "Side by side, wipe, colours",
        "Take it away",
    ):
        press(lab, fold)
        lab.page.locator(f'{WIDGET} [title="{fold}, open"]').wait_for()
        yield f"{fold} open"
    for end in ENDS:
        lab.python(f"view.temperature = {end}; view.wait()")
        yield f"at temperature {end}"
    lab.python("view.temperature = 0.85; view.wait()")
    code = lab.page.locator(".pullback-code")
    press(lab, "Code")
    code.wait_for()
    yield "with its code"
    press(lab, "PNG")
    lab.page.locator(".pullback-download").wait_for()
    yield "with a file"
    lab.python('view.choose(layer="layer3_activation", channel=7, position=(3, 5)); view.wait()')
    lab.page.locator(".pullback-caption", has_text="channel 7 at (3, 5)").wait_for()
    yield "with a hidden neuron"
    press(lab, "Play")
    lab.page.locator(".pullback-outcome", has_text="step 2").wait_for()
    yield "after an ascent"
    with lab.expecting_error():
        lab.python("view.attempt('channel', 5000)")
        lab.page.locator(".pullback-error").wait_for()
        yield "with an error"
        lab.page.locator(".pullback-error summary").click()
        lab.page.locator(".pullback-error pre").wait_for()
        yield "with a traceback"
        lab.python("view.attempt('channel', 6); view.wait()")
        lab.wait_until(lambda: not lab.visible_errors(), "no error")
    lab.python("view.model = smooth; view.wait()")
    lab.page.locator(".pullback-caption", has_text="ELU").wait_for()
    yield "where nothing is softened"
    nothing_is_softened(lab)
    lab.python("view.model = soft; view.wait()")
    lab.page.locator(".pullback-caption", has_text="relative T = 0.85").wait_for()
    all_is_softened(lab)
    press(lab, "Code")
    code.wait_for(state="hidden")
    lab.python("view.choose(view='pullback', target=None); view.wait()")
    press(lab, "Take it away")
    lab.page.locator('[title="Take it away, shut"]').wait_for()


def nothing_is_softened(lab: LabPage) -> None:
    """No temperature is spoken of, none can be chosen, and the page says why."""
    caption = lab.page.locator(".pullback-caption").inner_text()
    assert "plain gradient" in caption and "T =" not in caption
    assert not lab.page.locator(".pullback-curve").is_visible()
    assert lab.page.get_by_text("Off: no gate is softened here").is_visible()
    assert lab.page.get_by_label("Temperature", exact=True).is_disabled()
    buttons = lab.page.locator(".pullback-presets button")
    assert buttons.count() and all(one.is_disabled() for one in buttons.all())
    assert lab.page.locator(f"{TEMPERATURE} .noUi-target[disabled]").count() == 1


def all_is_softened(lab: LabPage) -> None:
    """The temperature is there again, and its curve."""
    assert lab.page.locator(".pullback-curve").is_visible()
    assert not lab.page.get_by_text("Off: no gate is softened here").is_visible()
    assert lab.page.get_by_label("Temperature", exact=True).is_enabled()
    assert lab.page.locator(f"{TEMPERATURE} .noUi-target[disabled]").count() == 0


def test_all_of_the_explorer_is_seen(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(BEGIN)
    seen.alone(lab)
    show(lab, "pw.Explorer(soft, steps=2)")
    for theme in seen.THEMES:
        access.use_theme(lab, theme)
        for state in states(lab):
            seen.check(lab, WIDGET, f"Explorer {state}, {theme}")


def test_all_of_every_figure_is_seen(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(BEGIN)
    seen.alone(lab)
    lab.python("made = {}")
    offered = lab.page.locator(f"{WIDGET} .pullback-offers button:visible")
    for theme in seen.THEMES:
        access.use_theme(lab, theme)
        for name, expression in FIGURES.items():
            lab.python(f"if {name!r} not in made: made[{name!r}] = {expression}")
            show(lab, f"made[{name!r}]")
            seen.check(lab, WIDGET, f"{name}, {theme}")
            off = lab.page.get_by_text("Off: no gate is softened here")
            if "not softened" in name and "strip" not in name:
                assert off.is_visible()
                assert lab.page.get_by_label("Temperature", exact=True).is_disabled()
            assert off.filter(visible=True).count() == (
                "not softened" in name and "strip" not in name
            )
            press(lab, "Code")
            lab.page.locator(".pullback-code").wait_for()
            seen.check(lab, WIDGET, f"{name} with its code, {theme}")
            press(lab, "Code")
            for line, text in (("Class", "class"), ("Layer", "conv")):
                field = lab.page.get_by_role("textbox", name=line, exact=True)
                if field.count():
                    field.fill(text)
                    offered.first.wait_for()
                    seen.check(lab, WIDGET, f"{name} with {text!r} typed, {theme}")
                    field.fill("")
                    field.press("Enter")
                    offered.first.wait_for(state="hidden")
            if theme == seen.THEMES[0] and lab.value("view.has_trait('temperature')"):
                before = lab.value("view.temperature")
                for end in ENDS:
                    lab.python(f"view.temperature = {end}; view.wait()")
                    seen.check(lab, WIDGET, f"{name} at temperature {end}")
                lab.python(f"view.temperature = {before}; view.wait()")


def test_the_strips_box_says_which_temperature_is_large(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(BEGIN)
    show(lab, "pw.TemperatureStrip(soft, steps=1)")
    box = lab.page.get_by_label("Temperature of the large pictures")

    def agrees() -> bool:
        chosen = box.evaluate(CHOSEN)
        labels = lab.value("[view.result.label(row, view.column) for row in range(2)]")
        large = lab.page.locator(".pullback-spoken", has_text="photograph").inner_text()
        return chosen == " · ".join(labels) and all(label in large for label in labels)

    lab.wait_until(agrees, "a fresh strip's box and pictures agree")
    lab.page.locator(".pullback-film .noUi-handle").press("ArrowLeft")
    lab.wait_until(lambda: lab.value("view.column") == 5 and agrees(), "by the slider")
    box.select_option(index=0)
    lab.wait_until(lambda: lab.value("view.column") == 0, "by the box")
    assert box.evaluate(CHOSEN) == "gradient"


WRONG = f"""
import ipywidgets as w
from pullback_widgets.widgets.kit.layout import style_sheet
box = w.VBox([
    style_sheet(),
    w.Button(description="One", layout=w.Layout(height="0px", border="none")),
    w.HTML('<div style="height: 20px; overflow: hidden">Two<br>and three<br>and four</div>'),
    w.Text("six, and much more than there is room for", layout=w.Layout(width="100px")),
    w.HTML('<button>Seven</button><button style="margin-left: -30px">Eight</button>'),
    w.Dropdown(options=["nine, and much more than fits"], layout=w.Layout(width="100px")),
    w.HTML('<div class="pullback-spoken">Ten is only spoken</div>'),
    w.Button(description="Eleven", layout=w.Layout(display="none")),
])
box.add_class("{WIDGET[1:]}")
box
"""


def test_the_walk_sees_what_is_wrong(lab_page: Callable[..., LabPage]) -> None:
    lab = lab_page(WRONG)
    lab.page.locator(WIDGET).wait_for()
    found = "\n".join(seen.faults(lab, WIDGET))
    for sentence in (
        r'"One" has the size \d+ x 0 px',
        r'text "and three" is cut off by \d+ px in the height',
        r'"six, and much more.*" has \d+ px for \d+ px',
        r'"Seven" and .*"Eight" lie over each other',
        r'has \d+ px for \d+ px of "nine,\sand\smuch\smore',
    ):
        assert re.search(sentence, found), sentence
    assert not re.search('Ten|Eleven|text "Two', found)
