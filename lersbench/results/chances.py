"""How likely each contender is to be the best, and which rank it can expect, from draws of all means at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.results.customers import Crowd, errors
from lersbench.results.separation import Spread

DRAWS = 10_000  # a chance of a half is known to 0.5 % (one standard error)
BLOCK = 1 << 22  # drawn means held at a time: 32 MB


class Chances(NamedTuple):
    """Both (n,), NaN for contenders whose error is not known: these are left out of the draws."""

    best: np.ndarray  # P(it is the best); equal values share it
    rank: np.ndarray  # the mean of its rank, 1 the best; equal values share theirs


def chances(
    mean: np.ndarray, spread: Spread, higher_is_better: bool, people: Crowd | None = None, seed: int = 0
) -> Chances:
    """Draw the means of all n contenders DRAWS times, each around its `mean` (n,), and rank them in each draw.

    Without `people` a mean is drawn from Student's t with the variance and degrees of freedom of its `spread`, alone,
    for its seeds are its own. With `people`, `spread` is that over new customers too (`customers.separate`): what the
    customers add is then drawn for all contenders together, normal with the covariance of their block means, so that a
    crowd of good customers lifts all; only the rest is each one's own.

    These are chances of the truth given the data where nothing was known before (a flat prior), not frequencies of
    errors; ranks that hold with 95 % are those of `ranks.ranges_of`.
    """
    sign = 1.0 if higher_is_better else -1.0
    known = np.isfinite(mean) & np.isfinite(spread.variance) & np.isfinite(spread.df)
    best, rank = np.full(len(mean), np.nan), np.full(len(mean), np.nan)
    m = int(known.sum())
    if not m:
        return Chances(best, rank)
    own, mixed = spread.variance[known], np.zeros((m, m))
    if people is not None:
        columns = people.columns[known]
        blocks = columns.shape[1]
        own = np.maximum(own - errors(people).customers[known], 0.0)
        mixed = _root(columns @ columns.T / (blocks * (blocks - 1)))
    rng = np.random.default_rng(seed)
    wins, places, drawn = np.zeros(m), np.zeros(m), 0
    while drawn < DRAWS:
        now = min(DRAWS - drawn, max(1, BLOCK // m))
        values = mean[known] + np.sqrt(own) * rng.standard_t(spread.df[known], (now, m))
        values += rng.standard_normal((now, m)) @ mixed.T
        ranks = _ranks(-sign * values)
        places += ranks.sum(axis=0)
        first = values == (sign * values).max(axis=1, keepdims=True) * sign
        wins += (first / first.sum(axis=1, keepdims=True)).sum(axis=0)
        drawn += now
    best[known], rank[known] = wins / DRAWS, places / DRAWS
    return Chances(best, rank)


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix whose product with its transpose is `covariance` (n, n), which need not be regular."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks in each row of `values` (draws, n), 1 the least; equal values share the mean of theirs."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    ranks = np.empty_like(values)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(1.0, values.shape[1] + 1), values.shape), axis=1)
    for row in np.flatnonzero((np.diff(ordered, axis=1) == 0).any(axis=1)):
        _, inside, counts = np.unique(values[row], return_inverse=True, return_counts=True)
        ends = counts.cumsum()
        ranks[row] = (ends - (counts - 1) / 2)[inside]
    return ranks
