"""What is laid beside a picture: the same question, with a few choices of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, get_args

from ..engine.model import Model
from ..engine.session import TargetLike
from ..engine.softening import Softening, Units
from ..engine.target import LOGITS, Difference, Logit, Target, as_target
from .declared import Walked, choices, computed
from .images import image_name
from .kinds import Kind, OneOf, Whole, Words
from .network_kinds import DEFAULT, Aimed, Image, Network, Position, Softened

NEURON = ("layer", "target", "channel", "position")
"""The choices that say which neuron is asked."""


@dataclass(frozen=True, eq=False)
class Asked(Walked):
    """Of which neuron a pullback is asked, where and how; see ``SnapshotRequest``."""

    model: Model | str = field(metadata=computed(Network()))
    image: Any = field(metadata=computed(Image()))
    _: KW_ONLY
    softening: Softening = field(default=DEFAULT, metadata=computed(Softened()))
    layer: str = field(default=LOGITS, metadata=computed(Words()))
    target: TargetLike = field(default=None, metadata=computed(Aimed(optional=True)))
    channel: int | None = field(default=None, metadata=computed(Whole(optional=True)))
    position: tuple[int, ...] | None = field(
        default=None, metadata=computed(Position(optional=True))
    )


class Temperature(Kind):
    """A temperature; 0 is the plain gradient."""

    def check(self, name: str, value: Any) -> float:
        return float(value) if value == 0 else Softening.relative(value).temperature


KINDS: Mapping[str, Kind] = {
    **{
        name: one.kind
        for name, one in choices(Asked).items()
        if name in ("model", "image", "softening", *NEURON)
    },
    "temperature": Temperature(),
    "units": OneOf(get_args(Units)),
}
"""What the picture beside may have of its own."""


class Beside(Kind):
    """Choices by name, one or more."""

    def check(self, name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise TypeError(
                f"{name} is {value!r}; expected a mapping of choices, such as "
                '{"temperature": 0.3}, or None for the photograph.'
            )
        unknown = [one for one in value if one not in KINDS]
        if unknown or not value:
            what = f"{unknown[0]!r} is none of them" if unknown else "there is none"
            raise ValueError(f"{name} takes choices from {', '.join(KINDS)}; {what}.")
        return {
            one: None
            if given is None and KINDS[one].optional
            else KINDS[one].check(f"{name}[{one!r}]", given)
            for one, given in value.items()
        }

    def verify(self, value: Any) -> None:
        for one, given in value.items():
            if given is not None:
                KINDS[one].verify(given)

    def code(self, value: Any) -> str:
        pairs = (f"{one!r}: {KINDS[one].code(given)}" for one, given in value.items())
        return f"{{{', '.join(pairs)}}}"

    def write(self, value: Any, size: int | None) -> dict[str, Any]:
        return {
            one: None if given is None else KINDS[one].write(given, size)
            for one, given in value.items()
        }

    def read(self, written: Any, notes: list[str]) -> dict[str, Any] | None:
        found: dict[str, Any] = {}
        for one, given in written.items():
            if one == "model" and given is None:
                notes.append(
                    "The network beside it is none of the catalogue, so nothing stands there; "
                    'give it: beside = {"model": ...}.'
                )
                continue
            found[one] = None if given is None else KINDS[one].read(given, notes)
        return found or None


def other(asked: Asked, beside: Mapping[str, Any], target: Target, network: Model) -> Any:
    """The request for what stands beside: all that it does not have of its own is the same.

    Args:
        asked: What the picture is asked for; its network is there.
        beside: What the other has of its own; its network too is there.
        target: Of the picture, all names resolved.
        network: Of the other.

    Returns:
        A request of the same kind as ``asked``.
    """
    own = {name: value for name, value in beside.items() if name not in ("temperature", "units")}
    own["softening"] = _softening(own.get("softening") or asked.softening, beside)
    own["model"] = network
    if beside.get("target") is not None:
        own |= {"layer": layer_of(beside["target"]), "channel": None, "position": None}
    elif "layer" in beside:
        own = {"target": None, "channel": None, "position": None} | own
    elif "channel" in beside or "position" in beside:
        own = {"channel": getattr(target, "channel", None)} | own | {"target": None}
    elif network is asked.model:
        own["target"] = target
    else:
        # The layers of another network are others; its classes may be the same.
        own |= {"layer": LOGITS, "target": _same_class(target, asked.model, network)}
        own |= {"channel": None, "position": None}
    return dataclasses.replace(asked, **own)


def layer_of(target: Any) -> str:
    """The layer that a target, a class or its name is in; of a difference the first one's."""
    target = as_target(target)
    while isinstance(target, Difference):
        target = as_target(target.first)
    return str(getattr(target, "layer", LOGITS))


def _softening(softening: Softening, beside: Mapping[str, Any]) -> Softening:
    temperature = beside.get("temperature")
    if temperature == 0:
        return Softening.hard()
    if not softening.has_temperature and temperature is not None:
        softening = Softening.relative()
    if beside.get("units") is not None and softening.has_temperature:
        softening = softening.with_units(beside["units"])
    return softening if temperature is None else softening.with_temperature(temperature)


def _same_class(target: Target, model: Any, network: Model) -> TargetLike:
    """A class as another network numbers it; None, for its own top class, where there is none."""
    if not isinstance(target, Logit) or not isinstance(target.label, int):
        return None
    if model.categories is None or network.categories is None:
        return None
    name = model.categories[target.label]
    return name if list(network.categories).count(name) == 1 else None


def own_words(frame: Any, beside: Mapping[str, Any]) -> str:
    """What two pictures do not share, as one of them has it.

    Args:
        frame: A ``Snapshot``.
        beside: What the other picture has of its own.
    """
    words = []
    if {"softening", "temperature", "units"} & beside.keys():
        words.append(frame.how(frame.request.softening))
    if {*NEURON} & beside.keys():
        words.append(frame.title)
    if "model" in beside:
        words.append(frame.model.name)
    if "image" in beside:
        words.append(image_name(frame.request.image) or "your photograph")
    return ", ".join(words)
