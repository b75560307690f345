"""Figures of a laboratory experiment, from its results alone."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lersbench.distributions import LEVEL
from lersbench.figures.frame import Frame
from lersbench.figures.records import Plan, Record, draw_plans
from lersbench.figures.style import GREY, HUES
from lersbench.results.lab import CELLS, EXPLAINED, LENGTHS, METHODS, LabResults, cell_name

TITLES = {
    "cells-loss": "Training and test loss of the recurrent cells",
    "cells-accuracy": "Next streamer predicted from the last orders: accuracy on customers not trained on",
    "lengths-loss": "Training and test loss by length of the sequence",
    "lengths-final": "How much of the past to read: test values after the last epoch",
    "codes-loss": "Reconstruction of the context by epoch",
    "codes-size": "Reconstruction of the context by size of the code",
    "codes-map": "Codes in two dimensions, coloured by the next streamer",
}
TRAIN = (0, (3, 1.5))  # dashes of training curves
RULE_DASHES: tuple[Any, ...] = ((0, (1, 1.5)), TRAIN, "-", (0, (6, 1.5, 1, 1.5)))  # of the simple rules
LENGTH_TITLES = {"streamer": "Next streamer", "basket": "Next basket"}
CUSTOMERS = {"own": "each length on the customers it has", "same": "all lengths on the same customers"}
LINES = [Line2D([], [], color=GREY, ls="-", label="test"), Line2D([], [], color=GREY, ls=TRAIN, label="training")]


# Files ----------------------------------------------------------------------------------------------------------------
def draw_all(results: LabResults, folder: str | Path) -> list[Record]:
    """Draw all figures of a run into `folder`; return their records, which are kept there too."""
    makers: dict[str, dict[str, Callable[[LabResults], Figure]]] = {
        "cells": {"cells-loss": cells_loss, "cells-accuracy": cells_accuracy},
        "lengths": {"lengths-loss": lengths_loss, "lengths-final": lengths_final},
        "codes": {"codes-loss": codes_loss, "codes-size": codes_size, "codes-map": codes_map},
    }
    plans = [
        Plan(stem, TITLES[stem], results.kind, (), partial(make, results))
        for stem, make in makers[results.kind].items()
    ]
    return draw_plans(plans, folder, results)


# The frame ------------------------------------------------------------------------------------------------------------
def _grid(
    results: LabResults,
    stem: str,
    panels: int,
    columns: int,
    panel: tuple[float, float],
    notes: Sequence[str],
    beside: float = 0.0,
) -> tuple[Figure, list[Axes]]:
    """A figure with `panels` axes of the size `panel` (inches), with room `beside` for a legend."""
    columns = min(columns, panels)
    subtitle = run_in_words(results)
    width = max(columns * panel[0] + beside, 0.2 + 0.072 * len(subtitle))
    height = math.ceil(panels / columns) * panel[1]
    return Frame(TITLES[stem], [subtitle], notes, width, height, beside).figure(panels, columns)


def run_in_words(results: LabResults) -> str:
    data, seeds = results.meta["data"], len(results.meta["seeds"])
    return f"{data['name']}, {data['customers']:,} customers with 6 orders or more, {_plural(seeds, 'seed')}"


def footer(results: LabResults, intervals: bool = True) -> list[str]:
    """Below a figure: what the seeds are, and whose data it is; `intervals`: are they drawn?"""
    seeds, split = len(results.meta["seeds"]), results.experiment["training"]["split"]
    kind = f"mean and {LEVEL:.0%} t interval" if intervals else "mean"
    spread = f"{kind} over {seeds} seeds" if seeds > 1 else "one seed, so no interval"
    seed = f"A seed is a split of the customers ({split:.0%} to train on) and first weights: {spread}."
    data = results.meta["data"]
    licence = re.split(r";| [(]the", data["licence"])[0]
    return [seed, f"Data: {data['attribution'].rstrip('.')}. {licence}."]


def _plural(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def _draw_legend(ax: Axes, handles: Sequence[Any]) -> None:
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0)}
    legend = ax.legend(handles=list(handles), **place, frameon=False, borderaxespad=0)
    legend.set_in_layout(False)


def _draw_losses(ax: Axes, results: LabResults, labels: Mapping[str, Any], metric: str) -> None:
    """Test and training curves of some settings, each in its colour."""
    for label, colour in labels.items():
        for part, dashes in (("test", "-"), ("train", TRAIN)):
            curve = results.curve(label, f"{part}_{metric}")
            single: dict[str, Any] = {"marker": "o", "markersize": 4} if len(curve) == 1 else {}
            ax.plot(curve.index, curve, color=colour, ls=dashes, lw=1.5 if part == "test" else 1.1, **single)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set_xlabel("Epoch")


# Cells ----------------------------------------------------------------------------------------------------------------
def cells_loss(results: LabResults) -> Figure:
    """A panel a cell: cross-entropy by epoch of the plain, the bidirectional and the Bayesian one."""
    cells = list(dict.fromkeys(params["cell"] for params in results.settings.values()))
    kinds = list(dict.fromkeys(_kind(params) for params in results.settings.values()))
    hue = dict(zip(kinds, HUES, strict=False))
    notes = ["Cross-entropy of the next streamer. A Bayesian cell is measured with one draw of its weights."]
    figure, axes = _grid(results, "cells-loss", len(cells), 3, (2.6, 2.7), [*notes, *footer(results, False)], 1.35)
    for ax, cell in zip(axes, cells, strict=True):
        colours = {label: hue[_kind(params)] for label, params in results.settings.items() if params["cell"] == cell}
        _draw_losses(ax, results, colours, "loss")
        ax.set_title(cell.upper(), loc="left")
    axes[0].set_ylabel("Cross-entropy")
    _share_limits(axes)
    _draw_legend(axes[-1], [*(Line2D([], [], color=hue[kind], label=kind) for kind in kinds), *LINES])
    return figure


def _kind(params: Mapping[str, Any]) -> str:
    words = [word for key, word in (("bidirectional", "bidirectional"), ("bayesian", "Bayesian")) if params[key]]
    return " ".join(words) or "plain"


def cells_accuracy(results: LabResults) -> Figure:
    """Bars from 0 with the simple rules beside them; and the same from near, with intervals and published values."""
    rows = list(results.settings.items())
    kinds = list(dict.fromkeys(_kind(params) for _, params in rows))
    hue = dict(zip(kinds, HUES, strict=False))
    rules = results.meta["rules"]["by_setting"][rows[0][0]]
    notes = [
        "Right: the same values enlarged; small dots are seeds, bars intervals (cut where they leave the panel). "
        "Published values are of the study's own data and one seed: they stand beside, and are no goal."
    ]
    size = (3.2, 1.0 + 0.25 * len(rows))
    figure, axes = _grid(results, "cells-accuracy", 2, 2, size, [*notes, *footer(results)], 2.9)
    whole, near = axes
    handles: list[Any] = []
    for (rule, value), dashes in zip(sorted(rules.items(), key=lambda r: r[1]), RULE_DASHES, strict=False):
        handles.append(Line2D([], [], color="0.3", ls=dashes, lw=1.2, label=f"{rule}  {100 * value:.1f} %"))
        for ax in axes:
            ax.axvline(100 * value, color="0.3", ls=dashes, lw=1.2, zorder=3)
    _draw_accuracies(whole, near, results, hue, 100 * max(rules.values()))
    for ax in axes:
        ax.set_yticks(range(len(rows)), [cell_name(params) for _, params in rows])
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel("Accuracy (%)")
    whole.set_xlim(0, 100)
    whole.set_title("From zero", loc="left", fontsize=9)
    near.set_title("Enlarged", loc="left", fontsize=9)
    near.grid(axis="x", color="0.92", lw=0.8)
    near.set_axisbelow(True)
    marks = [Line2D([], [], color=hue[kind], lw=5, label=kind) for kind in kinds]
    published = Line2D([], [], ls="", marker="D", mfc="none", mec="0.3", ms=4.5, label="published")
    head = Line2D([], [], lw=0, label="Rules without learning:")
    _draw_legend(near, [*marks, published, head, *reversed(handles)])
    return figure


def _draw_accuracies(whole: Axes, near: Axes, results: LabResults, hue: Mapping[str, Any], best: float) -> None:
    """Bars on `whole`; intervals, seeds and published values on `near`, with its limits. `best`: the best rule's."""
    points, ends = [best], list[float]()
    for y, (label, params) in enumerate(results.settings.items()):
        colour, values = hue[_kind(params)], 100 * results.finals(label, "test_accuracy")
        mean, low, high = (100 * float(v) for v in results.final(label, "test_accuracy"))
        whole.barh(y, mean, color=colour, height=0.7)
        near.plot([low, high], [y, y], color=colour, lw=1.8, solid_capstyle="butt")
        near.plot(mean, y, "o", color=colour, ms=5)
        near.plot(values, [y + 0.28] * len(values), ".", color=colour, ms=3.5)
        points += [*values]
        ends += [low, high]
        if params["length"] == 5 and cell_name(params) in CELLS:
            near.plot(CELLS[cell_name(params)], y, "D", mfc="none", mec="0.3", ms=4.5)
            points.append(CELLS[cell_name(params)])
    low, high = min(points), max(points)
    wide = high - low or 1.0  # of few seeds an interval may be as wide as the whole axis: it moves the limits by half
    low, high = max(low - 0.5 * wide, np.nanmin([low, *ends])), min(high + 0.5 * wide, np.nanmax([high, *ends]))
    near.set_xlim(min(low, best) - 0.08 * wide, min(high + 0.08 * wide, 100.5))


