"""Exponential weights: their probabilities, a draw from them, and the rate that the horizon sets."""

from __future__ import annotations

import math

import numpy as np

from lersbench.errors import ConfigError
from lersbench.kernels.jit import kernel


@kernel
def probabilities(log_weight: np.ndarray, gamma: float, candidates: np.ndarray, p: np.ndarray) -> None:
    """Fill `p` (C,) with (1 - gamma) w / sum w + gamma / C, the sum over the candidates; `log_weight` (n_items,)."""
    n = candidates.shape[0]
    top = log_weight[candidates[0]]
    for c in range(n):
        top = max(top, log_weight[candidates[c]])
    total = 0.0
    for c in range(n):
        p[c] = math.exp(log_weight[candidates[c]] - top)
        total += p[c]
    for c in range(n):
        p[c] = (1.0 - gamma) * p[c] / total + gamma / n


@kernel
def draw(mass: np.ndarray, point: float) -> int:
    """The index in whose share of `mass` (C,) the `point` in [0, sum) falls, the shares laid end to end."""
    last = -1
    for c in range(mass.shape[0]):
        if mass[c] > 0.0:
            last = c
            if point < mass[c]:
                return c
            point -= mass[c]
    return last  # rounding can carry the point just over the end


@kernel
def share_left(mass: np.ndarray, index: int) -> float:
    """The share of one entry in all the `mass` (C,) that is left."""
    total = 0.0
    for c in range(mass.shape[0]):
        total += mass[c]
    return mass[index] / total


def horizon_gamma(candidates: int, plays: int, rounds: int) -> float:
    """min(1, sqrt(C ln(C / plays) / ((e - 1) plays T))), the rate that balances the regret bound at T rounds."""
    if rounds < 1:
        raise ConfigError("gamma = 0 sets gamma by the number of rounds, which is not known here; give gamma a value.")
    return min(1.0, math.sqrt(candidates * math.log(candidates / plays) / ((math.e - 1.0) * plays * rounds)))
