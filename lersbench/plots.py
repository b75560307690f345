"""Figures of a run, from its results alone: curves over rounds, HR@K, and a forest plot of the final values.

Every figure is a `Figure` object of its own (pyplot's global state and backend are not touched), and is written as PNG
and as SVG with text kept as text; equal results give equal bytes. A policy looks the same in all figures of a run: its
hue is the policy's name, its dashes tell the hyper-parameters of a sweep apart, the baseline is grey.
"""

from __future__ import annotations

import io
import math
import os
import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lersbench.errors import ConfigError
from lersbench.leaderboard import (
    Results,
    board,
    data_in_words,
    decimals,
    known_metric,
    number,
    own_baseline,
    regime_label,
    scale,
    settings,
    suggestion,
)
from lersbench.metrics import METRICS, Metric
from lersbench.statistics import LEVEL, interval

DPI = 200
POINTS = 200  # points of a curve that are drawn; more cannot be seen
RESAMPLES = 1000  # of the bands; tables use more
EARLY = 0.05  # share of the rounds in which running means still jump; it hardly sets the limits of the y axis
FILLED = 0.75  # share of a panel's height above which a band says no more than a note does, and is left out
BANDED = 4  # policies whose bands are drawn, beside the baseline's: more of them make mud
PAIRS = (  # curves over rounds; two names stand side by side, as published and sound
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
)
SAME = {  # why the two of a pair may be equal, by the first; then one is drawn
    "regret_published": "Equal to the published regret: no policy here stays silent.",
    "hr20_per_round_published": "Equal to the published values: no two scores that matter are tied here.",
}
ONE_RATE = "With one item shown per round, CTR, CTR_sum and set-CTR are the same number, so one of them is drawn."
HIT_RATIO = "Hit ratio HR@K"
RATES = ("ctr_sum", "ctr_set", "ctr")
LESS = replace(METRICS["regret"], name="regret_less")  # the regret less the baseline's
AXES = {  # axis labels that say more than the metric's title
    "ctr_sum": "Clicks per round (CTR_sum)",
    "regret": "Cumulative regret (clicks)",
    "regret_less": "Difference (clicks)",
    "matches": "Matched rounds",
    "entropy": "Entropy of exposure (1 = even)",
    "gini": "Gini index of exposure (0 = even)",
}
HUES = [colour for i, colour in enumerate(sns.color_palette("colorblind")) if i not in (7, 8)]  # not grey, not yellow
GREY = "0.45"
RANDOM: dict[str, Any] = {"color": "0.6", "lw": 0.9, "ls": (0, (2, 2)), "label": "random ranking"}
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (8, 3)))
MARKERS = (None, "o", "s", "^", "D", "v")
STYLE = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("paper"),
    "font.size": 10,
    "axes.labelsize": 10,
    "axes.titlesize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.5,
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "svg.fonttype": "none",  # text stays text: searchable, and set in the reader's font
    "svg.hashsalt": "lersbench",  # else every run would name its clip paths anew
}


