"""Contenders against each other on the same rows: paired differences, ranks, and a band that holds for all at once.

The error of a difference comes from the difference of the influence values of both, summed by group (bucket of users):
what a lucky sample adds to both cancels, and two overlapping intervals can still differ. What runs today is one more
contender, of influence r - mean r. See `intervals.cluster_error` for the errors and `ranks` for what they leave open.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.distributions import LEVEL, t_beyond, t_quantile
from lersbench.errors import DataError
from lersbench.offpolicy.intervals import cluster_error, tail
from lersbench.ranks import ranges_of

LEAST_P = float(np.finfo(np.float64).eps)  # no p value is smaller: nothing is t distributed so far out
SAME = 1e-12  # an error below this share of the two errors is rounding: both get the same from every group


class Differences(NamedTuple):
    """All pairs of P contenders, row less column, each (P, P): antisymmetric values, symmetric errors and p values."""

    value: np.ndarray
    error: np.ndarray  # NaN for fewer than two groups; 0 on the diagonal and where two contenders agree in every group
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray  # two-sided, of the value 0; NaN on the diagonal and where the error is 0 or NaN
    groups: int


class Band(NamedTuple):
    """Intervals (P,) that hold for all contenders at once."""

    low: np.ndarray
    high: np.ndarray
    factor: float  # standard errors on either side


def differences(values: np.ndarray, psi: np.ndarray, counts: np.ndarray, level: float = LEVEL) -> Differences:
    """Compare the estimates `values` (P,) by their influence sums `psi` (P, G) in groups of `counts` (G,) rows.

    Every contender is an estimate from the same rows. Intervals and p values are those of Student's t with one degree
    of freedom less than groups that hold a row.
    """
    tail(level)
    values, psi = np.asarray(values, dtype=np.float64), np.asarray(psi, dtype=np.float64)
    if psi.ndim != 2 or values.shape != psi.shape[:1]:
        raise DataError(f"{values.shape} values have influence sums of the shape {psi.shape}, not one row each.")
    size = len(values)
    value, error, p = values[:, None] - values[None, :], np.zeros((size, size)), np.full((size, size), np.nan)
    own, groups = cluster_error(psi, counts)
    for i in range(size - 1):
        apart, _ = cluster_error(psi[i] - psi[i + 1 :], counts)
        apart = np.where(apart <= SAME * (own[i] + own[i + 1 :]), 0.0, apart)
        error[i, i + 1 :] = error[i + 1 :, i] = apart
        p[i, i + 1 :] = p[i + 1 :, i] = _p_values(value[i, i + 1 :], apart, groups)
    half = error * (t_quantile(level, groups - 1) if groups > 1 else math.nan)
    return Differences(value, error, value - half, value + half, p, groups)


def _p_values(value: np.ndarray, error: np.ndarray, groups: int) -> np.ndarray:
    """Two-sided p of the t tests that the differences `value` (m,) of standard `error` (m,) are 0; NaN without one."""
    tested = (error > 0) & np.isfinite(value)
    p = np.full(len(value), np.nan)
    p[tested] = np.maximum(t_beyond(value[tested] / error[tested], groups - 1), LEAST_P)
    return p


def rank_ranges(
    found: Differences,
    withheld: np.ndarray | None = None,
    higher_is_better: bool = True,
    level: float = LEVEL,
    together: bool = False,
) -> list[tuple[int, int]]:
    """The best and worst rank each contender can have (`ranks.ranges_of`, by Holm's method), 1 the best.

    `withheld` (P,) bool: contenders whose estimates are not to be believed. They may have any rank, and no other is
    shown to be better or worse than they are. `together`: all ranges hold at once.
    """
    p, size = found.p.copy(), len(found.p)
    if withheld is not None:
        hidden = np.asarray(withheld, dtype=bool)
        p[hidden] = np.nan
        p[:, hidden] = np.nan
    return [one or (1, size) for one in ranges_of(p, found.value, higher_is_better, level, together)]


def simultaneous(
    values: np.ndarray, errors: np.ndarray, replicates: np.ndarray, groups: int, level: float = LEVEL
) -> Band:
    """Intervals that hold for all contenders at once, so for the best of them too, however it was chosen.

    `values` (P,) estimates, `errors` (P,) their standard errors over `groups`, `replicates` (P, B) the estimates in the
    replicates of one bootstrap that all share (`resampling.ratios`). The factor is the `level` quantile over replicates
    of the largest |replicate - value| / error (max-|t|; Romano and Wolf 2005, Econometrica 73(4)), and at least that
    of one t interval. NaN replicates, and contenders without an error, have no part in it; these have NaN ends.
    """
    chance = tail(level)
    values, errors = np.asarray(values, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    replicates = np.asarray(replicates, dtype=np.float64)
    if not values.shape == errors.shape == replicates.shape[:1] or replicates.ndim != 2:
        raise DataError(f"{values.shape} values, {errors.shape} errors and replicates {replicates.shape} do not match.")
    part = np.isfinite(values) & (errors > 0)
    if groups < 2 or not part.any():
        return Band(np.full(len(values), np.nan), np.full(len(values), np.nan), math.nan)
    away = np.abs(replicates[part] - values[part, None]) / errors[part, None]
    largest = np.where(np.isnan(away), -np.inf, away).max(axis=0)
    largest = largest[largest >= 0]  # a replicate in which nobody has any weight is left out
    factor = max(t_quantile(level, groups - 1), float(np.quantile(largest, 1 - 2 * chance)) if len(largest) else 0.0)
    half = np.where(part, factor * errors, np.nan)
    return Band(values - half, values + half, factor)
