"""Figures of runs with more policies than a panel can tell apart: a panel a family, the others pale behind it.

All panels of a figure have the same axes. A line is named at its end (or, where all lines end in one point, in a legend
beside its panel), so that no legend has more than a family.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lersbench.feedback import REGIMES
from lersbench.figures.style import (
    BEFOREHAND,
    GREY,
    LESS,
    Band,
    Bands,
    Look,
    axis_title,
    baselines,
    by_value,
    dashes,
    end_labels,
    families_of,
    fitting,
    foot,
    grid,
    height_of,
    known,
    label,
    limits,
    looks,
    thousands,
)
from lersbench.metrics import METRICS
from lersbench.results.numbers import number, scale
from lersbench.results.tables import Results

COLUMNS = 2
PANEL = (4.1, 2.8)  # inches, the names of the lines included
SMALL = 7.5  # points of the names of lines
BEHIND: dict[str, Any] = {"color": "0.86", "lw": 0.8, "zorder": 1}  # lines of the other families
LESS_TITLE = "Cumulative regret less that of the baseline"


def curves(results: Results, name: str, bands: Bands) -> Figure:
    """The metric `name` over rounds."""
    metric, look = known(name), looks(results)
    notes = [
        "Pale: the policies of the other panels. Band: the interval of the best of a panel, unless it would fill it."
    ]
    figure, axes, groups = _frame(results, LESS_TITLE if metric is LESS else metric.title, list(bands), notes)
    frame = limits(bands, metric, ())
    for i, (ax, (family, own)) in enumerate(zip(axes, groups.items(), strict=True)):
        shown = [policy for policy in [*own, *_base(results, own)] if policy in bands]
        _lines(ax, bands, shown, scale(metric), look)
        _best_band(ax, {policy: bands[policy] for policy in bands if policy in own}, bands, metric, look)
        if frame:
            ax.set_ylim(frame[0] * scale(metric), frame[1] * scale(metric))
        ax.set_xlim(0, max(band.x[-1] for band in bands.values()))
        thousands(ax, 5)
        ends = {p: (float(bands[p].mean[-1]) * scale(metric), _named(results, p, own), look[p]["color"]) for p in shown}
        ends = {p: end for p, end in ends.items() if math.isfinite(end[0])}
        end_labels(ax, ends, height_of(ax, math.ceil(len(groups) / COLUMNS)), SMALL)
        ax.set_title(_head(results, family, own), loc="left", fontsize=9)
        ax.set_ylabel(axis_title(metric) if i % COLUMNS == 0 else "")
        ax.set_xlabel("Round" if i + COLUMNS >= len(groups) else "")
    return figure


def hit_ratio(results: Results, bands: Bands, title: str, random: Mapping[str, Any]) -> Figure:
    """HR@K over K; the legends tell the values at 20 %, where the line is."""
    look, metric = looks(results), METRICS["hr@20"]
    notes = ["Numbers: HR@20 in %, at the grey line. Pale: the policies of the other panels. Dots: a random ranking."]
    figure, axes, groups = _frame(results, title, list(bands), notes)
    at_mark = {policy: float(band.mean[band.x == 20].sum()) for policy, band in bands.items()}
    for i, (ax, (family, own)) in enumerate(zip(axes, groups.items(), strict=True)):
        shown = [policy for policy in [*own, *_base(results, own)] if policy in bands]
        hit_axes(ax, random)
        ax.set_xticks((0, 20, 60, 100))  # panels are narrow
        _lines(ax, bands, shown, 100, look)
        order = by_value({policy: at_mark[policy] for policy in shown}, metric)
        handles = [
            Line2D([], [], **look[p], label=f"{_named(results, p, own)}  {number(100 * at_mark[p], 1)}") for p in order
        ]
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, fontsize=SMALL)
        ax.set_title(_head(results, family, own), loc="left", fontsize=9)
        ax.set_ylabel("HR@K (% of likes)" if i % COLUMNS == 0 else "")
        ax.set_xlabel("K (% of the ranking)" if i + COLUMNS >= len(groups) else "")
    return figure


def hit_axes(ax: Axes, random: Mapping[str, Any]) -> None:
    """Axes of HR@K over K with the line at 20 % and that of a random ranking."""
    ax.axvline(20, color="0.6", lw=0.8, zorder=0)
    ax.plot([0, 100], [0, 100], **random, zorder=0)
    ax.set(xlim=(0, 100), ylim=(0, 101), xticks=range(0, 101, 20))


def regimes(results: Results) -> list[Line2D]:
    """What the dashes of a run with several feedback regimes say, for a legend."""
    return [Line2D([], [], color=GREY, ls=dashes(kind), label=f"{kind} feedback") for kind in _known_regimes(results)]


def _dashes_in_words(results: Results) -> list[str]:
    """What the dashes of a run say, a sentence a regime, the dashed first."""
    solid = {kind: dashes(kind) == "-" for kind in _known_regimes(results)}
    return [
        f"{'Solid' if solid[kind] else 'Dashed'}: {kind} feedback, {REGIMES[kind].brief}."
        for kind in sorted(solid, key=lambda kind: solid[kind])
    ]


def _known_regimes(results: Results) -> list[str]:
    run = set(results.summary["feedback"])
    return [kind for kind in REGIMES if kind in run]


def _frame(
    results: Results, title: str, policies: Sequence[str], notes: Sequence[str]
) -> tuple[Figure, list[Axes], dict[str, list[str]]]:
    groups = families_of(results, policies)
    if results.mixed:
        notes = [*_dashes_in_words(results), *notes]
    lines = [" ".join(notes), *foot(results)]
    figure, axes = grid(len(groups), COLUMNS, PANEL, title, results, lines, 0.1, outside=False)
    return figure, axes, groups


def _lines(ax: Axes, bands: Bands, shown: Sequence[str], times: float, look: Look) -> None:
    for policy, band in bands.items():
        if policy not in shown:
            ax.plot(band.x, band.mean * times, **BEHIND)
    for policy in shown:
        band = bands[policy]
        ax.plot(band.x, band.mean * times, **look[policy], zorder=3, markevery=max(1, len(band.x) // 10), markersize=4)


def _best_band(ax: Axes, own: Bands, every: Bands, metric: Any, look: Look) -> None:
    finals = {policy: float(band.mean[-1]) for policy, band in own.items()}
    for policy in by_value(finals, metric)[:1]:
        band: Band = own[policy]
        if policy in fitting({**every, policy: band}, metric, look, {policy})[0]:
            low, high = band.low * scale(metric), band.high * scale(metric)
            ax.fill_between(band.x, low, high, color=look[policy]["color"], alpha=0.18, lw=0, zorder=0.5)


def _base(results: Results, own: Sequence[str]) -> list[str]:
    """The baseline beside the policies of a panel, once: under bandit feedback where it ran under that."""
    return [policy for policy in sorted(baselines(results)) if policy not in own][:1]


def _head(results: Results, family: str, own: Sequence[str]) -> str:
    if family == BEFOREHAND:
        return family  # they learn nothing, under whatever feedback
    told = _regimes(results, own)
    title = "linear" if family == "shared linear" else family  # disjoint policies are of this family too
    return f"{title}, {told[0]} feedback" if len(told) == 1 else title


def _named(results: Results, policy: str, own: Sequence[str]) -> str:
    """The label, without its regime where the head of the panel tells it."""
    told_by_head = _regimes(results, own) == _regimes(results, [policy])
    return results.entries[policy] if told_by_head else label(results, policy)


def _regimes(results: Results, own: Sequence[str]) -> list[str]:
    rows = results.contenders
    return sorted(set(rows.loc[rows["policy"].isin(own), "feedback"]))
