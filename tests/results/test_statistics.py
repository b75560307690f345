"""Intervals over seeds and over halves of a log: worked by hand, and their coverage measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.distributions import t_quantile
from lersbench.errors import ConfigError
from lersbench.results.statistics import half_width, interval, paired, subsample


def test_three_seeds_by_hand() -> None:
    """Mean 4, variance 21: the interval is 4 +- t_2 sqrt(21 / 3)."""
    found = interval(np.array([0.0, 3.0, 9.0]), "shuffle")
    assert found.mean == 4
    assert half_width(found) == pytest.approx(4.3027 * math.sqrt(7), abs=1e-3)
    assert found.low == pytest.approx(4 - half_width(found))


def test_half_samples_of_one_seed_each_by_hand() -> None:
    """Mean 3, sd 1: the interval is 3 +- t_2 * 1 * sqrt(1 + 1/3)."""
    found = interval(np.array([2.0, 3.0, 4.0]), "subsample")
    assert (found.mean, half_width(found)) == (3, pytest.approx(4.3027 * math.sqrt(4 / 3), abs=1e-3))


def test_half_samples_of_two_seeds_each_by_hand() -> None:
    """Halves (1, 3), (5, 7), (6, 8): means 2, 6, 7 of the variance 7, within 2. The log's part is 7 - 2 / 2 = 6, the
    variance 6 (1 + 1/3) + 2 / 6 = 25/3."""
    values, half = np.array([1.0, 3, 5, 7, 6, 8]), np.repeat([0, 1, 2], 2)
    found = subsample(values, half)
    assert (found.variance, found.df) == (pytest.approx(25 / 3), 2)
    assert half_width(interval(values, "subsample", half=half)) == pytest.approx(4.3027 * math.sqrt(25 / 3), abs=1e-3)
    order = np.array([5, 0, 3, 2, 4, 1])
    assert subsample(values[order], half[order]).variance == pytest.approx(25 / 3)


def test_halves_that_differ_less_than_draws_leave_the_error_of_the_draws() -> None:
    """Halves (0, 4) and (1, 5): between 0.5, within 8, so the log's part is 0 and the variance within / (m q) = 2."""
    assert subsample(np.array([0.0, 4, 1, 5]), np.array([0, 0, 1, 1])).variance == pytest.approx(2)


def test_a_half_that_lacks_a_seed_counts_with_what_it_has() -> None:
    """Halves (1, 3), (5, 7) and (7): within 2 from two spare seeds, q = 3 / (1/2 + 1/2 + 1) = 1.5."""
    found = subsample(np.array([1.0, 3, 5, 7, 7]), np.array([0, 0, 1, 1, 2]))
    log = 7 - 2 / 1.5
    assert found.variance == pytest.approx(log * 4 / 3 + 2 / 4.5)
    with pytest.raises(ConfigError, match="one half a seed"):
        subsample(np.zeros(4), np.zeros(3))


@pytest.mark.parametrize("replicates", ["shuffle", "subsample", "none"])
@pytest.mark.parametrize("seeds", [0, 1])
def test_fewer_than_two_seeds_have_no_interval(replicates: str, seeds: int) -> None:
    found = interval(np.full((seeds, 4), 0.5), replicates)
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert np.isnan(found.mean).all() == (seeds == 0)


def test_halves_without_a_click_have_no_interval_and_no_end_leaves_its_bounds() -> None:
    """No click in any half is not certainty; and a rate of 0.1 % is not -1 %."""
    nothing = interval(np.zeros(20), "subsample", bounds=(0.0, 1.0), floor=0.001)
    assert nothing.mean == 0 and np.isnan(nothing.low) and np.isnan(nothing.high)
    rare = interval(np.array([0.0, 0.0, 0.0, 0.02]), "subsample", bounds=(0.0, 1.0))
    assert rare.low == 0 and 0.02 < rare.high < 1
    assert interval(np.array([0.0, 0.0, 0.0, 0.02]), "subsample").low < 0


