"""Exercises of notebook 7: explanations put to the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .exercise import exercise

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

_LINEAR, _NOT_LINEAR = 1e-3, 0.3
"""A map is linear in the target below the first, and not above the second."""


@exercise(
    "7.1",
    hints=[
        "A = pw.attribute(method, chelsea, 'Egyptian cat') and B = pw.attribute(method, chelsea, "
        "'golf ball') are tensors; you can subtract them, and norm() has the norm.",
        "The third map: pw.attribute(method, chelsea, pw.Difference('Egyptian cat', 'golf ball')).",
        "r = (difference - (A - B)).norm() / difference.norm(), once with method = 'pullback' and "
        "once with 'guided_backprop'; float(r) is a number.",
    ],
    praise="For the pullback it is rounding, for guided backpropagation it is as large as the map "
    "itself. What is not linear in the target may still be useful, but nobody promises that it "
    "hears the question.",
)
def linearity(answer: Any) -> str | None:
    """How far the maps of the pullback and of guided backpropagation are from linear."""
    pullback, guided = (float(value) for value in answer)
    if not (pullback >= 0 and guided >= 0):
        return "r is a norm over a norm, so it cannot be negative; take norm() of both."
    if guided < _LINEAR and pullback > _NOT_LINEAR:
        return "The two are swapped: the pullback comes first."
    if pullback > _LINEAR:
        return (
            f"r of the pullback is {pullback:.2g}, and it should be rounding error; subtract p_A - "
            'p_B, not p_A alone, from the map of pw.Difference("Egyptian cat", "golf ball").'
        )
    if guided < _NOT_LINEAR:
        return (
            f"r of guided backpropagation is {guided:.2g}, and it should be about a half; is the "
            "method 'guided_backprop', and did you divide by the norm of the map of A - B?"
        )
    if guided > 2:
        return (
            f"r of guided backpropagation is {guided:.2g}, and it should be about a half; subtract "
            "both maps from the map of the difference: p - (p_A - p_B)."
        )
    return None


@exercise(
    "7.2",
    hints=[
        "copy.deepcopy(module) copies everything, weights included; copy.copy does not.",
        "result.get_submodule(name) is the part; randomise changes it where it is.",
        "Three lines: result = copy.deepcopy(module); randomise(result.get_submodule(name), "
        "torch.Generator().manual_seed(0)); return result",
    ],
    praise="The original never noticed. With one stage of noise in the middle, even well trained "
    "layers above it see nothing that they know.",
)
def copies(answer: Any) -> str | None:
    """A function that copies a network and makes one part of the copy random."""
    import torch
    from torch import nn

    if not callable(answer):
        return f"Expected the function with_random itself, and this is {type(answer).__name__}."
    torch_state = torch.get_rng_state()
    net = nn.Sequential(nn.Linear(40, 30), nn.Sequential(nn.Linear(30, 20), nn.Linear(20, 10)))
    torch.set_rng_state(torch_state)  # the student's random numbers go on as they were
    before = _weights(net)
    found = answer(net, "1.0")
    if found is ...:
        return "Not answered yet: let with_random return a network in place of the three dots."
    if _weights(net).keys() != before.keys() or not all(
        torch.equal(before[name], value) for name, value in _weights(net).items()
    ):
        return (
            "The network that was given has changed; copy it first, all of it, and change the copy "
            "(copy.copy shares the weights, copy.deepcopy does not)."
        )
    if not isinstance(found, nn.Module):
        return f"It returns {type(found).__name__}; return the whole copy, a module."
    if found is net:
        return "It returns the network that was given; return a copy of it."
    after = _weights(found)
    if after.keys() != before.keys():
        return "It returns another network than the one given; return the whole copy, not a part."
    return _random_part(before, after)


def _random_part(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    import torch

    name = "1.0.weight"
    if torch.equal(before[name], after[name]):
        return (
            "The part '1.0' of a network still has its trained weights; call randomise on "
            "result.get_submodule(name)."
        )
    if not 0.5 < float(after[name].std() / before[name].std()) < 2:
        return (
            "The new weights are not random, or far smaller or larger than the trained ones; use "
            "randomise, which keeps mean and standard deviation."
        )
    other = [one for one in before if not one.startswith("1.0.")]
    if not all(torch.equal(before[one], after[one]) for one in other):
        return "Other parts than the one named became random, too; randomise only that one."
    return None


def _weights(net: nn.Module) -> dict[str, Any]:
    return {name: value.clone() for name, value in net.state_dict().items()}


# Skewed, as areas are.
_SAMPLE = np.array([-0.42, -0.31, -0.05, -0.12, 0.03, -0.18, -0.09, -0.02])
_CLOSE = 0.04
"""Two intervals are the same if their ends differ by less than this share of their width."""


@exercise(
    "7.3",
    hints=[
        "rng = np.random.default_rng(0); rng.choice(differences, size=(10_000, len(differences))) "
        "draws with replacement, ten thousand times.",
        "mean(axis=1) has the ten thousand means, np.percentile(means, [2.5, 97.5]) the two ends.",
    ],
    praise="This says how much the mean would scatter if we drew other photographs from a world "
    "of which these eight are a fair picture. It does not say that they are.",
)
def resampling(answer: Any) -> str | None:
    """A function that gives the bootstrap interval of a mean."""
    if not callable(answer):
        return f"Expected the function interval itself, and this is {type(answer).__name__}."
    found = answer(_SAMPLE.copy())
    if found is ...:
        return "Not answered yet: let interval return two numbers in place of the three dots."
    ends = np.asarray(found, dtype=float).ravel()
    if ends.shape != (2,):
        return f"It returns {ends.size} numbers; return two, the lower and the upper end."
    low, high = float(ends[0]), float(ends[1])
    if low > high:
        return "The upper end comes first; return the lower one first."
    if high - low < 1e-9:
        return (
            "The interval has no width: whoever draws all n without replacement has the same mean "
            "each time; draw with replacement."
        )
    expected = _interval(_SAMPLE, 95)
    if _same(ends, expected):
        return None
    spread = _SAMPLE.std() * 1.96
    for other, words in (
        (
            np.percentile(_SAMPLE, [2.5, 97.5]),
            "These are percentiles of the differences themselves; we want those of the means of "
            "many new draws.",
        ),
        (
            _SAMPLE.mean() + spread * np.array([-1, 1]),
            "This is the spread of single differences; the mean of n of them scatters less, by the "
            "root of n.",
        ),
        (_interval(_SAMPLE, 90), "This is a 90 % interval; take the 2.5th and 97.5th percentile."),
        (_interval(_SAMPLE, 68), "This is a 68 % interval; take the 2.5th and 97.5th percentile."),
    ):
        if _same(ends, other):
            return words
    return (
        f"For the differences {', '.join(f'{one:.2f}' for one in _SAMPLE)} it returns {low:.3f} to "
        f"{high:.3f} and should return about {expected[0]:.3f} to {expected[1]:.3f}; draw n each "
        "time, take the mean of each draw, and do so ten thousand times."
    )


def _interval(sample: NDArray[Any], percent: float) -> NDArray[Any]:
    draws = np.random.default_rng(0).choice(sample, size=(20_000, len(sample)))
    tail = (100 - percent) / 2
    return np.percentile(draws.mean(axis=1), [tail, 100 - tail])


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return bool(np.abs(one - other).max() < _CLOSE * (other[1] - other[0]))


@exercise(
    "7.4",
    hints=[
        "Two facts about photographs: the thing is near the middle, and it is sharp where the "
        "background is not.",
        "Edges times a bump: row = torch.linspace(-1, 1, image.shape[-1]), bump = torch.exp(-row"
        "**2), and the heat is edges(image) * bump * bump[:, None].",
    ],
    praise="A score better than chance, without one look into the network. Whoever shows you only "
    "such a score has shown you nothing about the class.",
)
def impostor(answer: Any) -> str | None:
    """The differences of an impostor's areas from those of the random order."""
    differences = np.asarray(answer, dtype=float)
    if differences.ndim != 1 or len(differences) < 2:
        return (
            f"Expected the differences that trial(my_heat) returns, one for each photograph, and "
            f"this has the shape {differences.shape}."
        )
    if not np.isfinite(differences).all():
        return "Some differences are not finite; does your heat hold NaN?"
    if not differences.any():
        return "All differences are zero: that is the random order itself; give trial(my_heat)."
    low, high = _interval(differences, 95)
    if low > 0:
        return (
            f"This is worse than a random order, by {differences.mean():.2f} on the mean; try the "
            "negative of it."
        )
    if high >= 0:
        return (
            f"The mean is {differences.mean():+.2f}, but its interval, {low:+.2f} to {high:+.2f}, "
            "does not leave out zero; combine two ideas, the middle of the picture and its sharp "
            "places."
        )
    return None
