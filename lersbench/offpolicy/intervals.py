"""Intervals of off-policy estimates that a few sums determine: by clusters, gamma, empirical Bernstein, bounds.

What each promises, for the value of a policy from n weighted rows (w weight, r reward, v = w r):

    normal          asymptotic in the number of users (or rows); too narrow where few weighted rewards carry the value
    cressie_read    asymptotic, inside the range of the rewards; see `empirical_likelihood`
    gamma           close to exact for rare rewards, r >= 0
    bootstrap       asymptotic, for ratios too; see `resampling`
    bernstein       holds for every n, needs the largest possible v
    betting         the same, narrower, needs the rows one by one; see `betting`
    Anytime         holds at all n at once; see `anytime`

All are two-sided at `level`, with half of the rest above and half below.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from lersbench.distributions import LEVEL, chi2_quantile, t_quantile
from lersbench.errors import ConfigError, DataError


class Interval(NamedTuple):
    """The two ends of an interval, low <= high; NaN where nothing is known of the error."""

    low: float
    high: float

    def within(self, least: float, most: float) -> Interval:
        """The part of it in [least, most]; where it lies beside that, the nearer end of it twice."""
        return Interval(*(float(min(max(end, least), most)) if end == end else end for end in self))


class Six(NamedTuple):
    """Sums over n rows of weight w >= 0 and reward r: all that Cressie-Read, and the errors by row, need."""

    n: int
    s1: float  # sum w
    s2: float  # sum w^2
    r1: float  # sum w r
    r2: float  # sum w^2 r
    q2: float  # sum w^2 r^2
    total: float  # sum r

    @classmethod
    def of(cls, w: np.ndarray, r: np.ndarray) -> Six:
        """The sums of rows of weights `w` (n,) and rewards `r` (n,)."""
        w, r = np.asarray(w, dtype=np.float64), np.asarray(r, dtype=np.float64)
        v = w * r
        sums = (w.sum(), (w * w).sum(), v.sum(), (w * v).sum(), (v * v).sum(), r.sum())
        return cls(len(w), *map(float, sums))


class RowErrors(NamedTuple):
    """Standard errors of rows taken as independent; NaN for fewer than two rows, or of no weight."""

    ips: float
    snips: float


def tail(level: float) -> float:
    """Half of what `level` leaves: the chance on either side. ConfigError where the level is not within (0, 1)."""
    if not 0 < level < 1:
        raise ConfigError(f"the level of an interval is {level}, but should lie between 0 and 1, 0.95 for instance.")
    return (1 - level) / 2


def each_of(level: float, parts: int) -> float:
    """The level at which each of `parts` intervals holds if all are to hold at once with `level` (Bonferroni)."""
    tail(level)
    return 1 - (1 - level) / parts


def normal(value: float, error: float, groups: int | None = None, level: float = LEVEL) -> Interval:
    """The interval value -+ q * error: q of Student's t with `groups` - 1 degrees of freedom, else the normal one.

    `groups` >= 2 clusters that the standard `error` was computed over, see `cluster_error`; None for rows taken as
    independent. NaN ends where the error is NaN or there are fewer than two groups.
    """
    chance = tail(level)
    if groups is not None and groups < 2:
        return Interval(math.nan, math.nan)
    half = float(error) * (NormalDist().inv_cdf(1 - chance) if groups is None else t_quantile(level, groups - 1))
    return Interval(float(value) - half, float(value) + half)


def cluster_error(psi: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, int]:
    """Standard errors (...,) of estimates from their influence values `psi` (..., G) summed by group, and the groups.

    sqrt(G / (G - 1) sum_g psi_g^2) / n with the psi less their mean: the sandwich variance of Liang and Zeger (1986,
    Biometrika 73(1)) with the usual factor for few groups. `counts` (G,) rows in each group, n their sum: groups
    without a row do not count. Rows are right whatever their dependence within a group. NaN for fewer than two groups.
    """
    psi, counts = np.asarray(psi, dtype=np.float64), np.asarray(counts)
    if psi.shape[-1:] != counts.shape:
        raise DataError(f"influence sums of the shape {psi.shape}, but counts of {counts.shape}: give one a group.")
    n, groups = int(counts.sum()), int(np.count_nonzero(counts))
    if groups < 2:
        return np.full(psi.shape[:-1], np.nan), groups
    centred = psi - psi.sum(axis=-1, keepdims=True) * (counts / n)
    return np.sqrt(groups / (groups - 1) * (centred**2).sum(axis=-1)) / n, groups


def row_errors(six: Six) -> RowErrors:
    """Standard errors of IPS, mean v, and of SNIPS, sum v / sum w (by the delta method), from sums over the rows."""
    n = six.n
    if n < 2:
        return RowErrors(math.nan, math.nan)
    mean_weight = six.s1 / n
    ips = _root(six.q2 - six.r1**2 / n, six.q2) / math.sqrt(n * (n - 1))
    if not mean_weight > 0:
        return RowErrors(ips, math.nan)
    value = six.r1 / six.s1
    squares = six.q2 - 2 * value * six.r2 + value**2 * six.s2
    return RowErrors(ips, _root(squares, six.q2 + value**2 * six.s2) / mean_weight / math.sqrt(n * (n - 1)))


def _root(difference: float, scale: float) -> float:
    """The root of a difference of sums of the size of `scale`; 0 where it is their rounding."""
    return math.sqrt(difference) if difference > 1e-13 * scale else 0.0


def design_effect(cluster: float, row: float) -> float:
    """How much dependence within clusters raises the variance: (cluster error / row error)^2 of SNIPS.

    1 where the rows show no error at all (all rewards are the same); infinite where the clusters cannot tell theirs.
    """
    if math.isnan(cluster) or math.isnan(row):
        return math.inf
    return (cluster / row) ** 2 if row > 0 else 1.0


def gamma(y: float, s2: float, k: float, n: int, level: float = LEVEL) -> Interval:
    """The interval of a mean of weighted counts of Fay and Feuer (1997, Statistics in Medicine 16(7)), for r >= 0.

    `y` = sum v and `s2` = sum v^2 over all n rows, `k` > 0 the largest v possible, not only seen; infinite if unknown,
    and then without an upper end. Exact (Garwood's) for rare rewards of equal weight; with no reward the lower end is 0
    and the upper that of one of weight k. Ends are in units of v, and not cut.
    """
    chance = tail(level)
    if not (y >= 0 and s2 >= 0 and k > 0 and n > 0):
        raise DataError(
            f"the gamma interval is for rewards >= 0, but has sum {y}, squares {s2}, largest value {k}, rows {n}: "
            "use the Cressie-Read interval."
        )
    low = s2 / (2 * y) * chi2_quantile(chance, 2 * y * y / s2) / n if s2 > 0 else 0.0
    if math.isinf(k):
        return Interval(low, math.inf)
    scale = (s2 + k * k) / (y + k)  # of what one more row of the largest value would make of the sums
    return Interval(low, scale / 2 * chi2_quantile(1 - chance, 2 * (y + k) / scale) / n)


def bernstein_radius(variance: float, n: int, bound: float, chance: float) -> float:
    """How far a mean of n values of range `bound` may fall short of its expectation, but with probability `chance`.

    sqrt(2 s^2 ln(2/d) / n) + 7 B ln(2/d) / (3 (n - 1)), `variance` s^2 over n - 1 (Maurer and Pontil 2009, theorem 4).
    """
    if n < 2 or math.isinf(bound):
        return math.inf
    log = math.log(2 / chance)
    return math.sqrt(2 * variance * log / n) + 7 * bound * log / (3 * (n - 1))


def bernstein(mean: float, variance: float, n: int, bound: float, level: float = LEVEL) -> Interval:
    """The empirical Bernstein interval of the mean of n independent values within [0, `bound`], cut to that range."""
    radius = bernstein_radius(variance, n, bound, tail(level))
    return Interval(mean - radius, mean + radius).within(0.0, bound)


def truncated(interval: Interval, missing: float, r_min: float, r_max: float) -> Interval:
    """What a value can be if the log says nothing of a share `missing` of the target's choices: bounds, no estimate.

    `interval` of the sum over what the log does answer, its ends equal for the point bounds. What is missing earns
    between r_min and r_max (Manski 1990, American Economic Review 80(2)).
    """
    if not (0 <= missing <= 1 and r_min <= r_max):
        raise DataError(f"bounds need a share within [0, 1] and r_min <= r_max, not {missing}, {r_min} and {r_max}.")
    return Interval(interval.low + missing * r_min, interval.high + missing * r_max).within(r_min, r_max)
