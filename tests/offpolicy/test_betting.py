"""Betting: the capital by hand, the interval by trying every mean, and how often it holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.errors import DataError
from lersbench.offpolicy.betting import betting, log_capital, stakes
from lersbench.offpolicy.intervals import bernstein


def plug_in(x: np.ndarray, chance: float) -> np.ndarray:
    """The stakes as they are written: the spread and the mean of one imagined value and all before."""
    out, n = [], len(x)
    for t in range(1, n + 1):
        means = [(0.5 + x[:i].sum()) / (i + 1) for i in range(1, t)]
        spread = (0.25 + sum((x[i - 1] - means[i - 1]) ** 2 for i in range(1, t))) / t
        out.append(min(0.5, math.sqrt(2 * math.log(1 / chance) / (n * spread))))
    return np.array(out)


def test_capital_of_four_rows_by_hand() -> None:
    x, bets = np.array([0.5, 0, 0.5, 0.5]), np.ones(4)
    assert math.exp(log_capital(x, bets, 0.25, 1.0)) == pytest.approx(1.46484375, rel=1e-14)
    assert math.exp(log_capital(x, bets, 0.25, -1.0)) == pytest.approx(0.52734375, rel=1e-14)


def test_stakes_are_set_before_the_value_is_seen() -> None:
    x = np.random.default_rng(0).random(50)
    found = np.empty(50)
    stakes(x, 0.025, found)
    np.testing.assert_allclose(found, plug_in(x, 0.025), rtol=1e-12)
    other = np.empty(50)
    stakes(np.append(x[:49], 0.0), 0.025, other)
    np.testing.assert_array_equal(other, found)


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_is_the_means_at_which_neither_capital_wins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.random(80) ** (seed + 1)
    bets, means = plug_in(x, 0.05), np.linspace(0, 1, 2001)
    factors = bets[:, None] * (x[:, None] - means)
    capital = np.maximum(np.prod(1 + factors, axis=0), np.prod(1 - factors, axis=0))
    left = means[capital < 1 / 0.05]
    low, high = betting(3 * x, 3.0, 0.9)
    assert (low / 3, high / 3) == pytest.approx((left[0], left[-1]), abs=6e-4)


def test_long_runs_neither_overflow_nor_vanish() -> None:
    for value in (0.0, 1.0):
        low, high = betting(np.full(200_000, value), 1.0)
        assert low <= value <= high
        assert high - low < 1e-4


def test_it_holds_the_truth_and_is_narrower_than_bernstein() -> None:
    """Weighted clicks with weights up to 4: at the level .8 of a guarantee, so mostly more often than that."""
    rng, held, widths = np.random.default_rng(1), 0, []
    for _ in range(300):
        v = np.where(rng.random(400) < 0.25, 4.0, 0.0) * (rng.random(400) < 0.3)
        low, high = betting(v, 4.0, 0.8)
        held += low <= 0.3 <= high
        other = bernstein(v.mean(), v.var(ddof=1), 400, 4.0, 0.8)
        widths.append((other.high - other.low) / (high - low))
    assert held / 300 >= 0.8
    assert np.median(widths) > 1.2


def test_values_outside_of_their_range_are_errors() -> None:
    assert betting(np.empty(0), 2.0) == (0, 2)
    assert betting(np.ones(1), 2.0) == (0, 2)
    with pytest.raises(DataError, match="row 1 has the value 3"):
        betting(np.array([1.0, 3.0]), 2.0)
    with pytest.raises(DataError, match="row 0 has the value nan"):
        betting(np.array([np.nan]), 2.0)
    with pytest.raises(DataError, match="finite and above 0"):
        betting(np.ones(2), math.inf)
