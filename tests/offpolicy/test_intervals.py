"""Intervals from sums: worked by hand, against their definitions, and what repeating a log may change."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy.betting import betting
from lersbench.offpolicy.empirical_likelihood import cressie_read
from lersbench.offpolicy.intervals import (
    Interval,
    Six,
    bernstein,
    bernstein_radius,
    cluster_error,
    design_effect,
    each_of,
    gamma,
    normal,
    row_errors,
    truncated,
)

W, R = np.array([0.5, 2.0, 1.0]), np.array([1.0, 0.0, 1.0])
Z = 1.959963984540054


def rare() -> tuple[np.ndarray, np.ndarray]:
    """1,000 rows with five clicks, one of them on one of four heavy rows."""
    w, r = np.repeat([0.5, 1.5, 26.5], [600, 396, 4]), np.zeros(1000)
    r[[0, 1, 600, 601, 996]] = 1
    return w, r


def random_log(seed: int, users: int = 40, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, rewards and users of rows whose rewards depend on the user."""
    rng = np.random.default_rng(seed)
    user, w = rng.integers(users, size=rows), rng.gamma(2.0, 0.5, size=rows)
    return w, (rng.random(rows) < rng.random(users)[user]).astype(float), user


def by_user(w: np.ndarray, r: np.ndarray, user: np.ndarray, groups: int) -> tuple[float, int]:
    """The cluster error of SNIPS and its groups."""
    psi = w * (r - (w @ r) / w.sum()) / w.mean()
    counts = np.bincount(user, minlength=groups)
    error, found = cluster_error(np.bincount(user, psi, minlength=groups), counts)
    return float(error), found


# Errors


def test_row_errors_of_three_rows_by_hand() -> None:
    ips, snips = row_errors(Six.of(W, R))
    assert ips == pytest.approx(math.sqrt(1 / 4 / 3), abs=1e-15)  # the values 1/2, 0, 1
    assert snips == pytest.approx(math.sqrt(144 / 343) / math.sqrt(3), abs=1e-15)  # influences (12, -36, 24) / 49
    error, groups = cluster_error(np.array([12, -36, 24]) / 49, np.ones(3))
    assert (float(error), groups) == (pytest.approx(snips, abs=1e-15), 3)


@pytest.mark.parametrize("seed", range(3))
def test_row_errors_are_the_spread_of_the_influence_values(seed: int) -> None:
    w, r, _ = random_log(seed)
    v, value = w * r, (w @ r) / w.sum()
    n = len(w)
    ips, snips = row_errors(Six.of(w, r))
    assert ips == pytest.approx(v.std(ddof=1) / math.sqrt(n), rel=1e-12)
    assert snips == pytest.approx((w * (r - value) / w.mean()).std(ddof=1) / math.sqrt(n), rel=1e-12)


def test_rewards_that_are_all_the_same_leave_snips_no_error() -> None:
    ips, snips = row_errors(Six.of(W, np.ones(3)))
    assert snips == 0
    assert ips == pytest.approx(0.4409586, abs=1e-7)  # of the weights themselves: (1/2, 2, 1) with variance 7/12
    assert ips * 6 / 7 == pytest.approx(0.377964, abs=1e-6)  # what a fixed denominator 7/6 would make of it


def test_clusters_of_three_users_by_hand() -> None:
    """Users with the values (1, 3), (0, 0) and (2): mean 6/5, sums of deviations 8/5, -12/5, 4/5."""
    error, groups = cluster_error(np.array([8 / 5, -12 / 5, 4 / 5]), np.array([2, 2, 1]))
    assert float(error) ** 2 == pytest.approx(336 / 625, abs=1e-15)
    assert float(error) == pytest.approx(0.733212, abs=5e-7)
    assert groups == 3
    rows, _ = cluster_error(np.array([1, 3, 0, 0, 2]) - 6 / 5, np.ones(5))
    assert float(rows) ** 2 == pytest.approx(0.34, abs=1e-15)
    assert float(rows) == pytest.approx(0.583095, abs=5e-7)


def test_only_groups_that_hold_a_row_count() -> None:
    psi, counts = np.array([8 / 5, 0, -12 / 5, 4 / 5, 0]), np.array([2, 0, 2, 1, 0])
    error, groups = cluster_error(psi, counts)
    assert groups == 3
    assert float(error) == pytest.approx(0.733212, abs=5e-7)
    with_silent = cluster_error(psi, np.array([2, 1, 2, 1, 1]))  # rows whose influence is 0 are rows all the same
    assert with_silent[1] == 5


