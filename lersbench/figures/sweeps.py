"""Figures across the cases of a run: swept parameters, slate sizes, protocols, the growth of regret, diversity.

Each is drawn only where the results have what it needs; the numbers are those of `comparisons`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lersbench.figures.axes import axis_title
from lersbench.figures.bands import BANDED, Band, best_and_baseline, draw_bands, policies_by_value
from lersbench.figures.frame import drawn_cases, footer, grid, panel_height
from lersbench.figures.legends import draw_end_labels, draw_legend, label, legend_width, move_apart
from lersbench.figures.records import Plan
from lersbench.figures.style import GREY, HUES, PALE, Look, crowded, looks
from lersbench.metrics import METRICS, Metric
from lersbench.results.comparisons import (
    Comparison,
    Sweep,
    baseline_of,
    by_slate,
    comparisons,
    parameter_sweeps,
    rates,
    slopes,
)
from lersbench.results.curves import band
from lersbench.results.numbers import scale
from lersbench.results.statistics import Interval
from lersbench.results.tables import Case, Results

TITLES = {
    "slates": "Lift over the baseline by slate size",
    "protocols": "One policy, several measures: lift over the baseline by protocol",
    "regret-growth": "Growth of the true regret",
    "clicks-and-similarity": "Clicks and the similarity of the items shown together",
}
SWEEP_DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)))
MARKS: dict[str, dict[str, Any]] = {  # how a measure looks; truth is filled and dark
    "logged-click re-ranking": {"marker": "o", "color": HUES[1]},
    "PBM-IPS of these slates": {"marker": "^", "color": HUES[0]},
    "UBM-IPS of these slates": {"marker": "v", "color": HUES[2]},
    "IIPS of these slates": {"marker": "P", "color": HUES[3]},
    "true value of these slates": {"marker": "D", "color": "0.35"},
    "simulated users": {"marker": "s", "color": HUES[4]},
    "true value with simulated users": {"marker": "D", "color": "0"},
}


def plans(results: Results, whole: Results, policies: Sequence[str]) -> list[Plan]:
    """Every figure of this module that the run has the results for.

    `whole` has all contenders of a sweep, where `results` has only the best of each.
    """
    variants = tuple(case.variant for case in drawn_cases(results))
    figures = _sweep_plans(whole, list(whole.contenders["policy"]) if whole is not results else policies)

    def add(stem: str, cases: Iterable[str], make: Callable[[], Figure]) -> None:
        title = _similarity_title(results) if stem == "clicks-and-similarity" else TITLES[stem]
        figures.append(Plan(stem, title, stem, tuple(dict.fromkeys(cases)), make))

    slates = by_slate(results)
    if len(slates):
        add("slates", results.variants, partial(slate_sizes, results, slates, policies))
    sizes = {case.slate for case in drawn_cases(results)}
    if pairs := [comparison for comparison in comparisons(results) if comparison.slate in sizes]:
        cases = [measure.variant for comparison in pairs for measure in comparison.measures]
        add("protocols", cases, partial(protocols, results, pairs, policies))
    growth = slopes(results)
    if len(growth):
        cases = [variant for variant in variants if variant in set(growth["variant"])]
        add("regret-growth", cases, partial(regret_growth, results, growth, policies))
    if results.lists and "similarity" in results.metrics and len(policies) > 1:
        cases = [case.variant for case in drawn_cases(results) if case.slate > 1]
        add("clicks-and-similarity", cases, partial(similarity, results, policies))
    return figures


def _sweep_plans(results: Results, policies: Sequence[str]) -> list[Plan]:
    cases = tuple(case.variant for case in drawn_cases(results))
    figures = []
    for sweep in parameter_sweeps(results, policies):
        stem, title = f"sweep-{sweep.parameter.replace('_', '-')}", _sweep_title(sweep.parameter)
        figures.append(Plan(stem, title, "sweep", cases, partial(parameter, results, sweep)))
    return figures


def _sweep_title(name: str) -> str:
    return f"Final value by {name}"


# Swept parameters -----------------------------------------------------------------------------------------------------
def parameter(results: Results, sweep: Sweep) -> Figure:
    """Final values against a swept parameter, a line a policy; policies without it are dashed and level."""
    panels = [(case, name) for case in drawn_cases(results) for name in rates(results, case)]
    level, more = _level_policies(results, sweep, panels)
    line_looks: dict[str, dict[str, Any]] = {
        line: {"color": HUES[i % len(HUES)], "ls": SWEEP_DASHES[i // len(HUES) % 3]}
        for i, line in enumerate(sweep.lines)
    }
    level_looks = {policy: _level_look(i) for i, policy in enumerate(level)}
    notes = [f"Dashed, level: policies without {sweep.parameter}" + (", the best of them." if more else ".")]
    notes = [*(notes if level else []), *footer(results)]
    columns = 2 if len(panels) in (2, 4) or len(panels) > 6 else 3
    size = (4.6, 3.4) if len(panels) == 1 else (3.7, 2.8)
    beside = 1.1 + 0.075 * max(14, *map(len, [*sweep.lines, *(label(results, p) for p in level)]))
    title = _sweep_title(sweep.parameter)
    figure, axes = grid(len(panels), columns, size, title, results, notes, beside, outside=False)
    for i, (ax, (case, name)) in enumerate(zip(axes, panels, strict=True)):
        _draw_sweep(ax, results, sweep, case, results.metric(name), line_looks, level_looks)
        ax.set_title(case.in_words(), loc="left", fontsize=9)
        ax.set_ylabel(axis_title(results.metric(name)))
        if i + columns >= len(panels):
            ax.set_xlabel(sweep.parameter)
    lines = [Line2D([], [], **look, marker="o", ms=3, label=line) for line, look in line_looks.items()]
    lines += [Line2D([], [], **look, label=label(results, policy)) for policy, look in level_looks.items()]
    _draw_legend_beside(axes[min(columns, len(axes)) - 1], lines)
    return figure


def _draw_sweep(
    ax: Axes, results: Results, sweep: Sweep, case: Case, metric: Metric, line_looks: Look, level_looks: Look
) -> None:
    """A panel of `parameter`: a line with its band for each line of the sweep, a level line for each other policy."""
    finals = results.finals(case.variant, metric.name)
    for line, points in sweep.lines.items():
        measured = [(value, policy) for value, policy in points if policy in finals]
        spans = [results.interval(case.variant, policy, metric, finals[policy]) for _, policy in measured]
        at = np.array([value for value, _ in measured])
        mean, low, high = (np.array(end) * scale(metric) for end in zip(*spans, strict=True))
        ax.fill_between(at, low, high, color=line_looks[line]["color"], alpha=0.15, lw=0)
        ax.plot(at, mean, **line_looks[line], marker="o", ms=3)
    for policy, look in level_looks.items():
        if policy in finals:
            ax.axhline(finals[policy].mean() * scale(metric), **look, zorder=0.5)
    if sweep.logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())


def _level_policies(results: Results, sweep: Sweep, panels: Sequence[tuple[Case, str]]) -> tuple[list[str], bool]:
    """The policies without the parameter to draw (the baseline and the best of the others), and were some left out?"""
    case, name = panels[0]
    finals = {policy: x.mean() for policy, x in results.finals(case.variant, name).items() if policy in sweep.others}
    base = baseline_of(results, case.variant)
    best = [policy for policy in policies_by_value(finals, results.metric(name)) if policy != base]
    return [*best[:BANDED], *([base] if base in finals else [])], len(best) > BANDED


def _level_look(place: int) -> dict[str, Any]:
    shades = ("0.1", "0.3", "0.5", "0.65", "0.75")
    dashes = ((0, (5, 2)), (0, (2, 2)), (0, (6, 2, 1, 2)), (0, (1, 1.5)), (0, (9, 3)))
    return {"color": shades[place % 5], "ls": dashes[place % 5], "lw": 1.1}


def _draw_legend_beside(ax: Axes, lines: Sequence[Line2D]) -> None:
    ax.legend(handles=list(lines), loc="upper left", bbox_to_anchor=(1.02, 1.03), frameon=False, borderaxespad=0)


# Slate sizes ----------------------------------------------------------------------------------------------------------
def slate_sizes(results: Results, slates: pd.DataFrame, policies: Sequence[str]) -> Figure:
    """Lift over the baseline in percent against the slate size, a panel a log, protocol and click rate.

    `slates` is the table of `comparisons.by_slate`.
    """
    metrics, cases = set(slates["metric"]), {(case.data, case.protocol): case for case in results.cases}
    panels = [(case, name) for case in cases.values() for name in rates(results, case) if name in metrics]
    columns = 1 if len(panels) == 1 else 2
    base = baseline_of(results, results.variants[0])
    notes = [f"Lift: value / value of {base} - 1, seed by seed. Bands and names of the best {BANDED}, by the mean."]
    beside = legend_width(results, policies)
    figure, axes = grid(len(panels), columns, (4.9, 3.1), TITLES["slates"], results, [*notes, *footer(results)], beside)
    look = looks(results)
    for i, (ax, (case, name)) in enumerate(zip(axes, panels, strict=True)):
        rows = slates[(slates["data"] == case.data) & (slates["protocol"] == case.protocol)]
        rows = rows[(rows["metric"] == name) & rows["policy"].isin(policies)]
        _draw_lifts(ax, results, _lift_bands(rows), look)
        ax.set_title(_panel_title(results, case, name), loc="left", fontsize=9)
        ax.set_ylabel(f"Lift over {base} (%)")
        if i + columns >= len(panels):
            ax.set_xlabel("Slate size K")
    means = {p: float(slates.loc[slates["policy"] == p, "lift"].mean()) for p in policies}
    draw_legend(axes[columns - 1], results, policies_by_value(means, METRICS["ctr_sum"]), {})
    return figure


def _lift_bands(rows: pd.DataFrame) -> dict[str, Band]:
    """The lifts of each policy with their intervals, by slate size."""
    return {
        str(policy): Band(*(part.sort_values("slate")[key].to_numpy() for key in ("slate", "lift", "low", "high")))
        for policy, part in rows.groupby("policy", sort=False)
    }


def _draw_lifts(ax: Axes, results: Results, bands: dict[str, Band], look: Look) -> None:
    """A panel of `slate_sizes`: all lines, with the bands and the names of the best."""
    means = {policy: float(band.mean.mean()) for policy, band in bands.items()}
    best = policies_by_value(means, METRICS["ctr_sum"])[:BANDED]
    ax.axhline(0, color=GREY, lw=0.8, zorder=0)
    draw_bands(ax, bands, 1, look, best, pale=True)
    lifts = np.concatenate([band.mean for band in bands.values()])
    low, high = float(lifts.min()), float(lifts.max())
    ax.set_ylim(low - 0.05 * (high - low or 1), high + 0.15 * (high - low or 1))
    ax.set_xticks(results.slates)
    ax.set_xlim(results.slates[0], results.slates[-1])
    lines = [Line2D([], [], **look[policy], ms=4, label=label(results, policy)) for policy in best]
    ax.legend(handles=lines, loc="lower right", frameon=False, fontsize=7, handlelength=2.6, labelspacing=0.2)


def _panel_title(results: Results, case: Case, name: str) -> str:
    """Data and protocol of a panel in words, with what is measured."""
    return ", ".join(filter(None, [case.in_words(slate=False), results.metric(name).title]))


# Protocols ------------------------------------------------------------------------------------------------------------
def protocols(results: Results, pairs: Sequence[Comparison], policies: Sequence[str]) -> Figure:
    """A dot plot: a panel a comparison, a row a policy, a marker a measure, lift over the baseline in percent."""
    labels = [[policy for policy in comparison.policies if policy in policies] for comparison in pairs]
    base = baseline_of(results, pairs[0].measures[0].variant)
    notes = [
        f"Lift: value / value of {base} - 1, seed by seed. Policies are ordered by the last measure of the legend. "
        "The IPS estimates' intervals contain the error of the records."
    ]
    notes += footer(results)
    size = (4.2, 0.75 + 0.2 * max(map(len, labels)))
    columns = 2 if len(pairs) > 1 else 1
    figure, axes = grid(len(pairs), columns, size, TITLES["protocols"], results, notes, 2.6, outside=False)
    for i, (ax, comparison, rows) in enumerate(zip(axes, pairs, labels, strict=True)):
        _draw_measures(ax, comparison, rows)
        ax.set_yticks(range(len(rows)), [label(results, policy) for policy in rows], fontsize=8)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.set_title(comparison.place, loc="left", fontsize=9)
        _set_lift_limits(ax, comparison, rows)
        if i + columns >= len(pairs):
            ax.set_xlabel(f"Lift over {base} (%)")
    names = {measure.short for comparison in pairs for measure in comparison.measures}
    marks = [
        Line2D([], [], ls="none", ms=4.5, mew=0, **look, label=short) for short, look in MARKS.items() if short in names
    ]
    _draw_legend_beside(axes[min(columns, len(axes)) - 1], marks)
    return figure


def _draw_measures(ax: Axes, comparison: Comparison, policies: Sequence[str]) -> None:
    """A row a policy with the lift by each measure, every other row on grey."""
    ax.axvline(0, color="0.8", lw=0.8, zorder=0)
    for y in range(0, len(policies), 2):
        ax.axhspan(y - 0.5, y + 0.5, color="0.96", lw=0, zorder=-1)
    shift = np.linspace(-0.26, 0.26, len(comparison.measures))
    for measure, dy in zip(comparison.measures, shift, strict=True):
        lifts = np.array([comparison.lift(measure, policy) for policy in policies])
        at, look = np.arange(len(policies)) + dy, MARKS[measure.short]
        ax.hlines(at, lifts[:, 1], lifts[:, 2], color=look["color"], lw=0.9)
        ax.plot(lifts[:, 0], at, ls="none", ms=3.6, mew=0, **look, zorder=3)


def _set_lift_limits(ax: Axes, comparison: Comparison, policies: Sequence[str]) -> None:
    """Limits of x: every marker, and no more of the intervals than doubles their range."""
    lifts = np.array([comparison.lift(measure, policy) for measure in comparison.measures for policy in policies])
    low, high = np.nanmin(lifts[:, 0]), np.nanmax(lifts[:, 0])
    reach = (high - low) / 2 or 1.0
    whole = lifts[np.isfinite(lifts).all(axis=1)]
    if len(whole):
        low, high = max(low - reach, min(low, whole[:, 1].min())), min(high + reach, max(high, whole[:, 2].max()))
    ax.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))


# Regret ---------------------------------------------------------------------------------------------------------------
def regret_growth(results: Results, growth: pd.DataFrame, policies: Sequence[str]) -> Figure:
    """Cumulative true regret on log-log axes, with the fitted exponent of the best, and a line of sqrt(round).

    `growth` is the table of `comparisons.slopes`.
    """
    cases = [case for case in drawn_cases(results) if case.variant in set(growth["variant"])]
    curves = results.curves_of("regret")
    look, many, metric = looks(results), crowded(results), METRICS["regret"]
    columns = 2 if len(cases) in (2, 4) else min(3, len(cases))
    notes = [
        "Numbers at the lines: the slope b of regret ~ round^b, least squares over the last two thirds of log(round). "
        "A slope of 1 is linear regret, the dotted line has slope 1/2."
    ]
    size, beside = (5.2, 3.9) if len(cases) == 1 else (4.4, 3.0), legend_width(results, policies)
    figure, axes = grid(len(cases), columns, size, TITLES["regret-growth"], results, [*notes, *footer(results)], beside)
    totals: dict[str, float] = {}
    for i, (ax, case) in enumerate(zip(axes, cases, strict=True)):
        part = curves[(curves["variant"] == case.variant) & curves["policy"].isin(policies)]
        bands = _regret_bands(results, case, part)
        finals = {policy: float(band.mean[-1]) for policy, band in bands.items()}
        best = best_and_baseline(finals, metric, look) if many else set(finals)
        draw_bands(ax, bands, 1, look, best, pale=many)
        ax.set(xscale="log", yscale="log")
        _set_log_limits(ax, bands)
        _draw_root(ax, bands)
        exponent = growth[growth["variant"] == case.variant].set_index("policy")["slope"]
        ends = {
            p: (finals[p], f"{label(results, p) if many else ''} {exponent[p]:.2f}".strip(), look[p]["color"])
            for p in best
            if p in exponent
        }
        draw_end_labels(ax, ends, panel_height(ax, math.ceil(len(cases) / columns)))
        ax.set_title(case.in_words(), loc="left", fontsize=9)
        if i % columns == 0:
            ax.set_ylabel("Cumulative regret (clicks)")
        if i + columns >= len(cases):
            ax.set_xlabel("Round")
        for policy, value in finals.items():
            totals[policy] = totals.get(policy, 0.0) + value
    root = Line2D([], [], color=PALE, lw=1.2, ls=":", label="slope 1/2, as sqrt(T)")
    order = policies_by_value(totals, metric)
    draw_legend(axes[min(columns, len(axes)) - 1], results, order, {}, [root], at=1.14)
    return figure


def _regret_bands(results: Results, case: Case, curves: pd.DataFrame) -> dict[str, Band]:
    """The curves of a case with their intervals, of the rounds that all seeds have."""
    bands = {}
    for policy, part in curves.groupby("policy", sort=False):
        rows = part.dropna(subset="mean").sort_values("round")
        span = band(results, case.variant, str(policy), METRICS["regret"], rows)
        bands[str(policy)] = Band(rows["round"].to_numpy(), *span)
    return bands


def _set_log_limits(ax: Axes, bands: dict[str, Band]) -> None:
    values = np.concatenate([band.mean for band in bands.values()])
    values = values[values > 0]
    ax.set_ylim(values.min() / 1.2, values.max() * 1.2)
    ax.set_xlim(min(band.x[0] for band in bands.values()), max(band.x[-1] for band in bands.values()))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}" if y >= 1 else f"{y:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())


def _draw_root(ax: Axes, bands: dict[str, Band]) -> None:
    """A dotted line of slope 1/2 that begins where the best line does."""
    best = min(bands.values(), key=lambda band: band.mean[-1])
    at = best.x[len(best.x) // 20]
    start = best.mean[len(best.x) // 20]
    if start > 0:
        ax.plot(best.x, start * np.sqrt(best.x / at), color=PALE, lw=1.2, ls=":", zorder=1.7)


def _similarity_title(results: Results) -> str:
    return TITLES["clicks-and-similarity"].replace("Clicks", "Rewards" if results.reward else "Clicks")


# Diversity ------------------------------------------------------------------------------------------------------------
def similarity(results: Results, policies: Sequence[str]) -> Figure:
    """Final click rate against the mean similarity of two items of a slate, a point a policy."""
    cases = [case for case in drawn_cases(results) if case.slate > 1]
    panels = [(case, results.metric(rates(results, case)[0])) for case in cases]
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    look, height = looks(results), 3.0
    figure, axes = grid(
        len(panels),
        columns,
        (4.0, height),
        _similarity_title(results),
        results,
        ["To the left the items of a slate differ, to the right they are alike. Bars are intervals.", *footer(results)],
        legend_width(results, policies),
    )
    totals: dict[str, float] = {}
    for ax, (case, metric) in zip(axes, panels, strict=True):
        points = _draw_points(ax, results, case, metric, policies, look)
        for policy, (_, y) in points.items():
            totals[policy] = totals.get(policy, 0.0) + y
        ax.margins(0.1)
        _draw_point_labels(ax, points, metric, look, results, height)
        ax.set_title(case.in_words(), loc="left", fontsize=9)
        ax.set_xlabel(axis_title(METRICS["similarity"]), fontsize=9)
        ax.set_ylabel(axis_title(metric))
    order = policies_by_value(totals, METRICS["ctr_sum"])
    draw_legend(axes[min(columns, len(axes)) - 1], results, order, {})
    return figure


def _draw_points(
    ax: Axes, results: Results, case: Case, metric: Metric, policies: Sequence[str], look: Look
) -> dict[str, tuple[float, float]]:
    """A point with bars for each policy; where the points lie."""
    clicks, alike = (results.finals(case.variant, name) for name in (metric.name, "similarity"))
    points = {}
    for policy in (policy for policy in policies if policy in clicks and policy in alike):
        span = results.interval(case.variant, policy, metric, clicks[policy])
        y = Interval(*(end * scale(metric) for end in span))
        x = results.interval(case.variant, policy, METRICS["similarity"], alike[policy])
        if math.isfinite(x.mean) and math.isfinite(y.mean):
            colour = look[policy]["color"]
            ax.vlines(x.mean, y.low, y.high, color=colour, lw=0.9)
            ax.hlines(y.mean, x.low, x.high, color=colour, lw=0.9)
            ax.plot(x.mean, y.mean, "s" if colour == GREY else "o", ms=4.5, color=colour, mew=0)
            points[policy] = (float(x.mean), float(y.mean))
    return points


def _draw_point_labels(
    ax: Axes, points: dict[str, tuple[float, float]], metric: Metric, look: Look, results: Results, height: float
) -> None:
    """Label the points with the most clicks, the most diverse one and the baseline; those of a side stand apart."""
    if not points:
        return
    finals = {policy: y for policy, (_, y) in points.items()}
    labels = best_and_baseline(finals, metric, look) if len(points) > 8 else set(points)
    labels |= {min(points, key=lambda policy: points[policy][0])}
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    for to_right in (True, False):
        side = sorted((points[p][1], p) for p in labels if (points[p][0] < (left + right) / 2) == to_right)
        places = [((y - low) / (high - low) + 0.04, policy) for y, policy in side]
        for at, policy in move_apart(places, 0.13 / (0.72 * height)):
            x, y = points[policy]
            link = {"arrowstyle": "-", "color": look[policy]["color"], "lw": 0.5, "shrinkA": 0}
            ax.annotate(
                label(results, policy),
                ((x - left) / (right - left), (y - low) / (high - low)),
                ((x - left) / (right - left) + (0.03 if to_right else -0.03), at),
                xycoords="axes fraction",
                textcoords="axes fraction",
                arrowprops={**link, "relpos": (0.0 if to_right else 1.0, 0.5)},
                ha="left" if to_right else "right",
                va="center",
                fontsize=7,
                color=look[policy]["color"],
            )
