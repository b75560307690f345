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
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lersbench.figures.records import Plan, Record
from lersbench.figures.records import draw as draw_plans
from lersbench.figures.style import GREY, HUES
from lersbench.results.lab import CELLS, EXPLAINED, LENGTHS, METHODS, LabResults, cell_name
from lersbench.results.statistics import LEVEL

TITLES = {
    "cells-loss": "Training and test loss of the recurrent cells",
    "cells-accuracy": "Next streamer told from the last orders: accuracy on customers not trained on",
    "lengths-loss": "Training and test loss by length of the sequence",
    "lengths-final": "How much of the past to read: test values after the last epoch",
    "codes-loss": "Reconstruction of the context by epoch",
    "codes-size": "Reconstruction of the context by size of the code",
    "codes-map": "Codes in two dimensions, coloured by the next streamer",
}
KINDS = {"": "plain", "Bi": "bidirectional", "Bayes": "Bayesian"}
TRAIN = (0, (3, 1.5))  # dashes of training curves
RULED: tuple[Any, ...] = ((0, (1, 1.5)), TRAIN, "-", (0, (6, 1.5, 1, 1.5)))  # dashes of the simple rules
LENGTH_TITLES = {"streamer": "Next streamer", "basket": "Next basket"}
WHO = {"own": "each length on the customers it has", "same": "all lengths on the same customers"}
LINES = [Line2D([], [], color=GREY, ls="-", label="test"), Line2D([], [], color=GREY, ls=TRAIN, label="training")]


# Files ----------------------------------------------------------------------------------------------------------------
def draw_all(results: LabResults, folder: str | Path) -> list[Record]:
    """Draw all figures of a run into `folder`; return their records, which are kept there too."""
    makers: dict[str, dict[str, Callable[[LabResults], Figure]]] = {
        "cells": {"cells-loss": cells_loss, "cells-accuracy": cells_accuracy},
        "lengths": {"lengths-loss": lengths_loss, "lengths-final": lengths_final},
        "codes": {"codes-loss": codes_loss, "codes-size": codes_size, "codes-map": codes_map},
    }
    own = makers[results.kind].items()
    plans = [Plan(stem, TITLES[stem], results.kind, (), partial(make, results)) for stem, make in own]
    return draw_plans(plans, folder, results)


# The frame ------------------------------------------------------------------------------------------------------------
def _frame(
    results: LabResults,
    stem: str,
    panels: int,
    columns: int,
    panel: tuple[float, float],
    notes: Sequence[str],
    beside: float = 0.0,
) -> tuple[Figure, list[Axes]]:
    """Axes of the size `panel` (inches) under a head and above a foot, with room `beside` for a legend."""
    columns = min(columns, panels)
    rows = math.ceil(panels / columns)
    said = run_in_words(results)
    width = max(columns * panel[0] + beside, 0.2 + 0.072 * len(said))
    foot = [line for note in notes for line in textwrap.wrap(note, int(width * 18.7), break_on_hyphens=False)]
    above, below = 0.52, 0.16 + 0.135 * len(foot)
    height = rows * panel[1] + above + below
    layout = ConstrainedLayoutEngine(
        rect=(0, below / height, 1 - beside / width, 1 - (above + below) / height), w_pad=0.06, h_pad=0.06
    )
    figure = Figure(figsize=(width, height), layout=layout)
    figure.text(0.08 / width, 1 - 0.08 / height, TITLES[stem], va="top", fontsize=11, fontweight="bold")
    figure.text(0.08 / width, 1 - 0.32 / height, said, va="top", fontsize=9, color="0.3")
    figure.text(0.08 / width, 0.06 / height, "\n".join(foot), va="bottom", fontsize=7, color="0.3", linespacing=1.25)
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(panels)]
    for ax in axes:
        sns.despine(ax=ax)
    return figure, axes


def run_in_words(results: LabResults) -> str:
    data, seeds = results.meta["data"], len(results.meta["seeds"])
    return f"{data['name']}, {data['customers']:,} customers with 6 orders or more, {_plural(seeds, 'seed')}"


