"""Numbers that users give: what is taken, what is refused, and with which sentence."""

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from pullback_widgets import checks

HUGE = 10**400
"""Beyond the largest float, 1.8e308."""

NO_NUMBERS = [True, False, np.True_, "1", "far", None, [1], 1j, np.ones(1), torch.ones(1)]
NOT_FINITE = [math.nan, math.inf, -math.inf, np.float32("nan"), np.float64("inf"), HUGE, -HUGE]


def refusal(check: Callable[..., object], *given: Any, **options: Any) -> str:
    with pytest.raises(ValueError) as raised:
        check(*given, **options)
    return str(raised.value)


@pytest.mark.parametrize("value", [1, 7, HUGE, np.int64(3), np.uint8(255)])
def test_whole_numbers_become_pythons_own(value: Any) -> None:
    assert checks.is_whole(value)
    number = checks.whole("steps", value)
    assert number == value
    assert type(number) is int


@pytest.mark.parametrize("value", [*NO_NUMBERS, 2.5, 2.0, np.float32(2), math.nan, math.inf])
def test_what_is_no_whole_number(value: Any) -> None:
    assert not checks.is_whole(value)
    expected = f"steps is {value!r}; expected a whole number from 1 up."
    assert refusal(checks.whole, "steps", value) == expected


@pytest.mark.parametrize("value", [0, -1, np.int32(0), -HUGE])
def test_whole_numbers_below_the_least(value: Any) -> None:
    expected = f"side is {value!r}; expected a whole number from 1 up."
    assert refusal(checks.whole, "side", value) == expected
    if value >= 0:
        assert checks.whole("side", value, least=0) == 0


@pytest.mark.parametrize("value", [-1, 10, HUGE, np.int64(10), True, 1.5])
def test_whole_numbers_between_two_ends(value: Any) -> None:
    assert [checks.whole("seed", end, least=0, most=9) for end in (0, 9)] == [0, 9]
    expected = f"seed is {value!r}; expected a whole number from 0 to 9."
    assert refusal(checks.whole, "seed", value, least=0, most=9) == expected


@pytest.mark.parametrize("value", [1, 0.5, 5e-324, np.float32(0.5), np.int16(2), Fraction(1, 3)])
def test_numbers_above_zero_become_pythons_own(value: Any) -> None:
    assert checks.is_number(value)
    for check in (checks.positive, checks.not_negative):
        number = check("radius", value)
        assert number == float(value)
        assert type(number) is float


@pytest.mark.parametrize("value", [*NO_NUMBERS, *NOT_FINITE, -0.1, np.int64(-1)])
def test_what_is_no_finite_number_in_range(value: Any) -> None:
    given = f"radius is {value!r}; expected a finite number"
    assert refusal(checks.positive, "radius", value) == f"{given} above 0."
    assert refusal(checks.not_negative, "radius", value) == f"{given} from 0 up."


@pytest.mark.parametrize("zero", [0, 0.0, -0.0, np.float32(0), Fraction(1, HUGE)])
def test_zero_is_not_above_zero(zero: Any) -> None:
    assert refusal(checks.positive, "radius", zero).endswith("expected a finite number above 0.")
    assert checks.not_negative("radius", zero) == 0.0


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number(value: Any) -> None:
    assert not checks.is_number(value)


@pytest.mark.parametrize("check", [checks.whole, checks.positive, checks.not_negative])
def test_a_hint_ends_the_sentence(check: Callable[..., object]) -> None:
    assert refusal(check, "size", "big", hint=", such as 224").endswith(", such as 224.")


@pytest.mark.parametrize(
    "value",
    [
        (0.5, -1),
        [np.float32(0.5), np.int64(-1)],
        np.array([0.5, -1.0]),
        torch.tensor([0.5, -1.0]),
        (torch.tensor(0.5), torch.tensor(-1)),
        iter([0.5, -1.0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_places_become_pythons_own(value: Any) -> None:
    place = checks.place("probe", value)
    assert place == (0.5, -1.0)
    assert [type(number) for number in place] == [float, float]


@pytest.mark.parametrize(
    "value",
    [
        *(None, 3, "ab", "12", (), (0.0,), (0.0, 0.0, 0.0), (0.0, "1"), (True, False), (0, None)),
        *((0.0, math.nan), (math.inf, 0.0), (HUGE, 0), torch.tensor(1.0), torch.ones(2, 2)),
        *(np.ones((2, 2)), torch.ones(3)),
    ],
    ids=repr,
)
def test_what_is_no_place(value: Any) -> None:
    expected = f"probe is {value!r}; expected two finite numbers."
    assert re.sub(r"\s+", " ", refusal(checks.place, "probe", value)) == re.sub(
        r"\s+", " ", expected
    )
