"""Contenders on the same rows: paired differences by hand, ranks, and a band for all at once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.distributions import t_quantile
from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy.compare import differences, rank_ranges, simultaneous
from lersbench.offpolicy.intervals import cluster_error

A, B = np.array([1.5, 0.0, 1.0, 0.5]), np.array([1.0, 0.0, 0.5, 0.5])


def compared(*rows: np.ndarray, users: np.ndarray | None = None):
    """The differences of contenders from their row values, each row a user of its own where none are given."""
    n = len(rows[0])
    users = np.arange(n) if users is None else users
    groups = int(users.max()) + 1
    values = np.array([row.mean() for row in rows])
    psi = np.array([np.bincount(users, row - row.mean(), minlength=groups) for row in rows])
    return differences(values, psi, np.bincount(users, minlength=groups))


def test_a_pair_by_hand() -> None:
    found = compared(A, B)
    assert found.value[0, 1] == 0.25
    assert found.error[0, 1] == pytest.approx(math.sqrt(1 / 48), abs=1e-15)  # of the differences 1/2, 0, 1/2, 0
    assert found.error[0, 1] == pytest.approx(0.144338, abs=5e-7)
    own = [float(cluster_error(row - row.mean(), np.ones(4))[0]) for row in (A, B)]
    assert math.hypot(*own) == pytest.approx(0.381881, abs=5e-7)  # as if the rows of B were others than those of A
    half = t_quantile(0.95, 3) * found.error[0, 1]
    assert (found.low[0, 1], found.high[0, 1]) == pytest.approx((0.25 - half, 0.25 + half), rel=1e-12)
    assert found.p[0, 1] == pytest.approx(0.181690, abs=5e-7)  # of t = sqrt(3) with 3 degrees of freedom
    assert found.groups == 4


def test_pairs_are_antisymmetric() -> None:
    rng = np.random.default_rng(0)
    found = compared(*rng.random((4, 50)), users=rng.integers(12, size=50))
    np.testing.assert_array_equal(found.value, -found.value.T)
    np.testing.assert_array_equal(found.error, found.error.T)
    np.testing.assert_array_equal(found.p, found.p.T)
    np.testing.assert_allclose(found.low, -found.high.T, rtol=1e-12)
    assert np.isnan(np.diag(found.p)).all()
    assert (np.diag(found.error) == 0).all()


def test_the_error_of_a_pair_is_that_of_its_row_differences_by_user() -> None:
    rng = np.random.default_rng(1)
    users, rows = rng.integers(20, size=200), rng.random((3, 200))
    found = compared(*rows, users=users)
    gap = rows[2] - rows[0]
    psi = np.bincount(users, gap - gap.mean(), minlength=20)
    error, groups = cluster_error(psi, np.bincount(users, minlength=20))
    assert found.error[2, 0] == pytest.approx(float(error), rel=1e-12)
    assert found.value[2, 0] == pytest.approx(gap.mean(), rel=1e-12)
    assert found.groups == groups


def test_repeating_the_log_with_the_same_users_adds_no_certainty() -> None:
    rng = np.random.default_rng(2)
    users, rows = rng.integers(20, size=200), rng.random((2, 200))
    once = compared(*rows, users=users)
    twice = compared(*np.tile(rows, (1, 2)), users=np.tile(users, 2))
    np.testing.assert_allclose(twice.error, once.error, rtol=1e-12)
    np.testing.assert_allclose(twice.p, once.p, rtol=1e-9)


def test_two_names_of_one_policy_cannot_be_told_apart() -> None:
    rng = np.random.default_rng(3)
    row = rng.random(40)
    found = compared(row, row * (1 + 1e-16), row + np.linspace(0, 1, 40))
    assert found.error[0, 1] == 0
    assert math.isnan(found.p[0, 1])
    assert rank_ranges(found) == [(2, 3), (2, 3), (1, 1)]


def test_one_group_compares_nobody() -> None:
    found = compared(A, B, users=np.zeros(4, dtype=np.int64))
    assert math.isnan(found.error[0, 1])
    assert math.isnan(found.low[0, 1])
    assert rank_ranges(found) == [(1, 2), (1, 2)]


def test_ranks_of_contenders_far_apart_and_close_together() -> None:
    rng = np.random.default_rng(4)
    base = rng.random(500)
    rows = [base + shift + 0.05 * rng.standard_normal(500) for shift in (0.0, 0.3, 0.001, -0.3)]
    found = compared(*rows)
    assert rank_ranges(found) == [(2, 3), (1, 1), (2, 3), (4, 4)]
    assert rank_ranges(found, higher_is_better=False) == [(2, 3), (4, 4), (2, 3), (1, 1)]
    assert rank_ranges(found, together=True) == [(2, 3), (1, 1), (2, 3), (4, 4)]


def test_who_is_not_believed_has_any_rank_and_holds_nobody_down() -> None:
    rng = np.random.default_rng(5)
    base = rng.random(500)
    rows = [base + shift + 0.05 * rng.standard_normal(500) for shift in (0.0, 0.3, -0.3)]
    hidden = np.array([False, True, False])
    assert rank_ranges(compared(*rows), hidden) == [(1, 2), (1, 3), (2, 3)]
    assert rank_ranges(compared(*rows), np.ones(3, dtype=bool)) == [(1, 3)] * 3


def test_pairs_that_are_equal_are_seldom_separated() -> None:
    """Four contenders of one value, 200 logs: any false separation in at most 5 % of them, by Holm over all pairs."""
    rng, wrong = np.random.default_rng(6), 0
    for _ in range(200):
        rows = rng.random(60) + rng.standard_normal((4, 60))
        wrong += any(ends != (1, 4) for ends in rank_ranges(compared(*rows), together=True))
    assert wrong / 200 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def band_of(rows: np.ndarray, rng: np.random.Generator, level: float = 0.95):
    n = rows.shape[1]
    errors, groups = cluster_error(rows - rows.mean(axis=1, keepdims=True), np.ones(n))
    m = rng.poisson(1.0, size=(n, 200))
    return simultaneous(rows.mean(axis=1), errors, rows @ m / m.sum(axis=0), groups, level), errors


def test_the_band_is_wider_for_many_contenders_and_less_so_where_they_agree() -> None:
    rng = np.random.default_rng(7)
    apart, _ = band_of(rng.standard_normal((20, 300)), rng)
    alike, _ = band_of(rng.standard_normal(300) + 0.01 * rng.standard_normal((20, 300)), rng)
    single, errors = band_of(rng.standard_normal((1, 300)), rng)
    assert 2.6 < apart.factor < 3.5  # 3.02 for 20 independent ones
    assert t_quantile(0.95, 299) <= alike.factor < 2.4
    assert single.factor < 2.4
    assert single.high[0] - single.low[0] == pytest.approx(2 * single.factor * errors[0])


def test_the_band_holds_for_all_at_once() -> None:
    rng, held, each = np.random.default_rng(8), 0, 0
    for _ in range(200):
        band, errors = band_of(rng.standard_normal((8, 100)), rng, 0.9)
        held += bool(((band.low <= 0) & (band.high >= 0)).all())
        half = t_quantile(0.9, 99) * errors
        middle = (band.low + band.high) / 2
        each += bool((np.abs(middle) <= half).all())
    assert held / 200 > 0.9 - 3 * math.sqrt(0.9 * 0.1 / 200)
    assert each / 200 < 0.7  # what intervals of one contender do for eight


def test_who_has_no_error_has_no_part_in_the_band() -> None:
    rng = np.random.default_rng(9)
    replicates = rng.standard_normal((3, 200))
    replicates[1, :50] = np.nan
    band = simultaneous(np.zeros(3), np.array([1.0, 1.0, 0.0]), replicates, 50)
    assert math.isnan(band.low[2])
    assert np.isfinite(band.low[:2]).all()
    nobody = simultaneous(np.zeros(3), np.full(3, np.nan), replicates, 50)
    assert np.isnan(nobody.low).all()
    assert math.isnan(nobody.factor)
    unknown = simultaneous(np.zeros(1), np.ones(1), np.full((1, 200), np.nan), 50)
    assert unknown.factor == pytest.approx(t_quantile(0.95, 49))


def test_shapes_and_levels_that_do_not_fit_are_errors() -> None:
    with pytest.raises(DataError, match="not one row each"):
        differences(np.zeros(3), np.zeros((2, 4)), np.ones(4))
    with pytest.raises(DataError, match="do not match"):
        simultaneous(np.zeros(2), np.ones(2), np.zeros((3, 200)), 50)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        differences(np.zeros(2), np.zeros((2, 4)), np.ones(4), 95)
