"""The figure of what click models say of a log: examination, user browsing weights, last clicks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lersbench.figures.style import GREY, HUES, STYLE

LABELS = {"pbm": "position-based", "ubm": "user browsing, no click above"}
WIDE = 14  # positions up to which the heat map has room for numbers


def figure(facts: dict[str, Any]) -> Figure:
    """Examination over positions, the user browsing weights where fitted, and the last clicks, side by side."""
    parts = panels(facts)
    with matplotlib.rc_context(STYLE):
        picture = Figure(figsize=(4.3 * len(parts), 3.9), layout="constrained")
        for ax, draw in zip(np.atleast_1d(picture.subplots(1, len(parts))), parts, strict=True):
            draw(ax, facts)
        picture.suptitle(f"{facts['log']}: {facts['records']:,} records of {facts['positions']} positions", fontsize=11)
    return picture


def panels(facts: dict[str, Any]) -> list[Callable[[Axes, dict[str, Any]], None]]:
    """The functions that draw the panels of `facts` (those of `facts.summary`); each takes an axes and these."""
    return [_draw_examination, *([_draw_weights] if "ubm" in facts["models"] else []), _draw_last_clicks]


def _draw_examination(ax: Axes, facts: dict[str, Any]) -> None:
    """Weights over positions: fitted, and true where the log knows."""
    at = np.arange(1, facts["positions"] + 1)
    if facts["true_weights"]:
        ax.plot(
            at, [row[0] for row in facts["true_weights"]], color=GREY, lw=4, alpha=0.45, label="true, no click above"
        )
    if facts["unexamined_by_position"]:
        examined = 1.0 - np.array(facts["unexamined_by_position"])
        if examined[0] > 0:
            ax.plot(at, examined / examined[0], color=GREY, lw=1.2, ls=(0, (1.2, 1.2)), label="share truly examined")
    for hue, marker, (name, model) in zip(HUES, "os", facts["models"].items(), strict=False):
        weights = np.array(model["weights"], dtype=float)  # None, of a cell without data, becomes NaN
        ax.plot(at, weights if name == "pbm" else weights[:, 0], marker + "-", ms=4, color=hue, label=LABELS[name])
    ax.set_ylim(0, max(1.05, ax.get_ylim()[1]))
    ax.set(xlabel="Position", ylabel="Examination (first position = 1)")
    ax.set_title("Examination", loc="left")
    _set_ticks(ax, facts["positions"])
    ax.legend(frameon=False)
    sns.despine(ax=ax)


def _draw_weights(ax: Axes, facts: dict[str, Any]) -> None:
    """The triangle of user browsing weights, in numbers where they have room."""
    length = facts["positions"]
    weights = np.array(facts["models"]["ubm"]["weights"], dtype=float)[:, :length]
    triangle = np.where(np.tri(length, length, dtype=bool), weights, np.nan)
    top = np.nanmax(triangle)
    ax.imshow(triangle, cmap="cividis", vmin=0.0, vmax=top, aspect="auto", interpolation="nearest")
    if length <= WIDE:
        for k in range(length):
            for j in range(k + 1):
                dark = weights[k, j] <= 0.55 * top
                words = "-" if np.isnan(weights[k, j]) else f"{weights[k, j]:.2f}"
                ax.text(j, k, words, ha="center", va="center", fontsize=6, color="white" if dark else "black")
    step = 1 if length <= WIDE else -(-length // 10)
    ax.set_xticks(range(0, length, step), ["none", *map(str, range(1, length))][::step])
    ax.set_yticks(range(0, length, step), [str(k + 1) for k in range(0, length, step)])
    ax.tick_params(length=0, labelsize=8)
    ax.set(xlabel="Last click above", ylabel="Position")
    ax.set_title("User browsing weights", loc="left")
    sns.despine(ax=ax, left=True, bottom=True)


def _draw_last_clicks(ax: Axes, facts: dict[str, Any]) -> None:
    """Where the last click is, and the share of displays below it at each position."""
    at = np.arange(1, facts["positions"] + 1)
    shares = np.array(facts["last_click"])
    below = np.cumsum(shares) - shares
    ax.bar(at, 100 * shares, color=HUES[0], alpha=0.75, width=0.8, label="last click is here")
    ax.plot(at, 100 * below, "o-", ms=4, color=HUES[1], label="last click is above")
    ax.set_ylim(0, 105)
    ax.set(xlabel="Position", ylabel="Share of records with a click (%)")
    exact = facts["unexamined"]
    words = f"{facts['pseudo_exposed']:.0%} of displays are below the last click"
    ax.set_title(words + (f",\n{exact['with_click']:.0%} were truly not examined" if exact else ""), loc="left")
    _set_ticks(ax, facts["positions"])
    ax.legend(frameon=False, loc="upper left")
    sns.despine(ax=ax)


def _set_ticks(ax: Axes, length: int) -> None:
    ax.set_xticks(range(1, length + 1, 1 if length <= WIDE else -(-length // 10)))
    ax.set_xlim(0.4, length + 0.6)
