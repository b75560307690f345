"""Weights of categories in place of items: MIPS with an embedding that each item has for sure.

With many items most have a tiny propensity. If what comes of an item depends on its category alone, the weight of the
category does as well: w(x, e) = sum_a pi(a | x) 1[e(a) = e] / sum_a p(a | x) 1[e(a) = e] (Saito & Joachims, ICML 2022,
for a deterministic embedding). It is unbiased under that condition ("no direct effect"), biased by what items of one
category differ in. The finer the category the less the bias and the more the variance: the item itself is IPS.

It needs the chances of all candidates under both policies. A category that the target shows and the logger never does
has no weight: its mass is given, never left out silently.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.errors import DataError
from lersbench.kernels.jit import kernel
from lersbench.offpolicy.sums import HEAVIEST


class CategoryWeights(NamedTuple):
    w: np.ndarray  # (n,) of the logged item's category
    propensity: np.ndarray  # (n,) of that category
    unsupported: np.ndarray  # (n,) share of the target on categories that the logger never shows in this context


def category_weights(
    chances: np.ndarray,
    propensities: np.ndarray,
    category: np.ndarray,
    first: np.ndarray,
    logged: np.ndarray,
    start: int = 0,
) -> CategoryWeights:
    """MIPS weights of n rows, for `doubly_robust.ips` and `snips`.

    `chances`, `propensities` (N,) under target and logger, and `category` (N,) int64 from 0 on, of the candidates end
    to end; those of row i stand at first[i]..first[i + 1] - 1, `first` (n + 1,), and the logged one is the logged[i]-th
    of them. Where `unsupported` is above 0 the estimate lacks that mass: it is a bound at best. DataError, with the row
    (the first is `start`), for chances outside [0, 1], and where the logged item's category has propensity 0 or a
    weight above 1e12.
    """
    for what, values in (("the target's chance", chances), ("propensity", propensities)):
        bad = np.flatnonzero(~((values >= 0) & (values <= 1)))
        if len(bad):
            row = int(np.searchsorted(first, bad[0], side="right")) - 1
            raise DataError(
                f"row {start + row}, candidate {int(bad[0] - first[row])}: {what} is {values[bad[0]]}, but must be in "
                f"[0, 1] (values affected: {len(bad)})."
            )
    w, propensity, unsupported = np.empty((3, len(logged)))
    sums = np.zeros((int(category.max()) + 1 if len(category) else 0, 2))
    _weights(chances, propensities, category, first, logged, sums, w, propensity, unsupported)
    bad = np.flatnonzero(~(w <= HEAVIEST))
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"row {start + row}: the category of the logged item has the weight {w[row]}, but a logger that showed it "
            f"must have had a propensity for it (rows affected: {len(bad)})."
        )
    return CategoryWeights(w, propensity, unsupported)


@kernel
def _weights(
    chances: np.ndarray,
    propensities: np.ndarray,
    category: np.ndarray,
    first: np.ndarray,
    logged: np.ndarray,
    sums: np.ndarray,
    w: np.ndarray,
    propensity: np.ndarray,
    unsupported: np.ndarray,
) -> None:
    """`sums` (categories, 2) comes as zeros and is left so."""
    for i in range(w.shape[0]):
        for j in range(first[i], first[i + 1]):
            sums[category[j], 0] += chances[j]
            sums[category[j], 1] += propensities[j]
        own = category[first[i] + logged[i]]
        propensity[i] = sums[own, 1]
        w[i] = sums[own, 0] / sums[own, 1] if sums[own, 1] > 0.0 else np.inf
        unsupported[i] = 0.0
        for j in range(first[i], first[i + 1]):
            if sums[category[j], 1] == 0.0:
                unsupported[i] += sums[category[j], 0]
            sums[category[j], 0] = 0.0
            sums[category[j], 1] = 0.0
