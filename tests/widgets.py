"""Widgets without a browser: what it would see of the canvases, and the events it would send."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import ipycanvas
import ipywidgets as w
import numpy as np
from ipycanvas.canvas import COMMANDS
from ipywidgets.widgets.widget import _instances
from PIL import Image
from waiting import SECONDS

from pullback_widgets.drawing.pixels import RGB
from pullback_widgets.figures.snapshot import Snapshot
from pullback_widgets.widgets.kit.pace import Pace
from pullback_widgets.widgets.kit.tiles import TileBoard

COMMAND = {number: name for name, number in COMMANDS.items()}


# What the browser would see ----------------------------------------------------------------------


class Page:
    """The pictures in the canvases, from the messages that a browser would get."""

    def __init__(self) -> None:
        self.messages = 0
        self.pictures: dict[str, RGB] = {}
        self.formats: set[str | None] = set()
        self.on: dict[str, list[str]] = {}
        """Canvas -> the canvases that the last message drew onto it, in this order."""
        self.places: dict[str, tuple[float, ...]] = {}
        """Canvas -> left, top, width and height of what was drawn onto it last."""
        self.tiles: dict[str, dict[tuple[int, int], RGB]] = {}
        """Canvas -> the pictures put on it, by left and top, until they are cleared."""
        self.texts: dict[str, list[str]] = {}
        """Canvas -> all texts ever drawn on it."""
        self._canvas = ""

    def receive(self, content: Any, buffers: Any = None) -> None:
        """One message of ipycanvas."""
        self.messages += 1
        first, *rest = map(bytes, buffers)
        commands = json.loads(first)
        drawn: dict[str, list[str]] = {}
        for number, *arguments in commands if isinstance(commands[0], list) else [commands]:
            name = COMMAND[number]
            if name == "switchCanvas":
                self._canvas = arguments[0][0]
                continue
            _ = [rest.pop(0) for _ in range(arguments[1] if len(arguments) > 1 else 0)]
            source = arguments[0][0] if name == "drawImage" else ""
            if name == "drawImage" and isinstance(one := _widget(source), w.Image):
                opened = Image.open(
                    io.BytesIO(base64.b64decode(bytes(one.value).partition(b",")[2]))
                )
                self.formats.add(opened.format)
                self.pictures[self._canvas] = np.asarray(opened.convert("RGB"))
                place = (arguments[0][1], arguments[0][2])
                self.tiles.setdefault(self._canvas, {})[place] = self.pictures[self._canvas]
            elif name in ("clearRect", "fillRect") and arguments[0][:2] == [0, 0]:
                left, top = arguments[0][2], arguments[0][3]
                tiles = self.tiles.get(self._canvas, {})
                for x, y in [place for place in tiles if place[0] < left and place[1] < top]:
                    del tiles[x, y]
            elif name == "fillText":
                self.texts.setdefault(self._canvas, []).append(arguments[0][0])
            elif name == "drawImage":
                drawn.setdefault(self._canvas, []).append(source)
                self.places[self._canvas] = tuple(arguments[0][1:])
        self.on.update(drawn)

    def screen(self, widget: Any) -> list[RGB]:
        """The pictures on the screen: the whole one, and the one wiped over it if there is one."""
        canvas = find(widget, "pullback-screen")
        return [self.pictures[name] for name in self.on.get(f"IPY_MODEL_{canvas.model_id}", [])]

    def shows(self, widget: Any, frame: Snapshot) -> bool:
        """Whether the screen shows a frame, in the explorer's view, every byte of it."""
        wanted = [frame.picture(widget.view, widget.colour)]
        if widget.wipe > 0:
            wanted.append(frame.picture(widget.compare, widget.colour))
        seen = self.screen(widget)
        return len(seen) == len(wanted) and all(map(np.array_equal, seen, wanted))


def _widget(name: str) -> w.Widget:
    """The widget that a message names."""
    return _instances[name.removeprefix("IPY_MODEL_")]


def tile(page: Page, board: TileBoard, row: int, column: int) -> RGB:
    """What stands on a tile."""
    left, top = board._corner(row, column)
    return page.tiles[f"IPY_MODEL_{board.box.model_id}"][2 * left, 2 * top]


