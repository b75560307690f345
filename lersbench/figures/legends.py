"""Legends beside a figure, and labels at the ends of its lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lersbench.families import PATTERNS
from lersbench.figures.style import crowded, looks, policy_families
from lersbench.results.tables import Results, regime_label

CROWD_SIZE = 7.5  # points of the legend of a crowd


def label(results: Results, policy: str) -> str:
    """The policy's label, with its feedback regime where regimes differ within a variant."""
    if not results.mixed:
        return policy
    regime = str(results.contenders.set_index("policy").loc[policy, "feedback"])
    return regime_label(results.entries[policy], regime)


# Legends --------------------------------------------------------------------------------------------------------------
def draw_legend(
    ax: Axes,
    results: Results,
    order: Sequence[str],
    values: Mapping[str, str],
    more: Sequence[Line2D] = (),
    at: float = 1.02,
) -> None:
    """The legend to the right of `ax`: policies in `order`, with their final `values` if any, then `more`.

    It begins at the share `at` of the axes' width. A crowd is grouped by family, each under its name, and stands to the
    right of the whole figure.
    """
    look = looks(results)
    lines = [Line2D([], [], **look[policy], markersize=4) for policy in order]
    labels = [label(results, policy) + (f"  {values[policy]}" if policy in values else "") for policy in order]
    if crowded(results):
        _draw_crowd_legend(ax, results, order, lines, labels, more)
        return
    ax.legend(
        [*lines, *more],
        [*labels, *(str(line.get_label()) for line in more)],
        loc="upper left",
        bbox_to_anchor=(at, 1.03),
        frameon=False,
        handlelength=2.6,
        borderaxespad=0,
        labelspacing=0.35,
    )


def _draw_crowd_legend(
    ax: Axes,
    results: Results,
    order: Sequence[str],
    lines: Sequence[Line2D],
    labels: Sequence[str],
    more: Sequence[Line2D],
) -> None:
    families, figure = policy_families(results), ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    group_of = {policy: families.get(policy, "baseline") for policy in order}
    handles: list[Line2D] = []
    texts: list[str] = []
    for group in dict.fromkeys(group_of[policy] for policy in order):
        places = [i for i, policy in enumerate(order) if group_of[policy] == group]
        handles += [Line2D([], [], lw=0), *(lines[i] for i in places)]
        texts += [group, *(labels[i] for i in places)]
    legend = figure.legend(
        [*handles, *more],
        [*texts, *(str(line.get_label()) for line in more)],
        loc="upper right",
        bbox_to_anchor=(1.0, 1 - 0.45 / figure.get_figheight()),
        frameon=False,
        handlelength=2.6,
        labelspacing=0.2,
        fontsize=CROWD_SIZE,
    )
    legend.set_in_layout(False)
    for text, line in zip(legend.get_texts(), handles, strict=False):
        if line.get_linewidth() == 0:
            text.set(fontweight="bold", color="0.3")


def crowd_legend_height(results: Results) -> float:
    """Inches the legend of a crowd needs."""
    return 0.4 + (len(results.contenders) + len(PATTERNS) + 1) * CROWD_SIZE / 72 * 1.3


def legend_width(results: Results, policies: Sequence[str]) -> float:
    """Inches a legend of `policies` needs beside the axes."""
    return 0.95 + 0.075 * max(14, *(len(label(results, policy)) for policy in policies))


# Labels at the ends of lines ------------------------------------------------------------------------------------------
def draw_end_labels(ax: Axes, texts: Mapping[str, tuple[float, str, Any]], height: float, size: float = 7) -> None:
    """Labels (y, text, colour) to the right of `ax`, moved apart where they would overlap.

    `height` is that of the axes in inches; the limits of y must have been set.
    """
    low, high = ax.get_ylim()
    if ax.get_yscale() == "log":
        low, high = math.log(low), math.log(high)
    gap = 1.25 * size / 72 / height
    ends = []
    for policy, (y, _, _) in texts.items():
        value = math.log(y) if ax.get_yscale() == "log" else y
        ends.append((min(max((value - low) / (high - low), 0.0), 1.0), policy))
    ends.sort()
    for (at, policy), (end, _) in zip(_inside(move_apart(ends, gap), gap), ends, strict=True):
        _, text, colour = texts[policy]
        link = {"arrowstyle": "-", "color": colour, "lw": 0.6, "shrinkA": 0, "shrinkB": 0, "relpos": (0.0, 0.5)}
        ax.annotate(
            text,
            (1.0, end),
            (1.03, at),
            xycoords="axes fraction",
            textcoords="axes fraction",
            arrowprops=link if abs(at - end) > 0.3 * gap else None,
            va="center",
            fontsize=size,
            color=colour,
        )


def move_apart(places: Sequence[tuple[float, str]], gap: float) -> list[tuple[float, str]]:
    """Ascending places moved to be at least `gap` apart, each group about its own middle."""
    groups: list[tuple[list[str], float]] = []  # names, and the sum of their places less their offsets in the group
    for at, name in places:
        groups.append(([name], at))
        while len(groups) > 1 and _top(groups[-2], gap) + gap > _bottom(groups[-1], gap):
            names, total = groups.pop()
            first, before = groups.pop()
            groups.append((first + names, before + total - gap * len(first) * len(names)))
    return [(_bottom(group, gap) + i * gap, name) for group in groups for i, name in enumerate(group[0])]


def _inside(places: Sequence[tuple[float, str]], gap: float) -> list[tuple[float, str]]:
    """Ascending places moved down so far that the highest lies within the axes: above them stands a title."""
    moved, ceiling = [], 1.0
    for at, name in reversed(places):
        moved.append((min(at, ceiling), name))
        ceiling = moved[-1][0] - gap
    return moved[::-1]


def _bottom(group: tuple[list[str], float], gap: float) -> float:
    return group[1] / len(group[0])


def _top(group: tuple[list[str], float], gap: float) -> float:
    return _bottom(group, gap) + gap * (len(group[0]) - 1)
