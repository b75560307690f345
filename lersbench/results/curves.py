"""Intervals along curves, from what `curves.parquet` holds of each point: how many seeds, their mean and spread."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lersbench.columns import DRAWS
from lersbench.metrics import Metric
from lersbench.results.statistics import Interval, around
from lersbench.results.tables import LOGGED, Results


def band(results: Results, variant: str, policy: str, metric: Metric, rows: pd.DataFrame) -> Interval:
    """Mean and ends (points,) of the interval of the mean, on this log, along the `rows` of one contender.

    The error is the standard deviation over seeds, at least the resolution of the metric by then, over the square root
    of their number, times the quantile of Student's t. NaN ends where there is one seed, or nothing is drawn.
    """
    error = standard_errors(results, variant, [policy], metric, rows)
    if metric.name.startswith(LOGGED) and results.unweighed(variant):
        error = np.full_like(error, np.nan)  # seeds tell nothing of the error that counts
    ends = results.bounds(variant, metric)
    return around(rows["mean"].to_numpy(), error**2, freedom(results, rows), bounds=ends)


def standard_errors(
    results: Results, variant: str, policies: list[str], metric: Metric, rows: pd.DataFrame
) -> np.ndarray:
    """Standard error (points,) of the mean along the `rows` of a contender; NaN where nothing tells it.

    Of random halves of the log, each run `DRAWS` times: the spread of the means of halves is the sampling error of the
    whole log (the delete-half jackknife) and a share of that of the runs, which is taken out.
    """
    n, sd = rows["seeds"].to_numpy(), rows["sd"].to_numpy()
    floors = np.array([results.floor(variant, policies, metric, at) for at in rows["round"]])
    sd = np.where((sd <= 0) & (floors <= 0), np.nan, np.maximum(sd, floors))
    if results.replicates != "subsample":
        return np.asarray(sd / np.sqrt(n))
    halves, m = rows["sd_of_halves"].to_numpy() ** 2, n / DRAWS
    within = np.maximum(((n - 1) * sd**2 - DRAWS * (m - 1) * halves) / (m * (DRAWS - 1)), 0)
    log = np.maximum(halves - within / DRAWS, 0)
    return np.asarray(np.sqrt(np.maximum(log * (1 + 1 / m) + within / n, halves / m)))


def freedom(results: Results, rows: pd.DataFrame) -> int:
    """Degrees of freedom of the standard errors along the `rows` of a contender."""
    seeds = int(rows["seeds"].iloc[-1]) if len(rows) else 0
    return (seeds // DRAWS if results.replicates == "subsample" else seeds) - 1
