"""The bank of ridge regressions and what it is built of, beside dense linear algebra."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lersbench.kernels import symmetric, vectors
from lersbench.kernels.jit import kernel
from lersbench.kernels.uncounted import borrow
from lersbench.learners import per_item

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


def assert_same(bank: per_item.Bank, naive: Naive, x: np.ndarray) -> None:
    arms, d = naive.b.shape
    squares, means = np.zeros(vectors.padded(arms)), np.zeros(vectors.padded(arms))
    per_item.quadratics(bank, x, squares)
    per_item.means(bank, x, means)
    np.testing.assert_allclose(squares[:arms], naive.quadratics(x), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(means[:arms], naive.theta() @ x, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(per_item.estimates(bank), naive.theta(), rtol=1e-10, atol=1e-10)
    for arm in range(arms):
        np.testing.assert_allclose(naive.A[arm] @ per_item.inverse(bank, arm), np.eye(d), rtol=0, atol=1e-10)
        alone = per_item.quadratic(bank, arm, x)
        assert abs(alone - squares[arm]) <= per_item.rounding(d, x @ x / RIDGE)
        assert per_item.largest(bank, arm) >= np.linalg.eigvalsh(per_item.inverse(bank, arm))[-1] * (1 - 1e-12)
        assert bank.trace[arm] == pytest.approx(np.trace(per_item.inverse(bank, arm)), rel=1e-9)


@pytest.mark.parametrize(("arms", "d"), [(1, 1), (4, 2), (5, 3), (9, 8), (3, 20), (17, 5)])
def test_a_bank_equals_dense_inverses_before_and_after_every_observation(arms: int, d: int) -> None:
    rng = np.random.default_rng(arms)
    bank, naive = per_item.new_bank(arms, d, RIDGE), Naive(arms, d)
    assert_same(bank, naive, rng.standard_normal(d))
    for _ in range(6 * arms + 2 * d):
        arm, x, reward = int(rng.integers(arms)), rng.standard_normal(d), rng.random()
        per_item.observe(bank, arm, x, reward)
        naive.observe(arm, x, reward)
        assert_same(bank, naive, rng.standard_normal(d))


def test_an_arm_turns_dense_after_half_as_many_observations_as_the_context_is_long() -> None:
    rng = np.random.default_rng(0)
    bank, naive = per_item.new_bank(3, 8, RIDGE), Naive(3, 8)
    for n in range(12):
        for arm in range(3):
            assert (bank.row[arm] >= 0) == (n > 4)
            x = rng.standard_normal(8)
            per_item.observe(bank, arm, x, 1.0)
            naive.observe(arm, x, 1.0)
            assert_same(bank, naive, rng.standard_normal(8))
    assert list(bank.used) == [3, 0]  # all dense, no column left behind


def test_columns_fill_the_gaps_of_an_arm_that_turns_dense() -> None:
    rng = np.random.default_rng(1)
    bank, naive = per_item.new_bank(4, 6, RIDGE), Naive(4, 6)
    for arm in [0, 1, 0, 2, 1, 0, 3, 0, 2, 1, 1, 1, 2, 2, 3]:  # 0 turns dense at its fourth, then 1, then 2
        x = rng.standard_normal(6)
        per_item.observe(bank, arm, x, 0.5)
        naive.observe(arm, x, 0.5)
        assert_same(bank, naive, rng.standard_normal(6))
        columns = int(bank.used[per_item.COLUMNS])
        assert columns == bank.n_columns.sum()
        for column in range(columns):
            assert bank.columns[bank.owner[column], bank.place[column]] == column


def test_a_context_of_zeros_teaches_nothing() -> None:
    bank = per_item.new_bank(2, 4, RIDGE)
    for _ in range(5):
        per_item.observe(bank, 0, np.zeros(4), 1.0)
    np.testing.assert_array_equal(per_item.inverse(bank, 0), np.eye(4) / RIDGE)
    np.testing.assert_array_equal(per_item.estimates(bank), 0.0)


def test_arms_never_observed_have_the_same_bits() -> None:
    rng = np.random.default_rng(2)
    bank = per_item.new_bank(20, 5, RIDGE)
    for arm in (3, 3, 3, 7):
        per_item.observe(bank, arm, rng.standard_normal(5), 1.0)
    squares = np.zeros(24)
    per_item.quadratics(bank, rng.standard_normal(5), squares)
    assert np.unique(np.delete(squares[:20], [3, 7])).size == 1


@pytest.mark.parametrize("d", [1, 2, 3, 8, 9])
def test_packed_matrices_multiply_like_full_ones(d: int) -> None:
    rng = np.random.default_rng(d)
    full = rng.standard_normal((d, d))
    full += full.T
    x, w = rng.standard_normal(d), rng.standard_normal(d)
    half = np.array([full[i, (i + s) % d] for s in range(d // 2 + 1) for i in range(d)])
    assert half.size == symmetric.packed_size(d)
    np.testing.assert_array_equal(symmetric.unpack(half, d), full)
    xx, z, out = np.tile(x, 2), np.zeros(half.size), np.zeros(2 * d)
    symmetric.products(xx, 1, z)
    assert half @ z == pytest.approx(x @ full @ x)
    symmetric.times(half, xx, 1, out)
    np.testing.assert_allclose(out[:d], full @ x, atol=1e-12)
    symmetric.take(half, np.tile(w, 2), 1)
    np.testing.assert_allclose(symmetric.unpack(half, d), full - np.outer(w, w), atol=1e-12)


def lanes_of(matrix: np.ndarray) -> np.ndarray:
    rows, columns = matrix.shape
    wide = np.zeros((rows, vectors.padded(columns)))
    wide[:, :columns] = matrix
    return wide.reshape(rows, -1, vectors.LANES).transpose(1, 0, 2).reshape(-1, rows * vectors.LANES).copy()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 9, 13])
def test_vector_instructions_give_the_bits_of_the_plain_loops(n: int) -> None:
    rng = np.random.default_rng(n)
    rows = int(rng.integers(1, 30))
    matrix, x = rng.standard_normal((n, vectors.padded(rows))), rng.standard_normal(vectors.padded(rows))
    fast, slow = np.zeros(n), np.zeros(n)
    vectors.row_dots(matrix, 0, n, x, fast)
    vectors.row_dots_loop(matrix, 0, n, x, slow)
    np.testing.assert_array_equal(fast, slow)
    np.testing.assert_allclose(fast, matrix @ x, atol=1e-10)

    lanes, weights = rng.standard_normal((n, 8 * rows)), rng.standard_normal(rows)
    fast, slow = np.zeros(8 * n), np.zeros(8 * n)
    for first in (0, n // 2):
        vectors.lane_sums(weights, lanes, first, n, fast)
        vectors.lane_sums_loop(weights, lanes, first, n, slow)
        np.testing.assert_array_equal(fast, slow)

    plain = rng.standard_normal((rows, 8 * n))
    for columns in (1, 3, 7, 12):
        left = rng.standard_normal((rows, columns))
        fast, slow = np.zeros((columns, 8 * n)), np.zeros((columns, 8 * n))
        vectors.lane_products(lanes_of(left), columns, lanes_of(plain), fast)
        vectors.lane_products_loop(lanes_of(left), columns, lanes_of(plain), slow)
        np.testing.assert_array_equal(fast, slow)
        np.testing.assert_allclose(fast, left.T @ plain, atol=1e-10)

    w = np.zeros(vectors.padded(rows))
    w[:rows] = rng.standard_normal(rows)
    fast = np.zeros((w.size // 8 + 1, 8 * rows))
    slow = fast.copy()
    vectors.take_outer(fast, 1, w)
    vectors.take_outer_loop(slow, 1, w)
    np.testing.assert_array_equal(fast, slow)
    assert fast[0].sum() == 0
    np.testing.assert_allclose(fast[1:], lanes_of(-np.outer(w[:rows], w[:rows])), atol=0)


def test_aligned_arrays_start_at_a_cache_line() -> None:
    for shape in [(1,), (3, 24), (7, 8)]:
        array = vectors.aligned(shape)
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
