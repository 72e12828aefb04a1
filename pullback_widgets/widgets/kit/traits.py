"""Choices as traits: checked when they are set, agreeing with each other, set together.

A widget's traits derive from the request that it makes (``figures.declared``). What else a widget
can be told, such as the temperature of its softening, is another way to say one of these choices.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import traitlets as t

from ...engine.softening import Softening
from ...figures.declared import Choice, Request, checked, choices
from .live import nearest


class ChoiceTrait(t.TraitType[Any, Any]):
    """A choice of a request as a trait."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        given = choice.default is not dataclasses.MISSING
        default = checked(choice.trait, choice, choice.default) if given else None
        super().__init__(default, allow_none=choice.kind.optional)

    def validate(self, obj: t.HasTraits, value: Any) -> Any:
        if value is None and self.name not in obj._trait_values:
            return None  # nothing was chosen yet
        if value is None:  # where that is a value, traitlets does not ask
            self.choice.kind.check(self.name or "", None)  # raises in words of its own, or
            raise ValueError(f"{self.name} is None; give a value.")
        value = checked(self.name or "", self.choice, self.choice.kind.opened(value))
        if value is not self.default_value:
            self.choice.kind.verify(value)
        return value


class CheckedTraits(t.HasTraits):
    """Traits that are checked when they are set and agree with each other, and can be set together.

    Attributes: those that ``NAMES`` lists.
    """

    REQUEST: ClassVar[type[Request]]
    """What the choices make; each of its choices becomes a trait."""
    DERIVED: ClassVar[Mapping[str, str]] = {}
    """Traits that say a choice in another way -> that choice."""
    NAMES: ClassVar[tuple[str, ...]] = ()
    """All of them, in the order in which they must be set: some reset those that follow."""
    LOOKS: ClassVar[frozenset[str]] = frozenset()
    """Those that change what is drawn but not what is computed."""

    _deferred = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        request: type[Request] | None = getattr(cls, "REQUEST", None)
        if request is None:
            return
        names: list[str] = []
        for one in choices(request).values():
            if "REQUEST" in vars(cls):
                trait = ChoiceTrait(one)
                setattr(cls, one.trait, trait)
                trait.class_init(cls, one.trait)
            also = [name for name, said in cls.DERIVED.items() if said == one.trait]
            names += [one.trait, *also]
        cls.NAMES = tuple(names)
        cls.LOOKS = frozenset(
            one.trait for one in choices(request).values() if one.role != "computed"
        )

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

    def request(self) -> Any:
        """All that was chosen, frozen."""
        return self.REQUEST(
            **{name: getattr(self, one.trait) for name, one in choices(self.REQUEST).items()}
        )

    @classmethod
    def chosen(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The traits that make a request of these values."""
        return {one.trait: values[name] for name, one in choices(cls.REQUEST).items()}

    def choose(self, **choices: Any) -> None:
        """Set several choices, then call :meth:`changed` once.

        Raises:
            TypeError: For a choice that does not exist.
            ValueError: For a value that makes no sense; then none of them is set.
        """
        for name in choices:
            if name not in self.NAMES:
                raise TypeError(f"There is no choice {name!r}; {nearest(name, self.NAMES)}")
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

    def assign(self, **choices: Any) -> None:
        """Set choices one after the other."""
        for name, value in choices.items():
            setattr(self, name, value)

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


class SofteningTraits(CheckedTraits):
    """The temperature and its units, which say a part of the softening.

    Attributes:
        temperature: The softening's temperature; 0 is the plain gradient, or the held map.
        units: ``"relative"`` or ``"absolute"`` temperature.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"units": "softening", "temperature": "softening"}

    softening: Softening
    temperature = t.Float(0.85)
    units = t.Enum(["relative", "absolute"], "relative")

    def __init__(self, **options: Any) -> None:
        self._family = Softening.relative()
        super().__init__(**options)

    def _settlers(self) -> dict[str, Callable[[Any], None]]:
        return {
            **super()._settlers(),
            "softening": self._settle_softening,
            "temperature": self._settle_temperature,
            "units": self._settle_temperature,
        }

    def _settle_softening(self, change: Any) -> None:
        softening = self.softening
        self.temperature = softening.temperature if softening.has_temperature else 0.0
        if softening.has_temperature:
            self.units, self._family = softening.units, softening

    def _settle_temperature(self, change: Any) -> None:
        if change["name"] == "units" and self.temperature == 0:
            self._family = self._family.with_units(self.units)
        elif self.temperature == 0:
            self.softening = Softening.hard()
        else:
            family = self._family.with_units(self.units)
            self.softening = self._family = family.with_temperature(self.temperature)

    @t.validate("temperature")
    def _check_temperature(self, proposal: Any) -> float:
        if proposal["value"] != 0:
            Softening.relative(proposal["value"])  # raises with the reason
        return float(proposal["value"])