def test_influence_sums_that_are_not_centred_are() -> None:
    psi, counts = np.array([1.0, 3, 0, 0, 2]), np.ones(5)
    np.testing.assert_allclose(cluster_error(psi, counts)[0], cluster_error(psi - 6 / 5, counts)[0], rtol=1e-14)


def test_one_group_tells_no_error() -> None:
    error, groups = cluster_error(np.array([[0.0, 0], [1, 0]]), np.array([7, 0]))
    assert np.isnan(error).all()
    assert error.shape == (2,)
    assert groups == 1
    with pytest.raises(DataError, match="one a group"):
        cluster_error(np.zeros(3), np.ones(2))


def test_a_log_repeated_with_the_same_users_says_no_more_by_user_and_more_by_row() -> None:
    w, r, user = random_log(5)
    twice = np.tile(w, 2), np.tile(r, 2), np.tile(user, 2)
    once, again = by_user(w, r, user, 40), by_user(*twice, 40)
    assert again[0] == pytest.approx(once[0], rel=1e-12)
    assert again[1] == once[1]
    rows, more = row_errors(Six.of(w, r)).snips, row_errors(Six.of(*twice[:2])).snips
    assert rows / more == pytest.approx(math.sqrt(2 * (len(w) - 0.5) / (len(w) - 1)), rel=1e-12)
    assert by_user(w, r, user, 40)[0] > rows  # rewards depend on the user


def test_the_order_of_rows_and_groups_changes_nothing() -> None:
    w, r, user = random_log(6)
    order, names = np.random.default_rng(0).permutation(len(w)), np.random.default_rng(1).permutation(40)
    assert by_user(w[order], r[order], names[user[order]], 40)[0] == pytest.approx(
        by_user(w, r, user, 40)[0], rel=1e-12
    )
    assert Six.of(w[order], r[order]) == pytest.approx(Six.of(w, r), rel=1e-12)


def test_the_sums_of_two_parts_are_those_of_the_whole() -> None:
    w, r, _ = random_log(7)
    parts = [Six.of(w[:150], r[:150]), Six.of(w[150:], r[150:])]
    assert Six(*map(sum, zip(*parts, strict=True))) == pytest.approx(Six.of(w, r), rel=1e-12)


def test_clicks_held_in_bytes_are_not_summed_in_bytes() -> None:
    clicks = np.ones(200, dtype=np.int8)
    assert int(clicks.sum(dtype=np.int8)) == -56
    assert Six.of(clicks, clicks) == (200, 200, 200, 200, 200, 200, 200)


def test_design_effect() -> None:
    assert design_effect(0.2, 0.1) == pytest.approx(4)
    assert design_effect(0.0, 0.0) == 1
    assert design_effect(math.nan, 0.1) == math.inf


# Normal


def test_normal_intervals_by_group_and_by_row() -> None:
    assert normal(1.0, 0.5) == pytest.approx((1 - 0.5 * Z, 1 + 0.5 * Z))
    assert normal(1.0, 0.5, groups=3) == pytest.approx((1 - 0.5 * 4.302653, 1 + 0.5 * 4.302653), abs=1e-6)
    assert all(math.isnan(end) for end in normal(1.0, 0.5, groups=1))
    assert all(math.isnan(end) for end in normal(1.0, math.nan))
    assert each_of(0.95, 5) == pytest.approx(0.99)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
def test_a_level_that_is_none_is_an_error(level: float) -> None:
    for attempt in (
        lambda: normal(0.0, 1.0, level=level),
        lambda: gamma(1.0, 1.0, 1.0, 10, level),
        lambda: bernstein(0.5, 0.1, 10, 1.0, level),
        lambda: betting(np.zeros(3), 1.0, level),
        lambda: cressie_read(Six.of(W, R), 0, 4, 0, 1, level),
        lambda: each_of(level, 2),
    ):
        with pytest.raises(ConfigError, match=r"0\.95 for instance"):
            attempt()


# Gamma


def test_gamma_of_three_weighted_clicks() -> None:
    assert gamma(7, 21, 8, 100) == pytest.approx((0.010623, 0.377245), abs=5e-7)


def test_gamma_without_a_click_ends_at_one_of_the_largest_weight() -> None:
    low, high = gamma(0, 0, 8, 100)
    assert low == 0
    assert high == pytest.approx(0.295110, abs=5e-7)
    assert high == pytest.approx(8 * -math.log(0.025) / 100, rel=1e-12)  # the Poisson rate of no event