def test_an_interval_is_never_of_width_zero_and_its_floor_is_worked_by_hand() -> None:
    same = np.full((10, 2), 0.25)
    assert np.isnan(interval(same, "shuffle").low).all()
    found = interval(same, "shuffle", floor=np.array([0.01, 0.1]), bounds=(0.0, 1.0))
    half = t_quantile(0.95, 9) / math.sqrt(10) * np.array([0.01, 0.1])
    assert found.low == pytest.approx(0.25 - half) and found.high == pytest.approx(0.25 + half)
    wide = np.random.default_rng(1).random(10)
    assert interval(wide, "shuffle", floor=1e-6) == interval(wide, "shuffle")  # a floor does not narrow or move others


def test_unknown_replicates_are_refused() -> None:
    with pytest.raises(ConfigError, match="'jackknife'"):
        interval(np.zeros(3), "jackknife")


def test_curve_points_equal_single_values() -> None:
    values = np.random.default_rng(1).random((10, 7, 3))
    for kind, half in (("shuffle", None), ("subsample", np.arange(10) // 2)):
        whole = interval(values, kind, half=half)
        one = interval(values[:, 4, 2], kind, half=half)
        assert [part[4, 2] for part in whole] == pytest.approx([float(part) for part in one])


def test_nan_stays_where_it_is() -> None:
    values = np.random.default_rng(1).random((5, 3))
    values[2, 1] = np.nan
    for kind in ("shuffle", "subsample"):
        assert np.isnan(np.stack(interval(values, kind))).tolist() == [[False, True, False]] * 3


def test_half_samples_do_not_narrow_with_their_number_but_seeds_do() -> None:
    draws = np.random.default_rng(1).standard_normal(400)
    half = {n: [half_width(interval(draws[:n], kind)) for kind in ("shuffle", "subsample")] for n in (25, 400)}
    assert half[400][0] == pytest.approx(half[25][0] / 4, rel=0.25)
    assert half[400][1] == pytest.approx(half[25][1], rel=0.25)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_coverage_of_normal_values_is_exact(seeds: int) -> None:
    values = np.random.default_rng(seeds).standard_normal((seeds, 6000))
    found = interval(values, "shuffle")
    assert np.mean((found.low <= 0) & (found.high >= 0)) == pytest.approx(0.95, abs=0.01)


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


def test_coverage_of_half_samples_that_a_policy_sees_a_part_of() -> None:
    """Rejection replay: each seed keeps a fifth of its half. Ten halves of two seeds cover about 91 %; the same twenty
    seeds, each taken for a half of its own, cover always and are more than twice as wide."""
    rng = np.random.default_rng(1)
    hits, always, shares = 0, 0, []
    for _ in range(400):
        log = rng.random(1000) < 0.3
        seen = [np.flatnonzero(rng.permutation(1000) < 500) for _ in range(10)]
        values = np.array(
            [log[half][rng.random(len(half)) < 0.2].mean() for half in np.repeat(np.array(seen), 2, axis=0)]
        )
        found, wide = (interval(values, "subsample", half=half) for half in (np.arange(20) // 2, None))
        hits += bool(found.low <= 0.3 <= found.high)
        always += bool(wide.low <= 0.3 <= wide.high)
        shares.append(float(half_width(found) / half_width(wide)))
    assert 0.87 < hits / 400 < 0.98
    assert always / 400 > 0.99
    assert np.median(shares) < 0.75


def test_pairing_cancels_what_the_seeds_share() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 10, 10)
    a, b = shared + rng.normal(1, 0.1, 10), shared + rng.normal(0, 0.1, 10)
    found = paired(a, b, "shuffle")
    assert found.mean == pytest.approx(a.mean() - b.mean())
    assert half_width(found) < 0.2 < half_width(interval(a, "shuffle"))