@dataclass(frozen=True)
class Band:
    """One curve: mean and interval over seeds at `x`, in the metric's stored unit. All (points,)."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


Bands = Mapping[str, Band]  # by policy


# What is drawn --------------------------------------------------------------------------------------------------------
def curve_bands(results: Results, metrics: Iterable[str], policies: Sequence[str]) -> dict[tuple[str, str], Bands]:
    """The curves over rounds of `policies`, by (variant, metric); a policy without the metric is left out."""
    metrics = set(metrics)
    rows = results.curves[results.curves["metric"].isin(metrics) & results.curves["policy"].isin(policies)]
    found: dict[tuple[str, str], dict[str, Band]] = {}
    for (variant, metric, policy), part in rows.groupby(["variant", "metric", "policy"], sort=False):
        values = part.pivot(index="round", columns="seed", values="value")
        if values.isna().all(axis=None):
            continue
        if len(values) > POINTS:
            values = values.iloc[np.unique(np.linspace(0, len(values) - 1, POINTS).round().astype(int))]
        bounds = METRICS[str(metric)].bounds
        band = interval(values.to_numpy().T, results.replicates, resamples=RESAMPLES, bounds=bounds)
        found.setdefault((str(variant), str(metric)), {})[str(policy)] = Band(values.index.to_numpy(), *band)
    return dict(found)


def regret_less_baseline(results: Results, policies: Sequence[str]) -> dict[tuple[str, str], Bands]:
    """Cumulative regret less that of the baseline, paired by seed; empty where no baseline ran."""
    rows = results.curves[results.curves["metric"] == "regret"]
    found: dict[tuple[str, str], Bands] = {}
    for variant, part in rows.groupby("variant", sort=False):
        values = part.pivot(index="round", columns=["policy", "seed"], values="value")
        feedback, known = results.feedback(str(variant)), set(part["policy"])
        bands = {}
        for policy in (policy for policy in policies if policy in known):
            base = own_baseline(results.scenario.get("baseline"), feedback[policy], known)
            if base not in known:
                continue
            gain = pd.DataFrame(values[policy] - values[base]).dropna(axis=1, how="all")
            if gain.empty:
                continue
            if len(gain) > POINTS:
                gain = gain.iloc[np.unique(np.linspace(0, len(gain) - 1, POINTS).round().astype(int))]
            bands[policy] = Band(
                gain.index.to_numpy(), *interval(gain.to_numpy().T, results.replicates, resamples=RESAMPLES)
            )
        if bands:
            found[str(variant), LESS.name] = bands
    return found


def equal(first: Bands, second: Bands) -> bool:
    """Whether two metrics have the same curves."""
    return first.keys() == second.keys() and all(
        np.allclose(first[policy].mean, second[policy].mean, equal_nan=True) for policy in first
    )


def hit_bands(results: Results, family: str, variant: str, policies: Sequence[str]) -> Bands:
    """Final hit ratio over the share K of the ranking, in percent; `family` is "hr" or "hr_published"."""
    names = {int(m.split("@")[1]): m for m in results.metrics if m.startswith(family + "@")}
    tops = sorted(names)
    tables = {top: results.finals(variant, names[top]) for top in tops}
    found = {}
    for policy in policies:
        if all(policy in tables[top] and not np.isnan(tables[top][policy]).all() for top in tops):
            values = np.stack([tables[top][policy] for top in tops], axis=1)
            band = interval(values, results.replicates, resamples=RESAMPLES, bounds=(0.0, 1.0))
            found[policy] = Band(np.array(tops), *band)
    return found


def chosen(results: Results, policies: Sequence[str] | None) -> list[str]:
    """The labels to draw, in the order of the results; ConfigError for one that was not run."""
    known = list(results.summary["policy"].unique())
    for label in policies or []:
        if label not in known:
            raise ConfigError(f"The run has no policy {label!r}, only {', '.join(known)}.{suggestion(label, known)}")
    return [label for label in known if policies is None or label in policies]


def looks(results: Results) -> dict[str, dict[str, Any]]:
    """Colour, dashes and marker of every policy of the run: hue by name, dashes by hyper-parameters.

    Where there are more names than hues, the second policy of a hue has both other dashes and a marker.
    """
    contenders = results.summary.drop_duplicates("policy")
    baseline = results.scenario.get("baseline")
    known = set(contenders["policy"])
    grey = {own_baseline(baseline, feedback, known) for feedback in contenders["feedback"]}
    found: dict[str, dict[str, Any]] = {}
    hue: dict[str, int] = {}
    taken: dict[int, list[tuple[Any, str | None]]] = {}
    for policy, name in zip(contenders["policy"], contenders["name"], strict=True):
        if policy in grey:
            found[policy] = {"color": GREY, "linestyle": "-", "marker": None}
            continue
        use, colour = divmod(hue.setdefault(name, len(hue)), len(HUES))
        styles = [(dash, marker) for marker in _from(MARKERS, use) for dash in _from(DASHES, use)]
        used = taken.setdefault(colour, [])
        dash, marker = next((style for style in styles if style not in used), styles[0])
        used.append((dash, marker))
        found[policy] = {"color": HUES[colour], "linestyle": dash, "marker": marker}
    return found


def _from(choices: Sequence[Any], start: int) -> list[Any]:
    start %= len(choices)
    return [*choices[start:], *choices[:start]]


# Pieces of a figure ---------------------------------------------------------------------------------------------------
def _grid(
    panels: int,
    columns: int,
    panel: tuple[float, float],
    title: str,
    results: Results,
    notes: Sequence[str],
    beside: float,
) -> tuple[Figure, list[Axes]]:
    """A figure of `panels` axes of the size `panel` (inches), with head and foot, and room `beside` for a legend."""
    columns = min(columns, panels)
    rows = math.ceil(panels / columns)
    said = _run_in_words(results)
    width = max(columns * panel[0] + beside, 0.2 + 0.068 * len(said))
    foot = [line for note in notes for line in textwrap.wrap(note, int(width * 18.7), break_on_hyphens=False)]
    above, below = 0.52, 0.16 + 0.135 * len(foot)
    height = rows * panel[1] + above + below
    layout = ConstrainedLayoutEngine(rect=(0, below / height, 1, 1 - (above + below) / height), w_pad=0.06, h_pad=0.06)
    figure = Figure(figsize=(width, height), layout=layout)
    figure.text(0.08 / width, 1 - 0.08 / height, title, va="top", fontsize=11, fontweight="bold")
    figure.text(0.08 / width, 1 - 0.32 / height, said, va="top", fontsize=9, color="0.3")
    figure.text(0.08 / width, 0.06 / height, "\n".join(foot), va="bottom", fontsize=7, color="0.3", linespacing=1.25)
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(panels)]
    for ax in axes:
        sns.despine(ax=ax)
    return figure, axes


def _run_in_words(results: Results) -> str:
    seeds = len(results.meta["seeds"])
    if len(results.variants) == 1:
        data = data_in_words(results, results.variants[0])
    else:
        first = f"{results.meta['logs'][0]['name']} and others, {len(results.variants)} logs"
        data = ", ".join([first, *settings(results)])
    return f"{results.title} ({data}, {seeds} {'seed' if seeds == 1 else 'seeds'})"


def _notes(results: Results) -> list[str]:
    """The foot of a figure: interval, feedback, whose data it is."""
    seeds, level = len(results.meta["seeds"]), f"{100 * LEVEL:.0f} %"
    kind = {
        "shuffle": f"{level} bootstrap interval over {seeds} orders of arrival",
        "subsample": f"{level} interval from {seeds} random halves of the log (not narrowed by their number)",
        "none": f"{level} bootstrap interval over {seeds} seeds on one fixed log",
    }[results.replicates]
    spread = f"Mean and {kind}." if seeds > 1 else "One seed only, so no interval can be given."
    regimes = sorted(set(results.summary["feedback"]))
    regime = f"Feedback: {regimes[0]}." if len(regimes) == 1 else "Feedback differs as named: compare within a regime."
    logs = results.meta["logs"]
    sources = dict.fromkeys(
        f"{log['attribution'].rstrip('.')}. {_licence(log)}" for log in logs if log.get("attribution")
    )
    return [f"{spread} {regime}", *(f"Data: {source}" for source in sources)]


def _licence(log: Mapping[str, Any]) -> str:
    """The first clause of the licence; the report has the whole of it."""
    return f"{re.split(r';| [(]the', log.get('licence') or 'Licence not stated')[0]}."


def _label(results: Results, policy: str) -> str:
    """The policy's label, with its feedback regime where regimes differ."""
    rows = results.summary.drop_duplicates("policy").set_index("policy")["feedback"]
    named = rows.nunique() == 1 or policy.endswith(f" ({rows[policy]})")
    return policy if named else regime_label(policy, rows[policy])


