"""Sums of weights of either sign, as those of the pseudo-inverse estimator are, and what they come to.

A row is a logged slate with its reward r and a weight w of mean 1 that may be negative; the estimate is the mean of
v = w r. What `sums` keeps by the size of a weight has no meaning here: there are no quantiles to cut at, and neither
Cressie-Read nor gamma intervals. What is kept is what errors by user need, by the same buckets, and squares.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy.diagnostics import Diagnostics
from lersbench.offpolicy.intervals import cluster_error
from lersbench.offpolicy.sums import BUCKETS, HEAVIEST

ROUNDING = 1e-9  # a weight so little below 0 is 0
W, V = range(2)  # columns of `buckets`


class SignedSums(NamedTuple):
    """Sums of one contender, changed by `add`. G buckets of users."""

    rows: np.ndarray  # (G,) int64
    buckets: np.ndarray  # (G, 2) sums of w and of v = w r
    totals: np.ndarray  # (4,) sums of |w|, w^2, v^2 and r
    counts: np.ndarray  # (2,) int64 rows of w < 0 and of w = 0
    largest: np.ndarray  # (1,) the largest |w|


def new_sums() -> SignedSums:
    """Sums before the first row."""
    return SignedSums(
        np.zeros(BUCKETS, np.int64), np.zeros((BUCKETS, 2)), np.zeros(4), np.zeros(2, np.int64), np.zeros(1)
    )


def add(
    sums: SignedSums, w: np.ndarray, r: np.ndarray, bucket: np.ndarray, first_row: int = 0, source: str = "the log"
) -> None:
    """Add n rows: `w` (n,) in [-1e12, 1e12], `r` (n,) finite rewards, `bucket` (n,) from `sums.buckets_of`.

    DataError, with row, column and value, for what lies outside; `sums` are then as before. ConfigError for arrays of
    different lengths.
    """
    if not len(w) == len(r) == len(bucket):
        raise ConfigError(f"all of w, r and bucket must have the {len(w)} rows of w.")
    for column, values, most in (("weight", w, HEAVIEST), ("reward", r, np.finfo(np.float64).max)):
        if (bad := ~(np.abs(values) <= most)).any():
            row = int(np.argmax(bad))
            raise DataError(
                f"{source}: row {first_row + row}, column {column}: {values[row]:.6g} is not in [-{most:.3g}, "
                f"{most:.3g}]; repair or drop the row."
            )
    v = w * r
    sums.rows[:] += np.bincount(bucket, minlength=BUCKETS)
    sums.buckets[:, W] += np.bincount(bucket, w, BUCKETS)
    sums.buckets[:, V] += np.bincount(bucket, v, BUCKETS)
    sums.totals[:] += np.abs(w).sum(), (w * w).sum(), (v * v).sum(), r.sum()
    sums.counts[:] += (w < -ROUNDING).sum(), (np.abs(w) <= ROUNDING).sum()
    sums.largest[0] = max(sums.largest[0], np.abs(w).max(initial=0.0))


def merge(a: SignedSums, b: SignedSums) -> SignedSums:
    """The sums of the rows of both; neither is changed."""
    return SignedSums(
        a.rows + b.rows,
        a.buckets + b.buckets,
        a.totals + b.totals,
        a.counts + b.counts,
        np.maximum(a.largest, b.largest),
    )


def value_of(sums: SignedSums) -> float:
    """The estimate, the mean of w r; NaN without a row."""
    n = int(sums.rows.sum())
    return math.fsum(sums.buckets[:, V]) / n if n else math.nan


def influence(sums: SignedSums) -> np.ndarray:
    """The influences w r - V of the rows summed by bucket (G,), for errors and differences: see `sums.influence`."""
    return np.asarray(sums.buckets[:, V] - value_of(sums) * sums.rows)


def negative_share(sums: SignedSums) -> float:
    """The share of the rows whose weight is negative, 0..1."""
    return int(sums.counts[0]) / max(1, int(sums.rows.sum()))


def diagnose(sums: SignedSums, propensities: str) -> Diagnostics:
    """The diagnostics that have a meaning for weights of either sign; all others are NaN. DataError without a row.

    Effective rows are (sum w)^2 / sum w^2, and events the same of w r, with their signs: weights that cancel say less
    than their sizes do. The largest weight is that of |w|, as a share of the sum of |w|.
    """
    n, (w, v) = int(sums.rows.sum()), sums.buckets.sum(axis=0).tolist()
    if not n:
        raise DataError("an estimate needs at least one row.")
    size, square, worth, total = sums.totals.tolist()
    wbar, largest = w / n, float(sums.largest[0])
    error = float(cluster_error(sums.buckets[:, W] - wbar * sums.rows, sums.rows)[0])
    effective = w * w / square if square > 0 else 0.0
    return Diagnostics(
        rows=n,
        groups=int(np.count_nonzero(sums.rows)),
        snips=v / w if w > 0 else math.nan,
        ips=v / n,
        log=total / n,
        ess=effective,
        ess_share=effective / n,
        events=v * v / worth if worth > 0 else 0.0,
        thin=math.nan,
        thin_exact=False,
        max_weight=largest,
        max_share=largest / size if size > 0 else math.nan,
        snips_without_top=math.nan,
        top_out=math.nan,
        wbar=wbar,
        wbar_z=(wbar - 1) / error if error > 0 else 0.0 if math.isclose(wbar, 1) else math.nan,
        slices=0,
        worst_slice="",
        worst_slice_mean=math.nan,
        worst_slice_z=math.nan,
        slices_off=0.0,
        resolution=0.0,
        resolution_share=0.0,
        hill=math.nan,
        zero_share=int(sums.counts[1]) / n,
        support=0.0,
        r2=math.nan,
        agree_z=math.nan,
        propensities=propensities,
    )
