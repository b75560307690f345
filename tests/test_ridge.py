"""The bank of ridge regressions and what it is built of, beside dense linear algebra."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lersbench import packed, ridge, simd
from lersbench.borrow import borrow
from lersbench.jit import kernel

RIDGE = 0.7


class Naive:
    """A and b of every arm in full, inverted anew whenever asked."""

    def __init__(self, arms: int, d: int):
        self.A = np.tile(RIDGE * np.eye(d), (arms, 1, 1))
        self.b = np.zeros((arms, d))

    def observe(self, arm: int, x: np.ndarray, reward: float) -> None:
        self.A[arm] += np.outer(x, x)
        self.b[arm] += reward * x

    def quadratics(self, x: np.ndarray) -> np.ndarray:
        return np.einsum("nij,i,j->n", np.linalg.inv(self.A), x, x)

    def theta(self) -> np.ndarray:
        return np.einsum("nij,nj->ni", np.linalg.inv(self.A), self.b)


def assert_same(bank: ridge.Bank, naive: Naive, x: np.ndarray) -> None:
    arms, d = naive.b.shape
    squares, means = np.zeros(simd.padded(arms)), np.zeros(simd.padded(arms))
    ridge.quadratics(bank, x, squares)
    ridge.means(bank, x, means)
    np.testing.assert_allclose(squares[:arms], naive.quadratics(x), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(means[:arms], naive.theta() @ x, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(ridge.estimates(bank), naive.theta(), rtol=1e-10, atol=1e-10)
    for arm in range(arms):
        np.testing.assert_allclose(naive.A[arm] @ ridge.inverse(bank, arm), np.eye(d), rtol=0, atol=1e-10)
        alone = ridge.quadratic(bank, arm, x)
        assert abs(alone - squares[arm]) <= ridge.rounding(d, x @ x / RIDGE)
        assert ridge.largest(bank, arm) >= np.linalg.eigvalsh(ridge.inverse(bank, arm))[-1] * (1 - 1e-12)
        assert bank.trace[arm] == pytest.approx(np.trace(ridge.inverse(bank, arm)), rel=1e-9)


@pytest.mark.parametrize(("arms", "d"), [(1, 1), (4, 2), (5, 3), (9, 8), (3, 20), (17, 5)])
def test_a_bank_equals_dense_inverses_before_and_after_every_observation(arms: int, d: int) -> None:
    rng = np.random.default_rng(arms)
    bank, naive = ridge.new_bank(arms, d, RIDGE), Naive(arms, d)
    assert_same(bank, naive, rng.standard_normal(d))
    for _ in range(6 * arms + 2 * d):
        arm, x, reward = int(rng.integers(arms)), rng.standard_normal(d), rng.random()
        ridge.observe(bank, arm, x, reward)
        naive.observe(arm, x, reward)
        assert_same(bank, naive, rng.standard_normal(d))


def test_an_arm_turns_dense_after_half_as_many_observations_as_the_context_is_long() -> None:
    rng = np.random.default_rng(0)
    bank, naive = ridge.new_bank(3, 8, RIDGE), Naive(3, 8)
    for n in range(12):
        for arm in range(3):
            assert (bank.row[arm] >= 0) == (n > 4)
            x = rng.standard_normal(8)
            ridge.observe(bank, arm, x, 1.0)
            naive.observe(arm, x, 1.0)
            assert_same(bank, naive, rng.standard_normal(8))
    assert list(bank.used) == [3, 0]  # all dense, no column left behind


def test_columns_fill_the_gaps_of_an_arm_that_turns_dense() -> None:
    rng = np.random.default_rng(1)
    bank, naive = ridge.new_bank(4, 6, RIDGE), Naive(4, 6)
    for arm in [0, 1, 0, 2, 1, 0, 3, 0, 2, 1, 1, 1, 2, 2, 3]:  # 0 turns dense at its fourth, then 1, then 2
        x = rng.standard_normal(6)
        ridge.observe(bank, arm, x, 0.5)
        naive.observe(arm, x, 0.5)
        assert_same(bank, naive, rng.standard_normal(6))
        columns = int(bank.used[ridge.COLUMNS])
        assert columns == bank.owned.sum()
        for column in range(columns):
            assert bank.own[bank.owner[column], bank.place[column]] == column


def test_a_context_of_zeros_teaches_nothing() -> None:
    bank = ridge.new_bank(2, 4, RIDGE)
    for _ in range(5):
        ridge.observe(bank, 0, np.zeros(4), 1.0)
    np.testing.assert_array_equal(ridge.inverse(bank, 0), np.eye(4) / RIDGE)
    np.testing.assert_array_equal(ridge.estimates(bank), 0.0)


def test_arms_never_observed_have_the_same_bits() -> None:
    rng = np.random.default_rng(2)
    bank = ridge.new_bank(20, 5, RIDGE)
    for arm in (3, 3, 3, 7):
        ridge.observe(bank, arm, rng.standard_normal(5), 1.0)
    squares = np.zeros(24)
    ridge.quadratics(bank, rng.standard_normal(5), squares)
    assert np.unique(np.delete(squares[:20], [3, 7])).size == 1


@pytest.mark.parametrize("d", [1, 2, 3, 8, 9])
def test_packed_matrices_multiply_like_full_ones(d: int) -> None:
    rng = np.random.default_rng(d)
    full = rng.standard_normal((d, d))
    full += full.T
    x, w = rng.standard_normal(d), rng.standard_normal(d)
    half = np.array([full[i, (i + s) % d] for s in range(d // 2 + 1) for i in range(d)])
    assert half.size == packed.packed_size(d)
    np.testing.assert_array_equal(packed.unpack(half, d), full)
    xx, z, out = np.tile(x, 2), np.zeros(half.size), np.zeros(2 * d)
    packed.products(xx, 1, z)
    assert half @ z == pytest.approx(x @ full @ x)
    packed.times(half, xx, 1, out)
    np.testing.assert_allclose(out[:d], full @ x, atol=1e-12)
    packed.take(half, np.tile(w, 2), 1)
    np.testing.assert_allclose(packed.unpack(half, d), full - np.outer(w, w), atol=1e-12)


def lanes_of(matrix: np.ndarray) -> np.ndarray:
    rows, columns = matrix.shape
    wide = np.zeros((rows, simd.padded(columns)))
    wide[:, :columns] = matrix
    return wide.reshape(rows, -1, simd.LANES).transpose(1, 0, 2).reshape(-1, rows * simd.LANES).copy()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 9, 13])
def test_vector_instructions_give_the_bits_of_the_plain_loops(n: int) -> None:
    rng = np.random.default_rng(n)
    rows = int(rng.integers(1, 30))
    matrix, x = rng.standard_normal((n, simd.padded(rows))), rng.standard_normal(simd.padded(rows))
    fast, slow = np.zeros(n), np.zeros(n)
    simd.row_dots(matrix, 0, n, x, fast)
    simd.row_dots_loop(matrix, 0, n, x, slow)
    np.testing.assert_array_equal(fast, slow)
    np.testing.assert_allclose(fast, matrix @ x, atol=1e-10)

    lanes, weights = rng.standard_normal((n, 8 * rows)), rng.standard_normal(rows)
    fast, slow = np.zeros(8 * n), np.zeros(8 * n)
    for first in (0, n // 2):
        simd.lane_sums(weights, lanes, first, n, fast)
        simd.lane_sums_loop(weights, lanes, first, n, slow)
        np.testing.assert_array_equal(fast, slow)

    plain = rng.standard_normal((rows, 8 * n))
    for columns in (1, 3, 7, 12):
        left = rng.standard_normal((rows, columns))
        fast, slow = np.zeros((columns, 8 * n)), np.zeros((columns, 8 * n))
        simd.lane_products(lanes_of(left), columns, lanes_of(plain), fast)
        simd.lane_products_loop(lanes_of(left), columns, lanes_of(plain), slow)
        np.testing.assert_array_equal(fast, slow)
        np.testing.assert_allclose(fast, left.T @ plain, atol=1e-10)

    w = np.zeros(simd.padded(rows))
    w[:rows] = rng.standard_normal(rows)
    fast = np.zeros((w.size // 8 + 1, 8 * rows))
    slow = fast.copy()
    simd.take_outer(fast, 1, w)
    simd.take_outer_loop(slow, 1, w)
    np.testing.assert_array_equal(fast, slow)
    assert fast[0].sum() == 0
    np.testing.assert_allclose(fast[1:], lanes_of(-np.outer(w[:rows], w[:rows])), atol=0)


def test_aligned_arrays_start_at_a_cache_line() -> None:
    for shape in [(1,), (3, 24), (7, 8)]:
        array = simd.aligned(shape)
        assert array.shape == shape and array.flags.c_contiguous and not array.any()
        assert array.ctypes.data % 64 == 0


def test_a_borrowed_array_is_the_same_memory_and_leaves_the_owner_alone() -> None:
    @kernel
    def fill(pair):  # type: ignore[no-untyped-def]
        mine = borrow(pair)
        for i in range(mine[0].shape[0]):
            mine[0][i] = mine[1][0, i] + 1.0

    left, right = np.zeros(4), np.arange(8.0).reshape(2, 4)
    before = sys.getrefcount(left)
    for _ in range(100):
        fill((left, right))
    assert sys.getrefcount(left) == before
    np.testing.assert_array_equal(left, [1, 2, 3, 4])
