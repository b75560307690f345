"""How far to shrink weights: a grid from the weights themselves, two rules to choose from it, never on their own rows.

Shrinking trades variance for bias. A parameter that was chosen to look good on some rows looks too good on them, so the
choice for each fold is made on the others. What is cut is always shown: the unshrunk estimate and the share of the
weight come with the shrunk one.

Every shrinkage here goes by one number, the weight `at` beyond which it bites: `SHRINKAGES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lersbench.distributions import t_quantile
from lersbench.errors import ConfigError, DataError, did_you_mean
from lersbench.offpolicy import doubly_robust as est
from lersbench.offpolicy.intervals import cluster_error
from lersbench.offpolicy.sums import BUCKETS

QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
ONE_SIDED = 0.1  # chance that a half-width of SLOPE leaves out, on one side
SURE = 0.05  # chance that the bound of "mse" is wrong
SHRINKAGES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "clip": est.clipped,  # min(w, at)
    "switch": est.switched,  # 0 above `at`
    "dros": lambda w, at: est.optimistic(w, at * at),  # highest where w = `at`, half of that
}
RULES = ("slope", "mse")


class GridSums(NamedTuple):
    """Sums of DR at each weight `at` (J,) of a grid, by fold and bucket: they merge, and do not grow with the log."""

    at: np.ndarray
    rows: np.ndarray  # (F, G) rows
    values: np.ndarray  # (F, G, J) sums of the row values of DR
    kept: np.ndarray  # (F, J) sums of the shrunk weights
    off: np.ndarray  # (F, J) sums of (w - shrunk) (r - q)
    weight: np.ndarray  # (F,) sum w
    squares: np.ndarray  # (F,) sum w^2
    largest: np.ndarray  # (F,) max w


class Grid(NamedTuple):
    """An estimate at each weight `at` (J,) of a grid."""

    at: np.ndarray
    values: np.ndarray  # (J,)
    errors: np.ndarray  # (J,) standard errors, by bucket
    cut: np.ndarray  # (J,) share of the weight that is cut
    bounds: np.ndarray  # (J,) of the mean squared error, by `mse_bound`
    groups: int  # buckets with rows, over which the errors were computed


class Tuned(NamedTuple):
    """An estimate whose shrinkage was chosen for each fold on the others, beside the unshrunk one."""

    value: float
    influence: np.ndarray  # (G,) of the rows, summed by bucket, for `intervals.cluster_error`
    chosen: np.ndarray  # (F,) the weight beyond which those of a fold are shrunk; infinite: not at all
    cut: float  # share of the weight that is cut
    unshrunk: float
    unshrunk_influence: np.ndarray  # (G,)


def clip_grid(w: np.ndarray) -> np.ndarray:
    """The quantiles .5, .75, .9, .95, .99, .999 of the weights (n,), those above 0 and once each, and infinity.

    Never fixed numbers: what is a heavy weight differs by log.
    """
    some = np.unique(np.quantile(w, QUANTILES)) if len(w) else np.empty(0)
    return np.append(some[some > 0], math.inf)


def slope(values: np.ndarray, half_widths: np.ndarray) -> int:
    """Which of the estimates (J,) to take, by SLOPE (Su, Srinath & Krishnamurthy, ICML 2020).

    Down the half-widths c, widest first, as long as |value_i - value_j| <= c_i + (sqrt 6 - 1) c_j for all j before i;
    the last that passes. This is the form of Tucker & Lee (2021), which needs no order of the biases. DataError where
    a number is not finite.
    """
    values, half_widths = np.asarray(values, dtype=np.float64), np.asarray(half_widths, dtype=np.float64)
    if not (np.isfinite(values).all() and np.isfinite(half_widths).all()):
        raise DataError(f"SLOPE needs finite estimates and half-widths, not {values} and {half_widths}.")
    order = np.argsort(-half_widths, kind="stable")
    taken = order[:1]
    for i in order[1:]:
        if (np.abs(values[i] - values[taken]) > half_widths[i] + (math.sqrt(6) - 1) * half_widths[taken]).any():
            break
        taken = np.append(taken, i)
    return int(taken[-1])


def half_widths(errors: np.ndarray, groups: int) -> np.ndarray:
    """c (J,) of `slope`: the errors times the one-sided Student quantile at .1 with `groups` - 1 degrees of freedom."""
    return t_quantile(1 - 2 * ONE_SIDED, groups - 1) * errors


def new_sums(at: np.ndarray, folds: int, buckets: int = BUCKETS) -> GridSums:
    """Empty sums for a grid (J,), of which the last must be infinity: unshrunk."""
    at = np.asarray(at, dtype=np.float64)
    if not len(at) or at[-1] != math.inf or not (at > 0).all():
        raise ConfigError(f"a grid of clips is of weights above 0 and ends with infinity, not {at}.")
    j = len(at)
    return GridSums(
        at, np.zeros((folds, buckets), dtype=np.int64), np.zeros((folds, buckets, j)), np.zeros((folds, j)),
        np.zeros((folds, j)), np.zeros(folds), np.zeros(folds), np.zeros(folds),
    )  # fmt: skip


def add(
    sums: GridSums,
    w: np.ndarray,
    r: np.ndarray,
    q: np.ndarray,
    dm: np.ndarray,
    fold: np.ndarray,
    bucket: np.ndarray,
    shrinkage: str = "clip",
) -> None:
    """Add rows (n,) as in `doubly_robust.dr` to `sums`; zeros for `q` and `dm` make it IPS.

    `fold` (n,) of the reward model, `bucket` (n,) by `sums.buckets_of`; `shrinkage` a name of `SHRINKAGES`.
    """
    shrink = _known(shrinkage)
    folds, buckets = sums.rows.shape
    cell, by_fold = fold * buckets + bucket, _total(fold, folds)
    sums.rows[...] += np.bincount(cell, minlength=folds * buckets).reshape(folds, buckets)
    for j, at in enumerate(sums.at):
        shrunk = shrink(w, float(at))
        terms = est.dr(shrunk, r, q, dm)
        values = np.bincount(cell, weights=terms.direct + terms.weighted, minlength=folds * buckets)
        sums.values[:, :, j] += values.reshape(folds, buckets)
        sums.kept[:, j] += by_fold(shrunk)
        sums.off[:, j] += by_fold((w - shrunk) * (r - q))
    sums.weight[...] += by_fold(w)
    sums.squares[...] += by_fold(w * w)
    np.maximum.at(sums.largest, fold, w)


def merge(sums: GridSums, other: GridSums) -> None:
    """Add the sums of other rows, over the same grid, to `sums`."""
    for own, more in zip(sums[1:-1], other[1:-1], strict=True):
        own += more
    np.maximum(sums.largest, other.largest, out=sums.largest)


def part(sums: GridSums, which: Sequence[int]) -> GridSums:
    """The sums at the weights `which` (ascending indices) of the grid alone, and unshrunk."""
    last = len(sums.at) - 1
    some = [*(j for j in which if j != last), last]
    return sums._replace(
        at=sums.at[some], values=sums.values[:, :, some], kept=sums.kept[:, some], off=sums.off[:, some]
    )


def mse_bound(
    variance: np.ndarray, off: np.ndarray, n: int, squares: float, largest: float, reach: float
) -> np.ndarray:
    """Estimates (J,) of the mean squared error of DR with shrunk weights that lean to the safe side.

    variance + (|mean (w - shrunk)(r - q)| + reach (sqrt(2 mean(w^2) ln(2/d) / n) + 2 max(w) ln(2/d) / (3 n)))^2 at
    d = .05, of Su et al. (ICML 2020, DRos): `variance` (J,) of the estimates, `off` (J,) = mean (w - shrunk)(r - q),
    `squares` = mean w^2, `reach` the largest |r - q|. On heavy tails it nearly always advises to shrink nothing.
    """
    log = math.log(2 / SURE)
    unsure = math.sqrt(2 * squares * log / n) + 2 * largest * log / (3 * n)
    return variance + (np.abs(off) + reach * unsure) ** 2


def grid_of(sums: GridSums, without: int = -1, reach: float = 1.0) -> Grid:
    """The estimates of all folds but one (-1: of all). `reach` is the largest |r - q| possible, 1 for clicks.

    Errors are NaN for fewer than two buckets with rows.
    """
    others = np.arange(len(sums.rows)) != without
    counts = sums.rows[others].sum(axis=0)
    n = max(1, int(counts.sum()))
    by_bucket = sums.values[others].sum(axis=0)
    values = by_bucket.sum(axis=0) / n
    errors, groups = cluster_error((by_bucket - values * counts[:, None]).T, counts)
    squares, largest = sums.squares[others].sum() / n, sums.largest[others].max(initial=0.0)
    bounds = mse_bound(errors**2, sums.off[others].sum(axis=0) / n, n, squares, largest, reach)
    cut = _cut(sums.kept[others].sum(axis=0), float(sums.weight[others].sum()))
    return Grid(sums.at, values, errors, cut, bounds, groups)


def choose(grid: Grid, rule: str) -> int:
    """Which of the grid to take: by "slope", or "mse", the least bound. DataError where the errors are not known."""
    if rule not in RULES:
        raise ConfigError(f"There is no rule '{rule}' to choose a clip by{did_you_mean(rule, RULES, 'there are')}")
    if grid.groups < 2:
        raise DataError("a clip cannot be chosen on rows of fewer than two users: set a number, or none.")
    if rule == "mse":
        return int(np.argmin(grid.bounds))
    return slope(grid.values, half_widths(grid.errors, grid.groups))


def tuned(sums: GridSums, rule: str = "slope", reach: float = 1.0) -> Tuned:
    """DR whose weights of each fold are shrunk as the rows of all other folds advise.

    Folds without rows do not count. Raises ConfigError for an unknown rule and where all rows lie in one fold,
    DataError where the other folds lie in fewer than two buckets.
    """
    used = np.flatnonzero(sums.rows.any(axis=1))
    if len(used) < 2:
        raise ConfigError("a clip is chosen on other rows than it is used on: that takes rows in at least 2 folds.")
    last = len(sums.at) - 1
    picks = np.full(len(sums.rows), last)
    for f in used:
        picks[f] = choose(grid_of(sums, int(f), reach), rule)
    folds, counts = np.arange(len(picks)), sums.rows.sum(axis=0)
    value, influence = _estimate(sums.values[folds, :, picks].sum(axis=0), counts)
    unshrunk, unshrunk_influence = _estimate(sums.values[:, :, last].sum(axis=0), counts)
    cut = _cut(sums.kept[folds, picks].sum(), float(sums.weight.sum()))
    return Tuned(value, influence, sums.at[picks], float(cut), unshrunk, unshrunk_influence)


def _estimate(by_bucket: np.ndarray, counts: np.ndarray) -> tuple[float, np.ndarray]:
    value = float(by_bucket.sum() / counts.sum())
    return value, by_bucket - value * counts


def _cut(kept: np.ndarray, weight: float) -> np.ndarray:
    return 1 - kept / weight if weight > 0 else np.zeros_like(kept)


def _total(fold: np.ndarray, folds: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: np.bincount(fold, weights=values, minlength=folds)


def _known(shrinkage: str) -> Callable[[np.ndarray, float], np.ndarray]:
    if shrinkage not in SHRINKAGES:
        hint = did_you_mean(shrinkage, SHRINKAGES, "there are")
        raise ConfigError(f"There is no shrinkage '{shrinkage}'{hint}")
    return SHRINKAGES[shrinkage]
