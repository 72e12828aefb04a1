"""Journeys through the Explorer: what is done with the mouse and keyboard, and the pixels after it.

One notebook serves all tests, in the order of the file; each starts from the same choices. What the
canvas must show is computed anew in the kernel, by the engine and without the widget.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import numpy as np
import pytest
from labpage import LabPage
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator
    from servers import LabServer

SCREEN = ".pullback-screen"
SIZE = 224
GRIP = slice(8, None)
"""Columns of the picture right of the wipe's grip, which waits at the left edge."""

# On the CPU, since only there are two computations the same bit for bit.
EXPLORER = """
from pullback_widgets.drawing import pixels
import pullback_widgets as pw
pw.set_device("cpu")
explorer = pw.Explorer()
explorer
"""
AGAIN = "display(explorer)"
MEANWHILE = "meanwhile = explorer.result.step and explorer.result.step.index"

STEP = "(explorer.result.step.index if explorer.result.step else 0)"

# Every state of one row of a canvas that the browser has painted.
WATCH_ROW = """(canvas, y) => {
    const context = canvas.getContext('2d');
    window.rows = [];
    const look = () => {
        const row = context.getImageData(0, y, canvas.width, 1).data.join();
        if (row !== window.rows.at(-1)) window.rows.push(row);
        requestAnimationFrame(look);
    };
    look();
}"""

# Names for the tests, in the notebook's kernel.
KERNEL = """
import base64, pathlib, numpy, torch
from pullback_widgets.widgets.kit import temperature
explorer.wait()
network = explorer.model
default = pw.Softening.relative(0.85)

def pulled(target, softening=default, image="coffee"):
    return pixels.signed_map(pw.pullback(network, image, target, softening=softening))

def seen(image="coffee"):
    return pixels.photograph(pw.Session(network, image).image)

def walked(target, **options):
    return list(pw.Session(network, "coffee").ascend(target, default, **options))

def start_over():
    explorer.stop()
    explorer.choose(
        model=network, image="coffee", softening=default, layer="logits", target=None,
        steps=5, step_size=20.0, radius=100.0,
        view="pullback", compare="photograph", wipe=0.0, colour="rgb",
    )
    explorer.wait()
"""


