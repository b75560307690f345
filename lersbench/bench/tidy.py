"""The tables of a run of what one series came to: its curves over all seeds, its last values, its sums by block."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lersbench import columns, growth
from lersbench.bench.curves import Curves
from lersbench.bench.series import Series
from lersbench.columns import DRAWS
from lersbench.engine import blocks

TRUE = "expected_ctr_sum"  # measured where expected rewards are known, so that regret is more than luck
UNSEEN = {"expected": TRUE, "expected_set": TRUE}  # sums that say nothing where a metric was not measured


def tables(series: Series, curves: Curves, halved: bool) -> dict[str, pa.Table]:
    """The tables of a run, by name, for one series; `halved`: seeds play random halves of the log, `DRAWS` each."""
    return {
        "curves.parquet": _curves(series, curves, halved),
        "summary.parquet": _summary(series, curves),
        "customers.parquet": _customers(series, curves),
    }


# Curves ---------------------------------------------------------------------------------------------------------------
def _curves(series: Series, curves: Curves, halved: bool) -> pa.Table:
    """A row a metric and round, without metrics that were not measured in any seed: mean and spread of all seeds; then
    the seeds themselves, where they are few."""
    measured = np.flatnonzero(~np.isnan(curves.values).all(axis=(0, 1)))
    names = [curves.metrics[place] for place in measured]
    values = curves.values[:, :, measured].transpose(2, 1, 0)  # (metrics, n, S)
    empty = np.full(values.shape[:2], np.nan)
    halves = _sd_of_halves(values, curves.seeds) if halved else empty
    parts = [_rows(series, curves, names, None, {**_over_seeds(values), "sd_of_halves": halves})]
    if len(curves.seeds) < columns.FEW:
        nothing = dict.fromkeys(columns.OVER_SEEDS[1:], empty)
        for s, seed in enumerate(curves.seeds.tolist()):
            parts.append(_rows(series, curves, names, seed, nothing | {"mean": values[:, :, s]}))
    return pa.concat_tables(parts)


def _over_seeds(values: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, standard deviation and quantiles over the last axis; NaN wherever a seed has no value."""
    size = values.shape[-1]
    sd = values.std(axis=-1, ddof=1) if size > 1 else np.full(values.shape[:-1], np.nan)
    levels = np.quantile(values, list(columns.QUANTILES.values()), axis=-1)
    return {"mean": values.mean(axis=-1), "sd": sd, **dict(zip(columns.QUANTILES, levels, strict=True))}


def _sd_of_halves(values: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Standard deviation over the last axis of the means of the runs of each half; NaN for fewer than two halves."""
    halves = np.unique(seeds // DRAWS)
    if len(halves) < 2:
        return np.full(values.shape[:-1], np.nan)
    means = np.stack([values[..., seeds // DRAWS == half].mean(axis=-1) for half in halves], axis=-1)
    return np.asarray(means.std(axis=-1, ddof=1))


def _rows(
    series: Series, curves: Curves, names: Sequence[str], seed: int | None, numbers: dict[str, np.ndarray]
) -> pa.Table:
    """Rows of `curves.parquet` from arrays (metrics, n) of the columns over seeds."""
    size, n = len(names) * len(curves.rounds), len(curves.rounds)
    return pa.table(
        {
            **_constant(series, size),
            "metric": _codes(names, np.repeat(np.arange(len(names)), n)),
            "round": np.tile(curves.rounds, len(names)),
            "seed": pa.array([seed] * size, pa.int64()),
            "seeds": np.full(size, len(curves.seeds) if seed is None else 1),
            **{name: np.ascontiguousarray(numbers[name]).reshape(-1) for name in columns.OVER_SEEDS[1:]},
        }
    )


# Last values and sums -------------------------------------------------------------------------------------------------
def _summary(series: Series, curves: Curves) -> pa.Table:
    """A row a metric and seed: the last value of its curve, where it has one; and how fast true regret grows."""
    names, last = list(curves.metrics), curves.values[:, -1].T  # (metrics, S)
    if TRUE in names and "regret" in names and not np.isnan(curves.values[:, :, names.index(TRUE)]).all():
        regret = curves.values[:, :, names.index("regret")].T
        names, last = [*names, growth.NAME], np.vstack([last, growth.slope(curves.rounds, regret)])
    metric, seed = np.nonzero(~np.isnan(last))
    columns_of = {"metric": _codes(names, metric), "seed": curves.seeds[seed], "value": last[metric, seed]}
    return pa.table({**_constant(series, len(seed)), **columns_of})


def _customers(series: Series, curves: Curves) -> pa.Table:
    """A row a seed, with the sums of its blocks; null for sums of what was not measured."""
    sums: dict[str, Any] = {}
    for place, name in enumerate(blocks.NAMES):
        known = UNSEEN.get(name) is None or UNSEEN[name] in curves.metrics
        lists = list(curves.blocks[:, :, place]) if known else [None] * len(curves.seeds)
        sums[name] = pa.array(lists, pa.list_(pa.float64()))
    return pa.table({**_constant(series, len(curves.seeds)), "seed": curves.seeds, **sums})


# Columns --------------------------------------------------------------------------------------------------------------
def _constant(series: Series, size: int) -> dict[str, Any]:
    """The columns that say what was played, on what: the same in every row."""
    entry, case = series.entry, series.case
    texts = {
        "variant": series.variant,
        "log": case.log,
        "feedback": case.feedback,
        "policy": entry.label,
        "name": entry.name,
        "params": json.dumps(entry.params),
    }
    same = np.zeros(size, np.int32)
    return {"slate": np.full(size, case.slate), **{name: _codes([text], same) for name, text in texts.items()}}


def _codes(texts: Sequence[str], codes: np.ndarray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(codes.astype(np.int32), list(texts))
