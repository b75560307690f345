"""Cressie-Read: worked cases, and its definition as a re-weighting of the rows, solved by linear algebra."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lersbench.distributions import t_quantile
from lersbench.errors import DataError
from lersbench.offpolicy.empirical_likelihood import cressie_read, total
from lersbench.offpolicy.intervals import Six, each_of

TENS = np.array([1, 0, 0, 1, 1, 0, 0, 0, 1, 1] * 10)


def likely(w, r, w_max: float, **other):
    return cressie_read(Six.of(np.asarray(w), np.asarray(r)), 0.0, w_max, 0.0, 1.0, **other)


def nearest(w: np.ndarray, imagined: float) -> np.ndarray:
    """The shares (n + 1,) of the rows and the imagined one that are nearest to equal, of sum 1 and mean weight 1."""
    every = np.append(w, imagined)
    size = len(every)
    sides = np.stack([np.ones(size), every])
    away = np.linalg.lstsq(sides, np.array([1.0, 1.0]) - sides.sum(axis=1) / size, rcond=None)[0]
    return 1 / size + away


def naive(w, r, w_max: float, r_min: float, r_max: float, level: float = 0.95, deff: float = 1.0):
    """Value and ends, not cut: the least and the largest sum over all shares within the radius, for finite weights."""
    n = len(w)
    imagined = w_max if w.sum() < n else 0.0
    shares = nearest(w, imagined)
    value = shares[:n] @ (w * r) + max(0.0, 1 - shares[:n] @ w) * r.mean()
    radius = (((n + 1) * shares - 1) ** 2).sum() + t_quantile(level, n) ** 2 * deff
    found = {}
    for sign, reward in ((1, r_min), (-1, r_max)):
        ends = []
        for weight in (0.0, w_max):
            start, gain = nearest(w, weight), np.append(w * r, weight * reward)
            sides = np.stack([np.ones(n + 1), np.append(w, weight)])
            free = gain - sides.T @ np.linalg.lstsq(sides.T, gain, rcond=None)[0]  # what moves keep both sums
            left = radius - (((n + 1) * start - 1) ** 2).sum()
            if left >= 0:
                ends.append(sign * (start @ gain) - math.sqrt(left) / (n + 1) * np.linalg.norm(free))
        found[sign] = sign * min(ends)
    return value, found[1], found[-1]


def test_three_rows_by_hand() -> None:
    found = likely([0.5, 2, 1], [1, 0, 1], 4)
    assert found.value == pytest.approx(13 / 35, abs=1e-15)
    assert found.interval == (0, 1)
    assert likely([0.5, 1, 1], [1, 0, 1], 4).value == pytest.approx(230 / 369, abs=1e-15)
    assert likely([0.5, 1, 1], [1, 0, 1], math.inf).value == pytest.approx(11 / 18, abs=1e-15)


def test_hundred_rows() -> None:
    found = likely([2, 0] * 50, TENS, 2)
    assert found.value == pytest.approx(0.6, abs=1e-12)
    assert found.interval == pytest.approx((0.450156, 0.744822), abs=5e-7)
    assert found.reason == ""


@pytest.mark.parametrize(
    ("w_max", "value", "ends"),
    [(4, 0.595100, (0.440323, 0.745607)), (math.inf, 0.59, (0.377970, 0.781431))],
)
def test_hundred_rows_whose_weights_fall_short(w_max: float, value: float, ends: tuple[float, float]) -> None:
    found = likely([1.8, 0] * 50, TENS, w_max)
    assert found.value == pytest.approx(value, abs=5e-7)
    assert found.interval == pytest.approx(ends, abs=1e-6)


def test_weights_that_contradict_their_mean_tell_nothing() -> None:
    w, r = np.append(np.full(99, 2.0), 100.0), np.append(np.zeros(99), 1.0)
    found = likely(w, r, 100)
    assert found == (0, (0, 1), "mean weight")
    value, _, high = naive(w, r, 100, 0, 1)
    assert (value, high) == pytest.approx((-0.998968, -0.959097), abs=5e-7)  # before any cut
    shifted = cressie_read(Six.of(w, r), 0, 100, -2, 1)
    assert shifted.value == pytest.approx(-0.998968, abs=5e-7)
    assert shifted.interval.high == pytest.approx(-0.959097, abs=5e-7)
    assert shifted.reason == ""


@pytest.mark.parametrize("seed", range(12))
def test_the_closed_form_is_the_nearest_re_weighting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, r_min, r_max, w_max = int(rng.integers(3, 60)), -0.5, 1.5, 9.0
    w = np.minimum(rng.gamma(0.5, 2.0, size=n) * rng.choice([0.6, 1.0, 1.5]), w_max)
    r = rng.uniform(r_min, r_max, size=n)
    deff = float(rng.choice([1.0, 2.5]))
    value, low, high = naive(w, r, w_max, r_min, r_max, 0.9, deff)
    found = cressie_read(Six.of(w, r), 0, w_max, r_min, r_max, 0.9, deff)
    assert found.value == pytest.approx(min(max(value, r_min), r_max), abs=1e-9)
    if low > r_max or high < r_min:
        assert found.reason == "mean weight"
    else:
        assert found.interval == pytest.approx((min(max(low, r_min), r_max), max(min(high, r_max), r_min)), abs=1e-8)


@pytest.mark.parametrize("scale", [0.7, 1.3])
def test_no_bound_is_the_limit_of_large_bounds(scale: float) -> None:
    rng = np.random.default_rng(3)
    w, r = scale * rng.gamma(1.0, 1.0, size=50), rng.random(50)
    far, near = likely(w, r, math.inf), likely(w, r, 1e6)
    assert far.value == pytest.approx(near.value, abs=1e-4)
    assert far.interval == pytest.approx(near.interval, abs=1e-4)


def test_the_logging_policy_itself_has_the_mean_reward() -> None:
    for w_max in (1.0, 4.0, math.inf):
        found = likely(np.ones(100), TENS, w_max)
        assert found.value == pytest.approx(0.5, abs=1e-3)
        assert found.interval.low < 0.5 < found.interval.high
    only = cressie_read(Six.of(np.ones(100), TENS), 1, 1, 0, 1)  # no other weight is possible: nothing to re-weigh by
    assert only == (0.5, (0, 1), "")


@given(
    st.lists(st.tuples(st.floats(0, 20), st.floats(0, 1)), min_size=1, max_size=40),
    st.sampled_from([20.0, 300.0, math.inf]),
    st.floats(0.5, 30),
)
def test_value_and_interval_stay_within_the_range_of_the_rewards(rows, w_max: float, deff: float) -> None:
    w, r = np.array(rows).T
    found = likely(w, r, w_max, deff=deff)
    assert 0 <= found.value <= 1
    assert 0 <= found.interval.low <= found.interval.high <= 1


def test_dependence_widens_and_a_level_narrows() -> None:
    w, r = [1.8, 0] * 50, TENS
    plain, wide, narrow = likely(w, r, 4), likely(w, r, 4, deff=3.0), likely(w, r, 4, level=0.5)
    assert wide.interval.low < plain.interval.low < narrow.interval.low
    assert narrow.interval.high < plain.interval.high < wide.interval.high
    assert wide.value == plain.value == narrow.value
    assert likely(w, r, 4, deff=math.inf) == (plain.value, (0, 1), "clusters")


def test_no_rows_and_no_weight() -> None:
    nothing = likely([], [], 4)
    assert math.isnan(nothing.value)
    assert nothing[1:] == ((0, 1), "no rows")
    none = likely(np.zeros(20), np.ones(20), 4)  # weights of 0 alone: the mean reward stands in for all
    assert none.value == pytest.approx(1.0)
    assert none.interval.low < 0.5


def test_sums_that_contradict_their_bounds_are_errors() -> None:
    six = Six.of(np.array([0.5, 2, 1]), np.array([1.0, 0, 1]))
    with pytest.raises(DataError, match="largest weight possible"):
        cressie_read(six, 0, 1.1, 0, 1)
    with pytest.raises(DataError, match="give infinity"):
        cressie_read(six, 0, 0.9, 0, 1)
    with pytest.raises(DataError, match="true range"):
        cressie_read(six, 0, 4, 0, 0.5)
    with pytest.raises(DataError, match="not all finite"):
        cressie_read(six._replace(r1=math.nan), 0, 4, 0, 1)
    for r_min, r_max, deff in ((1, 0, 1), (0, math.inf, 1), (0, 1, 0), (0, 1, math.nan)):
        with pytest.raises(DataError, match="finite r_min < r_max"):
            cressie_read(six, 0, 4, r_min, r_max, deff=deff)


def test_a_sum_over_places_adds_the_ends() -> None:
    level = each_of(0.95, 2)
    one, other = likely([2, 0] * 50, TENS, 2, level=level), likely([1.8, 0] * 50, TENS, 4, level=level)
    found = total([one, other])
    assert found.value == one.value + other.value
    assert found.interval == (one.interval.low + other.interval.low, one.interval.high + other.interval.high)
    assert total([one, likely([], [], 2)]).reason == "no rows"


@pytest.mark.parametrize("seed", range(8))
def test_rounding_does_not_open_an_interval_that_has_no_width(seed: int) -> None:
    """All rewards 1/2, at a level too low for an imagined row of large weight: all re-weightings have it."""
    w = np.random.default_rng(seed).random(50)
    assert likely(w * 50.05 / w.sum(), np.full(50, 0.5), 1e6, level=0.2).interval == pytest.approx((0.5, 0.5), abs=1e-6)
