"""Brackets: what re-ranked logged clicks can say where nobody knows how likely items were to be seen.

Low end: an item's logged click wherever it is placed, as if places were looked at alike. High end: that click times
w(new place) / w(logged place), w the examination that a position-based model fits. Values are shares of what the logged
order earns on the same rounds, less 1. Each end has an error of its own: that of the log by users (the high end with
that of w), and that of the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lersbench.feedback import row_of
from lersbench.metrics import Metric
from lersbench.results.numbers import MISSING, decimals, number
from lersbench.results.statistics import LEVEL, t_quantile
from lersbench.results.tables import Results

ENDS = (("bracket_low_se", "lift_low_se"), ("bracket_high_se", "lift_high_se"))  # of the value, of the lift
ASSUMPTION = (
    "This holds if what stands on top of the log is liked more, and users look less at lower places; it is no bound"
)
RANKED = ("ctr_sum", "reward_sum", "ctr", "reward", "misses")  # metrics that a bracket is of


@dataclass(frozen=True)
class Bracket:
    """Both ends and how far their errors reach, `first` <= `low` <= `high` <= `last`; NaN where not known."""

    low: float
    high: float
    first: float
    last: float

    @property
    def sign(self) -> int:
        """1 where all of it lies above 0, -1 below, else 0."""
        return int(self.first > 0) - int(self.last < 0)

    def moved(self, scale: float, shift: float = 0.0) -> Bracket:
        """The bracket of shift + scale * value."""
        low, high, first, last = (shift + scale * x for x in (self.low, self.high, self.first, self.last))
        return Bracket(low, high, first, last) if scale >= 0 else Bracket(high, low, last, first)


def of_variant(results: Results, variant: str) -> dict[str, Bracket]:
    """The bracket of each contender's lift over the logged order, as a share."""
    names = ("logged_order", *(name for _, name in ENDS), "bracket_groups")
    logged, low_error, high_error, groups = (results.final(variant, name) for name in names)
    low, high = _ends(results, variant)
    errors = low_error, high_error
    lifts = [end / logged.reindex(end.index).where(logged > 0) - 1 for end in (low, high)]
    return _brackets(results, lifts, errors, groups)


def of_values(results: Results, variant: str) -> dict[str, Bracket]:
    """The bracket of what each contender earns a round."""
    errors = tuple(results.final(variant, name) for name, _ in ENDS)
    return _brackets(results, _ends(results, variant), errors, results.final(variant, "bracket_groups"))


def of_metric(results: Results, variant: str, by: Metric) -> dict[str, Bracket]:
    """The same in the metric `by` of RANKED: a round, an item shown, or what is missed."""
    found = of_values(results, variant)
    if by.name.endswith("_sum"):
        return found
    names = ("reward", "reward_sum") if results.reward else ("ctr", "ctr_sum")
    item, round_ = (results.final(variant, name) for name in names)
    shown = float(np.nanmean((round_ / item.where(item > 0)).to_numpy()))  # items a round: all contenders show as many
    scale = 1 / shown if math.isfinite(shown) else 1.0
    return {p: one.moved(-scale, 1.0) if by.name == "misses" else one.moved(scale) for p, one in found.items()}


def ranks(results: Results, variant: str, by: Metric) -> bool:
    """Are the contenders of a variant ranked by their brackets?"""
    return by.name in RANKED and results.bracketed(variant)


def _ends(results: Results, variant: str) -> list[pd.DataFrame]:
    paid = "reward_sum" if results.reward else "ctr_sum"
    return [results.final(variant, name) for name in (paid, "bracket_high")]


def _brackets(
    results: Results, ends: Sequence[pd.DataFrame], errors: Sequence[pd.DataFrame], groups: pd.DataFrame
) -> dict[str, Bracket]:
    found = {}
    for policy in ends[0].index:
        low, high = (end.loc[policy].dropna().to_numpy() for end in ends)
        halves = [
            _half(values, _row(error, policy), _row(groups, policy), results.replicates)
            for values, error in zip((low, high), errors, strict=True)
        ]
        pairs = [(float(x.mean()) if x.size else math.nan, half) for x, half in zip((low, high), halves, strict=True)]
        means = [mean for mean, _ in pairs]
        reach = [mean - half for mean, half in pairs], [mean + half for mean, half in pairs]
        found[str(policy)] = Bracket(min(means), max(means), min(reach[0]), max(reach[1]))
    return found


