"""Intervals, paired differences and rank ranges: worked by hand, and their coverage measured."""

from __future__ import annotations

import math
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest

from lersbench.distributions import t_quantile
from lersbench.errors import ConfigError
from lersbench.results import statistics
from lersbench.results.statistics import (
    compare_pairs,
    half_width,
    interval,
    p_value,
    paired,
    rank_ranges,
)


def test_bootstrap_of_three_seeds_by_hand() -> None:
    """All 27 resamples of (0, 3, 9) written out: the sampled percentiles tend to those of the list."""
    values = np.array([0.0, 3.0, 9.0])
    means = np.sort([sum(draw) / 3 for draw in product(values, repeat=3)])
    assert (means[0], means[-1]) == (0, 9)  # each has probability 1/27 = 3.7 % > 2.5 %, so they are the percentiles
    stretch = math.sqrt(3 / 2) * t_quantile(0.95, 2) / NormalDist().inv_cdf(0.975)
    found = interval(values, "shuffle")
    assert found.mean == 4
    assert found.low == pytest.approx(4 - stretch * 4)
    assert found.high == pytest.approx(4 + stretch * 5)
    assert half_width(found) == pytest.approx(stretch * 4.5)


def test_half_samples_by_hand() -> None:
    """Mean 3, sd 1: the interval is 3 +- t_2 * 1 * sqrt(1 + 1/3), whatever the bootstrap says."""
    found = interval(np.array([2.0, 3.0, 4.0]), "subsample")
    assert (found.mean, half_width(found)) == (3, pytest.approx(4.3027 * math.sqrt(4 / 3), abs=1e-3))


@pytest.mark.parametrize("replicates", ["shuffle", "subsample", "none"])
@pytest.mark.parametrize("seeds", [0, 1])
def test_fewer_than_two_seeds_have_no_interval(replicates: str, seeds: int) -> None:
    found = interval(np.full((seeds, 4), 0.5), replicates)
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert np.isnan(found.mean).all() == (seeds == 0)


def test_halves_without_a_click_have_no_interval_and_no_end_leaves_its_bounds() -> None:
    """No click in any half is not certainty; and a rate of 0.1 % is not -1 %."""
    nothing = interval(np.zeros(20), "subsample", bounds=(0.0, 1.0))
    assert nothing.mean == 0 and np.isnan(nothing.low) and np.isnan(nothing.high)
    rare = interval(np.array([0.0, 0.0, 0.0, 0.02]), "subsample", bounds=(0.0, 1.0))
    assert rare.low == 0 and 0.02 < rare.high < 1
    assert interval(np.array([0.0, 0.0, 0.0, 0.02]), "subsample").low < 0


def test_unknown_replicates_are_refused() -> None:
    with pytest.raises(ConfigError, match="'jackknife'"):
        interval(np.zeros(3), "jackknife")


def test_curve_points_equal_single_values_and_repeat_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).random((10, 7, 3))
    whole = interval(values, "shuffle")
    one = interval(values[:, 4, 2], "shuffle")
    assert [part[4, 2] for part in whole] == pytest.approx([float(part) for part in one])
    monkeypatch.setattr(statistics, "BLOCK", 5 * statistics.RESAMPLES)  # several blocks
    assert np.stack(whole) == pytest.approx(np.stack(interval(values, "shuffle")), abs=1e-12)


def test_nan_stays_where_it_is() -> None:
    values = np.random.default_rng(1).random((5, 3))
    values[2, 1] = np.nan
    found = interval(values, "shuffle")
    assert np.isnan(np.stack(found)).tolist() == [[False, True, False]] * 3


def test_half_samples_do_not_narrow_with_their_number_but_seeds_do() -> None:
    draws = np.random.default_rng(1).standard_normal(400)
    half = {n: [half_width(interval(draws[:n], kind)) for kind in ("shuffle", "subsample")] for n in (25, 400)}
    assert half[400][0] == pytest.approx(half[25][0] / 4, rel=0.25)
    assert half[400][1] == pytest.approx(half[25][1], rel=0.25)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_coverage_of_the_stretched_bootstrap(seeds: int) -> None:
    """20,000 samples gave 94.8, 94.6 and 94.8 %; the plain percentiles cover 75 to 90 %."""
    values = np.random.default_rng(seeds).standard_normal((seeds, 3000))
    found = interval(values, "shuffle", resamples=1000)
    assert np.mean((found.low <= 0) & (found.high >= 0)) == pytest.approx(0.95, abs=0.015)
    low, high = statistics._percentiles(values, 0.95, 1000, 0)
    assert np.mean((low <= 0) & (high >= 0)) < 0.92


