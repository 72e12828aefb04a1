"""The linear regions of a network of two inputs, its gradient in each, and the pullback between.

In a region all gates stand still, so the score is an affine function and the gradient is constant.
A soft pullback is the mean of the gradients over gate patterns, where the gate of pre-activation z
is open with probability g(z / T), independently of the others: the backward pass is a product with
each gate once, so the mean of the product is the product of the means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..drawing import words
from ..drawing.paper import new_figure
from ..drawing.pixels import RGB
from ..engine.gate import Gate
from ..engine.model import Direct
from ..engine.recording import Recording
from ..engine.report import tell
from ..engine.softening import Softening
from ..engine.target import LOGITS, Difference, Logit, Target
from ..figures.declared import Request, computed, viewed
from ..figures.kinds import OneOf, Positive, Whole
from ..figures.result import Result, completed, to_numpy
from .kinds import Place, PlaneNetwork, PlanePoints, Temperature
from .toy import EXTENT, Points, checked_points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 192
"""Points of the map in each direction."""

ARROWS = 13
"""Arrows in each direction."""

Shown = Literal["gradient", "pullback", "blend"]
SHOWN: tuple[Shown, ...] = get_args(Shown)
_BELOW, _ABOVE, _GROUND = np.array([86, 148, 222.0]), np.array([240, 160, 70.0]), 247.0
_LINE = np.array([70, 70, 78.0])


@dataclass(frozen=True, eq=False)
class RegionsRequest(Request):
    """What a map of linear regions is asked for; see ``pw.linear_regions``."""

    FUNCTION = "linear_regions"
    WIDGET = ""  # the RegionMap trains a network of its own
    VARIABLE = "regions"
    FINALLY = "regions.gradient, regions.pullback, regions.weight"

    network: nn.Module = field(metadata=computed(PlaneNetwork()))
    _: KW_ONLY
    temperature: float = field(default=0.5, metadata=computed(Temperature()))
    probe: tuple[float, float] = field(default=(0.0, 0.0), metadata=computed(Place()))
    points: Any = field(default=None, metadata=computed(PlanePoints(optional=True)))
    extent: float = field(default=EXTENT, metadata=computed(Positive()))
    side: int = field(default=SIDE, metadata=computed(Whole(1)))
    shown: Shown = field(default="gradient", metadata=viewed(OneOf(SHOWN)))


@dataclass(eq=False, repr=False)
class Regions(Result):
    """A map of S x S points of the plane, first row at the top, and what is known at the probe.

    Attributes:
        request: What was asked for; ``network``, from (N, 2) to (N, 1), ``extent``, the map going
            from -extent to extent, and ``shown`` read as attributes of the regions.
        softening: Of the pullbacks.
        probe: The point that is looked at, (2,).
        score: On the map, (S, S).
        region: Number of the region of each point of the map, (S, S), from 0.
        weight: Of each region in the pullback at the probe, (R,): the probability of its gate
            pattern; what is missing to 1 are patterns that no point of the map has.
        here: The probe's own region, -1 if no point of the map is in it.
        value: The score at the probe.
        gradient: The plain gradient at the probe, (2,).
        pullback: The pullback at the probe, (2,).
        places: Where arrows stand, (A, 2).
        gradients: The plain gradients there, (A, 2).
        pullbacks: The pullbacks there, (A, 2).
        centres: A point of each region that is far from its borders, (R, 2).
        centre_gradients: The gradient there, (R, 2).
        points: What the network was trained on, or None.
        loss: Of the training, NaN without one.
    """

    request: RegionsRequest
    softening: Softening
    probe: NDArray[np.float64]
    score: NDArray[np.float32]
    region: NDArray[np.int64]
    weight: NDArray[np.float64]
    here: int
    value: float
    gradient: NDArray[np.float64]
    pullback: NDArray[np.float64]
    places: NDArray[np.float64]
    gradients: NDArray[np.float64]
    pullbacks: NDArray[np.float64]
    centres: NDArray[np.float64]
    centre_gradients: NDArray[np.float64]
    points: Points | None = None
    loss: float = float("nan")
    progress: float = 1.0

    @property
    def count(self) -> int:
        """Regions on the map."""
        return len(self.weight)

    def summary(self) -> str:
        return f"{words.counted(self.count, 'linear region')} of a network of two inputs"

    def picture(self, shown: Shown | None = None) -> RGB:
        """The map, (S, S, 3): blue where the score is negative, orange where it is positive.

        Args:
            shown: With ``"blend"`` a region is the more colourful the more weight it has.
        """
        strength = np.tanh(self.score / 3)[..., None]
        end = np.where(strength < 0, _BELOW, _ABOVE)
        share = 0.25 + 0.5 * np.abs(strength)
        if (shown or self.shown) == "blend":
            relative = self.weight / (float(self.weight.max()) or 1.0)
            share = share * 0.12 + 0.85 * np.sqrt(relative)[self.region][..., None]
        colours = _GROUND + share * (end - _GROUND)
        border = _edges(self.region)[..., None]
        colours = np.where(border, 0.65 * colours + 0.35 * _LINE, colours)
        boundary = _edges(self.score > 0)[..., None]
        return np.rint(np.where(boundary, 20.0, colours)).astype(np.uint8)

    def arrows(self, shown: Shown | None = None) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Where arrows start, where they point, and how heavy they are, 0 to 1.

        The longest is 1; lengths are square roots, so that weak gradients are seen too.
        """
        shown = shown or self.shown
        if shown == "blend":
            heavy = self.weight > 0.02 * self.weight.max()
            places, vectors = self.centres[heavy], self.centre_gradients[heavy]
            weights = np.sqrt(self.weight[heavy] / (float(self.weight.max()) or 1.0))
        else:
            places = self.places
            vectors = self.gradients if shown == "gradient" else self.pullbacks
            weights = np.ones(len(places))
        sizes = np.linalg.norm(vectors, axis=1, keepdims=True)
        longest = float(sizes.max(initial=0)) or 1.0
        return places, vectors / np.sqrt(np.maximum(sizes, 1e-12) * longest), weights

    def arrays(self) -> dict[str, NDArray[Any]]:
        names = (
            "probe", "score", "region", "weight", "gradient", "pullback", "places", "gradients",
            "pullbacks", "centres", "centre_gradients",
        )  # fmt: skip
        found: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in names}
        for name, tensor in self.network.state_dict().items():
            found[f"weights.{name}"] = to_numpy(tensor)
        if self.points is not None:
            found["points"], found["labels"] = map(to_numpy, self.points)
        return found

    def named(self) -> dict[str, Any]:
        return {"regions": self.count}

    def recipe(self, request: Request | None = None) -> dict[str, Any]:
        if request is None:
            raise ValueError(
                "No recipe can hold a network of your own; save the regions as .npz, which has its "
                "weights."
            )
        return super().recipe(request)

    def figure(self) -> Figure:
        figure = new_figure(figsize=(11, 4.1), dpi=150, layout="constrained")
        reach = (-self.extent, self.extent, -self.extent, self.extent)
        for axes, shown in zip(figure.subplots(1, 3), SHOWN, strict=True):
            axes.imshow(self.picture(shown), extent=reach, interpolation="nearest")
            places, vectors, weights = self.arrows(shown)
            colours = np.zeros((len(places), 4))
            colours[:, 3] = np.clip(weights, 0.15, 1)
            step = 2 * self.extent / ARROWS
            axes.quiver(
                *places.T, *(vectors.T * step), angles="xy", scale_units="xy", scale=1,
                color=colours, width=0.005,
            )  # fmt: skip
            if self.points is not None:
                for label, marker, colour in ((0, "o", "#1f4e9c"), (1, "s", "#b35900")):
                    chosen = to_numpy(self.points.places[self.points.labels == label])
                    axes.scatter(*chosen.T, s=14, marker=marker, c=colour, edgecolors="white")
            axes.plot(*self.probe, "k+", markersize=14, markeredgewidth=2)
            title = {"gradient": "gradient: constant in each region"}
            title |= {"pullback": f"pullback, T = {self.softening.temperature:.3g}"}
            title |= {"blend": "regions by weight at the cross"}
            axes.set_title(title[shown], fontsize=9)
            axes.set(xlim=reach[:2], ylim=reach[2:])
        return figure


