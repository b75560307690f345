"""The confidence sequence: worked numbers, its mixture integrated over the bets, and what the order of rows does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.errors import DataError
from lersbench.offpolicy.anytime import Anytime

TENS = np.array([1, 0, 0, 1, 1, 0, 0, 0, 1, 1] * 10)


def anytime(w, r, level: float = 0.95, r_min: float = 0.0, r_max: float = 1.0):
    sequence = Anytime(r_min, r_max)
    sequence.add(np.asarray(w), np.asarray(r))
    return sequence.interval(level)


def naive(w: np.ndarray, r: np.ndarray, level: float = 0.95, cut: bool = True) -> tuple[float, float]:
    """The interval from the definition: wealth = mean over bets b of exp(b s + (b + ln(1 - b)) v), by quadrature.

    The bets have the density e^(b - 1) / (1 - 1/e) on [0, 1).
    """
    steps = 10_000
    bets = (np.arange(steps) + 0.5) / steps
    density = np.exp(bets - 1) / (1 - math.exp(-1)) / steps

    def lowest(x: np.ndarray) -> float:
        seen = (0.5 + np.append(0, np.cumsum(x)[:-1])) / np.arange(1, len(x) + 1)
        v = ((x - (np.minimum(seen, 1) if cut else seen)) ** 2).sum()
        low, high = 0.0, min(1.0, x.mean())
        for _ in range(40):
            middle = (low + high) / 2
            wealth = density @ np.exp(bets * (x.sum() - len(x) * middle) + (bets + np.log1p(-bets)) * v)
            low, high = (middle, high) if wealth > 2 / (1 - level) else (low, middle)
        return low

    return lowest(w * r), 1 - lowest(w * (1 - r))


def test_hundred_rows() -> None:
    w = np.array([2.0, 0.0] * 50)
    assert anytime(w, TENS) == pytest.approx((0.247335, 0.908807), abs=5e-7)
    assert naive(w, TENS) == pytest.approx((0.247335, 0.908807), abs=5e-5)
    assert naive(w, TENS, cut=False) == pytest.approx((0.246235, 0.908807), abs=5e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_closed_form_is_the_mean_over_all_bets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 300))
    w, r = rng.gamma(1.0, 1.0, size=n), rng.random(n) ** (seed + 1)
    assert anytime(w, r, 0.9) == pytest.approx(naive(w, r, 0.9), abs=2e-4)


def test_chunks_change_nothing_and_the_order_does() -> None:
    rng = np.random.default_rng(2)
    w, r = rng.gamma(0.5, 2.0, size=500), rng.random(500)
    parts = Anytime()
    for chunk in np.split(np.arange(500), [1, 100, 101, 390]):
        parts.add(w[chunk], r[chunk])
    whole = Anytime()
    whole.add(w, r)
    np.testing.assert_array_equal(parts.state, whole.state)
    assert parts.interval() == whole.interval()
    assert anytime(np.sort(w), r[np.argsort(w)]) != whole.interval()


def test_other_ranges_are_mapped_there_and_back() -> None:
    rng = np.random.default_rng(3)
    w, r = rng.gamma(1.0, 1.0, size=200), rng.random(200)
    low, high = anytime(w, r)
    assert anytime(w, 10 * r - 4, r_min=-4, r_max=6) == pytest.approx((10 * low - 4, 10 * high - 4), rel=1e-9)
    flipped = anytime(w, 1 - r)
    assert flipped == pytest.approx((1 - high, 1 - low), rel=1e-9)


def test_it_holds_at_every_time_at_once() -> None:
    """Looked at after every 50 of 600 rows: the share of runs that ever miss is below the level of .2."""
    rng, missed = np.random.default_rng(4), 0
    for _ in range(60):
        shown = rng.random(600) < 0.4
        w = np.where(shown, 0.8 / 0.4, 0.2 / 0.6)
        r = (rng.random(600) < np.where(shown, 0.7, 0.2)).astype(float)
        sequence = Anytime()
        for start in range(0, 600, 50):
            sequence.add(w[start : start + 50], r[start : start + 50])
            low, high = sequence.interval(0.8)
            if not low <= 0.8 * 0.7 + 0.2 * 0.2 <= high:
                missed += 1
                break
    assert missed / 60 < 0.2


def test_it_narrows_with_a_million_rows() -> None:
    rng = np.random.default_rng(5)
    low, high = anytime(2 * (rng.random(1_000_000) < 0.5), rng.random(1_000_000) < 0.3)
    assert low < 0.3 < high
    assert high - low < 0.02


def test_without_rows_and_with_weights_that_contradict_their_mean() -> None:
    assert Anytime(-1, 3).interval() == (-1, 3)
    assert anytime(np.full(1000, 5.0), np.tile([0.0, 1.0], 500)) == (0, 1)
    low, high = anytime(np.full(300, 3.0), np.ones(300))  # more than the most there is
    assert low == high == 1


def test_rows_that_cannot_be_are_errors() -> None:
    sequence = Anytime()
    sequence.add(np.ones(5), np.ones(5))
    for w, r in ((-1.0, 0.0), (np.inf, 0.0), (np.nan, 0.0), (1.0, 1.5), (1.0, np.nan)):
        with pytest.raises(DataError, match="row 6 has weight"):
            sequence.add(np.array([1.0, w]), np.array([1.0, r]))
    assert sequence.state[0] == 5
    with pytest.raises(DataError, match="one weight and one reward"):
        sequence.add(np.ones(2), np.ones(3))
    with pytest.raises(DataError, match="finite range"):
        Anytime(0, math.inf)
