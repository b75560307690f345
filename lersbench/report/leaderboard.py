"""The leaderboard of a page: which columns it has, and its rows for the page's script.

A new column of `Board.frame` appears on the page by a row in COLUMNS.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lersbench.distributions import LEVEL
from lersbench.figures.style import baselines, policy_families
from lersbench.metrics import METRICS, Metric
from lersbench.results.interval_words import anew, this_log
from lersbench.results.numbers import MISSING, decimals, heading, scale, spread, unit_of
from lersbench.results.places import table_in_words
from lersbench.results.ranking import Board
from lersbench.results.tables import Results

DIGITS = 6  # significant digits of a number in a page


@dataclass(frozen=True)
class Column:
    """A column of the page's table: its heading, and the columns of `Board.frame` it shows.

    `kind` says how: "places" (a range of ranks), "bar" (a value, its interval as a bar), "ends" (an interval in words),
    "gain" (a difference with its interval), "chance" (in percent, never certain), "number". `unit` says in what:
    "metric", "percent", "rank", "count". Columns that are not `brief` are shown where a reader asks for all. A column
    is left out where `Board.frame` lacks the first of its `parts`, or holds nothing there.
    """

    key: str
    heading: str  # {metric}, {points}, {baseline}, {here} and {new} (what an interval is of) are filled in
    parts: tuple[str, ...]
    kind: str
    unit: str = "metric"
    brief: bool = False
    says: str = ""


LEVELLED = f"{100 * LEVEL:.0f} %"
COLUMNS = (
    Column("rank", "rank", ("rank",), "places", "rank", True, "Best and worst place that the data allow."),
    Column("rank_this_log", "rank, this log", ("rank_this_log",), "places", "rank", False, "The same for this log."),
    Column("value", "{metric}", ("mean", "low", "high"), "bar", "metric", True, "The mean over seeds."),
    Column(
        "bracket",
        "lift over the logged order %",
        ("bracket_low", "bracket_high"),
        "ends",
        "percent",
        True,
        "Between these two ends, whatever users saw.",
    ),
    Column("bracket_reach", f"with {LEVELLED} errors", ("bracket_first", "bracket_last"), "ends", "percent", False, ""),
    Column(
        "customers",
        "{new}",
        ("new_low", "new_high"),
        "ends",
        "metric",
        True,
        "Where the mean of others like these would lie.",
    ),
    Column("interval", "{here}", ("low", "high"), "ends", "metric", True, "On this log alone."),
    Column(
        "difference",
        "minus {baseline}{points}",
        ("difference", "difference_low", "difference_high"),
        "gain",
        "metric",
        True,
        "With the interval of this difference.",
    ),
    Column("lift", "lift over {baseline} %", ("lift", "lift_low", "lift_high"), "gain", "percent", True, ""),
    Column("p_best", "P(best) %", ("p_best",), "chance", "percent", False, "The chance to be the best."),
    Column("expected_rank", "expected rank", ("expected_rank",), "number", "rank", False, "The mean of its ranks."),
)
INSTEAD = {"lift": "difference", "customers": "interval"}  # the first says what counts, the second is then one of all
SEEDS = Column("seeds", "seeds", ("seeds",), "number", "count")


def columns_of(board: Board) -> list[tuple[Column, Metric | None]]:
    """The columns of a board that have content, each with the metric whose unit it is in."""
    frame = board.frame
    known = [one for one in COLUMNS if one.parts[0] in frame and not _empty(frame[one.parts[0]])]
    keys = {one.key for one in known}
    aside = {less for key, less in INSTEAD.items() if key in keys}
    known = [replace(one, brief=False) if one.key in aside else one for one in known]
    further = [
        (
            Column(metric.name, heading(metric), (metric.name,), "number", says=f"{metric.title}. {metric.source}"),
            metric,
        )
        for metric in board.further
    ]
    own = [(one, board.metric if one.unit == "metric" else None) for one in known]
    return [*own, *further, *([(SEEDS, None)] if "seeds" in frame else [])]


def _empty(values: pd.Series) -> bool:
    return bool((values.isna() | (values == MISSING)).all())


def ranking_data(board: Board) -> dict[str, Any]:
    """The rankings by one metric, for the page's script: columns and rows of every case and regime."""
    columns = columns_of(board)
    return {
        "metric": board.metric.name,
        "columns": [_head(board, column, metric) for column, metric in columns],
        "rankings": [
            {
                "variant": variant,
                "feedback": kind,
                "rows": [_row(row, columns) for row in board.rows(variant, kind).to_dict(orient="records")],
            }
            for variant, kind in board.tables
        ],
    }


