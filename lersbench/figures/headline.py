"""The finding of a figure in a line: who ends best, beside the baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lersbench.figures.axes import LESS, metric_of
from lersbench.figures.bands import policies_by_value
from lersbench.metrics import Metric
from lersbench.results.numbers import number, scale, unit_of
from lersbench.results.tables import Results

DIGITS = {"%": 1, "share": 3, "count": 0, "reward": 2}  # decimals of a value in a title, by unit


def of_metric(results: Results, name: str, finals: Mapping[str, float]) -> str:
    """ "Misses: linucb-k ends with 75.9 %, random with 96.6 %"; of the feedback that a shop has, where regimes differ.

    `finals` are last values by policy. "" where several cases have one each, or nothing is known.
    """
    if len(results.variants) > 1:
        return ""
    metric, (variant,) = metric_of(results, name), results.variants
    kind = results.boards[0][1]
    regimes = results.feedback(variant)
    known = {p: finals[p] for p in finals if regimes[p] == kind and math.isfinite(finals[p])}
    if len(known) < 2:
        return ""
    if metric.better == "neither":
        return _extent(results, metric, known)
    base = results.baseline_label(variant, kind)
    first = next((policy for policy in policies_by_value(known, metric) if policy != base), None)
    if first is None:
        return ""
    if name == LESS.name:
        return f"Regret: {_named(results, first)} ends {_below(known[first])} {base}"
    against = f", {_named(results, base)} with {_value(known[base], metric)}" if base in known else ""
    return f"{metric.title}: {_named(results, first)} ends with {_value(known[first], metric)}{against}"


def _named(results: Results, policy: str | None) -> str:
    return results.entries[policy] if policy else ""


def _extent(results: Results, metric: Metric, known: Mapping[str, float]) -> str:
    """From the least to the most, of a metric that is neither better high nor low."""
    least, most = min(known, key=lambda p: known[p]), max(known, key=lambda p: known[p])
    ends = f"{_value(known[least], metric)} ({_named(results, least)})", f"{_value(known[most], metric)}"
    return f"{metric.title}: from {ends[0]} to {ends[1]} ({_named(results, most)})"


def _below(difference: float) -> str:
    side = "below" if difference < 0 else "above"
    return f"{number(abs(difference), 0)} {side}"


def _value(value: float, metric: Metric) -> str:
    shown = value * scale(metric)
    return f"{number(shown, DIGITS[metric.unit])} {unit_of(metric)}".rstrip()
