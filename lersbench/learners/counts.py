"""How often each item was played and what it brought on average, and the UCB1 index of the two."""

from __future__ import annotations

import math

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import FIRST


@kernel
def add_to_means(
    plays: np.ndarray,
    mean: np.ndarray,
    candidates: np.ndarray,
    slate: np.ndarray,
    rewards: np.ndarray,
    seen: np.ndarray,
) -> None:
    """Count the seen items of a slate into the running means: `plays` and `mean` (n_items,) are changed in place."""
    for k in range(slate.shape[0]):
        if seen[k]:
            item = candidates[slate[k]]
            plays[item] += 1.0
            mean[item] += (rewards[k] - mean[item]) / plays[item]


@kernel
def bounds(
    plays: np.ndarray, mean: np.ndarray, rounds: int, alpha: float, candidates: np.ndarray, out: np.ndarray
) -> None:
    """Fill `out` (C,) with mean + alpha sqrt(2 ln n / plays); `plays` and `mean` (n_items,), n = `rounds`."""
    width = alpha * math.sqrt(2.0 * math.log(max(rounds, 1)))
    for c in range(candidates.shape[0]):
        item = candidates[c]
        if plays[item] == 0.0:
            out[c] = FIRST
        else:
            out[c] = mean[item] + width / math.sqrt(plays[item])
