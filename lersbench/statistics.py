"""Means, intervals, paired differences and rank ranges over replicates; arrays in, numbers out.

The first axis of `values` is always the replicate (seed). What an interval means depends on how replicates were made:

* `shuffle` and `none`: the replicates are independent runs, so their mean has the error sd/sqrt(n), and the interval is
  a bootstrap over seeds. The plain percentile bootstrap is too narrow with few seeds, for two known reasons: the spread
  of a resample has the divisor n instead of n - 1, and its tails are normal although the spread was estimated. Both
  are mended by stretching the distances from the mean by sqrt(n / (n - 1)) * t / z, the idea of Hesterberg's expanded
  percentile interval (2015, The American Statistician 69(4)). Coverage of the nominal 95 %, measured on 20,000 samples:

      seeds                       2     3     5    10    20
      normal, percentile       50.4  75.0  84.1  90.1  92.6
      normal, stretched        93.0  94.8  94.6  94.8  94.9   (used)
      normal, bootstrap-t         -     -  94.2  94.2  94.7
      exponential, percentile  46.3  70.2  77.9  86.3  89.9
      exponential, stretched   88.2  89.2  88.4  90.7  92.2   (used)
      exponential, bootstrap-t    -     -  92.2  93.7  94.3

  Bootstrap-t is better for very skewed values, but undefined where a resample repeats one seed, which is common below
  five; means over a log's rounds are close to normal, so the stretched interval is the one for any number of seeds.
* `subsample`: every replicate replays a random half of the rounds of one log, so replicates overlap and their mean is
  not more certain for being taken over many of them. But a half sample scatters around the full sample with variance
  (1 - f)/f * sigma^2/n, which at f = 1/2 is sigma^2/n, the very error of the full log (the delete-half jackknife). So
  the interval is mean +- t * sd * sqrt(1 + 1/m), where sd is the plain spread of the m replicates: the 1 is the
  sampling error of the log, the 1/m what m halves leave unaveraged. It never shrinks to zero as m grows. Measured
  coverage for the click rate of a log: 95.2 % at m = 5, 95.4 % at 10, 94.0 % at 20.

A value that is NaN in one replicate makes its mean and interval NaN: nothing is dropped behind the reader's back.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError

LEVEL = 0.95
RESAMPLES = 2000
BLOCK = 1 << 22  # resampled means held at a time: 32 MB


class Interval(NamedTuple):
    """Mean over replicates and the ends of its interval, each of the shape of one replicate."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def t_within(t: float, df: int) -> float:
    """P(|T| <= t) of Student's t with `df` >= 1 degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(df))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = df % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for i in range(1 + odd, df, 2):  # `term` runs through the powers of the cosine with their double factorials
        total += term
        term *= square * i / (i + 1)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


@cache
def t_quantile(level: float, df: int) -> float:
    """The t with P(|T| <= t) = `level`, by bisection."""
    low, high = 0.0, 1.0
    while t_within(high, df) < level:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_within(middle, df) < level else (low, middle)
    return (low + high) / 2


def interval(
    values: np.ndarray,
    replicates: str,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """Mean and interval of `values` (seeds, ...) over its first axis; see the head of this file for the two kinds.

    `replicates` is "shuffle", "subsample" or "none". All points of a curve share the resampled seeds, and the same
    `seed` gives the same interval. Ends are cut at `bounds`, the least and the most a value can be. Where nothing is
    known of the spread they are NaN: for fewer than two replicates, and for halves of a log that all agree (such as
    those that hold no click at all), which would make an interval of no width.
    """
    values = np.asarray(values, dtype=np.float64)
    mean = values.mean(axis=0) if len(values) else np.full(values.shape[1:], np.nan)
    if replicates not in ("shuffle", "subsample", "none"):
        raise ConfigError(f"replicates are {replicates!r}, but should be 'shuffle', 'subsample' or 'none'.")
    if len(values) < 2:
        return Interval(mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan))
    if replicates == "subsample":
        error = standard_error(values, replicates)
        half = t_quantile(level, len(values) - 1) * np.where(error > 0, error, np.nan)
        return Interval(mean, np.clip(mean - half, *bounds), np.clip(mean + half, *bounds))
    low, high = _percentiles(values.reshape(len(values), -1), level, resamples, seed)
    stretch = _stretch(len(values), level)
    ends = [mean + stretch * (end.reshape(mean.shape) - mean) for end in (low, high)]
    return Interval(mean, *(np.clip(end, *bounds) for end in ends))


def standard_error(values: np.ndarray, replicates: str) -> np.ndarray:
    """Standard error of the mean of `values` (seeds >= 2, ...); of half samples, the error of their whole log."""
    n = len(values)
    return values.std(axis=0, ddof=1) * math.sqrt(1 + 1 / n if replicates == "subsample" else 1 / n)


def _stretch(n: int, level: float) -> float:
    """How much the percentile bootstrap of `n` values is too narrow."""
    return math.sqrt(n / (n - 1)) * t_quantile(level, n - 1) / NormalDist().inv_cdf((1 + level) / 2)


def _percentiles(values: np.ndarray, level: float, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles (points,) of the means of resampled rows of `values` (seeds, points)."""
    n, points = values.shape
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64).T / n  # (seeds, resamples)
    tails = [(1 - level) / 2, (1 + level) / 2]
    ends = np.empty((2, points))
    step = max(1, BLOCK // resamples)
    for start in range(0, points, step):
        block = np.ascontiguousarray(values[:, start : start + step].T)
        ends[:, start : start + step] = np.quantile(block @ weights, tails, axis=1)
    return ends[0], ends[1]


def half_width(found: Interval) -> np.ndarray:
    """Half the width of an interval: the number after "+-"."""
    return (found.high - found.low) / 2


def paired(
    values: np.ndarray,
    baseline: np.ndarray,
    replicates: str,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Interval of the difference `values` - `baseline`, both (seeds, ...), taken seed by seed.

    Equal seeds see the same rounds (common random numbers), so what a lucky order adds to both cancels.
    """
    return interval(np.asarray(values) - np.asarray(baseline), replicates, level, resamples, seed)


def p_value(differences: np.ndarray, replicates: str) -> float:
    """Two-sided p of the paired t test that `differences` (seeds,) have mean zero; 1 with fewer than two of them."""
    if len(differences) < 2:
        return 1.0
    mean, error = abs(differences.mean()), float(standard_error(differences, replicates))
    if error <= 1e-12 * mean:  # every seed shows the same difference
        return 0.0 if mean > 0 else 1.0
    return 1 - t_within(mean / error, len(differences) - 1)


def rank_ranges(
    values: np.ndarray, higher_is_better: bool, replicates: str, level: float = LEVEL
) -> list[tuple[int, int]]:
    """The best and the worst rank the data allow each contender; `values` is (contenders, seeds), NaN where missing.

    Every pair is compared by its paired differences on the seeds both have. A contender's best rank is one more than
    the number of contenders shown to be better than it, its worst rank leaves below it only those shown to be worse;
    contenders that cannot be told apart therefore share ranks. The p values of all pairs are corrected with Holm's
    method (1979), so the chance that the table separates even one pair that is equal is at most 1 - level. The tests
    are t tests because a bootstrap of ten seeds cannot resolve a tail of 0.05 / 78. Such ranges are the confidence
    sets for ranks of Mogstad, Romano, Shaikh and Wilhelm (2024, Review of Economic Studies 91(1)); unlike groups around
    a leader they never put a contender behind one it was not shown to be worse than.
    """
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    pairs = []
    for a in range(n):
        for b in range(a + 1, n):
            difference = values[a] - values[b]
            difference = difference[np.isfinite(difference)]
            pairs.append((p_value(difference, replicates), a, b, difference))
    best, worst = [1] * n, [n] * n
    for tested, (p, a, b, difference) in enumerate(sorted(pairs, key=lambda pair: pair[:3])):
        if p > (1 - level) / (len(pairs) - tested):
            break  # Holm: the first pair that fails ends the procedure
        winner, loser = (a, b) if (difference.mean() > 0) == higher_is_better else (b, a)
        best[loser] += 1
        worst[winner] -= 1
    return list(zip(best, worst, strict=True))
