"""From sums to estimates: the value of each policy by each estimator, its error by user, and its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.evaluation.exposed import MODELS
from lersbench.evaluation.judged import CASCADE, FAMILY, PLACE, PREFIX, SINGLE, Judged
from lersbench.offpolicy import intervals, resampling
from lersbench.offpolicy.empirical_likelihood import cressie_read
from lersbench.offpolicy.intervals import Interval
from lersbench.offpolicy.sums import Sums, influence, six, top_weights

REPLICATES = 1000  # of a bootstrap over buckets
PLAIN = ("ips", "sips", "pbm-ips", "ubm-ips")  # means of weighted rewards
FEW = 30  # lists that a place must be worth to be summed, in lists of more than `SHORT`
SHORT = 3
NORMAL = "normal, by cluster"
WEIGHED = (*PLAIN, "snips", "cr", "rejection")  # estimators of weighted rewards alone
MODEL = ("dr", "sndr", "dm", "dros", "switch-dr")  # estimators that need a reward model
CUT = "-clipped"  # ends the names of estimates with weights cut, whose uncut ones stand beside them


class Range(NamedTuple):
    """What can be earned, and a weight."""

    low: float
    high: float
    heaviest: float  # the largest weight that is possible; infinite where that is not known
    most: float = math.nan  # the largest weighted reward, where that is known better than as the product of both


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
    parts: tuple[Estimate, ...] = ()  # of a list: its places
    bounded: tuple[int, ...] = ()  # places of which the log says too little: they count with all they could earn
    own: Callable[[float], tuple[Interval, str]] | None = None  # its interval at a level, where it has one of its own
    clip: float = math.inf  # weights beyond it are cut or shrunk
    cut: float = 0.0  # the share of the weight that is
    uncut: tuple[Sums, ...] = ()  # `sums` of whole weights, where those were cut: by them it is judged
    bounds: Interval | None = None  # between which the value lies, where the log says no more; `value` is then NaN

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
        return errors.ips if self.estimator in PLAIN else errors.snips


def estimates_of(
    judged: Judged, estimators: list[str], counts: np.ndarray, spans: dict[str, list[Range]]
) -> dict[str, list[Estimate]]:
    """All estimates of a policy by estimator; of lists those of each place come after that of the whole.

    `counts` (G,) are the rounds by bucket, `spans` the ranges by family: of lists first that of the whole, then those
    of the places.
    """
    found: dict[str, list[Estimate]] = {}
    for name in estimators:
        family = FAMILY.get(name, SINGLE)
        span, whole = spans[family], tuple(judged.families.get(family, ()))
        if judged.clipped and name != "dm":
            cut = _by_name(name, judged, judged.clipped[family], counts, span)
            found[name + CUT] = list(_as_cut(judged, cut, whole))
        for key in (name + CUT, name):
            if key in judged.beside:
                found[key] = [judged.beside[key].estimate(judged, counts, span[0])]
        if name not in judged.beside:
            found[name] = _by_name(name, judged, list(whole), counts, span)
    for own in (one for one in judged.beside.values() if hasattr(one, "applied")):
        found = {name: own.applied(some) for name, some in found.items()}
    return found


def _by_name(name: str, judged: Judged, sums: list[Sums], counts: np.ndarray, spans: list[Range]) -> list[Estimate]:
    family = FAMILY.get(name, SINGLE)
    if family in (PREFIX, PLACE, CASCADE):
        return by_place(name, sums, counts, spans)
    span = spans[0]._replace(most=spans[0].most * judged.most.get(family, math.nan))
    if name == "rejection":
        span = span._replace(heaviest=judged.constant)
    return [estimate_of(name, sums[0], counts, span, judged.direct)]


def _as_cut(judged: Judged, found: list[Estimate], whole: tuple[Sums, ...]) -> Iterator[Estimate]:
    """The estimates as those of cut weights, with the share of the weight that is cut."""
    for one in found:
        uncut = whole if one.place == 0 else (whole[one.place - 1],)
        weight, kept = (sum(six(sums).s1 for sums in some) for some in (uncut, one.sums))
        cut = 1 - kept / weight if weight > 0 else 0.0
        yield replace(one, estimator=one.estimator + CUT, clip=judged.clip, cut=cut, uncut=uncut)


def estimate_of(name: str, sums: Sums, counts: np.ndarray, span: Range, direct: np.ndarray | None = None) -> Estimate:
    """An estimate from rows of one weight each; `direct` (G,) the sums of the reward model's part, by bucket."""
    value, psi = _single(name, sums, span, np.zeros(len(counts)) if direct is None else direct)
    return Estimate(name, 0, value, psi, counts, (sums,), span)


def _single(name: str, sums: Sums, span: Range, by_model: np.ndarray) -> tuple[float, np.ndarray]:
    s, n = six(sums), max(1, int(sums.rows[0]))
    rows, (w, v, d) = sums.bucket_rows, sums.buckets.T
    if name in PLAIN:
        return s.r1 / n, influence(sums, "ips", s.r1 / n)
    if name in ("snips", "cr", "rejection"):
        value = s.r1 / s.s1 if s.s1 > 0 else math.nan
        likely = cressie_read(s, 0.0, _known(span.heaviest, sums), span.low, span.high).value if name == "cr" else value
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


