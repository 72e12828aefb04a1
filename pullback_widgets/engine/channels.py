"""The channels of a network's images: how many there are, and what is normal in each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from .. import checks


def mean_and_std(
    mean: Any, std: Any, module: nn.Module
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel.

    Args:
        mean: C numbers, or one for all channels.
        std: Likewise, above 0.
        module: The network; where both are one number, its first convolution tells how many
            channels there are, 3 where it has none.

    Raises:
        ValueError: If they are no such numbers, or not equally many.
    """
    means, stds = _numbers("mean", mean), _numbers("std", std)
    if min(stds) <= 0:
        raise ValueError(f"std is {std!r}; expected numbers above 0, one for each channel.")
    one_mean, one_std = checks.is_number(mean), checks.is_number(std)
    channels = len(stds) if one_mean else len(means)
    if one_mean and one_std:
        channels = _first_channels(module)
    means = means * channels if one_mean else means
    stds = stds * channels if one_std else stds
    if len(means) != len(stds):
        raise ValueError(
            f"mean has {len(means)} numbers and std has {len(stds)}; expected one of each for "
            "every channel that the network takes, or one number for all."
        )
    return means, stds


def wrong_channels(complaint: str, seen: Tensor) -> str | None:
    """A sentence for torch's own about the channels of the images; None if it is about others."""
    found = re.search(r"expected input(\[[\d, ]+\]) to have (\d+) channels?, but got", complaint)
    if found is None or found[1] != str(list(seen.shape)):
        return None
    many = "s" * (found[2] != "1")
    return (
        f"The network takes images of {found[2]} channel{many} and was shown {seen.shape[1]}; give "
        f"pw.Model(mean=..., std=...) {found[2]} number{many} each, which tell how many channels "
        "its images have."
    )


def _numbers(what: str, values: Any) -> tuple[float, ...]:
    if checks.is_number(values):
        return (float(values),)
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(
            f"{what} is {values!r}; expected one number for each channel, such as three for RGB, "
            "or one number for all."
        )
    return numbers


def _first_channels(module: nn.Module) -> int:
    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return next((one.in_channels for one in module.modules() if isinstance(one, convolutions)), 3)
