"""Symmetric (d, d) matrices without their second half: d (d + 1) / 2 numbers, by wrapped diagonals.

Entry s d + i holds the element (i, (i + s) mod d), for s = 0..d // 2; where d is even the last diagonal
would hold every element twice and is cut in half. Unlike the rows of a triangle, the diagonals are all
equally long and no product along them adds up into one number, so every loop below is a vector loop.
"""

from __future__ import annotations

import numpy as np

from lersbench.jit import kernel


@kernel
def packed_size(d: int) -> int:
    """Numbers in a packed (d, d) matrix."""
    return d * (d + 1) // 2


@kernel
def diagonal(d: int, s: int) -> int:
    """Elements of the wrapped diagonal s."""
    return d if 2 * s < d else d // 2


@kernel
def twice(x: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (2 d,) with `x` (d,) two times over, so that wrapping needs no test."""
    d = x.shape[0]
    for i in range(d):
        out[i] = x[i]
        out[i + d] = x[i]


@kernel
def products(xx: np.ndarray, z: np.ndarray) -> None:
    """Fill `z` so that the dot product of a packed A with it is x'Ax. `xx` is x two times over."""
    d = xx.shape[0] // 2
    for i in range(d):
        z[i] = xx[i] * xx[i]
    for s in range(1, d // 2 + 1):
        for i in range(diagonal(d, s)):
            z[s * d + i] = 2.0 * xx[i] * xx[i + s]


@kernel
def times(packed: np.ndarray, row: int, xx: np.ndarray, out: np.ndarray) -> None:
    """Fill `out[0:d]` with A x, A the packed matrix in this row; `out` has 2 d places. `xx` is x two times over."""
    d = xx.shape[0] // 2
    for i in range(d):
        out[i] = packed[row, i] * xx[i]
        out[i + d] = 0.0
    for s in range(1, d // 2 + 1):
        for i in range(diagonal(d, s)):
            out[i] += packed[row, s * d + i] * xx[i + s]
        for i in range(diagonal(d, s)):
            out[i + s] += packed[row, s * d + i] * xx[i]
    for i in range(d):
        out[i] += out[i + d]


@kernel
def subtract(packed: np.ndarray, row: int, ww: np.ndarray) -> None:
    """Take w w' from the packed matrix in this row. `ww` is w two times over."""
    d = ww.shape[0] // 2
    for s in range(d // 2 + 1):
        for i in range(diagonal(d, s)):
            packed[row, s * d + i] -= ww[i] * ww[i + s]


def unpack(packed: np.ndarray, d: int) -> np.ndarray:
    """The full (d, d) matrix of one packed row."""
    full = np.empty((d, d))
    for s in range(d // 2 + 1):
        for i in range(diagonal(d, s)):
            full[i, (i + s) % d] = full[(i + s) % d, i] = packed[s * d + i]
    return full
