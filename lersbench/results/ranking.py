"""The ranking of a run: places, intervals and differences of its contenders, each made here alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lersbench.errors import ConfigError, did_you_mean
from lersbench.metrics import OF_REWARDS, Metric
from lersbench.ranks import ranges_of, separated
from lersbench.results import brackets, compared, customers
from lersbench.results.alarms import ESTIMATES, alarms, missing, undefined, unfinished, unmeasured, without_baseline
from lersbench.results.baseline import differences, lifts
from lersbench.results.chances import chances
from lersbench.results.numbers import MISSING
from lersbench.results.statistics import around
from lersbench.results.tables import LOGGED, Results, known_metric

USUAL = ("ctr_sum", "misses", "hr@20", "coverage", "diversity", "matches", "undelivered")
FURTHER = (*OF_REWARDS, *USUAL)  # beside what is ranked by
SUMS = ("ctr_sum", "ctr_set", "expected_ctr_sum", "expected_ctr_set")
FURTHER_LISTS = (*OF_REWARDS, *SUMS, *ESTIMATES, "similarity")
RATES = ("ctr", *SUMS, *OF_REWARDS, *ESTIMATES)  # lifts make sense


@dataclass(frozen=True)
class Board:
    """A ranking and all that is needed to read it: `frame` has one row a variant, regime and policy, best first."""

    results: Results
    metric: Metric
    further: list[Metric]
    baseline: str | None
    frame: pd.DataFrame
    simultaneous: bool = False  # are ranks right all at once, or each by itself?

    def rows(self, variant: str, feedback: str) -> pd.DataFrame:
        """The ranking of one regime of a variant."""
        return self.frame[(self.frame["variant"] == variant) & (self.frame["feedback"] == feedback)]

    def bracketed(self, variant: str) -> bool:
        """Is the ranking of a variant one of brackets?"""
        return brackets.ranks(self.results, variant, self.metric)

    @property
    def tables(self) -> list[tuple[str, str]]:
        """Variant and regime of every ranking that has rows."""
        return [place for place in self.results.boards if len(self.rows(*place))]

    @property
    def warnings(self) -> list[str]:
        lines = [*missing(self.results), *unfinished(self.results), *undefined(self.results, self.metric)]
        lines += unmeasured(self.results, self.metric)
        lines += [*alarms(self.results), *brackets.warnings(self.results)]
        baseline = self.results.scenario.get("baseline")
        if self.baseline is None and baseline:
            lines.append(f"The scenario's baseline {baseline!r} was not run, so there are no differences to it.")
        return [*lines, *without_baseline(self.results, self.baseline)]


def board(
    results: Results,
    metric: str | None = None,
    metrics: Sequence[str] | None = None,
    baseline: str | None = None,
    simultaneous: bool = False,
) -> Board:
    """Rank the contenders of a run by the final value of `metric`.

    Each rank is right with 95 % by itself, or with `simultaneous` all of them at once. `metric` and `baseline` default
    to what the scenario says, `metrics` (further columns, means only) to a short list.
    Raises ConfigError for a metric that was not measured or has no better direction, and for an unknown baseline.
    """
    by = known_metric(results, metric or results.scenario["leaderboard"])
    if by.better == "neither":
        raise ConfigError(f"{by.name} is neither better high nor low, so nothing can be ranked by it; choose another.")
    if metrics is None:
        said = {by.name, "misses"} if by.name == "ctr" else {by.name}  # misses are 1 - ctr
        usual = FURTHER_LISTS if results.lists else FURTHER
        if all(results.unweighed(variant) for variant in results.variants):  # logged clicks: they say nothing more
            usual = tuple(name for name in usual if not name.startswith(LOGGED))
        metrics = [name for name in usual if name in results.metrics and name not in said]
    further = [known_metric(results, name) for name in metrics]
    baseline = _baseline(results, baseline)
    sections = [
        _bracketed(results, *place, by, further)
        if brackets.ranks(results, place[0], by)
        else _section(results, *place, by, further, baseline, simultaneous)
        for place in results.boards
    ]
    return Board(results, by, further, baseline, _with_ends(pd.concat(sections, ignore_index=True)), simultaneous)


def table(
    results: Results,
    metric: str | None = None,
    metrics: Sequence[str] | None = None,
    baseline: str | None = None,
    simultaneous: bool = False,
) -> pd.DataFrame:
    """The ranking alone, in fractions and counts; see `board`.

    Columns: variant; rank ("1-3", and both ends as the numbers rank_first and rank_last, among the contenders of its
    regime, for new customers where the run can tell; "-"
    where the seeds support none) and rank_this_log; policy, feedback; mean with its interval low and high on this log
    (of halves of a log: for new rounds) and new_low and new_high for new customers; with a baseline the columns
    `baseline.DIFFERENCE` and, where ranked lists were scored by a click rate, `baseline.LIFT`; one mean per further
    metric; seeds; p_best (the chance to be the best) and expected_rank, see `chances`; rank_together (ranges that are
    right all at once); better_than_next (was the row shown to be better than the next of its regime, in the same
    sense?); and same_in_every_seed (the contender draws nothing, so it has no interval over seeds).

    Where a log tells nothing of how likely items were to be seen (see `brackets`), mean is the low end, by logged
    clicks, low and high are how far the errors of both ends of the bracket reach, and bracket_low and bracket_high are
    its ends, bracket_first and bracket_last the reach, of the lift over the logged order; there are no differences to a
    baseline.
    """
    return board(results, metric, metrics, baseline, simultaneous).frame


def _baseline(results: Results, asked: str | None) -> str | None:
    """The baseline to compare with; None where the scenario's own was not run (a baseline asked for must have been)."""
    baseline = asked or results.scenario.get("baseline")
    if results.called(baseline):
        return baseline
    if asked:
        raise ConfigError(
            f"The baseline {asked!r} is not among the policies of the run: {', '.join(results.entries)}."
            + did_you_mean(asked, results.entries)
        )
    return None