def by_place(name: str, sums: list[Sums], counts: np.ndarray, spans: list[Range]) -> list[Estimate]:
    """Clicks of whole lists as the sum over their places, each normalised by itself, and then those of each place.

    A place earns the share of lists that have it times what such a list earns there. In longer lists a place that is
    worth fewer than `FEW` lists is not summed: it counts with all that it could earn. Cascade-DR is no quotient: a
    place earns the mean of its row values.
    """
    n = int(counts.sum())
    parts = []
    for place, one in enumerate(sums, 1):
        if not one.rows[0]:
            continue
        s, share = six(one), one.rows[0] / n
        doubly = FAMILY.get(name) == CASCADE
        value = float(one.buckets[:, 2].sum()) / s.n if doubly else s.r1 / s.s1 if s.s1 > 0 else math.nan
        psi = influence(one, "dr" if doubly else "snips", value) + value * (one.bucket_rows - share * counts)
        parts.append(Estimate(name, place, share * value, psi, counts, (one,), spans[place]))
    few = (part.place for part in parts if len(sums) > SHORT and effective_rows(part.sums[0]) < FEW)
    psi, total = np.sum([part.psi for part in parts], axis=0), float(sum(part.value for part in parts))
    every = tuple(part.sums[0] for part in parts)
    return [Estimate(name, 0, total, psi, counts, every, spans[0], tuple(parts), tuple(few)), *parts]


def effective_rows(sums: Sums) -> float:
    """(sum w)^2 / sum w^2: how many equally weighted rows would say as much."""
    s = six(sums)
    return s.s1**2 / s.s2 if s.s2 > 0 else 0.0


# Intervals ------------------------------------------------------------------------------------------------------------
def interval_of(estimate: Estimate, kind: str, level: float) -> tuple[Interval, str]:
    """The interval of this kind of an estimate, and which it is: not every estimate has every kind."""
    span, single = estimate.span, len(estimate.sums) == 1
    if estimate.own is not None:
        return estimate.own(level)
    if estimate.bounded:
        return _place_by_place(estimate, level), "bound"
    if estimate.cut > 0:  # an interval of whole weights would be of another number
        return normal_of(estimate, level), f"normal, by cluster, of {'cut' if estimate.uncut else 'whole'} weights"
    if kind == "bootstrap":
        return _bootstrap(estimate, level), "bootstrap"
    if estimate.estimator in MODELS:
        paid = kind in ("cr", "gamma") and span.low >= 0
        return (gamma_of(estimate, level), "gamma") if paid else (normal_of(estimate, level), NORMAL)
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
    return _place_by_place(estimate, level), "cr by place"


def _place_by_place(estimate: Estimate, level: float) -> Interval:
    """The sum of the Cressie-Read ends of the places, each at a level of which the sum has `level`; of a place of which
    the log says too little, all that it could earn."""
    each = 1 - (1 - level) / max(1, len(estimate.parts) - len(estimate.bounded))
    n, low, high = int(estimate.counts.sum()), 0.0, 0.0
    for part in estimate.parts:
        sums = part.sums[0]
        known = part.place not in estimate.bounded
        ends = _likely(sums, part.span.heaviest, each) if known else sums.span.tolist()
        low, high = low + sums.rows[0] / n * ends[0], high + sums.rows[0] / n * ends[1]
    return Interval(float(low), float(high)).within(estimate.span.low, estimate.span.high)


def likely(estimate: Estimate, level: float) -> Interval:
    """The Cressie-Read interval, widened by what users add to the variance; of a place times the share of lists that
    have it."""
    sums, share = estimate.sums[0], estimate.sums[0].rows[0] / int(estimate.counts.sum())
    low, high = _likely(sums, estimate.span.heaviest, level)
    return Interval(share * low, share * high)


def _likely(sums: Sums, heaviest: float, level: float) -> Interval:
    low, high = sums.span.tolist()
    return cressie_read(six(sums), 0.0, _known(heaviest, sums), low, high, level, _deff(sums)).interval


def gamma_of(estimate: Estimate, level: float) -> Interval:
    """The gamma interval, widened about the value by what users add to the variance, and cut to the range.

    The largest weight, where it is not known, is the largest seen, or 1, of which weights have the mean. An interval
    beyond all that can be earned says that they have not: then anything can be.
    """
    sums, span = estimate.sums[0], estimate.span
    s = six(sums)
    heaviest = span.heaviest if math.isfinite(span.heaviest) else max(1.0, _heaviest(sums))
    most = span.most if math.isfinite(span.most) else heaviest * span.high
    plain = intervals.gamma(s.r1, s.q2, most, s.n, level)
    wider = math.sqrt(max(1.0, _deff(sums))) if math.isfinite(_deff(sums)) else math.inf
    value = estimate.value
    wide = Interval(value - wider * (value - plain.low), value + wider * (plain.high - value))
    if wide.low > span.high:
        return Interval(span.low, span.high)
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


def _known(heaviest: float, sums: Sums) -> float:
    """The largest weight that is possible; where that is not known the largest seen, infinity if that is at most 1."""
    if math.isfinite(heaviest):
        return heaviest
    seen = _heaviest(sums)
    return seen if seen > 1 else math.inf


def _heaviest(sums: Sums) -> float:
    """The largest weight seen."""
    top = top_weights(sums)
    return float(top[0, 0]) if len(top) else 0.0


def _deff(sums: Sums) -> float:
    s = six(sums)
    if not s.s1 > 0:
        return 1.0
    by_user, _ = intervals.cluster_error(influence(sums, "snips", s.r1 / s.s1), sums.bucket_rows)
    return intervals.design_effect(float(by_user), intervals.row_errors(s).snips)
