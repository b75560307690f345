"""The figures of an off-policy evaluation: values with intervals, the largest weights, what cutting them does."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lersbench.feedback import QUESTIONS
from lersbench.figures.frame import Frame
from lersbench.figures.records import Plan, Record, draw_plans
from lersbench.figures.style import DASHES, GREY, HUES
from lersbench.results.evaluation import BELIEVE, CAUTION, DISBELIEVE, Evaluation
from lersbench.results.evaluation_words import level, unit

OPACITY = {BELIEVE: 1.0, CAUTION: 0.6, DISBELIEVE: 0.25}
MOST = 10  # policies whose weights are drawn as lines
WIDEST = 34  # letters of a line of a label
LOOKS: list[dict[str, Any]] = [{"color": HUES[i % len(HUES)], "ls": DASHES[i // len(HUES)]} for i in range(MOST)]
ROW = 0.34  # inches of one interval
GRID: dict[str, Any] = {"color": "0.92", "zorder": 0}

BRACKET = "A thick bar without a dot runs between two ends; its thin line as far as the errors of both reach."


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
    notes = [note, *([BRACKET] if any("end_low" in part for part in rows.values()) else [])]
    frame = _frame(evaluation, "What each policy would have earned", 7.2, sum(heights), notes)
    figure, axes = frame.figure(len(questions), 1)
    if len(questions) > 1:
        _set_heights(axes, heights)
    for ax, question in zip(axes, questions, strict=True):
        _forest(ax, rows[question], evaluation.ran(question))
        ax.set_title(QUESTIONS[question].title, loc="left", fontsize=9)
    axes[-1].set_xlabel(_unit(evaluation))
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
    ax.set_yticks(places, [_wrapped(f"{row['policy']} ({row['estimator']})") for _, row in rows.iterrows()])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.grid(axis="x", **GRID)


def weights(evaluation: Evaluation) -> Figure:
    """The largest weights of each policy in descending order, both axes logarithmic: a steep fall is a light tail."""
    lines = _lines(evaluation, evaluation.weights)
    notes = ["Flat to the left and steep after it: light tails. A straight slow fall: a few rows carry the estimate."]
    figure, ax = _curves(evaluation, "The largest weights", lines, notes)
    for (label, rows), look in zip(lines, LOOKS, strict=False):
        ax.plot(rows["rank"], rows["weight"], label=label, **look)
    ax.set(xscale="log", yscale="log", xlabel="Rank of the weight", ylabel="Weight (chance / propensity)")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.grid(which="major", **GRID)
    _legend(ax)
    return figure


def sensitivity(evaluation: Evaluation) -> Figure:
    """Each policy's value with its weights cut at quantiles: a curve that moves depends on a few rows."""
    lines = _lines(evaluation, evaluation.sensitivity)
    what = "The self-normalised value" if evaluation.about["positions"] == 1 else "The leading estimate"
    notes = [f"{what} with its largest weights cut; none: as they are. One that moves much depends on a few rows."]
    figure, ax = _curves(evaluation, "What cutting the largest weights does", lines, notes)
    names = list(dict.fromkeys(evaluation.sensitivity["cut"]))
    for (label, rows), look in zip(lines, LOOKS, strict=False):
        ax.plot([names.index(cut) for cut in rows["cut"]], rows["value"], marker="o", ms=3, label=label, **look)
    ran = evaluation.about["logger"]["value"]
    if math.isfinite(ran):
        ax.axhline(ran, color=GREY, lw=1, zorder=0, label="what ran")
    ax.set_xticks(range(len(names)), names)
    ax.set(xlabel="Weights cut at their quantile", ylabel=_unit(evaluation))
    ax.grid(axis="y", **GRID)
    _legend(ax)
    return figure


def _lines(evaluation: Evaluation, table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of a table policy by policy and question by question, each with what its line is called."""
    several = len(evaluation.questions) > 1
    return [
        (f"{policy}, {QUESTIONS[str(feedback)].title}" if several else str(policy), rows)
        for (policy, feedback), rows in table.groupby(["policy", "feedback"], sort=False)
    ]


def _curves(
    evaluation: Evaluation, title: str, lines: list[tuple[str, pd.DataFrame]], notes: list[str]
) -> tuple[Figure, Axes]:
    """A frame for the first lines, as much wider and higher as their legend needs; the rest is cut off `lines`."""
    if len(lines) > MOST:
        notes = [*notes, f"The first {MOST} of {len(lines)} lines; all are in the tables."]
        del lines[MOST:]
    named = [_wrapped(label).split("\n") for label, _ in lines]
    wide = max(len(part) for parts in named for part in parts)
    high = 0.2 * sum(map(len, named))
    figure, (ax,) = _frame(evaluation, title, 5.4 + 0.09 * wide, max(3.2, 0.6 + high), notes).figure(1, 1)
    return figure, ax


def _legend(ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles,
        [_wrapped(label) for label in labels],
        loc="upper left",
        bbox_to_anchor=(1.02, 1.03),
        frameon=False,
        borderaxespad=0,
        handlelength=2.6,
    )


def _wrapped(label: str) -> str:
    return "\n".join(textwrap.wrap(label, WIDEST, break_on_hyphens=False)) or label


def _unit(evaluation: Evaluation) -> str:
    """The unit as the title of an axis; "EUR" stays as it is."""
    words = unit(evaluation.about)
    return words[:1].upper() + words[1:]


def _frame(evaluation: Evaluation, title: str, width: float, height: float, notes: list[str]) -> Frame:
    about = evaluation.about
    subtitle = f"{about['log']} ({about['n']:,} rows, {about['estimators']}, intervals {about['clusters_in_words']})"
    return Frame(title, [subtitle], [*notes, *about.get("sources", [])], width, height)