def test_gamma_of_equal_weights_is_the_exact_poisson_interval() -> None:
    low, high = gamma(3, 3, 1, 100)
    assert (low, high) == pytest.approx((0.006187, 0.087673), abs=5e-7)
    below = sum(math.exp(-100 * high) * (100 * high) ** k / math.factorial(k) for k in range(4))
    above = 1 - sum(math.exp(-100 * low) * (100 * low) ** k / math.factorial(k) for k in range(3))
    assert (below, above) == pytest.approx((0.025, 0.025), rel=1e-9)  # Garwood: 3 or fewer, 3 or more


def test_gamma_without_a_bound_has_no_upper_end_and_refuses_what_can_be_negative() -> None:
    assert gamma(7, 21, math.inf, 100) == (pytest.approx(0.010623, abs=5e-7), math.inf)
    for y, s2, k, n in ((-1, 1, 1, 10), (1, 1, 0, 10), (1, 1, 1, 0), (math.nan, 1, 1, 10)):
        with pytest.raises(DataError, match="rewards >= 0"):
            gamma(y, s2, k, n)


def test_rare_clicks_and_heavy_weights() -> None:
    """The normal interval promises clicks below 0 where one heavy row carries the value; the others do not."""
    six = Six.of(*rare())
    ips, error = six.r1 / six.n, row_errors(six).ips
    assert six.s1 / six.n == 1
    assert six.s1**2 / six.s2 == pytest.approx(259.74, abs=5e-3)
    assert six.r1**2 / six.q2 == pytest.approx(1.3153, abs=5e-5)
    assert (ips, error) == (pytest.approx(0.0305), pytest.approx(0.026590, abs=5e-7))
    assert normal(ips, error) == pytest.approx((-0.0216, 0.0826), abs=5e-5)
    assert cressie_read(six, 0, 100, 0, 1).interval == pytest.approx((0, 0.123331), abs=5e-7)
    assert gamma(six.r1, six.q2, 100, six.n) == pytest.approx((0.001638, 0.397258), abs=5e-7)


# Empirical Bernstein


def test_bernstein_by_hand() -> None:
    v = np.array([4.0, 4, 0, 0, 0, 0, 0, 0, 0, 0])
    assert (v.mean(), v.var(ddof=1)) == pytest.approx((0.8, 2.8444), abs=5e-5)
    radius = bernstein_radius(v.var(ddof=1), 10, 4, 0.05)
    assert radius == pytest.approx(5.274146, abs=5e-7)
    assert bernstein(v.mean(), v.var(ddof=1), 10, 4, 0.9) == (0, 4)  # wider than the range: cut to it


def test_bernstein_of_many_rows() -> None:
    low, high = bernstein(0.3, 0.04, 10_000, 2.0)
    radius = math.sqrt(2 * 0.04 * math.log(80) / 10_000) + 7 * 2 * math.log(80) / (3 * 9_999)
    assert (low, high) == pytest.approx((0.3 - radius, 0.3 + radius), rel=1e-12)
    assert bernstein(0.3, 0.0, 1, 2.0) == (0, 2)
    assert bernstein(0.3, 0.1, 100, math.inf) == (0, math.inf)


# Bounds


def test_bounds_of_a_deterministic_logger() -> None:
    """Four rows, the target agrees on two of them, with rewards 1 and 0: between 1/4 and 3/4, whatever a model says."""
    answered = 1 / 4
    assert truncated(Interval(answered, answered), 2 / 4, 0, 1) == (0.25, 0.75)
    assert truncated(Interval(0.1, 0.4), 0.5, 0, 1) == pytest.approx((0.1, 0.9))
    assert truncated(Interval(0.1, 0.4), 0.5, -1, 1) == pytest.approx((-0.4, 0.9))
    assert truncated(Interval(-0.2, 0.7), 0.5, 0, 1) == (0, 1)
    for missing, least, most in ((1.5, 0, 1), (-0.1, 0, 1), (0.5, 1, 0), (math.nan, 0, 1)):
        with pytest.raises(DataError, match="bounds need"):
            truncated(Interval(0, 1), missing, least, most)


def test_an_interval_is_cut_to_what_a_value_can_be() -> None:
    assert Interval(-1, 0.5).within(0, 1) == (0, 0.5)
    assert Interval(2, 3).within(0, 1) == (1, 1)
    assert all(math.isnan(end) for end in Interval(math.nan, math.nan).within(0, 1))
