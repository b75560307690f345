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

from lersbench.families import BEFOREHAND
from lersbench.feedback import REGIMES
from lersbench.figures import headline
from lersbench.figures.axes import LESS, axis_title, full_title, metric_of
from lersbench.figures.bands import Bands, decided_early, limits, narrow_bands, policies_by_value, set_rounds
from lersbench.figures.frame import footer, grid, panel_height
from lersbench.figures.legends import draw_end_labels, label
from lersbench.figures.style import GREY, Look, baselines, dashes, family_members, looks
from lersbench.metrics import METRICS, Metric
from lersbench.results.numbers import number, scale
from lersbench.results.tables import Results

COLUMNS = 2
PANEL = (4.1, 2.8)  # inches, the names of the lines included
SMALL = 7.5  # points of the names of lines
BEHIND: dict[str, Any] = {"color": "0.86", "lw": 0.8, "zorder": 1}  # lines of the other families
LESS_TITLE = "Cumulative regret less that of the baseline"


def curves(results: Results, name: str, bands: Bands) -> Figure:
    """The metric `name` over rounds."""
    metric, look = metric_of(results, name), looks(results)
    notes = [
        "Pale: the policies of the other panels. Band: the interval of the best of a panel, unless it would fill it."
    ]
    title = LESS_TITLE if metric.name == LESS.name else full_title(metric)
    finding = headline.of_metric(results, name, {policy: float(band.mean[-1]) for policy, band in bands.items()})
    figure, axes, groups = _panels(results, title, list(bands), notes, finding)
    early = decided_early(bands)
    frame = limits(bands, metric, ())
    height = panel_height(axes[0], math.ceil(len(groups) / COLUMNS))
    for i, (ax, (family, members)) in enumerate(zip(axes, groups.items(), strict=True)):
        policies = [policy for policy in [*members, *_baseline(results, members)] if policy in bands]
        _draw_lines(ax, bands, policies, scale(metric), look)
        _draw_best_band(ax, members, bands, metric, look)
        if frame:
            ax.set_ylim(frame[0] * scale(metric), frame[1] * scale(metric))
        set_rounds(ax, bands, early, 5)
        finals = {p: float(bands[p].mean[-1]) * scale(metric) for p in policies}
        ends = {
            p: (value, _short_label(results, p, members), look[p]["color"])
            for p, value in finals.items()
            if math.isfinite(value)
        }
        draw_end_labels(ax, ends, height, SMALL)
        ax.set_title(_panel_title(results, family, members), loc="left", fontsize=9)
        ax.set_ylabel(axis_title(metric) if i % COLUMNS == 0 else "")
        ax.set_xlabel("Round" if i + COLUMNS >= len(groups) else "")
    return figure


def hit_ratio(results: Results, bands: Bands, title: str, random: Mapping[str, Any]) -> Figure:
    """HR@K over K; the legends have the values at 20 %, where the line is. `random`: the look of a random ranking."""
    look, metric = looks(results), METRICS["hr@20"]
    notes = ["Numbers: HR@20 in %, at the grey line. Pale: the policies of the other panels. Dots: a random ranking."]
    at_mark = {policy: float(band.mean[band.x == 20].sum()) for policy, band in bands.items()}
    finding = headline.of_metric(results, "hr@20", at_mark)
    figure, axes, groups = _panels(results, title, list(bands), notes, finding)
    for i, (ax, (family, members)) in enumerate(zip(axes, groups.items(), strict=True)):
        policies = [policy for policy in [*members, *_baseline(results, members)] if policy in bands]
        hit_axes(ax, random)
        ax.set_xticks((0, 20, 60, 100))  # panels are narrow
        _draw_lines(ax, bands, policies, 100, look)
        order = policies_by_value({policy: at_mark[policy] for policy in policies}, metric)
        labels = {p: f"{_short_label(results, p, members)}  {number(100 * at_mark[p], 1)}" for p in order}
        handles = [Line2D([], [], **look[p], label=words) for p, words in labels.items()]
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, fontsize=SMALL)
        ax.set_title(_panel_title(results, family, members), loc="left", fontsize=9)
        ax.set_ylabel("HR@K (% of likes)" if i % COLUMNS == 0 else "")
        ax.set_xlabel("K (% of the ranking)" if i + COLUMNS >= len(groups) else "")
    return figure


