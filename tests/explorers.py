"""Explorers without a browser: what must be on the screen, and what may misbehave."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from networks import network
from torch import Tensor, nn
from waiting import SECONDS
from widgets import Page, text_with

import pullback_widgets as pw
from pullback_widgets.engine.recording import Recording
from pullback_widgets.figures.sessions import Sessions
from pullback_widgets.figures.snapshot import Snapshot


def busy(explorer: pw.Explorer) -> bool:
    return "pullback-busy" in text_with(explorer, "pullback-status")


Make = Callable[..., pw.Explorer]


def fresh(explorer: pw.Explorer) -> Snapshot:
    """The choices of an explorer, computed from nothing."""
    *_, frame = Sessions().frames(explorer.request())
    return frame


def right(explorer: pw.Explorer, page: Page) -> Snapshot:
    """Waits, and checks everything against a fresh computation, bit for bit."""
    assert explorer.wait(SECONDS)
    assert explorer.error == "" and text_with(explorer, "pullback-error") == ""
    assert not busy(explorer)
    result, expected = explorer.result, fresh(explorer)
    assert torch.equal(result.pullback, expected.pullback)
    assert torch.equal(result.image, expected.image)
    assert (result.title, result.score, result.probability, result.predictions) == (
        expected.title,
        expected.score,
        expected.probability,
        expected.predictions,
    )
    shown = [explorer.view, *([explorer.compare] if explorer.wipe > 0 else [])]
    for view in shown:
        assert torch.equal(result.tensor(view), expected.tensor(view))
    assert page.shows(explorer, expected)
    return expected


class Hold:
    """Holds the computing threads at their next backward pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        self._on = False
        pull = Recording.pull

        def held(recording: Recording, *args: Any, **options: Any) -> Tensor:
            if self._on and threading.current_thread() is not threading.main_thread():
                self.reached.set()
                assert self.go.wait(SECONDS)
            return pull(recording, *args, **options)

        monkeypatch.setattr(Recording, "pull", held)

    def __enter__(self) -> "Hold":
        self.reached.clear()
        self.go.clear()
        self._on = True
        return self

    def __exit__(self, *exception: object) -> None:
        self._on = False
        self.go.set()

    def until_reached(self) -> None:
        assert self.reached.wait(SECONDS)


class Moody(nn.Module):
    """The residual network, and something that a test does to its logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network("residual")
        self.mood: Callable[[Tensor], Tensor] = lambda y: y

    def forward(self, x: Tensor) -> Tensor:
        return self.mood(self.body(x))


def indices(explorer: pw.Explorer) -> list[int | None]:
    """Fills with the step of every frame that comes."""
    seen: list[int | None] = []
    explorer.observe(
        lambda change: seen.append(change["new"].step and change["new"].step.index), "result"
    )
    return seen


def explained(explorer: pw.Explorer, words: str = "") -> None:
    """There is one sentence, and a traceback folded away."""
    assert words in explorer.error
    assert len(explorer.error.split()) >= 4 and "\n" not in explorer.error
    shown = text_with(explorer, "pullback-error")
    sentence, _, folded = shown.partition("<details")
    assert "Traceback (most recent call last)" not in sentence
    assert "Traceback (most recent call last)" in folded
    assert "<details>" in shown and "<details open" not in shown
    assert not busy(explorer)


def oom(y: Tensor) -> Tensor:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def fails(y: Tensor) -> Tensor:
    raise KeyError("the network is in a <b>mood</b>")


def no_network(name: str, progress: Callable[[int, int], None]) -> pw.Model:
    progress(10, 100)
    raise pw.DownloadError(f"The weights of {name} could not be downloaded; connect and try again.")