def foot(results: LabResults, intervals: bool = True) -> list[str]:
    """What the seeds are, and whose data it is; `intervals`: are they drawn?"""
    seeds, split = len(results.meta["seeds"]), results.experiment["training"]["split"]
    drawn = f"mean and {LEVEL:.0%} bootstrap interval" if intervals else "mean"
    spread = f"{drawn} over {seeds} seeds" if seeds > 1 else "one seed, so no interval"
    seed = f"A seed is a split of the customers ({split:.0%} to train on) and first weights: {spread}."
    data = results.meta["data"]
    licence = re.split(r";| [(]the", data["licence"])[0]
    return [seed, f"Data: {data['attribution'].rstrip('.')}. {licence}."]


def _plural(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def _beside(ax: Axes, handles: Sequence[Any], at: float = 1.02) -> None:
    drawn = ax.legend(handles=list(handles), loc="upper left", bbox_to_anchor=(at, 1.0), frameon=False, borderaxespad=0)
    drawn.set_in_layout(False)


def _loss(ax: Axes, results: LabResults, labels: Mapping[str, Any], metric: str) -> None:
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
    named = {label: cell_name(params) for label, params in results.settings.items()}
    cells = list(dict.fromkeys(params["cell"] for params in results.settings.values()))
    kinds = list(dict.fromkeys(_kind(results.settings[label]) for label in named))
    hue = dict(zip(kinds, HUES, strict=False))
    notes = ["Cross-entropy of the next streamer. A Bayesian cell is measured with one draw of its weights."]
    figure, axes = _frame(results, "cells-loss", len(cells), 3, (2.6, 2.7), [*notes, *foot(results, False)], 1.35)
    for ax, cell in zip(axes, cells, strict=True):
        own = {label: hue[_kind(params)] for label, params in results.settings.items() if params["cell"] == cell}
        _loss(ax, results, own, "loss")
        ax.set_title(cell.upper(), loc="left")
    axes[0].set_ylabel("Cross-entropy")
    _same_height(axes)
    _beside(axes[-1], [*(Line2D([], [], color=hue[kind], label=kind) for kind in kinds), *LINES])
    return figure


def _kind(params: Mapping[str, Any]) -> str:
    told = [word for key, word in (("bidirectional", "bidirectional"), ("bayesian", "Bayesian")) if params[key]]
    return " ".join(told) or "plain"


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
    figure, axes = _frame(results, "cells-accuracy", 2, 2, size, [*notes, *foot(results)], 2.9)
    whole, near = axes
    handles: list[Any] = []
    for (rule, value), dashes in zip(sorted(rules.items(), key=lambda r: r[1]), RULED, strict=False):
        handles.append(Line2D([], [], color="0.3", ls=dashes, lw=1.2, label=f"{rule}  {100 * value:.1f} %"))
        for ax in axes:
            ax.axvline(100 * value, color="0.3", ls=dashes, lw=1.2, zorder=3)
    best, shown, ends = 100 * max(rules.values()), [100 * max(rules.values())], list[float]()
    for y, (label, params) in enumerate(rows):
        colour, values = hue[_kind(params)], 100 * results.finals(label, "test_accuracy")
        mean, low, high = (100 * float(v) for v in results.final(label, "test_accuracy"))
        whole.barh(y, mean, color=colour, height=0.7)
        near.plot([low, high], [y, y], color=colour, lw=1.8, solid_capstyle="butt")
        near.plot(mean, y, "o", color=colour, ms=5)
        near.plot(values, [y + 0.28] * len(values), ".", color=colour, ms=3.5)
        shown += [*values]
        ends += [low, high]
        if params["length"] == 5 and cell_name(params) in CELLS:
            near.plot(CELLS[cell_name(params)], y, "D", mfc="none", mec="0.3", ms=4.5)
            shown.append(CELLS[cell_name(params)])
    for ax in axes:
        ax.set_yticks(range(len(rows)), [cell_name(params) for _, params in rows])
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel("Accuracy (%)")
    whole.set_xlim(0, 100)
    low, high = min(shown), max(shown)
    wide = high - low or 1.0  # of few seeds an interval may be as wide as the whole axis: it moves the limits by half
    low, high = max(low - 0.5 * wide, np.nanmin([low, *ends])), min(high + 0.5 * wide, np.nanmax([high, *ends]))
    near.set_xlim(min(low, best) - 0.08 * wide, min(high + 0.08 * wide, 100.5))
    whole.set_title("From zero", loc="left", fontsize=9)
    near.set_title("Enlarged", loc="left", fontsize=9)
    near.grid(axis="x", color="0.92", lw=0.8)
    near.set_axisbelow(True)
    marks = [Line2D([], [], color=hue[kind], lw=5, label=kind) for kind in kinds]
    published = Line2D([], [], ls="", marker="D", mfc="none", mec="0.3", ms=4.5, label="published")
    head = Line2D([], [], lw=0, label="Rules without learning:")
    _beside(near, [*marks, published, head, *reversed(handles)])
    return figure


# Lengths --------------------------------------------------------------------------------------------------------------
def lengths_loss(results: LabResults) -> Figure:
    """A row a task, a column a choice of customers; a line a length."""
    panels = _length_panels(results)
    lengths = sorted({params["length"] for params in results.settings.values()})
    hue = dict(zip(lengths, HUES, strict=False))
    columns = len({customers for _, customers in panels})
    figure, axes = _frame(results, "lengths-loss", len(panels), columns, (3.6, 2.6), foot(results, False), 1.35)
    for ax, ((task, customers), own) in zip(axes, panels.items(), strict=True):
        _loss(ax, results, {label: hue[results.settings[label]["length"]] for label in own}, "loss")
        ax.set_title(f"{LENGTH_TITLES[task]}: {WHO[customers]}", loc="left", fontsize=9)
        ax.set_ylabel("Cross-entropy" if task == "streamer" else "Mean squared error")
    for task in LENGTH_TITLES:
        _same_height([ax for ax, (of, _) in zip(axes, panels, strict=True) if of == task])
    handles = [Line2D([], [], color=hue[length], label=f"length {length}") for length in lengths]
    _beside(axes[columns - 1], [*handles, *LINES])
    return figure


def lengths_final(results: LabResults) -> Figure:
    """A panel a task and choice of customers: the value by length, beside the simple rules."""
    panels = _length_panels(results)
    notes = []
    if any(task == "basket" for task, _ in panels):
        told = ", ".join(f"{value} at {length}" for length, value in LENGTHS["basket"].items())
        notes = [
            f"Published squared errors ({told}) are of 768-d vectors of another text model, so they are not drawn."
        ]
    columns = len({customers for _, customers in panels})
    figure, axes = _frame(results, "lengths-final", len(panels), columns, (3.4, 2.7), [*notes, *foot(results)], 3.0)
    for ax, ((task, customers), own) in zip(axes, panels.items(), strict=True):
        _by_length(ax, results, task, customers, own)
    for task in LENGTH_TITLES:
        _same_height([ax for ax, (of, _) in zip(axes, panels, strict=True) if of == task])
    for i in range(columns - 1, len(axes), columns):
        axes[i].legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, borderaxespad=0).set_in_layout(
            False
        )
    return figure


