"""The figures of an off-policy evaluation: values with intervals, the largest weights, what cutting them does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from lersbench.feedback import QUESTIONS
from lersbench.figures.frame import Frame
from lersbench.figures.records import Plan, Record, draw_plans
from lersbench.figures.style import DASHES, GREY, HUES
from lersbench.results.evaluation import BELIEVE, CAUTION, DISBELIEVE, Evaluation
from lersbench.results.evaluation_words import level, unit

OPACITY = {BELIEVE: 1.0, CAUTION: 0.6, DISBELIEVE: 0.25}
MOST = 10  # policies whose weights are drawn as lines
ROW = 0.34  # inches of one interval
GRID: dict[str, Any] = {"color": "0.92", "zorder": 0}


def draw(evaluation: Evaluation, folder: str | Path) -> list[Record]:
    """Draw all figures into `folder`, as PNG and SVG; returns their records."""
    plans = [Plan("values", "Values with intervals", "values", (), lambda: values(evaluation))]
    if len(evaluation.weights):
        plans.append(Plan("weights", "The largest weights", "weights", (), lambda: weights(evaluation)))
    if len(evaluation.sensitivity):
        plans.append(
            Plan("sensitivity", "What cutting weights does", "sensitivity", (), lambda: sensitivity(evaluation))
        )
    return draw_plans(plans, folder, evaluation)


def values(evaluation: Evaluation) -> Figure:
    """A forest plot: each policy's leading estimate with its interval, pale where it is not to be believed."""
    questions = evaluation.questions
    rows = {question: evaluation.leading(question) for question in questions}
    heights = [ROW * len(rows[question]) + 0.55 for question in questions]
    note = f"Line: what ran, {level(evaluation)} interval shaded. Pale: caution; palest: do not believe."
    frame = _frame(evaluation, "What each policy would have earned", 7.2, sum(heights), [note])
    figure, axes = frame.figure(len(questions), 1)
    if len(questions) > 1:
        _set_heights(axes, heights)
    for ax, question in zip(axes, questions, strict=True):
        _forest(ax, rows[question], evaluation.ran(question))
        ax.set_title(QUESTIONS[question].title, loc="left", fontsize=9)
    axes[-1].set_xlabel(
        unit(evaluation.about).capitalize() if unit(evaluation.about)[0].islower() else unit(evaluation.about)
    )
    return figure


def _set_heights(axes: list[Axes], heights: list[float]) -> None:
    grid = axes[0].get_gridspec()
    assert grid is not None
    grid.set_height_ratios(heights)


def _forest(ax: Axes, rows: pd.DataFrame, ran: dict[str, float]) -> None:
    places = np.arange(len(rows))[::-1]
    ax.axvspan(ran["low"], ran["high"], color="0.9", lw=0, zorder=0)
    ax.axvline(ran["value"], color=GREY, lw=1, zorder=1)
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        shade = OPACITY[row["verdict"]]
        ax.plot([row["low"], row["high"]], [place, place], color=HUES[0], alpha=shade, lw=2, solid_capstyle="butt")
        if math.isfinite(row["value"]):
            ax.plot(row["value"], place, "o", color=HUES[0], alpha=shade, ms=5, mec="none")
        elif "end_low" in row.index:  # a bracket: the thick part lies between its ends
            ends = [row["end_low"], row["end_high"]]
            ax.plot(ends, [place, place], color=HUES[0], alpha=shade, lw=7, solid_capstyle="butt")
    ax.set_yticks(places, [f"{row['policy']} ({row['estimator']})" for _, row in rows.iterrows()])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.grid(axis="x", **GRID)


def weights(evaluation: Evaluation) -> Figure:
    """The largest weights of each policy in descending order, both axes logarithmic: a steep fall is a light tail."""
    table = evaluation.weights
    called = [key for key, _ in table.groupby(["policy", "feedback"], sort=False)][:MOST]
    notes = ["Flat to the left and steep after it: light tails. A straight slow fall: a few rows carry the estimate."]
    if table[["policy", "feedback"]].drop_duplicates().shape[0] > MOST:
        notes.append(f"The first {MOST} policies.")
    figure, (ax,) = _frame(evaluation, "The largest weights", 7.2, 3.2, notes).figure(1, 1)
    several = len(evaluation.questions) > 1
    for number, (policy, feedback) in enumerate(called):
        rows = table[(table["policy"] == policy) & (table["feedback"] == feedback)]
        label = f"{policy}, {feedback}" if several else policy
        ax.plot(
            rows["rank"], rows["weight"], color=HUES[number % len(HUES)], ls=DASHES[number // len(HUES)], label=label
        )
    ax.set(xscale="log", yscale="log", xlabel="Rank of the weight", ylabel="Weight (chance / propensity)")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.grid(which="major", **GRID)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def sensitivity(evaluation: Evaluation) -> Figure:
    """Each policy's value with its weights cut at quantiles: a curve that moves depends on a few rows."""
    table = evaluation.sensitivity
    called = [key for key, _ in table.groupby(["policy", "feedback"], sort=False)][:MOST]
    notes = ["SNIPS with its largest weights cut; none: as they are. A value that moves much depends on a few rows."]
    figure, (ax,) = _frame(evaluation, "What cutting the largest weights does", 7.2, 3.2, notes).figure(1, 1)
    several = len(evaluation.questions) > 1
    names = list(dict.fromkeys(table["cut"]))
    for number, (policy, feedback) in enumerate(called):
        rows = table[(table["policy"] == policy) & (table["feedback"] == feedback)]
        label = f"{policy}, {feedback}" if several else policy
        places = [names.index(cut) for cut in rows["cut"]]
        ax.plot(places, rows["value"], "o-", ms=3, color=HUES[number % len(HUES)], label=label)
    ran = evaluation.about["logger"]["value"]
    if math.isfinite(ran):
        ax.axhline(ran, color=GREY, lw=1, zorder=0)
    ax.set_xticks(range(len(names)), names)
    ax.set(xlabel="Weights cut at their quantile", ylabel=unit(evaluation.about).capitalize())
    ax.grid(axis="y", **GRID)
    handles = [*ax.get_legend_handles_labels()[0], Line2D([], [], color=GREY, lw=1, label="what ran")]
    figure.legend(handles=handles, loc="outside right upper", frameon=False)
    return figure


def _frame(evaluation: Evaluation, title: str, width: float, height: float, notes: list[str]) -> Frame:
    about = evaluation.about
    subtitle = f"{about['log']} ({about['n']:,} rows, {about['estimators']}, intervals {about['clusters_in_words']})"
    return Frame(title, [subtitle], [*notes, *about.get("sources", [])], width, height)
