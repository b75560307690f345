"""Curves over rounds, with their bands: a panel a metric and a case."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lersbench.figures import headline
from lersbench.figures.axes import LESS, axis_title, full_title, metric_of
from lersbench.figures.bands import (
    Bands,
    band_note,
    decided_early,
    draw_bands,
    limits,
    narrow_bands,
    policies_by_value,
    set_rounds,
    typical_half_width,
)
from lersbench.figures.curve_values import RATES, SAME, equal, one_item_slates, one_rate_note
from lersbench.figures.frame import columns_of, drawn_cases, footer, grid, panel_height
from lersbench.figures.legends import draw_end_labels, draw_legend, label, legend_width
from lersbench.figures.style import Look, crowded, looks
from lersbench.metrics import Metric
from lersbench.results.numbers import decimals, number, scale
from lersbench.results.tables import Results


def curves(results: Results, names: Sequence[str], bands: Mapping[tuple[str, str], Bands]) -> Figure:
    """The metrics `names` over rounds, side by side (the last is the sound one); with variants, a panel for each."""
    title, cases = full_title(metric_of(results, names[-1])), drawn_cases(results)
    names, notes = _distinct_metrics(results, names, bands)
    panels = [(case.variant, name) for case in cases for name in names if bands.get((case.variant, name))]
    policies = list(dict.fromkeys(policy for panel in panels for policy in bands[panel]))
    look, many = looks(results), crowded(results)
    choices = {panel: narrow_bands(bands[panel], metric_of(results, panel[1]), look) for panel in panels}
    if any(narrow != candidates for narrow, candidates in choices.values()):
        notes.insert(0, "Bands that would fill their panel are left out; the final values have all intervals.")
    notes = [" ".join([*band_note(results, policies), *notes])] if notes or band_note(results, policies) else []
    if len(cases) < len(results.variants):
        notes.append(f"Of {len(results.slates)} slate sizes the curves of two are drawn.")
    size, columns = _panel_size(len(panels), len(cases), many), columns_of(len(panels), names)
    beside = legend_width(results, policies)
    ends = {policy: float(band.mean[-1]) for policy, band in bands[panels[-1]].items()}
    finding = headline.of_metric(results, panels[-1][1], ends)
    notes = [*notes, *footer(results)]
    figure, axes = grid(len(panels), columns, size, title, results, notes, beside, finding=finding)
    early = decided_early(bands[panels[-1]])
    for i, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        _draw_curves(ax, bands[panel], metric_of(results, panel[1]), look, choices[panel], many)
        set_rounds(ax, bands[panel], early, 6 if len(cases) == 1 else 4)
        if many:
            height = panel_height(ax, math.ceil(len(panels) / columns))
            _draw_curve_labels(ax, results, bands[panel], metric_of(results, panel[1]), look, choices[panel][1], height)
        if i + columns >= len(panels):
            ax.set_xlabel("Round")
        if i % columns == 0 or len(names) > 1:
            ax.set_ylabel(axis_title(metric_of(results, panel[1])))
        if head := _panel_title(results, names, *panel):
            ax.set_title(head, loc="left", fontsize=10 if len(cases) == 1 else 9)
    _draw_curve_legend(axes[min(columns, len(axes)) - 1], results, metric_of(results, names[-1]), bands, panels)
    return figure


def _distinct_metrics(
    results: Results, names: Sequence[str], bands: Mapping[tuple[str, str], Bands]
) -> tuple[Sequence[str], list[str]]:
    """`names` without one that would repeat the next, and notes on what is the same."""
    notes: list[str] = []
    if (
        names[0] in SAME
        and len(names) > 1
        and all(equal(bands.get((v, names[0]), {}), bands.get((v, names[1]), {})) for v in results.variants)
    ):
        notes, names = [SAME[names[0]]], names[1:]
    if names[0] in RATES and one_item_slates(results):
        notes = one_rate_note(results)
    return names, notes


def _draw_curves(
    ax: Axes, bands: Bands, metric: Metric, look: Look, choice: tuple[set[str], set[str]], many: bool
) -> None:
    """Lines and bands of a panel, with the limits of its axes; `choice` is that of `narrow_bands`."""
    narrow, candidates = choice
    draw_bands(ax, bands, scale(metric), look, narrow, many)
    if frame := limits(bands, metric, candidates):
        ax.set_ylim(frame[0] * scale(metric), frame[1] * scale(metric))


def _draw_curve_labels(
    ax: Axes, results: Results, bands: Bands, metric: Metric, look: Look, policies: Iterable[str], height: float
) -> None:
    ends = {p: (float(bands[p].mean[-1]) * scale(metric), label(results, p), look[p]["color"]) for p in policies}
    draw_end_labels(ax, {p: end for p, end in ends.items() if math.isfinite(end[0])}, height)


def _draw_curve_legend(
    ax: Axes,
    results: Results,
    metric: Metric,
    bands: Mapping[tuple[str, str], Bands],
    panels: Sequence[tuple[str, str]],
) -> None:
    """The legend by the mean final value of `metric` over its panels; of a single panel it has the values too."""
    final_bands = [bands[panel] for panel in panels if panel[1] == metric.name]
    policies = dict.fromkeys(policy for panel in panels for policy in bands[panel])
    finals = {p: float(np.mean([part[p].mean[-1] for part in final_bands if p in part])) for p in policies}
    values = {}
    if len(panels) == 1:
        digits = decimals(typical_half_width(bands[panels[0]].values()) * scale(metric), metric)
        values = {p: number(x * scale(metric), min(digits, 3)) for p, x in finals.items()}
    draw_legend(ax, results, policies_by_value(finals, metric), values)


def _panel_size(panels: int, cases: int, many: bool) -> tuple[float, float]:
    """Width and height of a panel in inches; a crowd has labels at the ends of its lines, and a long legend."""
    if panels == 1:
        return (6.0, 4.6) if many else (4.9, 3.4)
    if many:
        return (4.4, 2.9)
    return (3.7, 3.2) if cases == 1 else (2.9, 2.3)


def _panel_title(results: Results, names: Sequence[str], variant: str, name: str) -> str:
    """What tells a panel from the others: its case, and its metric where there are several."""
    parts = [results.case(variant).in_words()]
    if name == LESS.name and len(names) > 1:
        parts.append(f"Cumulative regret less that of {results.scenario['baseline']}")
    elif len(names) > 1:
        parts.append(results.metric(name).title + (" (sound)" if name == names[-1] else ""))
    return ", ".join(filter(None, parts))
