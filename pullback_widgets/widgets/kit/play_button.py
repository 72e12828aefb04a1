"""A film: a button that walks a slider to its end."""

from __future__ import annotations

import threading

import ipywidgets as w


class PlayButton:
    """Plays and stops; at the end it starts anew.

    ipywidgets' own ``Play`` does without a kernel, but a screen reader finds no names on its
    buttons.

    Attributes:
        box: The button.
    """

    def __init__(self, slider: w.IntSlider, seconds: float) -> None:
        """Make the button.

        Args:
            slider: What is walked, a step at a time.
            seconds: How long each step is seen.
        """
        self._slider, self._seconds = slider, seconds
        self._stopped = threading.Event()
        self._stopped.set()
        self.box = w.Button(layout=w.Layout(width="84px"))
        self.box.add_class("pullback-film-play")
        self.box.on_click(lambda _: self.play() if self._stopped.is_set() else self.stop())
        self._show()

    def play(self) -> threading.Thread:
        """Walk on from where the slider is; returns the thread that does."""
        if self._slider.value >= self._slider.max:
            self._slider.value = self._slider.min
        self._stopped = threading.Event()
        self._show()
        thread = threading.Thread(target=self._walk, args=[self._stopped], daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Stay where it is."""
        self._stopped.set()
        self._show()

    def _walk(self, stopped: threading.Event) -> None:
        slider = self._slider
        while slider.value < slider.max and not stopped.wait(self._seconds):
            if slider.comm is None:  # the view was closed
                return
            slider.value += 1
        if not stopped.is_set():
            self.stop()

    def _show(self) -> None:
        on = self._stopped.is_set()
        self.box.description, self.box.icon = ("Film", "play") if on else ("Halt", "pause")
        self.box.tooltip = "Show one temperature after the other" if on else "Stay at this one"
