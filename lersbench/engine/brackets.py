"""The two values of a re-ranked slate where nobody knows how likely its items were to be seen, beside the logger's own.

Low end: an item's logged click, wherever it is placed. High end: that click times w(new place) / w(logged place), w how
often each place is looked at (`clicks.carry`). The logged order is worth its first K clicks on the same rounds, so the
differences to it are paired. Neither end is a bound: see METHODOLOGY.md.

Errors go by user. Users are hashed to BUCKETS groups, rounds without a user one by one, and with S_g the sum of what
the rounds of group g deviate by the variance of a mean over n rounds is G / (G - 1) sum_g S_g^2 / n^2, over the G
groups that hold a round. To the high end the error of the weights is added, by the delta method.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.engine.blocks import hash_of
from lersbench.kernels.jit import kernel

BUCKETS = 1024
N, LOW, HIGH, LOGGED = range(4)  # sums of a bucket
LOGGED_AT, HIGH_AT, LOW_SE, HIGH_SE, LOW_LIFT_SE, HIGH_LIFT_SE, GROUPS = range(7)  # as `read_bracket` fills them
READ = 7


class Carried(NamedTuple):
    """What a click is worth at another place; empty where no bracket is counted."""

    weights: np.ndarray  # (L,) how often each place is looked at, relative to the first
    covariance: np.ndarray  # (L, L) of the logarithms of the weights


NOTHING = Carried(np.zeros(0), np.zeros((0, 0)))


@kernel
def bucket_of(user: int, row: int) -> int:
    """The bucket of a round, the log's number `row`: that of its user, or its own where the user is not known (-1)."""
    return hash_of(user, row) % BUCKETS


@kernel
def count_bracket(
    buckets: np.ndarray,
    turn: np.ndarray,
    weights: np.ndarray,
    bucket: int,
    paid: np.ndarray,
    shown_at: np.ndarray,
    logged: np.ndarray,
    slate: np.ndarray,
) -> None:
    """Add a slate (K,) to the sums of its `bucket`, of `buckets` (BUCKETS, 4).

    `paid` (C,) is what each candidate earned where the log showed it, at place `shown_at` (C,); `logged` (C,) is the
    candidate at each place. `turn` (L,) grows by the slope of the high end in the logarithm of each of the `weights`
    (L,): what it takes to tell how much their error moves it.
    """
    low, high, own = 0.0, 0.0, 0.0
    for k in range(slate.shape[0]):
        own += paid[logged[k]]
        earned = paid[slate[k]]
        if earned != 0.0:
            j = shown_at[slate[k]]
            carried = earned * weights[k] / weights[j]
            low += earned
            high += carried
            turn[k] += carried
            turn[j] -= carried
    sums = buckets[bucket]
    sums[N] += 1.0
    sums[LOW] += low
    sums[HIGH] += high
    sums[LOGGED] += own


@kernel
def read_bracket(buckets: np.ndarray, turn: np.ndarray, covariance: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (READ,): the logged order and the high end, a round; standard errors of low and high end, and of their
    lifts over the logged order; the groups these rest on. NaN where there is nothing to tell, as of fewer than two
    groups, and of lifts while the logged order has earned nothing."""
    out[:] = math.nan
    rounds, low, high, logged, groups = 0.0, 0.0, 0.0, 0.0, 0.0
    for g in range(buckets.shape[0]):
        groups += buckets[g, N] > 0.0
        rounds += buckets[g, N]
        low += buckets[g, LOW]
        high += buckets[g, HIGH]
        logged += buckets[g, LOGGED]
    if rounds == 0.0:
        return
    low, high, logged = low / rounds, high / rounds, logged / rounds
    out[LOGGED_AT], out[HIGH_AT], out[GROUPS] = logged, high, groups
    if groups < 2.0:
        return
    drift = _drift(turn, covariance) / (rounds * rounds)
    out[LOW_SE] = math.sqrt(_spread(buckets, LOW, low, 0.0)) / rounds
    out[HIGH_SE] = math.sqrt(_spread(buckets, HIGH, high, 0.0) / (rounds * rounds) + drift)
    if logged > 0.0:
        out[LOW_LIFT_SE] = math.sqrt(_spread(buckets, LOW, 0.0, low / logged)) / rounds / logged
        out[HIGH_LIFT_SE] = math.sqrt(_spread(buckets, HIGH, 0.0, high / logged) / (rounds * rounds) + drift) / logged


@kernel
def _spread(buckets: np.ndarray, end: int, mean: float, ratio: float) -> float:
    """G / (G - 1) times the sum of the squares of what groups deviate by from `mean` a round, or from `ratio` times
    their own logged order."""
    total, groups = 0.0, 0.0
    for g in range(buckets.shape[0]):
        if buckets[g, N] > 0.0:
            off = buckets[g, end] - mean * buckets[g, N] - ratio * buckets[g, LOGGED]
            total += off * off
            groups += 1.0
    return total * groups / (groups - 1.0)


@kernel
def _drift(turn: np.ndarray, covariance: np.ndarray) -> float:
    """The variance of a sum whose slope in the logarithms of the weights is `turn` (L,)."""
    total = 0.0
    for k in range(turn.shape[0]):
        for j in range(turn.shape[0]):
            total += turn[k] * covariance[k, j] * turn[j]
    return max(total, 0.0)