def _by_length(ax: Axes, results: LabResults, task: str, customers: str, own: Sequence[str]) -> None:
    metric, times = ("test_accuracy", 100) if task == "streamer" else ("test_loss", 1)
    own = sorted(own, key=lambda label: results.settings[label]["length"])
    lengths = [results.settings[label]["length"] for label in own]
    found = [results.final(label, metric) for label in own]
    mean, low, high = (times * np.array([part[i] for part in found], float) for i in range(3))
    ax.plot(lengths, mean, "o-", color=HUES[0], label="encoder", zorder=3)
    ax.vlines(lengths, low, high, color=HUES[0], lw=1.8, zorder=3)
    rules = results.meta["rules"]["by_setting"]
    for place, (rule, dashes, marker) in enumerate(zip(rules[own[0]], RULED, "sv^x", strict=False)):
        values = [times * list(rules[label].values())[place] for label in own]
        words = re.sub(r"(customer's last|most frequent of) \d+$", _sequence, rule)
        if task == "streamer" and place == 0:  # far below: it would squeeze all the rest
            told = " to ".join(dict.fromkeys(f"{value:.0f}" for value in (min(values), max(values))))
            ax.add_line(Line2D([], [], lw=0, label=f"{words}: {told} %,\nbelow the axis"))
            continue
        ax.plot(lengths, values, marker=marker, ms=4, ls=dashes, color=GREY, lw=1.1, label=textwrap.fill(words, 34))
    if task == "streamer" and customers == "own":
        both = [length for length in lengths if length in LENGTHS[task]]
        values = [LENGTHS[task][length] for length in both]
    else:
        both, values = [], []
    if task == "streamer":  # drawn where it belongs, told wherever the legend stands
        ax.plot(both, values, "D", mfc="none", mec="0.3", ms=5, label="published")
    ax.set_xticks(lengths)
    ax.set_xlabel("Length of the sequence")
    ax.set_ylabel("Test accuracy (%)" if task == "streamer" else "Test squared error")
    counts = results.meta["rules"]["customers"]
    told = " / ".join(f"{counts[label]:,}" for label in own) if customers == "own" else f"{counts[own[0]]:,}"
    ax.set_title(f"{LENGTH_TITLES[task]}: {WHO[customers]}\n({told} customers)", loc="left", fontsize=9)


