"""Moderated Welch tests: worked by hand, against naive twins, and their errors counted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.distributions import t_beyond
from lersbench.errors import DataError
from lersbench.ranks import ranges_of
from lersbench.results import separation
from lersbench.results.separation import prior, separate, spreads, trigamma_inverse


def p_by_hand(difference: float, variance: float, df: float) -> float:
    return float(t_beyond(difference / math.sqrt(variance), df))


def test_two_contenders_by_hand() -> None:
    """Means 2 and 5, variances of the means 1/3 and 4/4: t = 3 / sqrt(4/3), Welch's df = (4/3)^2 / (1/18 + 1/3)."""
    values = np.array([[1.0, 2.0, 3.0, np.nan], [0.0, 0.0, 0.0, 0.0]])
    values[1] = [3.0, 5.0 - math.sqrt(2), 5.0 + math.sqrt(2), 7.0]
    found = separate(values)
    assert found.mean[0, 1] == pytest.approx(-3)
    assert found.spread.variance == pytest.approx([1 / 3, 1])
    assert found.df[0, 1] == pytest.approx((4 / 3) ** 2 / ((1 / 3) ** 2 / 2 + 1 / 3))
    assert found.p[0, 1] == found.p[1, 0] == pytest.approx(p_by_hand(3, 4 / 3, float(found.df[0, 1])))
    assert np.isnan(np.diag(found.p)).all() and (np.diag(found.mean) == 0).all()


def test_the_trigamma_function_is_inverted() -> None:
    """psi'(1) = pi^2 / 6, psi'(1/2) = pi^2 / 2, and psi'(x) is near 1 / x + 1 / (2 x^2) far out."""
    assert trigamma_inverse(math.pi**2 / 6) == pytest.approx(1, abs=1e-12)
    assert trigamma_inverse(math.pi**2 / 2) == pytest.approx(0.5, abs=1e-12)
    assert trigamma_inverse(1 / 1000 + 1 / 2e6 + 1 / 6e9) == pytest.approx(1000, rel=1e-9)
    assert trigamma_inverse(1e8) == pytest.approx(1e-4, rel=1e-4)


def test_what_a_family_lends_is_found_again() -> None:
    """Variances drawn as the model has them, s0^2 d0 / chi2(d0) times chi2(d) / d: 3,000 contenders give d0 and s0."""
    rng = np.random.default_rng(1)
    d0, s02, d = 8.0, 4.0, np.where(np.arange(3000) % 2, 4.0, 99.0)
    variances = s02 * d0 / rng.chisquare(d0, 3000) * rng.chisquare(d) / d
    found, at = prior(variances, d)
    assert found == pytest.approx(d0, rel=0.12)
    assert at == pytest.approx(s02, rel=0.05)
    assert prior(s02 * rng.chisquare(d) / d, d)[0] > 25  # no spread of its own: at most 30
    assert prior(np.full(5, 2.0), np.full(5, 4.0))[0] == separation.MOST


def test_the_moderated_variance_is_the_larger_of_its_own_and_the_lent() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, np.array([1, 1.2, 0.8, 1.1, 5.0, 0.1])[:, None], (6, 4))
    own = values.var(axis=1, ddof=1)
    d0, s02 = prior(own, np.full(6, 3.0))
    found = spreads(values, ["a"] * 6)
    assert found.variance == pytest.approx(np.maximum(own, (d0 * s02 + 3 * own) / (d0 + 3)) / 4)
    assert found.df == pytest.approx(np.full(6, 3 + d0))
    assert found.variance[4] == pytest.approx(own[4] / 4) and found.variance[5] > own[5] / 4


def test_nobody_lends_in_a_small_family_and_who_stands_at_the_floor_does_not_borrow() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, (8, 5))
    values[3] = 0.5  # the same in every seed: ln 0
    found = spreads(values, ["a", "a", "a", "a", "b", "b", "b", "b"], floor=0.01)
    own = values.var(axis=1, ddof=1)
    assert found.df[:3] == pytest.approx([4, 4, 4])  # three of the four of "a" are above the floor
    assert found.variance[:3] == pytest.approx(own[:3] / 5)
    assert found.variance[3] == pytest.approx(0.01**2 / 5) and found.df[3] == 4
    assert (found.df[4:] > 4).all()


def test_no_p_value_from_fewer_than_three_values_but_of_what_draws_nothing() -> None:
    values = np.array([[0.1, 0.2, 0.1, 0.2], [0.5, 0.51, 0.52, 0.5], [0.9, 0.9, 0.9, 0.9], [0.8, 0.8, 0.8, 0.8]])
    told = np.isfinite(separate(values, floor=0.001).p)
    assert told.tolist() == [
        [False, False, False, False],
        [False, False, True, True],
        [False, True, False, False],  # the order of two that are always the same is a fact, on this log
        [False, True, False, False],
    ]
    assert np.isnan(separate(values[:, :1]).p).all() and np.isnan(separate(values[:, :2]).p).all()
    values[2:, 2:] = np.nan
    assert np.isnan(separate(values, floor=0.001).p).all()  # two equal values are chance,
    draws_nothing = separate(values, floor=0.001, steady=np.array([False, False, True, False])).p
    assert np.isfinite(draws_nothing[1, 2]) and np.isfinite(draws_nothing).sum() == 2  # but of what draws nothing
    noise = 0.1 + np.array([[0.0, 1e-15, -1e-15, 0.0], [1.0, 1.0, 1.0 + 1e-15, 1.0]])
    assert np.isnan(separate(noise).p).all()  # rounding is no third value