def _axis_title(metric: Metric) -> str:
    title = AXES.get(metric.name, metric.title).removesuffix(", as published")
    return f"{title} (%)" if metric.unit == "%" else title


def _banded(finals: Mapping[str, float], metric: Metric, look: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The policies whose bands are drawn: the best by final value, and the baseline."""
    return {*_sorted(finals, metric)[:BANDED], *(policy for policy in finals if look[policy]["color"] == GREY)}


def _band_note(policies: Sequence[str]) -> list[str]:
    return [f"Bands of the best {BANDED} and the baseline only."] if len(policies) > BANDED + 1 else []


def _draw(ax: Axes, bands: Bands, times: float, look: Mapping[str, Mapping[str, Any]], banded: Collection[str]) -> None:
    """Lines, and bands for `banded`; all bands lie below all lines, so none of them hides a line."""
    for policy, band in bands.items():
        if policy in banded:
            ax.fill_between(
                band.x, band.low * times, band.high * times, color=look[policy]["color"], alpha=0.16, lw=0, zorder=1
            )
            if look[policy]["linestyle"] != "-":  # another policy has the same hue: the edge says whose band it is
                edge = {"color": look[policy]["color"], "ls": look[policy]["linestyle"], "lw": 0.7, "zorder": 1.5}
                ax.plot(band.x, np.stack([band.low, band.high], axis=1) * times, **edge)
        every = max(1, len(band.x) // 10)
        ax.plot(band.x, band.mean * times, **look[policy], markevery=every, markersize=4, zorder=2)


def _limits(bands: Bands, metric: Metric, banded: Collection[str]) -> tuple[float, float] | None:
    """Limits of y in the metric's stored unit: every line after the early rounds, and not too much for all the rest.

    Bands and early lines stretch them by a share at most: the funnel of the early bands, and an early line far away
    from all others, may leave the picture.
    """
    end = max(band.x[-1] for band in bands.values())
    means = np.concatenate([band.mean[band.x >= EARLY * end] for band in bands.values()])
    if not np.isfinite(means).any():
        return None
    low, high = np.nanmin(means), np.nanmax(means)
    wide = [(band, band.x >= 0.25 * end) for policy, band in bands.items() if policy in banded]
    low, high = _stretched(low, high, [edge[keep] for b, keep in wide for edge in (b.low, b.high)], 0.5)
    low, high = _stretched(low, high, [band.mean for band in bands.values()], 0.35)
    floor = -math.inf if metric is LESS else 0.0
    low = 0.0 if floor == 0 and low < 0.3 * high else low  # near enough to zero to show it
    margin = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = max(low - margin, floor), high + margin
    if metric.unit == "%":
        high = min(high, 1.02)
    return low, high


def _stretched(low: float, high: float, parts: Sequence[np.ndarray], most: float) -> tuple[float, float]:
    """`low` and `high` moved outwards to hold `parts`, each by no more than the share `most` of their distance."""
    values = np.concatenate(parts) if parts else np.empty(0)
    if not np.isfinite(values).any():
        return low, high
    room = most * (high - low)
    return max(low - room, min(low, np.nanmin(values))), min(high + room, max(high, np.nanmax(values)))


def _thousands(ax: Axes, ticks: int) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    if max(map(abs, ax.get_ylim())) >= 1000:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}".replace("-", "\N{MINUS SIGN}")))


def _legend(
    ax: Axes, results: Results, order: Sequence[str], values: Mapping[str, str], more: Sequence[Line2D] = ()
) -> None:
    """The legend to the right of `ax`: policies in `order`, with the final values where they are given, then `more`."""
    look = looks(results)
    lines = [Line2D([], [], **look[policy], markersize=4) for policy in order] + list(more)
    labels = [_label(results, p) + (f"  {values[p]}" if p in values else "") for p in order]
    labels += [str(line.get_label()) for line in more]
    ax.legend(
        lines,
        labels,
        loc="upper left",
        bbox_to_anchor=(1.02, 1.03),
        frameon=False,
        handlelength=2.6,
        borderaxespad=0,
        labelspacing=0.35,
    )


def _sorted(finals: Mapping[str, float], metric: Metric) -> list[str]:
    """Policies by final value, the best (or the highest) first; those without one last."""
    sign = 1 if metric.better == "lower" else -1
    return sorted(finals, key=lambda p: sign * finals[p] if math.isfinite(finals[p]) else math.inf)


def _room(results: Results, policies: Sequence[str]) -> float:
    """Inches a legend of `policies` needs beside the axes."""
    return 0.95 + 0.075 * max(14, *(len(_label(results, policy)) for policy in policies))


# Figures --------------------------------------------------------------------------------------------------------------
def curves(results: Results, names: Sequence[str], bands: Mapping[tuple[str, str], Bands]) -> Figure:
    """The metrics `names` over rounds, side by side (the last is the sound one); with variants, a panel for each."""
    variants, title, notes = results.variants, _known(names[-1]).title, list[str]()
    if (
        names[0] in SAME
        and len(names) > 1
        and all(equal(bands.get((v, names[0]), {}), bands.get((v, names[1]), {})) for v in variants)
    ):
        notes, names = [SAME[names[0]]], names[1:]
    if names[0] in RATES and one_item_slates(results):
        notes = [ONE_RATE]
    panels = [(variant, name) for variant in variants for name in names if bands.get((variant, name))]
    metric = _known(names[-1])
    shown = list(dict.fromkeys(policy for panel in panels for policy in bands[panel]))
    look = looks(results)
    fitting = {panel: _fitting(bands[panel], _known(panel[1]), look) for panel in panels}
    if any(narrow != wanted for narrow, wanted in fitting.values()):
        notes.insert(0, "Bands that would fill their panel are left out; the final values have all intervals.")
    notes = [" ".join([*_band_note(shown), *notes])] if notes or _band_note(shown) else []
    alone = len(panels) == 1
    size = (4.9, 3.4) if alone else (3.7, 3.2) if len(variants) == 1 else (2.9, 2.3)
    columns = len(names) if len(names) > 1 else 3
    figure, axes = _grid(len(panels), columns, size, title, results, [*notes, *_notes(results)], _room(results, shown))
    for i, (ax, (variant, name)) in enumerate(zip(axes, panels, strict=True)):
        drawn, one = bands[variant, name], _known(name)
        narrow, wanted = fitting[variant, name]
        _draw(ax, drawn, scale(one), look, narrow)
        if frame := _limits(drawn, one, wanted):
            ax.set_ylim(frame[0] * scale(one), frame[1] * scale(one))
        ax.set_xlim(0, max(band.x[-1] for band in drawn.values()))
        _thousands(ax, 6 if len(variants) == 1 else 4)
        if i + columns >= len(panels):
            ax.set_xlabel("Round")
        if i % columns == 0 or len(names) > 1:
            ax.set_ylabel(_axis_title(one))
        heads = [variant] if variant else []
        if len(names) > 1:
            heads.append(_panel_title(results, names, name))
        if heads:
            ax.set_title(", ".join(heads), loc="left", fontsize=10 if len(variants) == 1 else 9)
    finals = {
        p: float(np.mean([bands[v, names[-1]][p].mean[-1] for v in variants if p in bands[v, names[-1]]]))
        for p in shown
    }
    values = {}
    if alone:
        digits = decimals(_typical(bands[panels[0]].values()) * scale(metric), metric)
        values = {p: number(x * scale(metric), min(digits, 3)) for p, x in finals.items()}
    _legend(axes[min(columns, len(axes)) - 1], results, _sorted(finals, metric), values)
    return figure


def _fitting(bands: Bands, metric: Metric, look: Mapping[str, Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """The policies whose bands are drawn, and those whose would be if none filled the whole panel at the end."""
    wanted = _banded({policy: float(band.mean[-1]) for policy, band in bands.items()}, metric, look)
    low, high = _limits(bands, metric, wanted) or (-math.inf, math.inf)
    width = {policy: bands[policy].high[-1] - bands[policy].low[-1] for policy in wanted}
    return {policy for policy in wanted if not width[policy] > FILLED * (high - low)}, wanted  # NaN: nothing is drawn


def _known(name: str) -> Metric:
    return LESS if name == LESS.name else METRICS[name]


def _panel_title(results: Results, names: Sequence[str], name: str) -> str:
    if name == LESS.name:
        return f"Cumulative regret less that of {results.scenario['baseline']}"
    return METRICS[name].title + (" (sound)" if name == names[-1] else "")


def _typical(bands: Iterable[Band]) -> float:
    """The typical half-width of the last interval."""
    widths = [(band.high[-1] - band.low[-1]) / 2 for band in bands]
    return float(np.nanmedian(widths)) if np.isfinite(widths).any() else math.nan


def hit_ratio(results: Results, policies: Sequence[str]) -> Figure:
    """Final HR@K over K, as published and sound, with the line of a random ranking and a mark at 20 %."""
    families = [f for f in ("hr_published", "hr") if any(m.startswith(f + "@") for m in results.metrics)]
    panels = [(variant, family) for variant in results.variants for family in families]
    drawn = {panel: hit_bands(results, panel[1], panel[0], policies) for panel in panels}
    shown = list(dict.fromkeys(policy for bands in drawn.values() for policy in bands))
    figure, axes = _grid(
        len(panels),
        len(families),
        (3.7, 3.5),
        HIT_RATIO,
        results,
        [*_band_note(shown), *_notes(results)],
        _room(results, shown),
    )
    look = looks(results)
    for ax, (variant, family) in zip(axes, panels, strict=True):
        ax.axvline(20, color="0.8", lw=0.8, zorder=0)
        ax.plot([0, 100], [0, 100], **RANDOM, zorder=0)
        at_mark = {policy: float(band.mean[band.x == 20].sum()) for policy, band in drawn[variant, family].items()}
        _draw(ax, drawn[variant, family], 100, look, _banded(at_mark, METRICS["hr@20"], look))
        ax.set(xlim=(0, 100), ylim=(0, 101), xticks=range(0, 101, 20), xlabel="K (% of the ranking)")
        ax.set_ylabel("HR@K (% of likes)")
        protocol = "as published: ties in file order" if family == "hr_published" else "sound: ties in expectation"
        ax.set_title(f"{variant}, {protocol}" if variant else protocol, loc="left", fontsize=9 if variant else 10)
    sound = [drawn[variant, families[-1]] for variant in results.variants]
    finals = {p: float(np.mean([bands[p].mean[bands[p].x == 20] for bands in sound if p in bands])) for p in shown}
    _legend(axes[len(families) - 1], results, _sorted(finals, METRICS["hr@20"]), {}, [Line2D([], [], **RANDOM)])
    return figure


def forest(results: Results, name: str, policies: Sequence[str]) -> Figure:
    """Final values of the metric `name` with their intervals, best on top, and the rank range of each policy."""
    metric = known_metric(results, name)
    frame = board(results, name, [], None).frame if metric.better != "neither" else _unranked(results, metric)
    frame = frame[frame["policy"].isin(policies)]
    counts = frame.groupby("variant")["policy"].size()
    size = (4.6 if len(counts) == 1 else 3.4, 0.75 + 0.235 * counts.max())
    figure, axes = _grid(
        len(counts),
        3,
        size,
        f"{metric.title}, final values",
        results,
        [*_notes(results), *_rank_note(metric)],
        0.4,
    )
    look = looks(results)
    for ax, variant in zip(axes, results.variants, strict=True):
        rows = frame[frame["variant"] == variant]
        shown = (rows[["mean", "low", "high"]] * scale(metric)).to_numpy()
        for y, (policy, rank, (mean, low, high)) in enumerate(zip(rows["policy"], rows["rank"], shown, strict=True)):
            colour = look[policy]["color"]
            ax.plot([low, high], [y, y], color=colour, lw=1.8, solid_capstyle="butt")
            ax.plot(mean, y, "o", color=colour, markersize=5)
            ax.text(1.02, y, rank, transform=ax.get_yaxis_transform(), va="center", fontsize=9, color="0.3")
        ax.set_yticks(range(len(rows)), [_label(results, policy) for policy in rows["policy"]])
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color="0.92", lw=0.8)
        ax.set_axisbelow(True)
        ax.set_xlabel(_axis_title(metric))
        ax.set_title(variant, loc="right", fontsize=9)  # the axes are narrow: to the left it has the labels' room
        if metric.better != "neither" and len(counts) == 1:
            ax.text(1.02, -0.75, "rank", transform=ax.get_yaxis_transform(), va="bottom", fontsize=9, color="0.3")
    return figure


def _rank_note(metric: Metric) -> list[str]:
    return (
        []
        if metric.better == "neither"
        else ["At the right the best and the worst rank that the data allow (paired t tests, Holm's correction, 5 %)."]
    )


def _unranked(results: Results, metric: Metric) -> pd.DataFrame:
    """The rows of a forest plot for a metric that is neither better high nor low, the highest on top."""
    rows = [
        {
            "variant": variant,
            "policy": policy,
            "rank": "",
            **interval(values, results.replicates, bounds=metric.bounds)._asdict(),
        }
        for variant in results.variants
        for policy, values in results.finals(variant, metric.name).items()
    ]
    return pd.DataFrame(rows).sort_values("mean", ascending=False, kind="stable")


# Files ----------------------------------------------------------------------------------------------------------------
def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write `figure` as PNG and SVG into `folder`; each file appears whole or not at all."""
    paths = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        content = io.BytesIO()
        figure.savefig(content, format=kind, dpi=DPI, metadata=metadata)
        figure.set_layout_engine("none")  # laid out once, by the first of the two
        path = folder / f"{stem}.{kind}"
        unfinished = path.with_name(f".{path.name}.partial")
        unfinished.write_bytes(content.getvalue())
        os.replace(unfinished, path)
        paths.append(path)
    return paths


def draw_all(
    results: Results, folder: str | Path, metrics: Sequence[str] | None = None, policies: Sequence[str] | None = None
) -> list[Path]:
    """Draw the figures of a run into `folder` and return their paths, PNG and SVG.

    By default: every curve that was measured, HR@K over K, and the forest plot of the leaderboard's metric. With
    `metrics`, the curve and the forest plot of each of those; with `policies` (labels) only those contenders. Raises
    ConfigError for a metric or policy that the run does not have.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    policies = chosen(results, policies)
    groups = _groups(results) if metrics is None else [(known_metric(results, name).name,) for name in metrics]
    paths = []
    with matplotlib.rc_context(STYLE):
        for stem, draw in _figures(results, groups, metrics, policies):
            paths += save(draw(), folder, stem)
    return paths


def _figures(
    results: Results, groups: Sequence[tuple[str, ...]], metrics: Sequence[str] | None, policies: Sequence[str]
) -> list[tuple[str, Callable[[], Figure]]]:
    """File name and maker of every figure asked for."""
    bands = curve_bands(results, {name for group in groups for name in group}, policies)
    if any("regret" in group for group in groups) and (less := regret_less_baseline(results, policies)):
        bands |= less
        groups = [(*group, LESS.name) if group == ("regret",) else group for group in groups]
    forests = metrics if metrics is not None else [results.scenario["leaderboard"]]
    found: list[tuple[str, Callable[[], Figure]]] = [
        (_stem("final", name), partial(forest, results, name, policies)) for name in forests
    ]
    for group in groups:
        if any(bands.get((variant, name)) for variant in results.variants for name in group):
            found.append((_stem("curve", _named_after(group)), partial(curves, results, group, bands)))
    if metrics is None and "hr@20" in results.metrics:
        found.append(("hit-ratio", partial(hit_ratio, results, policies)))
    return found


def _stem(kind: str, name: str) -> str:
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}"


def _named_after(group: Sequence[str]) -> str:
    return "regret" if group[-1] == LESS.name else group[-1]


def figure_title(stem: str) -> str:
    """The title of the figure in the files `stem`.png and .svg."""
    kind = stem.partition("-")[0]
    for name, metric in METRICS.items():
        if stem == _stem(kind, name):
            return metric.title if kind == "curve" else f"{metric.title}, final values"
    if stem == "hit-ratio":
        return HIT_RATIO
    raise ConfigError(f"No figure of lersbench is called {stem!r}.")


def _groups(results: Results) -> list[tuple[str, ...]]:
    """The curves to draw of a run: PAIRS as far as measured, and the leaderboard's metric."""
    groups = [tuple(name for name in pair if name in results.metrics) for pair in PAIRS]
    groups = [group for group in groups if group]
    if not any(results.scenario["leaderboard"] in group for group in groups):
        groups.insert(0, (known_metric(results, results.scenario["leaderboard"]).name,))
    if one_item_slates(results):  # then the three click rates are one
        kept = results.scenario["leaderboard"] if results.scenario["leaderboard"] in RATES else "ctr_sum"
        groups = [group for group in groups if group[0] not in RATES or group[0] == kept]
    return groups


def one_item_slates(results: Results) -> bool:
    """Whether clicks per round and clicks per position agree in every contender."""
    if not {"ctr", "ctr_sum"} <= set(results.metrics):
        return False
    wide = results.summary.pivot(index=["variant", "policy", "seed"], columns="metric", values="value")
    return bool(np.allclose(wide["ctr"], wide["ctr_sum"], equal_nan=True))