def _row(frame: pd.DataFrame, policy: str) -> np.ndarray:
    """What is known of a policy, a value a seed; empty where nothing is."""
    values: np.ndarray = frame.loc[policy].dropna().to_numpy() if policy in frame.index else np.empty(0)
    return values


def _half(values: np.ndarray, errors: np.ndarray, groups: np.ndarray, replicates: str) -> float:
    """How far an end may be off: the log's error, and what the seeds leave.

    A half of the log has sqrt 2 times the error of the whole. Halves scatter by as much as the whole does, so the mean
    of m of them adds 1/m of it, which the spread of the seeds holds.
    """
    if not errors.size or groups.min() < 2:
        return math.nan
    halves = replicates == "subsample"
    log = t_quantile(LEVEL, int(groups.min()) - 1) * float(errors.mean()) / (math.sqrt(2) if halves else 1.0)
    seeds = len(values)
    spread = float(values.std(ddof=1)) / math.sqrt(seeds) * t_quantile(LEVEL, seeds - 1) if seeds > 1 else 0.0
    return math.hypot(log, spread)


# Ranks ----------------------------------------------------------------------------------------------------------------
def ranges(brackets: Sequence[Bracket]) -> list[tuple[int, int] | None]:
    """The best and the worst place of each: behind those whose whole bracket lies above its own, before those below.

    None where a bracket is not known.
    """
    known = [b for b in brackets if math.isfinite(b.first) and math.isfinite(b.last)]
    return [
        (1 + sum(other.first > b.last for other in known), len(brackets) - sum(other.last < b.first for other in known))
        if b in known
        else None
        for b in brackets
    ]


# Words ----------------------------------------------------------------------------------------------------------------
def percent(bracket: Bracket) -> tuple[str, str]:
    """Both ends, and how far their errors reach, in percent: "-7 to +11", "[-8, +13]"."""
    ends = bracket.moved(100)
    if ends.first == ends.last == 0:
        return "0", MISSING
    digits = 1 if abs(ends.last - ends.first) < 10 else 0
    known = (ends.low, ends.high, ends.first, ends.last)
    low, high, first, last = (number(round(x, digits) + 0.0, digits, True) for x in known)  # no -0
    between = MISSING if MISSING in (first, last) else f"[{first}, {last}]"
    return (low if low == high else f"{low} to {high}"), between


def sentence(policy: str, bracket: Bracket, paid: str) -> str:
    """ "popular: between -7 % and +11 % of the logged order's clicks [-8, +13]; your log cannot tell the sign"."""
    if bracket.low == bracket.high == 0 and bracket.first == bracket.last:
        return f"{policy}: the logged order itself"
    ends, between = percent(bracket)
    low, _, high = ends.partition(" to ")
    said = f"between {low} % and {high} %" if high else f"{low} %"
    verdict = {
        1: "more than the logged order by both ends",
        -1: "less than the logged order by both ends",
        0: "your log cannot tell the sign",
    }[bracket.sign]
    if not math.isfinite(bracket.first):
        verdict = "too little is known to say more"
    return f"{policy}: {said} of the logged order's {paid} {between}; {verdict}"


def values_in_words(bracket: Bracket, scale: float, metric: Metric) -> str:
    """ "0.55 to 0.65", in the unit of the metric."""
    ends = bracket.moved(scale)
    digits = decimals((ends.last - ends.first) / 4, metric)
    low, high = number(ends.low, digits), number(ends.high, digits)
    return low if low == high else f"{low} to {high}"


