"""An order by size, in one signature: NumPy's own sort takes seconds to compile."""

from __future__ import annotations

import numpy as np

from lersbench.kernels.jit import inlined, kernel

COUNTED = 4  # whole numbers from 0 to this times their number are counted


@kernel
def ascending(values: np.ndarray, order: np.ndarray) -> None:
    """Fill `order` (n,) int64 with the places of `values` (n,) float64, no NaN, from the least on, equal ones as they
    stand.

    Small whole numbers, as counts and places are, are counted in linear time; others are merged.
    """
    n, most, whole = values.shape[0], 0, True
    for i in range(n):
        value = values[i]
        if not 0.0 <= value <= COUNTED * n or value != int(value):
            whole = False
            break
        most = max(most, int(value))
    if whole:
        _count(values, most, order)
    else:
        _merge(values, order)


@inlined
def _count(values: np.ndarray, most: int, order: np.ndarray) -> None:
    """`ascending` of whole numbers from 0 to `most`: each goes behind all that are smaller, and equal ones before."""
    behind = np.zeros(most + 1, np.int64)
    for i in range(values.shape[0]):
        behind[int(values[i])] += 1
    total = 0
    for value in range(most + 1):
        total, behind[value] = total + behind[value], total
    for i in range(values.shape[0]):
        value = int(values[i])
        order[behind[value]] = i
        behind[value] += 1


@inlined
def _merge(values: np.ndarray, order: np.ndarray) -> None:
    """`ascending` from the bottom up: runs of 1, 2, 4 ... places are merged two by two."""
    n, width = values.shape[0], 1
    for i in range(n):
        order[i] = i
    merged = np.empty(n, np.int64)
    while width < n:
        for first in range(0, n, 2 * width):
            middle, last = min(first + width, n), min(first + 2 * width, n)
            left, right = first, middle
            for i in range(first, last):
                take_left = left < middle
                if take_left and right < last:
                    take_left = values[order[left]] <= values[order[right]]
                if take_left:
                    merged[i] = order[left]
                    left += 1
                else:
                    merged[i] = order[right]
                    right += 1
        for i in range(n):
            order[i] = merged[i]
        width *= 2