def _sequence(found: re.Match[str]) -> str:
    """A rule over the last so many orders in words that hold for every length."""
    return "customer's sequence" if found[1] == "customer's last" else "most frequent of the sequence"


def _length_panels(results: LabResults) -> dict[tuple[str, str], list[str]]:
    """The settings by (task, customers)."""
    found: dict[tuple[str, str], list[str]] = {}
    for label, params in results.settings.items():
        found.setdefault((params["task"], params["customers"]), []).append(label)
    return found


def _same_height(axes: Sequence[Axes]) -> None:
    """The same limits of y for axes that are to be compared."""
    if axes:
        low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
        for ax in axes:
            ax.set_ylim(low, high)


# Codes ----------------------------------------------------------------------------------------------------------------
def code_groups(results: LabResults) -> dict[str, dict[str, float]]:
    """The settings that differ in one thing: title of the group -> label -> its value."""
    found: dict[str, dict[str, float]] = {}
    sizes: dict[tuple[Any, ...], dict[str, float]] = {}
    noises: dict[tuple[Any, ...], dict[str, float]] = {}
    for label, params in results.settings.items():
        family = (params["kind"], params["kl_weight"] if params["kind"] == "vae" else 1.0, params["tanh_output"])
        sizes.setdefault((*family, params["weight_eps"]), {})[label] = params["size"]
        if params["kind"] == "vae":
            noises.setdefault((*family, params["size"]), {})[label] = params["weight_eps"]
    for (kind, weight, tanh, eps), own in sizes.items():
        if len(own) > 1 or eps == 1.0:
            noise = f", noise {eps:g}" if eps != 1.0 else ""
            found[f"{_family(kind, weight, tanh)}{noise}, by size"] = own
    for (kind, weight, tanh, size), own in noises.items():
        if len(own) > 1:
            found[f"{_family(kind, weight, tanh)}, size {size}, by noise"] = own
    return {name: dict(sorted(own.items(), key=lambda item: item[1])) for name, own in found.items()}


def _family(kind: str, weight: float, tanh: bool) -> str:
    told = kind.upper() if kind == "ae" else f"VAE, KL weight {weight:g}"
    return f"{told}, tanh at the end" if tanh else told


def codes_loss(results: LabResults) -> Figure:
    """A panel a group of settings: squared error of the reconstruction by epoch, test and training."""
    groups = code_groups(results)
    rules = results.meta["rules"]
    notes = [
        f"Mean squared error a number of the context ({rules['width']} numbers). Grey line: the test error of giving "
        "back the mean. A VAE that comes no lower tells nothing of the customer. Noise: weight_eps, the factor "
        "of the standard deviation in a VAE's code."
    ]
    figure, axes = _frame(results, "codes-loss", len(groups), 2, (3.9, 2.8), [*notes, *foot(results, False)])
    for ax, (name, own) in zip(axes, groups.items(), strict=True):
        hue = dict(zip(own, sns.color_palette("viridis", len(own)), strict=True))
        _loss(ax, results, hue, "mse")
        ax.axhline(rules["linear_error"]["0"], color=GREY, lw=1.2, ls=(0, (1, 1.5)))
        ax.set_title(name, loc="left", fontsize=9)
        ax.set_ylabel("Squared error")
        handles = [Line2D([], [], color=hue[label], label=f"{value:g}") for label, value in own.items()]
        what = name.rpartition(" by ")[2].capitalize()
        ax.legend(
            handles=[*handles, *LINES],
            title=f"{what} (solid: test, dashed: training)" if len(own) < 2 else what,
            frameon=False,
            fontsize=7,
            title_fontsize=7,
            ncols=3,
            loc="upper right",
            columnspacing=1.0,
        )
    _same_height(axes)
    top = rules["linear_error"]["0"]
    for ax in axes:
        ax.set_ylim(0, max(1.35 * top, ax.get_ylim()[1]))
    return figure