# Lengths --------------------------------------------------------------------------------------------------------------
def lengths_loss(results: LabResults) -> Figure:
    """A row a task, a column a choice of customers; a line a length."""
    panels = _length_panels(results)
    lengths = sorted({params["length"] for params in results.settings.values()})
    hue = dict(zip(lengths, HUES, strict=False))
    columns = len({customers for _, customers in panels})
    figure, axes = _grid(results, "lengths-loss", len(panels), columns, (3.6, 2.6), footer(results, False), 1.35)
    for ax, ((task, customers), labels) in zip(axes, panels.items(), strict=True):
        _draw_losses(ax, results, {label: hue[results.settings[label]["length"]] for label in labels}, "loss")
        ax.set_title(f"{LENGTH_TITLES[task]}: {CUSTOMERS[customers]}", loc="left", fontsize=9)
        ax.set_ylabel("Cross-entropy" if task == "streamer" else "Mean squared error")
    for task in LENGTH_TITLES:
        _share_limits([ax for ax, (of, _) in zip(axes, panels, strict=True) if of == task])
    handles = [Line2D([], [], color=hue[length], label=f"length {length}") for length in lengths]
    _draw_legend(axes[columns - 1], [*handles, *LINES])
    return figure


def lengths_final(results: LabResults) -> Figure:
    """A panel a task and choice of customers: the value by length, beside the simple rules."""
    panels = _length_panels(results)
    notes = []
    if any(task == "basket" for task, _ in panels):
        errors = ", ".join(f"{value} at {length}" for length, value in LENGTHS["basket"].items())
        notes = [
            f"Published squared errors ({errors}) are of 768-d vectors of another text model, so they are not drawn."
        ]
    columns = len({customers for _, customers in panels})
    figure, axes = _grid(results, "lengths-final", len(panels), columns, (3.4, 2.7), [*notes, *footer(results)], 3.0)
    for ax, ((task, customers), labels) in zip(axes, panels.items(), strict=True):
        _draw_lengths(ax, results, task, customers, labels)
    for task in LENGTH_TITLES:
        _share_limits([ax for ax, (of, _) in zip(axes, panels, strict=True) if of == task])
    for i in range(columns - 1, len(axes), columns):
        axes[i].legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, borderaxespad=0).set_in_layout(
            False
        )
    return figure


