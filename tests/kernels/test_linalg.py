"""Products, inverses and factors of small matrices."""

from __future__ import annotations

import numpy as np
import pytest

from lersbench.kernels import linalg


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