def linear_regions(
    network: nn.Module,
    *,
    temperature: float = 0.5,
    probe: Any = (0.0, 0.0),
    points: Any = None,
    extent: float = EXTENT,
    side: int = SIDE,
) -> Regions:
    """Map the linear regions of a network of two inputs.

    Args:
        network: From (N, 2) to (N, 1), or (N, 2) logits, whose difference is the score. Its ReLUs,
            leaky ones too, make the regions; any other nonlinearity is taken as it is.
        temperature: Of the pullbacks, absolute, sigmoid gates; 0 is the plain gradient.
        probe: The point where pullback and weights are computed, two numbers.
        points: Drawn on the map: places (N, 2) and labels (N,) of 0 and 1, or a name.
        extent: The map goes from -extent to extent in both directions.
        side: Points of the map in each direction.

    Raises:
        ValueError: If the network takes or returns something else, or has no ReLU, or a ReLU6.
    """
    request = RegionsRequest(
        network, temperature=temperature, probe=probe, points=points, extent=extent, side=side
    )
    return completed(compute(request))


def compute(request: RegionsRequest) -> Iterator[Regions]:
    """The whole map at once."""
    network, temperature, side = request.network, request.temperature, request.side
    softening = Softening.hard() if temperature == 0 else Softening(temperature, units="absolute")
    at = torch.tensor(request.probe, dtype=torch.float64)
    grid = _grid(side, request.extent)
    model = Direct(network)
    try:
        on_map = Recording(model, grid, layers=False)
    except RuntimeError as error:
        raise ValueError(
            f"The network does not take points, a tensor (N, 2): {str(error).splitlines()[0]}"
        ) from error
    gates = on_map.rectifiers
    _check_gates(gates)
    score = _score(on_map)
    pattern = torch.cat([gate.pre_activation().flatten(1) > 0 for gate in gates], 1)
    numbers, first = _distinct(to_numpy(pattern))
    region = numbers.reshape(side, side)
    centres = _centres(region, len(first))
    arrows = _grid(ARROWS, request.extent * (1 - 1 / ARROWS))
    asked = torch.cat([at[None], arrows])
    recording = Recording(model, asked, layers=False)
    target = _target(recording)
    targets = [target] * len(asked)
    tell(recording, softening)
    gradient = to_numpy(recording.pull(targets, Softening.hard()).double())
    pullback = to_numpy(recording.pull(targets, softening).double())
    z = torch.cat([gate.pre_activation().flatten(1)[0] for gate in recording.rectifiers])
    weight, here = _weights(z, pattern[torch.as_tensor(first)], softening)
    in_regions = Recording(model, grid[torch.as_tensor(centres)], layers=False)
    of_regions = in_regions.pull([target] * len(centres), Softening.hard())
    yield Regions(
        request,
        softening=softening,
        probe=to_numpy(at),
        score=to_numpy(score).reshape(side, side),
        region=region,
        weight=weight,
        here=here,
        value=float(_score(recording)[0]),
        gradient=gradient[0],
        pullback=pullback[0],
        places=to_numpy(arrows),
        gradients=gradient[1:],
        pullbacks=pullback[1:],
        centres=to_numpy(grid)[centres],
        centre_gradients=to_numpy(of_regions.double()),
        points=None if request.points is None else checked_points(request.points),
    )


