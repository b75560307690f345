"""A forest plot: final values of a metric with their intervals and ranks."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lersbench.figures import headline
from lersbench.figures.axes import axis_title, full_title
from lersbench.figures.frame import columns_of, drawn_cases, footer, grid, sources
from lersbench.figures.style import Look, looks
from lersbench.metrics import Metric
from lersbench.results import brackets
from lersbench.results.numbers import MISSING, scale
from lersbench.results.ranking import board
from lersbench.results.tables import Results, known_metric

NEW = ("new_low", "new_high")  # ends of the interval for new customers
BRACKET_TITLE = "What the log can tell of the lift over the logged order"
BRACKET_NOTE = [
    "Bar: from logged clicks wherever items are placed to the same clicks by how often the new place is looked at over "
    "the logged one. Line: as far as the 95 % errors of both ends reach. At the right the best and the worst rank that "
    f"these allow. {brackets.ASSUMPTION}."
]


def forest(results: Results, name: str, policies: Sequence[str]) -> Figure:
    """Final values of the metric `name` with their intervals, a panel a ranking, best on top, with the rank ranges."""
    metric = known_metric(results, name)
    frame = board(results, name, [], None).frame if metric.better != "neither" else _unranked(results, metric)
    frame = frame[frame["policy"].isin(policies)]
    cases = {case.variant: case for case in drawn_cases(results)}
    panels = {
        (variant, kind): rows
        for variant, kind in results.boards
        if variant in cases and len(rows := frame[(frame["variant"] == variant) & (frame["feedback"] == kind)])
    }
    look = looks(results)
    size = (4.6 if len(panels) == 1 else 3.4, 0.75 + 0.235 * max(map(len, panels.values())))
    with_brackets = [brackets.ranks(results, variant, metric) for variant, _ in panels]
    notes = [*(BRACKET_NOTE if any(with_brackets) else [])]
    notes += (
        sources(results)
        if all(with_brackets)
        else [*footer(results), *_new_note(results, frame), *_rank_note(metric), *_same_note(frame)]
    )
    columns = columns_of(len(panels), [name])
    finding = (
        ""
        if any(with_brackets)
        else headline.of_metric(results, name, dict(zip(frame["policy"], frame["mean"], strict=True)))
    )
    figure, axes = grid(len(panels), columns, size, title_of(results, metric), results, notes, 0.4, finding=finding)
    for ax, ((variant, kind), rows) in zip(axes, panels.items(), strict=True):
        if brackets.ranks(results, variant, metric):
            _draw_brackets(ax, results, rows, look)
        else:
            _draw_forest(ax, results, rows, metric, look)
        head = [cases[variant].in_words(), f"{kind} feedback" if results.mixed else ""]
        # at the right, for narrow axes: at the left is the room of the labels
        ax.set_title(", ".join(filter(None, head)), loc="right", fontsize=9)
        if metric.better != "neither" and len(panels) == 1:
            ax.text(1.02, -0.75, "rank", transform=ax.get_yaxis_transform(), va="bottom", fontsize=9, color="0.3")
    return figure


def title_of(results: Results, metric: Metric) -> str:
    """What is drawn of the final values of a metric."""
    known = all(not brackets.ranks(results, variant, metric) for variant in results.variants)
    return f"{full_title(metric)}, final values" if known else BRACKET_TITLE


def _draw_brackets(ax: Axes, results: Results, rows: pd.DataFrame, look: Look) -> None:
    """A bar from end to end for each of `rows`, thin lines as far as the errors reach, its rank at the right."""
    ax.axvline(0, color="0.5", lw=0.9, zorder=0)
    spans = (rows[["bracket_low", "bracket_high", "bracket_first", "bracket_last"]] * 100).to_numpy()
    for y, (policy, (low, high, first, last)) in enumerate(zip(rows["policy"], spans, strict=True)):
        colour = look[policy]["color"]
        ax.plot([first, last], [y, y], color=colour, lw=1.0, solid_capstyle="butt")
        ax.plot([low, high], [y, y], color=colour, lw=6.0, solid_capstyle="butt")
        if low == high:
            ax.plot(low, y, "|", color=colour, ms=9, mew=2)
    _name_rows(ax, results, rows)
    ax.set_xlabel("Lift over the logged order (%)")


def _draw_forest(ax: Axes, results: Results, rows: pd.DataFrame, metric: Metric, look: Look) -> None:
    """A dot and a bar for each of `rows`, a thin line for new customers where they are known, its rank at the right."""
    ends = [*(name for name in NEW if name in rows), "mean", "low", "high"]
    spans = (rows[ends] * scale(metric)).to_numpy(dtype=float)
    for y, (policy, (*new, mean, low, high)) in enumerate(zip(rows["policy"], spans, strict=True)):
        colour = look[policy]["color"]
        if new:
            ax.plot(new, [y, y], color=colour, lw=1.0, solid_capstyle="butt")
        ax.plot([low, high], [y, y], color=colour, lw=3.0 if new else 1.8, solid_capstyle="butt")
        ax.plot(mean, y, "o", color=colour, ms=5)
    _name_rows(ax, results, rows)
    ax.set_xlabel(axis_title(metric))


def _name_rows(ax: Axes, results: Results, rows: pd.DataFrame) -> None:
    """The policies of `rows` at the left, their ranks at the right, the first on top."""
    for y, rank in enumerate(rows["rank"]):
        ax.text(1.02, y, rank, transform=ax.get_yaxis_transform(), va="center", fontsize=9, color="0.3")
    names = [results.entries[policy] for policy in rows["policy"]]  # the title of the panel has the regime
    ax.set_yticks(range(len(rows)), names)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="0.92", lw=0.8)
    ax.set_axisbelow(True)


def _rank_note(metric: Metric) -> list[str]:
    if metric.better == "neither":
        return []
    return [
        "At the right the best and the worst rank within its regime that the data allow a contender, as in the "
        f"leaderboard (Holm's correction over its pairs, 5 %; {MISSING}: too few seeds to say)."
    ]


def _new_note(results: Results, frame: pd.DataFrame) -> list[str]:
    if "new_low" not in frame or not frame["new_low"].notna().any() or results.replicates == "subsample":
        return []
    return [f"Bar: on this log. Thin line: for new {results.blocks(results.variants[0])}, by which the ranks go."]


def _same_note(frame: pd.DataFrame) -> list[str]:
    note = "Without a bar: the same in every seed, since nothing is drawn."
    return [note] if frame["same_in_every_seed"].any() else []


def _unranked(results: Results, metric: Metric) -> pd.DataFrame:
    """The rows of a forest plot for a metric that is neither better high nor low, the highest on top."""
    rows = [
        {
            "variant": variant,
            "policy": policy,
            "rank": "",
            "feedback": results.feedback(variant)[policy],
            "same_in_every_seed": policy in results.steady[variant],
            **results.interval(variant, policy, metric, values)._asdict(),
        }
        for variant in results.variants
        for policy, values in results.finals(variant, metric.name).items()
    ]
    return pd.DataFrame(rows).sort_values("mean", ascending=False, kind="stable")
