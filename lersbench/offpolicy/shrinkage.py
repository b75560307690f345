"""How far to shrink weights: a grid from the weights themselves, two rules to choose from it, never on their own rows.

Shrinking trades variance for bias. A parameter that was chosen to look good on some rows looks too good on them, so the
choice for each fold is made on the others. What is cut is always shown: the unshrunk estimate and the share of the
weight come with the shrunk one.

Every shrinkage here goes by one number, the weight `at` beyond which it bites: `SHRINKAGES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lersbench.distributions import t_quantile
from lersbench.errors import ConfigError, DataError, did_you_mean
from lersbench.offpolicy import doubly_robust as est
from lersbench.offpolicy.doubly_robust import Terms
from lersbench.offpolicy.intervals import cluster_error

QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
ONE_SIDED = 0.1  # chance that a half-width of SLOPE leaves out, on one side
SURE = 0.05  # chance that the bound of "mse" is wrong
SHRINKAGES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "clip": est.clipped,  # min(w, at)
    "switch": est.switched,  # 0 above `at`
    "dros": lambda w, at: est.optimistic(w, at * at),  # highest where w = `at`, half of that
}
RULES = ("slope", "mse")


class Grid(NamedTuple):
    """An estimate at each weight `at` (J,) of a grid."""

    at: np.ndarray
    values: np.ndarray  # (J,)
    errors: np.ndarray  # (J,) standard errors, by group where rows have groups
    cut: np.ndarray  # (J,) share of the weight that is cut
    bounds: np.ndarray  # (J,) of the mean squared error, by `mse_bound`
    groups: int  # that the errors were computed over


class Tuned(NamedTuple):
    """An estimate whose shrinkage was chosen for each fold on the others."""

    terms: Terms  # of the shrunk weights
    chosen: np.ndarray  # (F,) the weight beyond which those of a fold are shrunk; infinite: not at all
    unshrunk: Terms
    cut: float  # share of the weight that is cut


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


def mse_bound(
    w: np.ndarray, shrunk: np.ndarray, r: np.ndarray, q: np.ndarray, variance: float, reach: float = 1.0
) -> float:
    """An estimate of the mean squared error of DR with `shrunk` weights (n,) that leans to the safe side.

    variance + (|mean (w - shrunk)(r - q)| + reach (sqrt(2 mean(w^2) ln(2/d) / n) + 2 max(w) ln(2/d) / (3 n)))^2 at
    d = .05, of Su et al. (ICML 2020, DRos): `variance` that of the estimate, `reach` the largest |r - q|, 1 for clicks.
    On heavy tails it nearly always advises to shrink nothing.
    """
    n, log = len(w), math.log(2 / SURE)
    seen = abs(float(((w - shrunk) * (r - q)).mean()))
    unsure = math.sqrt(2 * float((w * w).mean()) * log / n) + 2 * float(w.max()) * log / (3 * n)
    return variance + (seen + reach * unsure) ** 2


def along(
    w: np.ndarray,
    r: np.ndarray,
    q: np.ndarray,
    dm: np.ndarray,
    at: np.ndarray,
    shrinkage: str = "clip",
    group: np.ndarray | None = None,
    reach: float = 1.0,
) -> Grid:
    """DR at each weight `at` (J,), all arrays (n,) as in `doubly_robust.dr`; zeros for `q` and `dm` make it IPS.

    `group` (n,) int64 from 0 on, the users or their buckets, makes the errors those of clusters. `reach` as in
    `mse_bound`.
    """
    shrink = _known(shrinkage)
    rows = np.arange(len(w)) if group is None else group
    counts = np.bincount(rows)
    values, errors, cut, bounds = (np.empty(len(at)) for _ in range(4))
    groups = int(np.count_nonzero(counts))
    for j, edge in enumerate(at):
        shrunk = shrink(w, float(edge))
        terms = est.dr(shrunk, r, q, dm)
        values[j], cut[j] = terms.value(), est.mass_cut(w, shrunk)
        errors[j] = cluster_error(np.bincount(rows, weights=terms.influence()), counts)[0]
        bounds[j] = mse_bound(w, shrunk, r, q, errors[j] ** 2, reach)
    return Grid(np.asarray(at, dtype=np.float64), values, errors, cut, bounds, groups)


def choose(grid: Grid, rule: str) -> float:
    """The weight beyond which to shrink: by "slope", or "mse", the least `mse_bound`."""
    if rule not in RULES:
        raise ConfigError(f"There is no rule '{rule}' to choose a clip by{did_you_mean(rule, RULES, 'there are')}")
    if grid.groups < 2:
        raise DataError(
            "a clip cannot be chosen on rows of fewer than two users: the errors are not known. Set a number."
        )
    if rule == "mse":
        return float(grid.at[np.argmin(grid.bounds)])
    return float(grid.at[slope(grid.values, half_widths(grid.errors, grid.groups))])


def tuned(
    w: np.ndarray,
    r: np.ndarray,
    q: np.ndarray,
    dm: np.ndarray,
    fold: np.ndarray,
    rule: str = "slope",
    shrinkage: str = "clip",
    group: np.ndarray | None = None,
    reach: float = 1.0,
) -> Tuned:
    """DR whose weights of each fold are shrunk as the rows of all other folds advise.

    Arrays (n,) as in `along`; `fold` (n,) from 0 on, whole users, at least two folds. The grid is that of the other
    folds' weights as well. Raises ConfigError for an unknown rule or shrinkage and for a single fold, DataError where
    the other folds hold fewer than two users.
    """
    numbers = np.unique(fold)
    if len(numbers) < 2:
        raise ConfigError("a clip is chosen on other rows than it is used on: that takes at least 2 folds.")
    shrink, shrunk, chosen = _known(shrinkage), np.empty(len(w)), np.full(int(numbers[-1]) + 1, math.inf)
    for f in numbers:
        own, others = fold == f, fold != f
        grid = along(
            w[others], r[others], q[others], dm[others], clip_grid(w[others]), shrinkage,
            None if group is None else group[others], reach,
        )  # fmt: skip
        chosen[f] = choose(grid, rule)
        shrunk[own] = shrink(w[own], chosen[f])
    return Tuned(est.dr(shrunk, r, q, dm), chosen, est.dr(w, r, q, dm), est.mass_cut(w, shrunk))


def _known(shrinkage: str) -> Callable[[np.ndarray, float], np.ndarray]:
    if shrinkage not in SHRINKAGES:
        hint = did_you_mean(shrinkage, SHRINKAGES, "there are")
        raise ConfigError(f"There is no shrinkage '{shrinkage}'{hint}")
    return SHRINKAGES[shrinkage]