def _draw_lengths(ax: Axes, results: LabResults, task: str, customers: str, labels: Sequence[str]) -> None:
    metric, times = ("test_accuracy", 100) if task == "streamer" else ("test_loss", 1)
    labels = sorted(labels, key=lambda label: results.settings[label]["length"])
    lengths = [results.settings[label]["length"] for label in labels]
    spans = [results.final(label, metric) for label in labels]
    mean, low, high = (times * np.array([span[i] for span in spans], float) for i in range(3))
    ax.plot(lengths, mean, "o-", color=HUES[0], label="encoder", zorder=3)
    ax.vlines(lengths, low, high, color=HUES[0], lw=1.8, zorder=3)
    _draw_rules(ax, results, task, labels, lengths)
    if task == "streamer":  # all panels have it in their legends, one has the values
        both = [length for length in lengths if length in LENGTHS[task] and customers == "own"]
        values = [LENGTHS[task][length] for length in both]
        ax.plot(both, values, "D", mfc="none", mec="0.3", ms=5, label="published")
    ax.set_xticks(lengths)
    ax.set_xlabel("Length of the sequence")
    ax.set_ylabel("Test accuracy (%)" if task == "streamer" else "Test squared error")
    counts = [f"{results.meta['rules']['customers'][label]:,}" for label in labels]
    sizes = " / ".join(counts) if customers == "own" else counts[0]
    ax.set_title(f"{LENGTH_TITLES[task]}: {CUSTOMERS[customers]}\n({sizes} customers)", loc="left", fontsize=9)


