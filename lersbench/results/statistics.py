"""Means over replicates and their intervals; arrays in, numbers out.

The first axis of `values` is always the replicate (seed). What an interval means depends on how replicates were made:

* `shuffle` and `none`: the replicates are independent runs on one log, and the interval is that of Student's t:
  mean +- t sd / sqrt(n) with n - 1 degrees of freedom. It speaks of this log alone. It is exact for normal values. A
  policy that locks in has other shapes, and is covered less often than 95 % by any method with few seeds: a bootstrap
  cannot know of a shape that the seeds have not shown. More seeds are the cure. METHODOLOGY.md has the measured
  coverage.
* `subsample`: every replicate replays a random half of the rounds of one log, so halves overlap and their mean is not
  more certain for being taken over many of them; but a half scatters around the whole log as the whole log scatters
  around the truth (the delete-half jackknife; Shao and Wu 1989, Annals of Statistics 17(3)). So this interval speaks of
  new rounds. See `subsample`.

Certainty is not made from nothing: no interval has width 0, and no end lies outside what the metric can be. A value
that is NaN in one replicate makes its mean and interval NaN: nothing is dropped behind the reader's back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lersbench.distributions import LEVEL, t_quantile
from lersbench.errors import ConfigError

ROUNDING = 1e-9  # values that differ by a smaller share are the same
REPLICATES = ("shuffle", "subsample", "none")


class Interval(NamedTuple):
    """Mean over replicates and the ends of its interval, each of the shape of one replicate."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Error(NamedTuple):
    """The variance of a mean, of the shape of one replicate, and the degrees of freedom it is known with."""

    variance: np.ndarray
    df: float


def interval(
    values: np.ndarray,
    replicates: str,
    level: float = LEVEL,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    floor: np.ndarray | float = 0.0,
    half: Sequence[int] | np.ndarray | None = None,
) -> Interval:
    """Mean and interval of `values` (seeds, ...) over its first axis; see the head of this file for the two kinds.

    `replicates` is "shuffle", "subsample" or "none"; with the second, `half` (seeds,) numbers the half of the log that
    each seed played (by default each its own). Ends are cut at `bounds`, the least and the most a value can be.
    `floor`, of the shape of one replicate or a number, is the least standard deviation over replicates that is
    believed: the resolution of the values. Where nothing is known of the spread the ends are NaN: for fewer than two
    replicates, where all agree and no floor is given, and for halves of a log that all agree (such as those that hold
    no click at all).
    """
    values = np.asarray(values, dtype=np.float64)
    mean = values.mean(axis=0) if len(values) else np.full(values.shape[1:], np.nan)
    variance, df = error(values, replicates, floor, half)
    return around(mean, variance, df, level, bounds)


def around(
    mean: Any, variance: Any, df: Any, level: float = LEVEL, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    """mean +- t sqrt(variance), cut at `bounds`; arrays of one shape. Ends are NaN where the variance is 0 or NaN."""
    mean, variance = np.asarray(mean, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    wide = np.sqrt(np.where(variance > 0, variance, np.nan)) * t_quantile(level, df)
    return Interval(
        mean,
        np.maximum(mean - wide, np.minimum(bounds[0], mean)),
        np.minimum(mean + wide, np.maximum(bounds[1], mean)),
    )


def error(
    values: np.ndarray,
    replicates: str,
    floor: np.ndarray | float = 0.0,
    half: Sequence[int] | np.ndarray | None = None,
) -> Error:
    """The variance of the mean of `values` (seeds, ...) over its first axis, of half samples that of their whole log.

    NaN for fewer than two seeds (or halves). A standard deviation over replicates below `floor` is `floor`, but halves
    that all agree have none: they tell nothing of the log.
    """
    if replicates not in REPLICATES:
        raise ConfigError(f"replicates are {replicates!r}, but should be 'shuffle', 'subsample' or 'none'.")
    values = np.asarray(values, dtype=np.float64)
    if replicates == "subsample":
        found = subsample(values, half)
        least = np.square(floor) * (1 + 1 / (found.df + 1)) if found.df > 0 else math.nan
        known = np.where(flat(values), 0.0, np.maximum(found.variance, least)) if len(values) else found.variance
        return Error(known, found.df)
    n = len(values)
    if n < 2:
        return Error(np.full(values.shape[1:], np.nan), math.nan)
    own = np.where(flat(values), 0.0, values.var(axis=0, ddof=1))
    return Error(np.maximum(own, np.square(floor)) / n, n - 1)


def subsample(values: np.ndarray, half: Sequence[int] | np.ndarray | None = None) -> Error:
    """The error of `values` (seeds, ...), each from one random half of the rounds of a log, as estimates of the truth.

    `half` (seeds,) numbers the half of each seed; seeds of one half differ by the draws of the policy (and by what of
    the half rejection replay lets it see) alone. By default every seed has a half of its own.

    With m halves of q seeds each (their harmonic mean), `within` the variance of seeds inside halves, `between` that of
    the means of halves: the log's own part is v = max(between - within / q, 0), since halves scatter around the whole
    log with the variance (1 - f) / f sigma^2 / n, at f = 1/2 that of the whole log around the truth. The mean over
    halves has the variance max(v (1 + 1/m) + within / (m q), between / m): the 1 is the error of the log, which no
    number of halves lowers, the rest is what m halves and m q draws leave unaveraged. m - 1 degrees of freedom. NaN for
    fewer than two halves.

    If every seed had a half of its own, what the policy draws and lets pass would be counted as an error of the log,
    which made these intervals more than twice too wide under rejection replay that keeps a fifth of the rounds.
    """
    values = np.asarray(values, dtype=np.float64)
    labels = np.arange(len(values)) if half is None else np.asarray(half)
    if labels.shape != values.shape[:1]:
        raise ConfigError(f"{len(values)} seeds have the halves of {len(labels)}: one half a seed is needed.")
    halves, inside, counts = np.unique(labels, return_inverse=True, return_counts=True)
    m = len(halves)
    if m < 2:
        return Error(np.full(values.shape[1:], np.nan), math.nan)
    means = np.stack([values[inside == i].mean(axis=0) for i in range(m)])
    between, q = means.var(axis=0, ddof=1), m / (1 / counts).sum()
    spare = len(values) - m
    within = ((values - means[inside]) ** 2).sum(axis=0) / spare if spare else np.zeros_like(between)
    log = np.maximum(between - within / q, 0.0)
    return Error(np.maximum(log * (1 + 1 / m) + within / (m * q), between / m), m - 1)


def flat(values: np.ndarray) -> np.ndarray:
    """Where all of `values` (seeds >= 1, ...) are the same but for rounding."""
    return np.ptp(values, axis=0) <= ROUNDING * np.abs(values).max(axis=0)


def half_width(span: Interval) -> np.ndarray:
    """Half the width of an interval: the number after "+-"."""
    return (span.high - span.low) / 2


def paired(
    values: np.ndarray,
    baseline: np.ndarray,
    replicates: str,
    level: float = LEVEL,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    floor: np.ndarray | float = 0.0,
    half: Sequence[int] | np.ndarray | None = None,
) -> Interval:
    """Interval of the difference `values` - `baseline`, both (seeds, ...), taken seed by seed.

    Equal seeds see the same rounds (common random numbers), so what a lucky order adds to both cancels. `bounds` and
    `floor` are those of a value: a difference lies within the width of the bounds, on either side of 0.
    """
    width = bounds[1] - bounds[0]
    return interval(np.asarray(values) - np.asarray(baseline), replicates, level, (-width, width), floor, half)
