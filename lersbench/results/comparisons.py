"""Comparisons across the cases of a run, as numbers: lifts over the baseline by slate size and by protocol, how well
the orders by several measures agree, swept parameters, and how fast regret grows. From results alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lersbench import growth
from lersbench.distributions import LEVEL
from lersbench.feedback import REGIMES
from lersbench.ranks import separated
from lersbench.results import compared
from lersbench.results.baseline import lift
from lersbench.results.separation import Separation
from lersbench.results.statistics import Interval, interval
from lersbench.results.tables import Case, Results
from lersbench.results.words import lift_in_words

LIFTED = ("reward_sum", "ctr_sum", "ctr_set", "expected_ctr_sum", "expected_ctr_set")
SIZES = 3  # slate sizes, or values of a parameter, from which on they are a sweep
Z = 1.96  # half-width of an interval in standard errors, for the many records of a log
PERCENT = 100


# Lifts ----------------------------------------------------------------------------------------------------------------
def baseline_of(results: Results, variant: str) -> str | None:
    """The label of the baseline in `variant`, of its first regime that has one; None where it was not run."""
    labels = (results.baseline_label(variant, kind) for one, kind in results.boards if one == variant)
    return next(filter(None, labels), None)


def lifts(results: Results, variant: str, metric: str) -> pd.DataFrame:
    """Lift of every policy over the baseline in percent: columns policy, lift, low, high, best first.

    Value / baseline - 1, paired seed by seed, and the interval of its mean over seeds. The estimates by inverse
    propensity have one more error, which all seeds share, that of the log's records: it is added from their standard
    errors as if policy and baseline were independent, which is wider than it need be. The baseline is that of the
    policy's own regime. Empty where there is no baseline or it was never clicked, and where rewards may be negative.
    """
    if not results.has_lifts:
        return pd.DataFrame(columns=["policy", "lift", "low", "high"])
    values, regimes = results.final(variant, metric), results.feedback(variant)
    rows = []
    for policy in values.index:
        baseline = results.baseline_label(variant, regimes[policy])
        if baseline not in values.index:
            continue
        shared = values.loc[[policy, baseline]].dropna(axis=1)
        both, half = shared.to_numpy(), results.halves(shared.columns)
        if not both.shape[1]:
            continue
        floor = results.floor(variant, [policy, str(baseline)], results.metric(metric))
        span = (
            lift(both[0], both[1], results.replicates, floor, half)
            if policy != baseline
            else Interval(*np.zeros((3, 1)))
        )
        mean, low, high = (PERCENT * float(np.squeeze(end)) for end in span)
        if policy != baseline and results.replicates != "subsample" and f"{metric}_se" in results.metrics:
            wider = _record_error(results, variant, metric, policy, str(baseline))
            low, high = (mean + side * math.hypot(end - mean, wider) for side, end in ((-1, low), (1, high)))
            low = max(low, -PERCENT)
        if math.isfinite(mean):
            rows.append({"policy": policy, "lift": mean, "low": low, "high": high})
    frame = pd.DataFrame(rows, columns=["policy", "lift", "low", "high"])
    return frame.sort_values("lift", ascending=False, kind="stable", ignore_index=True)


def _record_error(results: Results, variant: str, metric: str, policy: str, baseline: str) -> float:
    """Half-width, in percent, that the sampling of records adds to a lift: the delta method for a ratio."""
    value, error = (results.final(variant, name).mean(axis=1) for name in (metric, f"{metric}_se"))
    relative = math.hypot(error[policy] / value[policy], error[baseline] / value[baseline])
    return float(PERCENT * Z * relative * value[policy] / value[baseline])


def by_slate(results: Results) -> pd.DataFrame:
    """Lifts in percent by slate size: data, protocol, metric, slate, policy, lift, low, high; empty unless swept."""
    frames = [
        lifts(results, case.variant, metric).assign(
            data=case.data, protocol=case.protocol, metric=metric, slate=case.slate
        )
        for case in results.cases
        for metric in LIFTED
        if len(results.slates) >= SIZES and metric in results.metrics
    ]
    columns = ["data", "protocol", "metric", "slate", "policy", "lift", "low", "high"]
    return pd.concat(frames)[columns].reset_index(drop=True) if frames else pd.DataFrame(columns=columns)


def rates(results: Results, case: Case) -> list[str]:
    """The metrics a case is judged by: both click rates of ranked lists, the true ones where users are simulated."""
    if not case.protocol:
        return [results.scenario["leaderboard"]]
    prefix = "expected_" if REGIMES[case.protocol].simulated and "expected_ctr_sum" in results.metrics else ""
    names = ("reward_sum",) if results.reward else (f"{prefix}ctr_sum", f"{prefix}ctr_set")
    return [name for name in names if name in results.metrics]


# Protocols ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Measure:
    """One way to say what a policy is worth; `short` is its name in tables and figures."""

    short: str
    variant: str
    metric: str
    truth: bool = False


@dataclass(frozen=True)
class Comparison:
    """All measures of one click rate on one log with one slate size; `lifts` by the short name of a measure."""

    results: Results = field(repr=False)
    data: str
    slate: int
    rate: str  # "ctr_sum" or "ctr_set"; "reward_sum" where rewards are not clicks
    measures: list[Measure]
    lifts: Mapping[str, pd.DataFrame]

    @property
    def place(self) -> str:
        """Where this is, in words: "logging=uniform, K = 3, CTR_sum"."""
        name = {"ctr_sum": "CTR_sum", "ctr_set": "CTR_set"}.get(self.rate, self.results.metric(self.rate).title)
        return ", ".join(filter(None, [self.data, f"K = {self.slate}", name]))

    @property
    def policies(self) -> list[str]:
        """All policies, by the last measure (the truth where it is known), best first."""
        order = [policy for measure in reversed(self.measures) for policy in self.lifts[measure.short]["policy"]]
        return list(dict.fromkeys(order))

    @property
    def reference(self) -> Measure:
        """What the other measures are held against: the last of them."""
        return self.measures[-1]

    def best(self, measure: Measure) -> str:
        """The policy that comes first by `measure`."""
        return str(self.lifts[measure.short].iloc[0]["policy"])

    def lift(self, measure: Measure, policy: str) -> tuple[float, float, float]:
        rows = self.lifts[measure.short]
        matches = rows.loc[rows["policy"] == policy, ["lift", "low", "high"]].to_numpy()
        return (float(matches[0, 0]), float(matches[0, 1]), float(matches[0, 2])) if len(matches) else (math.nan,) * 3


WEIGHED = (  # estimates by propensity: metric, short name
    ("pbm_ips", "PBM-IPS of these slates"),
    ("ubm_ips", "UBM-IPS of these slates"),
    ("iips", "IIPS of these slates"),
)
MEASURES = [  # regime, metric of the two click rates, short name, is it the truth; from the farthest from the truth on
    (row.name, metric, short, metric == "expected_{}")
    for row in REGIMES.values()
    if row.listed
    for metric, short in (("{}", row.title), *(WEIGHED if row.weighed else ()), ("expected_{}", row.truth))
]


def comparisons(results: Results) -> list[Comparison]:
    """Every comparison of measures that the run allows: two protocols, or one with estimates by propensity."""
    per_rate = []
    for data in dict.fromkeys(case.data for case in results.cases):
        for slate in results.slates:
            variants = {
                case.protocol: case.variant for case in results.cases if (case.data, case.slate) == (data, slate)
            }
            for rate in ("reward_sum",) if results.reward else ("ctr_sum", "ctr_set"):
                measures = [
                    Measure(short, variants[protocol], metric.format(rate), truth)
                    for protocol, metric, short, truth in MEASURES
                    if protocol in variants and (rate != "ctr_set" or "ips" not in metric)
                ]
                tables = {m.short: lifts(results, m.variant, m.metric) for m in measures if m.metric in results.metrics}
                measures = [m for m in measures if len(tables.get(m.short, ()))]
                if len(measures) > 1 and (len(variants) > 1 or any("ips" in m.metric for m in measures)):
                    per_rate.append(Comparison(results, data, slate, rate, measures, tables))
    return per_rate


def kendall(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's rank correlation tau-b of two equally long sequences; NaN where one of them is constant."""
    a, b = np.sign(np.subtract.outer(first, first)), np.sign(np.subtract.outer(second, second))
    norm = math.sqrt(float((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm else math.nan


def orderings(found: Separation, level: float = LEVEL) -> np.ndarray:
    """Which pairs the data tell apart: (n, n) of +1 where the row is surely higher than the column, -1 lower, else 0.

    By Holm's correction over all pairs.
    """
    return np.where(separated(found.p, together=True, level=level), np.sign(found.mean), 0).astype(int)


def agreements(comparison: Comparison) -> pd.DataFrame:
    """How well the order by each measure agrees with each truth (or, where none is known, with the last measure).

    Columns: measure, held against, tau, pairs (told apart by the measure), hold, open (not told apart by the truth),
    reversed.
    """
    signs = _signs(comparison)
    truths = [m for m in comparison.measures if m.truth] or [comparison.reference]
    rows = []
    for truth in truths:
        for measure in comparison.measures[: comparison.measures.index(truth)]:
            means = [_means(comparison, m) for m in (measure, truth)]
            both = [policy for policy in comparison.policies if policy in means[0] and policy in means[1]]
            said, true = signs[measure.short], signs[truth.short]
            above = said > 0
            rows.append(
                {
                    "measure": measure.short,
                    "held against": truth.short,
                    "tau": kendall([means[0][p] for p in both], [means[1][p] for p in both]),
                    "pairs": int(above.sum()),
                    "hold": int((true[above] > 0).sum()),
                    "open": int((true[above] == 0).sum()),
                    "reversed": int((true[above] < 0).sum()),
                }
            )
    return pd.DataFrame(rows)


def reversals(comparison: Comparison, measure: Measure, truth: Measure) -> list[tuple[str, str]]:
    """Pairs (a, b) of which `measure` surely puts a above b, and `truth` surely b above a; the widest apart first."""
    signs, policies = _signs(comparison), comparison.policies
    wrong = np.argwhere((signs[measure.short] > 0) & (signs[truth.short] < 0))
    lift_of = {m.short: {p: comparison.lift(m, p)[0] for p in policies} for m in (measure, truth)}

    def apart(pair: tuple[str, str]) -> float:
        said, true = (lift_of[m.short][pair[0]] - lift_of[m.short][pair[1]] for m in (measure, truth))
        return true - said

    return sorted(((policies[a], policies[b]) for a, b in wrong), key=apart)


def _signs(comparison: Comparison) -> dict[str, np.ndarray]:
    """The orderings by each measure, of the policies as `Comparison.policies` has them."""
    results = comparison.results
    return {
        m.short: orderings(compared.on_this_log(results, m.variant, comparison.policies, results.metric(m.metric)))
        for m in comparison.measures
    }


def _means(comparison: Comparison, measure: Measure) -> dict[str, float]:
    return dict(comparison.lifts[measure.short][["policy", "lift"]].itertuples(index=False, name=None))


def verdict(comparison: Comparison) -> str:
    """What the measures of a comparison come to, in one sentence."""
    first, reference = comparison.measures[0], comparison.reference
    text = f"{comparison.place}: {first.short} puts {_first_in_words(comparison)}"
    text += f"; by {'the ' if reference.truth else ''}{reference.short} {_reference_in_words(comparison)}"
    rows = agreements(comparison)
    row = rows[(rows["measure"] == first.short) & (rows["held against"] == reference.short)].iloc[0]
    tau = f"Kendall's tau is {row['tau']:.2f}" if math.isfinite(row["tau"]) else "one of the two has no order at all"
    return (
        f"{text}. The two orders: {tau}; of {row['pairs']} pairs that the first separates {row['hold']} hold, "
        f"{row['open']} are not separated by the second, {row['reversed']} are reversed."
    )


def _first_in_words(comparison: Comparison) -> str:
    """Who comes first by the first measure, and its lift by that and by the estimates; the baseline has no lift."""
    first, *between = comparison.measures[:-1]
    base, best = baseline_of(comparison.results, first.variant), comparison.best(first)
    if best == base:
        return f"{best}, the baseline, first"
    estimates = [m for m in between if m.metric.startswith(("pbm", "ubm", "iips", "expected"))]
    lifts = {m.short: comparison.lift(m, best) for m in estimates}
    others = [f", {name} says {lift_in_words(*lift)}" for name, lift in lifts.items() if math.isfinite(lift[0])]
    return f"{best} first, with a lift over {base} of {lift_in_words(*comparison.lift(first, best))}{''.join(others)}"


def _reference_in_words(comparison: Comparison) -> str:
    """Who leads by the last measure, and the lift that the best of the first measure has by it."""
    first, reference = comparison.measures[0], comparison.reference
    base = baseline_of(comparison.results, first.variant)
    best, leader = comparison.best(first), comparison.best(reference)
    lifts = {p: comparison.lift(reference, p) for p in (best, leader)}
    words = {p: lift_in_words(*lift) if math.isfinite(lift[0]) else "nothing" for p, lift in lifts.items()}
    if leader == best:
        return "it leads too" if best == base else f"it leads too, with {words[best]}"
    if leader == base:
        return f"{base}, the baseline, leads and {best} has {words[best]}"
    if best == base:
        return f"{leader} leads with a lift over {base} of {words[leader]}"
    return f"{leader} leads with {words[leader]} and {best} has {words[best]}"


# Swept parameters -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Sweep:
    """A numeric hyper-parameter with SIZES or more values in one policy: its contenders by line, and all others."""

    parameter: str
    lines: Mapping[str, list[tuple[float, str]]]  # line: (value of the parameter, label of the policy), ascending
    others: list[str]

    @property
    def logarithmic(self) -> bool:
        values = [value for line in self.lines.values() for value, _ in line]
        return min(values) > 0 and max(values) >= 10 * min(values)


def parameter_sweeps(results: Results, policies: Sequence[str]) -> list[Sweep]:
    """The swept parameters of a run; a line is one policy with all its other parameters (and its regime) fixed."""
    rows = results.summary.drop_duplicates("policy")
    rows = rows[rows["policy"].isin(policies)]
    settings = {policy: json.loads(params) for policy, params in zip(rows["policy"], rows["params"], strict=True)}
    feedback = dict(zip(rows["policy"], rows["feedback"], strict=True))
    grouped: dict[str, dict[str, dict[float, str]]] = {}
    for name, group in rows.groupby("name", sort=False):
        labels = list(group["policy"])
        varying = [key for key in settings[labels[0]] if len({json.dumps(settings[p].get(key)) for p in labels}) > 1]
        for key in varying:
            for label in labels:
                value = settings[label].get(key)
                if isinstance(value, bool) or not isinstance(value, int | float):
                    continue
                regime = f" ({feedback[label]})" if results.entries[label] != label else ""
                fixed = "".join(f" {other}={settings[label].get(other)}" for other in varying if other != key)
                grouped.setdefault(key, {}).setdefault(f"{name}{fixed}{regime}", {})[float(value)] = label
    sweeps = []
    for key, lines in grouped.items():
        swept = {line: sorted(points.items()) for line, points in lines.items() if len(points) >= SIZES}
        taken = {label for points in swept.values() for _, label in points}
        if swept:
            sweeps.append(Sweep(key, swept, [policy for policy in policies if policy not in taken]))
    return sweeps


def representatives(results: Results, policies: Sequence[str]) -> list[str]:
    """`policies` with only the best of each swept line, by the leaderboard's metric; for figures of many."""
    metric = results.metric(results.scenario["leaderboard"])
    sign = -1 if metric.better == "lower" else 1
    finals = results.summary[results.summary["metric"] == metric.name].groupby("policy")["value"].mean()
    left = set(policies)
    for sweep in parameter_sweeps(results, policies):
        for points in sweep.lines.values():
            labels = [label for _, label in points if label in finals]
            best = max(labels, key=lambda label: sign * finals[label], default=None)
            left -= set(labels) - {best}
    return [policy for policy in policies if policy in left]


# Regret ---------------------------------------------------------------------------------------------------------------
def slopes(results: Results) -> pd.DataFrame:
    """The growth of true regret (see `growth.slope`): variant, policy, slope, low, high. Empty where true expected
    values are not known."""
    rows = []
    finals = results.summary[results.summary["metric"] == growth.NAME]
    for (variant, policy), part in finals.groupby(["variant", "policy"], sort=False):
        span = interval(part.sort_values("seed")["value"].to_numpy(), results.replicates, bounds=(0.0, math.inf))
        row = {"slope": float(span.mean), "low": float(span.low), "high": float(span.high)}
        rows.append({"variant": variant, "policy": policy, **row})
    return pd.DataFrame(rows, columns=["variant", "policy", "slope", "low", "high"])