def _draw_rules(ax: Axes, results: LabResults, task: str, labels: Sequence[str], lengths: Sequence[int]) -> None:
    """A grey line for each simple rule, by length."""
    rules = results.meta["rules"]["by_setting"]
    times = 100 if task == "streamer" else 1
    for place, (rule, dashes, marker) in enumerate(zip(rules[labels[0]], RULE_DASHES, "sv^x", strict=False)):
        values = [times * list(rules[label].values())[place] for label in labels]
        words = re.sub(r"(customer's last|most frequent of) \d+$", _sequence, rule)
        if task == "streamer" and place == 0:  # far below: it would squeeze all the rest
            ends = " to ".join(dict.fromkeys(f"{value:.0f}" for value in (min(values), max(values))))
            ax.add_line(Line2D([], [], lw=0, label=f"{words}: {ends} %,\nbelow the axis"))
            continue
        ax.plot(lengths, values, marker=marker, ms=4, ls=dashes, color=GREY, lw=1.1, label=textwrap.fill(words, 34))


def _sequence(match: re.Match[str]) -> str:
    """A rule over the last so many orders in words that hold for every length."""
    return "customer's sequence" if match[1] == "customer's last" else "most frequent of the sequence"


def _length_panels(results: LabResults) -> dict[tuple[str, str], list[str]]:
    """The settings by (task, customers)."""
    panels: dict[tuple[str, str], list[str]] = {}
    for label, params in results.settings.items():
        panels.setdefault((params["task"], params["customers"]), []).append(label)
    return panels


def _share_limits(axes: Sequence[Axes]) -> None:
    """The same limits of y for axes that are to be compared."""
    if axes:
        low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
        for ax in axes:
            ax.set_ylim(low, high)


