"""Naive twins of what leaderboards compute: every formula a loop over single numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import t as student

MOST = 30.0


def borrowed(variances: Sequence[float], df: Sequence[float]) -> tuple[float, float]:
    """d0 and s0^2 of Smyth 2004, section 6.2, with d0 at most 30."""
    e = [math.log(v) - digamma(d / 2) + math.log(d / 2) for v, d in zip(variances, df, strict=True)]
    excess = variance(e) - fmean(float(polygamma(1, d / 2)) for d in df)
    d0 = MOST
    if excess > 0:
        d0 = min(MOST, 2 * brentq(lambda x: float(polygamma(1, x)) - excess, 1e-6, 1e9, xtol=1e-12, rtol=1e-14))
    return d0, math.exp(fmean(e) + digamma(d0 / 2) - math.log(d0 / 2))


def errors_of(values: Sequence[Sequence[float]], families: Sequence[str], floor: float) -> list[tuple[float, float]]:
    """The variance of each mean and its degrees of freedom; `values` has each contender's own seeds, two or more."""
    own = [variance(one) for one in values]
    out = [(max(v, floor**2) / len(one), len(one) - 1.0) for v, one in zip(own, values, strict=True)]
    for family in set(families):
        members = [i for i, one in enumerate(families) if one == family and own[i] > floor**2]
        if len(members) < 4:
            continue
        d0, s0 = borrowed([own[i] for i in members], [len(values[i]) - 1 for i in members])
        for i in members:
            d = len(values[i]) - 1
            out[i] = max(own[i], (d0 * s0 + d * own[i]) / (d0 + d)) / len(values[i]), d0 + d
    return out


def welch_p(
    a: Sequence[float], b: Sequence[float], error_a: tuple[float, float], error_b: tuple[float, float]
) -> float:
    """Two-sided p of the difference of two means with these errors."""
    (q_a, d_a), (q_b, d_b) = error_a, error_b
    df = (q_a + q_b) ** 2 / (q_a**2 / d_a + q_b**2 / d_b)
    return float(2 * student.sf(abs(fmean(a) - fmean(b)) / math.sqrt(q_a + q_b), df))


def paired_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of the paired t test."""
    apart = [x - y for x, y in zip(a, b, strict=True)]
    t = fmean(apart) / math.sqrt(variance(apart) / len(apart))
    return float(2 * student.sf(abs(t), len(apart) - 1))


def customers_error(x: Sequence[Sequence[float]], n: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Value, variance over seeds and customers, and degrees of freedom, of rewards x[s][b] in n[s][b] rounds."""
    s_, b_ = len(x), len(x[0])
    total = sum(map(sum, n))
    value = sum(map(sum, x)) / total
    e = [[(x[s][b] - value * n[s][b]) / (total / (s_ * b_)) for b in range(b_)] for s in range(s_)]
    row = [fmean(e[s]) for s in range(s_)]
    column = [fmean(e[s][b] for s in range(s_)) for b in range(b_)]
    v_s = sum(r**2 for r in row) / (s_ * (s_ - 1))
    v_u = sum(c**2 for c in column) / (b_ * (b_ - 1))
    left = sum((e[s][b] - row[s] - column[b]) ** 2 for s in range(s_) for b in range(b_))
    v_e = left / ((s_ - 1) * (b_ - 1) * s_ * b_)
    v = max(v_s + v_u - v_e, v_s, v_u)
    df = v**2 / (v_s**2 / (s_ - 1) + v_u**2 / (b_ - 1) + v_e**2 / ((s_ - 1) * (b_ - 1)))
    return value, v, max(df, min(s_, b_) - 1)


def halves_error(values: Sequence[Sequence[float]]) -> float:
    """The variance of the mean of values[half][draw] as an estimate of the truth; every half has as many draws."""
    m, q = len(values), len(values[0])
    means = [fmean(half) for half in values]
    within = fmean(variance(half) for half in values)
    log = max(variance(means) - within / q, 0.0)
    return max(log * (1 + 1 / m) + within / (m * q), variance(means) / m)
