"""The arithmetic of inverse propensity scoring along a replay: one weight, one set of sums, one summary for all.

A slate shown in place of the logged one is worth v = sum_k w_k * (the logged click on the item at its position k),
w_k = min(examined_k / exposure of that item, clip): how likely the item is to be examined where the policy shows it,
over how likely it was under the logging policy. What "examined" means is the estimator's: by the position-based or the
user browsing model, or simply "stands at the position where it was logged" (item-position IPS).

Exposure 0. An item that the logging policy can never have had examined, at a position where the policy has it
examined, has no weight: 0 takes its place and it counts as unsupported, clicked or not. So the estimate leaves out
what such items earn, and their share of the shown items says how much of the slates that is.
"""

from __future__ import annotations

import math

import numpy as np

from lersbench.kernels.jit import kernel

ROUNDS, VALUE, SQUARES, WEIGHTS, WEIGHTS2, CUT, UNSUPPORTED = range(7)
SUMS = 7  # rounds, their values, the squares of these, weights, their squares, weights cut, items without support
EQUAL = 1e-12  # of the sum of squares: a spread below it is rounding, all values are the same


@kernel
def add(
    sums: np.ndarray, slate: np.ndarray, examined: np.ndarray, exposure: np.ndarray, clicks: np.ndarray, clip: float
) -> None:
    """Add one round to `sums` (SUMS,).

    `slate` (K,) indices into the candidates, `examined` (K,) P(position k of it is examined), `exposure` (C,) P(the
    candidate is examined) under the logging policy, `clicks` (C,) the logged ones, NaN for candidates that were not
    shown: these have no weight. `clip` > 0 is the largest weight, infinity for none.
    """
    value = 0.0
    for k in range(slate.shape[0]):
        item = slate[k]
        if examined[k] > 0.0:
            if not exposure[item] > 0.0:
                sums[UNSUPPORTED] += 1.0
            elif clicks[item] == clicks[item]:
                weight = examined[k] / exposure[item]
                if weight > clip:
                    weight = clip
                    sums[CUT] += 1.0
                value += weight * clicks[item]
                sums[WEIGHTS] += weight
                sums[WEIGHTS2] += weight * weight
    sums[ROUNDS] += 1.0
    sums[VALUE] += value
    sums[SQUARES] += value * value


@kernel
def summarise(sums: np.ndarray, shown: float, out: np.ndarray) -> None:
    """Fill `out` (4,): clicks per slate, its standard error, the effective share of the sample, the unsupported share.

    `shown` items in all slates. The error is sd / sqrt(n) with the variance over n - 1. The effective sample,
    (sum w)^2 / (sum w^2), counts equally weighted items that would say as much. NaN is what `sums` (SUMS,) cannot say:
    everything before the first round, value and error where nothing had a weight, the error of one round and of values
    that are all the same, which show no spread to judge by.
    """
    out[:] = math.nan
    n = sums[ROUNDS]
    if n == 0.0:
        return
    out[2] = 0.0
    out[3] = sums[UNSUPPORTED] / shown
    if sums[WEIGHTS2] == 0.0:
        return
    out[0] = sums[VALUE] / n
    out[2] = sums[WEIGHTS] * sums[WEIGHTS] / sums[WEIGHTS2] / shown
    spread = sums[SQUARES] - n * out[0] * out[0]
    if n > 1.0 and spread > EQUAL * sums[SQUARES]:
        out[1] = math.sqrt(spread / (n - 1.0) / n)
