"""What must be true of a run, and what to say where it is not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lersbench.feedback import row_of
from lersbench.metrics import Metric
from lersbench.results.numbers import number
from lersbench.results.places import place_in_words
from lersbench.results.statistics import paired
from lersbench.results.tables import Results

Z = 1.96  # half-width of an interval in standard errors, for the many records of a log
ESTIMATES = {  # by inverse propensity: what is wrong where they say of a random order that it is not the logger's
    "pbm_ips": "the position-based model that was fitted does not hold for these users",
    "ubm_ips": "the user browsing model that was fitted does not hold for these users",
    "iips": "the log is not uniformly random, or clicks depend on what stands above",
}


class Gap(NamedTuple):
    """How far apart two values are that must be equal, with the half-width of its interval."""

    mean: float
    half: float

    @property
    def sure(self) -> bool:
        return abs(self.mean) > self.half


def gap(
    random: np.ndarray, logger: np.ndarray, random_errors: np.ndarray, logger_errors: np.ndarray, replicates: str
) -> Gap:
    """The estimate of a random order less that of the logger, all arrays (seeds,), on a uniformly random log.

    Two errors are added: that of the seeds, paired, and that of the log's records, which all seeds share, as if both
    estimates had it independently (wider than it need be). An error that is not known counts as none.
    """
    span = paired(random, logger, replicates)
    seeds = float(span.high - span.low) / 2
    records = Z * math.hypot(*(float(np.nan_to_num(errors).mean()) for errors in (random_errors, logger_errors)))
    known = [part for part in (seeds, records) if math.isfinite(part)]
    return Gap(float(span.mean), math.hypot(*known))


# Warnings of a run ----------------------------------------------------------------------------------------------------
def missing(results: Results) -> list[str]:
    """A warning for a run that lacks contenders: it was cut short, still goes on, or some of them failed."""
    again = f"`lersbench bench {results.scenario['name']}`" if results.held is None else "replaying them"
    ends = {
        "unfinished": f"the run was cut short, or goes on still; the same {again} finishes it",
        "failed": f"they failed, and {again} tries them again",
    }
    return [
        f"UNFINISHED: without {', '.join(results.meta[why])}: {end}."
        for why, end in ends.items()
        if results.meta.get(why)
    ]


def unfinished(results: Results) -> list[str]:
    """A warning when some contender lacks seeds of the run."""
    wanted = len(results.meta["seeds"])
    counts = results.summary.groupby(["variant", "policy"])["seed"].nunique()
    short = counts[counts < wanted]
    if short.empty:
        return []
    groups = "; ".join(f"{_few(group.index.unique('policy'))}: {have}" for have, group in short.groupby(short))
    return [f"Not every contender has run all {wanted} seeds ({groups}). Intervals are wider for it."]


def undefined(results: Results, metric: Metric) -> list[str]:
    """A warning for every contender whose final value does not exist in some seed."""
    return [
        f"{metric.name} of {policy}{f' ({variant})' if variant else ''} is undefined in {np.isnan(values).sum()} of "
        f"{len(values)} seeds (a rate over no rounds at all), so it has no mean."
        for variant in results.variants
        for policy, values in results.finals(variant, metric.name).items()
        if np.isnan(values).any()
    ]


def unmeasured(results: Results, metric: Metric) -> list[str]:
    """A warning for every variant whose ranking leaves contenders out, for the metric says nothing of them."""
    warnings = []
    for variant in results.variants:
        names = [p for p in results.feedback(variant).index if p not in results.final(variant, metric.name).index]
        if names:
            place = place_in_words(results, variant)
            warnings.append(f"{place}{metric.name} has no value for {', '.join(names)}, which this ranking leaves out.")
    return warnings


def without_baseline(results: Results, baseline: str | None) -> list[str]:
    """A warning for every ranking that the baseline is no measure for, since it played under another regime."""
    if baseline is None:
        return []
    return [
        f"{place_in_words(results, variant)}{baseline} was not run under {kind} feedback, so these contenders have no "
        "difference to it: it learns, and under another regime from other facts."
        for variant, kind in results.boards
        if results.baseline_label(variant, kind, baseline) is None
    ]


def _few(names: Iterable[str], most: int = 4) -> str:
    """The names, or how many they are."""
    members = list(names)
    return ", ".join(members) if len(members) <= most else f"{len(members)} policies"


def alarms(results: Results) -> list[str]:
    """A line for every estimate by propensity by which, on a uniformly random log, random is not the logger's equal."""
    lines = []
    for case in results.cases:
        if not row_of(case.protocol).weighed or results.log(case.variant).get("propensities") != "uniform":
            continue
        rows = results.summary[results.summary["variant"] == case.variant].drop_duplicates("policy")
        labels = [rows.loc[rows["name"] == name, "policy"].min() for name in ("random", "ltr")]
        for metric, reason in ESTIMATES.items():
            values = results.final(case.variant, metric)
            if not set(labels) <= set(values.index):
                continue
            errors = results.final(case.variant, f"{metric}_se").reindex(labels, columns=values.columns)
            (random, logger), (random_error, logger_error) = values.loc[labels].to_numpy(), errors.to_numpy()
            difference = gap(random, logger, random_error, logger_error, results.replicates)
            if difference.sure:
                lines.append(
                    f"ALARM: {place_in_words(results, case.variant)}{results.metric(metric).title} of {labels[0]} is "
                    f"{number(difference.mean, 4, sign=True)} +- {number(difference.half, 4)} from that of the logger "
                    f"({labels[1]}). On a uniformly random log random must equal the logger: {reason}, and the values "
                    "of other policies are off by as much or more."
                )
    return lines