def _grid(side: int, extent: float) -> Tensor:
    """Points of a square, (side * side, 2), row by row from the top left."""
    line = torch.linspace(-extent, extent, side, dtype=torch.float64)
    y, x = torch.meshgrid(-line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def _check_gates(gates: list[Gate]) -> None:
    if not gates:
        raise ValueError("The network has no ReLU, and so a single linear region.")
    for gate in gates:
        above = torch.full((1, 1), 7.0)  # where a ReLU6 is closed again
        if gate.operation != "prelu" and not torch.equal(gate.own(above), above):
            raise ValueError(
                f"The network has a {gate.operation} with an upper bound, a second gate that the "
                "pullback leaves open; take a ReLU in its place."
            )


def _score(recording: Recording) -> Tensor:
    logits = recording.value(LOGITS)
    if logits.dim() != 2 or logits.shape[1] not in (1, 2):
        raise ValueError(
            f"The network returned {tuple(logits.shape)} for {len(recording.x)} points; expected "
            "one score (N, 1), or two logits (N, 2)."
        )
    logits = logits.detach()
    return logits[:, -1] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]


def _target(recording: Recording) -> Target:
    return Logit(0) if recording.value(LOGITS).shape[1] == 1 else Difference(Logit(1), Logit(0))


def _distinct(pattern: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of each row's pattern, and a row of each pattern."""
    # Rows are compared by a sum of random 64-bit numbers, which is far quicker than sorting them.
    keys = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, pattern.shape[1], np.int64)
    _, first, numbers = np.unique(pattern @ keys, return_index=True, return_inverse=True)
    return numbers.ravel(), first


def _centres(region: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """For each region the place on the flat map that is farthest from its borders."""
    depth = np.zeros(region.shape)
    inside = np.ones(region.shape, bool)
    # Peel one layer of points after the other off every region.
    for layer in range(1, 25):
        inside &= ~(_edges(region) if layer == 1 else _peeled(inside))
        if not inside.any():
            break
        depth[inside] = layer
    order = np.argsort(depth, axis=None, kind="stable")
    centres = np.zeros(count, np.int64)
    centres[region.ravel()[order]] = order  # the deepest comes last and stays
    return centres


def _peeled(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Points beside one that is not inside."""
    outside = np.pad(~inside, 1, constant_values=True)
    return outside[2:, 1:-1] | outside[:-2, 1:-1] | outside[1:-1, 2:] | outside[1:-1, :-2]


def _edges(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Points whose right or lower neighbour has another value."""
    edges = np.zeros(values.shape, bool)
    edges[:, :-1] |= values[:, :-1] != values[:, 1:]
    edges[:-1] |= values[:-1] != values[1:]
    return edges


def _weights(z: Tensor, patterns: Tensor, softening: Softening) -> tuple[NDArray[Any], int]:
    """The probability of each pattern, (R,), and the number of the one that ``z`` itself has."""
    own = (patterns == (z > 0)).all(1)
    here = int(own.nonzero()[0]) if own.any() else -1
    if softening.is_hard:
        return to_numpy(own.double()), here
    u = z.double() / softening.temperature
    # log g(u) of an open gate, log g(-u) of a closed one
    signed = torch.where(patterns, u, -u)
    return to_numpy(torch.nn.functional.logsigmoid(signed).sum(1).exp()), here
