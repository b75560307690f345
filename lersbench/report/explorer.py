"""The part of a page that a reader works with: the leaderboard and the curves of a run, as data for its script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from lersbench.figures.draw import groups_of
from lersbench.figures.legends import label
from lersbench.figures.style import BASELINE, DASHES, HUES, baselines, crowded, looks
from lersbench.metrics import Metric
from lersbench.report import curves as page_curves
from lersbench.report import leaderboard
from lersbench.report.blocks import Block, Part
from lersbench.results.ranking import Board, board
from lersbench.results.tables import Results

WIDTH = 2  # pixels of a line, which dashes are multiples of


def part(ranking: Board, blocks: Sequence[Block], first: str | None = None, key: str = "run") -> Part:
    """The leaderboard and the curves of a run; `blocks` are its tables without a script.

    `first` is the variant shown at first. The data is for `templates/parts/explorer.js`.
    """
    results = ranking.results
    metrics = _metrics(ranking)
    ranked = [metric for metric in metrics if metric.better != "neither"]
    drawn, notes = _curves(ranking, metrics)
    labels = {policy: label(results, policy) for policy in results.contenders["policy"]}
    boards = {
        one.name: leaderboard.ranking_data(ranking if one == ranking.metric else board(results, one.name))
        for one in ranked
    }
    data = {
        "name": results.scenario["name"],
        "run": results.path.name,
        "metric": ranking.metric.name,
        "case": ranking.results.variants[0] if first is None else first,
        "baseline": ranking.baseline or "",
        "metrics": {one.name: {**leaderboard.metric_data(one), "limits": _limits(results, one)} for one in metrics},
        "titles": leaderboard.ranking_titles(ranking),
        "contenders": leaderboard.contenders_data(results, labels),
        "looks": _looks(ranking),
        "boards": boards,
        "curves": drawn,
        "notes": notes,
    }
    return Part("explorer", key, data, blocks)


def _metrics(ranking: Board) -> list[Metric]:
    """What a reader can choose: what is ranked by, what the table has besides, and what has curves."""
    results = ranking.results
    names = [ranking.metric.name, *(one.name for one in ranking.further)]
    names += [name for group in groups_of(results) for name in group]
    return [results.metric(name) for name in dict.fromkeys(names) if name in results.metrics]


def _limits(results: Results, metric: Metric) -> list[float | None]:
    """The least and the most that the metric can be in any case of the run; None: no limit."""
    ends = np.array([results.bounds(variant, metric) for variant in results.variants], dtype=float)
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    return [low if np.isfinite(low) else None, high if np.isfinite(high) else None]


# Looks ----------------------------------------------------------------------------------------------------------------
def _looks(ranking: Board) -> dict[str, Any]:
    """Colour and dashes of every contender: those of the pictures, but in a crowd, where one chart holds them all, in
    the order of the ranking."""
    styles: Mapping[str, Mapping[str, Any]] = looks(ranking.results)
    if crowded(ranking.results):
        base, order = baselines(ranking.results), dict.fromkeys(ranking.frame["policy"])
        others = [policy for policy in order if policy not in base]
        lines = [(hue, dash) for dash in DASHES for hue in HUES]
        styles = {
            policy: {"color": hue, "linestyle": dash}
            for policy, (hue, dash) in zip(others, lines * (1 + len(others) // len(lines)), strict=False)
        } | dict.fromkeys(base, BASELINE)
    return {
        policy: {"colour": to_hex(one["color"]), "dash": _pixels(one["linestyle"])} for policy, one in styles.items()
    }


def _pixels(dash: Any) -> list[float]:
    return [] if isinstance(dash, str) else [WIDTH * length for length in dash[1]]


# Curves ---------------------------------------------------------------------------------------------------------------
def _curves(ranking: Board, metrics: Sequence[Metric]) -> tuple[dict[str, Any], list[str]]:
    """All curves by metric and case, thinned so that a page can hold them, and what of them is left out."""
    results, notes = ranking.results, list[str]()
    each = len(results.summary[["variant", "policy"]].drop_duplicates())
    keep = max(1, page_curves.curves_within_budget() // max(len(metrics), 1))
    wanted = set(results.contenders["policy"])
    if each > keep:
        wanted = _first_of_each(ranking, max(2, keep // len(ranking.tables)))
        notes.append(
            f"The chart holds the best {max(2, keep // len(ranking.tables))} contenders of each ranking and the "
            "baseline; `curves.parquet` has all."
        )
    points = page_curves.points_of(min(each, keep) * len(metrics))
    drawn = {}
    for metric in metrics:
        cases = {}
        for variant, by_policy in page_curves.curves(results, metric).items():
            chosen = {policy: curve for policy, curve in by_policy.items() if policy in wanted}
            cases[variant] = _case(chosen, points)
        if any(cases.values()):
            drawn[metric.name] = cases
    return drawn, notes


def _first_of_each(ranking: Board, count: int) -> set[str]:
    """The first contenders of every ranking, and the baselines."""
    best = [policy for place in ranking.tables for policy in ranking.rows(*place)["policy"].iloc[:count]]
    return {*best, *baselines(ranking.results)}


def _case(by_policy: Mapping[str, page_curves.Curve], points: int) -> dict[str, Any]:
    """The curves of one case; those that were read after other rounds than the first bring these with them."""
    if not by_policy:
        return {}
    rounds = next(iter(by_policy.values())).rounds
    places = page_curves.thinned(rounds, points)
    packed: dict[str, Any] = {}
    for policy, curve in by_policy.items():
        if np.array_equal(curve.rounds, rounds):
            packed[policy] = page_curves.packed(curve, places)
        else:
            own = page_curves.thinned(curve.rounds, points)
            packed[policy] = page_curves.packed(curve, own) | {"rounds": [int(at) for at in curve.rounds[own]]}
    return {"rounds": [int(at) for at in rounds[places]], "policies": packed}