def codes_size(results: LabResults) -> Figure:
    """Test error after the last epoch by size of the code, beside that of as many principal components."""
    rules = results.meta["rules"]
    linear = {int(size): value for size, value in rules["linear_error"].items() if size != "0"}
    notes = ["Principal components are fitted to the customers the autoencoders are trained on; mean over the seeds."]
    figure, (ax,) = _frame(results, "codes-size", 1, 1, (4.9, 3.4), [*notes, *foot(results)], 2.2)
    ax.axhline(rules["linear_error"]["0"], color=GREY, lw=1.2, ls=(0, (1, 1.5)), label="mean of all (no code)")
    ax.plot(list(linear), list(linear.values()), "s--", color=GREY, ms=4, lw=1.2, label="principal components")
    groups = {name: own for name, own in code_groups(results).items() if name.endswith("by size")}
    for colour, (name, own) in zip(HUES, groups.items(), strict=False):
        found = [results.final(label, "test_mse") for label in own]
        mean, low, high = (np.array([part[i] for part in found], float) for i in range(3))
        ax.plot(list(own.values()), mean, "o-", color=colour, ms=4, label=name.removesuffix(", by size"))
        ax.vlines(list(own.values()), low, high, color=colour, lw=1.8)
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
    known = sorted(set(results.points["streamer"])) if len(results.points) else []
    names = results.meta["data"]["streamers"]
    hue = {streamer: HUES[i % len(HUES)] for i, streamer in enumerate(known)}
    mark = {streamer: "os^Dv*P"[i % 7] for i, streamer in enumerate(known)}
    common = list(results.points["streamer"].value_counts().index) if known else []
    told = " and ".join(f"{share} % by {n}" for n, share in EXPLAINED.items())
    notes = [
        f"Shares of variance: explained by 2 and 3 principal components. Published, of the study's own data: {told}.",
        "A random part of the customers, by the codes of seed 0. The encoders learned from the same customers, so "
        "islands of one colour are fitted in part. Distances in t-SNE and UMAP are not to scale.",
    ]
    panel = (2.5, 2.4)
    figure, axes = _frame(
        results, "codes-map", len(labels) * len(methods), len(methods), panel, [*notes, foot(results)[-1]], 1.6
    )
    for i, ax in enumerate(axes):
        label, method = labels[i // len(methods)], methods[i % len(methods)]
        rows = results.points[(results.points["label"] == label) & (results.points["method"] == method)]
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"{METHODS[method]}: {code_words(results, label)}", loc="left", fontsize=8)
        if rows.empty:
            why = next((n for n in results.meta["notes"] if n.startswith(METHODS[method])), "It failed: see the run.")
            ax.text(0.5, 0.5, textwrap.fill(f"Not drawn. {why}", 30), ha="center", va="center", fontsize=8)
            continue
        for streamer in common:  # the rare last: they would be hidden
            own = rows[rows["streamer"] == streamer]
            ax.scatter(own["x"], own["y"], color=hue[streamer], marker=mark[streamer], s=7, lw=0, alpha=0.75)
        if method == "pca":
            shares = results.meta["rules"]["explained"][label]
            ax.set_xlabel(f"explained: {shares[1]:.1%} by 2, {shares[2]:.1%} by 3", fontsize=8)
    handles = [Line2D([], [], lw=0, label="Next streamer")]
    handles += [
        Line2D([], [], ls="", marker=mark[s], ms=5, color=hue[s], label=str(names[s]) if s < len(names) else str(s))
        for s in known
    ]
    _beside(axes[len(methods) - 1], handles)
    return figure


def code_words(results: LabResults, label: str) -> str:
    """A code in words: "AE, size 20"; the context itself has no setting."""
    params = results.settings.get(label)
    if params is None:
        return f"the {label} itself"
    noise = f", noise {params['weight_eps']:g}" if params["kind"] == "vae" and params["weight_eps"] != 1.0 else ""
    return f"{_family(params['kind'], params['kl_weight'], params['tanh_output'])}, size {params['size']}{noise}"