def test_p_is_never_zero() -> None:
    values = np.array([[0.0], [1e4]]) + np.random.default_rng(1).normal(0, 1e-3, (2, 90))
    assert separate(values).p[0, 1] == separation.LEAST_P > 0


def test_shared_rounds_are_paired_where_they_profit_and_only_there() -> None:
    """30 seeds that share a lucky order: the paired t test by hand; with 19 of them, or unlike orders, Welch's."""
    rng = np.random.default_rng(1)
    order, noise = rng.normal(0, 1, 30), rng.normal(0, 0.1, (3, 30))
    values = np.stack([order + noise[0], order + noise[1] + 0.05, rng.normal(0, 1, 30)])
    values[2, 25:] = np.nan
    found = separate(values)
    apart = values[0] - values[1]
    assert found.variance[0, 1] == pytest.approx(apart.var(ddof=1) / 30)
    assert (found.df[0, 1], found.mean[0, 1]) == (29, pytest.approx(apart.mean()))
    q = [row[np.isfinite(row)].var(ddof=1) / np.isfinite(row).sum() for row in values]
    assert found.variance[0, 2] == pytest.approx(q[0] + q[2])
    few = separate(values[:2, :19])
    assert few.variance[0, 1] == pytest.approx(values[:2, :19].var(axis=1, ddof=1).sum() / 19)


def test_halves_are_compared_seed_by_seed() -> None:
    rng = np.random.default_rng(1)
    shared = np.repeat(rng.normal(0, 1, 10), 2)  # the luck of a half, the same for all contenders
    values = np.stack([shared, shared + 0.3]) + rng.normal(0, 0.05, (2, 20))
    found = separate(values, replicates="subsample", half=np.arange(20) // 2)
    assert found.p[0, 1] < 1e-3
    assert found.spread.variance[0] > 100 * found.variance[0, 1]
    assert found.df[0, 1] == 9


def test_a_table_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(DataError, match="one family a contender"):
        separate(np.zeros((3, 4)), ["a", "b"])


# Errors counted -------------------------------------------------------------------------------------------------------
def wrong(tables: int, seeds: tuple[int, int], together: bool, spread: float = 0.0) -> float:
    """How often 14 and 13 equal contenders of so many seeds have a range that is not 1-27; any, or a single one's."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(tables):
        values = rng.normal(0, np.exp(spread * rng.standard_normal(27))[:, None], (27, max(seeds)))
        values[14:, seeds[1] :] = np.nan
        tests = separate(values, ["compiled"] * 14 + ["neural"] * 13)
        off = [one != (1, 27) for one in ranges_of(tests.p, tests.mean, True, together=together)]
        found.append(any(off) if together else np.mean(off))
    return float(np.mean(found))


def test_equal_contenders_of_100_and_5_seeds_are_seldom_told_apart() -> None:
    """All 351 pairs at once: 1.5 to 3.1 % of the tables, measured on more."""
    assert wrong(200, (100, 5), together=True, spread=0.5) < 0.065


def test_equal_contenders_of_10_and_3_seeds_are_too() -> None:
    """2.8 to 7.5 %, measured on more; Welch's test without moderation: 21 %."""
    assert wrong(200, (10, 3), together=True, spread=0.5) < 0.13


def test_a_range_of_its_own_is_right_with_95_percent() -> None:
    assert 0.005 < wrong(100, (100, 5), together=False) < 0.065


def test_five_seeds_find_what_lies_apart() -> None:
    """Means one standard deviation of a seed apart: of 13 contenders of five seeds most of the far pairs are found."""
    rng = np.random.default_rng(5)
    values = rng.normal(np.arange(13.0)[:, None], 1, (13, 5))
    found = separate(values, ["neural"] * 13)
    widths = [best_worst[1] - best_worst[0] for best_worst in ranges_of(found.p, found.mean, True) if best_worst]
    alone = separate(values)
    unaided = [one[1] - one[0] for one in ranges_of(alone.p, alone.mean, True) if one]
    assert len(widths) == 13 and np.mean(widths) < 0.8 * np.mean(unaided)


def test_two_values_that_differ_by_one_outcome_are_tested_by_the_resolution() -> None:
    step = 1 / 1000
    near, far = np.array([0.544, 0.545] * 3), np.array([0.544, 0.560] * 3)
    other = np.array([0.60, 0.61, 0.62, 0.63, 0.61, 0.62])
    for values, tested in ((near, True), (far, False)):
        found = separation.separate(np.stack([values, other]), floor=step)
        assert np.isfinite(found.p[0, 1]) == tested
    assert found.spread.known.tolist() == [False, True]
