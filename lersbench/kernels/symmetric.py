"""Symmetric (d, d) matrices by wrapped diagonals: half the numbers, and nothing but long vector loops.

Entry s d + i, for s = 0..d // 2, is the element (i, (i + s) mod d), which is also ((i + s) mod d, i). (Where d is
even the last diagonal so holds each of its elements twice.) All diagonals are equally long and contiguous,
unlike the rows of a triangle. `lanes` matrices side by side, entry by entry, work the same way: every
number below is then `lanes` neighbours. A vector `xx` is x two times over, so that wrapping needs no test.
"""

from __future__ import annotations

import numpy as np

from lersbench.kernels.jit import inlined


def packed_size(d: int) -> int:
    """Entries of a packed (d, d) matrix."""
    return d * (d // 2 + 1)


@inlined
def products(xx: np.ndarray, lanes: int, z: np.ndarray) -> None:
    """Fill `z` so that x'Ax is the sum of its entries times those of a packed A."""
    size = xx.shape[0] // 2
    for s in range(size // lanes // 2 + 1):
        halves = 1.0 if s == 0 or 2 * s * lanes == size else 2.0
        for i in range(size):
            z[s * size + i] = halves * xx[i] * xx[i + s * lanes]


@inlined
def times(packed: np.ndarray, xx: np.ndarray, lanes: int, out: np.ndarray) -> None:
    """Fill the first half of `out` (as long as `xx`) with A x."""
    size = xx.shape[0] // 2
    for i in range(size):
        out[i] = packed[i] * xx[i]
        out[i + size] = 0.0
    for s in range(1, size // lanes // 2 + 1):
        for i in range(size):
            out[i] += packed[s * size + i] * xx[i + s * lanes]
        if 2 * s * lanes < size:
            for i in range(size):
                out[i + s * lanes] += packed[s * size + i] * xx[i]
    for i in range(size):
        out[i] += out[i + size]


@inlined
def take(packed: np.ndarray, ww: np.ndarray, lanes: int) -> None:
    """Subtract w w' from A in place."""
    size = ww.shape[0] // 2
    for s in range(size // lanes // 2 + 1):
        for i in range(size):
            packed[s * size + i] -= ww[i] * ww[i + s * lanes]


def unpack(packed: np.ndarray, d: int) -> np.ndarray:
    """The full (d, d) matrix of one packed one."""
    full = np.empty((d, d))
    for s in range(d // 2 + 1):
        for i in range(d):
            full[i, (i + s) % d] = full[(i + s) % d, i] = packed[s * d + i]
    return full
