"""The curves of a page: mean and interval over seeds of every contender, with the seeds of those that have few."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lersbench.metrics import Metric
from lersbench.results.curves import band
from lersbench.results.tables import Results

POINTS, LEAST_POINTS = 200, 50  # of a curve, where there is room, and where there is none
BUDGET = 400_000  # numbers in all curves of a page: about a megabyte
MISSING = 65535  # of a packed number


@dataclass(frozen=True)
class Curve:
    """One contender: mean over seeds, half the width of its interval (NaN: none) and single seeds; all (points,)."""

    rounds: np.ndarray
    mean: np.ndarray
    half: np.ndarray
    seeds: Mapping[int, np.ndarray]


def curves(results: Results, metric: Metric) -> dict[str, dict[str, Curve]]:
    """The curves of `metric` in its stored unit, by variant and policy; a policy without the metric is left out."""
    single = dict(iter(results.seeds_of(metric.name).groupby(["variant", "policy"], sort=False)))
    by_variant: dict[str, dict[str, Curve]] = {}
    for place, rows in results.curves_of(metric.name).groupby(["variant", "policy"], sort=False):
        if rows["mean"].isna().all():
            continue
        variant, policy = map(str, place)
        mean, low, high = band(results, variant, policy, metric, rows)
        half = np.fmax(high - mean, mean - low)
        at = rows["round"].to_numpy()
        by_variant.setdefault(variant, {})[policy] = Curve(at, mean, half, _seeds(single.get(place), at))
    return by_variant


def _seeds(rows: pd.DataFrame | None, at: np.ndarray) -> dict[int, np.ndarray]:
    """Values at the rounds `at` of each of two seeds or more; nothing for one, which is the mean."""
    if rows is None or rows["seed"].nunique() < 2:
        return {}
    return {
        int(str(seed)): part.set_index("round")["value"].reindex(at).to_numpy() for seed, part in rows.groupby("seed")
    }


# Less of them ---------------------------------------------------------------------------------------------------------
def points_of(curves: int) -> int:
    """How many points each of so many curves may have, so that all of them stay within BUDGET."""
    return max(LEAST_POINTS, min(POINTS, BUDGET // (2 * max(curves, 1))))


def curves_within_budget() -> int:
    """How many curves a page can hold at all."""
    return BUDGET // (2 * LEAST_POINTS)


def thinned(rounds: np.ndarray, points: int) -> np.ndarray:
    """The places of at most `points` of `rounds` (ascending): half of them even in rounds, half even in log(rounds)."""
    if len(rounds) <= points:
        return np.arange(len(rounds))
    even = np.linspace(rounds[0], rounds[-1], points - points // 2)
    logs = np.geomspace(max(rounds[0], 1), rounds[-1], points // 2)
    return np.unique(np.searchsorted(rounds, np.concatenate([even, logs]).clip(rounds[0], rounds[-1])))


# As data of a page ----------------------------------------------------------------------------------------------------
def packed(curve: Curve, places: np.ndarray) -> dict[str, Any]:
    """A curve for the page's script, at some of its points: rounds aside."""
    data: dict[str, Any] = {"mean": pack(curve.mean[places])}
    if np.isfinite(curve.half).any():
        data["half"] = pack(curve.half[places])
    if curve.seeds:
        data["seeds"] = {str(seed): pack(values[places]) for seed, values in curve.seeds.items()}
    return data


def pack(values: np.ndarray | Sequence[float]) -> list[Any]:
    """Numbers as [least, step, base64 of little-endian uint16]: value = least + step * integer; MISSING: none.

    The error is half a step, 1/131068 of the range of `values`.
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
    step = (high - low) / (MISSING - 1) or 1.0
    steps = np.full(len(values), MISSING, dtype="<u2")
    steps[known] = np.round((values[known] - low) / step)
    return [float(low), float(step), base64.b64encode(steps.tobytes()).decode()]
