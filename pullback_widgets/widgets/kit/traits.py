"""The choices that all widgets have: the network, the softening, the ascent.

They are traits that are checked when they are set, and that agree with each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar

import traitlets as t
from torch import nn

from ...engine.image import to_tensor
from ...engine.model import Model
from ...engine.softening import Softening
from ...networks.catalogue import CATALOGUE, entry


class Given(t.Any):
    """Anything but None."""

    allow_none = False


class Choices(t.HasTraits):
    """Traits that are checked when they are set and agree with each other, and can be set together.

    Attributes: those that ``NAMES`` lists.
    """

    NAMES: ClassVar[tuple[str, ...]] = ()
    """The choices, in the order in which they must be set: some reset those that follow."""
    LOOKS: ClassVar[tuple[str, ...]] = ()
    """Choices that change what is drawn but not what is computed."""

    _deferred = False

    def __init__(self, **options: Any) -> None:
        # Of each thread: a network that arrives in the worker's must not hide a choice
        # that is made meanwhile.
        self._local = threading.local()
        super().__init__(**options)
        self.observe(self._chosen, list(self.NAMES))

    @property
    def _settling(self) -> bool:
        return getattr(self._local, "settling", False)

    @_settling.setter
    def _settling(self, on: bool) -> None:
        self._local.settling = on

    def changed(self, looks_only: bool) -> None:
        """Called after a choice and all that follow from it are settled."""

    def choose(self, **choices: Any) -> None:
        """Set several choices, then call :meth:`changed` once.

        Raises:
            TypeError: For a choice that does not exist.
            ValueError: For a value that makes no sense; then none of them is set.
        """
        for name in choices:
            if name not in self.NAMES:
                raise TypeError(
                    f"There is no choice {name!r}; choose from: {', '.join(self.NAMES)}."
                )
        before = {name: getattr(self, name) for name in self.NAMES}
        self._deferred = True
        try:
            for name in sorted(choices, key=self.NAMES.index):
                setattr(self, name, choices[name])
        except Exception:
            self._restore(before)
            raise
        finally:
            self._deferred = False
        self.changed(looks_only=False)

    def _restore(self, before: dict[str, Any]) -> None:
        """Set choices that hold together, without settling others by them."""
        self._settling = True
        try:
            for name, value in before.items():
                if value is not None or self.traits()[name].allow_none:
                    setattr(self, name, value)
        finally:
            self._settling = False

    # Settling: what else changes with a choice.

    def _chosen(self, change: Any) -> None:
        if self._settling:
            return
        self._settling = True
        try:
            self._settlers().get(change["name"], lambda _: None)(change)
        finally:
            self._settling = False
        if not self._deferred:
            self.changed(looks_only=change["name"] in self.LOOKS)

    def _settlers(self) -> dict[str, Callable[[Any], None]]:
        """Choice -> what sets the others that follow from it."""
        return {}


class Knobs(Choices):
    """Traits for the network, the softening and the ascent, which figures of networks have.

    Attributes:
        model: The network: a ``Model``, a bare module, or a name that ``pw.load_model`` takes.
        softening: How gates are softened in the backward pass.
        temperature: The softening's temperature; 0 is the plain gradient.
        units: ``"relative"`` or ``"absolute"`` temperature.
        steps: Steps of ascent.
        step_size: L2 length of a step, in image units.
        radius: L2 radius of the ascent, in image units; None for no limit.
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "model", "softening", "units", "temperature", "steps", "step_size", "radius",
    )  # fmt: skip

    model = Given()
    softening = t.Instance(Softening, Softening.relative().__reduce__()[1])
    temperature = t.Float(0.85)
    units = t.Enum(["relative", "absolute"], "relative")
    steps = t.Integer(5)
    step_size = t.Float(20.0)
    radius = t.Float(100.0, allow_none=True)

    def __init__(self, **options: Any) -> None:
        self._family = Softening.relative()
        super().__init__(**options)

    def _settlers(self) -> dict[str, Callable[[Any], None]]:
        return {
            "softening": self._settle_softening,
            "temperature": self._settle_temperature,
            "units": self._settle_temperature,
        }

    def _settle_softening(self, change: Any) -> None:
        self.temperature = 0.0 if self.softening.is_hard else self.softening.temperature
        if not self.softening.is_hard:
            self.units, self._family = self.softening.units, self.softening

    def _settle_temperature(self, change: Any) -> None:
        if change["name"] == "units" and self.temperature == 0:
            self._family = self._family.with_units(self.units)
        elif self.temperature == 0:
            self.softening = Softening.hard()
        else:
            family = self._family.with_units(self.units)
            self.softening = self._family = family.with_temperature(self.temperature)

    # Checking: one clear sentence, raised where the choice is made.

    @t.validate("model")
    def _check_model(self, proposal: Any) -> Model | str:
        model = proposal["value"]
        if isinstance(model, str):
            return entry(model).name  # raises with the nearest names
        if isinstance(model, nn.Module):
            return Model(model)
        if not isinstance(model, Model):
            raise TypeError(
                f"The network is {type(model).__name__}; expected a pw.Model, a torch module, or "
                f"one of {', '.join(CATALOGUE)}."
            )
        return model

    @t.validate("temperature")
    def _check_temperature(self, proposal: Any) -> float:
        if proposal["value"] != 0:
            Softening.relative(proposal["value"])  # raises with the reason
        return float(proposal["value"])

    @t.validate("steps", "step_size", "radius")
    def _check_number(self, proposal: Any) -> Any:
        value, name = proposal["value"], proposal["trait"].name
        if value is None or 0 < value < float("inf"):
            return value
        raise ValueError(f"{name} is {value!r}; expected a finite number above 0.")


class Pictured(t.HasTraits):
    """Has one image.

    Attributes:
        image: What ``Session`` takes, a single one.
    """

    image = Given()

    @t.validate("image")
    def _check_image(self, proposal: Any) -> Any:
        to_tensor(proposal["value"], 32)  # raises ImageError with the reason
        return proposal["value"]