# Codes ----------------------------------------------------------------------------------------------------------------
def code_groups(results: LabResults) -> dict[str, dict[str, float]]:
    """The settings that differ in one thing: title of the group -> label -> its value."""
    groups: dict[str, dict[str, float]] = {}
    sizes: dict[tuple[Any, ...], dict[str, float]] = {}
    noises: dict[tuple[Any, ...], dict[str, float]] = {}
    for label, params in results.settings.items():
        family = (params["kind"], params["kl_weight"] if params["kind"] == "vae" else 1.0, params["tanh_output"])
        sizes.setdefault((*family, params["weight_eps"]), {})[label] = params["size"]
        if params["kind"] == "vae":
            noises.setdefault((*family, params["size"]), {})[label] = params["weight_eps"]
    for (kind, weight, tanh, eps), values in sizes.items():
        if len(values) > 1 or eps == 1.0:
            noise = f", noise {eps:g}" if eps != 1.0 else ""
            groups[f"{_family(kind, weight, tanh)}{noise}, by size"] = values
    for (kind, weight, tanh, size), values in noises.items():
        if len(values) > 1:
            groups[f"{_family(kind, weight, tanh)}, size {size}, by noise"] = values
    return {name: dict(sorted(values.items(), key=lambda item: item[1])) for name, values in groups.items()}


def _family(kind: str, weight: float, tanh: bool) -> str:
    words = kind.upper() if kind == "ae" else f"VAE, KL weight {weight:g}"
    return f"{words}, tanh at the end" if tanh else words


def codes_loss(results: LabResults) -> Figure:
    """A panel a group of settings: squared error of the reconstruction by epoch, test and training."""
    groups = code_groups(results)
    rules = results.meta["rules"]
    notes = [
        f"Mean squared error a number of the context ({rules['width']} numbers). Grey line: the test error of giving "
        "back the mean. A VAE that comes no lower tells nothing of the customer. Noise: weight_eps, the factor "
        "of the standard deviation in a VAE's code."
    ]
    figure, axes = _grid(results, "codes-loss", len(groups), 2, (3.9, 2.8), [*notes, *footer(results, False)])
    for ax, (name, values) in zip(axes, groups.items(), strict=True):
        hue = dict(zip(values, sns.color_palette("viridis", len(values)), strict=True))
        _draw_losses(ax, results, hue, "mse")
        ax.axhline(rules["linear_error"]["0"], color=GREY, lw=1.2, ls=(0, (1, 1.5)))
        ax.set_title(name, loc="left", fontsize=9)
        ax.set_ylabel("Squared error")
        handles = [Line2D([], [], color=hue[label], label=f"{value:g}") for label, value in values.items()]
        what = name.rpartition(" by ")[2].capitalize()
        ax.legend(
            handles=[*handles, *LINES],
            title=f"{what} (solid: test, dashed: training)" if len(values) < 2 else what,
            frameon=False,
            fontsize=7,
            title_fontsize=7,
            ncols=3,
            loc="upper right",
            columnspacing=1.0,
        )
    _share_limits(axes)
    top = rules["linear_error"]["0"]
    for ax in axes:
        ax.set_ylim(0, max(1.35 * top, ax.get_ylim()[1]))
    return figure


def codes_size(results: LabResults) -> Figure:
    """Test error after the last epoch by size of the code, beside that of as many principal components."""
    rules = results.meta["rules"]
    linear = {int(size): value for size, value in rules["linear_error"].items() if size != "0"}
    notes = ["Principal components are fitted to the customers the autoencoders are trained on; mean over the seeds."]
    figure, (ax,) = _grid(results, "codes-size", 1, 1, (4.9, 3.4), [*notes, *footer(results)], 2.2)
    ax.axhline(rules["linear_error"]["0"], color=GREY, lw=1.2, ls=(0, (1, 1.5)), label="mean of all (no code)")
    ax.plot(list(linear), list(linear.values()), "s--", color=GREY, ms=4, lw=1.2, label="principal components")
    groups = {name: sizes for name, sizes in code_groups(results).items() if name.endswith("by size")}
    for colour, (name, sizes) in zip(HUES, groups.items(), strict=False):
        spans = [results.final(label, "test_mse") for label in sizes]
        mean, low, high = (np.array([span[i] for span in spans], float) for i in range(3))
        ax.plot(list(sizes.values()), mean, "o-", color=colour, ms=4, label=name.removesuffix(", by size"))
        ax.vlines(list(sizes.values()), low, high, color=colour, lw=1.8)
    ax.set_xscale("log")
    ax.set_xticks(list(linear), [str(size) for size in linear])
    ax.minorticks_off()
    ax.set_ylim(0, None)
    ax.set(xlabel="Size of the code", ylabel="Test squared error")
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, borderaxespad=0).set_in_layout(False)
    return figure


