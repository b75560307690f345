"""Which contenders the seeds tell apart: moderated Welch tests of all pairs, on this log.

Policies draw on their own, and their runs hardly correlate, so a pair is compared by the mean and the spread of each
contender's own seeds; a test on shared seeds would throw away those that the other has not run. With few seeds a spread
is poorly known, and borrows from those of its family.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lersbench.distributions import t_beyond
from lersbench.errors import DataError
from lersbench.results.statistics import ROUNDING, error, flat

DISTINCT = 3  # different values that a test needs: two tell nothing of their spread
FAMILY = 4  # contenders of a family from which on their spreads are moderated
MOST = 30.0  # degrees of freedom that a family lends at most
LEAST_STEP = 1e-12  # between different values: what is left of equal ones is rounding
SHARED = 20  # seeds of a pair from which on a test on shared seeds is tried
LEAST_P = float(np.finfo(np.float64).eps)  # no p value is smaller: nothing is t distributed so far out


class Spread(NamedTuple):
    """What is known of the mean of each of n contenders, all (n,)."""

    mean: np.ndarray
    variance: np.ndarray  # of the mean over seeds, moderated; NaN for fewer than two seeds
    df: np.ndarray  # degrees of freedom of that variance
    known: np.ndarray  # bool: do the seeds tell how far it spreads?


class Separation(NamedTuple):
    """All pairs of n contenders, row less column, each (n, n)."""

    p: np.ndarray  # two-sided, that the means are equal; NaN on the diagonal and where the seeds tell nothing
    mean: np.ndarray
    variance: np.ndarray  # of the difference of means
    df: np.ndarray
    spread: Spread
    still: np.ndarray  # (n,) bool: the same value in every seed


def separate(
    values: np.ndarray,
    families: Sequence[str] | None = None,
    replicates: str = "shuffle",
    floor: float = 0.0,
    steady: np.ndarray | None = None,
    half: np.ndarray | None = None,
) -> Separation:
    """Compare all pairs of `values` (contenders, seeds), NaN where a seed was not run.

    `families` (contenders,) names whose spreads lend to each other (`spreads`); by default nobody lends. `steady`
    (contenders,) bool: these draw nothing, so their value on this log has no spread. `floor` is the least standard
    deviation over seeds that is believed, the resolution of a value.

    A pair has t = (m_a - m_b) / sqrt(q_a + q_b), q the variance of each mean, with (q_a + q_b)^2 / (q_a^2 / df_a +
    q_b^2 / df_b) degrees of freedom (Welch 1947, Biometrika 34). Where both share 20 seeds or more, and these correlate
    by more than 2 / sqrt(seeds) (rounds shared, as of logged lists), the paired t test on the shared seeds stands
    instead; the bar keeps a pair that only seems to correlate from looking more certain than it is.

    Halves of a log (`replicates` "subsample", `half` as `statistics.subsample` has it) are shared by all contenders:
    pairs are compared by their differences seed by seed, and nothing is moderated.

    No p value comes from a contender of two different values, unless they differ by one outcome alone, or of fewer than
    three seeds (a steady one needs no third). Two contenders that have one value each in every seed have none either:
    their order on this log is a fact.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or (families is not None and len(families) != len(values)):
        raise DataError(f"values of the shape {values.shape} need two axes, and one family a contender.")
    still = np.array([_is_flat(row) for row in values], dtype=bool)
    known = spreads(values, families, floor, steady)
    if replicates == "subsample":
        return _by_halves(values, known, floor, still, half)
    variance, df = _welch(known)
    mean = known.mean[:, None] - known.mean[None, :]
    _pair_up(values, floor, mean, variance, df)
    tested = known.known[:, None] & known.known[None, :] & ~(still[:, None] & still[None, :])
    return Separation(p_of(mean, variance, df, tested), mean, variance, df, known, still)


