"""Exercises of notebook 2: linear regions, and the pullback as their blend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answer import as_number
from .exercise import exercise

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..teaching.regions_widget import RegionMap

PLACES = 20
"""Random places at which a prediction is compared with the truth."""

STEP = 1e-4
"""Length of the steps there: small enough to stay in the region nearly always."""


@exercise(
    "2.1",
    hints=[
        "The right-hand side needs two things: the gradient at x, which the function gradient(x) "
        "above computes, and the step d.",
        "The angle brackets are a dot product: multiply entry by entry, then sum.",
        "return (gradient(x) * d).sum()",
    ],
    praise="Inside a region the gradient knows the change of the score exactly, up to rounding.",
)
def predicted_change(answer: Any) -> str | None:
    """A function from a place and a step to the change of the score."""
    import torch

    network, function = answer
    if not callable(function):
        return "The second part is no function; leave the cell's last line as it was."
    chance = torch.Generator().manual_seed(0)
    pairs = []
    for _ in range(PLACES):
        x = 2 * torch.rand(2, generator=chance) - 1
        d = torch.randn(2, generator=chance)
        d *= STEP / d.norm()
        if _pattern(network, x) != _pattern(network, x + d):
            continue
        value = function(x.clone(), d.clone())
        if value is ... or value is None:
            return "Not answered yet: replace the three dots after return, then run the cell."
        value = torch.as_tensor(value).detach().double()
        if value.numel() != 1:
            return (
                f"The change of the score is one number, and this has shape {tuple(value.shape)}; "
                "sum the products of the entries."
            )
        pairs.append((float(value), *_change(network, x, d)))
    given, true, score = (torch.tensor(column) for column in zip(*pairs, strict=True))
    if _same(given, true):
        return None
    if _same(given, -true):
        return "The sign is the wrong way round: z(x + d) - z(x), and not z(x) - z(x + d)."
    if _same(given, score + true):
        return "That is the score after the step; the change is that less the score before."
    if _same(given, true / STEP):
        return "The step's length is lost: use d as it is, not its direction."
    return (
        f"At {len(given)} places the prediction is off by {float((given - true).abs().max()):.2g} "
        f"at most, where the score changes by {float(true.abs().max()):.2g}; it is the dot product "
        "of the gradient at x and d."
    )


@exercise(
    "2.2",
    hints=[
        "The prediction fails where the first thin line is crossed: there a gate switches.",
        "regions.probe is the cross. Compare predicted_change(cross, d) with the true change for "
        "d = (0.01, 0), (0.02, 0), ...",
        "for n in range(1, 300): compare gradient(cross) with gradient(cross + torch.tensor([n / "
        "100, 0.0])); the first n at which they differ, divided by 100, is the answer.",
    ],
    praise="That is all the room the gradient has, even in a network with 16 gates.",
)
def room(answer: Any) -> str | None:
    """The distance from the cross to the next line, to the right."""
    import torch

    region_map, given = answer
    length = as_number(given)
    if length is None:
        return f"The length is {type(given).__name__}; give one number, such as 0.25."
    if length <= 0:
        return "The length is how far one can go to the right, a number above 0."
    network = _network(region_map)
    x = torch.tensor(region_map.probe)
    steps = torch.arange(1, 3001) / 1000
    start = _pattern(network, x)
    true = next(
        (float(s) for s in steps if _pattern(network, x + torch.tensor([float(s), 0.0])) != start),
        None,
    )
    if true is None:
        return "No line lies to the right of this cross; put it farther to the left."
    if abs(length - true) <= 0.02:
        return None
    if abs(length - (x[0] + true)) <= 0.02:
        return (
            f"{length:.2f} is where the line lies; the length of the step is that less the cross's "
            f"own x, which is {float(x[0]):.2f}."
        )
    if length < true:
        return f"At {length:.2f} to the right all gates still stand as at the cross; go farther."
    return f"Before {length:.2f} to the right a gate has switched already; that is too far."


@exercise(
    "2.3",
    hints=[
        "blend.temperature is the temperature of the last map, and the text under it says "
        '"a blend: ... % this region\'s gradient".',
        "Higher temperatures open more gates of other regions, so the share falls.",
        "Go through blend.temperature = 0.05, 0.1, 0.15, ... and look at "
        "blend.result.weight[blend.result.here] after blend.wait().",
    ],
    praise="There the pullback is half this region's gradient, half that of its surroundings.",
)
def majority(answer: Any) -> str | None:
    """A region map at which the cross's own region weighs one half."""
    from ..teaching.regions_widget import RegionMap

    if not isinstance(answer, RegionMap):
        return f"The answer is the map itself, and this is {type(answer).__name__}; write blend."
    answer.wait()
    result = answer.result
    if result.here < 0:
        return "The cross stands in a region too small for the map; press somewhere else."
    if answer.temperature == 0:
        return (
            "At T = 0 no gate is in doubt, and this region has all the weight; drag to the right."
        )
    own = float(result.weight[result.here])
    if abs(own - 0.5) <= 0.05:
        return None
    way = "higher" if own > 0.5 else "lower"
    return (
        f"At T = {answer.temperature:.3g} this region has {100 * own:.0f} % of the weight; go to a "
        f"{way} temperature."
    )


@exercise(
    "2.4",
    hints=[
        "What is sigmoid(z / T) for a very large T, whatever z is?",
        "It is one half for every gate. A number that is the same for all gates can be taken out.",
    ],
    praise="Every gate stands half open whatever the input: the picture of a network that cannot "
    "say no, the same at every place.",
)
def limit(answer: Any) -> str | None:
    """What the pullback comes to at infinite temperature."""
    if answer == "linear":
        return None
    reasons = {
        "gradient": "That is the other limit: at T -> 0 the soft gate becomes the hard one.",
        "zero": "sigmoid(0) is one half, not zero: a little of everything passes.",
        "random": "The pullback is the mean over all patterns, and a mean does not toss coins.",
    }
    if answer in reasons:
        return reasons[answer]
    return f'This is {answer!r}; choose "gradient", "zero", "linear" or "random".'


def _network(region_map: RegionMap) -> nn.Module:
    region_map.wait()
    network: nn.Module = region_map.result.network
    return network


def _pattern(network: nn.Module, x: Tensor) -> list[bool]:
    """Which gates are open, as a list."""
    import torch

    opened: list[bool] = []
    with torch.no_grad():
        for layer in network.children():
            if isinstance(layer, torch.nn.ReLU):
                opened += (x > 0).flatten().tolist()
            x = layer(x)
    return opened


def _change(network: nn.Module, x: Tensor, d: Tensor) -> tuple[float, float]:
    """The true change of the score, in double precision, and the score before it."""
    import copy

    import torch

    exact = copy.deepcopy(network).double()
    with torch.no_grad():
        before, after = exact(torch.stack([x.double(), x.double() + d.double()]))[:, 0].tolist()
    return after - before, before


def _same(given: Tensor, true: Tensor) -> bool:
    scale = float(true.abs().max()) or 1.0
    return float((given - true).abs().max()) <= 1e-3 * scale
