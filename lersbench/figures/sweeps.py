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

from lersbench.figures.records import Plan
from lersbench.figures.style import (
    BANDED,
    GREY,
    HUES,
    PALE,
    Band,
    apart,
    axis_title,
    by_value,
    crowded,
    draw,
    drawn_cases,
    end_labels,
    foot,
    grid,
    height_of,
    label,
    legend,
    looks,
    outstanding,
    room,
)
from lersbench.metrics import METRICS
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
from lersbench.results.numbers import scale
from lersbench.results.statistics import Interval
from lersbench.results.tables import Case, Results

TITLES = {
    "slates": "Lift over the baseline by slate size",
    "protocols": "One policy, several measures: lift over the baseline by protocol",
    "regret-growth": "Growth of the true regret",
    "clicks-and-similarity": "Clicks and the similarity of the items shown together",
}
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
    drawn = tuple(case.variant for case in drawn_cases(results))
    found = _sweeps(whole, list(whole.contenders["policy"]) if whole is not results else policies)

    def add(stem: str, cases: Iterable[str], make: Callable[[], Figure]) -> None:
        found.append(Plan(stem, TITLES[stem], stem, tuple(dict.fromkeys(cases)), make))

    slates = by_slate(results)
    if len(slates):
        add("slates", results.variants, partial(slate_sizes, results, slates, policies))
    compared = [c for c in comparisons(results) if c.slate in {case.slate for case in drawn_cases(results)}]
    if compared:
        cases = [measure.variant for one in compared for measure in one.measures]
        add("protocols", cases, partial(protocols, results, compared, policies))
    growth = slopes(results)
    if len(growth):
        cases = [variant for variant in drawn if variant in set(growth["variant"])]
        add("regret-growth", cases, partial(regret_growth, results, growth, policies))
    if results.lists and "similarity" in results.metrics and len(policies) > 1:
        cases = [case.variant for case in drawn_cases(results) if case.slate > 1]
        add("clicks-and-similarity", cases, partial(similarity, results, policies))
    return found


def _sweeps(results: Results, policies: Sequence[str]) -> list[Plan]:
    cases = tuple(case.variant for case in drawn_cases(results))
    found = []
    for sweep in parameter_sweeps(results, policies):
        stem, title = f"sweep-{sweep.parameter.replace('_', '-')}", _swept_title(sweep.parameter)
        found.append(Plan(stem, title, "sweep", cases, partial(parameter, results, sweep)))
    return found


def _swept_title(name: str) -> str:
    return f"Final value by {name}"