def hit_axes(ax: Axes, random: Mapping[str, Any]) -> None:
    """Axes of HR@K over K with the line at 20 % and that of a random ranking."""
    ax.axvline(20, color="0.6", lw=0.8, zorder=0)
    ax.plot([0, 100], [0, 100], **random, zorder=0)
    ax.set(xlim=(0, 100), ylim=(0, 101), xticks=range(0, 101, 20))


def regime_handles(results: Results) -> list[Line2D]:
    """A line for each feedback regime of the run, in its dashes, for a legend."""
    return [Line2D([], [], color=GREY, ls=dashes(kind), label=f"{kind} feedback") for kind in _run_regimes(results)]


def _dashes_in_words(results: Results) -> list[str]:
    """What the dashes of a run mean, a sentence a regime, the dashed first."""
    solid = {kind: dashes(kind) == "-" for kind in _run_regimes(results)}
    return [
        f"{'Solid' if solid[kind] else 'Dashed'}: {kind} feedback, {REGIMES[kind].brief}."
        for kind in sorted(solid, key=lambda kind: solid[kind])
    ]


def _run_regimes(results: Results) -> list[str]:
    """The feedback regimes of the run, in the order of REGIMES."""
    kinds = set(results.summary["feedback"])
    return [kind for kind in REGIMES if kind in kinds]


def _panels(
    results: Results, title: str, policies: Sequence[str], notes: Sequence[str], finding: str = ""
) -> tuple[Figure, list[Axes], dict[str, list[str]]]:
    """A figure with axes for each family of `policies`, and the families with their members."""
    groups = family_members(results, policies)
    if results.mixed:
        notes = [*_dashes_in_words(results), *notes]
    lines = [" ".join(notes), *footer(results)]
    figure, axes = grid(len(groups), COLUMNS, PANEL, title, results, lines, 0.1, outside=False, finding=finding)
    return figure, axes, groups


def _draw_lines(ax: Axes, bands: Bands, policies: Sequence[str], times: float, look: Look) -> None:
    """The lines of `policies` in their colours, before the pale lines of all others."""
    for policy, band in bands.items():
        if policy not in policies:
            ax.plot(band.x, band.mean * times, **BEHIND)
    for policy in policies:
        band = bands[policy]
        ax.plot(band.x, band.mean * times, **look[policy], zorder=3, markevery=max(1, len(band.x) // 10), markersize=4)


def _draw_best_band(ax: Axes, members: Sequence[str], bands: Bands, metric: Metric, look: Look) -> None:
    """The interval of the best of `members`, unless it would fill the panel."""
    finals = {policy: float(band.mean[-1]) for policy, band in bands.items() if policy in members}
    for policy in policies_by_value(finals, metric)[:1]:
        band = bands[policy]
        if policy in narrow_bands(bands, metric, look, {policy})[0]:
            low, high = band.low * scale(metric), band.high * scale(metric)
            ax.fill_between(band.x, low, high, color=look[policy]["color"], alpha=0.18, lw=0, zorder=0.5)


def _baseline(results: Results, members: Sequence[str]) -> list[str]:
    """The baseline beside the policies of a panel, once: under bandit feedback where it ran under that."""
    return [policy for policy in sorted(baselines(results)) if policy not in members][:1]


def _panel_title(results: Results, family: str, members: Sequence[str]) -> str:
    """The family, with its feedback regime where it has one alone."""
    if family == BEFOREHAND:
        return family  # they learn nothing, under whatever feedback
    regimes = _regimes(results, members)
    title = "linear" if family == "shared linear" else family  # disjoint policies are of this family too
    return f"{title}, {regimes[0]} feedback" if len(regimes) == 1 else title


def _short_label(results: Results, policy: str, members: Sequence[str]) -> str:
    """The label, without its regime where the title of the panel has it."""
    in_title = _regimes(results, members) == _regimes(results, [policy])
    return results.entries[policy] if in_title else label(results, policy)


def _regimes(results: Results, policies: Sequence[str]) -> list[str]:
    """The feedback regimes of `policies`."""
    rows = results.contenders
    return sorted(set(rows.loc[rows["policy"].isin(policies), "feedback"]))
