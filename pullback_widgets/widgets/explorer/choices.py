"""What one can choose in the Explorer: traits that are checked, and that agree with each other.

A layer brings its own channels, a channel its own positions, a class means the logits: setting one
trait settles the others. No drawing and no computing happens here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
import traitlets as t

from ...engine.layer import unknown_layer
from ...engine.model import Model
from ...engine.session import with_indices
from ...engine.target import (
    LOGITS,
    Channel,
    Difference,
    Direction,
    Logit,
    Region,
    Rivals,
    Unit,
    as_target,
)
from ...engine.tokens import Tokens
from ...figures.beside import NEURON
from ...figures.declared import choices
from ...figures.snapshot import ASCENDED, Snapshot, SnapshotRequest
from ...networks.catalogue import entry
from ..kit.live import ComputingWidget
from ..kit.traits import SofteningTraits


class ExplorerChoices(SofteningTraits, ComputingWidget):
    """The traits behind every control; see ``Explorer`` for what they mean."""

    REQUEST = SnapshotRequest

    device: torch.device

    _moved: tuple[Model, Model] | None = None
    """The chosen network, and its copy on another device."""

    result = t.Instance(Snapshot, allow_none=True, read_only=True)

    def __init__(self, **options: Any) -> None:
        self._plays = 0
        self._stopped = False
        super().__init__(**options)

    def choose(self, **choices: Any) -> None:
        hidden = [
            name
            for name in ("layer", "channel", "position")
            if choices.get(name) not in (None, LOGITS)
        ]
        if hidden and isinstance(choices.get("target"), int | str | Logit | Rivals):
            raise ValueError(
                f"The target {choices['target']!r} is a class, but {' and '.join(hidden)} choose a "
                "hidden neuron; give one or the other."
            )
        super().choose(**choices)

    def request(self) -> SnapshotRequest:
        asked: SnapshotRequest = super().request()
        return dataclasses.replace(asked, play=self._plays, stopped=self._stopped)

    def recall(self, request: SnapshotRequest) -> None:
        """Choose all that a request says, but how large the picture is.

        Raises:
            ValueError: If something is no more, such as a file; then nothing is chosen.
        """
        names = [name for name in choices(self.REQUEST) if name not in ("zoom", "centre")]
        values = {name: getattr(request, name) for name in names}
        values["model"] = self._original(request.model)
        before = {name: getattr(self, name) for name in (*names, "temperature", "units")}
        self._deferred = True
        try:
            self.softening = values.pop("softening")
            self._restore(values)
        except Exception:
            self._restore(before)
            raise
        finally:
            self._deferred = False
        self._stopped = False
        self.changed(looks_only=False)

    def play(self) -> None:
        """Walk the ascent anew, every step on the screen."""
        self._plays += 1
        self._stopped = False
        if self.view in ASCENDED:
            self.changed(looks_only=False)
        else:
            self.assign(view="perturbed")  # which asks for the walk

    def stop(self) -> None:
        """Stop after the running step; what was reached stays on the screen."""
        self._stopped = True
        super().stop()

    # Settling: what else changes with a choice.

    def _chosen(self, change: Any) -> None:
        if not self._settling and change["name"] not in {*self.LOOKS, "view"}:
            self._stopped = False  # of an ascent; looking at it leaves it as it is
        super()._chosen(change)

    def _settlers(self) -> dict[str, Callable[[Any], None]]:
        return {
            **super()._settlers(),
            "model": self._settle_model,
            "target": self._settle_target,
            "layer": self._settle_layer,
            "channel": self._settle_channel,
            "position": self._settle_position,
        }

    def _settle_model(self, change: Any) -> None:
        old, new = change["old"], change["new"]
        # A class stays chosen between networks that share their classes, as the catalogue's do.
        shared = _classes_of(old) == _classes_of(new) != None  # noqa: E711
        if self.layer != LOGITS or not shared:
            self.assign(target=None)
        self.assign(layer=LOGITS, channel=None, position=None)
        self._part_from(NEURON)

    def _settle_target(self, change: Any) -> None:
        target = change["new"]
        self.assign(layer=LOGITS, channel=None, position=None)
        while isinstance(target, Difference):
            target = as_target(target.first)
        if isinstance(target, Channel | Unit | Region | Direction):
            self.assign(layer=target.layer)
        if isinstance(target, Channel | Unit | Region):
            self.assign(channel=target.channel)
        if isinstance(target, Unit):
            self.assign(position=target.position)

    def _settle_layer(self, change: Any) -> None:
        self.assign(target=None, channel=None, position=None)
        if not {"layer", "target", "model"} & {*(self.beside or ())}:
            self._part_from(("channel", "position"))

    def _part_from(self, names: Sequence[str]) -> None:
        """Lay nothing beside that has a neuron of what was left."""
        if self.beside is not None and not self.beside.keys().isdisjoint(names):
            self.assign(beside=None)

    def _settle_channel(self, change: Any) -> None:
        if self.layer == LOGITS:
            self.assign(target=change["new"], channel=None)
        else:
            self.assign(target=None)

    def _settle_position(self, change: Any) -> None:
        known = self.known
        if self.channel is None and known is not None and known.view.layer.name == self.layer:
            # The channel on the screen stays: being the strongest was only why it was offered.
            self.assign(channel=getattr(known.target, "channel", None))
        self.assign(target=None)

    # Checking: one clear sentence, raised where the choice is made.

    @property
    def known(self) -> Snapshot | None:
        """The newest frame, if it is about the chosen network: what choices are checked against."""
        frame: Snapshot | None = self.result
        return frame if frame is not None and self._original(frame.model) is self.model else None

    def _original(self, model: object) -> object:
        """The network that was chosen, of one that may be its copy on another device."""
        moved = self._moved
        return moved[0] if moved is not None and model is moved[1] else model

    def _grid(self) -> tuple[int, ...] | None:
        """Shape of the chosen layer, if it is known already."""
        return self._shape(self.layer)

    def _shape(self, layer: str) -> tuple[int, ...] | None:
        if self.known is None:
            return None
        if layer == LOGITS:
            return (self.known.classes,)
        return next((one.shape for one in self.known.layers if one.name == layer), None)

    @t.validate("target")
    def _check_target(self, proposal: Any) -> Any:
        target = proposal["value"]
        if target is None:
            return None
        resolved = as_target(target)
        if self.known is not None:
            resolved = with_indices(resolved, self.known.model)
            for term in resolved.terms():
                self._require_layer(term.layer)
                term.seed(torch.zeros(self._shape(term.layer) or ()))  # raises with the reason
        return target

    @t.validate("layer")
    def _check_layer(self, proposal: Any) -> str:
        self._require_layer(proposal["value"])
        return str(proposal["value"])

    @t.validate("channel")
    def _check_channel(self, proposal: Any) -> int | None:
        channel: int | None = proposal["value"]
        if channel is not None:
            shape = self._grid()
            self._require_index("Channel", channel, shape[0] if shape else None)
        return channel

    @t.validate("position")
    def _check_position(self, proposal: Any) -> tuple[int, ...] | None:
        position: tuple[int, ...] | None = proposal["value"]
        if position is None:
            return None
        shape = self._grid()
        tokens = self._tokens()
        if tokens is not None and len(position) == 2 and _inside(position, tokens.grid):
            return (tokens.number((position[0], position[1])),)
        if self.layer == LOGITS or (shape is not None and not _inside(position, shape[1:])):
            grid = "no positions" if not shape or len(shape) < 2 else f"the grid {shape[1:]}"
            raise ValueError(
                f"Position {position} is not in layer {self.layer}, which has {grid}; choose a "
                "hidden layer and (y, x) inside its grid."
            )
        return position

    def _tokens(self) -> Tokens | None:
        """What the tokens of the chosen layer are, if that is known."""
        layers = () if self.known is None else self.known.layers
        return next((one.tokens for one in layers if one.name == self.layer), None)

    def _require_layer(self, layer: str) -> None:
        if layer != LOGITS and self.known is not None:
            names = [one.name for one in self.known.layers]
            if layer not in names:
                raise unknown_layer(layer, [LOGITS, *names])

    def _require_index(self, what: str, index: int, count: int | None) -> None:
        if index < 0 or (count is not None and index >= count):
            allowed = "a number from 0 up" if count is None else f"0 to {count - 1}"
            raise ValueError(f"{what} {index} is out of range in {self.layer}; choose {allowed}.")


def _classes_of(model: object) -> object:
    """What tells whether two networks share their classes."""
    if isinstance(model, str):
        return "ImageNet" if entry(model).classes == 1000 else None
    categories = getattr(model, "categories", None)
    imagenet = categories and len(categories) == 1000 and "golf ball" in categories
    return "ImageNet" if imagenet else categories


def _inside(position: tuple[int, ...], grid: tuple[int, ...]) -> bool:
    return len(position) == len(grid) and all(i < n for i, n in zip(position, grid, strict=True))
