"""From sums to estimates: the value of each policy by each estimator, its error by user, and its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lersbench.errors import ConfigError
from lersbench.evaluation.judged import FAMILY, PLACE, PREFIX, SINGLE, Judged
from lersbench.offpolicy import intervals, resampling
from lersbench.offpolicy.empirical_likelihood import cressie_read
from lersbench.offpolicy.intervals import Interval
from lersbench.offpolicy.sums import Sums, influence, six, top_weights

REPLICATES = 1000  # of a bootstrap over buckets
NORMAL = "normal, by cluster"
WEIGHED = ("ips", "snips", "cr", "sips", "rejection")  # estimators of weighted rewards alone
MODEL = ("dr", "sndr", "dm")  # estimators that need a reward model


@dataclass(frozen=True)
class Range:
    """What a reward can be, and a weight."""

    low: float
    high: float
    heaviest: float  # the largest weight that is possible; infinite where that is not known


@dataclass(frozen=True)
class Estimate:
    """One number with its influences by bucket, from which errors of it and of differences to others are made."""

    estimator: str
    place: int  # 0: all places together
    value: float
    psi: np.ndarray  # (G,) influence sums
    counts: np.ndarray  # (G,) rounds
    sums: tuple[Sums, ...]  # what it was made of, a place each
    span: Range

    @property
    def error(self) -> float:
        """The standard error by bucket of users."""
        return float(intervals.cluster_error(self.psi, self.counts)[0])

    @property
    def groups(self) -> int:
        return int(np.count_nonzero(self.counts))

    @property
    def row_error(self) -> float:
        """The same as if all rows were independent; NaN where it is not kept."""
        if len(self.sums) != 1 or self.estimator not in WEIGHED:
            return math.nan
        errors = intervals.row_errors(six(self.sums[0]))
        return errors.ips if self.estimator in ("ips", "sips") else errors.snips


def estimates_of(judged: Judged, estimators: list[str], counts: np.ndarray, spans: dict[str, Range]) -> list[Estimate]:
    """All estimates of a policy, the leading one first; of lists also those of each place.

    `counts` (G,) are the rounds by bucket, `spans` the ranges by family.
    """
    found: list[Estimate] = []
    for name in estimators:
        family = FAMILY.get(name, SINGLE)
        sums = judged.families[family]
        if family in (PREFIX, PLACE):
            found += by_place(name, sums, counts, spans[family])
        else:
            found.append(estimate_of(name, sums[0], counts, spans[family], judged.direct))
    return found


def estimate_of(name: str, sums: Sums, counts: np.ndarray, span: Range, direct: np.ndarray | None = None) -> Estimate:
    """An estimate from rows of one weight each; `direct` (G,) the sums of the reward model's part, by bucket."""
    value, psi = _single(name, sums, span, np.zeros(len(counts)) if direct is None else direct)
    return Estimate(name, 0, value, psi, counts, (sums,), span)


def _single(name: str, sums: Sums, span: Range, by_model: np.ndarray) -> tuple[float, np.ndarray]:
    s, n = six(sums), max(1, int(sums.rows[0]))
    rows, (w, v, d) = sums.bucket_rows, sums.buckets.T
    if name in ("ips", "sips"):
        return s.r1 / n, influence(sums, "ips", s.r1 / n)
    if name in ("snips", "cr", "rejection"):
        value = s.r1 / s.s1 if s.s1 > 0 else math.nan
        likely = cressie_read(s, 0.0, _known(span, sums), span.low, span.high).value if name == "cr" else value
        return likely, influence(sums, "snips", value)
    if name == "ips-cv":
        spread = s.s2 / n - (s.s1 / n) ** 2
        b = (s.r2 / n - s.r1 * s.s1 / n**2) / spread if spread > 0 else 0.0
        value = (s.r1 - b * (s.s1 - n)) / n
        return value, v - b * (w - rows) - value * rows
    direct = float(by_model.sum()) / n
    own = by_model - direct * rows
    if name == "dm":
        return direct, own
    correction = d - by_model
    if name == "dr":
        value = float(d.sum()) / n
        return value, d - value * rows
    ratio = float(correction.sum()) / s.s1 if s.s1 > 0 else math.nan  # sndr
    return direct + ratio, own + (correction - ratio * w) * (n / s.s1 if s.s1 > 0 else math.nan)


def by_place(name: str, sums: list[Sums], counts: np.ndarray, span: Range) -> Iterator[Estimate]:
    """Clicks of whole lists as the sum over their places, each normalised by itself, and then those of each place.

    A place earns the share of lists that have it times what such a list earns there.
    """
    n = int(counts.sum())
    parts = []
    for place, one in enumerate(sums, 1):
        if not one.rows[0]:
            continue
        s, share = six(one), one.rows[0] / n
        value = s.r1 / s.s1 if s.s1 > 0 else math.nan
        psi = influence(one, "snips", value) + value * (one.bucket_rows - share * counts)
        parts.append(Estimate(name, place, share * value, psi, counts, (one,), span))
    known = [part for part in parts if math.isfinite(part.value)]
    total = sum(part.value for part in known) if len(known) == len(parts) else math.nan
    psi = np.sum([part.psi for part in parts], axis=0)
    whole = Range(span.low * len(sums), span.high * len(sums), span.heaviest)
    yield Estimate(name, 0, total, psi, counts, tuple(sums), whole)
    yield from parts


