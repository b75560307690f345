"""Figures of the livestream study: its four policies end to end, its contexts, and what its policies recommend.

Each is drawn only where the results have what it needs: two or more of the policies, or of the contexts, in one case.
Source: doi 10.6814/NCCU202201098, sections 4.7 and 4.8.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lersbench.feedback import REGIMES
from lersbench.figures.axes import axis_title, set_round_ticks
from lersbench.figures.bands import Band, Bands, limits
from lersbench.figures.families import hit_axes, regime_handles
from lersbench.figures.frame import grid, seeds_in_words, sources
from lersbench.figures.records import Plan
from lersbench.figures.style import GREY, WITHIN, Look, baselines, dashes
from lersbench.metrics import METRICS, TOPS
from lersbench.results import curves
from lersbench.results.numbers import scale
from lersbench.results.tables import Results, regime_label

VARIANTS = {
    "lers": "lers",
    "lers-context": "lers-context: code from a VAE",
    "lers-recommendation": "lers-recommendation: Bayesian network",
    "lers-both": "lers-both",
}
CONTEXTS = {
    "static": "static features",
    "temporal": "temporal (both encoders)",
    "full": "full (static and temporal)",
    "streamer": "customer-streamer encoder",
    "basket": "customer-product encoder",
}
HUE = {words: WITHIN[i] for names in (VARIANTS, CONTEXTS) for i, words in enumerate(names.values())}
HIT_RATIO = "hr@K"  # a panel of HR@K over K; every other is a metric over rounds
RECOMMEND = ("recommend_ratio", "recommend_accuracy", "recommend_precision", "recommend_recall")
END_TO_END = ("regret", HIT_RATIO, "coverage", "diversity")
TITLES = {
    "lers-variants": "The four LERS policies end to end",
    "lers-recommendations": "When LERS recommends, and how often it is right",
    "context-kinds": "Static, temporal and full context",
    "context-encoders": "Customer-product and customer-streamer context",
}
CHANCE: dict[str, Any] = {"color": "0.6", "lw": 0.9, "ls": (0, (1, 1.5))}


@dataclass(frozen=True)
class Comparison:
    """What one figure compares: the metrics of its panels, and the policies by the words of the legend."""

    stem: str
    panels: tuple[str, ...]
    lines: Mapping[str, Sequence[str]]


def plans(results: Results) -> list[Plan]:
    """Every figure of this module that the run has the results for."""
    if len(results.variants) != 1:
        return []
    by_name = {words: _contenders(results, name) for name, words in VARIANTS.items()}
    contexts = _contexts(results)
    kinds = {CONTEXTS[key]: contexts[key] for key in ("static", "temporal", "full")}
    encoders = {CONTEXTS[key]: contexts[key] for key in ("basket", "streamer", "temporal")}
    figures = [
        Comparison("lers-variants", END_TO_END, by_name),
        Comparison("lers-recommendations", RECOMMEND, by_name),
        Comparison("context-kinds", ("regret", HIT_RATIO), kinds),
        Comparison("context-encoders", ("regret", HIT_RATIO), encoders),
    ]
    return [
        Plan(one.stem, TITLES[one.stem], "livestream", tuple(results.variants), partial(comparison, results, one))
        for one in figures
        if sum(map(bool, one.lines.values())) > 1 and _panels(results, one)
    ]


def _contenders(results: Results, name: str) -> list[str]:
    """The contenders of a policy; none where it has several settings under one regime, which are not compared here."""
    rows = results.contenders[results.contenders["name"] == name]
    return list(rows["policy"]) if not rows["feedback"].duplicated().any() else []


def _contexts(results: Results) -> dict[str, list[str]]:
    """The contenders of "lers" by their context; none where these differ in more than the context."""
    rows = results.contenders[results.contenders["name"] == "lers"]
    by_context: dict[str, list[str]] = {key: [] for key in CONTEXTS}
    settings = [json.loads(params) for params in rows["params"]]
    if len({json.dumps({**params, "context": ""}, sort_keys=True) for params in settings}) == 1:
        for policy, params in zip(rows["policy"], settings, strict=True):
            by_context.setdefault(params["context"], []).append(policy)
    return by_context


def _panels(results: Results, one: Comparison) -> list[str]:
    """The panels of a figure whose metrics were measured."""
    return [name for name in one.panels if (f"hr@{TOPS[1]}" if name == HIT_RATIO else name) in results.metrics]


# Drawing --------------------------------------------------------------------------------------------------------------
def comparison(results: Results, one: Comparison) -> Figure:
    """A panel a metric: a hue a name, dashes for feedback on whole reward rows, the baseline in grey."""
    hues = {words: HUE[words] for words, policies in one.lines.items() if policies}
    regime = dict(zip(results.contenders["policy"], results.contenders["feedback"], strict=True))
    base = [] if one.panels == RECOMMEND else sorted(baselines(results))[:1]
    look = {p: {"color": hues[words], "ls": dashes(regime[p])} for words in hues for p in one.lines[words]}
    look |= {p: {"color": GREY, "ls": "-", "lw": 1.1} for p in base}
    panels = _panels(results, one)
    columns = min(2, len(panels))
    notes = [_notes(results, panels), *sources(results)]
    figure, axes = grid(len(panels), columns, (2.9, 2.6), TITLES[one.stem], results, notes, 2.5, outside=False)
    for ax, name in zip(axes, panels, strict=True):
        if name == HIT_RATIO:
            hit_axes(ax, CHANCE)
            _draw_lines(ax, {p: _over_tops(results, p) for p in look}, 100, look)
            ax.set(xlabel="K (% of the ranking)", ylabel="HR@K (% of likes)")
        else:
            _draw_rounds(ax, results, name, look)
    handles = [Line2D([], [], color=hue, label=words) for words, hue in hues.items()]
    labels = {policy: regime_label(results.entries[policy], regime[policy]) for policy in base}
    handles += [Line2D([], [], color=GREY, lw=1.1, label=labels[policy]) for policy in base]
    handles += regime_handles(results)
    axes[columns - 1].legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.04, 1.0), frameon=False, borderaxespad=0
    )
    return figure


def _notes(results: Results, panels: Sequence[str]) -> str:
    """What lines, circles and grey marks mean."""
    seeds = seeds_in_words(results)
    whole_rows = " or ".join(f"{row.name} feedback, {row.brief}" for row in REGIMES.values() if row.reveals_all)
    notes = [
        f"Lines: {'one seed' if seeds == '1' else f'means over {seeds} seeds'}. Beside them: the final values by seed; "
        f"open circles: {whole_rows}, which tells a policy more: compare within a regime."
    ]
    notes += ["Grey line: K = 20 %. Dotted: a random ranking."] if HIT_RATIO in panels else []
    return " ".join(notes)


def _draw_rounds(ax: Axes, results: Results, name: str, look: Look) -> None:
    """A metric over rounds, with the final values by seed beside the lines."""
    metric = METRICS[name]
    bands = {policy: band for policy in look if (band := _band(results, name, policy)) is not None}
    _draw_lines(ax, bands, scale(metric), look)
    end = max(band.x[-1] for band in bands.values())
    (variant,) = results.variants
    finals = {policy: x * scale(metric) for policy, x in results.finals(variant, name).items() if policy in bands}
    for place, policy in enumerate(bands, 1):
        at, colour = np.full(len(finals[policy]), end * (1.02 + 0.03 * place)), look[policy]["color"]
        ax.plot(
            at, finals[policy], "o", ms=2.5, mew=0.7, color=colour, mfc=colour if look[policy]["ls"] == "-" else "w"
        )
    if frame := limits(bands, metric, set()):
        last = np.concatenate(list(finals.values()))
        margin = 0.04 * (frame[1] - frame[0]) * scale(metric)
        low, high = frame[0] * scale(metric), frame[1] * scale(metric)
        ax.set_ylim(min(low, np.nanmin(last) - margin), max(high, np.nanmax(last) + margin))
    ax.set_xlim(0, end * (1.05 + 0.03 * len(bands)))
    set_round_ticks(ax, 5)
    ax.set_xticks(
        [tick for tick in MaxNLocator(3, integer=True, steps=[1, 2, 5, 10]).tick_values(0, end) if tick <= end]
    )
    ax.set(xlabel="Round", ylabel=axis_title(metric))


def _draw_lines(ax: Axes, bands: Bands, times: float, look: Look) -> None:
    for policy, band in bands.items():
        ax.plot(band.x, band.mean * times, **{"lw": 1.5, **look[policy]})


def _band(results: Results, name: str, policy: str) -> Band | None:
    """The curve of a policy with its intervals; None where the metric does not apply to it."""
    rows = results.curves_of(name)
    rows = rows[rows["policy"] == policy]
    if rows["mean"].isna().all():
        return None
    (variant,) = results.variants
    rows = rows.sort_values("round")
    return Band(rows["round"].to_numpy(), *curves.band(results, variant, policy, METRICS[name], rows))


def _over_tops(results: Results, policy: str) -> Band:
    """The final HR@K of a policy over K."""
    (variant,) = results.variants
    finals = [results.finals(variant, f"hr@{top}").get(policy, np.array([math.nan])) for top in TOPS]
    return Band(np.array(TOPS), *results.interval(variant, policy, METRICS["hr@20"], np.stack(finals, axis=1)))
