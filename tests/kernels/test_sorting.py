"""An order by size: the one of NumPy's stable sort, of whole numbers and of any."""

from __future__ import annotations

import numpy as np
import pytest

from lersbench.kernels.sorting import COUNTED, ascending

RNG = np.random.default_rng(0)
CASES = {
    "counts": RNG.poisson(2.0, 300).astype(float),
    "a permutation": RNG.permutation(257).astype(float),
    "all equal": np.zeros(9),
    "the largest that are counted": np.array([0.0, 4 * COUNTED, 3.0, 4 * COUNTED]),
    "one too large": np.array([1.0, 4 * COUNTED + 1, 0.0, 1.0]),
    "one far too large": np.array([1e300, 2.0, np.inf, 2.0]),
    "one not whole": np.array([3.0, 2.0, 1.5, 3.0, 2.0]),
    "one negative": np.array([3.0, -1.0, 3.0, 0.0, -0.0]),
    "any": np.round(RNG.standard_normal(500), 2),
    "one": np.ones(1),
    "none": np.zeros(0),
}


@pytest.mark.parametrize("name", CASES)
def test_the_order_is_that_of_a_stable_sort(name: str) -> None:
    values = CASES[name]
    order = np.empty(len(values), np.int64)
    ascending(values, order)
    np.testing.assert_array_equal(order, np.argsort(values, kind="stable"))
