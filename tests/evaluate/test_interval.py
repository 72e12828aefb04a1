"""The bootstrap's intervals."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import pullback_widgets as pw

ROWS = np.random.default_rng(1).normal(3.0, 2.0, 200)


def test_the_mean_and_its_interval() -> None:
    found = pw.bootstrap(ROWS)
    expected = stats.bootstrap(
        (ROWS,), np.mean, n_resamples=10_000, method="percentile", random_state=0
    )
    error = float(stats.sem(ROWS))
    assert found.value == pytest.approx(ROWS.mean())
    # 500 samples place a quantile to about a tenth of the standard error.
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.4 * error)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.4 * error)
    assert pw.bootstrap(torch.from_numpy(ROWS)) == pw.bootstrap(list(ROWS)) == found


def test_a_statistic_of_the_mean() -> None:
    pairs = np.stack([ROWS, ROWS + 1], axis=1)
    assert pw.bootstrap(pairs, lambda means: means[:, 1] - means[:, 0]) == pytest.approx((1, 1, 1))
    assert pw.bootstrap(pairs, lambda means: means.argmax(1)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), r"\(0,\); expected at least one observation"),
        ((np.ones((4, 2)),), r"\(4, 2\): give it column by column"),
        ((np.ones(4), lambda means: 1.0), r"500 samples has the shape \(\)"),
    ],
)
def test_what_has_no_interval_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pw.bootstrap(*arguments)
