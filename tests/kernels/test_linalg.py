"""The shared arithmetic: the tie rule, top-K, inverses and factors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.kernels import linalg


def in_the_tie_order(scores: np.ndarray, ties: int) -> list[int]:
    """All candidates, best first: by score, then by the pseudo-random priority, then by index."""
    return sorted(range(len(scores)), key=lambda i: (-scores[i], -linalg.scramble(ties, i), i))


@pytest.mark.parametrize("size", [1, 2, 5, 16, 17, 40])
@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_top_k_is_the_head_of_the_whole_order(size: int, levels: int) -> None:
    rng = np.random.default_rng(size)
    for ties in range(8):
        scores = rng.integers(0, levels, 40) / levels
        slate = np.zeros(size, np.int64)
        linalg.top_k(scores, ties, slate)
        assert slate.tolist() == in_the_tie_order(scores, ties)[:size]
        assert linalg.best(scores, ties) == slate[0]


def test_top_k_with_infinite_scores() -> None:
    scores = np.array([0.5, math.inf, -math.inf, math.inf, 2.0])
    for size in (1, 2, 5):
        slate = np.zeros(size, np.int64)
        linalg.top_k(scores, 9, slate)
        assert slate.tolist() == in_the_tie_order(scores, 9)[:size]


def test_ties_are_uniform_and_never_follow_the_file() -> None:
    n, wide = 4000, 5
    first = np.zeros(wide)
    for t in range(n):
        first[linalg.best(np.zeros(wide), int(linalg.scramble(12345, t)))] += 1
    assert np.abs(first / n - 1 / wide).max() < 4 * math.sqrt(0.2 * 0.8 / n)


def test_the_tie_order_does_not_depend_on_who_else_is_there() -> None:
    """Of two tied candidates the same one stands first, whatever the scores of the others."""
    for ties in range(50):
        alone = linalg.best(np.array([1.0, 1.0, 0.0, 0.0]), ties)
        slate = np.zeros(4, np.int64)
        linalg.top_k(np.array([1.0, 1.0, 2.0, 1.0]), ties, slate)
        pair = [i for i in slate.tolist() if i in (0, 1)]
        assert pair[0] == alone


def test_scramble_stays_in_32_bits() -> None:
    values = [int(linalg.scramble(key, index)) for key in (0, 1, 2**32 - 1) for index in (0, 1, 10**6)]
    assert all(0 <= v < 2**32 for v in values)
    assert len(set(values[1:])) == len(values) - 1


def spd(d: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(d + 3, d))
    return x.T @ x + np.eye(d)


def test_products_of_a_symmetric_matrix() -> None:
    A, x, out = spd(6), np.random.default_rng(1).normal(size=6), np.empty(6)
    linalg.symmetric_times(A, x, out)
    assert np.allclose(out, A @ x)
    assert linalg.quadratic(A, x) == pytest.approx(x @ A @ x)
    assert linalg.dot(x, out) == pytest.approx(x @ A @ x)


@pytest.mark.parametrize("weight", [1.0, 0.37])
def test_the_inverse_stays_an_inverse(weight: float) -> None:
    rng, d, ridge = np.random.default_rng(2), 7, 2.5
    A, inverse, v = ridge * np.eye(d), np.eye(d) / ridge, np.empty(d)
    b, theta = np.zeros(d), np.zeros(d)
    assert np.allclose(A @ inverse, np.eye(d))
    for _ in range(300):
        x, r = rng.normal(size=d), rng.random()
        before = inverse.copy()
        error = weight * r - weight * (x @ theta)
        scale = linalg.rank_one_inverse(inverse, x, weight, v)
        A += weight * np.outer(x, x)
        b += weight * r * x
        theta += v * error / scale
        assert np.allclose(v, before @ x) and scale == pytest.approx(1 + weight * x @ before @ x)
        assert np.abs(A @ inverse - np.eye(d)).max() < 1e-11
    assert np.allclose(theta, np.linalg.solve(A, b), atol=1e-12)


def test_the_cholesky_factor_stays_a_factor() -> None:
    rng, A = np.random.default_rng(3), spd(6)
    lower = np.linalg.cholesky(A)
    for _ in range(200):
        x = rng.normal(size=6)
        A += np.outer(x, x)
        linalg.rank_one_cholesky(lower, x.copy())
    assert np.allclose(np.tril(lower), np.linalg.cholesky(A), rtol=1e-12)


def test_triangular_solves() -> None:
    lower, b = np.linalg.cholesky(spd(5)), np.random.default_rng(4).normal(size=5)
    one, two = b.copy(), b.copy()
    linalg.solve_lower(lower, one)
    linalg.solve_lower_transposed(lower, two)
    assert np.allclose(lower @ one, b) and np.allclose(lower.T @ two, b)
