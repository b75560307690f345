"""Symmetric (d, d) matrices by wrapped diagonals, for quadratic forms x'Ax of many matrices with one x.

Entry s d + i, for s = 0..d // 2, stands for the elements (i, (i + s) mod d) and ((i + s) mod d, i) together, so
x'Ax is the plain dot product of a packed A with the products of x. All diagonals are equally long
and contiguous, unlike the rows of a triangle, so the loops below are vector loops.
"""

from __future__ import annotations

import numpy as np

from lersbench.jit import inlined


def packed_size(d: int) -> int:
    """Entries of a packed (d, d) matrix."""
    return d * (d // 2 + 1)


@inlined
def products(x: np.ndarray, xx: np.ndarray, z: np.ndarray) -> None:
    """Fill `z` (packed_size,) with the packed matrix x x', counting both halves of it.

    `x` (d,); `xx` (2 d,) is left holding x two times over, so that wrapping needs no test.
    """
    d = x.shape[0]
    for i in range(d):
        xx[i] = x[i]
        xx[i + d] = x[i]
    for s in range(d // 2 + 1):
        halves = 1.0 if s == 0 or 2 * s == d else 2.0
        for i in range(d):
            z[s * d + i] = halves * xx[i] * xx[i + s]
