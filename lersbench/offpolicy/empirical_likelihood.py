"""The value of a policy by empirical likelihood, in the closed form of the Cressie-Read divergence of power -2.

Karampatziakis, Langford and Mineiro (2020), Empirical likelihood for contextual bandits. Among all re-weightings of the
rows under which the mean weight is 1, as it must be, the one nearest to uniform gives the value; all that are not too
far from it give the interval. Six sums over the rows say it all. One imagined row stands for what was not seen: of
weight `w_max` or `w_min`, and at the ends of the interval of the least or the largest reward.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from lersbench.distributions import LEVEL, t_quantile
from lersbench.errors import DataError
from lersbench.offpolicy.intervals import Interval, Six, tail

ROUNDING = 1e-18  # a radicand this far below 0 is 0
EQUAL = 1e-12  # weights whose variance is a smaller share of their mean square are the same
SLACK = 1e-9  # share by which sums may pass what their bounds allow


class Likely(NamedTuple):
    value: float  # within [r_min, r_max]; NaN without rows
    interval: Interval
    reason: str  # why the interval is the whole range: "no rows", "clusters" or "mean weight"; else empty


def cressie_read(
    six: Six,
    w_min: float,
    w_max: float,
    r_min: float,
    r_max: float,
    level: float = LEVEL,
    deff: float = 1.0,
) -> Likely:
    """Value and interval of the policy whose weighted rows add up to `six`.

    `w_min` <= 1 <= `w_max` the least and the largest weight *possible*, w_max infinite if unknown; rewards lie in
    [r_min, r_max]. `deff` > 0 (`design_effect`) widens the interval for rows that depend on each other; infinite, the
    interval is the whole range ("clusters"). The value is cut to the range of the rewards. If even the uncut interval
    lies outside of it, the weights contradict a mean of 1: the interval is the whole range, and the reason
    "mean weight". DataError where the sums contradict the bounds.
    """
    tail(level)
    _check(six, w_min, w_max, r_min, r_max, deff)
    six, whole = Six(int(six.n), *map(float, six[1:])), Interval(float(r_min), float(r_max))
    if six.n == 0:
        return Likely(math.nan, whole, "no rows")
    imagined = w_max if six.s1 < six.n else w_min
    value = min(max(_value(six, imagined), r_min), r_max)
    if math.isinf(deff):
        return Likely(value, whole, "clusters")
    far = t_quantile(level, six.n) ** 2 * deff  # the upper quantile of F(1, n)
    slack = (-_nearest(six, imagined) - far) / (2 * (six.n + 1))
    low, high = _end(six, (w_min, w_max), slack, 1, r_min), _end(six, (w_min, w_max), slack, -1, r_max)
    if (low is not None and low > r_max) or (high is not None and high < r_min):
        return Likely(value, whole, "mean weight")
    ends = Interval(r_min if low is None else low, r_max if high is None else high)
    return Likely(value, ends.within(r_min, r_max), "")


def total(parts: Sequence[Likely]) -> Likely:
    """Value and interval of a sum, such as one over places, from those of its parts made at the level `each_of`.

    The ends add up, whatever the dependence of the parts; wider than an interval made from the sum of each row.
    """
    ends = Interval(sum(part.interval.low for part in parts), sum(part.interval.high for part in parts))
    reasons = sorted({part.reason for part in parts} - {""})
    return Likely(sum(part.value for part in parts), ends, ", ".join(reasons))


def _check(six: Six, w_min: float, w_max: float, r_min: float, r_max: float, deff: float) -> None:
    if not (0 <= w_min <= 1 <= w_max and math.isfinite(r_min) and r_min < r_max < math.inf and deff > 0):
        raise DataError(
            "Cressie-Read needs 0 <= w_min <= 1 <= w_max, finite r_min < r_max and deff > 0, but has "
            f"w_min {w_min}, w_max {w_max}, r_min {r_min}, r_max {r_max}, deff {deff}: a largest weight of at most 1 "
            "is no bound, give infinity."
        )
    if not all(math.isfinite(number) for number in six) or six.n < 0:
        raise DataError(f"the sums of weights and rewards are not all finite: {six}.")
    bounds = ((six.s1, six.n * w_max), (six.s2, six.s1 * w_max), (six.n * w_min, six.s1), (six.total, six.n * r_max))
    if any(number > bound + SLACK * (abs(number) + abs(bound)) for number, bound in bounds if not math.isinf(bound)):
        raise DataError(
            f"some weight is not within [{w_min}, {w_max}] or some reward above {r_max}: the sums are {six}. "
            "Give the largest weight possible, infinity if it is not known, and the true range of the rewards."
        )


def _moments(six: Six, imagined: float) -> tuple[float, float]:
    """Mean weight and mean squared weight of the rows and the imagined one."""
    return (imagined + six.s1) / (six.n + 1), (imagined**2 + six.s2) / (six.n + 1)


def _value(six: Six, imagined: float) -> float:
    """The value with all re-weighted, and what is left of the mass at the mean reward; not cut."""
    if math.isinf(imagined):
        return six.r1 / six.n + max(0.0, 1 - six.s1 / six.n) * six.total / six.n
    mean, square = _moments(six, imagined)
    spread = square - mean * mean
    if not spread > EQUAL * square:  # all weights are the same, and so 1: no row is to weigh more than another
        return six.r1 / six.s1
    level, slope = (square - mean) / spread, (1 - mean) / spread  # row i counts w_i (level + slope w_i) / (n + 1)
    mass = (level * six.s1 + slope * six.s2) / (six.n + 1)
    return (level * six.r1 + slope * six.r2) / (six.n + 1) + max(0.0, 1 - mass) * six.total / six.n


def _nearest(six: Six, imagined: float) -> float:
    """The divergence of the re-weighting that the value comes from: the least there is with mean weight 1."""
    if math.isinf(imagined):
        return 1 + 1 / six.n
    mean, square = _moments(six, imagined)
    spread = square - mean * mean
    return (six.n + 1) * (mean - 1) ** 2 / spread if spread > EQUAL * square else 0.0


def _end(six: Six, imagined: tuple[float, float], slack: float, sign: int, reward: float) -> float | None:
    """The lower (`sign` 1) or upper (-1) end, not cut, the imagined row of `reward`; None without a candidate."""
    candidates = []
    for weight in imagined:
        terms = _terms_unbounded if math.isinf(weight) else _terms
        found = terms(six, weight, slack, sign, reward)
        if found is None:
            continue
        x, y, z = found
        if z <= 0 and y * z >= -ROUNDING:
            candidates.append(x - math.sqrt(max(0.0, 2 * y * z)))
    return sign * min(candidates) if candidates else None


def _terms(six: Six, weight: float, slack: float, sign: int, reward: float) -> tuple[float, float, float] | None:
    """x, y, z of the end x - sqrt(2 y z) for a finite imagined weight; None where all weights are the same."""
    rows = six.n + 1
    mean, square = _moments(six, weight)
    spread = square - mean * mean
    if not spread > EQUAL * square:
        return None
    once = sign * (weight * reward + six.r1) / rows
    twice = sign * (weight**2 * reward + six.r2) / rows
    squares = (weight**2 * reward**2 + six.q2) / rows
    along = twice - mean * once
    x = once + (1 - mean) * along / spread
    return x, along**2 / spread - (squares - once**2), slack + (1 - mean) ** 2 / (2 * spread)


def _terms_unbounded(
    six: Six, weight: float, slack: float, sign: int, reward: float
) -> tuple[float, float, float] | None:
    """The limit of `_terms` as the imagined weight grows without bound."""
    n = six.n
    x = sign * (reward + (six.r1 - reward * six.s1) / n)
    y = (reward * six.s1 - six.r1) ** 2 / (n * (n + 1))
    y -= (reward**2 * six.s2 - 2 * reward * six.r2 + six.q2) / (n + 1)
    return x, y, slack + 1 / (2 * n)
