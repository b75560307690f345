"""The curves of a page: mean and interval over seeds of every contender, with the seeds of those that have few."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lersbench.metrics import Metric
from lersbench.results.tables import Results

FEW = 5  # contenders with fewer seeds are shown seed by seed
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
    by_variant: dict[str, dict[str, Curve]] = {}
    for (variant, policy), rows in results.curves_of(metric.name).groupby(["variant", "policy"], sort=False):
        values = rows.pivot(index="round", columns="seed", values="value")
        if values.isna().all(axis=None):
            continue
        at, place = values.index.to_numpy(), (str(variant), str(policy))
        mean, low, high = results.interval(*place, metric, values.to_numpy().T, at)
        few = values if 2 <= values.shape[1] < FEW else values.iloc[:, :0]
        seeds = {int(str(seed)): few[seed].to_numpy() for seed in few}
        by_variant.setdefault(place[0], {})[place[1]] = Curve(at, mean, np.fmax(high - mean, mean - low), seeds)
    return by_variant


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
