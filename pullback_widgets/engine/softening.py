"""How the backward pass differs from the gradient: settings only, no tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from .. import checks

GateKind = Literal["hard", "held", "sigmoid", "normal"]
Units = Literal["absolute", "relative"]
PoolKind = Literal["hard", "detached", "differentiated"]
SmoothKind = Literal["expected", "rescaled", "own"]
NormKind = Literal["held", "deviation held", "layer norms held", "own"]
AttentionKind = Literal["held", "queries", "own"]
ProductKind = Literal["held", "own"]

OPTIONS: dict[str, Any] = {
    "gate": GateKind,
    "units": Units,
    "pool": PoolKind,
    "smooth": SmoothKind,
    "norms": NormKind,
    "attention": AttentionKind,
    "products": ProductKind,
}
"""The fields that take one of a few words, and these words."""

KINDS = ("relu", "relu6", "leaky_relu", "prelu", "gelu", "silu", "hardswish", "mish")
"""The operations whose gates have a temperature, as ``Softening.kinds`` names them."""

SMOOTH_KINDS = MappingProxyType(dict.fromkeys(("gelu", "silu", "hardswish", "mish"), 0.5))
"""The default of ``Softening.kinds``."""

_OWN: Any = {"smooth": "own", "norms": "own", "attention": "own", "products": "own"}


@dataclass(frozen=True)
class Softening:
    """What the backward pass puts in the place of each nonlinearity's own derivative.

    The presets cover the usual cases: :meth:`hard`, :meth:`held`, :meth:`paper_v3`,
    :meth:`paper_v6` and :meth:`relative`, which is the default everywhere.

    Attributes:
        temperature: The number ``t``. Units of the pre-activation when ``units`` is
            ``"absolute"`` (``T = t``, the paper), multiples of each channel's own scale when it is
            ``"relative"`` (``T_c = t * s_c``). Finite and positive; unused by hard gates.
        gate: ``"sigmoid"``: ``g(u) = 1 / (1 + exp(-u))``; ``"normal"``: the normal cumulative
            distribution; ``"held"``: the network's own gates as constants, ``1[z > 0]`` of a ReLU,
            ``Phi(z)`` of a GELU; ``"hard"``: each operation keeps its own derivative.
        units: Whether ``temperature`` is absolute or relative to the channel.
        pool: Max-pooling shares its gradient in the window by ``w = softmax(x / T_pool)``.
            ``"detached"`` holds ``w`` constant, ``"differentiated"`` adds the derivative of ``w``,
            ``"hard"`` gives everything to the maximum.
        pool_temperature: ``T_pool``: a multiple of ``T`` when absolute, a multiple of the standard
            deviation of the pool's input channel when relative.
        factors: Layer name -> multiplier of ``T`` for every gate in that layer (a name covers
            the layers inside it; the longest matching name wins).
        smooth: What GELU, SiLU, Hardswish and Mish pass on. ``"expected"``: the mean of their own
            gate when the pre-activation carries normal noise, of standard deviation ``1.702 T``
            with sigmoid gates and ``T`` with normal ones, which are the noises that soften a ReLU
            in the same way; ``"rescaled"``: ``Phi(z / T)`` of GELU and ``sigmoid(z / T)`` of SiLU,
            the others as ``"own"`` (the paper's version 6); ``"own"``: their own derivative.
        norms: Of layer, RMS, group and instance norms, and of batch norms by the statistics of the
            batch. ``"held"``: mean and deviation are constants; ``"deviation held"``: the mean
            keeps its derivative; ``"layer norms held"``: ``"held"`` for layer and RMS norms alone
            (version 6); ``"own"``: their own derivative.
        attention: ``"held"``: the weights are constants, the softmax at ``attention_temperature``,
            and the gradient passes through the values alone; ``"queries"``: version 6, which holds
            them in ``scaled_dot_product_attention`` and gives ``nn.MultiheadAttention`` its own
            derivative at queries and keys divided by the temperature; ``"own"``: their own
            derivative.
        attention_temperature: Divides the logits of the softmax; 1 is the network's own.
        products: Of two values of the image, as in squeeze-and-excitation and gated units.
            ``"held"``: the bounded factor (sigmoid, softmax, else the activated one) is a constant;
            ``"own"``: the product's own derivative.
        kinds: Operation (``"relu"``, ``"gelu"``, ``"silu"``, ...) -> multiplier of ``T`` for all of
            its calls. By default 0.5 for smooth activations, see the measurements in docs/method.

    Raises:
        ValueError: A temperature or factor that is not finite and positive, or an unknown option.
    """

    temperature: float = 0.85
    gate: GateKind = "sigmoid"
    units: Units = "relative"
    pool: PoolKind = "detached"
    pool_temperature: float = 1.0
    factors: Mapping[str, float] = field(default_factory=dict)
    smooth: SmoothKind = "expected"
    norms: NormKind = "held"
    attention: AttentionKind = "held"
    attention_temperature: float = 1.0
    products: ProductKind = "held"
    kinds: Mapping[str, float] = field(default_factory=lambda: SMOOTH_KINDS)

    def __post_init__(self) -> None:
        for name, kind in OPTIONS.items():
            if getattr(self, name) not in get_args(kind):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; expected one of "
                    f"{', '.join(map(repr, get_args(kind)))}."
                )
        for name, hint in (
            ("temperature", " (use Softening.hard() for no softening)"),
            ("pool_temperature", ' (use pool="hard" for none)'),
            ("attention_temperature", ' (use attention="own" for its own derivative)'),
        ):
            value = getattr(self, name)
            unused = name != "attention_temperature" and not self.has_temperature
            value = float(value) if unused else checks.positive(name, value, hint)
            object.__setattr__(self, name, value)
        for name, what in (("factors", "layer"), ("kinds", "operation")):
            multipliers = {
                key: checks.positive(
                    f"the factor of {what} {key!r}", factor, " (use 1.0 for no change)"
                )
                for key, factor in getattr(self, name).items()
            }
            object.__setattr__(self, name, MappingProxyType(multipliers))
        for kind in self.kinds:
            if kind not in KINDS:
                raise ValueError(
                    f"kinds names the operation {kind!r}; expected some of {', '.join(KINDS)}."
                )

    def __hash__(self) -> int:
        return hash(tuple(value for value in self._values() if not isinstance(value, Mapping)))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        # A mapping proxy neither pickles nor copies, so the parts travel instead.
        return Softening, tuple(
            dict(value) if isinstance(value, Mapping) else value for value in self._values()
        )

    def _values(self) -> list[Any]:
        return [getattr(self, one.name) for one in fields(self)]

    @classmethod
    def hard(cls) -> Softening:
        """No softening: the plain gradient, bit for bit."""
        return cls(0.0, "hard", "absolute", "hard", **_OWN)

    @classmethod
    def held(cls) -> Softening:
        """Every gate is the network's own, and a constant: the effective linear map at the image.

        The logit is ``<pullback, x>`` plus what constants such as biases contribute. In a network
        of ReLUs and max-poolings it is the plain gradient.
        """
        return cls(0.0, "held", "absolute", "hard")

    @classmethod
    def paper_v3(cls, temperature: float = 0.3) -> Softening:
        """The paper's version 3: sigmoid gates and differentiated softmax pooling, both at ``T``.

        It softens ReLUs and max-poolings alone. Source: arXiv 2507.22832v3.
        """
        return cls(temperature, "sigmoid", "absolute", "differentiated", 1.0, **_OWN)

    @classmethod
    def paper_v6(
        cls,
        temperature: float = 0.6,
        *,
        gelu: float | None = None,
        silu: float | None = None,
        attention: float = 1.0,
    ) -> Softening:
        """The paper's version 6: normal-CDF gates at ``T``, detached pooling at ``T / 2``.

        GELU passes ``Phi(z / T)`` and SiLU ``sigmoid(z / T)`` at temperatures of their own, layer
        norms and attention weights are constants. ReLU6 is softened like ReLU here; the authors'
        program leaves it alone. Source: arXiv 2507.22832v6.

        Args:
            temperature: Of ReLUs; half of it for max-pooling.
            gelu: The temperature of GELU; by default 1.0 where ``temperature`` is 0.6, and as many
                times more or less as it is.
            silu: The temperature of SiLU; by default 1.6 where ``temperature`` is 0.6.
            attention: The temperature of the attention weights.
        """
        checked = checks.positive("temperature", temperature)
        return cls(
            checked,
            "normal",
            "absolute",
            "detached",
            0.5,
            smooth="rescaled",
            norms="layer norms held",
            attention="queries",
            attention_temperature=attention,
            products="own",
            kinds={
                "gelu": 1.0 / 0.6 if gelu is None else gelu / checked,
                "silu": 1.6 / 0.6 if silu is None else silu / checked,
            },
        )

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
        own = all(getattr(self, name) == "own" for name in ("norms", "attention", "products"))
        return self.gate == "hard" and self.pool == "hard" and own

    @property
    def has_temperature(self) -> bool:
        """Whether the temperature changes anything."""
        return self.gate in ("sigmoid", "normal") or self.pool != "hard"

    def with_temperature(self, temperature: float) -> Softening:
        """The same softening at another temperature.

        Raises:
            ValueError: If the temperature is not finite and positive, or the gates are hard.
        """
        if not self.has_temperature:
            name = "plain gradient" if self.is_hard else "held map"
            raise ValueError(
                f"The {name} has no temperature; start from Softening.relative(...), "
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

    def factor(self, path: str, kind: str = "") -> float:
        """The multiplier of ``T`` for a gate of a kind inside the module at dotted ``path``."""
        return self.kinds.get(kind, 1.0) * self._layer_factor(path)

    def _layer_factor(self, path: str) -> float:
        if not self.factors:
            return 1.0
        matches = [
            name
            for name in self.factors
            if path == name or path.startswith((f"{name}.", f"{name}:")) or name == ""
        ]
        return self.factors[max(matches, key=len)] if matches else 1.0