@pytest.fixture(scope="module")
def notebook(chromium: Browser, lab_server: LabServer) -> Iterator[LabPage]:
    """A notebook whose first cell has shown the Explorer."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    lab = LabPage(context.new_page(), lab_server, "explorer", (EXPLORER, AGAIN, MEANWHILE))
    lab.run_cell(0)
    lab.wait_until_drawn(SCREEN)
    lab.python(KERNEL)
    yield lab
    context.close()
    lab_server.shut_kernels_down()


@pytest.fixture
def lab(notebook: LabPage, request: pytest.FixtureRequest) -> Iterator[LabPage]:
    """The notebook with the default choices on the canvas; fails if anything went wrong unseen."""
    failures = request.session.testsfailed
    notebook.python("start_over()")
    notebook.forget_errors()
    shows(notebook, pulled(notebook, "None"))
    yield notebook
    if request.session.testsfailed == failures:
        notebook.check()
    else:
        folder = Path(__file__).resolve().parent.parent.parent / "test-results"
        folder.mkdir(exist_ok=True)
        notebook.page.screenshot(path=folder / f"{request.node.name}.png")


# Looking


def screen(lab: LabPage, view: int = 0) -> np.ndarray:
    """The picture on the canvas, (224, 224, 3): the canvas at the centre of each pixel."""
    pixels = lab.canvas_pixels(SCREEN, view)
    centres = ((np.arange(SIZE) + 0.5) * len(pixels) / SIZE).astype(int)
    return pixels[centres][:, centres, :3]


def shows(
    lab: LabPage,
    picture: np.ndarray,
    rows: slice = slice(None),
    columns: slice = GRIP,
    view: int = 0,
    timeout: float = 20.0,
) -> None:
    """Waits until the canvas shows this picture, every byte of it."""
    part = np.s_[rows, columns]
    lab.wait_until(
        lambda: np.array_equal(screen(lab, view)[part], picture[part]),
        "the expected picture on the canvas",
        timeout,
    )


def rgb(lab: LabPage, expression: str) -> np.ndarray:
    """A picture that the kernel computes, (224, 224, 3) bytes."""
    text = lab.python(f"print(base64.b64encode(numpy.ascontiguousarray({expression})).decode())")
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(SIZE, SIZE, 3)


def pulled(lab: LabPage, target: str, softening: str = "default") -> np.ndarray:
    """The picture of a pullback on the coffee cup, computed without the widget."""
    return rgb(lab, f"pulled({target}, {softening})")


def find(lab: LabPage, selector: str) -> Locator:
    """Something in the first view of the Explorer."""
    return lab.page.locator(".pullback-explorer").first.locator(selector)


def field(lab: LabPage, label: str, tag: str = "input") -> Locator:
    """The control that is labelled so."""
    text = lab.page.locator(".widget-label").get_by_text(label, exact=True)
    return find(lab, ".widget-inline-hbox").filter(has=text).locator(tag).first


def button(lab: LabPage, name: str) -> Locator:
    return find(lab, "button").filter(has_text=name).first


def view_button(lab: LabPage, name: str) -> Locator:
    return find(lab, ".pullback-views button").filter(has_text=name)


def unfold(lab: LabPage, title: str, inside: str) -> None:
    """Opens one of the folded panels, known by something inside."""
    if not find(lab, inside).first.is_visible():
        lab.page.locator(".pullback-explorer").first.get_by_text(title, exact=True).click()
        find(lab, inside).first.wait_for(state="visible")


def explains(lab: LabPage, *words: str) -> None:
    """Waits until the widget shows one sentence with these words, its traceback folded."""
    (text,) = lab.wait_until(lab.visible_errors, "a sentence about what went wrong")
    sentence = text.removesuffix("traceback").strip()
    assert sentence == lab.value("explorer.error")
    assert "\n" not in sentence
    for word in words:
        assert word in sentence
    details = find(lab, ".pullback-error details")
    trace = details.locator("pre")
    assert not trace.is_visible()
    details.locator("summary").click()
    trace.wait_for(state="visible")
    assert "Traceback" in trace.inner_text()
    details.locator("summary").click()
    trace.wait_for(state="hidden")


def is_idle(lab: LabPage) -> bool:
    return (
        find(lab, ".pullback-status .pullback-idle").is_visible()
        and not find(lab, ".pullback-status .pullback-busy").is_visible()
    )


# The journeys


def test_first_picture(lab: LabPage) -> None:
    picture = pulled(lab, "None")
    np.testing.assert_array_equal(screen(lab)[:, GRIP], picture[:, GRIP])
    assert 110 < picture.mean() < 146  # about the grey of zero
    assert picture.std() > 20
    lab.wait_until(lambda: is_idle(lab), "idle")
    assert "efficientnet_lite0 on " in find(lab, ".pullback-status").inner_text()
    assert "espresso" in find(lab, ".pullback-caption").inner_text()
    lab.wait_until_drawn(".pullback-curve")


def test_saved_notebook_holds_the_picture(lab: LabPage) -> None:
    lab.save()
    cell = nbformat.read(lab.path, as_version=4).cells[0]
    (data,) = [output["data"] for output in cell.outputs if "image/png" in output.get("data", {})]
    stored = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))))
    for image, expected in (
        (stored[:, : 2 * SIZE], rgb(lab, "seen()")),
        (stored[:, -2 * SIZE :], pulled(lab, "None")),
    ):
        np.testing.assert_array_equal(image[::2, ::2], expected)


def test_temperature_by_drag_and_by_key(lab: LabPage) -> None:
    handle = find(lab, ".pullback-temperature .noUi-handle")
    handle.press("Home")
    plain = pulled(lab, "None", "pw.Softening.hard()")
    shows(lab, plain)

    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = lab.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 60, y, steps=10)
    lab.wait_until(lambda: (screen(lab)[:, GRIP] != plain[:, GRIP]).any(), "an answer to the drag")
    mouse.move(x + 110, y, steps=10)
    mouse.up()
    position = at_position(lab, handle)
    assert 40 < position < 80
    shows(lab, pulled(lab, "None", f"pw.Softening.relative(temperature.STOPS[{position}])"))

    for _ in range(3):
        handle.press("ArrowLeft")
    assert at_position(lab, handle) == position - 3
    shows(lab, pulled(lab, "None", f"pw.Softening.relative(temperature.STOPS[{position - 3}])"))

    for preset, softening in {
        "paper v3": "pw.Softening.paper_v3()",
        "paper v6": "pw.Softening.paper_v6()",
        "plain gradient": "pw.Softening.hard()",
        "relative": "pw.Softening.relative()",
    }.items():
        find(lab, ".pullback-presets button").filter(has_text=preset).first.click()
        shows(lab, pulled(lab, "None", softening))
        at_position(lab, handle)


def at_position(lab: LabPage, handle: Locator) -> int:
    """The slider's position once it and the explorer's temperature agree."""

    def agreed() -> tuple[int] | None:
        position = round(float(handle.get_attribute("aria-valuenow") or -1))
        same = lab.value(f"explorer.temperature == temperature.STOPS[{position}]")
        return (position,) if same else None

    return lab.wait_until(agreed, "slider and temperature agree")[0]


def test_class_search_and_the_top_five(lab: LabPage) -> None:
    search = field(lab, "Class")
    golf_ball = pulled(lab, "'golf ball'")
    second = pulled(lab, "explorer.result.predictions[1].index")

    search.fill("golf ball")
    search.press("Enter")
    shows(lab, golf_ball)

    find(lab, ".pullback-top").nth(1).click()
    shows(lab, second)
    name = lab.value("explorer.result.predictions[1].name")
    lab.wait_until(lambda: search.input_value() == name, "the class in the search box")

    search.fill("golf b")
    search.press("Enter")
    shows(lab, golf_ball)
    lab.wait_until(lambda: search.input_value() == "golf ball", "the whole name")

    with lab.expecting_error():
        search.fill("golf")
        search.press("Enter")
        explains(lab, "golf ball", "golfcart")

        search.fill("no such thing")
        search.press("Enter")
        lab.wait_until(lambda: "such" in lab.value("explorer.error"), "another error")
        explains(lab, "no such thing")
        np.testing.assert_array_equal(screen(lab)[:, GRIP], golf_ball[:, GRIP])
        lab.wait_until(lambda: search.input_value() == "golf ball", "the class that still holds")

        find(lab, ".pullback-top").nth(1).click()
        shows(lab, second)
        lab.wait_until(lambda: not lab.visible_errors(), "no error any more")


def test_layer_channel_and_position(lab: LabPage) -> None:
    layer = "blocks.4.2"
    label = lab.value(
        f"next(f'{{l.name}}  {{l.size}}' for l in explorer.result.layers if l.name == {layer!r})"
    )
    field(lab, "Layer", "select").select_option(label=label)
    lab.wait_until(lambda: lab.value("explorer.result.view.layer.name") == layer, "the layer")
    strongest = lab.value("[channel for channel, _ in explorer.result.view.strongest]")
    shows(lab, pulled(lab, f"pw.Channel({layer!r}, {strongest[0]})"))

    strip = lab.wait_until_still(".pullback-strip")
    height, width = strip.shape[:2]
    lab.click_canvas(2.4 / 6 * width, 0.2 * height, ".pullback-strip")
    shows(lab, pulled(lab, f"pw.Channel({layer!r}, {strongest[2]})"))
    lab.wait_for_change(strip, ".pullback-strip")  # where the frame is around another map

    number = field(lab, "Channel")
    number.fill("7")
    number.press("Enter")
    shows(lab, pulled(lab, f"pw.Channel({layer!r}, 7)"))

    # Row 10, column 4 of 14 x 14.
    grid = lab.value("explorer.result.view.layer.shape")[1:]
    assert grid == [14, 14]
    side = len(lab.canvas_pixels(SCREEN)) / 14
    lab.click_canvas(4.3 * side, 10.8 * side, SCREEN)
    expected = pulled(lab, f"pw.Unit({layer!r}, 7, position=(10, 4))")
    shows(lab, expected, rows=slice(0, 150))
    shows(lab, expected, columns=slice(90, None))
    pixels = lab.canvas_pixels(SCREEN).astype(int)
    yellow = (abs(pixels[..., :3] - [255, 216, 77]).max(-1) < 3).nonzero()
    for places, first, last in zip(
        yellow, (10 * side, 4 * side), (11 * side, 5 * side), strict=True
    ):
        assert places.min() == pytest.approx(first, abs=5)
        assert places.max() == pytest.approx(last, abs=5)

    button(lab, "whole map").click()
    shows(lab, pulled(lab, f"pw.Channel({layer!r}, 7)"))

    field(lab, "Layer", "select").select_option(index=0)
    shows(lab, pulled(lab, "None"))


def test_views(lab: LabPage) -> None:
    lab.python("explorer.target = 'golf ball'")
    lab.python("last = walked('golf ball', steps=5, step_size=20.0, radius=100.0)[-1]")
    overlay = "pixels.overlay(pw.pullback(network, 'coffee', 'golf ball'), explorer.result.image)"
    for view, expected in {
        "photograph": "seen()",
        "difference": "pixels.signed_map(last.difference)",
        "perturbed": "pixels.photograph(last.perturbed)",
        "overlay": overlay,
        "pullback": "pulled('golf ball')",
    }.items():
        view_button(lab, view).click()
        shows(lab, rgb(lab, expected))
        words = "over the photograph" if view == "overlay" else view
        caption = find(lab, ".pullback-caption")
        lab.wait_until(caption.filter(has_text=words).count, f"{words} in the caption")


def test_wipe(lab: LabPage) -> None:
    picture, photograph = pulled(lab, "None"), rgb(lab, "seen()")
    width = lab.canvas_pixels(SCREEN).shape[1]
    below_label = slice(20, None)
    lab.drag_canvas((4, 700), (0.5 * width, 700), SCREEN)
    shows(lab, photograph, rows=below_label, columns=slice(0, 104))
    shows(lab, picture, rows=below_label, columns=slice(120, None))
    assert lab.value("explorer.wipe") == pytest.approx(0.5, abs=0.01)

    # What is under the line moves with it; both sides follow what changes meanwhile.
    find(lab, ".pullback-temperature .noUi-handle").press("Home")
    plain = pulled(lab, "None", "pw.Softening.hard()")
    shows(lab, plain, rows=below_label, columns=slice(120, None))
    lab.drag_canvas((0.5 * width, 512), (0.25 * width, 512), SCREEN)
    shows(lab, photograph, rows=below_label, columns=slice(0, 48))
    shows(lab, plain, rows=below_label, columns=slice(64, None))
    lab.drag_canvas((0.25 * width, 700), (0, 700), SCREEN)
    shows(lab, plain)


def test_ascent_streams_its_steps(lab: LabPage) -> None:
    search = field(lab, "Class")
    search.fill("golf ball")
    search.press("Enter")
    shows(lab, pulled(lab, "'golf ball'"))
    lab.python("ten = walked('golf ball', steps=10, step_size=10.0, radius=100.0)")
    lab.python("explorer.choose(steps=10, step_size=10.0)")
    steps = [rgb(lab, f"pixels.photograph(ten[{i}].perturbed)") for i in range(10)]
    before = find(lab, ".pullback-outcome b").first.inner_text()

    height, width = lab.canvas_pixels(SCREEN).shape[:2]
    lab.canvas(SCREEN).evaluate(WATCH_ROW, int(50.5 * height / SIZE))
    find(lab, ".pullback-play").click()
    shows(lab, steps[-1])
    centres = ((np.arange(SIZE) + 0.5) * width / SIZE).astype(int)
    met = []
    for text in lab.page.evaluate("window.rows"):
        row = np.array(text.split(","), np.uint8).reshape(width, 4)[centres, :3]
        met += [i for i, step in enumerate(steps) if np.array_equal(row[GRIP], step[50, GRIP])]
    assert met == sorted(met)
    assert len(met) >= 3

    outcome = find(lab, ".pullback-outcome")
    lab.wait_until(lambda: "step 10" in outcome.inner_text(), "the last step's number")
    assert outcome.locator("b").all_inner_texts()[0] == before == "< 0.1 %"
    assert float(outcome.locator("b").all_inner_texts()[1].removesuffix("%")) > 90
    lab.wait_until(lambda: is_idle(lab), "idle")

    # Play again walks again, from the photograph.
    find(lab, ".pullback-play").click()
    lab.wait_until(lambda: (screen(lab)[:, GRIP] != steps[-1][:, GRIP]).any(), "a first step")
    shows(lab, steps[-1])


def test_long_ascent_leaves_the_kernel_free_and_stops(lab: LabPage) -> None:
    lab.python("explorer.choose(target='golf ball', steps=200, step_size=1.0)")
    shows(lab, pulled(lab, "'golf ball'"))
    find(lab, ".pullback-play").click()
    lab.wait_until(lambda: lab.value(f"{STEP} > 2"), "the first steps")
    lab.run_cell(2)
    during = lab.value(STEP)
    assert lab.value("[explorer.wait(0), meanwhile]") == [False, pytest.approx(during, abs=10)]

    find(lab, ".pullback-stop").click()
    lab.wait_until(lambda: lab.value("explorer.wait(0)"), "the end of the ascent")
    reached = lab.value(STEP)
    assert during <= reached < 200
    lab.python(f"ascent = walked('golf ball', steps={reached}, step_size=1.0, radius=100.0)")
    shows(lab, rgb(lab, "pixels.photograph(ascent[-1].perturbed)"))
    lab.wait_until(lambda: is_idle(lab), "idle")
    assert f"step {reached}" in find(lab, ".pullback-outcome").inner_text()

    view_button(lab, "pullback").click()
    shows(lab, pulled(lab, "'golf ball'"))
    find(lab, ".pullback-top").first.click()
    shows(lab, pulled(lab, "None"))


def test_busy_mark_stays_while_an_ascent_runs(lab: LabPage) -> None:
    lab.python("explorer.choose(steps=200, step_size=1.0)")
    find(lab, ".pullback-play").click()
    lab.wait_until(lambda: lab.value(f"{STEP} > 2"), "the first steps")
    assert not is_idle(lab)
    assert not lab.value("explorer.wait(0)")


def test_ascent_without_a_radius(lab: LabPage) -> None:
    lab.python("explorer.choose(target='golf ball', radius=None, step_size=60.0)")
    find(lab, ".pullback-play").click()
    lab.python("ascent = walked('golf ball', steps=5, step_size=60.0, radius=None)")
    shows(lab, rgb(lab, "pixels.photograph(ascent[-1].perturbed)"))
    assert lab.value("float(ascent[-1].difference.norm())") > 100


def test_stop_before_the_first_step(lab: LabPage) -> None:
    # The lock keeps the worker from taking the request before it is withdrawn.
    lab.python("with explorer._worker._changed: explorer.temperature = 0.5; explorer.stop()")
    lab.wait_until(lambda: lab.value("explorer.wait(0)"), "the end")
    lab.wait_until(lambda: is_idle(lab), "idle")
    find(lab, ".pullback-temperature .noUi-handle").press("Home")
    shows(lab, pulled(lab, "None", "pw.Softening.hard()"))


def test_ascent_settings_show_what_holds(lab: LabPage) -> None:
    unfold(lab, "Ascent settings", ".widget-inline-hbox:has-text('Step size')")
    lab.python("explorer.choose(steps=1000, step_size=0.001, radius=1e6)")
    wanted = [1000.0, 0.001, 1e6]
    fields = [field(lab, label) for label in ("Steps", "Step size", "Radius")]
    lab.wait_until(lambda: [float(f.input_value()) for f in fields] == wanted, "the settings")


def test_uploads(lab: LabPage, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC).save(good)
    bad.write_text("This is no photograph.")
    unfold(lab, "Photograph and network", ".pullback-upload")
    for label in ("Photograph", "Network"):
        box = field(lab, label, "select").bounding_box()
        assert box is not None and box["height"] < 40  # one line, not a box

    lab.upload(".pullback-upload", good)
    uploaded = rgb(lab, f"pulled(None, image={str(good)!r})")
    shows(lab, uploaded)
    view_button(lab, "photograph").click()
    photograph = rgb(lab, f"seen({str(good)!r})")
    shows(lab, photograph)

    with lab.expecting_error():
        lab.upload(".pullback-upload", bad)
        explains(lab, "bad.png")
        np.testing.assert_array_equal(screen(lab)[:, GRIP], photograph[:, GRIP])

        # The good one goes on.
        view_button(lab, "pullback").click()
        shows(lab, uploaded)
        lab.wait_until(lambda: not lab.visible_errors(), "no error any more")

    field(lab, "Photograph", "select").select_option(label="chelsea")
    shows(lab, rgb(lab, "pulled(None, image='chelsea')"))


def test_network_that_cannot_be_had(lab: LabPage, tmp_path: Path) -> None:
    lab.python(f"""
        import torch.hub, torchvision.models
        hub, weights = torch.hub.get_dir(), torchvision.models.ResNet18_Weights.IMAGENET1K_V1.value
        url = weights.url
        torch.hub.set_dir({str(tmp_path)!r})
        weights.url = "file://{tmp_path}/there/is/no/resnet18-f37072fd.pth"
    """)
    picture = pulled(lab, "None")
    unfold(lab, "Photograph and network", ".pullback-upload")
    network = field(lab, "Network", "select")
    built_in = network.input_value()
    option = next(
        text for text in network.locator("option").all_inner_texts() if "ResNet18" in text
    )
    assert "MB" in option
    try:
        with lab.expecting_error():
            network.select_option(label=option)
            explains(lab, "ResNet18")
            np.testing.assert_array_equal(screen(lab)[:, GRIP], picture[:, GRIP])
            lab.wait_until(lambda: network.input_value() == built_in, "the network that it has")
            assert is_idle(lab)

            find(lab, ".pullback-top").nth(1).click()
            shows(lab, pulled(lab, "explorer.result.predictions[1].index"))
            lab.wait_until(lambda: not lab.visible_errors(), "no error any more")
    finally:
        lab.python("torch.hub.set_dir(hub); weights.url = url")


def test_network_that_raises(lab: LabPage) -> None:
    lab.python("""