def codes_map(results: LabResults) -> Figure:
    """A row a code, a column a method. A picture that could not be drawn says why in its place."""
    methods = results.experiment["pictures"]["methods"]
    labels = list(results.meta["rules"]["explained"])
    streamers = sorted(set(results.points["streamer"])) if len(results.points) else []
    look = {s: {"color": HUES[i % len(HUES)], "marker": "os^Dv*P"[i % 7]} for i, s in enumerate(streamers)}
    shares = " and ".join(f"{share} % by {n}" for n, share in EXPLAINED.items())
    notes = [
        f"Shares of variance: explained by 2 and 3 principal components. Published, of the study's own data: {shares}.",
        "A random part of the customers, by the codes of seed 0. The encoders learned from the same customers, so "
        "islands of one colour are fitted in part. Distances in t-SNE and UMAP are not to scale.",
        footer(results)[-1],
    ]
    figure, axes = _grid(results, "codes-map", len(labels) * len(methods), len(methods), (2.5, 2.4), notes, 1.6)
    for i, ax in enumerate(axes):
        _draw_map(ax, results, labels[i // len(methods)], methods[i % len(methods)], look)
    names = results.meta["data"]["streamers"]
    handles = [Line2D([], [], lw=0, label="Next streamer")]
    handles += [
        Line2D([], [], ls="", ms=5, **look[s], label=str(names[s]) if s < len(names) else str(s)) for s in streamers
    ]
    _draw_legend(axes[len(methods) - 1], handles)
    return figure


def _draw_map(ax: Axes, results: LabResults, label: str, method: str, look: Mapping[int, Mapping[str, Any]]) -> None:
    """A panel of `codes_map`: the points of a code by a method, each in the look of its next streamer."""
    rows = results.points[(results.points["label"] == label) & (results.points["method"] == method)]
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{METHODS[method]}: {code_words(results, label)}", loc="left", fontsize=8)
    if rows.empty:
        why = next((n for n in results.meta["notes"] if n.startswith(METHODS[method])), "It failed: see the run.")
        ax.text(0.5, 0.5, textwrap.fill(f"Not drawn. {why}", 30), ha="center", va="center", fontsize=8)
        return
    for streamer in results.points["streamer"].value_counts().index:  # the rare last: they would be hidden
        points = rows[rows["streamer"] == streamer]
        ax.scatter(points["x"], points["y"], **look[streamer], s=7, lw=0, alpha=0.75)
    if method == "pca":
        shares = results.meta["rules"]["explained"][label]
        ax.set_xlabel(f"explained: {shares[1]:.1%} by 2, {shares[2]:.1%} by 3", fontsize=8)


def code_words(results: LabResults, label: str) -> str:
    """A code in words: "AE, size 20"; the context itself has no setting."""
    params = results.settings.get(label)
    if params is None:
        return f"the {label} itself"
    noise = f", noise {params['weight_eps']:g}" if params["kind"] == "vae" and params["weight_eps"] != 1.0 else ""
    return f"{_family(params['kind'], params['kl_weight'], params['tanh_output'])}, size {params['size']}{noise}"