def alike(seen: RGB, wanted: RGB, most: float = 3.0) -> bool:
    """Whether a tile shows a picture: enlarged, and a little changed by JPEG.

    Args:
        seen: The tile.
        wanted: The picture.
        most: How far they may differ on average, of 255.
    """
    enlarged = Image.fromarray(wanted).resize(seen.shape[1::-1], Image.Resampling.NEAREST)
    return float(np.abs(np.asarray(enlarged, float) - seen).mean()) < most


def making(build: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """For fixtures: a function that builds a view and waits for its figure; at last all close."""
    made: list[Any] = []

    def make(*arguments: Any, **choices: Any) -> Any:
        made.append(build(*arguments, **choices))
        assert made[-1].wait(SECONDS)
        return made[-1]

    yield make
    for view in made:
        view.stop()
        assert view.wait(SECONDS)
        view.close()


def everything(widget: w.Widget) -> Iterator[w.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def find(widget: Any, name: str, number: int = 0) -> Any:
    """The control with this description, tooltip or CSS class."""
    found = [
        one
        for one in everything(widget)
        if name in getattr(one, "_dom_classes", ())
        or name in (getattr(one, "description", None), getattr(one, "tooltip", None))
    ]
    return found[number]


def seen(widget: w.Widget) -> Iterator[w.Widget]:
    """The widget and all in it, without what is in boxes that are hidden or not displayed."""
    layout = getattr(widget, "layout", None)
    hidden = getattr(layout, "visibility", None) == "hidden"
    if not hidden and getattr(layout, "display", None) != "none":
        yield widget
        for child in getattr(widget, "children", ()):
            yield from seen(child)


def type_in(field: w.Text, text: str) -> None:
    """What the page sends while someone types, letter by letter."""
    field.value = ""
    for end in range(1, len(text) + 1):
        field.value = text[:end]


def enter(field: w.Text, text: str) -> None:
    """What the page sends for a text and Enter."""
    field.value = text
    submit(field)


def submit(field: w.Text) -> None:
    """What it sends for Enter alone."""
    field._handle_custom_msg({"event": "submit"}, [])


def offered(widget: Any, number: int = 0) -> list[str]:
    """What the buttons under a line of text offer, if they are seen."""
    box = find(widget, "pullback-offers", number)
    return [one.description for one in seen(box) if isinstance(one, w.Button)]


def said(widget: Any, number: int = 0) -> str:
    """The sentence over them."""
    return str(find(widget, "pullback-offers", number).children[0].value)


def text_with(widget: Any, marker: str) -> str:
    """The visible HTML in which something stands, empty if it is nowhere."""
    for one in everything(widget):
        if isinstance(one, w.HTML) and marker in one.value and one.layout.display != "none":
            return str(one.value)
    return ""


def event(canvas: ipycanvas.Canvas, name: str, x: float = 0, y: float = 0) -> None:
    """What the browser sends: an event of the mouse, at shares of the canvas's size."""
    content = {"event": name, "x": x * canvas.width, "y": y * canvas.height}
    canvas._handle_frontend_event(canvas, content, [])


def click(canvas: ipycanvas.Canvas, x: float, y: float) -> None:
    event(canvas, "mouse_down", x, y)
    event(canvas, "mouse_up", x, y)


def answer(pace: Pace, number: str = "") -> None:
    """What a page sends back when it has all that it was sent, or what came with one number."""
    pace.answer.set_state({"value": number or pace._caption.placeholder})


def upload(widget: Any, name: str, content: bytes) -> None:
    upload_all(widget, {name: content})


def upload_all(widget: Any, files: dict[str, bytes]) -> None:
    """Files that the user chose at once, by name."""
    control = next(one for one in everything(widget) if isinstance(one, w.FileUpload))
    control.set_trait(
        "value",
        tuple(
            {
                "name": name,
                "type": "image/png",
                "size": len(content),
                "last_modified": datetime.now(timezone.utc),
                "content": memoryview(content),
            }
            for name, content in files.items()
        ),
    )
