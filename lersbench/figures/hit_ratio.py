"""Final hit ratios HR@K over the share K of the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lersbench.figures import headline
from lersbench.figures.bands import (
    Bands,
    band_note,
    best_and_baseline,
    draw_bands,
    policies_by_value,
)
from lersbench.figures.curve_values import hit_bands
from lersbench.figures.frame import drawn_cases, footer, grid
from lersbench.figures.legends import draw_legend, legend_width
from lersbench.figures.style import Look, looks
from lersbench.metrics import METRICS
from lersbench.results.tables import Results

HIT_RATIO = "Hit ratio HR@K"
HIT_RATIOS = {"hit-ratio": HIT_RATIO, "hit-ratio-published": f"{HIT_RATIO}, as published: ties in file order"}
RANDOM: dict[str, Any] = {"color": "0.6", "lw": 0.9, "ls": (0, (2, 2)), "label": "random ranking"}


def hit_ratio(results: Results, policies: Sequence[str]) -> Figure:
    """Final HR@K over K, as published and sound, with the line of a random ranking and a mark at 20 %."""
    families = [f for f in ("hr_published", "hr") if any(m.startswith(f + "@") for m in results.metrics)]
    panels = [(case.variant, family) for case in drawn_cases(results) for family in families]
    bands = {panel: hit_bands(results, panel[1], panel[0], policies) for panel in panels}
    labels = list(dict.fromkeys(policy for part in bands.values() for policy in part))
    notes, beside = [*band_note(results, labels), *footer(results)], legend_width(results, labels)
    marks = {p: float(band.mean[band.x == 20].sum()) for p, band in bands[panels[-1]].items()}
    finding = headline.of_metric(results, "hr@20", marks) if families[-1] == "hr" else ""
    figure, axes = grid(len(panels), len(families), (3.7, 3.5), HIT_RATIO, results, notes, beside, finding=finding)
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