def _section(
    results: Results,
    variant: str,
    kind: str,
    by: Metric,
    further: Sequence[Metric],
    baseline: str | None,
    simultaneous: bool,
) -> pd.DataFrame:
    """The ranking of one regime of a variant."""
    feedback = results.feedback(variant)
    finals = {policy: x for policy, x in results.finals(variant, by.name).items() if feedback[policy] == kind}
    others = {m.name: {p: x.mean() for p, x in results.finals(variant, m.name).items()} for m in further}
    order, higher = sorted(finals, key=_best_first(finals, by)), by.better == "higher"
    here = compared.on_this_log(results, variant, order, by)
    anew = compared.for_new_customers(results, variant, order, by, here)
    pairs = here if anew is None else anew.pairs
    mine, all_at_once, on_log = (
        [_rank_in_words(one) for one in ranges_of(found.p, found.mean, higher, together=together)]
        for found, together in ((pairs, simultaneous), (pairs, True), (here, simultaneous))
    )
    apart = separated(pairs.p, together=True)
    likely = chances(here.spread.mean, pairs.spread, higher, None if anew is None else anew.people)
    against = _against(results, variant, kind, order, by, baseline)
    own = None if anew is None else customers.errors(anew.people)
    rows = []
    for i, policy in enumerate(order):
        row: dict[str, Any] = {
            "variant": variant,
            "rank": mine[i],
            "rank_this_log": on_log[i],
            "policy": policy,
            "feedback": kind,
        }
        row |= _spans(results, variant, policy, by, finals[policy], None if own is None else (own.total[i], own.df[i]))
        row |= against[i] | {name: means.get(policy, math.nan) for name, means in others.items()}
        row["seeds"] = len(finals[policy])
        row["p_best"], row["expected_rank"] = float(likely.best[i]), float(likely.rank[i])
        row["rank_together"] = all_at_once[i]
        row["better_than_next"] = bool(apart[i, i + 1]) if i + 1 < len(order) else None
        row["same_in_every_seed"] = policy in results.steady[variant]
        rows.append(row)
    return pd.DataFrame(rows)