def legend(results: Results) -> list[str]:
    """What the columns of a bracketed ranking are."""
    return [
        "Lift over the logged order: what the policy earns / what the first K places of the log earn on the same "
        "rounds - 1, in %, as a bracket. Low end: a logged click counts wherever its item is placed. High end: that "
        "click times w(new place) / w(logged place), w how often a place is looked at, by a position-based model "
        f"({_fitted(results)}). {ASSUMPTION}. In brackets [ ]: how far the 95 % errors of both ends reach, by user "
        "where the log has users.",
        "Rank: the best and the worst place that the brackets with their errors allow: behind contenders whose whole "
        "bracket lies above, before those whose whole bracket lies below. Order: by the middle of the bracket.",
    ]


def _fitted(results: Results) -> str:
    """Which requests examination was fitted to."""
    told = [facts for facts in map(facts_of, map(results.log, results.variants)) if facts.get("weights")]
    if not told:
        return "fitted to the log"
    records = told[0]["records"]
    if told[0]["replayed"]:
        return f"examination fitted to all {records:,} requests of the log; policies are not told of it"
    return f"examination fitted to the first {records:,} requests, which are not replayed"


# Warnings -------------------------------------------------------------------------------------------------------------
def facts_of(log: Mapping[str, Any]) -> Mapping[str, Any]:
    """What run.json says of the bracket of a log; {} where it has none."""
    facts: Mapping[str, Any] = log.get("bracket", {})
    return facts


def warnings(results: Results) -> list[str]:
    """What speaks against the brackets of a run, or stands in for them; see METHODOLOGY.md."""
    lines = []
    for case in results.cases:
        log = results.log(case.variant)
        facts, name = facts_of(log), log.get("name", case.variant)
        if not row_of(case.protocol).weighed or not facts:
            continue
        if facts.get("random_share"):
            lines.append(_of_random_share(log, facts["random_share"]))
        if facts["fault"]:
            lines.append(
                f"Log '{name}' has no propensities, and no bracket either: {facts['fault']}. Values are logged clicks, "
                "which favour the logged order by an unknown amount; they have no interval and no rank."
            )
        elif results.unweighed(case.variant) and not results.bracketed(case.variant):
            lines.append(
                f"Log '{name}' has no propensities, and rewards that may be negative have no bracket. Values are "
                "logged rewards, which favour the logged order by an unknown amount; they have no interval and no rank."
            )
        lines += [
            f"The examination fitted to log '{name}' does not fall with the place: {doubt}. The high ends rest on it "
            "and are too near to the low ones, or on the wrong side of them; the true value may lie far outside."
            for doubt in facts.get("doubts", [])
        ]
        if log.get("propensities") not in (None, "none"):
            lines.append(
                f"Log '{name}' holds propensities ({log['propensities']}) that do not tell how likely an item was to "
                "be seen at another place, so the brackets do not use them. Rows drawn at random say more than any "
                "bracket: import these alone, with --propensities uniform, and judge by them."
            )
    return list(dict.fromkeys([*lines, *_random_on_top(results)]))


def _of_random_share(log: Mapping[str, Any], path: str) -> str:
    """Lists in random order say more than the bracket of all lists."""
    number = log.get("provenance", {}).get("requests in random order")
    share = "Some lists" if number is None else f"{number:,} of {log['rounds']:,} lists"
    return (
        f"{share} of log '{log.get('name', path)}' are in random order, which says more than any bracket of logged "
        f"clicks: `lersbench evaluate {path}` judges policies by them."
    )


def _random_on_top(results: Results) -> list[str]:
    """A warning where a random order would beat the logged one by the high end.

    Were all of the fall of clicks by place due to examination, the high end of a random order would be the logged
    order. It is above only where examination falls more steeply than clicks do: so that lower places are liked more.
    """
    lines = []
    for variant in results.variants:
        if not results.bracketed(variant):
            continue
        rows = results.summary[results.summary["variant"] == variant].drop_duplicates("policy")
        found = of_variant(results, variant)
        for policy in rows.loc[rows["name"] == "random", "policy"]:
            if policy in found and found[policy].high - (found[policy].last - found[policy].high) > 0:
                ends, between = percent(found[policy])
                lines.append(
                    f"The two ends of {policy} ({ends} % {between}) differ by more than the log can explain: by the "
                    "fitted examination a random order beats the logged one, so what stands on top is not liked more, "
                    "and no bracket of this log is to be believed."
                )
    return lines