def test_coverage_of_half_samples() -> None:
    """The click rate of a log of 1,000 rounds, estimated from ten halves of it that share their rounds."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(600):
        log = rng.random(1000) < 0.05
        halves = np.array([rng.permutation(log)[:500].mean() for _ in range(10)])
        found = interval(halves, "subsample")
        hits += bool(found.low <= 0.05 <= found.high)
    assert hits / 600 == pytest.approx(0.95, abs=0.03)


def test_pairing_cancels_what_the_seeds_share() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 10, 10)
    a, b = shared + rng.normal(1, 0.1, 10), shared + rng.normal(0, 0.1, 10)
    found = paired(a, b, "shuffle")
    assert found.mean == pytest.approx(a.mean() - b.mean())
    assert half_width(found) < 0.2 < half_width(interval(a, "shuffle"))


def test_p_values_by_hand() -> None:
    """Mean 2, sd 1, n 3: t = 2 sqrt(3), and P(|T_2| > t) = 1 - t / sqrt(2 + t^2) = 1 - sqrt(12 / 14)."""
    assert p_value(np.array([1.0, 2.0, 3.0]), "shuffle") == pytest.approx(1 - math.sqrt(12 / 14))
    assert all(math.isnan(p_value(x, "shuffle")) for x in (np.array([1.0]), np.zeros(5), np.full(5, 0.1)))
    assert p_value(np.array([1.0, 2.0, 3.0]), "subsample") > p_value(np.array([1.0, 2.0, 3.0]), "shuffle")


def test_ranks_of_two_clear_groups() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (4, 10))
    values = np.array([[5.0], [1.0], [5.0], [1.0]]) + noise
    assert rank_ranges(values, True, "shuffle") == [(1, 2), (3, 4), (1, 2), (3, 4)]
    assert rank_ranges(values, False, "shuffle") == [(3, 4), (1, 2), (3, 4), (1, 2)]
    assert rank_ranges(values[:, :2], True, "shuffle") == [None] * 4  # two seeds tell nothing apart


def test_a_wide_contender_is_not_put_behind_what_it_was_not_shown_to_be_worse_than() -> None:
    rng = np.random.default_rng(1)
    wide = rng.normal(0, 5, 10)
    values = np.stack([rng.normal(1, 0.1, 10), rng.normal(0, 0.1, 10), wide])
    assert rank_ranges(values, True, "shuffle") == [(1, 2), (2, 3), (1, 3)]


def test_missing_seeds_are_compared_on_those_both_have() -> None:
    values = np.array([[5.0, 5.1, 5.2, 5.1], [1.0, 1.2, np.nan, 1.15], [np.nan, np.nan, np.nan, 9.0]])
    assert rank_ranges(values, True, "shuffle") == [(1, 2), (2, 3), None]


def test_equal_contenders_are_seldom_told_apart() -> None:
    """Holm's promise for 8 equal contenders, 28 pairs: some pair is separated in at most 5 % of the tables."""
    rng = np.random.default_rng(1)
    draws = (rng.standard_normal((8, 10)) for _ in range(300))
    wrong = sum(rank_ranges(values, True, "shuffle", together=True) != [(1, 8)] * 8 for values in draws)
    assert wrong / 300 < 0.07


def test_all_pairs_at_once_are_the_pairs_one_by_one() -> None:
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(size=(12, 9)), 1)
    values[rng.random(values.shape) < 0.3] = np.nan
    for floor in (0.0, 0.1):
        p, mean = compare_pairs(values, "subsample", floor)
        for a in range(12):
            for b in range(12):
                difference = values[a] - values[b]
                difference = difference[np.isfinite(difference)]
                alone = p_value(difference, "subsample", floor) if a != b else math.nan
                assert p[a, b] == pytest.approx(alone, rel=1e-9, abs=0, nan_ok=True)
                assert mean[a, b] == pytest.approx(difference.mean() if difference.size else 0.0, abs=1e-15)
    assert np.isnan(p).sum() > 12  # some pairs have too few seeds, or too few values
