"""Figures of the livestream study: its four policies end to end, its contexts, and what its policies recommend.

Each is drawn only where the results have what it needs: two or more of the policies, or of the contexts, in one case.
Source: doi 10.6814/NCCU202201098, sections 4.7 and 4.8.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lersbench.crowds import hit_axes, regimes
from lersbench.drawing import FULL, GREY, WITHIN, Band, Bands, axis_title, baselines, foot, grid, limits, thousands
from lersbench.leaderboard import Results, scale
from lersbench.metrics import METRICS, TOPS
from lersbench.statistics import interval

VARIANTS = {
    "lers": "LERS",
    "lers-context": "LERS, Bayesian context (VAE)",
    "lers-recommendation": "LERS, Bayesian recommendation",
    "lers-both": "LERS, both Bayesian",
}
CONTEXTS = {
    "static": "static features",
    "temporal": "temporal (both encoders)",
    "full": "full (static and temporal)",
    "streamer": "customer-streamer encoder",
    "basket": "customer-product encoder",
}
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
class Compared:
    """What one figure compares: the metrics of its panels, and the policies of each line's name, a hue each."""

    stem: str
    panels: tuple[str, ...]
    lines: Mapping[str, Sequence[str]]


def figures(results: Results) -> list[tuple[str, Callable[[], Figure]]]:
    """File name and maker of every figure of this module that the run has the results for."""
    if len(results.variants) != 1:
        return []
    by_name = {words: _named(results, name) for name, words in VARIANTS.items()}
    contexts = _contexts(results)
    some = {words: contexts[key] for key, words in CONTEXTS.items() if key in ("static", "temporal", "full")}
    ones = {words: contexts[key] for key, words in CONTEXTS.items() if key in ("streamer", "basket", "temporal")}
    wanted = [
        Compared("lers-variants", END_TO_END, by_name),
        Compared("lers-recommendations", RECOMMEND, by_name),
        Compared("context-kinds", ("regret", HIT_RATIO), some),
        Compared("context-encoders", ("regret", HIT_RATIO), ones),
    ]
    return [
        (one.stem, partial(compare, results, one))
        for one in wanted
        if sum(map(bool, one.lines.values())) > 1 and _panels(results, one)
    ]


def title(stem: str) -> str:
    """The title of the figure in the files `stem`.png and .svg; "" where it is none of this module."""
    return TITLES.get(stem, "")


def _named(results: Results, name: str) -> list[str]:
    """The contenders of a policy; with several settings under one regime they are of no such comparison."""
    rows = results.contenders[results.contenders["name"] == name]
    return list(rows["policy"]) if not rows["feedback"].duplicated().any() else []


def _contexts(results: Results) -> dict[str, list[str]]:
    """The contenders of "lers" by their context; none where these differ in more than the context."""
    rows = results.contenders[results.contenders["name"] == "lers"]
    found: dict[str, list[str]] = {key: [] for key in CONTEXTS}
    told = [json.loads(params) for params in rows["params"]]
    if len({json.dumps({**params, "context": ""}, sort_keys=True) for params in told}) == 1:
        for policy, params in zip(rows["policy"], told, strict=True):
            found.setdefault(params["context"], []).append(policy)
    return found


def _panels(results: Results, one: Compared) -> list[str]:
    return [name for name in one.panels if (f"hr@{TOPS[1]}" if name == HIT_RATIO else name) in results.metrics]


