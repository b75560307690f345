"""What figures show, in a sentence each: the text in their place for those who do not see them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from lersbench.figures.bands import policies_by_value
from lersbench.figures.draw import stem_of
from lersbench.figures.frame import drawn_cases
from lersbench.figures.records import Record
from lersbench.metrics import Metric
from lersbench.results.numbers import decimals, number, scale
from lersbench.results.ranking import Board

NAMED = 3  # contenders that a sentence names, the baseline aside


def findings(ranking: Board, figures: Sequence[Record]) -> dict[str, str]:
    """What each figure shows, by the stem of its files: its title, and values where it is of one metric."""
    return {one.png.stem: _finding(ranking, one) for one in figures}


def _finding(ranking: Board, figure: Record) -> str:
    results = ranking.results
    metric = next((name for name in results.metrics if figure.png.stem in _stems(name)), None)
    if metric is None:
        return figure.title
    variant = next((one for one in figure.cases if one in results.variants), drawn_cases(results)[0].variant)
    return f"{figure.title}: {_values(ranking, variant, results.metric(metric))}."


def _stems(metric: str) -> list[str]:
    """The stems of the figures of one metric."""
    return [*(stem_of(kind, metric) for kind in ("curve", "final")), *(["hit-ratio"] if metric == "hr@20" else [])]


def _values(ranking: Board, variant: str, metric: Metric) -> str:
    """ "past-bought 54.4, popular 69.6, linucb 75.8 %; random (baseline) 96.7 %" at the end, the best first."""
    results = ranking.results
    finals = {policy: float(pd.Series(x).mean()) for policy, x in results.finals(variant, metric.name).items()}
    known = {policy: value for policy, value in finals.items() if math.isfinite(value)}
    order = policies_by_value(known, metric)
    base = set(results.called(ranking.baseline))
    spread = max(known.values(), default=0.0) - min(known.values(), default=0.0)
    digits = decimals(spread * scale(metric) / 2, metric)
    unit = " %" if metric.unit == "%" else f" {metric.named}".rstrip()
    said = [f"{policy} {number(known[policy] * scale(metric), digits)}{unit}" for policy in order if policy not in base]
    line = f"at the end {', '.join(said[:NAMED])}"
    line += f", {len(said) - NAMED} more" if len(said) > NAMED else ""
    own = [
        f"{policy} (baseline) {number(known[policy] * scale(metric), digits)}{unit}"
        for policy in order
        if policy in base
    ]
    place = results.case(variant).in_words()
    return f"{f'{place}, ' if place else ''}{'; '.join([line, *own])}"
