"""The history as a strip of thumbnails, with the way back and forth."""

from __future__ import annotations

import html

import ipywidgets as w

from ..kit.binding import SPOKEN_LABEL, listen, quietly
from ..kit.canvas import LOCK, Canvas, Picture, draw
from ..kit.tiles import INK, MARK
from .history import MOST, SIDE, Entry, History

TILE, GAP, LINE = SIDE // 2, 6, 15
"""Side of a thumbnail, the space between two, and the height of a line, in CSS pixels."""

LETTERS, LIST_LETTERS = 14, 32
"""How many letters stand under a thumbnail, and have room in the closed list on a phone."""


class HistoryStrip:
    """Buttons, a list and thumbnails: all go back to a picture, with all choices.

    Attributes:
        box: All of it.
        undo: The button.
        redo: The button.
        star: The button.
        words: The list of all pictures in words.
    """

    def __init__(self, history: History) -> None:
        """Make the strip, empty."""
        self._history = history
        self._pictures: dict[Entry, Picture] = {}
        self._shown: list[Entry] = []
        self.undo = _button("undo", "Undo", "Back to the picture before", history.undo)
        self.redo = _button("repeat", "Redo", "On to the picture that Undo left", history.redo)
        self.star = _button(
            "star-o", "Keep", "Keep this picture, however many come after it", history.star
        )
        self.words = w.Dropdown(
            description="History", layout=w.Layout(flex="1 1 120px", width="auto", min_width="0")
        )
        self.words.add_class(SPOKEN_LABEL)
        self.words.tooltip = "All pictures of the history, in words"
        listen(self.words, self._chosen, "index")
        self._canvas = Canvas(width=2, height=2 * (TILE + 2 * LINE + 2 * GAP))
        self._canvas.layout = w.Layout(height=f"{TILE + 2 * LINE + 2 * GAP}px", flex="0 0 auto")
        self._canvas.add_class("pullback-history")
        self._canvas.on_mouse_up(self._up)
        self._canvas.on_client_ready(self._redraw)
        strip = w.Box([self._canvas], layout=w.Layout(overflow="auto hidden"))
        buttons = w.HBox([self.undo, self.redo, self.star, self.words])
        buttons.layout.flex_flow = "row wrap"
        self.box = w.VBox([buttons, strip], layout=w.Layout(margin="6px 0 0 0"))
        history.on_change = self.show
        self.show()

    def show(self) -> None:
        """Show the history as it is now."""
        history = self._history
        with LOCK:
            self._shown = entries = list(history.entries)
            current = history.current
            self.undo.disabled, self.redo.disabled = not history.can_undo, not history.can_redo
            self.star.disabled = current is None
            starred = current is not None and current.starred
            self.star.icon = "star" if starred else "star-o"
            self.star.description = "Kept" if starred else "Keep"
            with quietly():
                self.words.options = [
                    (f"{n}. {'★ ' * one.starred}{_short(', '.join(one.label), LIST_LETTERS)}", n)
                    for n, one in enumerate(entries, 1)
                ]
                self.words.index = entries.index(current) if current in entries else None
            width = max(len(entries) * (TILE + GAP), 1)
            if self._canvas.width != 2 * width:
                self._canvas.layout.width = f"{width}px"
                self._canvas.width = 2 * width
            self._redraw()

    def _redraw(self) -> None:
        with LOCK:
            named = html.escape("; ".join(one.words for one in self._shown))
            self._canvas.say(f"The last {min(len(self._shown), MOST)} pictures: {named}")
            for gone in self._pictures.keys() - set(self._shown):
                self._pictures.pop(gone).close()
            for new in [one for one in self._shown if one not in self._pictures]:
                self._pictures[new] = self._canvas.picture()
                self._pictures[new].load(new.thumbnail, "JPEG", quality=85)
            draw(self._paint)

    def _paint(self) -> None:
        canvas = self._canvas
        canvas.clear()
        canvas.text_align, canvas.text_baseline = "center", "middle"
        for number, entry in enumerate(self._shown):
            left, top = 2 * number * (TILE + GAP) + GAP, GAP
            self._pictures[entry].draw(left, top)
            if entry is self._history.current:
                canvas.stroke_style, canvas.line_width = MARK, 6
                canvas.stroke_rect(left, top, SIDE)
            if entry.starred:
                canvas.fill_style = "rgba(0, 0, 0, 0.7)"
                canvas.fill_rect(left + SIDE - 36, top + 4, 32, 32)
                canvas.font, canvas.fill_style = "28px sans-serif", "white"
                canvas.fill_text("★", left + SIDE - 20, top + 21)
            canvas.font, canvas.fill_style = "22px sans-serif", INK
            for line, text in enumerate(entry.label):
                middle = top + SIDE + GAP + 2 * LINE * (line + 0.5)
                canvas.fill_text(
                    _short(text, LETTERS), left + SIDE / 2, middle, max_width=SIDE + GAP
                )

    def _up(self, x: float, y: float) -> None:
        number = int(x // (2 * (TILE + GAP)))
        if number < len(self._shown):
            self._history.go(self._shown[number])

    def _chosen(self, index: int | None) -> None:
        if index is not None and index < len(self._shown):
            self._history.go(self._shown[index])


def _button(icon: str, name: str, words: str, press: object) -> w.Button:
    button = w.Button(description=name, icon=icon, tooltip=words)
    button.layout = w.Layout(width="76px", flex="0 0 auto")
    button.on_click(lambda _: press())  # type: ignore[operator]
    return button


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
