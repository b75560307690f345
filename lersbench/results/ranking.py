"""The ranking of a run: places, intervals and differences of its contenders, each made here alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lersbench.errors import ConfigError, did_you_mean
from lersbench.metrics import OF_REWARDS, Metric
from lersbench.ranks import ranges_of, separated
from lersbench.results import brackets, compared
from lersbench.results.alarms import ESTIMATES, alarms, missing, undefined, unfinished, unmeasured, without_baseline
from lersbench.results.numbers import MISSING
from lersbench.results.statistics import Interval, interval, paired
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
    results: Results, metric: str | None = None, metrics: Sequence[str] | None = None, baseline: str | None = None
) -> Board:
    """Rank the contenders of a run by the final value of `metric`.

    `metric` and `baseline` default to what the scenario says, `metrics` (further columns, means only) to a short list.
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
        else _section(results, *place, by, further, baseline)
        for place in results.boards
    ]
    return Board(results, by, further, baseline, pd.concat(sections, ignore_index=True))


def table(
    results: Results, metric: str | None = None, metrics: Sequence[str] | None = None, baseline: str | None = None
) -> pd.DataFrame:
    """The ranking alone, in fractions and counts; see `board`.

    Columns: variant, rank ("1-3", among the contenders of its regime; "-" where the seeds support none), policy,
    feedback, mean, low, high, with a baseline difference, difference_low and difference_high (policy minus baseline,
    seed by seed), where ranked lists were scored by a click rate also lift, lift_low and lift_high (policy / baseline
    - 1, seed by seed), one mean per further metric, seeds, rank_together (ranges that are right all at once),
    better_than_next (was the row shown to be better than the next of its regime, in the same sense?) and
    same_in_every_seed (the contender draws nothing, so it has no interval over seeds).

    Where a log tells nothing of how likely items were to be seen (see `brackets`), mean is the low end, by logged
    clicks, low and high are how far the errors of both ends of the bracket reach, and bracket_low and bracket_high are
    its ends, bracket_first and bracket_last the reach, of the lift over the logged order; there are no differences to a
    baseline.
    """
    return board(results, metric, metrics, baseline).frame


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
    results: Results, variant: str, kind: str, by: Metric, further: Sequence[Metric], baseline: str | None
) -> pd.DataFrame:
    """The ranking of one regime of a variant."""
    every, feedback = results.final(variant, by.name), results.feedback(variant)
    finals = {policy: x for policy, x in results.finals(variant, by.name).items() if feedback[policy] == kind}
    others = {m.name: {p: x.mean() for p, x in results.finals(variant, m.name).items()} for m in further}
    base = results.baseline_label(variant, kind, baseline) if baseline else None
    order = sorted(finals, key=_best_first(finals, by))
    higher = by.better == "higher"
    here = compared.on_this_log(results, variant, order, by)
    p, mean = here.p, here.mean
    if by.name.startswith(LOGGED) and results.unweighed(variant):
        p = np.full_like(p, math.nan)  # seeds tell nothing of the error that counts
    ranges, all_at_once = (ranges_of(p, mean, higher, together=together) for together in (False, True))
    apart = separated(p, together=True)
    rows = []
    for i, policy in enumerate(order):
        span = results.interval(variant, policy, by, finals[policy])
        row = {
            "variant": variant,
            "rank": _rank_in_words(ranges[i]),
            "policy": policy,
            "feedback": kind,
            "mean": float(span.mean),
            "low": float(span.low),
            "high": float(span.high),
        }
        if baseline and not (by.name.startswith(LOGGED) and results.unweighed(variant)):
            row |= _compared("difference", results, variant, by, every, policy, base)
            if results.lists and by.name in RATES and results.has_lifts:
                row |= _compared("lift", results, variant, by, every, policy, base)
        row |= {name: means.get(policy, math.nan) for name, means in others.items()}
        row["seeds"] = len(finals[policy])
        row["rank_together"] = _rank_in_words(all_at_once[i])
        row["better_than_next"] = bool(apart[i, i + 1]) if i + 1 < len(order) else None
        row["same_in_every_seed"] = policy in results.steady[variant]
        rows.append(row)
    return pd.DataFrame(rows)


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
            "policy": policy,
            "feedback": kind,
            "mean": float(finals[policy].mean()),
            "low": worth.first,
            "high": worth.last,
            "bracket_low": gain.low,
            "bracket_high": gain.high,
            "bracket_first": gain.first,
            "bracket_last": gain.last,
        }
        row |= {name: means.get(policy, math.nan) for name, means in others.items()}
        row["seeds"] = len(finals[policy])
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


def _rank_in_words(places: tuple[int, int] | None) -> str:
    if places is None:
        return MISSING
    return str(places[0]) if places[0] == places[1] else f"{places[0]}-{places[1]}"


def _compared(
    kind: str, results: Results, variant: str, by: Metric, values: pd.DataFrame, policy: str, baseline: str | None
) -> dict[str, float]:
    """The "difference" to, or the "lift" over, the baseline on the seeds both have; NaN for the baseline itself and
    where it was not run."""
    nothing = dict.fromkeys((kind, f"{kind}_low", f"{kind}_high"), math.nan)
    if baseline is None or policy == baseline or baseline not in values.index:
        return nothing
    shared = values.loc[[policy, baseline]].dropna(axis=1)
    both, half = shared.to_numpy(), results.halves(shared.columns)
    if both.shape[1] == 0:
        return nothing
    floor = results.floor(variant, [policy, baseline], by)
    if kind == "difference":
        span = paired(both[0], both[1], results.replicates, bounds=results.bounds(variant, by), floor=floor, half=half)
    else:
        span = lift(both[0], both[1], results.replicates, floor, half)
    return dict(zip(nothing, map(float, span), strict=True))


def lift(
    values: np.ndarray, baseline: np.ndarray, replicates: str, floor: float = 0.0, half: np.ndarray | None = None
) -> Interval:
    """By what share `values` exceed `baseline`, both (seeds,): value / baseline - 1, seed by seed; at least -1.

    NaN where a baseline is 0, of which nothing is a multiple. `floor` is the resolution of a value, `half` (seeds,) the
    half of the log that each seed played.
    """
    below = np.where(np.asarray(baseline) > 0, baseline, np.nan)
    return interval(
        np.asarray(values) / below - 1, replicates, bounds=(-1.0, math.inf), floor=floor / below.mean(), half=half
    )
