"""The Poisson bootstrap: its numbers, whose they are, and the interval of a ratio."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.errors import DataError
from lersbench.offpolicy.intervals import Six, cluster_error, row_errors
from lersbench.offpolicy.resampling import TAILS, add_replicates, bootstrap, poisson_multiplicities, ratios, user_keys

W, R = np.array([0.5, 2.0, 1.0]), np.array([1.0, 0.0, 1.0])


def keys_of(users, first: int = 0) -> np.ndarray:
    users = np.asarray(users, dtype=np.int64)
    out = np.empty(len(users), dtype=np.int64)
    user_keys(users, first, out)
    return out


def sums_of(users, *terms: np.ndarray, replicates: int = 200, first: int = 0) -> np.ndarray:
    """(T, B) sums of the `terms` (n,) of each row in every replicate."""
    out = np.zeros((len(terms), replicates))
    add_replicates(out, keys_of(users, first), np.stack([np.asarray(t, dtype=np.float64) for t in terms], axis=1))
    return out


def scrambled(key: int, index: int) -> int:
    h = (key + index * 0x9E3779B1) % 2**32
    for _ in range(2):
        h = (h ^ (h >> 16)) * 0x45D9F3B % 2**32
    return h ^ (h >> 16)


def by_the_book(key: int, replicates: int) -> list[int]:
    """The multiplicities of one key in whole numbers of any size."""
    lower, upper, out = key % 2**32, key // 2**32 % 2**32, []
    low, high = scrambled(lower, upper), scrambled(upper ^ 0x5BD1E995, lower)
    for b in range(replicates):
        x = (low + b // 2 * 0x9E3779B1) % 2**32
        x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32 ^ high
        x = (x ^ (x >> 15)) * 0x45D9F3B % 2**32
        x ^= x >> 16
        half = x % 2**16 if b % 2 == 0 else x // 2**16
        out.append(sum(half < tail for tail in TAILS))
    return out


def test_the_tails_are_those_of_poisson() -> None:
    chance = [math.exp(-1) / math.factorial(k) for k in range(30)]
    for k, tail in enumerate(TAILS, 1):
        assert abs(tail / 65536 - sum(chance[k:])) < 1 / 65536
    assert sum(TAILS) == 65536  # so the mean is 1


@pytest.mark.parametrize("replicates", [1, 7, 200])
def test_multiplicities_are_their_hash_on_every_machine(replicates: int) -> None:
    keys = np.array([0, 1, 2, 12345, 2**62 + 2**33 + 7, -1, -(2**63)], dtype=np.int64)
    found = poisson_multiplicities(keys, replicates)
    np.testing.assert_array_equal(found, [by_the_book(int(key), replicates) for key in keys])


def test_multiplicities_are_poisson_and_independent() -> None:
    m = poisson_multiplicities(keys_of(np.arange(20_000)), 40).astype(float)
    share = np.bincount(m.astype(int).ravel(), minlength=6)[:6] / m.size
    expected = [math.exp(-1) / math.factorial(k) for k in range(6)]
    np.testing.assert_allclose(share, expected, atol=5 * 0.5 / math.sqrt(m.size))
    assert abs(m.mean() - 1) < 5 / math.sqrt(m.size)
    assert abs(m.var() - 1) < 5 * math.sqrt(3 / m.size)
    between = np.corrcoef(m.T) - np.eye(40)  # replicates of the same users
    assert np.abs(between).max() < 5 / math.sqrt(20_000)
    next_to = ((m[1:] - 1) * (m[:-1] - 1)).mean()  # users of numbers that follow each other
    assert abs(next_to) < 5 / math.sqrt(m.size)


def test_a_user_counts_as_often_wherever_it_occurs() -> None:
    users = np.array([7, 3, 7, 9, 3, 7])
    m = poisson_multiplicities(keys_of(users), 200)
    for user in (3, 7, 9):
        rows = m[users == user]
        assert (rows == rows[0]).all()
    assert (m[0] != m[1]).any()
    np.testing.assert_array_equal(poisson_multiplicities(keys_of(users[::-1], first=10), 200), m[::-1])


def test_rows_without_a_user_stand_for_themselves() -> None:
    keys = keys_of([-1, -1, 0, 1, -5], first=0)
    assert len(np.unique(keys)) == 5
    np.testing.assert_array_equal(keys[1:2], keys_of([-1], first=1))  # the same row, in a chunk of its own
    assert not np.isin(keys_of([-1] * 100), keys_of(np.arange(100))).any()


def test_sums_are_multiplicities_times_terms() -> None:
    rng = np.random.default_rng(0)
    users, w, v = rng.integers(30, size=200), rng.random(200), rng.random(200)
    w[rng.random(200) < 0.3] = 0.0
    found = sums_of(users, v * w, w, np.ones(200))
    m = poisson_multiplicities(keys_of(users), 200).astype(float)
    np.testing.assert_allclose(found, np.stack([(v * w) @ m, w @ m, m.sum(axis=0)]), rtol=1e-12)


def test_chunks_and_order_and_merging_change_nothing() -> None:
    rng = np.random.default_rng(1)
    users, w = np.where(rng.random(300) < 0.2, -1, rng.integers(50, size=300)), rng.random(300)
    whole = sums_of(users, w, np.ones(300))
    parts = sums_of(users[:123], w[:123], np.ones(123)) + sums_of(users[123:], w[123:], np.ones(177), first=123)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)
    np.testing.assert_array_equal(parts[1], whole[1])  # counts
    known = users >= 0
    order = np.random.default_rng(2).permutation(int(known.sum()))
    np.testing.assert_allclose(
        sums_of(users[known][order], w[known][order]), sums_of(users[known], w[known]), rtol=1e-12
    )


def test_a_log_repeated_with_the_same_users_has_the_same_interval() -> None:
    rng = np.random.default_rng(3)
    users, w = rng.integers(40, size=400), rng.gamma(1.0, 1.0, size=400)
    r = (rng.random(400) < 0.3).astype(float)
    once = sums_of(users, w * r, w)
    twice = sums_of(np.tile(users, 2), np.tile(w * r, 2), np.tile(w, 2))
    assert bootstrap(*twice) == pytest.approx(bootstrap(*once), rel=1e-12)


def test_contenders_share_the_multiplicities_of_a_replicate() -> None:
    users = np.arange(100)
    one, other = sums_of(users, np.ones(100), np.full(100, 2.0))
    np.testing.assert_allclose(other, 2 * one, rtol=1e-14)
    alone = sums_of(users, np.ones(100))
    np.testing.assert_array_equal(alone[0], one)


def test_equal_rewards_have_an_interval_of_no_width_where_the_ratio_is_recomputed() -> None:
    tops, bottoms = sums_of([0, 1, 2], W * 1.0, W)
    assert (bottoms == 0).any()  # replicates of no weight, with three rows
    assert bootstrap(tops, bottoms) == pytest.approx((1, 1), abs=1e-15)
    fixed = bootstrap(tops / W.sum())
    assert fixed.low < 0.5
    assert fixed.high > 1.5
    many = sums_of([0, 1, 2], W / W.sum(), replicates=20_000)[0]
    assert many.std() == pytest.approx(math.sqrt(W @ W) / W.sum(), rel=0.03)  # .65: that of a total, not of a ratio
    assert row_errors(Six.of(W, np.ones(3))).snips == 0


def test_too_few_replicates_of_any_weight_tell_nothing() -> None:
    assert all(math.isnan(end) for end in bootstrap(np.zeros(200), np.zeros(200)))
    assert np.isnan(ratios(np.zeros(2), np.zeros(2))).all()
    with pytest.raises(DataError, match="replicates of one estimate"):
        bootstrap(np.zeros((2, 200)))


@pytest.mark.parametrize("seed", range(3))
def test_the_spread_of_replicates_is_the_error_by_user(seed: int) -> None:
    """SNIPS and IPS: the standard deviation over 2,000 replicates is the cluster error, to a few percent."""
    rng = np.random.default_rng(seed)
    user, w = rng.integers(300, size=3000), rng.gamma(2.0, 0.5, size=3000)
    r = (rng.random(3000) < rng.random(300)[user]).astype(float)
    tops, weights, rows = sums_of(user, w * r, w, np.ones(3000), replicates=2000)
    counts = np.bincount(user, minlength=300)
    snips, ips = (w @ r) / w.sum(), w @ r / 3000
    for psi, found in (
        (w * (r - snips) / w.mean(), ratios(tops, weights)),
        (w * r - ips, ratios(tops, rows)),
    ):
        error, _ = cluster_error(np.bincount(user, psi, minlength=300), counts)
        assert found.std() == pytest.approx(float(error), rel=0.1)
