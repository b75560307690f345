"""Dense matrices, small and symmetric: products, the inverse by Sherman and Morrison, the Cholesky factor."""

from __future__ import annotations

import math

import numpy as np

from lersbench.kernels.jit import kernel


@kernel
def dot(x: np.ndarray, y: np.ndarray) -> float:
    """x'y of two vectors of the same length."""
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * y[i]
    return total


@kernel
def symmetric_times(matrix: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (d,) with `matrix` (d, d, symmetric) times `x` (d,)."""
    for i in range(x.shape[0]):
        out[i] = 0.0
    for j in range(x.shape[0]):
        for i in range(x.shape[0]):
            out[i] += matrix[j, i] * x[j]


@kernel
def quadratic(matrix: np.ndarray, x: np.ndarray) -> float:
    """x' matrix x for a symmetric `matrix` (d, d)."""
    total = 0.0
    for i in range(x.shape[0]):
        row = 0.5 * matrix[i, i] * x[i]
        for j in range(i):
            row += matrix[i, j] * x[j]
        total += 2.0 * row * x[i]
    return total


@kernel
def rank_one_inverse(inverse: np.ndarray, x: np.ndarray, weight: float, v: np.ndarray) -> float:
    """Sherman-Morrison: turn A^-1 into (A + weight x x')^-1 in place.

    `inverse` (d, d) symmetric is changed; `v` (d,) is left holding (the old A^-1) x. Returns
    1 + weight x'v, so that a ridge solution follows by theta += v (weight r - weight x'theta) / that.
    """
    symmetric_times(inverse, x, v)
    scale = 1.0 + weight * dot(x, v)
    for i in range(x.shape[0]):
        c = weight * v[i] / scale
        for j in range(x.shape[0]):
            inverse[i, j] -= c * v[j]
    return scale


@kernel
def rank_one_cholesky(lower: np.ndarray, x: np.ndarray) -> None:
    """Turn the Cholesky factor L of A into that of A + x x' in place; `x` (d,) is destroyed.

    `lower` (d, d), entries above the diagonal are not read. Golub and Van Loan, section 6.5.4.
    """
    d = x.shape[0]
    for k in range(d):
        r = math.sqrt(lower[k, k] * lower[k, k] + x[k] * x[k])
        c, s = r / lower[k, k], x[k] / lower[k, k]
        lower[k, k] = r
        for i in range(k + 1, d):
            lower[i, k] = (lower[i, k] + s * x[i]) / c
            x[i] = c * x[i] - s * lower[i, k]


@kernel
def solve_lower(lower: np.ndarray, x: np.ndarray) -> None:
    """Replace `x` (d,) by L^-1 x, L = `lower` (d, d) lower triangular."""
    for i in range(x.shape[0]):
        total = x[i]
        for j in range(i):
            total -= lower[i, j] * x[j]
        x[i] = total / lower[i, i]


@kernel
def solve_lower_transposed(lower: np.ndarray, x: np.ndarray) -> None:
    """Replace `x` (d,) by L'^-1 x, L = `lower` (d, d) lower triangular."""
    for i in range(x.shape[0] - 1, -1, -1):
        total = x[i]
        for j in range(i + 1, x.shape[0]):
            total -= lower[j, i] * x[j]
        x[i] = total / lower[i, i]
