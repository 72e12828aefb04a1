"""How hard gates become soft in the backward pass: settings only, no tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, get_args

from .. import checks

GateKind = Literal["hard", "sigmoid", "normal"]
Units = Literal["absolute", "relative"]
PoolKind = Literal["hard", "detached", "differentiated"]


@dataclass(frozen=True)
class Softening:
    """What replaces the hard gates ``1[z > 0]`` and the hard maxima in the backward pass.

    The presets cover the usual cases: :meth:`hard`, :meth:`paper_v3`, :meth:`paper_v6` and
    :meth:`relative`, which is the default everywhere.

    Attributes:
        temperature: The number ``t``. Units of the pre-activation when ``units`` is
            ``"absolute"`` (``T = t``, the paper), multiples of each channel's own scale when it is
            ``"relative"`` (``T_c = t * s_c``). Finite and positive; unused by hard gates.
        gate: ``"sigmoid"``: ``g(u) = 1 / (1 + exp(-u))``; ``"normal"``: the normal cumulative
            distribution; ``"hard"``: each operation keeps its own derivative.
        units: Whether ``temperature`` is absolute or relative to the channel.
        pool: Max-pooling shares its gradient in the window by ``w = softmax(x / T_pool)``.
            ``"detached"`` holds ``w`` constant, ``"differentiated"`` adds the derivative of ``w``,
            ``"hard"`` gives everything to the maximum.
        pool_temperature: ``T_pool``: a multiple of ``T`` when absolute, a multiple of the standard
            deviation of the pool's input channel when relative.
        factors: Layer name -> multiplier of ``T`` for every gate in that layer (a name covers
            the layers inside it; the longest matching name wins).

    Raises:
        ValueError: A temperature or factor that is not finite and positive, or an unknown option.
    """

    temperature: float = 0.85
    gate: GateKind = "sigmoid"
    units: Units = "relative"
    pool: PoolKind = "detached"
    pool_temperature: float = 1.0
    factors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in (("gate", GateKind), ("units", Units), ("pool", PoolKind)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; expected one of "
                    f"{', '.join(map(repr, get_args(kind)))}."
                )
        for name, hint in (
            ("temperature", " (use Softening.hard() for no softening)"),
            ("pool_temperature", ' (use pool="hard" for none)'),
        ):
            value = getattr(self, name)
            value = float(value) if self.is_hard else checks.positive(name, value, hint)
            object.__setattr__(self, name, value)
        factors = {
            layer: checks.positive(
                f"the factor of layer {layer!r}", factor, " (use 1.0 for no change)"
            )
            for layer, factor in self.factors.items()
        }
        object.__setattr__(self, "factors", MappingProxyType(factors))

    def __hash__(self) -> int:
        return hash((self.temperature, self.gate, self.units, self.pool, self.pool_temperature))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        # A mapping proxy neither pickles nor copies, so the parts travel instead.
        parts = (self.temperature, self.gate, self.units, self.pool, self.pool_temperature)
        return Softening, (*parts, dict(self.factors))

    @classmethod
    def hard(cls) -> Softening:
        """No softening: the plain gradient, bit for bit."""
        return cls(temperature=0.0, gate="hard", units="absolute", pool="hard")

    @classmethod
    def paper_v3(cls, temperature: float = 0.3) -> Softening:
        """The paper's version 3: sigmoid gates and differentiated softmax pooling, both at ``T``.

        Source: arXiv 2507.22832v3.
        """
        return cls(temperature, "sigmoid", "absolute", "differentiated", 1.0)

    @classmethod
    def paper_v6(cls, temperature: float = 0.6) -> Softening:
        """The paper's version 6: normal-CDF gates at ``T``, detached pooling at ``T / 2``.

        Source: arXiv 2507.22832v6.
        """
        return cls(temperature, "normal", "absolute", "detached", 0.5)

    @classmethod
    def relative(cls, temperature: float = 0.85) -> Softening:
        """Sigmoid gates at ``t`` times the scale of each channel; one ``t`` fits all networks."""
        return cls(temperature)

    @classmethod
    def checked(cls, softening: Softening | None) -> Softening:
        """The softening itself; the default for None.

        Raises:
            TypeError: If it is something else than a softening.
        """
        if softening is None:
            return cls.relative()
        if not isinstance(softening, cls):
            raise TypeError(
                f"softening is {softening!r}; expected a pw.Softening, for instance "
                "pw.Softening.relative(0.85)."
            )
        return softening

    @property
    def is_hard(self) -> bool:
        """Whether this is the plain gradient."""
        return self.gate == "hard" and self.pool == "hard"

    def with_temperature(self, temperature: float) -> Softening:
        """The same softening at another temperature.

        Raises:
            ValueError: If the temperature is not finite and positive, or the gates are hard.
        """
        if self.is_hard:
            raise ValueError(
                "The plain gradient has no temperature; start from Softening.relative(...), "
                "paper_v3(...) or paper_v6(...)."
            )
        return replace(self, temperature=float(temperature))

    def with_units(self, units: str) -> Softening:
        """The same softening with ``"absolute"`` or ``"relative"`` temperatures.

        Raises:
            ValueError: For any other word.
        """
        return replace(self, units=units)  # type: ignore[arg-type]  # checked on construction

    def with_factors(self, factors: Mapping[str, float]) -> Softening:
        """The same softening with other per-layer factors (see ``factors``)."""
        return replace(self, factors=dict(factors))

    def factor(self, path: str) -> float:
        """The multiplier of ``T`` for a gate inside the module at dotted ``path``."""
        if not self.factors:
            return 1.0
        matches = [
            name
            for name in self.factors
            if path == name or path.startswith((f"{name}.", f"{name}:")) or name == ""
        ]
        return self.factors[max(matches, key=len)] if matches else 1.0
