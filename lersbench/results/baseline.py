"""Differences to a baseline and lifts over it: for new customers where the run can tell, on this log where not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lersbench.metrics import Metric
from lersbench.ranks import adjusted, rejected
from lersbench.results import compared, customers
from lersbench.results.compared import Anew
from lersbench.results.separation import Separation
from lersbench.results.statistics import Interval, around, error, interval
from lersbench.results.tables import Results

DIFFERENCE = ("difference", "difference_low", "difference_high", "difference_p", "differs")
LIFT = ("lift", "lift_low", "lift_high")


def differences(
    results: Results, variant: str, order: Sequence[str], by: Metric, base: str | None
) -> list[dict[str, float | bool | None]]:
    """A row a policy of `order` with the columns DIFFERENCE: policy minus `base` by the means over seeds, its interval,
    and its p value corrected over all differences of the table (Holm): does it differ? NaN and None for the baseline
    itself and where it was not run.

    The interval is of this difference alone, for new customers where the run can tell.
    """
    nothing: dict[str, float | bool | None] = {**dict.fromkeys(DIFFERENCE, math.nan), "differs": None}
    if base is None or base not in results.final(variant, by.name).index:
        return [nothing] * len(order)
    labels = list(dict.fromkeys([*order, base]))
    here = compared.on_this_log(results, variant, labels, by)
    anew = compared.for_new_customers(results, variant, labels, by, here)
    pairs, at = here if anew is None else anew.pairs, labels.index(base)
    least, most = results.bounds(variant, by)
    span = around(pairs.mean[:, at], pairs.variance[:, at], pairs.df[:, at], bounds=(least - most, most - least))
    others = np.array([label != base for label in labels])
    p, differs = np.full(len(labels), np.nan), np.zeros(len(labels), dtype=bool)
    p[others], differs[others] = adjusted(pairs.p[others, at]), rejected(pairs.p[others, at])
    rows = []
    for label in order:
        i = labels.index(label)
        values = (*(float(part[i]) for part in (*span, p)), bool(differs[i]) if math.isfinite(p[i]) else None)
        rows.append(nothing if label == base else dict(zip(DIFFERENCE, values, strict=True)))
    return rows


def lifts(results: Results, variant: str, order: Sequence[str], by: Metric, base: str | None) -> list[dict[str, float]]:
    """A row a policy of `order` with the columns LIFT over `base`; NaN as of `differences`."""
    nothing = dict.fromkeys(LIFT, math.nan)
    values = results.final(variant, by.name)
    if base is None or base not in values.index:
        return [nothing] * len(order)
    labels = list(dict.fromkeys([*order, base]))
    here = compared.on_this_log(results, variant, labels, by)
    anew = compared.for_new_customers(results, variant, labels, by, here)
    rows = []
    for label in order:
        shared = values.loc[[label, base]].dropna(axis=1) if label != base else values.iloc[:0, :0]
        if not shared.shape[1]:
            rows.append(nothing)
            continue
        (own, below), half = shared.to_numpy(), results.halves(shared.columns)
        floor = results.floor(variant, [label, base], by)
        span = lift(own, below, results.replicates, floor, half)
        if anew is not None:
            span = _lift_anew(own, below, floor, anew, here, labels.index(label), labels.index(base))
        rows.append(dict(zip(LIFT, map(float, span), strict=True)))
    return rows


def _lift_anew(
    own: np.ndarray, below: np.ndarray, floor: float, anew: Anew, here: Separation, i: int, base: int
) -> Interval:
    """The lift of contender `i` with its interval for new customers: the error of seeds is that of the lifts seed by
    seed, those of customers and of the rest come from the ratio's first derivatives (delta method)."""
    ratio = _shares(own, below)
    if not np.isfinite(ratio).all():
        return Interval(*np.full(3, math.nan))
    rate, mean = float(here.spread.mean[base]), float(ratio.mean())
    found = error(ratio, "shuffle", floor / below.mean())
    total, df = customers.contrast(
        anew.people, (i, base), (1 / rate, -(1 + mean) / rate), float(found.variance), found.df
    )
    return around(mean, total, df, bounds=(-1.0, math.inf))


def lift(
    values: np.ndarray, baseline: np.ndarray, replicates: str, floor: float = 0.0, half: np.ndarray | None = None
) -> Interval:
    """By what share `values` exceed `baseline`, both (seeds,): value / baseline - 1, seed by seed; at least -1.

    NaN where a baseline is 0, of which nothing is a multiple. `floor` is the resolution of a value, `half` (seeds,) the
    half of the log that each seed played. The interval is that of `statistics.interval`, on this log.
    """
    shares = _shares(values, baseline)
    least = floor / np.where(np.asarray(baseline) > 0, baseline, np.nan).mean()
    return interval(shares, replicates, bounds=(-1.0, math.inf), floor=least, half=half)


def _shares(values: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    return np.asarray(values) / np.where(np.asarray(baseline) > 0, baseline, np.nan) - 1