# Drawing --------------------------------------------------------------------------------------------------------------
def compare(results: Results, one: Compared) -> Figure:
    """A panel a metric: a hue a name, dashes for full feedback, the baseline in grey."""
    hues = {words: hue for (words, own), hue in zip(one.lines.items(), WITHIN, strict=False) if own}
    regime = dict(zip(results.contenders["policy"], results.contenders["feedback"], strict=True))
    base = [] if one.panels == RECOMMEND else sorted(baselines(results))[:1]
    look = {p: {"color": hues[words], "ls": _dashes(regime[p])} for words in hues for p in one.lines[words]}
    look |= {p: {"color": GREY, "ls": "-", "lw": 1.1} for p in base}
    panels = _panels(results, one)
    size, columns = ((3.6, 3.0), 2) if len(panels) > 1 else ((4.6, 3.2), 1)
    notes = ["Bars right of the curves: the intervals after the last round, in the order of the legend."]
    if HIT_RATIO in panels:
        notes = [f"{notes[0]} Grey line: K = 20 %. Dots: a random ranking."]
    if len(results.meta["seeds"]) == 1:
        notes = [note.split(". ", 1)[1] for note in notes if ". " in note]
    lines = [*notes, *foot(results)]
    figure, axes = grid(len(panels), columns, size, TITLES[one.stem], results, lines, 2.75, outside=False)
    for ax, name in zip(axes, panels, strict=True):
        if name == HIT_RATIO:
            hit_axes(ax, CHANCE)
            _draw(ax, {p: _over_tops(results, p) for p in look}, 100, look)
            ax.set(xlabel="K (% of the ranking)", ylabel="HR@K (% of likes)")
        else:
            _over_rounds(ax, results, name, look)
    handles = [Line2D([], [], color=hue, label=words) for words, hue in hues.items()]
    handles += [Line2D([], [], color=GREY, lw=1.1, label=_base_words(policy, regime[policy])) for policy in base]
    kinds = regimes(results)
    axes[columns - 1].legend(
        handles=[*handles, *kinds], loc="upper left", bbox_to_anchor=(1.04, 1.0), frameon=False, borderaxespad=0
    ).set_in_layout(False)
    return figure


def _dashes(feedback: str) -> Any:
    return FULL if feedback == "full" else "-"


def _base_words(policy: str, feedback: str) -> str:
    return policy if policy.endswith(f"({feedback})") else f"{policy} ({feedback})"


def _over_rounds(ax: Axes, results: Results, name: str, look: Mapping[str, Mapping[str, Any]]) -> None:
    metric = METRICS[name]
    bands = {policy: band for policy in look if (band := _band(results, name, policy)) is not None}
    _draw(ax, bands, scale(metric), look)
    end = max(band.x[-1] for band in bands.values())
    for place, (policy, band) in enumerate(bands.items(), 1):
        low, high = band.low[-1] * scale(metric), band.high[-1] * scale(metric)
        ax.vlines(end * (1.015 + 0.02 * place), low, high, color=look[policy]["color"], ls=look[policy]["ls"], lw=1.4)
    if frame := limits(bands, metric, set()):
        ax.set_ylim(frame[0] * scale(metric), frame[1] * scale(metric))
    ax.set_xlim(0, end * (1.03 + 0.02 * len(bands)))
    thousands(ax, 5)
    ax.set_xticks([tick for tick in ax.get_xticks() if tick <= end])
    ax.set(xlabel="Round", ylabel=axis_title(metric))


def _draw(ax: Axes, bands: Bands, times: float, look: Mapping[str, Mapping[str, Any]]) -> None:
    for policy, band in bands.items():
        ax.plot(band.x, band.mean * times, **{"lw": 1.5, **look[policy]})


def _band(results: Results, name: str, policy: str) -> Band | None:
    rows = results.curves[(results.curves["metric"] == name) & (results.curves["policy"] == policy)]
    values = rows.pivot(index="round", columns="seed", values="value")
    if values.isna().all(axis=None):
        return None
    return Band(
        values.index.to_numpy(), *interval(values.to_numpy().T, results.replicates, bounds=METRICS[name].bounds)
    )


def _over_tops(results: Results, policy: str) -> Band:
    (variant,) = results.variants
    found = [results.finals(variant, f"hr@{top}").get(policy, np.array([math.nan])) for top in TOPS]
    return Band(np.array(TOPS), *interval(np.stack(found, axis=1), results.replicates, bounds=(0.0, 1.0)))