def p_of(mean: np.ndarray, variance: np.ndarray, df: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Two-sided p of t = mean / sqrt(variance), never 0; NaN on the diagonal, where not `tested` and without a
    variance. All (n, n)."""
    tested = tested & (variance > 0) & (df > 0) & np.isfinite(mean) & ~np.eye(len(mean), dtype=bool)
    p = np.full(mean.shape, np.nan)
    p[tested] = np.maximum(t_beyond(mean[tested] / np.sqrt(variance[tested]), df[tested]), LEAST_P)
    return p


# The spread of a contender --------------------------------------------------------------------------------------------
def spreads(
    values: np.ndarray, families: Sequence[str] | None = None, floor: float = 0.0, steady: np.ndarray | None = None
) -> Spread:
    """Mean and moderated variance of the mean of each row of `values` (contenders, seeds), NaN where missing.

    s_i^2 from the n_i seeds of a contender, d_i = n_i - 1. A family of four or more whose s_i exceed `floor` has a
    prior (`prior`) of d0 degrees of freedom and the variance s0^2, and the variance of each is max(s_i^2, (d0 s0^2 +
    d_i s_i^2) / (d0 + d_i)), with d0 + d_i degrees of freedom (Smyth 2004, Statistical Applications in Genetics and
    Molecular Biology 3(1), equations 3 and following; the maximum is ours: without it a contender that spreads more
    than its family is told from others too often). Contenders at the floor have d0 = 0.
    """
    n = np.isfinite(values).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(np.isfinite(values), values, 0.0).sum(axis=1) / np.where(n > 0, n, np.nan)
        off = np.where(np.isfinite(values), values - mean[:, None], 0.0)
        own = (off**2).sum(axis=1) / np.where(n > 1, n - 1, np.nan)
    own = np.where([_is_flat(row) for row in values], 0.0, own)
    floored = ~(own > floor**2)
    s2, d = np.where(floored & (n > 1), floor**2, own), (n - 1).astype(np.float64)
    df = np.where(n > 1, d, np.nan)
    for family in dict.fromkeys(families or ()):
        fits = np.array([one == family for one in families or ()]) & ~floored
        if fits.sum() >= FAMILY:
            d0, s02 = prior(own[fits], d[fits])
            s2[fits] = np.maximum(own[fits], (d0 * s02 + d[fits] * own[fits]) / (d0 + d[fits]))
            df[fits] += d0
    return Spread(mean, s2 / np.where(n > 0, n, np.nan), df, _told(values, floor, steady))


def prior(variances: np.ndarray, df: np.ndarray) -> tuple[float, float]:
    """Degrees of freedom d0 and variance s0^2 that a family lends, from its `variances` (K,) > 0 of `df` (K,) each.

    e_i = ln s_i^2 - psi(d_i/2) + ln(d_i/2) has the mean ln s0^2 - psi(d0/2) + ln(d0/2) and, beside the trigamma
    function psi'(d_i/2) of its own, the variance psi'(d0/2) (Smyth 2004, section 6.2). d0 is at most 30, also where the
    variances differ by no more than chance.
    """
    from scipy.special import polygamma, psi

    e = np.log(variances) - psi(df / 2) + np.log(df / 2)
    beyond = float(e.var(ddof=1) - polygamma(1, df / 2).mean())
    d0 = min(MOST, 2 * trigamma_inverse(beyond)) if beyond > 0 else MOST
    return d0, math.exp(float(e.mean() + psi(d0 / 2)) - math.log(d0 / 2))


def trigamma_inverse(value: float) -> float:
    """The x > 0 with psi'(x) = `value` > 0, by Newton's steps on 1 / psi', nearly a line (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    while True:
        tri = float(polygamma(1, x))
        step = tri * (1 - tri / value) / float(polygamma(2, x))
        x += step
        if abs(step) <= 1e-12 * x:
            return x


def _told(values: np.ndarray, floor: float, steady: np.ndarray | None) -> np.ndarray:
    """Which rows tell how far they spread: those of DISTINCT different values, or of so many seeds that agree to one
    outcome (then by the floor), or of two seeds of what draws nothing."""
    told = np.zeros(len(values), dtype=bool)
    for i, row in enumerate(values):
        seen = row[np.isfinite(row)]
        enough = 2 if steady is not None and steady[i] else DISTINCT
        agree = _is_flat(row) or (len(seen) > 1 and float(np.ptp(seen)) <= floor * (1 + ROUNDING))
        told[i] = int(distinct(seen, floor)) >= DISTINCT or (agree and len(seen) >= enough)
    return told


def _is_flat(row: np.ndarray) -> bool:
    """Is `row` (seeds,) the same in every seed, of two or more?"""
    seen = row[np.isfinite(row)]
    return len(seen) > 1 and bool(flat(seen))


def distinct(values: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """How many of the last axis of `values` (..., seeds) differ by more than rounding; at most 1 of those with NaN."""
    values = np.asarray(values, dtype=np.float64)
    if not values.shape[-1]:
        return np.zeros(values.shape[:-1], dtype=int)
    least = np.maximum(ROUNDING * np.abs(values).max(axis=-1, keepdims=True), max(LEAST_STEP, 1e-6 * floor))
    return 1 + (np.diff(np.sort(values, axis=-1), axis=-1) > least).sum(axis=-1)


# Pairs ----------------------------------------------------------------------------------------------------------------
def _welch(known: Spread) -> tuple[np.ndarray, np.ndarray]:
    """Variances and degrees of freedom (n, n) of the differences of independent means."""
    q = known.variance
    both = q[:, None] + q[None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        return both, both**2 / ((q**2 / known.df)[:, None] + (q**2 / known.df)[None, :])


def _pair_up(values: np.ndarray, floor: float, mean: np.ndarray, variance: np.ndarray, df: np.ndarray) -> None:
    """Put the paired test on shared seeds in the place of Welch's where these correlate; the last three change."""
    for a in range(len(values) - 1):
        for b in a + 1 + np.flatnonzero(_correlated(values[a], values[a + 1 :])):
            apart = values[a] - values[b]
            apart = apart[np.isfinite(apart)]
            shared = max(float(apart.var(ddof=1)), floor**2) / len(apart)
            if distinct(apart, floor) >= DISTINCT and shared < variance[a, b]:
                mean[a, b], mean[b, a] = apart.mean(), -apart.mean()
                variance[a, b] = variance[b, a] = shared
                df[a, b] = df[b, a] = len(apart) - 1


def _correlated(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of `others` (contenders, seeds) share SHARED seeds with `one` (seeds,) and correlate on them beyond
    chance."""
    both = np.isfinite(one) & np.isfinite(others)
    m = both.sum(axis=1)
    x, y = np.where(both, one, 0.0), np.where(both, others, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = (np.where(both, part - (part.sum(axis=1) / m)[:, None], 0.0) for part in (x, y))
        r = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
        return (m >= SHARED) & (r > 2 / np.sqrt(m))


def _by_halves(
    values: np.ndarray, known: Spread, floor: float, still: np.ndarray, half: np.ndarray | None
) -> Separation:
    """All pairs by their differences on the seeds that both have, which played the same halves."""
    n, seen = len(values), np.isfinite(values)
    labels = np.arange(values.shape[1]) if half is None else np.asarray(half)
    own = [error(row[told], "subsample", floor, labels[told]) for row, told in zip(values, seen, strict=True)]
    variances, dfs = (np.array([float(one[part]) for one in own]) for part in (0, 1))
    known = Spread(known.mean, variances, dfs, known.known)
    mean, variance, df = (np.full((n, n), np.nan) for _ in range(3))
    tested = np.zeros((n, n), dtype=bool)
    for a in range(n - 1):
        for b in range(a + 1, n):
            both = seen[a] & seen[b]
            apart = values[a, both] - values[b, both]
            mean[a, b] = apart.mean() if both.any() else 0.0
            variance[a, b], df[a, b] = error(apart, "subsample", floor, labels[both])
            tested[a, b] = distinct(apart, floor) >= DISTINCT
    lower = np.tril_indices(n, -1)
    for table in (variance, df, tested):
        table[lower] = table.T[lower]
    mean[lower] = -mean.T[lower]
    np.fill_diagonal(mean, 0.0)
    return Separation(p_of(mean, variance, df, tested), mean, variance, df, known, still)