# Swept parameters -----------------------------------------------------------------------------------------------------
def parameter(results: Results, sweep: Sweep) -> Figure:
    """Final values against a swept parameter, a line a policy; policies without it are dashed and level."""
    panels = [(case, name) for case in drawn_cases(results) for name in rates(results, case)]
    level = _level_lines(results, sweep, panels)
    hue = {line: HUES[i % len(HUES)] for i, line in enumerate(sweep.lines)}
    dash = {line: ("-", (0, (5, 1.5)), (0, (1.2, 1.2)))[i // len(HUES) % 3] for i, line in enumerate(sweep.lines)}
    notes = [f"Dashed, level: policies without {sweep.parameter}" + (", the best of them." if level[1] else ".")]
    columns = 2 if len(panels) in (2, 4) or len(panels) > 6 else 3
    size = (4.6, 3.4) if len(panels) == 1 else (3.7, 2.8)
    beside = 1.1 + 0.075 * max(14, *map(len, [*sweep.lines, *(label(results, p) for p in level[0])]))
    notes = notes if level[0] else []
    figure, axes = grid(
        len(panels),
        columns,
        size,
        _swept_title(sweep.parameter),
        results,
        [*notes, *foot(results)],
        beside,
        outside=False,
    )
    for i, (ax, (case, name)) in enumerate(zip(axes, panels, strict=True)):
        metric, finals = METRICS[name], results.finals(case.variant, name)
        for line, points in sweep.lines.items():
            own = [(value, policy, finals[policy]) for value, policy in points if policy in finals]
            ends = [results.interval(case.variant, policy, metric, x) for _, policy, x in own]
            at = np.array([value for value, *_ in own])
            mean, low, high = (np.array(end) * scale(metric) for end in zip(*ends, strict=True))
            ax.fill_between(at, low, high, color=hue[line], alpha=0.15, lw=0)
            ax.plot(at, mean, color=hue[line], ls=dash[line], marker="o", ms=3)
        for policy in level[0]:
            if policy in finals:
                ax.axhline(finals[policy].mean() * scale(metric), **_level_look(results, policy, level[0]), zorder=0.5)
        if sweep.logarithmic:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_title(case.in_words(), loc="left", fontsize=9)
        ax.set_ylabel(axis_title(metric))
        if i + columns >= len(panels):
            ax.set_xlabel(sweep.parameter)
    lines = [Line2D([], [], color=hue[x], ls=dash[x], marker="o", ms=3, label=x) for x in sweep.lines]
    lines += [Line2D([], [], **_level_look(results, p, level[0]), label=label(results, p)) for p in level[0]]
    _beside(axes[min(columns, len(axes)) - 1], lines)
    return figure


def _level_lines(results: Results, sweep: Sweep, panels: Sequence[tuple[Case, str]]) -> tuple[list[str], bool]:
    """The policies without the parameter to draw (the baseline and the best of the others), and were some left out?"""
    case, name = panels[0]
    finals = {policy: x.mean() for policy, x in results.finals(case.variant, name).items() if policy in sweep.others}
    base = baseline_of(results, case.variant)
    best = [policy for policy in by_value(finals, METRICS[name]) if policy != base]
    return [*best[:BANDED], *([base] if base in finals else [])], len(best) > BANDED


def _level_look(results: Results, policy: str, drawn: Sequence[str]) -> dict[str, Any]:
    shades = ("0.1", "0.3", "0.5", "0.65", "0.75")
    place = list(drawn).index(policy)
    dashes = ((0, (5, 2)), (0, (2, 2)), (0, (6, 2, 1, 2)), (0, (1, 1.5)), (0, (9, 3)))
    return {"color": shades[place % 5], "ls": dashes[place % 5], "lw": 1.1}


def _beside(ax: Axes, lines: Sequence[Line2D]) -> None:
    ax.legend(handles=list(lines), loc="upper left", bbox_to_anchor=(1.02, 1.03), frameon=False, borderaxespad=0)


# Slate sizes ----------------------------------------------------------------------------------------------------------
def slate_sizes(results: Results, found: pd.DataFrame, policies: Sequence[str]) -> Figure:
    """Lift over the baseline in percent against the slate size, a panel a log, protocol and click rate."""
    cases = {(case.data, case.protocol): case for case in results.cases}
    panels = [(case, name) for case in cases.values() for name in rates(results, case) if name in set(found["metric"])]
    look, columns, metric = looks(results), 1 if len(panels) == 1 else 2, METRICS["ctr_sum"]
    base = baseline_of(results, results.variants[0])
    notes = [f"Lift: value / value of {base} - 1, seed by seed. Bands and names of the best {BANDED}, by the mean."]
    height = 3.1
    figure, axes = grid(
        len(panels),
        columns,
        (4.9, height),
        TITLES["slates"],
        results,
        [*notes, *foot(results)],
        room(results, policies),
    )
    for i, (ax, (case, name)) in enumerate(zip(axes, panels, strict=True)):
        rows = found[(found["data"] == case.data) & (found["protocol"] == case.protocol) & (found["metric"] == name)]
        bands = {
            str(policy): Band(*(part.sort_values("slate")[key].to_numpy() for key in ("slate", "lift", "low", "high")))
            for policy, part in rows.groupby("policy", sort=False)
            if policy in policies
        }
        means = {policy: float(band.mean.mean()) for policy, band in bands.items()}
        best = set(by_value(means, metric)[:BANDED])
        ax.axhline(0, color=GREY, lw=0.8, zorder=0)
        draw(ax, bands, 1, look, best, pale=True)
        wide = np.concatenate([np.concatenate([band.mean for band in bands.values()])])
        low, high = float(wide.min()), float(wide.max())
        ax.set_ylim(low - 0.05 * (high - low or 1), high + 0.15 * (high - low or 1))
        ax.set_xticks(results.slates)
        ax.set_xlim(results.slates[0], results.slates[-1])
        lines = [Line2D([], [], **look[p], ms=4, label=label(results, p)) for p in by_value(means, metric) if p in best]
        ax.legend(handles=lines, loc="lower right", frameon=False, fontsize=7, handlelength=2.6, labelspacing=0.2)
        ax.set_title(_named(case, name), loc="left", fontsize=9)
        ax.set_ylabel(f"Lift over {base} (%)")
        if i + columns >= len(panels):
            ax.set_xlabel("Slate size K")
    order = by_value({p: float(found.loc[found["policy"] == p, "lift"].mean()) for p in policies}, METRICS["ctr_sum"])
    legend(axes[columns - 1], results, order, {})
    return figure


def _named(case: Case, name: str) -> str:
    """Data and protocol of a panel in words, with what is measured."""
    return ", ".join(filter(None, [case.in_words(slate=False), METRICS[name].title]))


# Protocols ------------------------------------------------------------------------------------------------------------
def protocols(results: Results, compared: Sequence[Comparison], policies: Sequence[str]) -> Figure:
    """A dot plot: a row a policy, a marker a measure, lift over the baseline in percent."""
    kept = [[policy for policy in one.policies if policy in policies] for one in compared]
    rows = max(map(len, kept))
    base = baseline_of(results, compared[0].measures[0].variant)
    notes = [
        f"Lift: value / value of {base} - 1, seed by seed. Policies are ordered by the last measure of the legend. "
        "The IPS estimates' intervals contain the error of the records."
    ]
    size = (4.2, 0.75 + 0.2 * rows)
    columns = 2 if len(compared) > 1 else 1
    notes += foot(results)
    figure, axes = grid(len(compared), columns, size, TITLES["protocols"], results, notes, 2.6, outside=False)
    for i, (ax, one, labels) in enumerate(zip(axes, compared, kept, strict=True)):
        ax.axvline(0, color="0.8", lw=0.8, zorder=0)
        for y in range(0, len(labels), 2):
            ax.axhspan(y - 0.5, y + 0.5, color="0.96", lw=0, zorder=-1)
        shift = np.linspace(-0.26, 0.26, len(one.measures))
        for measure, dy in zip(one.measures, shift, strict=True):
            own = np.array([one.lift(measure, policy) for policy in labels])
            at, look = np.arange(len(labels)) + dy, MARKS[measure.short]
            ax.hlines(at, own[:, 1], own[:, 2], color=look["color"], lw=0.9)
            ax.plot(own[:, 0], at, ls="none", ms=3.6, mew=0, **look, zorder=3)
        ax.set_yticks(range(len(labels)), [label(results, policy) for policy in labels], fontsize=8)
        ax.set_ylim(len(labels) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.set_title(one.place, loc="left", fontsize=9)
        _frame_lifts(ax, one, labels)
        if i + columns >= len(compared):
            ax.set_xlabel(f"Lift over {base} (%)")
    used = {measure.short for one in compared for measure in one.measures}
    marks = [
        Line2D([], [], ls="none", ms=4.5, mew=0, **look, label=short) for short, look in MARKS.items() if short in used
    ]
    _beside(axes[min(columns, len(axes)) - 1], marks)
    return figure


def _frame_lifts(ax: Axes, one: Comparison, labels: Sequence[str]) -> None:
    """Limits of x: every marker, and no more of the intervals than doubles their range."""
    every = np.array([one.lift(measure, policy) for measure in one.measures for policy in labels])
    low, high = np.nanmin(every[:, 0]), np.nanmax(every[:, 0])
    wide = (high - low) / 2 or 1.0
    ends = every[np.isfinite(every).all(axis=1)]
    if len(ends):
        low, high = max(low - wide, min(low, ends[:, 1].min())), min(high + wide, max(high, ends[:, 2].max()))
    ax.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))


# Regret ---------------------------------------------------------------------------------------------------------------
def regret_growth(results: Results, growth: pd.DataFrame, policies: Sequence[str]) -> Figure:
    """Cumulative true regret on log-log axes, with the fitted exponent of the best, and a line of sqrt(round)."""
    cases = [case for case in drawn_cases(results) if case.variant in set(growth["variant"])]
    curves = results.curves_of("regret")
    look, many, metric = looks(results), crowded(results), METRICS["regret"]
    columns = 2 if len(cases) in (2, 4) else min(3, len(cases))
    notes = [
        "Numbers at the lines: the slope b of regret ~ round^b, least squares over the last two thirds of log(round). "
        "A slope of 1 is linear regret, the dotted line has slope 1/2."
    ]
    size = (5.2, 3.9) if len(cases) == 1 else (4.4, 3.0)
    figure, axes = grid(
        len(cases), columns, size, TITLES["regret-growth"], results, [*notes, *foot(results)], room(results, policies)
    )
    order: dict[str, float] = {}
    for i, (ax, case) in enumerate(zip(axes, cases, strict=True)):
        part = curves[(curves["variant"] == case.variant) & curves["policy"].isin(policies)]
        bands = {}
        for policy, own in part.groupby("policy", sort=False):
            wide = own.pivot(index="round", columns="seed", values="value").dropna()
            at = wide.index.to_numpy()
            band = results.interval(case.variant, str(policy), metric, wide.to_numpy().T, at)
            bands[str(policy)] = Band(at, *band)
        finals = {policy: float(band.mean[-1]) for policy, band in bands.items()}
        best = outstanding(finals, metric, look) if many else set(finals)
        draw(ax, bands, 1, look, best, pale=many)
        ax.set(xscale="log", yscale="log")
        _frame_log(ax, bands)
        _root(ax, bands)
        exponent = growth[growth["variant"] == case.variant].set_index("policy")["slope"]
        ends = {
            p: (finals[p], f"{label(results, p) if many else ''} {exponent[p]:.2f}".strip(), look[p]["color"])
            for p in best
            if p in exponent
        }
        end_labels(ax, ends, height_of(ax, math.ceil(len(cases) / columns)))
        ax.set_title(case.in_words(), loc="left", fontsize=9)
        if i % columns == 0:
            ax.set_ylabel("Cumulative regret (clicks)")
        if i + columns >= len(cases):
            ax.set_xlabel("Round")
        for policy, value in finals.items():
            order[policy] = order.get(policy, 0.0) + value
    root = Line2D([], [], color=PALE, lw=1.2, ls=":", label="slope 1/2, as sqrt(T)")
    legend(axes[min(columns, len(axes)) - 1], results, by_value(order, metric), {}, [root], at=1.14)
    return figure


def _frame_log(ax: Axes, bands: dict[str, Band]) -> None:
    values = np.concatenate([band.mean for band in bands.values()])
    values = values[values > 0]
    ax.set_ylim(values.min() / 1.2, values.max() * 1.2)
    ax.set_xlim(min(band.x[0] for band in bands.values()), max(band.x[-1] for band in bands.values()))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}" if y >= 1 else f"{y:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())


