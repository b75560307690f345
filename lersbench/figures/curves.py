"""Figures of a run, from its results alone: curves over rounds, HR@K, and a forest plot of the final values; with
those of `sweeps`, `logs` and `lers` where the results have what these need.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lersbench.errors import ConfigError, did_you_mean
from lersbench.figures import families as family_figures
from lersbench.figures import lers as lers_figures
from lersbench.figures import logs as log_figures
from lersbench.figures import sweeps as sweep_figures
from lersbench.figures.axes import LESS, axis_title, full_title, metric_of, set_round_ticks
from lersbench.figures.bands import (
    Band,
    Bands,
    band_note,
    best_and_baseline,
    draw_bands,
    limits,
    narrow_bands,
    policies_by_value,
    typical_half_width,
)
from lersbench.figures.frame import drawn_cases, footer, grid, panel_height, sources
from lersbench.figures.legends import draw_end_labels, draw_legend, label, legend_width
from lersbench.figures.records import Plan, Record, draw_plans
from lersbench.figures.style import Look, by_family, crowded, looks
from lersbench.metrics import METRICS, Metric
from lersbench.results import brackets
from lersbench.results.comparisons import representatives
from lersbench.results.numbers import MISSING, decimals, number, scale
from lersbench.results.ranking import board
from lersbench.results.statistics import interval
from lersbench.results.tables import CURVE_RESAMPLES, Results, known_metric

POINTS = 200  # points of a curve that are drawn; more cannot be seen
PAIRS = (  # curves over rounds; two names stand side by side, as published and sound
    ("reward_sum",),
    ("reward",),
    ("ctr_sum",),
    ("ctr_set",),
    ("ctr",),
    ("regret_published", "misses"),
    ("regret",),
    ("hr20_per_round_published", "hr20_per_round"),
    ("coverage",),
    ("diversity",),
    ("entropy",),
    ("matches",),
    ("undelivered",),
    ("exposure_first100",),
    ("reward_first100",),
)
LISTS = (  # the same of ranked lists
    ("reward_sum",),
    ("ctr_sum",),
    ("ctr_set",),
    ("expected_ctr_sum",),
    ("expected_ctr_set",),
)
SAME = {  # why the two of a pair may be equal, by the first; then one is drawn
    "regret_published": "Equal to the published regret: no policy here stays silent.",
    "hr20_per_round_published": "Equal to the published values: no two scores that matter are tied here.",
}
ONE_RATE = "With one item shown per round, {} are the same number, so one of them is drawn."
HIT_RATIO = "Hit ratio HR@K"
HIT_RATIOS = {"hit-ratio": HIT_RATIO, "hit-ratio-published": f"{HIT_RATIO}, as published: ties in file order"}
RATES = ("reward_sum", "reward", "ctr_sum", "ctr_set", "ctr")
BRACKET_TITLE = "What the log can tell of the lift over the logged order"
BRACKET_NOTE = [
    "Bar: from logged clicks wherever items are placed to the same clicks by how often the new place is looked at over "
    "the logged one. Line: as far as the 95 % errors of both ends reach. At the right the best and the worst rank that "
    f"these allow. {brackets.ASSUMPTION}."
]
RANDOM: dict[str, Any] = {"color": "0.6", "lw": 0.9, "ls": (0, (2, 2)), "label": "random ranking"}


# What is drawn --------------------------------------------------------------------------------------------------------
def curve_bands(results: Results, metrics: Iterable[str], policies: Sequence[str]) -> dict[tuple[str, str], Bands]:
    """The curves over rounds of `policies`, by (variant, metric); a policy without the metric is left out."""
    bands: dict[tuple[str, str], dict[str, Band]] = {}
    for metric in dict.fromkeys(metrics):  # one at a time: all would be millions of rows
        rows = results.curves_of(metric)
        rows = rows[rows["policy"].isin(policies)]
        for (variant, policy), part in rows.groupby(["variant", "policy"], sort=False):
            values = part.pivot(index="round", columns="seed", values="value")
            if values.isna().all(axis=None):
                continue
            values = _thinned(values)
            at = values.index.to_numpy()
            band = results.interval(str(variant), str(policy), results.metric(metric), values.to_numpy().T, at)
            bands.setdefault((str(variant), metric), {})[str(policy)] = Band(at, *band)
    return dict(bands)


def _thinned(values: pd.DataFrame) -> pd.DataFrame:
    """No more than POINTS rows of `values`, evenly spaced, with the first and the last."""
    if len(values) <= POINTS:
        return values
    return values.iloc[np.unique(np.linspace(0, len(values) - 1, POINTS).round().astype(int))]


def regret_less_baseline(results: Results, policies: Sequence[str]) -> dict[tuple[str, str], Bands]:
    """Cumulative regret less that of the baseline, paired by seed; empty where no baseline ran."""
    rows = results.curves_of("regret")
    by_variant: dict[tuple[str, str], Bands] = {}
    for variant, part in rows.groupby("variant", sort=False):
        values = part.pivot(index="round", columns=["policy", "seed"], values="value")
        feedback, labels = results.feedback(str(variant)), set(part["policy"])
        bands = {}
        for policy in (policy for policy in policies if policy in labels):
            base = results.baseline_label(str(variant), feedback[policy])
            if base not in labels:
                continue
            difference = pd.DataFrame(values[policy] - values[base]).dropna(axis=1, how="all")
            if difference.empty:
                continue
            difference = _thinned(difference)
            floor = results.floor(str(variant), [policy, str(base)], metric_of(results, LESS.name))
            band = interval(difference.to_numpy().T, results.replicates, resamples=CURVE_RESAMPLES, floor=floor)
            bands[policy] = Band(difference.index.to_numpy(), *band)
        if bands:
            by_variant[str(variant), LESS.name] = bands
    return by_variant


def equal(first: Bands, second: Bands) -> bool:
    """Whether two metrics have the same curves."""
    return first.keys() == second.keys() and all(
        np.allclose(first[policy].mean, second[policy].mean, equal_nan=True) for policy in first
    )


def hit_bands(results: Results, family: str, variant: str, policies: Sequence[str]) -> Bands:
    """Final hit ratio over the share K of the ranking, in percent; `family` is "hr" or "hr_published"."""
    names = {int(m.split("@")[1]): m for m in results.metrics if m.startswith(family + "@")}
    tops = sorted(names)
    finals = {top: results.finals(variant, names[top]) for top in tops}
    bands = {}
    for policy in policies:
        if all(policy in finals[top] and not np.isnan(finals[top][policy]).all() for top in tops):
            values = np.stack([finals[top][policy] for top in tops], axis=1)
            bands[policy] = Band(np.array(tops), *results.interval(variant, policy, METRICS["hr@20"], values))
    return bands


def labels_to_draw(results: Results, policies: Sequence[str] | None) -> list[str]:
    """The labels of `policies`, or of all, in the order of the results; ConfigError for one that was not run."""
    labels = list(results.summary["policy"].unique())
    for policy in policies or []:
        if policy not in labels:
            hint = did_you_mean(policy, labels)
            raise ConfigError(f"The run has no policy {policy!r}, only {', '.join(labels)}{hint}")
    return [policy for policy in labels if policies is None or policy in policies]


# Curves over rounds ---------------------------------------------------------------------------------------------------
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
    size, columns = _panel_size(len(panels), len(cases), many), _columns(len(panels), names)
    beside = legend_width(results, policies)
    figure, axes = grid(len(panels), columns, size, title, results, [*notes, *footer(results)], beside)
    for i, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        _draw_curves(ax, bands[panel], metric_of(results, panel[1]), look, choices[panel], many)
        set_round_ticks(ax, 6 if len(cases) == 1 else 4)
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
    ax.set_xlim(0, max(band.x[-1] for band in bands.values()))


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


def _columns(panels: int, names: Sequence[str]) -> int:
    return len(names) if len(names) > 1 else 2 if panels == 4 else 3


def _panel_title(results: Results, names: Sequence[str], variant: str, name: str) -> str:
    """What tells a panel from the others: its case, and its metric where there are several."""
    parts = [results.case(variant).in_words()]
    if name == LESS.name and len(names) > 1:
        parts.append(f"Cumulative regret less that of {results.scenario['baseline']}")
    elif len(names) > 1:
        parts.append(results.metric(name).title + (" (sound)" if name == names[-1] else ""))
    return ", ".join(filter(None, parts))


# HR@K -----------------------------------------------------------------------------------------------------------------
def hit_ratio(results: Results, policies: Sequence[str]) -> Figure:
    """Final HR@K over K, as published and sound, with the line of a random ranking and a mark at 20 %."""
    families = [f for f in ("hr_published", "hr") if any(m.startswith(f + "@") for m in results.metrics)]
    panels = [(case.variant, family) for case in drawn_cases(results) for family in families]
    bands = {panel: hit_bands(results, panel[1], panel[0], policies) for panel in panels}
    labels = list(dict.fromkeys(policy for part in bands.values() for policy in part))
    notes, beside = [*band_note(results, labels), *footer(results)], legend_width(results, labels)
    figure, axes = grid(len(panels), len(families), (3.7, 3.5), HIT_RATIO, results, notes, beside)
    look = looks(results)
    for ax, (variant, family) in zip(axes, panels, strict=True):
        _draw_hits(ax, bands[variant, family], look)
        protocol = "as published: ties in file order" if family == "hr_published" else "sound: ties in expectation"
        ax.set_title(f"{variant}, {protocol}" if variant else protocol, loc="left", fontsize=9 if variant else 10)
    sound = [part for (_, family), part in bands.items() if family == families[-1]]
    finals = {p: float(np.mean([part[p].mean[part[p].x == 20] for part in sound if p in part])) for p in labels}
    order = policies_by_value(finals, METRICS["hr@20"])
    draw_legend(axes[len(families) - 1], results, order, {}, [Line2D([], [], **RANDOM)])
    return figure


def _draw_hits(ax: Axes, bands: Bands, look: Look) -> None:
    ax.axvline(20, color="0.8", lw=0.8, zorder=0)
    ax.plot([0, 100], [0, 100], **RANDOM, zorder=0)
    at_mark = {policy: float(band.mean[band.x == 20].sum()) for policy, band in bands.items()}
    draw_bands(ax, bands, 100, look, best_and_baseline(at_mark, METRICS["hr@20"], look))
    ax.set(xlim=(0, 100), ylim=(0, 101), xticks=range(0, 101, 20), xlabel="K (% of the ranking)")
    ax.set_ylabel("HR@K (% of likes)")


# Final values ---------------------------------------------------------------------------------------------------------
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
    notes += sources(results) if all(with_brackets) else [*footer(results), *_rank_note(metric), *_same_note(frame)]
    columns = _columns(len(panels), [name])
    figure, axes = grid(len(panels), columns, size, _forest_title(results, metric), results, notes, 0.4)
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


def _forest_title(results: Results, metric: Metric) -> str:
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
    """A dot and a bar for each of `rows`, its rank at the right."""
    spans = (rows[["mean", "low", "high"]] * scale(metric)).to_numpy()
    for y, (policy, (mean, low, high)) in enumerate(zip(rows["policy"], spans, strict=True)):
        colour = look[policy]["color"]
        ax.plot([low, high], [y, y], color=colour, lw=1.8, solid_capstyle="butt")
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
        "At the right the best and the worst rank within its regime that the data allow a contender (paired t tests, "
        f"Holm's correction over its pairs, 5 %; {MISSING}: too few seeds to say)."
    ]


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


# All figures of a run -------------------------------------------------------------------------------------------------
def draw_all(
    results: Results, folder: str | Path, metrics: Sequence[str] | None = None, policies: Sequence[str] | None = None
) -> list[Record]:
    """Draw the figures of a run into `folder` and return their records, which are kept there too.

    By default: every curve that was measured, HR@K over K, the forest plot of the leaderboard's metric, and what
    `sweeps`, `logs` and `lers` have to draw of the run. With `metrics`, the curve and the forest plot of each of those;
    with `policies` (labels) only those contenders. Raises ConfigError for a metric or policy that the run does not
    have.
    """
    whole, labels = results, labels_to_draw(results, policies)
    if policies is None and crowded(results):
        results, labels = _best_of_sweeps(results, labels)
    groups = groups_of(results) if metrics is None else [(known_metric(results, name).name,) for name in metrics]
    plans = _plans(results, groups, metrics, labels)
    if metrics is None:
        plans += [*sweep_figures.plans(results, whole, labels), *log_figures.plans(results)]
        plans += lers_figures.plans(whole) if policies is None else []
    return draw_plans(plans, folder, whole, metrics is None and policies is None)


def _best_of_sweeps(results: Results, policies: Sequence[str]) -> tuple[Results, list[str]]:
    """Of a crowd that sweeps a parameter, the best of each swept policy: the sweep has a figure of its own."""
    best = representatives(results, policies)
    if len(best) == len(policies):
        return results, list(policies)
    summary = results.summary[results.summary["policy"].isin(best)]
    note = "Of each swept policy the best value of its parameter is drawn."
    return replace(results, summary=summary, meta={**results.meta, "choice": note}), best


def _plans(
    results: Results, groups: Sequence[tuple[str, ...]], metrics: Sequence[str] | None, policies: Sequence[str]
) -> list[Plan]:
    """The figures of this module: of `metrics`, or of all of a run."""
    bands = curve_bands(results, {name for group in groups for name in group}, policies)
    if any("regret" in group for group in groups) and (less := regret_less_baseline(results, policies)):
        bands |= less
        groups = [(*group, LESS.name) if group == ("regret",) else group for group in groups]
    forests = metrics if metrics is not None else [results.scenario["leaderboard"]]
    variants = tuple(case.variant for case in drawn_cases(results))
    plans = []
    for name in forests:
        title = _forest_title(results, known_metric(results, name))
        plans.append(Plan(_stem("final", name), title, "final", variants, partial(forest, results, name, policies)))
    if by_family(results):
        return plans + _family_plans(results, groups, bands, policies, metrics is None)
    for group in groups:
        cases = tuple(variant for variant in variants if any(bands.get((variant, name)) for name in group))
        if cases:
            name = _named_after(group)
            make = partial(curves, results, group, bands)
            plans.append(Plan(_stem("curve", name), full_title(results.metric(name)), "curve", cases, make))
    if metrics is None and "hr@20" in results.metrics and not results.lists:
        make = partial(hit_ratio, results, policies)
        plans.append(Plan("hit-ratio", HIT_RATIO, "hit-ratio", variants, make))
    return plans


def _family_plans(
    results: Results,
    groups: Sequence[tuple[str, ...]],
    bands: Mapping[tuple[str, str], Bands],
    policies: Sequence[str],
    whole: bool,
) -> list[Plan]:
    """Of a crowd, a figure a metric with a panel a family."""
    (variant,) = results.variants
    names = [name for group in groups for name in group if bands.get((variant, name))]
    for first, second in zip(SAME, ("misses", "hr20_per_round"), strict=True):
        if {first, second} <= set(names) and equal(bands[variant, first], bands[variant, second]):
            names.remove(first)
    plans = []
    for name in names:
        title = family_figures.LESS_TITLE if name == LESS.name else full_title(results.metric(name))
        make = partial(family_figures.curves, results, name, bands[variant, name])
        plans.append(Plan(_stem("curve", name), title, "curve", (variant,), make))
    if whole:
        for family, stem in (("hr", "hit-ratio"), ("hr_published", "hit-ratio-published")):
            if f"{family}@20" in results.metrics:
                hits = hit_bands(results, family, variant, policies)
                make = partial(family_figures.hit_ratio, results, hits, HIT_RATIOS[stem], RANDOM)
                plans.append(Plan(stem, HIT_RATIOS[stem], "hit-ratio", (variant,), make))
    return plans


def _stem(kind: str, name: str) -> str:
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}"


def _named_after(group: Sequence[str]) -> str:
    """The metric that names the figure of a group."""
    return "regret" if group[-1] == LESS.name else group[-1]


def groups_of(results: Results) -> list[tuple[str, ...]]:
    """The curves to draw of a run: PAIRS as far as measured, and the leaderboard's metric."""
    pairs = LISTS if results.lists else PAIRS
    groups = [tuple(name for name in pair if name in results.metrics) for pair in pairs]
    groups = [group for group in groups if group]
    if not any(results.scenario["leaderboard"] in group for group in groups):
        groups.insert(0, (known_metric(results, results.scenario["leaderboard"]).name,))
    if one_item_slates(results):  # then the three click rates are one
        usual = "reward_sum" if results.reward else "ctr_sum"
        rate = results.scenario["leaderboard"] if results.scenario["leaderboard"] in RATES else usual
        groups = [group for group in groups if group[0] not in RATES or group[0] == rate]
    return groups


def one_item_slates(results: Results) -> bool:
    """Whether what comes of a round and of a position agree in every contender."""
    item, round_ = ("reward", "reward_sum") if results.reward else ("ctr", "ctr_sum")
    if not {item, round_} <= set(results.metrics):
        return False
    wide = results.summary.pivot(index=["variant", "policy", "seed"], columns="metric", values="value")
    return bool(np.allclose(wide[item], wide[round_], equal_nan=True))


def one_rate_note(results: Results) -> list[str]:
    """The note on rates that are one number, where slates have one item."""
    same = "the rewards per round and per item" if results.reward else "CTR, CTR_sum and set-CTR"
    return [ONE_RATE.format(same)] if one_item_slates(results) else []
