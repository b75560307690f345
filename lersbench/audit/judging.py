"""From the rows of one run to its answers: by the sums, estimates, intervals and verdicts that `evaluate` uses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lersbench.audit.world import CR, GAMMA, LEVEL, NORMAL, SHOWN, Answer
from lersbench.evaluation import answers
from lersbench.evaluation.answers import MODEL, Estimate, Range
from lersbench.evaluation.doubts import thin_of_lists
from lersbench.offpolicy.anytime import Anytime
from lersbench.offpolicy.betting import betting
from lersbench.offpolicy.diagnostics import Diagnostics, diagnose
from lersbench.offpolicy.intervals import Interval
from lersbench.offpolicy.slices import Slice
from lersbench.offpolicy.sums import Settings, Sums, add, buckets_of, new_sums
from lersbench.offpolicy.verdict import BELIEVE, LEVELS, THRESHOLDS, Bounds, verdict

NO_VERDICT = -1


class Known(NamedTuple):
    """What the sums of an estimate cannot say of the log and the policy."""

    propensities: str = "logged"
    slice_names: Sequence[str] = ()
    items: Sequence[Slice] = ()  # of a log of single items
    doubly: bool = False  # a reward model takes part
    lists: bool = False  # the log shows lists
    support: float = math.nan  # share of the policy's choices that the log cannot hold
    r2: float = math.nan  # of the reward model


NONE = np.full(len(THRESHOLDS), np.nan)  # no diagnostics


class Rows(NamedTuple):
    """The rows of a log as the estimators see them, each (n,)."""

    w: np.ndarray
    r: np.ndarray
    p: np.ndarray
    users: np.ndarray | None = None
    slices: np.ndarray | None = None  # (n, S)
    doubly: np.ndarray | None = None  # values of the rows under DR
    direct: np.ndarray | None = None  # and the part of it that is the reward model's alone


def sums_of(rows: Rows, slices: int = 0, low: float = 0.0, high: float = 1.0) -> Sums:
    """The sums of the rows."""
    sums = new_sums(Settings(low, high, slices))
    add(sums, rows.w, rows.r, rows.p, buckets_of(rows.users, len(rows.w)), rows.doubly, rows.slices)
    return sums


def judged(
    rows: Rows,
    truth: float,
    estimators: Sequence[str] = ("snips", "ips"),
    known: Known = Known(),  # noqa: B008 - immutable
    heaviest: float = math.inf,
    level: float = LEVEL,
) -> list[Answer]:
    """The answers of all estimators: each with the interval that `evaluate` shows, and with the normal one.

    `heaviest` is the largest weight possible, infinite where the log does not say.
    """
    known = known._replace(doubly=rows.doubly is not None)
    sums = sums_of(rows, len(known.slice_names))
    direct = None
    if rows.direct is not None:
        direct = np.bincount(buckets_of(rows.users, len(rows.w)), rows.direct, len(sums.bucket_rows))
    span = Range(0.0, 1.0, heaviest)
    made = [answers.estimate_of(name, sums, sums.bucket_rows, span, direct) for name in estimators]
    found = diagnoses(made[0], known)
    plain = [replace(one, r2=math.nan) for one in found]
    return [
        answer
        for one in made
        for answer in answers_of(one, truth, known, found if one.estimator in MODEL else plain, level)
    ]


def answers_of(
    estimate: Estimate,
    truth: float,
    known: Known,
    found: Sequence[Diagnostics] | None = None,
    level: float = LEVEL,
) -> list[Answer]:
    """One estimate with the interval that `evaluate` shows, and with the normal one."""
    found = diagnoses(estimate, known) if found is None else found
    believed = all(verdict(one, estimate.estimator).level == BELIEVE for one in found)
    shown, how = answers.shown(estimate, "cr", level, believed)
    name = how if how in (CR, GAMMA) and estimate.estimator not in MODEL else SHOWN
    values, most = doubts_of(found), LEVELS.index(verdict(found[0], estimate.estimator, (), {}).level)
    return [
        Answer(estimate.estimator, kind, estimate.value, *interval, truth, values, most)
        for kind, interval in ((name, shown), (NORMAL, answers.normal_of(estimate, level)))
    ]


def guaranteed(rows: Rows, truth: float, bound: float, level: float = LEVEL) -> list[Answer]:
    """IPS with the intervals that hold for every n; `bound` the largest weight possible."""
    sums, v = sums_of(rows), rows.w * rows.r
    estimate = answers.estimate_of("ips", sums, sums.bucket_rows, Range(0.0, 1.0, bound))
    stream = Anytime()
    stream.add(rows.w, rows.r)
    found: dict[str, Interval] = {
        "bernstein": answers.interval_of(estimate, "bernstein", level)[0],
        "betting": betting(v, bound, level),
        "anytime": stream.interval(level),
    }
    return [Answer("ips", kind, estimate.value, *interval, truth, NONE, NO_VERDICT) for kind, interval in found.items()]


# Verdicts -------------------------------------------------------------------------------------------------------------
def diagnoses(estimate: Estimate, known: Known) -> list[Diagnostics]:
    """The diagnostics of each place of an estimate, as `evaluate` makes them."""
    found = [
        diagnose(
            sums,
            propensities=known.propensities,
            slice_names=known.slice_names,
            items=known.items if len(estimate.sums) == 1 else [],
            doubly=known.doubly,
            thin=thin_of_lists(sums) if known.lists else None,
            support=known.support,
            r2=known.r2,
        )
        for sums in estimate.sums
    ]
    exact = known.propensities == "uniform"  # whatever grid they lie on
    return [replace(one, resolution_share=0.0) for one in found] if exact else found


def doubts_of(found: Sequence[Diagnostics]) -> np.ndarray:
    """(T,) each diagnostic of THRESHOLDS, the worst of the places; NaN where no place has it."""
    out = np.full(len(THRESHOLDS), np.nan)
    for i, (name, bounds) in enumerate(THRESHOLDS.items()):
        values = [_value(one, name) for one in found]
        values = [value for value in values if not math.isnan(value)]
        if values:
            out[i] = max(map(abs, values)) if bounds.side == "most" else min(values)
    return out


def _value(one: Diagnostics, name: str) -> float:
    return abs(one.wbar - 1) if name == "wbar_off" else float(getattr(one, name))


def levels_of(values: np.ndarray, most: np.ndarray, thresholds: Mapping[str, Bounds] = THRESHOLDS) -> np.ndarray:
    """(R,) the levels, 0 for "believe", of R runs by their diagnostics (R, T) under these thresholds."""
    out = np.array(most, dtype=np.int64)
    for values_of_one, (side, believe, caution) in zip(values.T, thresholds.values(), strict=True):
        sign = 1.0 if side == "most" else -1.0
        with np.errstate(invalid="ignore"):
            level = (sign * values_of_one > sign * believe).astype(np.int64)
            level += sign * values_of_one > sign * caution
        np.maximum(out, level, out=out)
    return out