class Moody(torch.nn.Module):
    sulks = False

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(3, 8, 5, stride=2)
        self.linear = torch.nn.Linear(8, 4)

    def forward(self, x):
        if self.sulks:
            raise RuntimeError("the network is in no mood for this")
        return self.linear(self.convolution(x).relu().mean((2, 3)))

moody = Moody().eval()
mean = std = (0.5, 0.5, 0.5)
moody_model = pw.Model(moody, mean=mean, std=std, size=224)
explorer.model = moody_model

def moody_pulled(image):
    return pixels.signed_map(pw.pullback(moody_model, image, None, softening=default))
""")
    coffee, cat = rgb(lab, "moody_pulled('coffee')"), rgb(lab, "moody_pulled('chelsea')")
    shows(lab, coffee)

    unfold(lab, "Photograph and network", ".pullback-upload")
    photograph = field(lab, "Photograph", "select")
    lab.python("moody.sulks = True")
    with lab.expecting_error():
        photograph.select_option(label="astronaut")
        explains(lab, "the network is in no mood for this")
        np.testing.assert_array_equal(screen(lab)[:, GRIP], coffee[:, GRIP])
        assert is_idle(lab)

        lab.python("moody.sulks = False")
        photograph.select_option(label="chelsea")
        shows(lab, cat)
        lab.wait_until(lambda: not lab.visible_errors(), "no error any more")


def test_a_second_view_follows(lab: LabPage) -> None:
    lab.run_cell(1)
    shows(lab, pulled(lab, "None"), view=1)
    find(lab, ".pullback-temperature .noUi-handle").press("Home")
    for view in (0, 1):
        shows(lab, pulled(lab, "None", "pw.Softening.hard()"), view=view)
    # And the other way round.
    lab.page.locator(".pullback-explorer").nth(1).locator(".pullback-top").nth(1).click()
    expected = pulled(lab, "explorer.result.predictions[1].index", "pw.Softening.hard()")
    for view in (0, 1):
        shows(lab, expected, view=view)


def test_reload(lab: LabPage) -> None:
    lab.python("explorer.choose(target='golf ball', temperature=0.3)")
    picture = pulled(lab, "'golf ball'", "pw.Softening.relative(0.3)")
    shows(lab, picture)
    curve = lab.wait_until_still(".pullback-curve")
    lab.reload()
    shows(lab, picture, timeout=60)
    np.testing.assert_array_equal(lab.wait_until_still(".pullback-curve"), curve)
    find(lab, ".pullback-temperature .noUi-handle").press("Home")
    shows(lab, pulled(lab, "'golf ball'", "pw.Softening.hard()"))


def test_restart_and_run_all(lab: LabPage) -> None:
    picture = pulled(lab, "None")
    lab.python("explorer.target = 'golf ball'")
    shows(lab, pulled(lab, "'golf ball'"))
    lab.restart_and_run_all()
    shows(lab, picture)
    shows(lab, picture, view=1)
    lab.python(KERNEL)
    find(lab, ".pullback-temperature .noUi-handle").press("Home")
    shows(lab, pulled(lab, "None", "pw.Softening.hard()"))