def _head(board: Board, column: Column, metric: Metric | None) -> dict[str, Any]:
    points = " (points)" if board.metric.unit == "%" else f" ({board.metric.named})" * bool(board.metric.named)
    words = {"metric": heading(board.metric), "points": points, "baseline": board.baseline or ""}
    words |= {"here": this_log(), "new": anew(board.results, board.results.variants[0])}
    head = {key: value for key, value in vars(column).items() if key != "unit"}
    title = column.heading if metric in board.further else column.heading.format(**words)
    return {**head, "heading": title, "digits": _digits(board, column, metric), "times": _times(column, metric)}


def _times(column: Column, metric: Metric | None) -> int:
    """What stored values of a column are multiplied with to be shown."""
    if column.unit == "percent":
        return 100
    return scale(metric) if metric else 1


def _digits(board: Board, column: Column, metric: Metric | None) -> int:
    """Decimals of a column: those that the uncertainty of its numbers allows."""
    if column.unit in ("count", "rank") or column.kind == "chance":
        return 1 if column.kind == "number" and column.unit == "rank" else 0
    measure = metric or METRICS["ctr"]
    ends = [f"{column.parts[0]}_low", f"{column.parts[0]}_high"] if column.kind == "gain" else ["low", "high"]
    if column.key not in ("value", "interval", "customers", "difference", "lift") or ends[0] not in board.frame:
        return {"%": 2, "share": 4, "count": 0, "reward": 2}[measure.unit]
    widths = (board.frame[ends[1]] - board.frame[ends[0]]) * _times(column, metric) / 2
    return decimals(spread(widths), measure)


def _row(row: Mapping[Hashable, Any], columns: list[tuple[Column, Metric | None]]) -> dict[str, Any]:
    """One contender: its label, and under the key of every column what it holds; null where there is nothing."""
    cells: dict[str, Any] = {"policy": row["policy"]}
    for column, _ in columns:
        parts = [_cell(row.get(name)) for name in column.parts]
        cells[column.key] = parts if len(parts) > 1 else parts[0]
    if row.get("same_in_every_seed") and not isinstance(cells.get("interval"), str):
        cells["same"] = True
    return cells


def _cell(value: Any) -> Any:
    """A number to DIGITS digits, a range of places as a pair; None where there is nothing."""
    if isinstance(value, str):
        first, _, last = value.partition("-")
        return [int(first), int(last or first)] if first else None
    if value is None or not math.isfinite(value):
        return None
    return int(value) if isinstance(value, int) else float(f"{float(value):.{DIGITS}g}")


def contenders_data(results: Results, labels: Mapping[str, str]) -> dict[str, Any]:
    """What a contender is, by its label: name, family, regime, whether it is the baseline; `labels` are shown."""
    families, base, rows = policy_families(results), baselines(results), results.contenders
    return {
        str(policy): {
            "label": labels[policy],
            "entry": results.entries[policy],
            "name": name,
            "feedback": feedback,
            "family": families.get(policy, "baseline"),
            "baseline": policy in base,
        }
        for policy, name, feedback in zip(rows["policy"], rows["name"], rows["feedback"], strict=True)
    }


def ranking_titles(board: Board) -> list[dict[str, str]]:
    """The cases and regimes of the rankings, in words."""
    return [
        {
            "variant": variant,
            "feedback": kind,
            "case": board.results.case(variant).in_words(),
            "title": table_in_words(board.results, variant, kind),
            "baseline": (board.baseline and board.results.baseline_label(variant, kind, board.baseline)) or "",
        }
        for variant, kind in board.tables
    ]


def metric_data(metric: Metric) -> dict[str, Any]:
    """A metric for the page's script."""
    return {
        "name": metric.name,
        "title": metric.title,
        "unit": unit_of(metric),
        "times": scale(metric),
        "better": metric.better,
        "source": metric.source,
    }