def _spans(
    results: Results, variant: str, policy: str, by: Metric, values: np.ndarray, anew: tuple[float, float] | None
) -> dict[str, float]:
    """Mean and interval of a contender on this log, and for new customers (`anew`: variance and degrees of freedom),
    each by its own seeds; of halves of a log both are that for new rounds."""
    span = results.interval(variant, policy, by, values)
    found = dict(zip(("mean", "low", "high"), map(float, span), strict=True))
    ends = (math.nan, math.nan)
    if results.replicates == "subsample":
        ends = found["low"], found["high"]
    elif anew is not None and len(values) > 1:  # one seed says nothing of what an order does to all customers at once
        wide = around(span.mean, *anew, bounds=results.bounds(variant, by))
        ends = float(wide.low), float(wide.high)
    return found | dict(zip(("new_low", "new_high"), ends, strict=True))


def _against(
    results: Results, variant: str, kind: str, order: Sequence[str], by: Metric, baseline: str | None
) -> list[dict[str, Any]]:
    """The columns of each policy that compare it with the baseline."""
    if not baseline or (by.name.startswith(LOGGED) and results.unweighed(variant)):
        return [{} for _ in order]
    base = results.baseline_label(variant, kind, baseline)
    rows: list[dict[str, Any]] = [dict(row) for row in differences(results, variant, order, by, base)]
    if results.lists and by.name in RATES and results.has_lifts:
        for row, more in zip(rows, lifts(results, variant, order, by, base), strict=True):
            row |= more
    return rows


def _bracketed(results: Results, variant: str, kind: str, by: Metric, further: Sequence[Metric]) -> pd.DataFrame:
    """The ranking of one regime of a variant by brackets of what contenders earn."""
    feedback = results.feedback(variant)
    finals = {policy: x for policy, x in results.finals(variant, by.name).items() if feedback[policy] == kind}
    lifts, values = brackets.of_variant(results, variant), brackets.of_metric(results, variant, by)
    order = sorted(finals, key=_by_the_middle(lifts))
    places = brackets.ranges([lifts[policy] for policy in order])
    others = {m.name: {p: x.mean() for p, x in results.finals(variant, m.name).items()} for m in further}
    rows = []
    for i, policy in enumerate(order):
        gain, worth = lifts[policy], values[policy]
        row = {
            "variant": variant,
            "rank": _rank_in_words(places[i]),
            "rank_this_log": _rank_in_words(places[i]),
            "policy": policy,
            "feedback": kind,
            "mean": float(finals[policy].mean()),
            "low": worth.first,
            "high": worth.last,
            "new_low": math.nan,
            "new_high": math.nan,
            "bracket_low": gain.low,
            "bracket_high": gain.high,
            "bracket_first": gain.first,
            "bracket_last": gain.last,
        }
        row |= {name: means.get(policy, math.nan) for name, means in others.items()}
        row["seeds"] = len(finals[policy])
        row["p_best"] = row["expected_rank"] = math.nan
        row["rank_together"] = row["rank"]
        row["better_than_next"] = gain.first > lifts[order[i + 1]].last if i + 1 < len(order) else None
        row["same_in_every_seed"] = policy in results.steady[variant]
        rows.append(row)
    return pd.DataFrame(rows)


def _by_the_middle(lifts: dict[str, brackets.Bracket]) -> Callable[[str], tuple[bool, float]]:
    middles = {policy: -(one.low + one.high) / 2 for policy, one in lifts.items()}
    return lambda policy: (math.isnan(middles[policy]), middles[policy])


def _best_first(finals: dict[str, np.ndarray], by: Metric) -> Callable[[str], tuple[bool, float]]:
    sign = -1 if by.better == "higher" else 1
    means = {policy: sign * float(values.mean()) for policy, values in finals.items()}
    return lambda policy: (math.isnan(means[policy]), means[policy])


def _with_ends(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with both ends of the ranks as numbers, empty where there is no rank."""
    first, _, last = frame["rank"].replace(MISSING, "").str.partition("-").T.to_numpy()
    ends = [
        pd.to_numeric(pd.Series(x, index=frame.index)).astype("Int64")
        for x in (first, np.where(last == "", first, last))
    ]
    at = list(frame.columns).index("rank") + 1
    frame = frame.copy()
    frame.insert(at, "rank_first", ends[0])
    frame.insert(at + 1, "rank_last", ends[1])
    return frame


def _rank_in_words(places: tuple[int, int] | None) -> str:
    if places is None:
        return MISSING
    return str(places[0]) if places[0] == places[1] else f"{places[0]}-{places[1]}"
