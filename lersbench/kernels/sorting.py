"""An order by size, in one signature: NumPy's own sort takes seconds to compile."""

from __future__ import annotations

import numpy as np

from lersbench.kernels.jit import kernel


@kernel
def ascending(values: np.ndarray, order: np.ndarray) -> None:
    """Fill `order` (n,) int64 with the places of `values` (n,) float64 from the least on, equal ones as they stand.

    A merge sort from the bottom up: runs of 1, 2, 4 ... places are merged two by two.
    """
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