def _root(ax: Axes, bands: dict[str, Band]) -> None:
    """A dotted line of slope 1/2 that begins where the best line does."""
    best = min(bands.values(), key=lambda band: band.mean[-1])
    at = best.x[len(best.x) // 20]
    start = best.mean[len(best.x) // 20]
    if start > 0:
        ax.plot(best.x, start * np.sqrt(best.x / at), color=PALE, lw=1.2, ls=":", zorder=1.7)


# Diversity ------------------------------------------------------------------------------------------------------------
def similarity(results: Results, policies: Sequence[str]) -> Figure:
    """Final click rate against the mean similarity of two items of a slate, a point a policy."""
    cases = [case for case in drawn_cases(results) if case.slate > 1]
    panels = [(case, rates(results, case)[0]) for case in cases]
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    look, height = looks(results), 3.0
    figure, axes = grid(
        len(panels),
        columns,
        (4.0, height),
        TITLES["clicks-and-similarity"],
        results,
        ["To the left the items of a slate differ, to the right they are alike. Bars are intervals.", *foot(results)],
        room(results, policies),
    )
    means: dict[str, float] = {}
    for ax, (case, name) in zip(axes, panels, strict=True):
        metric = METRICS[name]
        clicks, alike = (results.finals(case.variant, one) for one in (name, "similarity"))
        both = [policy for policy in policies if policy in clicks and policy in alike]
        points = {}
        for policy in both:
            y = Interval(*(e * scale(metric) for e in results.interval(case.variant, policy, metric, clicks[policy])))
            x = results.interval(case.variant, policy, METRICS["similarity"], alike[policy])
            if math.isfinite(x.mean) and math.isfinite(y.mean):
                ax.vlines(x.mean, y.low, y.high, color=look[policy]["color"], lw=0.9)
                ax.hlines(y.mean, x.low, x.high, color=look[policy]["color"], lw=0.9)
                marker = "s" if look[policy]["color"] == GREY else "o"
                ax.plot(x.mean, y.mean, marker, ms=4.5, color=look[policy]["color"], mew=0)
                points[policy] = (float(x.mean), float(y.mean))
                means[policy] = means.get(policy, 0.0) + float(y.mean)
        ax.margins(0.1)
        _name_points(ax, points, metric.name, look, results, height)
        ax.set_title(case.in_words(), loc="left", fontsize=9)
        ax.set_xlabel(axis_title(METRICS["similarity"]), fontsize=9)
        ax.set_ylabel(axis_title(metric))
    legend(axes[min(columns, len(axes)) - 1], results, by_value(means, METRICS["ctr_sum"]), {})
    return figure


def _name_points(
    ax: Axes, points: dict[str, tuple[float, float]], name: str, look: Any, results: Results, height: float
) -> None:
    """Label the points with the most clicks, the most diverse one and the baseline; those of a side stand apart."""
    if not points:
        return
    finals = {policy: y for policy, (_, y) in points.items()}
    named = outstanding(finals, METRICS[name], look) if len(points) > 8 else set(points)
    named |= {min(points, key=lambda policy: points[policy][0])}
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    for to_right in (True, False):
        own = sorted((points[p][1], p) for p in named if (points[p][0] < (left + right) / 2) == to_right)
        wanted = [((y - low) / (high - low) + 0.04, policy) for y, policy in own]
        for at, policy in apart(wanted, 0.13 / (0.72 * height)):
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
