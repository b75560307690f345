"""Curves with their intervals: which bands are drawn, within which limits, and the drawing of lines and bands."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from lersbench.figures.axes import LESS, set_round_ticks
from lersbench.figures.style import GREY, Look, crowded
from lersbench.metrics import Metric
from lersbench.results.tables import Results

EARLY = 0.05  # share of the rounds in which running means still jump; it hardly sets the limits of the y axis
FIRST_ROUNDS = 0.2  # share of the rounds in which a curve may be decided
FILLED = 0.75  # share of a panel's height above which a band says no more than a note does, and is left out
BANDED = 4  # policies whose bands are drawn, beside the baseline's: more of them make mud


@dataclass(frozen=True)
class Band:
    """One curve: mean and interval over seeds at `x`, in the metric's stored unit. All (points,)."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


Bands = Mapping[str, Band]  # by policy


# Which bands ----------------------------------------------------------------------------------------------------------
def policies_by_value(finals: Mapping[str, float], metric: Metric) -> list[str]:
    """Policies by final value, the best (or the highest) first; those without one last."""
    sign = 1 if metric.better == "lower" else -1
    return sorted(finals, key=lambda p: sign * finals[p] if math.isfinite(finals[p]) else math.inf)


def best_and_baseline(finals: Mapping[str, float], metric: Metric, look: Look) -> set[str]:
    """The policies whose bands and labels are drawn: the best by final value, and the baseline."""
    best = policies_by_value(finals, metric)[:BANDED]
    return {*best, *(policy for policy in finals if look[policy]["color"] == GREY)}


def narrow_bands(
    bands: Bands, metric: Metric, look: Look, candidates: set[str] | None = None
) -> tuple[set[str], set[str]]:
    """The candidates whose band does not fill the whole panel at the end, so that it is drawn; and all candidates.

    The candidates are by default the best policies and the baseline.
    """
    if candidates is None:
        finals = {policy: float(band.mean[-1]) for policy, band in bands.items()}
        candidates = best_and_baseline(finals, metric, look)
    low, high = limits(bands, metric, candidates) or (-math.inf, math.inf)
    width = {policy: bands[policy].high[-1] - bands[policy].low[-1] for policy in candidates}
    narrow = {policy for policy in candidates if not width[policy] > FILLED * (high - low)}  # NaN: nothing is drawn
    return narrow, candidates


def band_note(results: Results, policies: Sequence[str]) -> list[str]:
    """The note on policies without a band, where there are any."""
    if len(policies) <= BANDED + 1:
        return []
    parts = "Bands and labels" if crowded(results) else "Bands"
    return [f"{parts} of the best {BANDED} and the baseline only."]


def typical_half_width(bands: Iterable[Band]) -> float:
    """The typical half-width of the last interval."""
    widths = [(band.high[-1] - band.low[-1]) / 2 for band in bands]
    return float(np.nanmedian(widths)) if np.isfinite(widths).any() else math.nan


def decided_early(bands: Bands) -> bool:
    """Do most curves make most of their way in the first fifth of the rounds? Then these get more room."""
    shares = []
    for band in bands.values():
        steps = np.abs(np.diff(band.mean[band.x >= EARLY * EARLY * band.x[-1]]))  # the first few rounds are luck
        x = band.x[band.x >= EARLY * EARLY * band.x[-1]][1:]
        if np.isfinite(steps).all() and steps.sum() > 0:
            shares.append(steps[x <= FIRST_ROUNDS * band.x[-1]].sum() / steps.sum())
    return bool(shares) and float(np.median(shares)) > 0.5


def set_rounds(ax: Axes, bands: Bands, early: bool, ticks: int) -> None:
    """The axis of rounds: logarithmic where what matters comes `early`."""
    first, last = min(band.x[0] for band in bands.values()), max(band.x[-1] for band in bands.values())
    if early and last >= 100 * first:
        ax.set_xscale("log")
        ax.set_xlim(first, last)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.set_xlim(0, last)
    set_round_ticks(ax, ticks)


# Limits ---------------------------------------------------------------------------------------------------------------
def limits(bands: Bands, metric: Metric, banded: Collection[str]) -> tuple[float, float] | None:
    """Limits of y in the metric's stored unit: every line after the early rounds, and not too much for all the rest.

    Bands (those of `banded` are drawn) and early lines stretch them by a share at most: the funnel of the early bands,
    and an early line far away from all others, may leave the picture.
    """
    end = max(band.x[-1] for band in bands.values())
    means = np.concatenate([band.mean[band.x >= EARLY * end] for band in bands.values()])
    if not np.isfinite(means).any():
        return None
    low, high = np.nanmin(means), np.nanmax(means)
    late = [(band, band.x >= 0.25 * end) for policy, band in bands.items() if policy in banded]
    low, high = _stretched(low, high, [edge[part] for b, part in late for edge in (b.low, b.high)], 0.5)
    low, high = _stretched(low, high, [band.mean for band in bands.values()], 0.35)
    floor = -math.inf if metric.name == LESS.name or low < 0 else 0.0
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
    reach = most * (high - low)
    return max(low - reach, min(low, np.nanmin(values))), min(high + reach, max(high, np.nanmax(values)))


# Drawing --------------------------------------------------------------------------------------------------------------
def draw_bands(ax: Axes, bands: Bands, times: float, look: Look, banded: Collection[str], pale: bool = False) -> None:
    """Lines, and bands for `banded`; all bands lie below all lines, so none of them hides a line.

    `pale`: lines that are not `banded` are thin and light, for figures with so many that they cannot be separated.
    """
    for policy, band in bands.items():
        if policy in banded:
            _draw_band(ax, band, times, look[policy])
        every = max(1, len(band.x) // 10)
        faint: dict[str, Any] = {}
        if pale and policy not in banded:
            faint = {"lw": 0.9, "alpha": 0.55, "zorder": 1.8, "marker": None}
        ax.plot(band.x, band.mean * times, **{**look[policy], "zorder": 2, **faint}, markevery=every, markersize=4)


def _draw_band(ax: Axes, band: Band, times: float, line: Mapping[str, Any]) -> None:
    ax.fill_between(band.x, band.low * times, band.high * times, color=line["color"], alpha=0.16, lw=0, zorder=1)
    if line["linestyle"] != "-":  # another policy has the same hue: the edge says whose band it is
        edge = {"color": line["color"], "ls": line["linestyle"], "lw": 0.7, "zorder": 1.5}
        ax.plot(band.x, np.stack([band.low, band.high], axis=1) * times, **edge)
