"""Is the mean weight 1 in every part of a log? Where not, the propensities there are wrong, or support is missing.

Over all rows this test can be blind: frequencies as propensities of a logger that looks at the context give a mean of
exactly 1 for any target that does not. Cut by place, day, context and logger they do not. And by item: of each item j,
the mean over the rows where it was a candidate of 1[logged = j] / p must be 1, whatever the target.

Three ways to judge a mean. Above 1 and carried by few rows: Markov's inequality. As weights are at least 0 and their
mean should be 1, a mean of m or more has a chance of at most 1 / m, however heavy the tail. Carried by many rows:
z = (mean - 1) / error. Below 1 and carried by few rows: the same with the larger of the slice's own variance and that
of all rows, as three small weights show no spread of their own. A heavy tail that was not seen makes low means: a low
one by itself is a weaker sign than a high one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError, DataError
from lersbench.kernels.jit import kernel
from lersbench.offpolicy.resolution import added
from lersbench.offpolicy.sums import Sums

FEW = 30.0  # effective rows below which a slice's own variance is not enough
BOUND = 4.0  # of |z| in one slice of some fifty
CHANCE = 0.003  # of any slice beyond the bound, by accident (Bonferroni): 4.0 at 47 slices
SAME = 1e-9  # a mean this near to 1 is 1


class Slice(NamedTuple):
    """The mean weight in one slice of the rows."""

    name: str
    rows: int
    mean: float
    z: float  # how far from 1 in standard errors; by Markov's inequality in those of the same chance


class Items(NamedTuple):
    """Sums by item of a log of I items, changed by `add_items`. They concern the log, and no contender."""

    offered: np.ndarray  # (I,) int64 rows where the item was a candidate
    logged: np.ndarray  # (I,) int64 rows where it was logged
    inverse: np.ndarray  # (I, 2, 2) sums of 1/p and of 1/p^2 over these, and what rounding lost


def new_items(items: int) -> Items:
    return Items(np.zeros(items, np.int64), np.zeros(items, np.int64), np.zeros((items, 2, 2)))


def add_items(sums: Items, item: np.ndarray, p: np.ndarray, candidates: np.ndarray | None = None) -> None:
    """Add n rows that logged `item` (n,) with propensity `p` (n,) in (0, 1] at one place.

    `candidates` (n, C) item numbers, below 0 for none; None where every item is one in all rows. DataError for a number
    that is no item.
    """
    item = np.ascontiguousarray(item, np.int64)
    offered = np.empty(0, np.int64) if candidates is None else np.ascontiguousarray(candidates, np.int64).ravel()
    for name, values, least in (("logged item", item, 0), ("candidate", offered, -math.inf)):
        if len(values) and not (values.min() >= least and values.max() < len(sums.offered)):
            raise DataError(f"a {name} of {values.min()}..{values.max()} in a log of {len(sums.offered)} items.")
    if candidates is None:
        sums.offered[:] += len(item)
    _add_items(sums.offered, sums.logged, sums.inverse, item, np.ascontiguousarray(p, np.float64), offered)


@kernel
def _add_items(
    offered: np.ndarray,
    logged: np.ndarray,
    inverse: np.ndarray,
    item: np.ndarray,
    p: np.ndarray,
    candidates: np.ndarray,
) -> None:
    for i in range(item.shape[0]):
        at, x = item[i], 1.0 / p[i]
        logged[at] += 1
        inverse[at, 0, 0], inverse[at, 0, 1] = added(inverse[at, 0, 0], inverse[at, 0, 1], x)
        inverse[at, 1, 0], inverse[at, 1, 1] = added(inverse[at, 1, 0], inverse[at, 1, 1], x * x)
    for i in range(candidates.shape[0]):
        if candidates[i] >= 0:
            offered[candidates[i]] += 1


def merge_items(a: Items, b: Items) -> Items:
    """The sums of the rows of both."""
    if len(a.offered) != len(b.offered):
        raise ConfigError(f"sums of {len(a.offered)} and of {len(b.offered)} items cannot be merged.")
    return Items(*(x + y for x, y in zip(a, b, strict=True)))


def by_slice(sums: Sums, names: Sequence[str], deff: float = 1.0) -> list[Slice]:
    """The slices of `Settings.slices`, in the order of their numbers and called by `names`, that have rows.

    `deff` is how much users of many rows raise the variance: (error by user / error by row)^2 of the mean weight.
    """
    if len(names) != len(sums.slice_rows):
        raise ConfigError(f"{len(names)} names for {len(sums.slice_rows)} slices.")
    n = max(1, int(sums.rows[0]))
    w, squares = sums.slices.sum(axis=2).T
    cells = sums.cells + (sums.lost + sums.recent)
    pooled = np.full(len(w), cells[:, 1].sum() / n - (cells[:, 0].sum() / n) ** 2)
    return _judged(names, sums.slice_rows, w, squares, pooled, max(1.0, deff))


def by_item(sums: Items, names: Sequence[str]) -> list[Slice]:
    """One "slice" for each item that was logged: the mean of 1[logged = j] / p over the rows it was a candidate of."""
    if len(names) != len(sums.offered):
        raise ConfigError(f"{len(names)} names for {len(sums.offered)} items.")
    first, squares = sums.inverse.sum(axis=2).T
    seen = np.flatnonzero(sums.logged).tolist()
    pooled = first[seen] / sums.logged[seen]  # E 1/p, the second moment if the mean is 1
    return _judged([names[j] for j in seen], sums.offered[seen], first[seen], squares[seen], pooled, 1.0)


def _judged(
    names: Sequence[str], rows: np.ndarray, w: np.ndarray, squares: np.ndarray, pooled: np.ndarray, deff: float
) -> list[Slice]:
    out = []
    for name, n, s1, s2, other in zip(names, rows.tolist(), w.tolist(), squares.tolist(), pooled.tolist(), strict=True):
        if n > 0:
            out.append(Slice(name, n, s1 / n, _z(n, s1, s2, max(0.0, other), deff)))
    return out


def _z(n: int, s1: float, s2: float, pooled: float, deff: float) -> float:
    """How far the mean of n weights of sum s1 and squares s2 lies from 1: see the head of this file."""
    mean, few = s1 / n, s1 * s1 < FEW * s2 or s2 == 0
    if mean > 1 and few:
        return NormalDist().inv_cdf(1 - 0.5 / mean)
    own = max(0.0, s2 - s1 * mean) / (n - 1) if n > 1 else 0.0
    error = math.sqrt((max(own, pooled) if few else own) * deff / n)
    if error > 0:
        return (mean - 1) / error
    return 0.0 if abs(mean - 1) < SAME else math.copysign(math.inf, mean - 1)


def bound(slices: int) -> float:
    """|z| from which one of so many slices is off: BOUND, and more of more than fifty (Bonferroni)."""
    return max(BOUND, NormalDist().inv_cdf(1 - CHANCE / 2 / max(1, slices)))