# Intervals ------------------------------------------------------------------------------------------------------------
def interval_of(estimate: Estimate, kind: str, level: float) -> tuple[Interval, str]:
    """The interval of this kind of an estimate, and which it is: not every estimate has every kind."""
    span, single = estimate.span, len(estimate.sums) == 1
    if kind == "bootstrap":
        return _bootstrap(estimate, level), "bootstrap"
    if kind in ("cr", "gamma", "bernstein") and single and estimate.estimator in WEIGHED:
        s = six(estimate.sums[0])
        if kind == "bernstein":
            if not math.isfinite(span.heaviest) or span.low < 0:
                raise ConfigError(
                    "interval = 'bernstein' needs the largest possible weight and rewards of 0 or more, which this log "
                    "does not say. Use 'cr', or 'anytime', which needs no bound."
                )
            variance = max(0.0, s.q2 - s.r1**2 / s.n) / max(1, s.n - 1)
            return intervals.bernstein(s.r1 / s.n, variance, s.n, span.heaviest * span.high, level), kind
        if span.low >= 0 and (kind == "gamma" or estimate.estimator in ("ips", "sips")):
            return gamma_of(estimate, level), "gamma"
        return likely(estimate, level), "cr"
    return normal_of(estimate, level), NORMAL


def shown(estimate: Estimate, kind: str, level: float, believed: bool) -> tuple[Interval, str]:
    """The interval that is shown, and which it is: where the verdict is not "believe", never the normal one."""
    interval, how = interval_of(estimate, kind, level)
    if believed or how != NORMAL or estimate.estimator == "dm":
        return interval, how
    return robust(estimate, level)


def robust(estimate: Estimate, level: float) -> tuple[Interval, str]:
    """The interval for an estimate that is not simply to be believed: Cressie-Read of the weighted rewards, place by
    place at a level of which the sum has `level`."""
    if len(estimate.sums) == 1:
        return likely(estimate, level), "cr"
    each = 1 - (1 - level) / len(estimate.sums)
    n = int(estimate.counts.sum())
    low = high = 0.0
    for sums in estimate.sums:
        if not sums.rows[0]:
            continue
        share = sums.rows[0] / n
        one = Range(
            estimate.span.low / len(estimate.sums), estimate.span.high / len(estimate.sums), estimate.span.heaviest
        )
        part = cressie_read(six(sums), 0.0, _known(one, sums), one.low, one.high, each, _deff(sums)).interval
        low, high = low + share * part.low, high + share * part.high
    return Interval(low, high), "cr by place"


def likely(estimate: Estimate, level: float) -> Interval:
    """The Cressie-Read interval, widened by what users add to the variance."""
    sums, span = estimate.sums[0], estimate.span
    return cressie_read(six(sums), 0.0, _known(span, sums), span.low, span.high, level, _deff(sums)).interval


def gamma_of(estimate: Estimate, level: float) -> Interval:
    """The gamma interval, widened about the value by what users add to the variance, and cut to the range."""
    sums, span = estimate.sums[0], estimate.span
    s = six(sums)
    plain = intervals.gamma(s.r1, s.q2, _known(span, sums) * span.high, s.n, level)
    wider = math.sqrt(max(1.0, _deff(sums))) if math.isfinite(_deff(sums)) else math.inf
    value = estimate.value
    wide = Interval(value - wider * (value - plain.low), value + wider * (plain.high - value))
    return wide.within(span.low, span.high)


def normal_of(estimate: Estimate, level: float) -> Interval:
    return intervals.normal(estimate.value, estimate.error, estimate.groups, level)


def _bootstrap(estimate: Estimate, level: float) -> Interval:
    """Percentiles over Poisson replicates of the buckets; the linear part of an estimate moves with its influences."""
    keys = np.empty(len(estimate.counts), np.uint64)
    resampling.user_keys(np.arange(len(keys)), 0, keys)
    held = estimate.counts > 0
    times = resampling.poisson_multiplicities(keys[held], REPLICATES).astype(np.float64)
    n = estimate.counts[held] @ times
    moved = estimate.value + np.divide(estimate.psi[held] @ times, n, out=np.full(REPLICATES, np.nan), where=n > 0)
    return resampling.bootstrap(moved, None, level)


def _known(span: Range, sums: Sums) -> float:
    """The largest weight that is possible; where that is not known the largest seen, infinity if that is at most 1."""
    if math.isfinite(span.heaviest):
        return span.heaviest
    top = top_weights(sums)
    seen = float(top[0, 0]) if len(top) else 0.0
    return seen if seen > 1 else math.inf


def _deff(sums: Sums) -> float:
    s = six(sums)
    if not s.s1 > 0:
        return 1.0
    by_user, _ = intervals.cluster_error(influence(sums, "snips", s.r1 / s.s1), sums.bucket_rows)
    return intervals.design_effect(float(by_user), intervals.row_errors(s).snips)
