"""Answers as students give them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pullback_widgets.course.answer import as_number


@pytest.mark.parametrize(
    "answer",
    [
        0.5,
        np.float32(0.5),
        np.array(0.5),
        np.array([0.5]),
        torch.tensor(0.5),
        torch.tensor([[0.5]]),
    ],
)
def test_numbers_are_numbers_in_any_dress(answer: Any) -> None:
    assert as_number(answer) == 0.5


@pytest.mark.parametrize("answer", [True, np.bool_(True), "0.5", None, [0.5], torch.ones(2), 1j])
def test_nothing_else_is(answer: Any) -> None:
    assert as_number(answer) is None
