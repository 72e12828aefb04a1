"""What the numbers say of the picture on the screen: questions that are answered when asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import ipywidgets as w

from ...evaluation.questions import QUESTIONS, Answer, Picture
from ...figures.snapshot import Snapshot
from ..kit.layout import note
from ..kit.live import sentence
from ..kit.worker import Worker

PROMPT = "Of the pullback on the screen; each takes some seconds. None of them is a verdict."


class NumbersPanel:
    """Questions about the picture, a button each; under it the answer, in a line of plain words.

    They are answered one at a time, in a thread of their own. Another picture forgets the answers.

    Attributes:
        answers: What is answered of the picture on the screen, by the question's name in
            ``pullback_widgets.evaluation.questions.QUESTIONS``.
    """

    def __init__(self, width: int) -> None:
        """Make the panel, without a picture yet.

        Args:
            width: In CSS pixels.
        """
        self.answers: dict[str, Answer] = {}
        self._picture: Picture | None = None
        self._saying = threading.Lock()
        self._worker = Worker(self._answering, self._failed, "pullback_widgets numbers")
        self._buttons: dict[str, w.Button] = {}
        self._lines: dict[str, w.HTML] = {}
        wide = f"{width}px"
        for name, (question, answering) in QUESTIONS.items():
            summary = (answering.__doc__ or "").partition("\n")[0]
            button = w.Button(
                description=question, tooltip=summary, disabled=True, layout=w.Layout(width=wide)
            )
            button.on_click(lambda _, n=name: self.ask(n))
            self._buttons[name] = button
            self._lines[name] = w.HTML(layout=w.Layout(width=wide, display="none"))
        self._bar = w.FloatProgress(max=1.0, layout=w.Layout(width=f"{width - 90}px", height="8px"))
        self._bar.add_class("pullback-thin")
        self._stop = w.Button(
            description="Stop",
            icon="stop",
            tooltip="Stop; what is answered stays",
            layout=w.Layout(width="76px"),
        )
        self._stop.on_click(lambda _: self.stop())
        self._progress = w.HBox(
            [self._bar, self._stop],
            layout=w.Layout(visibility="hidden", align_items="center", overflow="visible"),
        )
        asked = [one for name in QUESTIONS for one in (self._buttons[name], self._lines[name])]
        self.box = w.VBox(
            [w.HTML(note(PROMPT), layout=w.Layout(width=wide)), *asked, self._progress]
        )
        self.box.add_class("pullback-numbers")

    def show(self, frame: Snapshot) -> None:
        """Forget the answers, if this is another picture."""
        if self._picture is not None and self._picture.pullback is frame.pullback:
            return
        softening = frame.request.softening
        picture = Picture(frame.model, frame.image, frame.target, softening, frame.pullback)
        self.stop()
        with self._saying:  # an answer that comes now is one to the picture before
            self._picture, self.answers = picture, {}
            for name, line in self._lines.items():
                _say(line, "")
                self._buttons[name].disabled = False

    def ask(self, name: str) -> None:
        """Begin to answer a question; one that is being answered is left.

        Raises:
            KeyError: For no question.
        """
        self._buttons[name]
        if self._picture is not None:
            self._worker.submit((name, self._picture))

    def wait(self, timeout: float | None = None) -> bool:
        """Until nothing is being answered; whether that is so after ``timeout`` seconds."""
        return self._worker.wait(timeout)

    def stop(self) -> None:
        """Leave what is being answered."""
        self._worker.stop()
        self._progress.layout.visibility = "hidden"

    def close(self) -> None:
        """Leave it, and let the thread end."""
        self._worker.end()

    def _answering(self, asked: tuple[str, Picture]) -> Iterator[None]:
        name, picture = asked
        try:
            for share in QUESTIONS[name][1](picture):
                if isinstance(share, Answer):
                    self._answered(asked, note(share.sentence, spoken=True) + share.chart, share)
                else:
                    self._bar.value = share
                    self._progress.layout.visibility = "visible"
                yield
        finally:
            self._progress.layout.visibility = "hidden"

    def _answered(
        self, asked: tuple[str, Picture], text: str, answer: Answer | None = None
    ) -> None:
        name, picture = asked
        with self._saying:
            if picture is self._picture:
                if answer is not None:
                    self.answers[name] = answer
                _say(self._lines[name], text)

    def _failed(self, asked: tuple[str, Picture], error: BaseException) -> None:
        self._answered(asked, note(sentence(error), spoken=True))


def _say(line: w.HTML, text: str) -> None:
    line.value = text
    line.layout.display = "" if text else "none"
